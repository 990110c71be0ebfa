"""Text in NIfTI headers: warned of by a check, carried into no result."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Extension
from prep_samples import RAS, cube, noise, save
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.header_text import without_text_in

NAME = b"Doe^Jane"
FIELDS = ("descrip", "db_name", "aux_file", "intent_name")


def write(path: Path, kind: type = nib.Nifti1Image, extensions: tuple[tuple[int, bytes], ...] = (), **texts: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = kind(noise((6, 7, 8)), RAS)
    image.set_sform(RAS, 1)
    image.set_qform(RAS, 1)
    for name, text in texts.items():
        image.header[name] = text
    image.header.extensions.extend(Nifti1Extension(code, text) for code, text in extensions)
    path.write_bytes(gzip.compress(image.to_bytes()) if path.name.endswith(".gz") else image.to_bytes())
    return path


def told(path: Path) -> tuple[str, list[dict[str, str]]]:
    result = CliRunner().invoke(app, ["check", str(path), "--json", f"{path}.json"])
    findings = json.loads(Path(f"{path}.json").read_text())["findings"]
    return result.output + json.dumps(findings), [one for one in findings if one["code"] == "D530"]


@pytest.mark.parametrize("name", FIELDS)
def test_a_name_in_a_text_of_the_header_is_warned_of_and_not_shown(name: str, tmp_path: Path) -> None:
    said, findings = told(write(tmp_path / "a.nii.gz", **{name: NAME}))
    assert len(findings) == 1 and f"its header's {name} may name the patient" in findings[0]["message"]
    assert findings[0]["level"] == "warning" and "Doe" not in said


@pytest.mark.parametrize("code, words", [(2, "a DICOM extension"), (6, "a comment extension")])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("end", [".nii", ".nii.gz"])
def test_an_extension_that_may_hold_a_name_is_warned_of(code: int, words: str, kind: type, end: str, tmp_path: Path) -> None:
    said, findings = told(write(tmp_path / f"a{end}", kind, ((code, NAME),)))
    assert len(findings) == 1 and words in findings[0]["message"] and "Doe" not in said


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"descrip": b"FSL5.0.9"},
        {"descrip": b"TE=2.3;Time=142200.105;phase=1", "aux_file": b"Coronal_T1"},
        {"descrip": b"FreeSurfer Mar 12 2019", "intent_name": b"vector"},
        {"descrip": b"3T 3D GR TR=2300ms/TE=2.98ms/FA=9deg"},
    ],
)
def test_what_programs_write_there_is_no_finding(texts: dict[str, bytes], tmp_path: Path) -> None:
    assert told(write(tmp_path / "a.nii.gz", **texts, extensions=((4, b"<AFNI/>"),)))[1] == []


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_copy_without_text_differs_in_text_alone(kind: type, tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii", kind, ((2, NAME), (6, b"x" * 99)), descrip=NAME, intent_name=NAME)
    plain = without_text_in(path.read_bytes())
    (tmp_path / "b.nii").write_bytes(plain)
    before, after = nib.load(path), nib.load(tmp_path / "b.nii")
    assert b"Doe" not in plain and len(plain) == path.stat().st_size
    assert np.array_equal(before.get_fdata(), after.get_fdata()) and np.array_equal(before.affine, after.affine)
    assert len(after.header.extensions) == 0


def test_the_fields_of_a_label_are_looked_at_too(tmp_path: Path) -> None:
    save(tmp_path / "raw/images/a.nii.gz", noise((6, 7, 8)))
    label = save(tmp_path / "raw/labels/a.nii.gz", cube((6, 7, 8)))
    image = nib.load(label)
    image.header["descrip"] = NAME
    (tmp_path / "raw/labels/a.nii.gz").write_bytes(gzip.compress(image.to_bytes()))
    said, findings = told(tmp_path / "raw")
    assert [Path(one["file"]).parent.name for one in findings] == ["labels"] and "Doe" not in said
