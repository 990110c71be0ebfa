"""Group J of the fault matrix: DICOM and archives are refused by name, unopened, and no patient's name comes out."""

from __future__ import annotations

import io
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.foreign import foreign_kind

RUN = CliRunner()
PATIENT = "Doe^Jane^1951"
CT, ENHANCED, JPEG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.1.2.4.70"


def element(group: int, number: int, kind: str, text: str) -> bytes:
    """One data element, explicit value representation, little endian (DICOM PS3.5, section 7.1.2)."""
    value = text.encode() + b" " * (len(text) % 2)
    return struct.pack("<HH2sH", group, number, kind.encode(), len(value)) + value


def dicom(sop: str = CT, syntax: str = "1.2.840.10008.1.2.1", series: str = "1.2.3", z: float = 0, tilt: float = 0) -> bytes:
    """The head of a CT slice, with the patient's name; the pixels are noise."""
    meta = element(2, 2, "UI", sop) + element(2, 0x10, "UI", syntax)
    body = element(8, 0x16, "UI", sop) + element(0x10, 0x10, "PN", PATIENT) + element(0x18, 0x1120, "DS", str(tilt))
    body += element(0x20, 0xE, "UI", series) + element(0x20, 0x32, "DS", f"0\\0\\{z}")
    return b"\0" * 128 + b"DICM" + meta + body + b"\x7f" * 2000


def slices(folder: Path, *contents: bytes, suffix: str = ".dcm") -> None:
    folder.mkdir(parents=True)
    for number, content in enumerate(contents):
        (folder / f"IM{number:04d}{suffix}").write_bytes(content)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.nii"))
    return stream.getvalue()


def archives(folder: Path, content: bytes, name: str = "scans.zip") -> None:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)


MADE: dict[str, Callable[[Path], None]] = {
    "J01 zip bomb": lambda f: archives(f, zipped(a=bytes(300 << 20))),
    "J02 zip in a zip": lambda f: archives(f, zipped(b=zipped(a=zipped(c=b"x")))),
    "J02 tar": lambda f: archives(f, tarred(), "scans"),
    "J03 mixed series": lambda f: slices(f, *(dicom(series=s, z=z) for s in ("1.2.3", "1.2.4") for z in (0, 1))),
    "J04 slice missing": lambda f: slices(f, *(dicom(z=z) for z in (0, 1, 3))),
    "J05 slice twice": lambda f: slices(f, *(dicom(z=z) for z in (0, 1, 1, 2))),
    "J06 gantry tilt": lambda f: slices(f, *(dicom(z=z, tilt=15) for z in (0, 1, 2))),
    "J07 varying spacing": lambda f: slices(f, *(dicom(z=z) for z in (0, 1, 2.5))),
    "J08 enhanced multi-frame": lambda f: slices(f, dicom(sop=ENHANCED)),
    "J09 compressed without codec": lambda f: slices(f, dicom(syntax=JPEG), suffix=""),
    "J10 DICOMDIR": lambda f: archives(f, b"\0" * 128 + b"DICM" + b"\0" * 90, "DICOMDIR"),
    "J11 localiser inside": lambda f: slices(f, dicom(series="1.2.9", z=-100), *(dicom(z=z) for z in (0, 1)), suffix=""),
    "J12 patient name in an output": lambda f: slices(f, dicom(), suffix=".IMA"),
}


@pytest.mark.parametrize("name", MADE)
def test_archives_and_dicom_are_refused_unopened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MADE[name](tmp_path / "scans")
    MADE[name](tmp_path / "set/images")
    monkeypatch.chdir(tmp_path)
    kind = "archive" if name[:3] in ("J01", "J02") else "DICOM"
    typed = "Unpack it yourself" if kind == "archive" else "dcm2niix -z y -f series_%s -o"
    first = sorted((tmp_path / "scans").iterdir())[0]
    start = time.perf_counter()
    outputs = []
    for words in (
        ["check", "scans", "--json", "report.json"],
        ["check", "set", "--json", "report.json"],
        ["check", str(first), "--json", "report.json"],
        ["build", "scans", "--out", "out"],
        ["build", "set", "--out", "out"],
        ["build", str(first), "--out", "out"],
    ):
        result = RUN.invoke(app, words)
        said = " ".join((result.stdout + result.stderr).split())
        assert result.exit_code == 3 and kind in said and typed in said and "Traceback" not in said, said
        outputs += [said, (tmp_path / "report.json").read_text()]
    assert time.perf_counter() - start < 20
    assert not any(part in text for text in outputs for part in ("Doe", "Jane", "1951"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json", "scans", "set"]


def test_images_and_what_lies_beside_them_are_not_mistaken(tmp_path: Path) -> None:
    nib.Nifti1Image(np.zeros((3, 3, 3), "f4"), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    (tmp_path / "b.txt").write_text("x" * 600)
    (tmp_path / "c.dcm").write_bytes(b"")
    (tmp_path / "d").mkdir()
    assert [foreign_kind(tmp_path / name) for name in ("a.nii.gz", "b.txt", "c.dcm", "d", "none")] == [None] * 5
    (tmp_path / "c.dcm").write_bytes(dicom())
    assert foreign_kind(tmp_path / "c.dcm") == "dicom"
