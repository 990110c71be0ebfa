"""BIDS data sets through `check` and `build`: contrasts, channels, sessions, runs, sites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bids_samples import SHAPE, described, grey, image, label, nifti, pipeline, simple, written
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.files import read_datalist, read_dataset

RUN = CliRunner(env={"COLUMNS": "400"})


def checked(root: Path, *words: str) -> dict[str, str]:
    """Code -> sentence of the first finding of `check`; notes are left out."""
    result = RUN.invoke(app, ["check", str(root), "--json", "-", *words])
    assert "Traceback" not in result.output and result.exit_code in (0, 3), result.output
    found: dict[str, str] = {}
    for finding in json.loads(result.stdout)["findings"]:
        if finding["level"] != "note":
            found.setdefault(finding["code"], f"{finding['file']}: {finding['message']}. {finding['remedy']}")
    return found


def built(root: Path, out: Path, *words: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """The data list by case id, the description, and what was printed."""
    result = RUN.invoke(app, ["build", str(root), "--output", str(out), *words])
    assert result.exit_code == 0, result.output + result.stderr
    lists = read_datalist(out)
    cases = {entry["case_id"]: entry for split in ("training", "validation", "testing") for entry in lists[split]}
    return cases, read_dataset(out), result.output


def refused(root: Path, out: Path, *words: str) -> str:
    """The error of `build`, which wrote nothing."""
    result = RUN.invoke(app, ["build", str(root), "--output", str(out), *words])
    assert result.exit_code in (2, 3) and not out.exists() and "Traceback" not in result.output + result.stderr
    return result.stderr


def test_subject_session_run_and_site(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for name in ("sub-A1_ses-1_acq-mprage_run-1", "sub-A1_ses-1_acq-mprage_run-2", "sub-A1_ses-2_acq-mprage", "sub-B_ses-1"):
        image(root, f"{name}_T1w", sum(map(ord, name)))
        label(folder, f"{name}_dseg", sum(map(ord, name)))
    written(root / "participants.tsv", "participant_id\tage\tsite\nsub-A1\t30\tNorth\nsub-B\t40\tn/a\n")
    assert checked(root) == {}
    cases, dataset, said = built(root, tmp_path / "out")
    assert {case_id: (entry["patient"], entry["site"]) for case_id, entry in cases.items()} == {
        "sub-A1_ses-1_run-1": ("sub-A1", "North"),
        "sub-A1_ses-1_run-2": ("sub-A1", "North"),
        "sub-A1_ses-2": ("sub-A1", "North"),
        "sub-B_ses-1": ("sub-B", "unknown"),
    }
    assert cases["sub-A1_ses-1_run-2"]["label"].endswith("sub-A1_ses-1_acq-mprage_run-2_dseg.nii.gz")
    assert dataset["modality"] == "MRI" and dataset["channels"] == ["T1w"]
    assert [entry["name"] for entry in dataset["labels"]] == ["background", "nucleus", "cortex"]
    assert "patients: 2 in 4 cases, by sub- of BIDS" in said and "labels: 4 in" in said


def test_a_given_site_comes_before_the_table(tmp_path: Path) -> None:
    written(simple(tmp_path / "ds") / "participants.tsv", "participant_id\tcentre\nsub-01\tNorth\n")
    cases, _, _ = built(tmp_path / "ds", tmp_path / "out", "--site", "South")
    assert {entry["site"] for entry in cases.values()} == {"South"}


def several(root: Path) -> Path:
    simple(root)
    for number in (1, 2, 3):
        image(root, f"sub-{number:02d}_FLAIR", number + 10)
        image(root, f"sub-{number:02d}_acq-fast_T1w", number + 20)
    return root


def test_several_contrasts_are_listed_and_none_is_guessed(tmp_path: Path) -> None:
    root = several(tmp_path / "ds")
    said = refused(root, tmp_path / "out")
    assert "several contrasts, and none was chosen; there are FLAIR (3 files), T1w (3 files), acq-fast_T1w (3 files)" in said
    assert 'Type: --bids-filter "suffix=FLAIR"; for two channels: --bids-filter "suffix=FLAIR+T1w"' in said
    assert checked(root)["D540"].startswith(f"{root}: several contrasts")


@pytest.mark.parametrize("text", ["suffix=T1w,acq=none", "suffix=T1w,acquisition=none", "acq=none,suffix=T1w,ses=none"])
def test_a_contrast_is_chosen_by_its_entities(tmp_path: Path, text: str) -> None:
    cases, _, _ = built(several(tmp_path / "ds"), tmp_path / "out", "--bids-filter", text)
    assert sorted(Path(entry["image"]).name for entry in cases.values()) == [f"sub-0{n}_T1w.nii.gz" for n in (1, 2, 3)]


def test_a_suffix_that_two_images_have_is_asked_about(tmp_path: Path) -> None:
    said = refused(several(tmp_path / "ds"), tmp_path / "out", "--bids-filter", "suffix=T1w")
    assert "sub-01 holds 2 images that fit: sub-01_T1w.nii.gz, sub-01_acq-fast_T1w.nii.gz" in said.replace(
        "sub-01_acq-fast_T1w.nii.gz, sub-01_T1w.nii.gz", "sub-01_T1w.nii.gz, sub-01_acq-fast_T1w.nii.gz"
    )
    assert 'Type: --bids-filter "suffix=T1w,acq=' in said


@pytest.mark.parametrize("text", ["suffix=T1w+FLAIR,acq=none", "suffix=T1w,acq=none;suffix=FLAIR", "suffix=T1w,FLAIR,acq=none"])
def test_several_contrasts_become_channels_in_the_order_asked_for(tmp_path: Path, text: str) -> None:
    cases, dataset, _ = built(several(tmp_path / "ds"), tmp_path / "out", "--bids-filter", text)
    assert dataset["channels"] == ["T1w", "FLAIR"]
    assert [Path(file).name for file in cases["sub-02"]["image"]] == ["sub-02_T1w.nii.gz", "sub-02_FLAIR.nii.gz"]


def test_channels_of_one_suffix_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    words = ["--bids-filter", "suffix=T1w,acq=none;suffix=T1w,acq=fast"]
    _, dataset, _ = built(several(tmp_path / "ds"), tmp_path / "out", *words)
    assert dataset["channels"] == ["T1w", "acq-fast_T1w"]


def test_channels_on_other_grids_are_refused_by_name(tmp_path: Path) -> None:
    root = several(tmp_path / "ds")
    nifti(root / "sub-02/anat/sub-02_FLAIR.nii.gz", grey(5, (6, 6, 6)))
    found = checked(root, "--bids-filter", "suffix=T1w+FLAIR,acq=none")
    assert "sub-02_FLAIR.nii.gz: shape (6, 6, 6); sub-02_T1w.nii.gz has (8, 9, 7)" in found["D401"]


def test_a_scan_without_one_of_the_contrasts(tmp_path: Path) -> None:
    root = several(tmp_path / "ds")
    (root / "sub-02/anat/sub-02_FLAIR.nii.gz").unlink()
    words = ["--bids-filter", "suffix=T1w+FLAIR,acq=none"]
    assert "no FLAIR beside sub-02_T1w.nii.gz" in checked(root, *words)["D547"]
    assert "D547 error" in refused(root, tmp_path / "out", *words)
    cases, _, _ = built(root, tmp_path / "out", *words, "--accept", "D547")
    assert set(cases) == {"sub-01", "sub-03"}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("suffix=T2w", "no image fits --bids-filter 'suffix=T2w'; there are T1w (3 files)"),
        ("sub=../..", "'sub=../..' is not key=value in letters and digits"),
        ("contrast=T1w", "'contrast' is not part of a BIDS name; expected one of sub, ses"),
        ("", "it is empty"),
        ("suffix=", "is not key=value"),
    ],
)
def test_a_filter_that_cannot_be_followed(tmp_path: Path, text: str, answer: str) -> None:
    assert answer in refused(simple(tmp_path / "ds"), tmp_path / "out", "--bids-filter", text)


def test_one_subject_is_chosen(tmp_path: Path) -> None:
    cases, _, said = built(simple(tmp_path / "ds"), tmp_path / "out", "--bids-filter", "sub=sub-02")
    assert set(cases) == {"sub-02"} and "sessions without" not in said


def test_runs_are_numbers(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for run in ("01", "02"):
        image(root, f"sub-1_run-{run}_T1w", int(run))
    label(folder, "sub-1_run-1_dseg")
    cases, _, _ = built(root, tmp_path / "out", "--bids-filter", "run=1")
    assert list(cases) == ["sub-1_run-01"] and "label" in cases["sub-1_run-01"]


def test_series_are_refused_by_name_and_left_alone_beside_images(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    image(root, "sub-01_task-rest_bold", kind="func", array=np.zeros((*SHAPE, 4), np.int16))
    image(root, "sub-01_dwi", kind="dwi", array=np.zeros((*SHAPE, 4), np.int16))
    assert checked(root) == {}
    said = refused(root, tmp_path / "out", "--bids-filter", "suffix=bold")
    assert "sub-01_task-rest_bold.nii.gz: bold is a series of volumes (4D), and 1 such files are asked for" in said
    assert 'there are T1w (3 files). Type: --bids-filter "suffix=T1w"' in said


def test_a_data_set_of_series_or_of_microscopy_alone(tmp_path: Path) -> None:
    func = described(tmp_path / "func")
    image(func, "sub-01_task-rest_bold", kind="func", array=np.zeros((*SHAPE, 4), np.int16))
    assert "holds bold (1 file): series of volumes (4D)" in checked(func)["D546"]
    micr = described(tmp_path / "micr")
    written(micr / "sub-01/micr/sub-01_sample-A_TEM.png", "")
    assert "the data set holds microscopy, which is not read" in checked(micr)["D546"]


def test_a_derivative_of_labels_alone_and_one_image_in_two_forms(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    assert "holds labels alone; give the data set that they belong to" in checked(root / "derivatives/manual")["D546"]
    nib.save(nib.load(root / "sub-01/anat/sub-01_T1w.nii.gz"), root / "sub-01/anat/sub-01_T1w.nii")
    assert "images that fit: sub-01_T1w.nii, sub-01_T1w.nii.gz; move one away" in checked(root)["D540"]


def test_a_four_dimensional_anatomy_is_refused_by_the_usual_check(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    image(root, "sub-02_T1w", array=np.zeros((*SHAPE, 4), np.int16) + np.arange(4, dtype=np.int16))
    assert any("sub-02_T1w.nii.gz" in said for said in checked(root).values())


def test_where_the_folder_is_one_off(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    assert f"part of the BIDS data set {root}: give that, with --bids-filter sub=02" in refused(
        root / "sub-02", tmp_path / "out"
    )
    (root / "dataset_description.json").unlink()
    assert "looks like BIDS without dataset_description.json. Type: --layout bids" in refused(root, tmp_path / "out")
    assert len(built(root, tmp_path / "out", "--layout", "bids")[0]) == 3


def test_a_filter_for_another_layout_is_refused(tmp_path: Path) -> None:
    nifti(tmp_path / "raw/images/a.nii.gz", grey(0))
    nifti(tmp_path / "raw/labels/a.nii.gz", np.ones(SHAPE, np.uint8))
    said = refused(tmp_path / "raw", tmp_path / "out", "--bids-filter", "suffix=T1w")
    assert "--bids-filter:" in said and "has the layout folders, not bids; leave the option out" in said


def test_ct_is_known_by_its_suffix(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    image(root, "sub-1_ct", kind="ct")
    label(folder, "sub-1_dseg")
    assert built(root, tmp_path / "out")[1]["modality"] == "CT"


def test_repair_keeps_the_tables_and_the_description(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    written(root / "participants.tsv", "participant_id\tsite\nsub-01\tNorth\n")
    path = root / "sub-01/anat/sub-01_T1w.nii.gz"
    image_ = nib.load(path)
    image_.header["qform_code"] = 0
    nib.save(nib.Nifti1Image(np.asarray(image_.dataobj), None, image_.header), tmp_path / "one.nii.gz")
    (tmp_path / "one.nii.gz").replace(path)
    result = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "copy")])
    assert result.exit_code == 0, result.output + result.stderr
    cases, dataset, _ = built(tmp_path / "copy", tmp_path / "out")
    assert cases["sub-01"]["site"] == "North" and dataset["labels"][1]["name"] == "nucleus"
