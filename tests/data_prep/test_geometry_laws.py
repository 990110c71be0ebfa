"""Laws of geometry, for any order of axes, flip, rotation and spacing."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.reliability.tiny import cube, noise, save
from data_prep.cases import Case
from data_prep.examine import examine_case
from data_prep.geometry import corner_distance, in_ras_order, is_invertible, largest_cosine, orientation
from data_prep.reading import read_volume
from data_prep.volume import Affine, Volume

SHAPE = (4, 5, 6)
LETTERS = ("LR", "PA", "IS")
lengths = st.floats(0.2, 20.0)
orders = st.permutations(range(3))
signs = st.tuples(*[st.sampled_from((-1, 1))] * 3)
shifts = st.tuples(*[st.floats(-500, 500)] * 3)
turns = st.tuples(st.floats(0, 360), st.floats(0, 360), st.floats(0, 360))
SLOW_DISK = settings(max_examples=25)


def grid(order: list[int], sign: tuple[int, ...], spacing: list[float], shift: tuple[float, ...] = (0, 0, 0)) -> Affine:
    """An affine whose axis i runs along the RAS axis order[i]."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, target in enumerate(order):
        affine[target, axis] = sign[axis] * spacing[axis]
    affine[:3, 3] = shift
    return affine


def volume(affine: Affine) -> Volume:
    return Volume(Path("a.nii"), np.zeros(SHAPE), affine, "uint8", "")


spacings = st.lists(lengths, min_size=3, max_size=3)


@given(orders, signs, spacings)
def test_numbers_in_ras_order_follow_the_axes(order: list[int], sign: tuple[int, ...], spacing: list[float]) -> None:
    seen = volume(grid(order, sign, spacing))
    assert in_ras_order(seen, seen.shape) == tuple(SHAPE[order.index(axis)] for axis in range(3))
    np.testing.assert_allclose(in_ras_order(seen, seen.spacing), [spacing[order.index(axis)] for axis in range(3)])
    expected = "".join(LETTERS[order[axis]][sign[axis] > 0] for axis in range(3))
    assert orientation(seen) == expected


@given(orders, signs, spacings, turns)
def test_a_rotation_keeps_lengths_and_right_angles(
    order: list[int], sign: tuple[int, ...], spacing: list[float], turn: tuple[float, ...]
) -> None:
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    affine = turned @ grid(order, sign, spacing)
    assert is_invertible(affine) and largest_cosine(affine) < 1e-9
    np.testing.assert_allclose(volume(affine).spacing, spacing)


@given(orders, signs, spacings, shifts, turns)
def test_corner_distance_is_a_distance(
    order: list[int], sign: tuple[int, ...], spacing: list[float], shift: tuple[float, ...], turn: tuple[float, ...]
) -> None:
    affine = grid(order, sign, spacing)
    moved = affine.copy()
    moved[:3, 3] += shift
    rigid = np.eye(4)
    rigid[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    away = corner_distance(affine, moved, SHAPE)
    np.testing.assert_allclose(away, np.linalg.norm(shift), atol=1e-6)
    np.testing.assert_allclose(corner_distance(moved, affine, SHAPE), away)
    np.testing.assert_allclose(corner_distance(rigid @ affine, rigid @ moved, SHAPE), away, atol=1e-6)
    assert corner_distance(affine, affine, SHAPE) == 0


@given(spacings, st.integers(0, 2), st.floats(-3, 3))
def test_an_axis_without_length_or_in_the_plane_of_the_others_is_no_grid(spacing: list[float], axis: int, share: float) -> None:
    affine = np.diag([*spacing, 1.0])
    others = [other for other in range(3) if other != axis]
    affine[:3, axis] = affine[:3, others[0]] * share + affine[:3, others[1]] * (1 - share)
    assert not is_invertible(affine)
    assert is_invertible(np.diag([*spacing, 1.0]))


@SLOW_DISK
@given(orders, signs, spacings, shifts, turns)
def test_a_file_on_any_grid_is_read_as_written_and_accepted(
    order: list[int], sign: tuple[int, ...], spacing: list[float], shift: tuple[float, ...], turn: tuple[float, ...]
) -> None:
    affine = grid(order, sign, spacing, shift)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ affine[:3, :3]
    with tempfile.TemporaryDirectory() as folder:
        image = save(Path(folder) / "images" / "a.nii", noise(SHAPE), affine)
        label = save(Path(folder) / "labels" / "a.nii", cube(SHAPE), affine)
        read = read_volume(image)
        np.testing.assert_array_equal(read.array, noise(SHAPE))
        np.testing.assert_allclose(read.affine, affine, rtol=1e-5, atol=1e-3)
        record, findings = examine_case(Case("a", (image,), label))
    assert [finding for finding in findings if finding.level != "note"] == []
    assert record is not None and record.ras_shape == in_ras_order(read, SHAPE)


@SLOW_DISK
@given(st.permutations(range(3)), st.sets(st.integers(0, 2)), st.tuples(*[st.integers(0, 3)] * 3))
def test_the_first_bad_voxel_is_named_where_it_is(order: list[int], flips: set[int], place: tuple[int, ...]) -> None:
    """A NaN put at one place in mm is reported at that place, however the file orders its axes."""
    array = noise(SHAPE).astype(np.float32)
    array[place] = np.nan
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    expected = affine[:3, :3] @ place
    array, affine = array.transpose(order), affine[:, [*order, 3]]
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.nii", array, affine)
        _, findings = examine_case(Case("a", (path,), None))
    found = next(finding for finding in findings if finding.code == "D201")
    assert found.voxels == 1
    np.testing.assert_allclose(found.mm, expected, atol=0.01)


def test_all_48_grids_have_their_own_orientation() -> None:
    grids = itertools.product(itertools.permutations(range(3)), itertools.product((-1, 1), repeat=3))
    assert len({orientation(volume(grid(list(order), sign, [1, 2, 3]))) for order, sign in grids}) == 48
