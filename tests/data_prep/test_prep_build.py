"""build: what it writes, what it leaves alone, what it refuses."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import PSR, cube, noise, read_json, save, write_json

from data_prep.build import build
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist, read_dataset, read_plan


def _digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_writes_three_files_and_touches_nothing_else(nifti_set, tmp_path):
    root = nifti_set()
    before = _digests(root)
    build(root, tmp_path / "out")
    assert _digests(root) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["datalist.json", "dataset.json", "plan.json"]


def test_same_seed_writes_the_same_bytes(nifti_set, tmp_path):
    root = nifti_set(names=[f"p{index}" for index in range(8)])
    build(root, tmp_path / "one")
    build(root, tmp_path / "two")
    for name in ("datalist", "dataset", "plan"):
        assert (tmp_path / "one" / f"{name}.json").read_bytes() == (tmp_path / "two" / f"{name}.json").read_bytes()


def test_paths_are_relative_below_out_and_absolute_elsewhere(nifti_set, tmp_path):
    root = nifti_set()
    build(root, root)
    build(root, tmp_path / "out")
    assert read_json(root / "datalist.json")["training"][0]["image"].startswith("images/")
    assert Path(read_json(tmp_path / "out" / "datalist.json")["training"][0]["image"]).is_absolute()
    assert read_datalist(root)["training"] == read_datalist(tmp_path / "out")["training"]


def test_monai_reads_the_list(nifti_set):
    monai_data = pytest.importorskip("monai.data", reason="MONAI is not installed")
    root = nifti_set()
    build(root, root, site="A")
    entry = monai_data.load_decathlon_datalist(str(root / "datalist.json"), True, "training")[0]
    assert Path(entry["image"]).is_file() and Path(entry["label"]).is_file()
    assert entry["site"] == "A" and entry["fold"] == 0
    assert not [key for key in entry if key.startswith(("image_", "label_"))]


def test_psr_axes_are_reordered_before_medians(tmp_path):
    for name in "abc":
        save(tmp_path / "raw/images" / f"{name}.nii.gz", noise((10, 20, 30), ord(name)), PSR)
        save(tmp_path / "raw/labels" / f"{name}.nii.gz", cube((10, 20, 30)), PSR)
    build(tmp_path / "raw", tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert dataset["fingerprint"]["orientations"] == {"PSR": 3}
    assert dataset["fingerprint"]["shape"]["median"] == [30, 10, 20]
    assert dataset["fingerprint"]["spacing"]["median"] == [3, 1, 2]
    assert dataset["cases"][0]["shape"] == [10, 20, 30] and dataset["cases"][0]["spacing"] == [1, 2, 3]


def test_ras_axes_stay(nifti_set, tmp_path):
    build(nifti_set(shape=(10, 11, 12)), tmp_path / "out")
    assert read_dataset(tmp_path / "out")["fingerprint"]["shape"]["median"] == [10, 11, 12]


def test_mask_of_0_and_255_becomes_class_1(png_set, tmp_path):
    build(png_set(size=(20, 12)), tmp_path / "out", label_names="255=lung")
    dataset = read_dataset(tmp_path / "out")
    assert dataset["labels"] == [
        {"index": 0, "value": 0, "name": "background"},
        {"index": 1, "value": 255, "name": "lung"},
    ]
    assert dataset["spatial_dims"] == 2 and dataset["fingerprint"]["spacing_known"] is False
    assert dataset["fingerprint"]["shape"]["median"] == [20, 12]  # width first
    assert dataset["fingerprint"]["foreground_volume_unit"] == "pixels"
    assert read_plan(tmp_path / "out")["orientation"] is None


def test_values_with_gaps_become_contiguous(nifti_set, tmp_path):
    build(nifti_set(values=(3, 7)), tmp_path / "out")
    labels = read_dataset(tmp_path / "out")["labels"]
    assert [(entry["index"], entry["value"], entry["name"]) for entry in labels] == [
        (0, 0, "background"),
        (1, 3, "label_3"),
        (2, 7, "label_7"),
    ]


def test_undeclared_value_is_refused_and_nothing_written(nifti_set, tmp_path):
    root = nifti_set(values=(1, 2))
    with pytest.raises(DataError, match=r"D304 error: .*b\.nii\.gz: values 2 are not declared; declared are 0, 1"):
        build(root, tmp_path / "out", label_names="1=LV")
    assert not (tmp_path / "out").exists()
    build(root, tmp_path / "out", label_names="1=LV,2=RV")


def test_names_come_from_labels_json(nifti_set, tmp_path):
    root = nifti_set()
    write_json(root / "labels.json", {"0": "background", "1": "hippocampus"})
    build(root, tmp_path / "out")
    assert read_dataset(tmp_path / "out")["labels"][1]["name"] == "hippocampus"


def test_a_label_folder_beside_the_data_set_is_proposed_by_its_whole_path(nifti_set, tmp_path, monkeypatch):
    """A name is looked for in the data set; what a check has written lies where the user was."""
    root = nifti_set()
    (tmp_path / "wo ich bin").mkdir()
    monkeypatch.chdir(tmp_path / "wo ich bin")
    (root / "labels").rename("NEW")
    (root / "other").mkdir()
    with pytest.raises(ConfigError) as refused:
        build(root, tmp_path / "out", labels_dir="NEW")
    typed = shlex.split(str(refused.value).split("Type: --labels-dir ")[1])[0]
    build(root, tmp_path / "out", labels_dir=typed)
    assert (tmp_path / "out/datalist.json").is_file()
    (tmp_path / "wo ich bin/labels").mkdir()  # of another data set: nobody has named it
    with pytest.raises(ConfigError, match="Type: --labels-dir NAME"):
        build(root, tmp_path / "second")


def test_other_label_folder(nifti_set, tmp_path):
    root = nifti_set()
    (root / "labels").rename(root / "labels_whole")
    assert "images lie in images/, masks in labels_whole/" in build(root, tmp_path / "out").notes
    (root / "labels_whole").rename(root / "drawn")
    with pytest.raises(ConfigError, match=r"no such label folder; .* holds drawn, images"):
        build(root, tmp_path / "second")
    (root / "drawn").rename(root / "labels_whole")
    build(root, tmp_path / "second", labels_dir="labels_whole")
    shutil.rmtree(root / "labels_whole")
    with pytest.raises(DataError, match=r"no such label folder; .* holds images alone\. Put a mask .*predict .*images --help"):
        build(root, tmp_path / "other")


def test_image_without_label(nifti_set, tmp_path):
    root = nifti_set(names=["a", "b", "c", "d"])
    (root / "labels" / "b.nii.gz").unlink()
    with pytest.raises(DataError, match=r"D403 error: .*b\.nii\.gz: this image has no label"):
        build(root, tmp_path / "out")
    build(root, tmp_path / "out", allow_unlabelled=True)
    training = {entry["case_id"]: entry for entry in read_datalist(tmp_path / "out")["training"]}
    assert "label" not in training["b"]


def test_volumes_are_in_ml(tmp_path):
    for name in "abc":
        save(tmp_path / "raw/images" / f"{name}.nii.gz", noise((6, 7, 8), ord(name)), np.diag([5.0, 5, 5, 1]))
        save(tmp_path / "raw/labels" / f"{name}.nii.gz", cube((6, 7, 8)), np.diag([5.0, 5, 5, 1]))
    build(tmp_path / "raw", tmp_path / "out")
    facts = read_dataset(tmp_path / "out")["fingerprint"]
    assert facts["foreground_volume"]["label_1"]["median"] == pytest.approx(8 * 125 / 1000)
    assert facts["foreground_volume_unit"] == "ml" and facts["label_cases"] == {"label_1": 3}


def test_raw_dataset_json_is_never_overwritten(nifti_set):
    root = nifti_set()
    write_json(root / "dataset.json", {"training": [], "labels": {"0": "background", "1": "a"}})
    with pytest.raises(ConfigError, match="belongs to a raw data set and is kept"):
        build(root, root, layout="folders")
    build(root, root / "prepared", layout="folders")


def test_ct_gets_a_window_and_a_hint(tmp_path):
    for name in "abc":
        image = noise((8, 8, 8), ord(name)) - 1024
        save(tmp_path / "raw/images" / f"{name}.nii.gz", image)
        save(tmp_path / "raw/labels" / f"{name}.nii.gz", cube((8, 8, 8)))
    report = build(tmp_path / "raw", tmp_path / "out")
    assert "add --modality CT" in report.notes[0]
    assert not any("modality" in note for note in build(tmp_path / "raw", tmp_path / "out", modality="CT").notes)
    assert read_plan(tmp_path / "out")["normalization"]["method"] == "window"


def test_unknown_option(nifti_set, tmp_path):
    with pytest.raises(ConfigError, match="unknown option 'labels_folder'"):
        build(nifti_set(), tmp_path / "out", labels_folder="x")


def test_n4_writes_copies_and_says_so(tmp_path):
    pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    ramp = np.linspace(0.5, 1.5, 16)[:, None, None]
    for name in "abc":
        head = 10 + noise((16, 16, 16), ord(name)) / 10
        head[4:12, 4:12, 4:12] += 300
        save(tmp_path / "raw/images" / f"{name}.nii.gz", (head * ramp).astype(np.float32))
        save(tmp_path / "raw/labels" / f"{name}.nii.gz", cube((16, 16, 16)))
    before = _digests(tmp_path / "raw")
    report = build(tmp_path / "raw", tmp_path / "out", n4=True)
    assert _digests(tmp_path / "raw") == before
    assert "wrote 3 images, corrected for the bias field" in report.notes[0]
    assert read_json(tmp_path / "out" / "datalist.json")["training"][0]["image"].startswith("n4/")


def test_a_label_of_three_equal_colours_is_one_value(png_set, tmp_path):
    root = png_set()
    Image.open(root / "labels" / "a.png").convert("RGB").save(root / "labels" / "a.png")
    build(root, tmp_path / "out")
    assert [label["value"] for label in read_json(tmp_path / "out/dataset.json")["labels"]] == [0, 255]
