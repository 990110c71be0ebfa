"""A mask is seen on any picture, in its own colour and in its own place."""

from __future__ import annotations

import numpy as np
import pytest

from monai_hybrid.gallery.painting import in_proportion, painted

COLOURS = ("#E69F00", "#56B4E9")
ORANGE, BLUE = (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9)


def shown(colour: tuple[int, int, int], index: np.ndarray, times: int = 4) -> np.ndarray:
    scan = np.broadcast_to(np.asarray(colour, np.uint8), (*index.shape, 3))
    return np.asarray(painted(scan, index, COLOURS, (times * index.shape[1], times * index.shape[0])))


@pytest.mark.parametrize("under", [ORANGE, (0, 0, 0), (255, 255, 255)])
def test_a_mask_is_seen_on_a_picture_of_its_own_colour_too(under: tuple[int, int, int]) -> None:
    """The edge inside has the full colour; where the picture has it too, the dark one outside tells them apart."""
    index = np.zeros((10, 12), int)
    index[2:6, 3:9] = 1
    picture = shown(under, index)
    assert picture.shape == (40, 48, 3)
    assert (picture[8, 12:36] == ORANGE).all() and (picture[7, 12:36] == 0).all()
    assert (picture[8:24, 12] == ORANGE).all() and (picture[8:24, 11] == 0).all()
    assert (picture[:7] == under).all() and (picture[25:] == under).all(), "elsewhere the picture is as it was"
    np.testing.assert_allclose(picture[16, 24], 0.7 * np.asarray(under) + 0.3 * np.asarray(ORANGE), atol=1)


def test_two_structures_that_touch_have_an_edge_each_and_a_third_begins_the_colours_anew() -> None:
    index = np.repeat(np.array([[1, 1, 2, 2, 3, 3]]), 6, axis=0)
    picture = shown((90, 90, 90), index)
    assert [tuple(picture[12, at]) for at in (7, 8, 15, 16)] == [ORANGE, BLUE, BLUE, ORANGE]
    assert not (picture == 0).all(axis=-1).any(), "nothing lies outside"


def test_an_empty_mask_leaves_the_picture() -> None:
    assert (shown((1, 2, 3), np.zeros((4, 5), int)) == (1, 2, 3)).all()


def test_pixels_are_in_true_proportions() -> None:
    assert in_proportion((10, 20), (2.0, 1.0), 300) == (300, 300)
    assert in_proportion((10, 20), (1.0, 1.0), 300) == (300, 150)
    assert in_proportion((10, 20), (1.0, 1.0), 300, longest=40) == (150, 75)
    assert in_proportion((1, 900), (1.0, 1.0), 90) == (90, 1)
