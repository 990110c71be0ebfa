"""Labels of BIDS derivatives: chosen by the user where there are several; their names by the inheritance principle."""

from __future__ import annotations

from pathlib import Path

import pytest
from bids_samples import described, image, label, pipeline, simple, written
from test_bids_layout import built, checked, refused

TABLE = "index\tname\tcolor\n0\tbackground\t#000000\n1\tnucleus\t#ff0000\n2\tcortex\t#00ff00\n"


def test_two_raters(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    folder = root / "derivatives/manual"
    for number in (1, 2, 3):
        (folder / f"sub-0{number}/anat/sub-0{number}_dseg.nii.gz").unlink()
        for rater in ("r1", "r2"):
            label(folder, f"sub-0{number}_desc-{rater}_dseg", number)
    said = refused(root, tmp_path / "out")
    assert "labels of several kinds, and none was chosen; there are manual: desc-r1_dseg (3 of 3 scans)" in said
    assert 'manual: desc-r2_dseg (3 of 3 scans). Type: --bids-labels "desc=r1"' in said
    assert "D543" in checked(root)
    cases, _, _ = built(root, tmp_path / "out", "--bids-labels", "desc=r2")
    assert all("_desc-r2_dseg" in entry["label"] for entry in cases.values())


def test_two_pipelines(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    other = pipeline(root, "auto")
    label(other, "sub-01_dseg")
    said = refused(root, tmp_path / "out")
    assert "there are manual: dseg (3 of 3 scans); auto: dseg (1 of 3 scans). Type: --labels-dir manual" in said
    for name in ("manual", "derivatives/manual", str(root / "derivatives/manual")):
        assert all(
            "/manual/" in entry["label"] for entry in built(root, tmp_path / name[-3:], "--labels-dir", name)[0].values()
        )
    assert "no folder with sub-* of that name" in refused(root, tmp_path / "out", "--labels-dir", "nobody")


def test_raters_who_shared_the_work_are_taken_together_when_both_are_named(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for number in (1, 2):
        image(root, f"sub-{number}_T1w", number)
        label(folder, f"sub-{number}_desc-r{number}_dseg", number)
    assert "labels of several kinds" in refused(root, tmp_path / "out")
    cases, _, _ = built(root, tmp_path / "out", "--bids-labels", "desc=r1+r2")
    assert all("label" in entry for entry in cases.values())


def test_labels_outside_the_data_set(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    (root / "derivatives/manual").rename(tmp_path / "elsewhere")
    cases, dataset, _ = built(root, tmp_path / "out", "--labels-dir", str(tmp_path / "elsewhere"))
    assert all("/elsewhere/" in entry["label"] for entry in cases.values()) and dataset["labels"][2]["name"] == "cortex"


@pytest.mark.parametrize(
    ("name", "structure"), [("desc-lesion_mask", "lesion"), ("label-liver_mask", "liver"), ("desc-rater1_mask", "label_1")]
)
def test_masks_are_named_by_their_structure_and_never_by_a_person(tmp_path: Path, name: str, structure: str) -> None:
    root = described(tmp_path / "ds")
    for number in (1, 2):
        image(root, f"sub-{number}_T1w", number)
        label(root / "derivatives/m", f"sub-{number}_{name}", number, values=(1,))
    assert built(root, tmp_path / "out")[1]["labels"][1]["name"] == structure


def test_masks_of_several_structures_are_not_joined(tmp_path: Path) -> None:
    root = described(tmp_path / "ds")
    image(root, "sub-1_T1w")
    for structure in ("liver", "spleen"):
        label(root / "derivatives/m", f"sub-1_label-{structure}_mask", values=(1,))
    said = refused(root, tmp_path / "out")
    assert 'Type: --bids-labels "label=liver"; masks of one structure each are not joined here' in said


def test_the_nearest_table_holds(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds", 1)
    folder = root / "derivatives/manual"
    written(folder / "sub-01/anat/sub-01_dseg.tsv", TABLE.replace("cortex", "shell"))
    assert built(root, tmp_path / "out")[1]["labels"][2]["name"] == "shell"


def test_a_table_for_other_labels_does_not_hold(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    written(root / "derivatives/manual/desc-aseg_dseg.tsv", TABLE.replace("cortex", "other"))
    assert built(root, tmp_path / "out")[1]["labels"][2]["name"] == "cortex"


def test_two_tables_of_one_folder_that_both_hold(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    image(root, "sub-1_acq-a_T1w")
    label(folder, "sub-1_acq-a_dseg")
    written(folder / "acq-a_dseg.tsv", TABLE)
    assert "acq-a_dseg.tsv and dseg.tsv both name the values" in checked(root)["D544"]


def test_tables_that_disagree(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds", 2)
    written(root / "derivatives/manual/sub-02/sub-02_dseg.tsv", TABLE.replace("cortex", "shell"))
    assert "value 2 is 'shell', and 'cortex' in" in checked(root)["D544"]


def test_a_table_of_an_atlas_makes_classes_of_what_occurs(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    rows = "".join(f"{value}\tstructure {value}\n" for value in range(3, 1200))
    written(
        root / "derivatives/manual/dseg.tsv",
        TABLE.replace("\tcolor", "").replace("\t#000000", "").replace("\t#ff0000", "").replace("\t#00ff00", "") + rows,
    )
    assert checked(root) == {}
    assert [entry["name"] for entry in built(root, tmp_path / "out")[1]["labels"]] == ["background", "nucleus", "cortex"]


def test_a_value_that_no_table_names(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    label(root / "derivatives/manual", "sub-02_dseg", values=(1, 7))
    assert "values 7 are not declared" in checked(root)["D304"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("index\tname\n1\n", "line 2 has 1 cells, expected 2, separated by tabs"),
        ("index\tname\none\tnucleus\n", "line 2: index 'one'; expected a whole number from 0"),
        ("index\tname\n-1\tnucleus\n", "line 2: index '-1'"),
        ("index\tname\n1\tn/a\n", "line 2: value 1 has no name"),
        ("index\tname\n1\ta\n1\tb\n", "value 1 is given twice"),
        ("index\tname\n1\ta\n2\tA\n", "have the same name"),
        ("index name\n1 a\n", "its columns are index name; expected index and name"),
        ("", "line 1 names no column"),
        ("index\tname\n1\t\x1b[31mred\n", "value 1, name '\\x1b[31mred'; expected at most 200 printable characters"),
        ("index\tname\n1\ta\0b\n", "value 1, name 'a\\x00b'; expected at most"),
        ("index\tname\n1\t\u202eab\n", "value 1, name '\\u202eab'; expected at most"),
        (f"index\tname\n1\t{'x' * 201}\n", "xxx'...; expected at most 200 printable characters"),
        ("index\tindex\tname\n1\t2\ta\n", "the column index appears twice; expected it once"),
        ("index\tname\nNaN\ta\n", "line 2: index 'NaN'; expected a whole number from 0"),
        ("index\tname\n99999999999\ta\n", "line 2: index '99999999999'"),
        ("index\tname\n" + "1\ta\n" * 100_001, "it holds 100001 rows; expected at most 100000, one a value"),
    ],
)
def test_broken_tables_of_names(tmp_path: Path, text: str, answer: str) -> None:
    root = simple(tmp_path / "ds")
    written(root / "derivatives/manual/dseg.tsv", text)
    said = checked(root)["D544"]
    assert answer in said and said.startswith(f"{root}/derivatives/manual/dseg.tsv: "), said


def test_a_table_with_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    (root / "derivatives/manual/dseg.tsv").write_bytes(b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode())
    assert checked(root) == {}


def test_one_label_for_two_runs(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for run in (1, 2):
        image(root, f"sub-1_run-{run}_T1w", run)
    label(folder, "sub-1_dseg")
    said = checked(root)["D549"]
    assert "one label for 2 scans: sub-1_run-1, sub-1_run-2" in said and "--bids-filter run=1" in said
    assert len(built(root, tmp_path / "out", "--bids-filter", "run=2")[0]) == 1


def test_a_label_of_another_acquisition_or_space_is_not_taken(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for number in (1, 2):
        image(root, f"sub-{number}_acq-a_T1w", number)
        label(folder, f"sub-{number}_acq-a_dseg", number)
        label(folder, f"sub-{number}_acq-b_dseg", number)
        label(folder, f"sub-{number}_space-MNI152_dseg", number)
    cases, _, _ = built(root, tmp_path / "out")
    assert all(entry["label"].endswith("_acq-a_dseg.nii.gz") for entry in cases.values())


def test_a_label_in_the_image_s_own_space_is_taken(tmp_path: Path) -> None:
    root, folder = described(tmp_path / "ds"), pipeline(tmp_path / "ds")
    for number, space in ((1, "orig"), (2, "orig")):
        image(root, f"sub-{number}_T1w", number)
        label(folder, f"sub-{number}_space-{space}_dseg", number)
    assert all("label" in entry for entry in built(root, tmp_path / "out")[0].values())


def test_images_and_labels_in_one_derivative(tmp_path: Path) -> None:
    root = described(tmp_path / "ds", DatasetType="derivative", GeneratedBy=[{"Name": "prep"}])
    written(root / "dseg.tsv", TABLE)
    for number in (1, 2):
        image(root, f"sub-{number}_space-MNI_desc-preproc_T1w", number)
        label(root, f"sub-{number}_space-MNI_dseg", number)
    assert all("label" in entry for entry in built(root, tmp_path / "out")[0].values())


def test_labels_named_after_the_contrast_they_were_drawn_on(tmp_path: Path) -> None:
    root = described(tmp_path / "ds")
    for number in (1, 2):
        image(root, f"sub-{number}_T1w", number)
        image(root, f"sub-{number}_T2w", number + 5)
        for contrast in ("T1w", "T2w"):
            label(root / "derivatives/labels", f"sub-{number}_{contrast}_label-cord_seg", number, values=(1,))
    cases, dataset, _ = built(root, tmp_path / "out", "--bids-filter", "suffix=T2w")
    assert all("_T2w_label-cord_seg" in entry["label"] for entry in cases.values()) and dataset["labels"][1]["name"] == "cord"


def test_a_label_without_an_image_and_an_image_without_a_label(tmp_path: Path) -> None:
    root = simple(tmp_path / "ds")
    label(root / "derivatives/manual", "sub-09_dseg", 9)
    image(root, "sub-04_T1w", 4)
    found = checked(root)
    assert "sub-09_dseg.nii.gz: this label has no image" in found["D404"] and "sub-04_T1w.nii.gz" in found["D403"]
    assert "D404" not in checked(simple(tmp_path / "two"), "--bids-filter", "sub=01")
