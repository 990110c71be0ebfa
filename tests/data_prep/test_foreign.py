"""Group J of the fault matrix: archives are refused unopened, DICOM that is no volume by its code; nobody is named."""

from __future__ import annotations

import io
import re
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicom_files import PLANTED, some_pixels, write_enhanced, write_series
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.foreign import foreign_kind

RUN = CliRunner()
PATIENT = "Doe^Jane^1951"
CT, JPEG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4.70"


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


def frames(folder: Path) -> None:
    write_enhanced(folder / "file", ImageType=["X", "LOCALIZER"])


def without_codec(folder: Path) -> None:
    for file in write_series(folder, syntax="1.2.840.10008.1.2.5").files:
        file.write_bytes(file.read_bytes().replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0"))


def with_localiser(folder: Path) -> None:
    write_series(folder, names="a{}", step=(0, 0.6, 2.4))
    write_series(folder, some_pixels(1), names="b{}", ImageType=["X", "LOCALIZER"])


def lost(folder: Path) -> None:
    write_series(folder, some_pixels(6)).files[2].unlink()


# What lies in the folder, the code of the answer, and a word of what to type.
ARCHIVES: dict[str, Callable[[Path], None]] = {
    "J01 zip bomb": lambda f: archives(f, zipped(a=bytes(300 << 20))),
    "J02 zip in a zip": lambda f: archives(f, zipped(b=zipped(a=zipped(c=b"x")))),
    "J02 tar": lambda f: archives(f, tarred(), "scans"),
}
SERIES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "J03 mixed series": (
        "D519",
        "--series grid=",
        lambda f: [write_series(f, some_pixels(3, rows), names=f"{rows}_{{}}", series_uid="1.2.3") for rows in (8, 12)],
    ),
    "J04 slice missing": ("D510", "Fetch the series again", lost),
    "J05 slice twice": ("D511", "lie where another one lies", lambda f: write_series(f, change=at_heights(0, 1, 1, 2, 3))),
    "J06 gantry tilt": ("D513", "dcm2niix -z y -f series_%s -o", lambda f: write_series(f, step=(0, 0.6, 2.4))),
    "J07 varying spacing": ("D512", "dcm2niix", lambda f: write_series(f, change=at_heights(0, 1, 2.5, 3.2, 5))),
    "J08 enhanced multi-frame": ("D503", "called a localiser", frames),
    "J09 compressed without codec": ("D521", 'pip install "monai-hybrid[dicom]"', without_codec),
    "J10 DICOMDIR": ("D503", "hold no image", lambda f: archives(f, b"\0" * 128 + b"DICM" + b"\0" * 90, "DICOMDIR")),
    "J11 localiser inside": ("D513", "leans by 14.0 degrees", with_localiser),
    "J12 patient name in an output": ("D517", "--accept D517", lambda f: write_series(f, some_pixels(1))),
}


def at_heights(*heights: float) -> Callable[[int, Any], None]:
    return lambda index, dataset: setattr(dataset, "ImagePositionPatient", [0, 0, heights[index]])


def asked(folder: Path, words: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said and written in answer; 3 is the exit code, in good time, and no one is named."""
    monkeypatch.chdir(folder)
    start, outputs = time.perf_counter(), []
    for line in words:
        result = RUN.invoke(app, line)
        said = " ".join((result.stdout + result.stderr).split())
        assert result.exit_code == 3 and "Traceback" not in said, said
        outputs.append(said + ((folder / "report.json").read_text() if line[0] == "check" else ""))
    assert time.perf_counter() - start < 20
    names = [PATIENT, *PATIENT.split("^"), *PLANTED.values(), *PLANTED["PatientName"].split("^")]
    assert not any(re.search(rf"\b{re.escape(part)}\b", text, re.IGNORECASE) for text in outputs for part in names)
    return outputs


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_refused_unopened(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ARCHIVES[name](tmp_path / "scans")
    ARCHIVES[name](tmp_path / "set/images")
    first = str(sorted((tmp_path / "scans").iterdir())[0])
    words = [["check", place, "--json", "report.json"] for place in ("scans", "set", first)]
    words += [["build", place, "--output", "out"] for place in ("scans", "set", first)]
    for said in asked(tmp_path, words, monkeypatch):
        assert "archive" in said and "Unpack it yourself" in said, said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json", "scans", "set"]


@pytest.mark.parametrize("name", SERIES)
def test_dicom_that_is_no_volume_is_named_with_what_to_type(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, typed, make = SERIES[name]
    make(tmp_path / "scans")
    make(tmp_path / "set/images")
    words = [["check", place, "--json", "report.json"] for place in ("scans", "set")]
    words += [
        ["build", place, "--output", "out"] for place in ("scans", "set") if code != "D521"
    ]  # pixels come after masks there
    for said in asked(tmp_path, words, monkeypatch):
        assert typed in said and (code in said or code == "D503"), said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.json", "scans", "set"]


@pytest.mark.parametrize("suffix", ["", ".dcm", ".IMA"])
def test_without_pydicom_a_folder_is_refused_with_the_line_that_installs_it(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices(tmp_path / "scans", dicom(), suffix=suffix)
    slices(tmp_path / "set/images", dicom(), suffix=suffix)
    for place in ("data_prep.layouts", "data_prep.foreign"):
        monkeypatch.setattr(f"{place}.dicom_readable", lambda: False)
    words = [["check", place, "--json", "report.json"] for place in ("scans", "set", f"scans/IM0000{suffix}")]
    words += [["build", place, "--output", "out"] for place in ("scans", "set")]
    for said in asked(tmp_path, words, monkeypatch):
        assert "is DICOM" in said and 'pip install "monai-hybrid[dicom]"' in said.replace("\\", ""), said
    assert not (tmp_path / "out").exists()


def test_damaged_heads_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices(tmp_path / "scans", dicom(), dicom(z=1, syntax=JPEG), suffix=".IMA")
    for said in asked(tmp_path, [["check", "scans", "--json", "report.json"]], monkeypatch):
        assert "D003" in said and "stops before it says how large the image is" in said, said


def test_images_and_what_lies_beside_them_are_not_mistaken(tmp_path: Path) -> None:
    nib.Nifti1Image(np.zeros((3, 3, 3), "f4"), np.eye(4)).to_filename(tmp_path / "a.nii.gz")
    (tmp_path / "b.txt").write_text("x" * 600)
    (tmp_path / "c.dcm").write_bytes(b"")
    (tmp_path / "d").mkdir()
    assert [foreign_kind(tmp_path / name) for name in ("a.nii.gz", "b.txt", "c.dcm", "d", "none")] == [None] * 5
    (tmp_path / "c.dcm").write_bytes(dicom())
    assert foreign_kind(tmp_path / "c.dcm") == "dicom"
