"""DICOM and archives: recognised by their first bytes, and answered with what to type where they cannot be read."""

from __future__ import annotations

import importlib.util
import os
import stat
from pathlib import Path

from data_prep.outlines import IMAGEJ
from data_prep.quoting import quoted
from data_prep.this_python import install

HEAD = 512  # bytes that all the signatures below lie in
DICOM_AT, DICOM = 128, b"DICM"  # DICOM PS3.10, section 7.1: a preamble of 128 bytes, then the prefix
TAR_AT, TAR = 257, b"ustar"  # POSIX.1-1988
ARCHIVES = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar"}
ARCHIVE_NAMES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
DICOM_NAMES = (".dcm", ".ima", ".dicom")
FIRST_KINDS = (b"UL", b"UI", b"CS", b"OB", b"SH", b"DA")  # of the first element of a file without preamble
CHECK = "monai-hybrid check"
SEARCHED = 5000  # files of a folder that are looked at


def foreign_kind(path: Path) -> str | None:
    """ "dicom" or "archive" for a file of these kinds, by content or name; None for any other, and for what is no file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not status.st_size:  # files of the kernel say size 0, and some never end
            return None
        with path.open("rb") as handle:
            head = handle.read(HEAD)
    except OSError:
        return None
    name = path.name.lower()
    if looks_like_dicom(head, name):
        return "dicom"
    if IMAGEJ.search(head):  # outlines, which their program packs: unpacking them helps nobody
        return None
    packed = head.startswith(tuple(ARCHIVES)) or head[TAR_AT : TAR_AT + 5] == TAR
    return "archive" if packed or (head and name.endswith(ARCHIVE_NAMES)) else None


def looks_like_dicom(head: bytes, name: str = "") -> bool:
    """By the prefix after the preamble; without one by a first element of group 2 or 8, or by the name."""
    if head[DICOM_AT : DICOM_AT + 4] == DICOM:
        return True
    first = head[:2] in (b"\x02\x00", b"\x08\x00") and head[3:4] == b"\x00" and len(head) > 12
    if first and (head[4:6] in FIRST_KINDS or head[5:8] == b"\0\0\0"):
        return True
    return bool(head) and (name.lower().endswith(DICOM_NAMES) or name.lower() == "dicomdir")


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file among the first `SEARCHED` files of a folder, or the path is one."""
    return _first(folder, ("dicom",)) is not None


def dicom_readable() -> bool:
    """Whether what reads DICOM is installed."""
    return importlib.util.find_spec("pydicom") is not None


def foreign_sentence(path: Path) -> str | None:
    """What to say of DICOM or an archive in the place of images, as a file or in a folder; None where there is none.

    In a folder the first `SEARCHED` files count. No file's content is ever part of the sentence: DICOM names patients.
    """
    found = _first(path)
    if found is None:
        return None
    where, kind = found
    place = where if where == path else where.relative_to(path)
    folder = where.parent if path == where else path
    if kind == "archive":
        return f"{place} is an archive; archives are not opened here. Unpack it yourself and give the folder"
    said = str(path) if where == path else "a file in it"  # an export names folders and files after patients
    if not dicom_readable():
        return f"{said} is DICOM, and pydicom, which reads it, is not installed. Type: {install('dicom')}"
    return f"{said} is DICOM in the place of images. Give the folder of its series: {CHECK} {quoted(folder)}"


def links_sentence(folder: Path) -> str:
    """What to say of links to folders, which are not followed; "" where there are none. Their names may be names of people."""
    count, seen = 0, 0
    for parent, folders, files in os.walk(folder):
        count += sum((Path(parent) / name).is_symlink() for name in folders)
        seen += len(folders) + len(files)
        if seen >= SEARCHED:
            break
    if not count:
        return ""
    said = f"{count} links to folders, which are" if count > 1 else "a link to a folder, which is"
    return f"it holds {said} not followed: they may lead in circles. If scans are there, give that folder itself"


def _first(path: Path, kinds: tuple[str, ...] = ("dicom", "archive")) -> tuple[Path, str] | None:
    if not path.is_dir():
        kind = foreign_kind(path)
        return (path, kind) if kind in kinds else None
    seen = 0
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            kind = foreign_kind(Path(folder) / name)
            if kind in kinds:
                return Path(folder) / name, kind
            seen += 1
            if seen >= SEARCHED:
                return None
    return None
