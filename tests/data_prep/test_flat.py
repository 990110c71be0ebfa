"""Volumes of one slice: pictures where the whole data set is flat, named where it is not."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prep_samples import cube, noise, read_json, save, write_json

from data_prep.build import build
from data_prep.check import check
from data_prep.flat import flat_axis, flattened, plane_affine
from data_prep.reading import read_volume


def flat_set(root: Path, axis: int = 2, across: float = 1.0, count: int = 4, suffix: str = ".nii.gz") -> Path:
    """Images and labels (10, 8) of 0.5 x 0.7 mm with an axis of length 1; `across` is the voxel size along it."""
    sizes = [0.5, 0.7]
    sizes.insert(axis, across)
    for i in range(count):
        for folder, plane in (("images", noise((10, 8), i)), ("labels", cube((10, 8)))):
            array = np.expand_dims(plane, axis)
            path = root / folder / f"{'abcdefgh'[i]}{suffix}"
            if suffix == ".nii.gz":
                save(path, array, np.diag([*sizes, 1.0]))
            else:
                sitk = pytest.importorskip("SimpleITK")
                path.parent.mkdir(parents=True, exist_ok=True)
                image = sitk.GetImageFromArray(array.T)
                image.SetSpacing(sizes)
                sitk.WriteImage(image, str(path))
    return root


def codes(root: Path, **options: object) -> set[str]:
    return {finding.code for finding in check(root, **options) if finding.level != "note"}  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize(("axis", "across"), [(2, 1.0), (2, 999.0), (1, 1.0), (0, 999.0)])
def test_a_flat_data_set_is_2d(tmp_path: Path, axis: int, across: float, suffix: str) -> None:
    root = flat_set(tmp_path / "raw", axis, across, suffix=suffix)
    assert codes(root) == set()
    build(root, tmp_path / "out")
    dataset = read_json(tmp_path / "out/dataset.json")
    assert dataset["spatial_dims"] == 2 and dataset["cases"][0]["shape"] == [10, 8]
    assert dataset["fingerprint"]["spacing"]["median"] == [0.5, 0.7] and dataset["fingerprint"]["spacing_known"]
    assert dataset["fingerprint"]["foreground_volume_unit"] == "mm^2"
    assert len(read_json(tmp_path / "out/plan.json")["patch_size"]) == 2 and codes(tmp_path / "out") == set()


def test_what_the_header_says_across_the_slice_means_nothing(tmp_path: Path) -> None:
    """Writers of pictures leave 0 there."""
    root = flat_set(tmp_path / "raw")
    for path in [*(root / "images").iterdir(), *(root / "labels").iterdir()]:
        image = nib.load(path)
        image.header["pixdim"][3] = 0
        image.header["srow_z"] = 0
        image.header["qform_code"] = 0
        image.header["vox_offset"] = 352
        raw = image.header.binaryblock + b"\0" * 4 + np.asarray(image.dataobj).tobytes(order="F")
        import gzip

        path.write_bytes(gzip.compress(raw))
    assert codes(root) == set()


def test_the_picture_keeps_its_place_in_the_world(tmp_path: Path) -> None:
    turn = nib.affines.from_matvec([[0.3, 0.0, 0.4], [0.0, 0.7, 0.0], [-0.4, 0.0, 0.3]], (5, 6, 7))
    volume = read_volume(save(tmp_path / "a.nii.gz", noise((10, 8, 1)), turn))
    flat = flattened(volume)
    assert flat.shape == (10, 8) and flat.flat_axis == 2 and flat.spatial_dims == 2
    np.testing.assert_allclose(flat.affine[:3, :2], turn[:3, :2], atol=1e-6)  # type: ignore[index]
    np.testing.assert_allclose(np.linalg.norm(flat.affine[:3, 2]), 1)  # type: ignore[index]
    np.testing.assert_allclose(np.diag(plane_affine(flat)), [0.5, 0.7, 1, 1], atol=1e-6)
    thick = read_volume(save(tmp_path / "b.nii.gz", noise((10, 8, 2)), turn))
    assert flattened(thick) is thick


@pytest.mark.parametrize(
    ("shape", "axis"), [((9, 8, 1), 2), ((9, 1, 8), 1), ((1, 9, 8, 3), 0), ((9, 8), None), ((9, 1, 1), None)]
)
def test_which_axis_is_flat(shape: tuple[int, ...], axis: int | None) -> None:
    assert flat_axis(shape) == axis


def test_channels_behind_one_slice(tmp_path: Path) -> None:
    flat = flattened(read_volume(save(tmp_path / "a.nii.gz", noise((10, 8, 1, 3)))))
    assert flat.array.shape == (10, 8, 3) and flat.shape == (10, 8) and flat.channels == 3


def test_one_flat_image_among_volumes_is_named(nifti_set) -> None:
    root = nifti_set()
    for folder in ("images", "labels"):
        save(root / folder / "a.nii.gz", np.asarray(nib.load(root / folder / "a.nii.gz").dataobj)[:, :, 2:3])
    found = [finding for finding in check(root) if finding.level == "error"]
    assert [finding.code for finding in found] == ["D110"] and found[0].file.endswith("images/a.nii.gz")
    assert "one slice thick" in found[0].message and "read as 2D" in found[0].remedy
    assert codes(root, accept="D110") == {"D110"}


def test_one_volume_among_flat_images_is_named(tmp_path: Path) -> None:
    root = flat_set(tmp_path / "raw", count=5)
    for folder in ("images", "labels"):
        save(
            root / folder / "a.nii.gz", np.repeat(noise((10, 8, 1)) if folder == "images" else cube((10, 8, 4))[..., 2:3], 4, 2)
        )
    found = [finding for finding in check(root) if finding.level == "error"]
    assert [finding.code for finding in found] == ["D408"] and found[0].file.endswith("images/a.nii.gz")
    assert found[0].message == "3D; most images are 2D"


def test_flat_images_and_labels_in_two_forms(tmp_path: Path) -> None:
    """(X, Y, 1) beside (X, Y) is the same picture."""
    root = flat_set(tmp_path / "raw")
    save(root / "labels/a.nii.gz", cube((10, 8)), np.diag([0.5, 0.7, 1.0, 1.0]))
    assert codes(root) == set()


def test_a_folder_that_was_built_as_3d_stays_3d(tmp_path: Path) -> None:
    root = flat_set(tmp_path / "raw")
    build(root, root)
    assert codes(root) == set()
    for name in ("dataset.json", "plan.json"):
        content = read_json(root / name)
        content["spatial_dims"] = 3
        write_json(root / name, content)
    assert codes(root) == {"D110"}
