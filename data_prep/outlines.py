"""Annotations that are no masks: outlines as annotation programs export them, and arrays; each with how masks come of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.quoting import quoted

SEARCHED = 5000  # files of a folder that are looked at
HEAD = 2**20  # bytes of one that are looked at; each expression below reads them once
OPENED = 3  # files of one ending in one folder: where these are none, the rest is passed over
DRAW = "Draw each into a PNG of 0 and 1, called like its image; ImageDraw.polygon of Pillow does it"
SAVE = "Save each as PNG or TIFF, called like its image: Image.fromarray of Pillow does it"
LABELME = (
    "labelme2voc.py, among the examples of Labelme, makes masks of them; of its folder: "
    "--images-dir JPEGImages --labels-dir SegmentationClass"
)
COCO = "annToMask of pycocotools makes masks of them; CVAT exports masks as 'Segmentation mask 1.1'"
BOXES = "A box is no outline: draw what lies in it"


@dataclass(frozen=True)
class Kind:
    """A form of annotations: what it is called, its endings, what its first bytes hold, and how masks come of it."""

    name: str
    endings: tuple[str, ...]
    content: re.Pattern[bytes]
    way: str


def _kind(name: str, endings: str, content: bytes, way: str) -> Kind:
    return Kind(name, tuple(endings.split()), re.compile(content, re.DOTALL), way)


IMAGEJ = re.compile(rb"\AIout|\APK\x03\x04.{26}[^\0]{1,200}\.roi", re.DOTALL)  # one, or several in a zip
_NUMBER = rb"[ \t]+[01]?\.?\d+(?:e-\d+)?"
KINDS = (
    _kind("outlines of Labelme", ".json", rb'\A(?=.*"shapes"\s*:\s*\[)(?=.*"image(?:Path|Data|Height)"\s*:)', LABELME),
    _kind("outlines of COCO", ".json", rb'\A(?=.*"images"\s*:\s*\[)(?=.*"(?:annotations|categories)"\s*:\s*\[)', COCO),
    _kind("outlines of VGG VIA", ".json .csv", rb'_via_img_metadata|"shape_attributes"|region_shape_attributes', DRAW),
    _kind(
        "outlines of GeoJSON",
        ".geojson .json",
        rb'"coordinates"\s*:\s*\[',
        f"QuPath exports masks by a script with LabeledImageServer. Else: {DRAW[0].lower()}{DRAW[1:]}",
    ),
    _kind(
        "outlines of CVAT", ".xml", rb"\A(?=.*<annotations>)(?=.*<image\s)", "Export the task again, as 'Segmentation mask 1.1'"
    ),
    _kind("boxes of Pascal VOC", ".xml", rb"\A(?=.*<annotation>)(?=.*<bndbox>)", BOXES),
    _kind("outlines", ".xml", rb"\A(?=.*<(?:ASAP_)?Annotations?\b)(?=.*<(?:Coordinates?|Vertex|Vertices)\b)", DRAW),
    _kind("outlines of YOLO", ".txt", rb"\A\d+(?:" + _NUMBER + rb"){6,}[ \t]*\r?(?:\n|\Z)", DRAW),
    _kind("boxes of YOLO", ".txt", rb"\A\d+(?:" + _NUMBER + rb"){4}[ \t]*\r?(?:\n|\Z)", BOXES),
    _kind(
        "outlines of ImageJ",
        ".roi .zip",
        IMAGEJ.pattern,
        "Open them on their image: ROI Manager, More, OR (Combine); Edit, Selection, Create Mask; save that as TIFF",
    ),
    _kind("outlines", ".svg", rb"<svg\b", DRAW),
    _kind("arrays of NumPy", ".npy .npz", rb"\A(?:\x93NUMPY|PK\x03\x04)", SAVE),
    _kind("arrays", ".mat .h5 .hdf5", rb"\A(?:MATLAB 5|\x89HDF)", SAVE),
)


def not_masks(root: Path) -> str:
    """What to say of annotations in a folder that has no masks: what they are, and how masks come of them; "" for none.

    The first `SEARCHED` files count. The sentence ends with a full stop, and names a file by its place in the folder.
    """
    for folder, ending, names in _by_ending(root):
        for name in names[:OPENED]:
            kind = kind_of(Path(folder) / name, ending)
            if kind is not None:
                where = quoted((Path(folder) / name).relative_to(root))
                more = f" and {len(names) - 1} more {ending} hold" if len(names) > 1 else " holds"
                return f"{where}{more} {kind.name}, which are no masks. {kind.way}."
    return ""


def kind_of(path: Path, ending: str) -> Kind | None:
    """The form of the annotations in a file whose name ends so, by its first bytes; None for any other file."""
    fitting = [kind for kind in KINDS if ending in kind.endings]
    if not fitting or not path.is_file():
        return None
    try:
        with path.open("rb") as handle:
            head = handle.read(HEAD)
    except OSError:
        return None
    return next((kind for kind in fitting if kind.content.search(head)), None)


def _by_ending(root: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Folder, ending and the names that end so, in the order of the names of folders."""
    known = {ending for kind in KINDS for ending in kind.endings}
    seen = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        found: dict[str, list[str]] = {}
        for name in sorted(files):
            ending = Path(name).suffix.lower()
            if ending in known and not name.startswith("."):
                found.setdefault(ending, []).append(name)
        yield from ((folder, ending, names) for ending, names in found.items())
        seen += len(files)
        if seen >= SEARCHED:
            return
