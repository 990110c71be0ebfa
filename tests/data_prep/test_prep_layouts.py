"""Readers of layouts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from prep_samples import RAS, cube, noise, save, write_json

from data_prep.build import build
from data_prep.errors import ConfigError, DataError, EnvironmentFault
from data_prep.files import read_datalist, read_dataset
from data_prep.layouts import detect, read_source
from data_prep.reading import read_volume

SHAPE = (6, 7, 8)


def msd(root: Path, channels: int = 1) -> Path:
    """A Decathlon data set of three cases."""
    shape = SHAPE if channels == 1 else (*SHAPE, channels)
    for index, name in enumerate("abc"):
        save(root / "imagesTr" / f"{name}.nii.gz", noise(shape, index))
        save(root / "labelsTr" / f"{name}.nii.gz", cube(SHAPE))
    content = {
        "name": "Hippo",
        "modality": {str(index): "MRI" for index in range(channels)},
        "labels": {"0": "background", "1": "Anterior"},
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in "abc"],
        "test": ["./imagesTs/d.nii.gz"],
    }
    write_json(root / "dataset.json", content)
    return root


def nnunet(root: Path, **changes: object) -> Path:
    """An nnU-Net data set of three cases with two channels, one labelled and one unlabelled test case."""
    for index, name in enumerate("abc"):
        for channel in range(2):
            save(root / "imagesTr" / f"{name}_{channel:04d}.nii.gz", noise(SHAPE, 2 * index + channel))
        save(root / "labelsTr" / f"{name}.nii.gz", cube(SHAPE))
    for index, name in enumerate("de"):
        for channel in range(2):
            save(root / "imagesTs" / f"{name}_{channel:04d}.nii.gz", noise(SHAPE, 10 + 2 * index + channel))
    save(root / "labelsTs" / "d.nii.gz", cube(SHAPE))
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "tumour": 1}, "numTraining": 3}
    write_json(root / "dataset.json", content | changes)
    return root


def test_msd(tmp_path):
    assert detect(msd(tmp_path / "raw")) == "msd"
    report = build(tmp_path / "raw", tmp_path / "out")
    dataset = read_dataset(tmp_path / "out")
    assert dataset["name"] == "Hippo" and dataset["modality"] == "MRI"
    assert dataset["labels"][1] == {"index": 1, "value": 1, "name": "Anterior"}
    assert report.notes[0] == "test images without labels, left out: 1" and "none is held out" in report.notes[1]


def test_msd_with_channels_in_one_file(tmp_path):
    build(msd(tmp_path / "raw", channels=2), tmp_path / "out")
    assert len(read_dataset(tmp_path / "out")["fingerprint"]["intensity"]) == 2


def test_msd_without_training(tmp_path):
    write_json(tmp_path / "dataset.json", {"labels": {"1": "a"}})
    with pytest.raises(DataError, match=r"\$\.training: expected a list of cases"):
        read_source(tmp_path)


def test_msd_with_damaged_entry(tmp_path):
    write_json(tmp_path / "dataset.json", {"labels": {"1": "a"}, "training": [{"label": "x"}]})
    with pytest.raises(DataError, match=r"\$\.training\[0\]: expected"):
        read_source(tmp_path)


def test_nnunet(tmp_path):
    assert detect(nnunet(tmp_path / "raw")) == "nnunet"
    report = build(tmp_path / "raw", tmp_path / "out")
    content, dataset = read_datalist(tmp_path / "out"), read_dataset(tmp_path / "out")
    assert dataset["channels"] == ["T1", "T2"] and dataset["labels"][1]["name"] == "tumour"
    assert len(content["training"][0]["image"]) == 2
    assert [entry["case_id"] for entry in content["testing"]] == ["d"]
    assert report.notes == ("test images without labels, left out: 1",)


def test_nnunet_with_a_missing_channel(tmp_path):
    root = nnunet(tmp_path / "raw")
    (root / "imagesTr" / "b_0001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"case b: channels 0000; dataset\.json declares 2"):
        read_source(root)


def test_nnunet_with_channels_on_different_grids(tmp_path):
    root = nnunet(tmp_path / "raw")
    save(root / "imagesTr" / "b_0001.nii.gz", noise((6, 7, 9)))
    with pytest.raises(DataError, match=r"D401 error: .*b_0001\.nii\.gz"):
        build(root, tmp_path / "out")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0, "whole": [1, 2]}, "regions"),
        ({"background": 0, "a": 1, "ignore": 0}, "ignore: expected a whole number other than 0, saw "),
        ({"background": 0, "a": 1, "ignore": "2"}, "ignore: expected a whole number other than 0"),
        ({"background": 0}, "no class besides the background"),
        ({"background": "zero"}, "expected a whole number and a name"),
        ("a", "expected"),
    ],
)
def test_nnunet_labels_that_are_not_supported(tmp_path, labels, message):
    with pytest.raises(DataError, match=message):
        read_source(nnunet(tmp_path / "raw", labels=labels))


def test_values_of_regions_become_structures_by_the_line_that_is_told(tmp_path):
    root = nnunet(tmp_path / "raw", labels={"background": 0, "whole": [1, 2], "core": [2], "ignore": 3})
    with pytest.raises(DataError) as refused:
        read_source(root)
    words = shlex.split(str(refused.value).split("add ")[1])
    assert words == ["--labels-dir", "labelsTr", "--label-names", "1=NAME_1,2=NAME_2", "--ignore-label", "3"]
    build(root, tmp_path / "out", labels_dir=words[1], label_names="1=rim,2=core")
    assert [entry["name"] for entry in read_dataset(tmp_path / "out")["labels"]] == ["background", "rim", "core"]


def test_no_known_layout(tmp_path):
    with pytest.raises(DataError, match="no known layout; it holds nothing"):
        read_source(tmp_path)
    (tmp_path / "stuff").mkdir()
    with pytest.raises(ConfigError, match="no known layout; it holds stuff"):
        read_source(tmp_path)
    with pytest.raises(ConfigError, match="--layout nrrd: unknown"):
        read_source(tmp_path, "nrrd")
    with pytest.raises(DataError, match="there is no such folder"):
        read_source(tmp_path / "nowhere")


def test_mha_lies_where_nifti_lies(tmp_path):
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
    affine = np.array([[0, 0, 3.0, 5], [-1.0, 0, 0, 6], [0, 2.0, 0, 7], [0, 0, 0, 1]])
    nifti = save(tmp_path / "a.nii.gz", noise(SHAPE), affine)
    sitk.WriteImage(sitk.ReadImage(str(nifti)), str(tmp_path / "a.mha"))
    first, second = read_volume(nifti), read_volume(tmp_path / "a.mha")
    np.testing.assert_allclose(first.affine, second.affine, atol=1e-5)
    np.testing.assert_array_equal(first.array, second.array)


def test_mha_without_simple_itk(tmp_path, monkeypatch):
    (tmp_path / "a.mha").write_bytes(b"ObjectType = Image")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(EnvironmentFault, match=r'pip install "monai-hybrid\[formats\]"'):
        read_volume(tmp_path / "a.mha")


def test_png_has_width_first(png_set):
    volume = read_volume(png_set(size=(20, 12)) / "images" / "a.png")
    assert volume.shape == (20, 12) and volume.affine is None


def test_scale_factor_is_applied(tmp_path):
    import nibabel as nib

    image = nib.Nifti1Image(np.arange(8, dtype=np.float32).reshape(2, 2, 2) / 3, RAS)
    image.set_data_dtype(np.int16)
    image.to_filename(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").array.ravel(), np.arange(8) / 3, atol=1e-3)
