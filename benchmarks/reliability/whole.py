"""Is every file that a run has left whole? Each is read to its end by what its name says it is."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from monai_hybrid.weights import load_weights


def _json(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"))


def _lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        raise ValueError("its last line is torn")
    for line in text.splitlines():
        json.loads(line)


def _table(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("rows of different lengths")


def _volume(path: Path) -> None:
    np.asanyarray(nib.load(path).dataobj)  # type: ignore[attr-defined]


def _picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _page(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("no end")


def _arrays(path: Path) -> None:
    with np.load(path) as content:
        for name in content.files:
            np.asarray(content[name])


READERS: dict[str, Callable[[Path], object]] = {
    ".json": _json, ".jsonl": _lines, ".csv": _table, ".nii.gz": _volume, ".png": _picture,
    ".pt": load_weights, ".safetensors": load_weights, ".html": _page, ".npz": _arrays,
}  # fmt: skip


def torn(folder: Path) -> list[str]:
    """Files under a final name that cannot be read to their end, with the reason."""
    bad = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not hidden(p, folder)):
        reader = next((reader for ending, reader in READERS.items() if path.name.endswith(ending)), None)
        if path.parent.name == "checkpoints" or "cache" in path.parts or reader is None:
            continue  # checkpoints and caches: the next run reads them, and its result is compared
        try:
            reader(path)
        except Exception as error:  # each library has its own
            bad.append(f"{path.relative_to(folder)}: {error}")
    return bad


def leftovers(folder: Path) -> list[str]:
    """Temporary files and folders, under `folder` and beside it."""
    found = [*folder.rglob(".*.tmp"), *folder.parent.glob(f".{folder.name}*.tmp")]
    return sorted({path.name for path in found})


def hidden(path: Path, folder: Path) -> bool:
    """Whether a part of the path below `folder` begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
