"""Distances, angles and orders of axes, against values worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from data_prep.geometry import corner_distance, in_ras_order, is_invertible, largest_cosine, orientation


def affine(*columns: tuple[float, float, float], origin: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    made = np.eye(4)
    for axis, column in enumerate(columns):
        made[:3, axis] = column
    made[:3, 3] = origin
    return made


def test_the_corner_that_is_furthest_off_counts() -> None:
    """A tenth of a millimetre a voxel more along the first axis of 11 voxels: 1 mm at its end, nothing at its start."""
    assert corner_distance(affine((1.1, 0, 0)), np.eye(4), (11, 5, 5)) == pytest.approx(1)
    assert corner_distance(np.eye(4), affine(origin=(3, 4, 0)), (11, 5, 5)) == pytest.approx(5)
    assert corner_distance(affine((1, 0, 0), (0, 1.1, 0)), np.eye(4), (11, 21)) == pytest.approx(2), "2D: one slice"
    assert corner_distance(affine((1, 0, 0), (0, 1, 0), (0, 0, 9)), np.eye(4), (11, 21)) == 0
    assert corner_distance(affine((1, 0, 0), (0, 1, 0), (0, 0, 1.5)), np.eye(4), (2, 2, 3)) == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0.0, 1.0, 30.0, 60.0, 120.0])
def test_the_cosine_between_two_axes_is_that_of_their_angle(degrees: float) -> None:
    angle = math.radians(90 - degrees)
    sheared = affine((2, 0, 0), (3 * math.cos(angle), 3 * math.sin(angle), 0), (0, 0, 5))
    assert largest_cosine(sheared) == pytest.approx(abs(math.sin(math.radians(degrees))), abs=1e-9)


def test_axes_that_span_no_space_are_no_grid() -> None:
    assert is_invertible(affine((1e-3, 0, 0), (0, 1e-3, 0), (0, 0, 1e-3))), "small voxels are voxels"
    assert is_invertible(affine((1, 0, 0), (0, -1, 0), (0, 0, 1))), "a mirrored grid is one"
    assert not is_invertible(affine((1, 0, 0), (1, 1e-7, 0), (0, 0, 1))), "two axes that are nearly one"
    assert is_invertible(affine((1, 0, 0), (1, 1e-5, 0), (0, 0, 1)))
    assert not is_invertible(affine((0, 0, 0)))
    for value in (math.nan, math.inf):
        assert not is_invertible(affine((1, 0, 0), origin=(value, 0, 0)))


def volume(matrix: np.ndarray | None, dims: int = 3) -> Any:
    return SimpleNamespace(affine=matrix, spatial_dims=dims)


def test_numbers_of_a_file_in_ras_order() -> None:
    psr = volume(affine((0, -1, 0), (0, 0, -1), (1, 0, 0)))  # its axes run to P, I and R
    assert orientation(psr) == "PIR" and in_ras_order(psr, (10, 20, 30)) == (30, 10, 20)
    assert orientation(volume(np.eye(4))) == "RAS" and in_ras_order(volume(np.eye(4)), (10, 20, 30)) == (10, 20, 30)
    for picture in (volume(None, dims=2), volume(np.eye(4), dims=2)):
        assert orientation(picture) is None and in_ras_order(picture, (10, 20)) == (10, 20)
    flat = volume(affine((0, 0, 0)))
    assert orientation(flat) is None and in_ras_order(flat, (10, 20, 30)) == (10, 20, 30)
