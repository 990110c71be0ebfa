"""Findings of one kind are told in one line, in the same order by all commands, with commands that can be pasted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.build import build, refusal
from data_prep.check import check
from data_prep.checks import REGISTRY, Finding
from data_prep.cli import app
from data_prep.errors import DataError
from data_prep.grouped import line_of, named, ordered


def found(code: str, level: str, name: str, remedy: str = "Mend it") -> Finding:
    return Finding(code, level, name, f"raw/images/{name}.nii.gz", "4D", remedy)


def test_errors_come_first_then_codes_then_the_order_of_the_cases() -> None:
    mixed = [
        found("D415", "warning", "a"),
        found("D112", "note", "b"),
        found("D201", "error", "c"),
        found("D201", "error", "a"),
    ]
    assert [(one.code, one.case) for one in ordered(mixed, "abc")] == [
        ("D201", "a"),
        ("D201", "c"),
        ("D415", "a"),
        ("D112", "b"),
    ]
    assert [one.case for one in ordered(mixed)][:2] == ["c", "a"], "without cases as they come"


def test_files_of_equal_names_are_told_by_their_folders() -> None:
    members = [Finding("D403", "error", f"p{i}", f"raw/p{i}/t1.nii.gz", "no label", "Add it") for i in range(3)]
    assert "Alike are 2 more: p1/t1.nii.gz, p2/t1.nii.gz. Add it" in line_of(members)


def test_many_files_of_one_kind_are_one_line_with_one_remedy(tmp_path: Path) -> None:
    recipe = "Add it, or type: monai-hybrid build FOLDER --output OUT --allow-unlabelled"
    errors = [found("D109", "error", f"c{i:02d}", recipe) for i in range(12)] + [found("D201", "error", "c00")]
    (tmp_path / "my raw").mkdir()
    lines = refusal(tmp_path / "my raw", errors).splitlines()
    assert lines[0].endswith("errors in the data: 13; nothing was written.") and len(lines) == 4
    names = ", ".join(f"c{i:02d}.nii.gz" for i in range(1, 6))
    told = (
        f"  D109 error: raw/images/c00.nii.gz: 4D. Alike are 11 more: {names} and 6 more. Add it, or type: monai-hybrid build "
    )
    assert lines[1] == f"{told}'{tmp_path / 'my raw'}' --output 'my raw_prepared' --allow-unlabelled"
    assert lines[2] == "  D201 error: raw/images/c00.nii.gz: 4D. Mend it"
    assert line_of(errors[:1]) == errors[0].line and named(recipe, None) == recipe


def test_no_remedy_holds_dots_in_the_place_of_words() -> None:
    dotted = {code: entry.remedy for code, entry in REGISTRY.items() if "..." in entry.remedy}
    assert not dotted, "what is pasted would take them for words"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Six volumes: 255 in one half of the masks and 1 in the other, one voxel size unlike the others, two without a qform."""
    for part in ("images", "labels"):
        (tmp_path / "raw" / part).mkdir(parents=True)
    for i in range(6):
        image = np.random.default_rng(i).integers(0, 900, (14, 14, 12)).astype(np.int16)
        label = np.zeros(image.shape, np.uint8)
        label[3 : 8 + i % 3, 3:9, 3:9] = (1, 255)[i % 2]
        affine = np.diag([3.0, 3, 6, 1] if i == 2 else [1.0, 1, 2, 1])
        for part, array in (("images", image), ("labels", label)):
            volume = nib.Nifti1Image(array, affine)
            volume.set_sform(affine, 1)
            volume.set_qform(affine, 0 if i in (0, 4) else 1)
            nib.save(volume, tmp_path / "raw" / part / f"c{i}.nii.gz")
    return tmp_path / "raw"


def test_check_and_build_say_the_same_in_the_same_order_and_the_repair_comes_next(raw: Path, tmp_path: Path) -> None:
    seen = [(one.code, one.file) for one in check(raw)]
    assert [(one.code, one.file) for one in build(raw, tmp_path / "out").findings] == seen
    assert list(dict.fromkeys(code for code, _ in seen)) == ["D323", "D415", "D112"]
    merge = f'Next, if those masks show one structure: monai-hybrid repair {raw} --output raw_repaired --map "255=1"'
    checked = CliRunner().invoke(app, ["check", str(raw)], env={"COLUMNS": "400"})
    assert checked.output.splitlines()[-1] == merge
    built = CliRunner().invoke(app, ["build", str(raw), "--output", str(tmp_path / "out")], env={"COLUMNS": "400"})
    assert merge in built.output.splitlines()
    named_them = CliRunner().invoke(app, ["check", str(raw), "--label-names", "1=organ,255=tumour"], env={"COLUMNS": "400"})
    assert named_them.output.splitlines()[-1].startswith("Next: monai-hybrid build ")


