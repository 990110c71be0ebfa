"""Scores of one case against numbers found by hand, and against MONAI's on the whole image."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cases import box, with_spacing
from torch import Tensor

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.metrics import (
    crop_to_union,
    image_diagonal,
    overlap_and_distances,
    score_case,
    score_structure,
    voxel_spacing,
)

SHAPE = (20, 20, 20)
UNIT = (1.0, 1.0, 1.0)


def test_a_perfect_prediction() -> None:
    cube = box(SHAPE, (5, 5, 5), (4, 4, 4))
    score = score_structure(cube, cube, UNIT, 0.0)
    assert (score.status, score.dice, score.nsd, score.hd95) == ("ok", 1, 1, 0)
    assert score.label_voxels == score.pred_voxels == 64


@pytest.mark.parametrize(
    ("spacing", "tolerance", "nsd", "hd95"),
    [
        # Two cubes of 10^3, 3 steps apart along x. The outer face is more than a twentieth of the 10^3 - 8^3 = 488 surface
        # voxels and is 3 steps from the other cube, so that HD95 is 3 steps; None: only the definition says.
        (UNIT, 2.0, None, 3.0),
        (UNIT, 3.0, 1.0, 3.0),
        ((2.0, 1.0, 1.0), 3.0, None, None),
        ((0.5, 1.0, 1.0), 1.5, 1.0, 1.5),
    ],
)
def test_shifted_cubes_equal_the_definition(
    spacing: tuple[float, float, float], tolerance: float, nsd: float | None, hd95: float | None
) -> None:
    a, b = box(SHAPE, (3, 5, 5), (10, 10, 10)), box(SHAPE, (6, 5, 5), (10, 10, 10))
    score = score_structure(a, b, spacing, tolerance)
    expected_nsd, expected_hd95 = by_hand(a, b, spacing, tolerance)
    assert score.dice == pytest.approx(2 * 7 * 100 / 2000)
    assert score.nsd == pytest.approx(expected_nsd) and score.hd95 == pytest.approx(expected_hd95)
    assert nsd is None or score.nsd == pytest.approx(nsd)
    assert hd95 is None or score.hd95 == pytest.approx(hd95)


def by_hand(a: Tensor, b: Tensor, spacing: tuple[float, ...], tolerance: float) -> tuple[float, float]:
    """NSD and HD95 from all pairwise distances between surface voxels: the definition, without a tree, a crop or an erosion."""
    points = [_surface(mask) * torch.tensor(spacing, dtype=torch.float64) for mask in (a, b)]
    table = torch.cdist(points[0], points[1], compute_mode="donot_use_mm_for_euclid_dist")
    there, back = table.min(1).values, table.min(0).values
    near = (there <= tolerance + 1e-9).sum() + (back <= tolerance + 1e-9).sum()
    hd95 = max(torch.quantile(d, 0.95).item() for d in (there, back))
    return near.item() / (len(there) + len(back)), hd95


def _surface(mask: Tensor) -> Tensor:
    """(N, D) indices of mask voxels with a face neighbour outside the mask; outside the image counts as outside."""
    padded = torch.nn.functional.pad(mask, (1, 1) * mask.ndim)
    inside = torch.ones_like(mask)
    for axis in range(mask.ndim):
        for step in (0, 2):
            window = padded
            for other in range(mask.ndim):
                window = window.narrow(other, step if other == axis else 1, mask.shape[other])
            inside &= window
    return (mask & ~inside).nonzero().double()


@pytest.mark.parametrize(
    ("axis", "expected"),
    [(0, 0.5 * 4), (1, 1.0 * 4), (2, 3.0 * 4)],
)
def test_anisotropic_distances_are_in_mm(axis: int, expected: float) -> None:
    """Two single voxels four steps apart: HD95 is four times the spacing of that axis; NSD jumps from 0 to 1 there."""
    start = [8, 8, 8]
    a = box(SHAPE, tuple(start), (1, 1, 1))
    start[axis] += 4
    b = box(SHAPE, tuple(start), (1, 1, 1))
    spacing = (0.5, 1.0, 3.0)
    assert score_structure(a, b, spacing, expected).hd95 == pytest.approx(expected)
    assert score_structure(a, b, spacing, expected).nsd == 1
    assert score_structure(a, b, spacing, expected - 0.01).nsd == 0


def test_slabs_by_hand() -> None:
    """One-voxel-thick slabs 2 steps of 2.5 mm apart: every surface voxel is exactly 5 mm from the other slab."""
    a, b = box(SHAPE, (0, 0, 4), (20, 20, 1)), box(SHAPE, (0, 0, 6), (20, 20, 1))
    score = score_structure(a, b, (1.0, 1.0, 2.5), 5.0)
    assert (score.dice, score.nsd, score.hd95) == (0, 1, 5)
    assert score_structure(a, b, (1.0, 1.0, 2.5), 4.9).nsd == 0


def test_a_class_of_one_voxel() -> None:
    one, block = box(SHAPE, (10, 10, 10), (1, 1, 1)), box(SHAPE, (9, 9, 9), (3, 3, 3))
    score = score_structure(one, one, UNIT, 2.0)
    assert (score.dice, score.nsd, score.hd95) == (1, 1, 0)
    score = score_structure(block, one, UNIT, 1.0)
    # 26 surface voxels of the block: 6 at 1, 12 at sqrt 2, 8 at sqrt 3; the voxel itself is 1 from the block's surface.
    assert score.dice == pytest.approx(2 / 28)
    assert score.nsd == pytest.approx((6 + 1) / 27)
    assert score.hd95 == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize(
    ("pred", "label", "status"),
    [((0, 0, 0), (4, 4, 4), "missed"), ((4, 4, 4), (0, 0, 0), "invented")],
)
def test_missed_and_invented_count_with_the_worst_value(
    pred: tuple[int, int, int], label: tuple[int, int, int], status: str
) -> None:
    spacing = (1.0, 2.0, 3.0)
    score = score_structure(box(SHAPE, (5, 5, 5), pred), box(SHAPE, (5, 5, 5), label), spacing, 2.0)
    diagonal = math.sqrt(20**2 + 40**2 + 60**2)
    assert (score.status, score.dice, score.nsd) == (status, 0, 0)
    assert score.hd95 == pytest.approx(diagonal) == pytest.approx(image_diagonal(SHAPE, spacing))


def test_no_distance_is_larger_than_the_diagonal() -> None:
    a, b = box(SHAPE, (0, 0, 0), (1, 1, 1)), box(SHAPE, (19, 19, 19), (1, 1, 1))
    score = score_structure(a, b, UNIT, 2.0)
    assert score.hd95 == pytest.approx(19 * math.sqrt(3))
    assert score.hd95 is not None and score.hd95 < image_diagonal(SHAPE, UNIT)


def test_absent_in_both_has_no_score() -> None:
    nothing = torch.zeros(SHAPE, dtype=torch.bool)
    score = score_structure(nothing, nothing, UNIT, 2.0)
    assert (score.status, score.dice, score.nsd, score.hd95) == ("absent", None, None, None)


masks = st.integers(0, 2**32 - 1).map(lambda seed: _two_masks(seed))
spacings = st.tuples(*[st.sampled_from([0.5, 1.0, 1.25, 3.0])] * 3)


def _two_masks(seed: int) -> tuple[Tensor, Tensor]:
    """Two non-empty masks that touch the border now and then."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.randint(3, 10, (3,), generator=generator).tolist()
    density = 0.05 + 0.6 * torch.rand(2, generator=generator)
    a, b = ((torch.rand(shape, generator=generator) < d) for d in density)
    for mask in (a, b):
        mask[tuple(int(torch.randint(n, (1,), generator=generator)) for n in shape)] = True
    return a, b


