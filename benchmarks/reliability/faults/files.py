"""Group A: file integrity."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, on_image
from benchmarks.reliability.tiny import edit_bytes, plain


def _cut(end: int | float) -> Callable[[bytes], bytes]:
    """Keep the first bytes: a number of them, a share of them, or all but some."""
    return lambda raw: raw[: int(len(raw) * end) if isinstance(end, float) else end]


def _replaced_by_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(path: Path) -> None:
    """Root may read everything except what the kernel itself refuses."""
    if os.geteuid() == 0:
        _replaced_by_link(path, "/proc/self/mem")
    else:
        path.chmod(0)


def _two_members(raw: bytes) -> bytes:
    data = gzip.decompress(raw)
    return gzip.compress(data[:400]) + gzip.compress(data[400:])


def _other_format(path: Path) -> None:
    path.with_name("case_d.mgz").write_bytes(path.read_bytes())


def _as_mha(path: Path, change: Callable[[bytes], bytes]) -> None:
    """The image as a compressed MHA, then the change of its bytes."""
    import SimpleITK

    target = path.with_name("case_a.mha")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(target), True)
    path.unlink()
    edit_bytes(target, change)


def _two_flipped(raw: bytes) -> bytes:
    middle = len(raw) * 3 // 4
    return raw[:middle] + bytes(byte ^ 4 for byte in raw[middle : middle + 2]) + raw[middle + 2 :]


def _named_elsewhere(raw: bytes) -> bytes:
    return raw.replace(b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/passwd", 1)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n"

FAULTS = [
    Fault("A01", "empty file", "D002", on_image(lambda p: p.write_bytes(b"")), message="0 bytes"),
    Fault("A02", "cut in the header, gz", "D003", on_image(lambda p: edit_bytes(p, _cut(40))), message="348"),
    Fault("A02", "cut in the header, plain", "D003", on_image(lambda p: edit_bytes(plain(p), _cut(200))), message="348"),
    Fault("A03", "cut in the middle, gz", "D003", on_image(lambda p: edit_bytes(p, _cut(0.5))), message="stops after"),
    Fault("A03", "cut in the middle, plain", "D003", on_image(lambda p: edit_bytes(plain(p), _cut(0.5))), message="bytes"),
    Fault("A04", "last byte missing, gz", "D003", on_image(lambda p: edit_bytes(p, _cut(-1))), message="gzip stream stops"),
    Fault("A04", "last byte missing, plain", "D003", on_image(lambda p: edit_bytes(plain(p), _cut(-1))), message="bytes"),
    Fault("A05", "gzip checksum wrong", "D004", on_image(lambda p: edit_bytes(p, lambda b: b[:-8] + b"\1\2\3\4" + b[-4:]))),
    Fault(
        "A05", "two bytes changed, packed MHA", "D004", on_image(lambda p: _as_mha(p, _two_flipped)), message="reports|unpacks"
    ),
    Fault("A05", "packed MHA", ACCEPTED, on_image(lambda p: _as_mha(p, bytes))),
    Fault("A06", "gzip size field wrong", "D004", on_image(lambda p: edit_bytes(p, lambda b: b[:-4] + b"\1\2\3\4"))),
    Fault(
        "A07",
        "bytes after the gzip stream",
        "D004",
        on_image(lambda p: edit_bytes(p, lambda b: b + b"stray")),
        message="5 bytes follow the end of the gzip stream",
    ),
    Fault("A07", "bytes after the last voxel", "D010", on_image(lambda p: edit_bytes(plain(p), lambda b: b + bytes(5000)))),
    Fault("A07", "zeros after the gzip stream", ACCEPTED, on_image(lambda p: edit_bytes(p, lambda b: b + bytes(512)))),
    Fault(
        "A07",
        "gzip of several members",
        ACCEPTED,
        on_image(lambda p: edit_bytes(p, _two_members)),
    ),
    Fault("A08", "text in place of an image", "D006", on_image(lambda p: plain(p).write_bytes(b"hello " * 100))),
    Fault("A08", "Git LFS pointer", "D006", on_image(lambda p: plain(p).write_bytes(POINTER * 4)), message="git lfs pull"),
    Fault("A09", "plain file named .nii.gz", "D005", on_image(lambda p: edit_bytes(p, gzip.decompress))),
    Fault("A09", "gzip named .nii", "D005", on_image(lambda p: p.rename(p.with_name("case_a.nii")))),
    Fault("A09", "unknown ending", "D404", on_image(lambda p: p.rename(p.with_name("case_a.img.bak")))),
    Fault("A09", "a format that is not read, among others", "D506", on_image(_other_format), names="case_d.mgz"),
    Fault(
        "A09", "voxels in another file", "D030", on_image(lambda p: _as_mha(p, _named_elsewhere)), message="its voxels lie in"
    ),
    Fault("A10", "folder in place of a file", "D001", on_image(_folder), message="folder"),
    Fault("A11", "dangling link", "D001", on_image(lambda p: _replaced_by_link(p, "gone")), message="not there"),
    Fault("A12", "link to itself", "D001", on_image(lambda p: _replaced_by_link(p, p.name))),
    Fault("A13", "named pipe", "D001", on_image(_fifo), message="special file"),
    Fault("A14", "no right to read", "D008", on_image(_unreadable), message="the system says"),
]