def test_a_notebook_shows_a_line_for_each_kind(tmp_path: Path) -> None:
    for name in ("p1", "p2", "p3"):
        for folder, high in (("images", 900), ("labels", 2)):
            (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(len(name + folder) + ord(name[1])).integers(0, high, (8, 9, 10)).astype(np.int16)
            image = nib.Nifti1Image(values, np.diag([1, 1, 2, 1]))
            image.set_qform(None, 0)
            nib.save(image, tmp_path / "raw" / folder / f"{name}.nii.gz")
    findings = check(tmp_path / "raw")
    (line,) = repr(findings).splitlines()
    assert len(findings) == 6 and findings == list(findings)
    assert (
        line.startswith("D112 note: ") and "Alike are 5 more: " in line and f"monai-hybrid repair {tmp_path / 'raw'} " in line
    )
    told = repr(build(tmp_path / "raw", tmp_path / "out")).splitlines()
    assert told[0].startswith("D112 note: ") and told[-1].startswith("note: patients: 3 in 3 cases")
    assert repr(type(findings)()) == "no findings"


def test_check_and_build_name_the_same_cases_as_scans_of_one_patient(tmp_path: Path) -> None:
    """Of pictures `build` goes through the cases by split."""
    for number in range(1, 5):
        for letter in ("dr", "g", "h"):
            for folder, high in (("images", 255), ("labels", 2)):
                (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
                values = np.random.default_rng([number, ord(letter[0]), high]).integers(0, high, (16, 16)).astype(np.uint8)
                Image.fromarray(values).save(tmp_path / "raw" / folder / f"{number:02d}_{letter}.png")
    checked = [one.message for one in check(tmp_path / "raw") if one.code == "D414"]
    built = [one.message for one in build(tmp_path / "raw", tmp_path / "out").findings if one.code == "D414"]
    assert checked == built and checked[0].startswith("12 cases such as 01_dr, 01_g, 01_h may be")


def test_lines_to_type_repeat_the_options_that_were_given(raw: Path, tmp_path: Path) -> None:
    """A refused build, typed anew from its own message, has the names, the splits and the spacing of the first one."""
    for i in (1, 3, 5):
        (raw / f"labels/c{i}.nii.gz").unlink()
    (tmp_path / "splits.json").write_text(
        json.dumps({"train": [f"c{i}.nii.gz" for i in (0, 1, 2, 3, 5)], "test": ["c4.nii.gz"]})
    )
    given = {"label_names": "1=big tumour", "spacing": "2,2,2", "splits": tmp_path / "splits.json", "accept": "D205", "jobs": 2}
    with pytest.raises(DataError) as refused:
        build(raw, tmp_path / "out", **given)
    line = next(line for line in str(refused.value).splitlines() if "D403" in line).split("or type: ")[1]
    words = shlex.split(line)
    assert words[:3] == ["monai-hybrid", "build", str(raw)] and words[-1] == "--allow-unlabelled"
    assert words[-3:-1] == ["--output", str(tmp_path / "out")]
    for name in ("label_names", "spacing", "splits", "accept", "jobs"):
        place = words.index(f"--{name.replace('_', '-')}")
        assert words[place + 1] == str(given[name])


def test_what_a_remedy_names_itself_is_not_said_twice_and_codes_are_joined(tmp_path: Path) -> None:
    remedy = 'Type: monai-hybrid build FOLDER --output OUT --accept D025 --label-names "1=a"'
    options = {"label_names": "1=b", "accept": "D011", "grey": True, "folds": 5, "layout": "auto", "site": None}
    line = named(remedy, tmp_path, options).split("build ")[1]
    assert shlex.split(line)[1] == "--grey" and line.endswith('--accept D011,D025 --label-names "1=a"')
    assert "1=b" not in line and "--folds" not in line and "--layout" not in line
    assert "--grey" not in named("Type: monai-hybrid repair FOLDER --output OUT", tmp_path, options)
