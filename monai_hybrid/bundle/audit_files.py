"""Files of a bundle other than its configurations: archives, logging.conf, model files, arrays, code."""

from __future__ import annotations

import ast
import configparser
import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import torch

from monai_hybrid.errors import ConfigError

CODE = {".py", ".pyc", ".so", ".pyd", ".dll", ".dylib", ".sh", ".bat", ".ps1", ".exe", ".pkl", ".pickle", ".joblib", ".engine"}
TORCHSCRIPT = {".ts", ".jit", ".torchscript"}
WEIGHTS = {".pt", ".pth", ".ckpt", ".bin"}
STREAMS = ("sys.stdout", "sys.stderr")
MAX_MEMBERS = 10_000
MAX_BYTES = 8 << 30
MAX_RATIO, RATIO_FROM = 200, 64 << 20


def file_problem(path: Path, root: Path) -> str | None:
    """What is wrong with one file of the bundle at `root`; nothing is run or unpickled."""
    if not path.resolve().is_relative_to(root.resolve()):
        return "a link that leads out of the bundle"
    suffix = path.suffix.lower()
    if suffix in CODE:
        return "code travels in the bundle: read it before you run it"
    if suffix in TORCHSCRIPT:
        return "TorchScript is code: use model.safetensors or model.pt"
    if suffix in WEIGHTS:
        return _weights_problem(path)
    if suffix in (".npy", ".npz"):
        return _array_problem(path)
    if suffix in (".zip", ".tar", ".gz") and not path.name.endswith(".nii.gz"):
        return "an archive inside the bundle: unpack and audit it apart"
    return None


def _weights_problem(path: Path) -> str | None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in f"/{name}" or name.endswith("/constants.pkl") for name in archive.namelist()):
                return "TorchScript is code: use model.safetensors or model.pt"
    try:
        torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # whatever is wrong with it, it is not a file of tensors
        return f"not loadable as plain tensors ({str(error).splitlines()[0][:80] if str(error) else type(error).__name__})"
    return None


def _array_problem(path: Path) -> str | None:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                for name in loaded.files:
                    loaded[name]
    except (ValueError, OSError, EOFError) as error:
        return f"not an array of numbers ({str(error).splitlines()[0][:80]})"
    return None


def logging_problems(path: Path) -> list[tuple[str, str, str | None]]:
    """(place, text, problem) of what Python's fileConfig evaluates: `class`, `args`, `kwargs`."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError) as error:
        return [("file", path.name, f"not readable ({str(error).splitlines()[0]})")]
    fields = [
        (s, f, parser.get(s, f)) for s in parser.sections() for f in ("class", "args", "kwargs") if parser.has_option(s, f)
    ]
    return [(f"{s}.{f}", text, _class_problem(text) if f == "class" else _literal_problem(text)) for s, f, text in fields]


def _class_problem(text: str) -> str | None:
    parts = text.strip().split(".")
    known = all(part.isidentifier() and not part.startswith("_") for part in parts)
    if known and (len(parts) == 1 or parts[0] in ("logging", "handlers")):
        return None
    return "expected a class of Python's logging"


def _literal_problem(text: str) -> str | None:
    try:
        tree = ast.parse(text.strip() or "()", mode="eval")
    except (SyntaxError, ValueError):
        return "not a literal"
    allowed = (ast.Expression, ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.expr_context)
    streams = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n) in STREAMS]
    inside = {id(part) for stream in streams for part in ast.walk(stream)}
    rest = [n for n in ast.walk(tree) if id(n) not in inside]
    return None if all(isinstance(n, allowed) for n in rest) else f"only literals and {' or '.join(STREAMS)} are allowed"


def unpack(archive_path: Path, folder: Path) -> None:
    """Unpack a zip file into an empty folder, after every member was checked; what is written is counted as it comes.

    Raises:
        ConfigError: a member leads out of the folder, is a link, or is too large; or the file is no zip file.
    """
    try:
        with zipfile.ZipFile(archive_path) as archive:
            members = archive.infolist()
            problem = _members_problem(members)
            if problem:
                raise ConfigError(f"{archive_path}: {problem}; nothing was unpacked")
            left = MAX_BYTES
            for member in members:
                if not member.is_dir():
                    left -= _write(archive, member, folder / member.filename, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise ConfigError(f"{archive_path}: not a readable zip file ({error})") from error


def _members_problem(members: list[zipfile.ZipInfo]) -> str | None:
    if len(members) > MAX_MEMBERS:
        return f"{len(members)} members, at most {MAX_MEMBERS} are unpacked"
    if sum(m.file_size for m in members) > MAX_BYTES:
        return f"unpacks to {sum(m.file_size for m in members) / 1e9:.1f} GB, at most {MAX_BYTES / 1e9:.1f} GB are unpacked"
    names = [m.filename.rstrip("/").casefold() for m in members]
    for member, name in zip(members, names, strict=True):
        said = _member_problem(member)
        if said is None and names.count(name) > 1:
            said = "comes twice"
        if said:
            return f"the member {member.filename!r} {said}"
    return None


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or PureWindowsPath(name).root:
        return "has an absolute path"
    if ".." in PureWindowsPath(name).parts:
        return "leads out of the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a special file"
    if member.flag_bits & 1:
        return "is encrypted"
    if member.file_size > RATIO_FROM and member.file_size > MAX_RATIO * max(member.compress_size, 1):
        return f"grows more than {MAX_RATIO} times"
    return None


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Copy at most the size the member declares; returns the bytes written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(member) as source, path.open("xb") as target:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > min(member.file_size, left):
                raise zipfile.BadZipFile(f"{member.filename}: larger than it says")
            target.write(chunk)
    return written
