"""BIDS data sets from others: names, tables and links that are not what they should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bids_samples import image, label, simple, written
from test_bids_layout import built, checked, refused

from data_prep.bids.scans import scans_to_predict
from data_prep.pointers import pointer_sentence

OBJECT = "../../.git/annex/objects/0x/1y/MD5E-s12--00.nii.gz/MD5E-s12--00.nii.gz"


def test_links_of_git_annex_to_what_was_not_fetched(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    path = root / "sub-02/anat/sub-02_T1w.nii.gz"
    path.unlink()
    path.symlink_to(OBJECT)
    said = checked(root)["D541"]
    assert f"{path}: its content is not here: a link of git-annex to an object that was not fetched" in said
    assert f"datalad get {path}" in said
    assert "D541 error" in refused(root, tmp_path / "out")


def test_pointers_in_the_place_of_files(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    written(root / "derivatives/manual/sub-02/anat/sub-02_dseg.nii.gz", "/annex/objects/MD5E-s12--00.nii.gz\n")
    found = checked(root)
    assert "a pointer of git-annex in its place" in found["D541"] and "datalad get" in found["D541"]


def test_pointers_of_git_lfs(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    written(root / "sub-02/anat/sub-02_T1w.nii.gz", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    assert "a pointer of Git LFS in its place; git lfs pull fetches it" in checked(root)["D541"]


def test_links_to_what_is_there_are_read(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    path = root / "sub-02/anat/sub-02_T1w.nii.gz"
    store = tmp_path / "ds/.git/annex/objects/x.nii.gz"
    store.parent.mkdir(parents=True)
    path.rename(store)
    path.symlink_to(os.path.relpath(store, path.parent))
    assert checked(root) == {} and pointer_sentence(path) is None
    other = root / "sub-03/anat/sub-03_T1w.nii.gz"
    other.unlink()
    other.symlink_to("nowhere.nii.gz")
    assert "a link to a file that is not there" in checked(root)["D001"]


def test_folders_of_derivatives_that_were_not_fetched(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    (root / "derivatives/fmriprep").mkdir()
    said = checked(root)["D548"]
    assert f"{root}/derivatives/fmriprep: an empty folder" in said and "datalad get" in said


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sub-01_acq-a-b_T1w", "'acq-a-b' in its name is no key-value of letters and digits"),
        ("sub-01_sub-02_T1w", "its name gives sub twice"),
        ("sub-02_T1w", "its name says sub-02, its folder sub-01"),
        ("sub-01_ses-9_T1w", "its name says ses-9, its folder"),
        ("T1", "its name does not begin with sub-LABEL_"),
        ("sub-.._T1w", "'sub-..' in its name is no key-value"),
    ],
)
def test_names_that_bids_does_not_know(tmp_path: Path, name: str, answer: str) -> None:
    root = simple(tmp_path / "ds")
    if "ses-9" in name:
        root.joinpath("sub-01/ses-8/anat").mkdir(parents=True)
    folder = root / ("sub-01/ses-8/anat" if "ses-9" in name else "sub-01/anat")
    (folder / f"{name}.nii.gz").write_bytes((root / "sub-01/anat/sub-01_T1w.nii.gz").read_bytes())
    assert answer in checked(root)["D542"]
    assert set(built(root, tmp_path / "out", "--accept", "D542")[0]) == {"sub-01", "sub-02", "sub-03"}


def test_a_subject_called_dot_dot_never_becomes_a_path(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    for name in ("sub-..", "sub-01 x", "sub-0\u202e1"):
        image(root, "sub-01_T1w").with_name("x")
        folder = root / name / "anat"
        folder.mkdir(parents=True)
        (folder / f"{name}_T1w.nii.gz").write_bytes((root / "sub-01/anat/sub-01_T1w.nii.gz").read_bytes())
    assert "is no key-value" in checked(root)["D542"]
    places = [scan.place for scan in scans_to_predict(root, ["image"])]
    assert places == [f"sub-0{n}/anat/sub-0{n}" for n in (1, 2, 3)]


def test_a_link_to_the_folder_above_is_no_loop(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    (root / "sub-01/loop").symlink_to("..")
    (root / "sub-01/ses-x").symlink_to("..")
    (root / "derivatives/again").symlink_to("..")
    assert len(scans_to_predict(root, ["image"])) == 3


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("participant_id\tsite\nsub-01\nsub-02\tNorth\n", "line 2 has 1 cells, expected 2"),
        ("participant_id\tsite\nsub-../..\tSouth\nsub-02\tNorth\n", "line 2: participant_id 'sub-../..'; expected sub-"),
        ("participant_id\tsite\nsub-02\tNorth\nsub-03\tA\nsub-03\tB\n", "line 4: sub-03 is of site 'B', and of 'A' before"),
    ],
)
def test_rows_of_participants_that_are_broken(tmp_path: Path, text: str, answer: str) -> None:
    root = simple(tmp_path / "ds")
    written(root / "participants.tsv", text)
    assert answer in checked(root)["D545"]
    cases, _, _ = built(root, tmp_path / "out")
    assert [cases[f"sub-0{n}"]["site"] for n in (1, 2, 3)] == ["unknown", "North", "unknown"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"id,site\nsub-01,A\n"])
def test_a_table_of_participants_that_is_none(tmp_path: Path, content: bytes) -> None:
    root = simple(tmp_path / "ds")
    (root / "participants.tsv").write_bytes(content)
    assert "participants.tsv" in checked(root)["D545"]


def test_subjects_that_were_not_fetched(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    (root / "sub-04").mkdir()
    (root / "sub-05").symlink_to("/nowhere/sub-05")
    found = checked(root)
    assert f"{root}/sub-04: an empty folder" in found["D548"]
    assert f"{root}/sub-05: a link to a folder that is not there" in found["D542"]


def test_tables_that_are_no_files_or_were_not_fetched(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    os.mkfifo(root / "participants.tsv")
    assert "it is a folder or a special file; expected a table" in checked(root)["D545"]
    table = root / "derivatives/manual/dseg.tsv"
    table.unlink()
    table.symlink_to("../../.git/annex/objects/aa/bb/MD5E-s1--0.tsv/MD5E-s1--0.tsv")
    assert f"type: datalad get {table}" in checked(root)["D544"]


def test_huge_descriptions_and_sidecars_are_not_read(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    for name in ("dataset_description.json", "sub-01/anat/sub-01_T1w.json", "participants.tsv"):
        with (root / name).open("wb") as file:
            file.truncate(3 * 2**30)  # sparse
    assert "it holds 3072 MiB; a table of at most 64 MiB is read" in checked(root)["D545"]
    assert len(built(root, tmp_path / "out")[0]) == 3


def test_a_data_set_without_any_label(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    for path in (root / "derivatives").rglob("*.nii.gz"):
        path.unlink()
    assert "D403" in checked(root)
    result = checked(root, "--allow-unlabelled")
    assert "D403" not in result
    label(root / "derivatives/manual", "sub-01_dseg")
    assert "D403" not in checked(root, "--bids-filter", "sub=01")
