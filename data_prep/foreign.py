"""DICOM and archives: recognised by their first bytes, never opened, and answered with what to type instead."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

HEAD = 512  # bytes that all the signatures below lie in
DICOM_AT, DICOM = 128, b"DICM"  # DICOM PS3.10, section 7.1: a preamble of 128 bytes, then the prefix
TAR_AT, TAR = 257, b"ustar"  # POSIX.1-1988
ARCHIVES = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar"}
ARCHIVE_NAMES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
DICOM_NAMES = (".dcm", ".ima")
SEARCHED = 200  # files of a folder that are looked at
CONVERT = "dcm2niix -z y -f series_%s -o {out} {folder}"


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
    if head[DICOM_AT : DICOM_AT + 4] == DICOM or (head and (name.endswith(DICOM_NAMES) or name == "dicomdir")):
        return "dicom"
    packed = head.startswith(tuple(ARCHIVES)) or head[TAR_AT : TAR_AT + 5] == TAR
    return "archive" if packed or (head and name.endswith(ARCHIVE_NAMES)) else None


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
    command = CONVERT.format(out=shlex.quote(f"{folder.name or 'dicom'}_nifti"), folder=shlex.quote(str(folder)))
    return (
        f"{place} is DICOM, which is not read here. Convert it to NIfTI, one volume a series, heed the converter's warnings "
        f"(gaps, tilt, mixed series), and give the result: mkdir {command.split()[-2]} && {command}"
    )


def _first(path: Path) -> tuple[Path, str] | None:
    if not path.is_dir():
        kind = foreign_kind(path)
        return (path, kind) if kind else None
    seen = 0
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            kind = foreign_kind(Path(folder) / name)
            if kind:
                return Path(folder) / name, kind
            seen += 1
            if seen >= SEARCHED:
                return None
    return None
