"""Labels become class indices before anything is float32, in the voxel order of their image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, Orientationd
from PIL import Image

from monai_hybrid.errors import DataError
from monai_hybrid.transforms import CaseReader, LoadClassesd

NEAR = [0, 312782628, 312782632]  # the last two are one in float32
INDEX = np.array([0, 1, 2, 2, 1, 0, 0, 2], np.float32).reshape(2, 2, 2)
AFFINE = np.diag([-1.0, 2.0, 3.0, 1.0])


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    nib.save(nib.Nifti1Image(array, affine, dtype=array.dtype), path)
    return str(path)


def classes(path: str, values: list[int], indices: list[int] | None = None) -> Any:
    return LoadClassesd("label", values, indices)({"label": path})["label"]


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.float64])
def test_near_values_stay_two_classes(dtype: type, tmp_path: Path) -> None:
    found = classes(nifti(tmp_path / "y.nii.gz", np.array(NEAR)[INDEX.astype(int)].astype(dtype)), NEAR)
    assert isinstance(found, MetaTensor) and found.dtype == torch.float32 and found.shape == (1, 2, 2, 2)
    np.testing.assert_array_equal(found[0].numpy(), INDEX)
    np.testing.assert_allclose(found.affine, AFFINE)


def test_negative_and_scaled_values(tmp_path: Path) -> None:
    values = [-5, 0, 2**40]
    found = classes(nifti(tmp_path / "y.nii.gz", np.array(values)[INDEX.astype(int)]), values)
    np.testing.assert_array_equal(found[0].numpy(), INDEX)
    image = nib.Nifti1Image(np.array([0, 156391314, 156391316], np.int32)[INDEX.astype(int)], AFFINE)
    header = image.header.copy()
    plain = bytearray(image.to_bytes())
    header.set_slope_inter(2, 0)
    plain[112:116] = np.float32(2).tobytes()  # scl_slope
    (tmp_path / "s.nii").write_bytes(plain)
    np.testing.assert_array_equal(classes(str(tmp_path / "s.nii"), NEAR)[0].numpy(), INDEX)


def test_several_values_may_be_one_class(tmp_path: Path) -> None:
    found = classes(nifti(tmp_path / "y.nii.gz", INDEX.astype(np.uint8)), [0, 1, 2], [0, 0, 1])
    np.testing.assert_array_equal(found[0].numpy(), INDEX == 2)


def test_pictures_and_nrrd(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 255], [255, 0, 0]], np.uint8)).save(tmp_path / "y.png")
    np.testing.assert_array_equal(classes(str(tmp_path / "y.png"), [0, 255])[0].numpy().T, [[0, 1, 1], [1, 0, 0]])
    sitk = pytest.importorskip("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(np.array(NEAR, np.uint32)[INDEX.astype(int)].T), str(tmp_path / "y.nrrd"))
    np.testing.assert_array_equal(classes(str(tmp_path / "y.nrrd"), NEAR)[0].numpy(), INDEX)


def test_an_unknown_value_is_named(tmp_path: Path) -> None:
    path = nifti(tmp_path / "y.nii.gz", np.array([0, 312782628, 312782629], np.int64)[INDEX.astype(int)])
    with pytest.raises(
        DataError, match=r"y.nii.gz: 3 voxels hold values that are not classes, the first is 312782629; expected 0,"
    ):
        classes(path, NEAR)


def test_a_case_without_label_passes() -> None:
    assert LoadClassesd("label", [0, 1], allow_missing_keys=True)({"image": 1}) == {"image": 1}


@pytest.mark.parametrize(("axes", "flips"), [((0, 1, 2), (0, 1)), ((2, 0, 1), (1,)), ((1, 0, 2), ())])
@pytest.mark.parametrize("oriented", [False, True])
def test_a_label_comes_in_the_order_of_its_image(axes: tuple, flips: tuple, oriented: bool, tmp_path: Path) -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([1, 1.5, 4]), (3, 4, 5)
    rng = np.random.default_rng(0)
    grey, label = rng.normal(size=(4, 5, 6)).astype(np.float32), rng.integers(0, 3, (4, 5, 6)).astype(np.uint8)
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for new, old in enumerate(axes):
        step[old, new], step[old, 3] = (-1, label.shape[old] - 1) if new in flips else (1, 0)
    image = nifti(tmp_path / "x.nii.gz", grey, affine)
    other = nifti(tmp_path / "y.nii.gz", np.flip(label.transpose(axes), flips), affine @ step)
    load = [LoadImaged("image", reader="monai_hybrid.transforms.CaseReader", ensure_channel_first=True)]
    load += [Orientationd("image", axcodes="RAS", labels=None)] if oriented else []  # evaluation loads the label after that
    d = Compose([*load, LoadClassesd("label", [0, 1, 2])])({"image": image, "label": other})
    np.testing.assert_array_equal(d["label"][0].numpy(), label)
    np.testing.assert_allclose(d["label"].affine, affine, atol=1e-5)
    together = Orientationd("label", axcodes="RAS", labels=None)(d)
    plain = Orientationd("label", axcodes="RAS", labels=None)(
        {"label": LoadClassesd("label", [0, 1, 2])({"label": other})["label"]}
    )
    np.testing.assert_array_equal(together["label"].numpy(), plain["label"].numpy())


@pytest.mark.parametrize("deep", [False, True], ids=["two axes", "one slice"])
def test_slices_come_in_the_order_of_their_image(deep: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey, label = rng.normal(size=(5, 7)).astype(np.float32), rng.integers(0, 3, (5, 7)).astype(np.uint8)
    affine, step = np.diag([1.0, 2.0, 9.0, 1.0]), np.diag([-1.0, -1.0, 1.0, 1.0])
    step[:2, 3] = 4, 6
    shape = (..., None) if deep else (...,)
    image = nifti(tmp_path / "x.nii.gz", grey[shape], affine)
    other = nifti(tmp_path / "y.nii.gz", label[::-1, ::-1][shape], affine @ step)
    reader = CaseReader(spatial_dims=2)
    load = [LoadImaged("image", reader=reader, ensure_channel_first=True), LoadClassesd("label", [0, 1, 2], spatial_dims=2)]
    d = Compose(load)({"image": image, "label": other})
    np.testing.assert_array_equal(d["label"][0].numpy(), label)
    assert d["label"].shape == d["image"].shape == (1, 5, 7)
    np.testing.assert_allclose(d["label"].affine, d["image"].affine)
