"""A mask has the grid of its image, whatever that grid is."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.transforms import AsDiscreted, Compose, Invertd, LoadImaged, Orientationd
from nibabel.orientations import inv_ornt_aff
from PIL import Image

from data_prep.on_grid import smallest_integer
from monai_hybrid.errors import DataError
from monai_hybrid.inferers.native_grid import SaveOnInputGridd, write_map, write_mask
from monai_hybrid.transforms import SafeSpacingd

ROOT = Path(__file__).parents[2]
ODD = ROOT.parent / "shared/data/odd_files/nifti"


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def volume(path: Path, axes: list[tuple[int, int]], spacing: tuple[float, ...], degrees: float, codes: tuple[int, int]) -> Path:
    """A block of label-like grey values on any grid: axes permuted and flipped, rotated, anisotropic."""
    data = np.zeros((13, 11, 9), np.int16)
    data[1:6, 6:10, 4:8] = 100
    ornt = np.array(axes, dtype=float)
    affine = np.eye(4)
    affine[:3, :3] = rotation(degrees) @ np.diag(spacing)
    affine = affine @ inv_ornt_aff(ornt, data.shape)
    image = nib.Nifti1Image(nib.apply_orientation(data, ornt), affine)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    nib.save(image, path)
    return path


def segment(source: Path, folder: Path, values: list[int]) -> Path:
    """Threshold after reorientation and resampling, inverted: the way of a real prediction."""
    before = Compose([
        LoadImaged("image", reader="monai_hybrid.transforms.CaseReader", ensure_channel_first=True, image_only=True),
        Orientationd("image", axcodes="RAS", labels=None),
        SafeSpacingd("image", pixdim=(1.0, 1.0, 1.0), mode="bilinear"),
    ])  # fmt: skip
    d = before({"image": str(source), "case_id": "case"})
    foreground = (d["image"] - 50) / 10
    d["pred"] = torch.cat([-foreground, foreground]).sigmoid()
    after = Compose([
        Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
        AsDiscreted("pred", argmax=True),
        SaveOnInputGridd("pred", str(folder), values),
    ])  # fmt: skip
    return Path(after(d)["pred_file"])


AXES = st.permutations([0, 1, 2]).flatmap(
    lambda p: st.tuples(*[st.sampled_from([1, -1])] * 3).map(lambda f: list(zip(p, f, strict=True)))
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    axes=AXES,
    spacing=st.tuples(*[st.floats(0.6, 3.0)] * 3),
    degrees=st.floats(-30, 30),
    codes=st.sampled_from([(1, 1), (2, 0), (0, 1), (4, 2)]),
)
def test_any_grid_comes_back_bit_for_bit(
    axes: list[tuple[int, int]],
    spacing: tuple[float, float, float],
    degrees: float,
    codes: tuple[int, int],
    tmp_path: Path,
) -> None:
    source = volume(tmp_path / "in.nii.gz", axes, spacing, degrees, codes)
    image, mask = nib.load(source), nib.load(segment(source, tmp_path / "out", [0, 7]))
    assert mask.shape == image.shape and mask.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(mask.affine, image.affine)
    for field in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "pixdim", "xyzt_units"):
        np.testing.assert_array_equal(mask.header[field], image.header[field])
    truth = np.where(np.asarray(image.dataobj) > 50, 7, 0)
    found = np.asarray(mask.dataobj)
    assert set(np.unique(found)) <= {0, 7}
    overlap = 2 * ((truth == 7) & (found == 7)).sum() / ((truth == 7).sum() + (found == 7).sum())
    assert overlap > 0.6  # bilinear resampling of a block a few voxels wide; a flip or shift would leave nothing


@pytest.mark.parametrize(
    "name", ["02_oblique_16deg_ct.nii.gz", "13_ct_qform0_sform2.nii.gz", "16_cord_t2_PSR.nii.gz", "10_tiny_4x5x7.nii.gz"]
)
def test_real_odd_grids_come_back(name: str, tmp_path: Path) -> None:
    if not (ODD / name).is_file():
        pytest.skip("the real odd files are not beside the repository")
    image = nib.load(ODD / name)
    mask = nib.load(segment(ODD / name, tmp_path, [0, 1]))
    assert mask.shape == image.shape
    np.testing.assert_array_equal(mask.affine, image.affine)
    assert [int(mask.header[c]) for c in ("sform_code", "qform_code")] == [
        int(image.header[c]) for c in ("sform_code", "qform_code")
    ]


def test_another_grid_is_refused_and_nothing_written(tmp_path: Path) -> None:
    source = volume(tmp_path / "in.nii.gz", [(0, 1), (1, 1), (2, 1)], (1, 1, 1), 0, (1, 1))
    with pytest.raises(DataError, match=r"the prediction has the grid \(13, 11, 8\), expected the input's, \(13, 11, 9\)"):
        write_mask(np.zeros((13, 11, 8), np.uint8), source, tmp_path / "mask", np.eye(4))
    assert not list(tmp_path.glob("*mask*"))
    assert write_mask(np.zeros((13, 11, 9), np.uint8), source, tmp_path / "mask", np.eye(4)).is_file()


def test_a_picture_stays_a_picture(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 8), np.uint8)).save(tmp_path / "p.png")
    mask = np.zeros((8, 5), np.uint8)
    mask[7, 0] = 255
    written = np.asarray(Image.open(write_mask(mask, tmp_path / "p.png", tmp_path / "p_seg", np.eye(4))))
    assert written.shape == (5, 8) and written[0, 7] == 255 and written.sum() == 255


def test_a_trailing_axis_of_one_is_no_obstacle(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 6, 1), np.float32), np.diag([2.0, 3, 4, 1]))
    nib.save(image, tmp_path / "in.nii.gz")
    mask = nib.load(write_mask(np.ones((4, 5, 6), np.uint8), tmp_path / "in.nii.gz", tmp_path / "m", np.eye(4)))
    assert mask.shape == (4, 5, 6)
    np.testing.assert_array_equal(mask.affine, image.affine)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1], np.uint8),
        ([0, 255], np.uint8),
        ([0, 256], np.int16),
        ([-1, 0], np.int16),
        ([0, 40000], np.int32),
        ([0, 2**40], np.int64),
    ],
)
def test_the_smallest_integer_that_holds_the_values(values: list[int], kind: type) -> None:
    assert smallest_integer(values) is kind


@pytest.mark.parametrize("end", [".nii.gz", ".png"])
def test_a_file_that_prediction_did_not_write_is_never_written_over(end: str, tmp_path: Path) -> None:
    source, mine, shape = tmp_path / f"z{end}", tmp_path / f"z_seg{end}", (4, 5) if end == ".png" else (4, 5, 6)
    for path in (source, mine):
        if end == ".png":
            Image.fromarray(np.zeros((5, 4), np.uint8)).save(path)
        else:
            nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
    drawn = mine.read_bytes()
    with pytest.raises(DataError, match=r"z_seg.* is there already.*Give another --output or --output-postfix"):
        write_mask(np.ones(shape, np.uint8), source, tmp_path / "z_seg", np.eye(4))
    assert mine.read_bytes() == drawn
    own = write_mask(np.ones(shape, np.uint8), source, tmp_path / "z_own", np.eye(4))
    assert write_mask(np.zeros(shape, np.uint8), source, tmp_path / "z_own", np.eye(4)) == own  # its own, it may
    (tmp_path / "quality.csv").write_text(f"case_id,mask\nz,{mine.name}\n")  # an earlier version left no mark in pictures
    assert write_mask(np.ones(shape, np.uint8), source, tmp_path / "z_seg", np.eye(4)) == mine


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("writer", ["mask", "map"])
def test_no_text_of_the_image_is_carried_over(kind: type, writer: str, tmp_path: Path) -> None:
    image = kind(np.zeros((4, 5, 6), np.int16), np.diag([1.0, 2.0, 3.0, 1.0]))
    for field in ("descrip", "db_name", "aux_file", "intent_name", "data_type", "unused_str"):
        if field in image.header:
            image.header[field] = b"Doe^Jane"
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"Doe^Jane"))
    image.to_filename(tmp_path / "image.nii.gz")
    assert b"Doe^Jane" in gzip.decompress((tmp_path / "image.nii.gz").read_bytes())[:600]
    values = np.ones((4, 5, 6), np.uint16)
    write = write_mask if writer == "mask" else write_map
    written = write(values, tmp_path / "image.nii.gz", tmp_path / "out", np.eye(4))
    plain = gzip.decompress(written.read_bytes())
    assert b"Doe" not in plain and b"Jane" not in plain
    assert np.array_equal(nib.load(written).affine, image.affine)


def test_a_mask_named_like_another_result_is_replaced_as_any_mask_of_ours(tmp_path: Path) -> None:
    image = tmp_path / "sample_001_image.nii.gz"  # such a name the pictures of `sample` have
    nib.save(nib.Nifti1Image(np.zeros((4, 3, 2), np.int16), np.eye(4)), image)
    (tmp_path / "masks").mkdir()
    for value in (1, 2):
        mask = write_mask(np.full((4, 3, 2), value, np.uint8), image, tmp_path / "masks/sample_001_image_seg", np.eye(4))
    assert int(nib.load(mask).dataobj[0, 0, 0]) == 2
    theirs = tmp_path / "theirs/sample_001_image_seg.nii.gz"
    theirs.parent.mkdir()
    theirs.write_bytes(image.read_bytes())
    with pytest.raises(DataError, match="not written by prediction"):
        write_mask(np.zeros((4, 3, 2), np.uint8), image, theirs.with_name("sample_001_image_seg"), np.eye(4))
