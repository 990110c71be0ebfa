"""One reader for NIfTI, PNG and what SimpleITK reads: same axes, same affine (RAS, mm), one error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import LoadImaged
from PIL import Image

from data_prep.roles import read_image
from monai_hybrid.errors import DataError, EnvironmentFault
from monai_hybrid.runs.machine_faults import own_error
from monai_hybrid.transforms import CaseReader

# turned, anisotropic and shifted, so that no axis or sign can be mistaken
TURN = np.array([[0.0, -1, 0], [0.8, 0, -0.6], [0.6, 0, 0.8]])
AFFINE = np.eye(4)
AFFINE[:3, :3], AFFINE[:3, 3] = TURN @ np.diag([0.5, 1.0, 2.5]), (10, -20, 30)
VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def load(image: Any) -> Any:
    return LoadImaged("image", reader="monai_hybrid.transforms.CaseReader", ensure_channel_first=True)({"image": image})[
        "image"
    ]


def nifti(path: Path, voxels: np.ndarray = VOXELS, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def itk(path: Path, voxels: np.ndarray = VOXELS, affine: np.ndarray = AFFINE) -> Path:
    """Write (X, Y[, Z]) voxels with SimpleITK, whose arrays are (Z, Y, X) and whose world is LPS."""
    sitk = pytest.importorskip("SimpleITK")
    n = voxels.ndim
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:n, :n], axis=0)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:n, :n] / spacing).flatten().tolist())
    image.SetOrigin(lps[:n, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.b.nii.gz"])
def test_nifti(tmp_path: Path, name: str) -> None:
    image = load(str(nifti(tmp_path / name)))
    assert image.shape == (1, 3, 4, 5)
    np.testing.assert_array_equal(image[0].numpy(), VOXELS)
    np.testing.assert_allclose(image.affine.numpy(), AFFINE, atol=1e-5)
    assert Path(image.meta["filename_or_obj"]).name == name


def test_the_sform_comes_first(tmp_path: Path) -> None:
    volume = nib.Nifti1Image(VOXELS, AFFINE)
    volume.set_qform(np.diag([0.5, 1.0, 2.5, 1.0]), code=1)
    volume.set_sform(AFFINE, code=1)
    nib.save(volume, tmp_path / "a.nii")
    np.testing.assert_allclose(load(tmp_path / "a.nii").affine.numpy(), AFFINE, atol=1e-5)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.nhdr", "a.mhd"])
def test_itk_formats_lie_where_nifti_lies(tmp_path: Path, name: str) -> None:
    image = load(str(itk(tmp_path / name)))
    np.testing.assert_array_equal(image[0].numpy(), VOXELS)
    np.testing.assert_allclose(image.affine.numpy(), AFFINE, atol=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64, np.uint16, np.float32, np.float64])
def test_itk_voxel_types(tmp_path: Path, kind: type) -> None:
    np.testing.assert_array_equal(load(itk(tmp_path / "a.mha", VOXELS.astype(kind)))[0].numpy(), VOXELS)


def test_itk_in_2d(tmp_path: Path) -> None:
    affine = np.diag([0.5, 0.25, 1.0, 1.0])
    image = load(itk(tmp_path / "a.mha", VOXELS[0], affine))
    assert image.shape == (1, 4, 5) and np.array_equal(image[0].numpy(), VOXELS[0])
    np.testing.assert_allclose(image.affine.numpy(), affine)


def test_itk_with_several_numbers_a_voxel_is_refused(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 2), np.float32), isVector=True), str(tmp_path / "a.mha"))
    with pytest.raises(DataError, match=r"a\.mha: got 2 numbers per voxel, expected one"):
        CaseReader().get_data([str(tmp_path / "a.mha")])
    assert load(itk(tmp_path / "b.mha")).shape == (1, 3, 4, 5)


def test_png_has_x_first(tmp_path: Path) -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)  # 3 rows, 4 columns
    Image.fromarray(picture).save(tmp_path / "a.png")
    image = load(tmp_path / "a.png")
    assert image.shape == (1, 4, 3) and np.array_equal(image[0].numpy(), picture.T)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_several_files_are_channels(tmp_path: Path, suffix: str) -> None:
    write = nifti if suffix == ".nii.gz" else itk
    names = [str(write(tmp_path / f"{i}{suffix}", VOXELS + 100 * i)) for i in range(3)]
    image = load(names)
    assert image.shape == (3, 3, 4, 5)
    np.testing.assert_array_equal(image.numpy(), np.stack([VOXELS + 100 * i for i in range(3)]))
    np.testing.assert_allclose(image.affine.numpy(), AFFINE, atol=1e-5)


def test_one_reader_takes_every_format_in_any_order(tmp_path: Path) -> None:
    reader = CaseReader()
    Image.fromarray(VOXELS[0].astype(np.uint8)).save(tmp_path / "a.png")
    three = [str(nifti(tmp_path / f"{i}.nii")) for i in range(3)]
    for data, shape in (
        (str(tmp_path / "a.png"), (5, 4)),
        (str(itk(tmp_path / "a.mha")), (3, 4, 5)),
        (three, (3, 3, 4, 5)),
        (str(itk(tmp_path / "b.mha")), (3, 4, 5)),
        (str(nifti(tmp_path / "a.nii")), (3, 4, 5)),
    ):
        assert reader.get_data(reader.read(data))[0].shape == shape


def test_channels_on_different_grids_are_refused(tmp_path: Path) -> None:
    one, other = nifti(tmp_path / "a.nii"), nifti(tmp_path / "b.nii", affine=np.eye(4))
    with pytest.raises(DataError, match=r"a\.nii, .*b\.nii: cannot be read as an image \(affine matrix"):
        CaseReader().get_data([str(one), str(other)])
    assert load([one, one]).shape == (2, 3, 4, 5)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.png", "a.mha"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_a_file_that_cannot_be_read_ends_in_one_sentence(tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / name
    if name == "a.png":
        Image.fromarray(VOXELS[0].astype(np.uint8)).save(path)
    else:
        (itk if name == "a.mha" else nifti)(path)
    assert load(path).shape[0] == 1
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    with pytest.raises(Exception, match=r"cannot be read as an image \(") as caught:
        load(path)
    own = own_error(caught.value)
    assert isinstance(own, DataError), caught.value
    assert str(own).startswith(f"{path}: cannot be read as an image (") and "\n" not in str(own)


def test_without_simple_itk_the_user_is_told_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = itk(tmp_path / "a.mha")
    assert load(path).shape == (1, 3, 4, 5)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(Exception, match="need SimpleITK") as caught:
        load(path)
    own = own_error(caught.value)
    assert isinstance(own, EnvironmentFault) and 'pip install "monai-hybrid[formats]"' in str(own)


def picture(path: Path, channels: int = 3) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3)).astype(np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path)
    return path


@pytest.mark.parametrize("colour", ["green", "red,blue", "red,green,blue", "grey"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_pictures_are_what_data_prep_has_checked(tmp_path: Path, colour: str, name: str) -> None:
    path = picture(tmp_path / name)
    checked = read_image(path, tuple(colour.split(",")))
    reader = CaseReader(colour)
    image = LoadImaged("image", reader=reader, ensure_channel_first=True)({"image": str(path)})["image"]
    assert image.shape == (checked.channels, 4, 3)
    np.testing.assert_array_equal(image.numpy(), np.stack([checked.channel(i) for i in range(checked.channels)]))


def test_grey_picture_for_colours_and_colours_for_grey(tmp_path: Path) -> None:
    grey = picture(tmp_path / "grey.png", 1)
    image = LoadImaged("image", reader=CaseReader(("red", "green", "blue")), ensure_channel_first=True)({"image": grey})[
        "image"
    ]
    assert image.shape == (3, 4, 3) and (image[0] == image[2]).all()
    with pytest.raises(DataError, match=r"a\.png: cannot be read as an image \(it is a colour picture; .*--colour green"):
        CaseReader().get_data([str(picture(tmp_path / "a.png"))])


def test_masks_are_read_as_masks(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 2], [3, 3, 0]], np.uint8)
    three = Image.fromarray(np.stack([mask] * 3, -1))
    three.save(tmp_path / "a.png")
    indexed = Image.fromarray(mask)
    indexed.putpalette([v for i in range(256) for v in (255 - i, i, 9)])
    indexed.save(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        array, _ = CaseReader(is_label=True).get_data([str(tmp_path / name)])
        np.testing.assert_array_equal(array, mask.T)


@pytest.mark.parametrize(("shape", "write"), [((4, 5, 1), nifti), ((4, 1, 5), nifti), ((1, 4, 5), nifti), ((4, 5, 1), itk)])
def test_one_slice_is_a_picture_for_a_2d_model(tmp_path: Path, shape: tuple[int, ...], write: Any) -> None:
    path = write(tmp_path / ("a.nii.gz" if write is nifti else "a.mha"), VOXELS[0].reshape(shape))
    spacing = np.delete([0.5, 1.0, 2.5], shape.index(1))
    both = {"image": str(path), "label": str(path)}
    for key, reader in (("image", CaseReader(spatial_dims=2)), ("label", CaseReader(spatial_dims=2, is_label=True))):
        image = LoadImaged(key, reader=reader, ensure_channel_first=True)(both)[key]
        np.testing.assert_array_equal(image.numpy(), VOXELS[:1])
        np.testing.assert_allclose(np.diag(image.affine.numpy())[:2], spacing, rtol=1e-6)
        assert image.spatial_ndim == 2
    for dims in (3, None):
        found = LoadImaged("image", reader=CaseReader(spatial_dims=dims), ensure_channel_first=True)(both)["image"]
        assert found.shape == (1, *shape)


def test_a_volume_stays_one_for_a_2d_reader(tmp_path: Path) -> None:
    array, _ = CaseReader(spatial_dims=2).get_data([str(nifti(tmp_path / "a.nii"))])
    assert array.shape == (3, 4, 5)


def test_a_tilted_picture_keeps_its_spacing(tmp_path: Path) -> None:
    """The axes of an oblique slice have a third component, which a 2 x 2 matrix cannot hold."""
    path = nifti(tmp_path / "a.nii", VOXELS[0])
    image = LoadImaged("image", reader=CaseReader(spatial_dims=2), ensure_channel_first=True)({"image": str(path)})["image"]
    assert image.shape == (1, 4, 5)
    np.testing.assert_allclose(image.pixdim.numpy(), [0.5, 1.0], rtol=1e-6)
