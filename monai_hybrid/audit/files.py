"""Files of a bundle that are no configuration: weights, documents, pictures, and what our own runs write. By content.

Nothing here is run or unpickled, and nothing else is accepted: what is not recognised may be code.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from data_prep.errors import said_by_system
from monai_hybrid.audit.configs import Finding
from monai_hybrid.audit.settings import MARKS
from monai_hybrid.errors import EnvironmentFault, HybridError
from monai_hybrid.weights import load_torch, load_weights, read_card

TEXTS = {"": ("LICENSE", "NOTICE"), ".md": (), ".txt": ()}
PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
WEIGHTS = ("models", "checkpoints")
RESULTS = ("logs", "eval", "checkpoints", "data")  # folders that our own runs write
RESULT_FILES = ("shots.json", "leave_one_out.json", "leave_one_out_part.json", ".run.json", ".run.lock")
LOCKS = (".run.lock", ".lock")
LARGEST_TEXT = 64 << 20
LARGEST_ARRAYS = 1 << 30
UNKNOWN = "not a document, picture or model file"


def files_of(root: Path) -> tuple[list[str], list[Finding]]:
    """The regular files of a folder, relative; and what may not be there: links, hidden and special files, caches of code."""
    files: list[str] = []
    findings: list[Finding] = []
    for folder, folders, names in os.walk(root, onerror=_unreadable, followlinks=False):
        folders.sort()
        for name in [*folders, *sorted(names)]:
            path = Path(folder) / name
            relative, mode = path.relative_to(root).as_posix(), path.lstat().st_mode
            if stat.S_ISLNK(mode):
                findings.append(Finding(relative, "", "a link"))
            elif name == "__pycache__" or (name.startswith(".") and name not in (*LOCKS, ".run.json")):
                findings.append(Finding(relative, "", "hidden from sight"))
            elif stat.S_ISREG(mode):
                files.append(relative)
            elif not stat.S_ISDIR(mode):
                findings.append(Finding(relative, "", "a special file"))
    return files, findings


def _unreadable(error: OSError) -> None:
    raise EnvironmentFault(f"{said_by_system(error)}. Nothing can be said of what is in it") from error


def file_problem(root: Path, name: str) -> str | None:
    """What is wrong with one file that is no configuration; None when it is recognised and harmless."""
    path, parts = root / name, PurePath(name).parts
    suffix, result = path.suffix.lower(), parts[0] in RESULTS or name in RESULT_FILES
    if suffix in (".pt", ".safetensors") and len(parts) == 2 and parts[0] in WEIGHTS:
        return _weights_problem(path)
    if suffix in TEXTS and (suffix or path.name in TEXTS[""]) and not path.name.startswith(("requirements", "constraints")):
        return None if _is_text(path) else "not a text in UTF-8"
    if suffix in PICTURES:
        return _picture_problem(path, PICTURES[suffix])
    if result:
        return _result_problem(path)
    return UNKNOWN


def _weights_problem(path: Path) -> str | None:
    try:
        if path.suffix == ".safetensors":
            load_weights(path)
            read_card(path)
        else:
            load_torch(path)
    except HybridError as error:
        return str(error).removeprefix(f"{path}: ")[:160]
    except Exception as error:  # torch reports what it will not load through many types
        said = str(error).strip().splitlines()[0][:80] if str(error).strip() else type(error).__name__
        return f"not loadable as plain tensors ({said})"
    return None


def _picture_problem(path: Path, kind: str) -> str | None:
    try:
        with Image.open(path, formats=[kind]) as picture:
            picture.verify()
    except Exception:  # Pillow has no one error class for what is no picture
        return f"not a {kind} picture"
    return None


def _is_text(path: Path) -> bool:
    if path.stat().st_size > LARGEST_TEXT:
        return False
    raw = path.read_bytes()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


def _result_problem(path: Path) -> str | None:
    """What our own runs write: read by us as data, and by nothing as a configuration."""
    if path.name in LOCKS:
        return None if not path.stat().st_size else "not an empty lock"
    known = next((test for form, test in _RESULTS.items() if re.fullmatch(form, path.name)), None)
    return None if known is not None and known(path) else "not what a run of ours writes"


def _is_data(path: Path) -> bool:
    """JSON, or a JSON text a line, that MONAI would run nothing of, even if it were given as a configuration."""
    if not _is_text(path):
        return False
    text = path.read_text(encoding="utf-8")
    try:
        parts = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else [json.loads(text)]
        return all(map(_is_inert, parts))
    except (ValueError, RecursionError):
        return False


def _is_inert(node: Any) -> bool:
    if isinstance(node, dict):
        return all(not key.startswith(("_", "+")) and not set("#:") & set(key) and _is_inert(node[key]) for key in node)
    if isinstance(node, list):
        return all(map(_is_inert, node))
    return not (isinstance(node, str) and node.strip().startswith(tuple(MARKS)))


def _is_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST_ARRAYS:
                return False
        with np.load(path, allow_pickle=False) as loaded:
            return all(isinstance(loaded[name], np.ndarray) for name in loaded.files)
    except Exception:  # numpy has no one error class for what is no array
        return False


def _is_volume(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1024)
    try:
        head = zlib.decompressobj(31).decompress(head, 352) if path.suffix == ".gz" else head
    except zlib.error:
        return False
    return head[344:347] in (b"n+1", b"ni1")


def _is_event_log(path: Path) -> bool:
    """A record's length in eight bytes, its checksum in four, the record: no text, so no program and no configuration."""
    with path.open("rb") as file:
        head = file.read(64)
    return head[1:8] == bytes(7) and b"brain.Event:" in head[12:]


_RESULTS: dict[str, Callable[[Path], bool]] = {
    r".*\.jsonl?": _is_data,
    r".*\.(csv|sha256)": _is_text,
    r".*\.npz": _is_arrays,
    r".*\.nii(\.gz)?": _is_volume,
    r"events\.out\.tfevents\..*\.[0-9]+": _is_event_log,
}
