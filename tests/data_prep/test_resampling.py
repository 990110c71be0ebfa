"""Shares of voxels: what a coarser grid keeps of grey values and masks, and where it puts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.resampling import back, centres, coarse_label, forth, label_back, new_size, resampled, shares

factors = st.floats(0.3, 7)
lengths = st.integers(1, 40)


@pytest.mark.parametrize(("shape", "left"), [((64, 64), 0.25), ((32, 32, 32), 0.125)])
def test_noise_falls_as_with_the_mean_of_whole_voxels(shape: tuple[int, ...], left: float) -> None:
    noise = np.random.default_rng(0).standard_normal(shape)
    coarse = resampled(noise, forth(shape, [4] * len(shape)))
    assert coarse.shape == tuple(n // 4 for n in shape)
    assert coarse.std() == pytest.approx(left, rel=0.15)
    blocks = noise.reshape(shape[0] // 4, 4, *shape[1:]).mean(axis=1)
    assert resampled(noise, [*forth(shape[:1], [4]), *forth(shape[1:], [1] * (len(shape) - 1))]) == pytest.approx(
        blocks, abs=1e-5
    )


@given(length=lengths, factor=factors)
def test_every_new_voxel_is_a_mean(length: int, factor: float) -> None:
    size = new_size(length, factor)
    matrix = shares(length, centres(length, size, factor), factor)
    assert matrix.shape == (size, length) and matrix.sum(axis=1) == pytest.approx(np.ones(size), abs=1e-5)
    assert (matrix.data > 0).all()


@given(length=st.integers(8, 40), factor=st.floats(1, 4))
def test_a_ramp_is_the_ramp_at_the_new_centres(length: int, factor: float) -> None:
    """A shift by half a voxel would show here, everywhere but in the voxels that reach beyond the image."""
    size = new_size(length, factor)
    at = centres(length, size, factor)
    inside = (at - factor / 2 >= -0.5) & (at + factor / 2 <= length - 0.5)
    coarse = resampled(np.arange(length, dtype=float), forth([length], [factor], [size]))
    # An old voxel counts as a square of one grey: at a factor that is not whole the mean is up to an eighth of a voxel off.
    assert coarse[inside] == pytest.approx(at[inside], abs=0.126)
    assert not inside.any() or abs(float((coarse - at)[inside].mean())) < 0.02


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_a_ramp_is_exact_at_a_whole_factor(factor: int) -> None:
    length = 12 * factor
    coarse = resampled(np.arange(length, dtype=float), forth([length], [factor]))
    assert coarse == pytest.approx(centres(length, 12, factor), abs=1e-5)


@given(length=lengths, factor=factors)
def test_what_is_symmetric_stays_so(length: int, factor: float) -> None:
    values = np.random.default_rng(length).random(length)
    there = resampled(values + values[::-1], forth([length], [factor]))
    assert there == pytest.approx(there[::-1], abs=1e-4)
    again = resampled(there, back([length], [factor]))
    assert again == pytest.approx(again[::-1], abs=1e-4)


def test_nothing_changes_on_the_same_grid() -> None:
    label = np.random.default_rng(0).integers(0, 3, (9, 7)).astype(np.uint8)
    assert (coarse_label(label, [1, 1]) == label).all() and (label_back(label, label.shape, [1.0, 1.0004]) == label).all()
    assert (resampled(label, forth(label.shape, [1, 1])) == label).all()


def test_a_line_of_one_voxel_outlives_a_factor_of_two_wherever_it_lies() -> None:
    for place in range(4, 8):
        label = np.zeros((16, 16), np.uint8)
        label[place] = 7
        coarse = coarse_label(label, [2, 2])
        assert coarse.dtype == np.uint8 and (coarse == 7).any(axis=0).all() and set(np.unique(coarse)) == {0, 7}


def test_structures_that_fill_a_voxel_together_give_it_to_the_larger_one() -> None:
    label = np.zeros((4, 4), np.int32)
    label[:2, :2] = [[5, 5], [9, 0]]  # together three quarters, and the background a quarter
    assert coarse_label(label, [2, 2]).tolist() == [[5, 0], [0, 0]]
    label[:2, :2] = [[5, 0], [0, 0]]
    assert not coarse_label(label, [2, 2]).any()


def test_large_values_stay_what_they_are() -> None:
    label = np.zeros((8, 8), np.int64)
    label[:4], label[4:] = 2**24 + 1, 2**24 + 2
    assert (label_back(coarse_label(label, [2, 2]), label.shape, [2, 2]) == label).all()


@pytest.mark.parametrize(("factor", "dice"), [(1.25, 0.97), (2, 0.95), (2.5, 0.94), (4, 0.89)])
def test_a_ball_comes_back_where_it_was(factor: float, dice: float) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(40)] * 2, indexing="ij"))
    ball = (((grid - np.array([17.3, 22.1])[:, None, None]) ** 2).sum(0) < 81).astype(np.uint8)
    again = label_back(coarse_label(ball, [factor] * 2), ball.shape, [factor] * 2)
    assert 2.0 * (ball & again).sum() / (ball.sum() + again.sum()) > dice
    assert np.array(np.nonzero(again)).mean(axis=1) == pytest.approx(np.array(np.nonzero(ball)).mean(axis=1), abs=0.15 * factor)
