"""A bundle in a zip file: its members are checked before anything is unpacked, and counted as they are."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

from monai_hybrid.errors import ConfigError

MAX_MEMBERS = 10_000
MAX_BYTES = 8 << 30
MAX_RATIO, RATIO_FROM = 200, 64 << 20
MAX_LEVELS = 32
DAMAGED = (zlib.error, lzma.LZMAError, struct.error)


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
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError, *DAMAGED) as error:
        if isinstance(error, OSError) and error.filename is not None:  # the system's: no right to read, no place to write
            raise
        raise ConfigError(f"{archive_path}: not a readable zip file ({error})") from error


def _members_problem(members: list[zipfile.ZipInfo]) -> str | None:
    if len(members) > MAX_MEMBERS:
        return f"{len(members)} members, at most {MAX_MEMBERS} are unpacked"
    if sum(m.file_size for m in members) > MAX_BYTES:
        return f"unpacks to {sum(m.file_size for m in members) / 1e9:.1f} GB, at most {MAX_BYTES / 1e9:.1f} GB are unpacked"
    names = [m.filename.rstrip("/").casefold() for m in members]
    times = Counter(names)
    for member, name in zip(members, names, strict=True):
        said = _member_problem(member)
        if said is None and times[name] > 1:
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
    if name.count("/") > MAX_LEVELS:
        return f"lies deeper than {MAX_LEVELS} folders"
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
