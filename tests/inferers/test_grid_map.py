"""The way back to the input's grid, axis by axis: against places worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing

from monai_hybrid.inferers.grid_map import LARGEST_SKEW, axis_map, grid_map, input_grid


def places(source: int, shape: tuple[int, ...], affine: np.ndarray, axis: int) -> np.ndarray:
    """Where the voxels along an axis of the input lie on the network's grid."""
    split = grid_map([source] * len(shape), shape, affine)
    assert split is not None
    return (split.maps[axis].low + split.maps[axis].share).numpy()


def shifted(dims: int, *entries: tuple[int, int, float]) -> np.ndarray:
    affine = np.eye(dims + 1)
    for row, column, value in entries:
        affine[row, column] = value
    return affine


def test_an_axis_map_names_two_voxels_and_a_share() -> None:
    made = axis_map(np.array([-0.5, 0.0, 0.25, 1.0, 1.9, 2.0, 2.7, 5.0]), 4)
    assert made.low.tolist() == [0, 0, 0, 1, 1, 2, 2, 3] and made.high.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert made.share.tolist() == pytest.approx([0, 0, 0.25, 0, 0.9, 0, 0.7, 0]) and made.share.dtype == torch.float32
    assert made.length == 8 and not made.is_exact


def test_close_to_a_voxel_is_that_voxel() -> None:
    near, beyond = axis_map(np.array([0.99995, 2.00005]), 4), axis_map(np.array([0.9998, 2.0002]), 4)
    assert near.is_exact and near.low.tolist() == [1, 2]
    assert (
        not beyond.is_exact
        and beyond.low.tolist() == [0, 2]
        and beyond.share.tolist() == pytest.approx([0.9998, 0.0002], abs=1e-6)
    )


def test_finished_are_the_voxels_whose_last_source_voxel_lies_between() -> None:
    made = axis_map(np.array([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]), 4)  # last source voxels 0 1 1 2 2 3 3
    assert [made.finished(a, b) for a, b in ((0, 1), (1, 2), (2, 4), (0, 4))] == [
        slice(0, 1),
        slice(1, 3),
        slice(3, 7),
        slice(0, 7),
    ]
    assert made.finished(4, 9) == slice(0, 0) and made.finished(2, 2) == slice(0, 0)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("offset", [0, 1])
def test_applying_interpolates_along_one_axis(axis: int, offset: int) -> None:
    row = torch.tensor([0.0, 10.0, 30.0, 70.0, 150.0])
    source = torch.stack([row, row + 1], 1 - axis)[(slice(offset, None), slice(None))[:: 1 if axis == 0 else -1]]
    made = axis_map(np.array([1.5, 2.0, 3.25]), 5)
    seen = made.apply(source, axis, slice(0, 3), offset)
    assert torch.equal(seen, torch.stack([torch.tensor([20.0, 30.0, 90.0]), torch.tensor([21.0, 31.0, 91.0])], 1 - axis))
    assert torch.equal(made.apply(source, axis, slice(1, 2), offset), seen.narrow(axis, 1, 1))


def test_whole_voxels_are_taken_as_they_are() -> None:
    source = torch.arange(12.0).reshape(6, 2)
    run, flipped = axis_map(np.array([1.0, 2.0, 3.0]), 6), axis_map(np.array([3.0, 2.0, 1.0]), 6)
    assert torch.equal(run.apply(source, 0, slice(0, 3)), source[1:4]) and torch.equal(
        run.apply(source[1:], 0, slice(1, 3), 1), source[2:4]
    )
    assert torch.equal(flipped.apply(source, 0, slice(0, 3)), source[[3, 2, 1]])
    assert run.apply(source, 0, slice(0, 0)).shape == (0, 2)


@pytest.mark.parametrize("dims", [2, 3])
def test_spacing_flips_and_order_of_the_axes(dims: int) -> None:
    """Input axis 0 runs backwards along the network's last axis, at half its step."""
    affine = np.zeros((dims + 1, dims + 1))
    affine[dims - 1, 0], affine[dims - 1, dims] = -0.5, 4
    for axis in range(1, dims):
        affine[axis - 1, axis], affine[axis - 1, dims] = 1, axis
    affine[dims, dims] = 1
    shape = (9, 4, 3)[:dims]
    split = grid_map([8] * dims, shape, affine)
    assert split is not None and split.shape == shape
    assert split.source_axis == ((1, 0) if dims == 2 else (2, 0, 1)) and split.along(dims - 1) == (0, split.maps[0])
    assert places(8, shape, affine, 0).tolist() == [4, 3.5, 3, 2.5, 2, 1.5, 1, 0.5, 0]
    assert places(8, shape, affine, 1).tolist() == [1, 2, 3, 4]


def test_where_other_axes_stray_a_little_their_mean_counts() -> None:
    """Over 11 voxels axis 0 strays by 0.01, and by 0.008 over 5 of another: each place is that of the middle of the image."""
    affine = shifted(3, (0, 1, 0.001), (0, 2, 0.002), (0, 3, 0.25))
    assert places(40, (3, 11, 5), affine, 0) == pytest.approx([0.259, 1.259, 2.259], abs=1e-6)
    assert places(40, (3, 11, 5), affine, 1).tolist() == list(range(11))
    assert places(40, (3, 11), shifted(2, (0, 1, 0.001), (0, 2, 0.25)), 0) == pytest.approx([0.255, 1.255, 2.255], abs=1e-6)


def test_more_than_a_fiftieth_of_a_voxel_over_the_image_is_shear() -> None:
    assert LARGEST_SKEW == 0.02
    assert grid_map((9, 9), (9, 11), shifted(2, (0, 1, 0.0019))) is not None
    assert grid_map((9, 9), (9, 11), shifted(2, (0, 1, 0.0021))) is None
    assert grid_map((9, 9), (9, 11), shifted(2, (0, 1, -0.0021))) is None
    assert grid_map((9, 9, 9), (9, 11, 11), shifted(3, (0, 1, 0.0012), (0, 2, 0.0012))) is None, "both together"
    assert grid_map((9, 9, 9), (9, 11, 11), shifted(3, (0, 1, 0.0012), (1, 2, 0.0012))) is not None, "one each"


@pytest.mark.parametrize("size", [(5, 7), (5, 7, 3)])
def test_an_image_that_no_transform_has_changed_is_on_its_own_grid(size: tuple[int, ...]) -> None:
    image = MetaTensor(torch.zeros(2, *size), affine=torch.diag(torch.tensor([2.0, 3, 4, 1], dtype=torch.float64)))
    shape, affine = input_grid(image)
    assert shape == size and np.array_equal(affine, np.eye(len(size) + 1))


@pytest.mark.parametrize("size", [(6, 8), (6, 8, 4)])
def test_a_resampled_image_knows_the_grid_of_its_file(size: tuple[int, ...]) -> None:
    image = MetaTensor(torch.zeros(1, *size), affine=torch.diag(torch.tensor([1.0, 1, 3, 1], dtype=torch.float64)))
    image.meta["original_affine"] = image.affine.numpy()
    coarser = Spacing((2.0, 4.0, 3.0)[: len(size)])(image)
    shape, affine = input_grid(coarser)
    assert shape == size and np.allclose(np.diag(affine)[: len(size)], (0.5, 0.25, 1.0)[: len(size)])


def test_two_axes_along_one_are_no_grid() -> None:
    assert grid_map((9, 9), (9, 9), np.array([[1.0, 0.9, 0], [0.2, 0.1, 0], [0, 0, 1]])) is None