@settings(max_examples=60)
@given(pair=masks, spacing=spacings)
def test_cropping_changes_no_digit(pair: tuple[Tensor, Tensor], spacing: tuple[float, float, float]) -> None:
    a, b = (torch.nn.functional.pad(mask, (4, 0, 0, 3, 2, 5)) for mask in pair)
    assert crop_to_union(a, b)[0].numel() < a.numel()
    assert overlap_and_distances(*crop_to_union(a, b), spacing, 1.5) == overlap_and_distances(a, b, spacing, 1.5)


@settings(max_examples=60)
@given(pair=masks, spacing=spacings, tolerance=st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_monai_follows_the_definition(
    pair: tuple[Tensor, Tensor], spacing: tuple[float, float, float], tolerance: float
) -> None:
    a, b = pair
    dice, nsd, hd95 = overlap_and_distances(a, b, spacing, tolerance)
    assert dice == pytest.approx(2 * int((a & b).sum()) / int(a.sum() + b.sum()))
    assert (nsd, hd95) == pytest.approx(by_hand(a, b, spacing, tolerance), rel=1e-5)


@settings(max_examples=60)
@given(pair=masks, spacing=spacings, order=st.permutations([0, 1, 2]), flips=st.sets(st.integers(0, 2)))
def test_axes_do_not_matter(
    pair: tuple[Tensor, Tensor], spacing: tuple[float, float, float], order: list[int], flips: set[int]
) -> None:
    turned = [mask.permute(order).flip(sorted(flips)) for mask in pair]
    score = score_structure(*pair, spacing, 1.0)
    other = score_structure(*turned, [spacing[axis] for axis in order], 1.0)
    assert (other.dice, other.nsd) == (score.dice, score.nsd) and other.hd95 == pytest.approx(score.hd95, rel=1e-6)


@settings(max_examples=40)
@given(pair=masks, spacing=spacings)
def test_label_and_prediction_may_be_exchanged(pair: tuple[Tensor, Tensor], spacing: tuple[float, float, float]) -> None:
    there, back = score_structure(*pair, spacing, 1.0), score_structure(*reversed(pair), spacing, 1.0)
    assert (there.dice, there.nsd, there.hd95) == (back.dice, back.nsd, back.hd95)


def test_two_dimensions() -> None:
    a, b = box((30, 30), (5, 5), (4, 4)), box((30, 30), (5, 8), (4, 4))
    score = score_structure(a, b, (1.0, 2), 6)
    assert score.dice == pytest.approx(2 * 4 / 32)
    assert (score.nsd, score.hd95) == pytest.approx(by_hand(a, b, (1.0, 2.0), 6.0))


def test_a_stored_spacing_does_not_drop_a_surface_at_the_tolerance() -> None:
    """0.7 in float32 is 0.69999999 and its threefold may lie a digit above 2.1."""
    a, b = box(SHAPE, (8, 8, 8), (1, 1, 1)), box(SHAPE, (11, 8, 8), (1, 1, 1))
    for value in (2.1 / 3 * (1 + 1e-7), 2.1 / 3 * (1 - 1e-7)):
        assert score_structure(a, b, (value, 1.0, 1.0), 2.1).nsd == 1
    assert score_structure(a, b, (2.1 / 3 * 1.001, 1.0, 1.0), 2.1).nsd == 0


@pytest.mark.parametrize(
    ("pred", "message"),
    [
        (torch.full((1, 4, 4), math.nan), "the prediction holds NaN or Inf; expected class indices 0 to 2"),
        (torch.full((1, 4, 4), math.inf), "the prediction holds NaN or Inf; expected class indices 0 to 2"),
        (torch.full((1, 4, 4), 3), "the prediction holds values from 3 to 3; expected class indices 0 to 2"),
        (torch.full((1, 4, 4), 0.5), "the prediction holds values from 0.5 to 0.5; expected class indices 0 to 2"),
        (torch.zeros(1, 4, 5), r"prediction \(1, 4, 5\) and label \(1, 4, 4\) are on different grids"),
    ],
)
def test_what_is_no_class_index_is_refused(pred: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        score_case(pred, torch.zeros(1, 4, 4), 3, (1.0, 1.0), 2.0)


def test_what_is_a_class_index_is_accepted() -> None:
    pred, label = torch.full((1, 4, 4), 2.0), torch.full((1, 4, 4), 2, dtype=torch.uint8)
    assert [s.status for s in score_case(pred, label, 3, (1.0, 1.0), 2.0)] == ["absent", "ok"]


@pytest.mark.parametrize("spacing", [(0.7, 1.3, 2.5), (0.5, 2.0)])
def test_spacing_is_the_length_of_the_columns(spacing: tuple[float, ...]) -> None:
    image = with_spacing(torch.zeros(1, *[4] * len(spacing)), spacing)
    assert voxel_spacing(image.affine, len(spacing)) == pytest.approx(spacing)


def test_a_plane_across_the_scanner_keeps_its_spacing() -> None:
    """A 2D image whose rows run along z: the first two rows of the affine alone would say 0."""
    affine = torch.tensor([[0.0, 0, 1, 0], [2, 0, 0, 0], [0, 3, 0, 0], [0, 0, 0, 1]])
    assert voxel_spacing(affine, 2) == (2, 3)


def test_an_affine_without_lengths_is_refused() -> None:
    with pytest.raises(DataError, match=r"the affine gives voxels of \[0.0, 1.0, 1.0\] mm"):
        voxel_spacing(torch.diag(torch.tensor([0.0, 1, 1, 1])), 3)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_axis_without_a_finite_length_is_enough(column: int) -> None:
    affine = torch.eye(4, dtype=torch.float64)
    affine[0, column] = math.nan
    with pytest.raises(DataError, match="the affine gives voxels of"):
        voxel_spacing(affine, 3)


def test_every_class_index_is_taken_and_its_neighbours_are_refused() -> None:
    index = torch.arange(4).repeat(4, 1)[None]
    assert [score.dice for score in score_case(index, index, 4, (1.0, 1.0), 1.0)] == [1, 1, 1]
    below = torch.where(index == 3, 0, index) - (index == 1).long() * 3
    for wrong, ends in ((below, "-2 to 2"), (index, "0 to 3")):
        with pytest.raises(DataError, match=f"the label holds values from {ends}; expected class indices 0 to 2"):
            score_case(index.clamp(0, 2), wrong, 3, (1.0, 1.0), 1.0)
