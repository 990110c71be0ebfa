"""Random shapes: replayable, on any grid, every family seen and told from what surrounds it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label as components

from data_prep.build import build
from data_prep.errors import ConfigError
from data_prep.phantom import generate
from data_prep.synthetic import LABELS, draw_sample
from data_prep.synthetic.appearance import LEAST_CONTRAST, draw_means
from data_prep.synthetic.families import Body, Layered, Segments, _turn
from data_prep.synthetic.fields import grid, smooth_field
from data_prep.synthetic.scene import draw_scene

FLAT, SOLID = (40, 48), (20, 24, 20)


@pytest.mark.parametrize("shape", [FLAT, SOLID, (8, 8), (9, 17, 33)])
def test_a_seed_and_a_shape_give_the_same_voxels(shape: tuple[int, ...]) -> None:
    first, again, other = draw_sample(7, shape), draw_sample(7, shape), draw_sample(8, shape)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.label, again.label)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape == first.label.shape == shape
    assert first.image.dtype == np.float32 and first.label.dtype == np.uint8
    assert np.isfinite(first.image).all() and first.image.min() >= 0 and first.image.max() <= 1


@pytest.mark.parametrize("shape", [(8,), (8, 8, 8, 8), (7, 20), (20, 20, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="2 or 3 edges of at least 8 voxels"):
        draw_sample(0, shape)


@pytest.mark.parametrize("shape", [FLAT, SOLID])
def test_every_family_is_drawn_often_and_none_fills_the_image(shape: tuple[int, ...]) -> None:
    samples = [draw_sample(seed, shape).label for seed in range(80)]
    for value in range(1, len(LABELS)):
        assert np.mean([(label == value).any() for label in samples]) > 0.15, LABELS[str(value)]
    assert 0.03 < np.mean([(label > 0).mean() for label in samples]) < 0.5
    assert {int(value) for label in samples for value in np.unique(label)} == {int(value) for value in LABELS}


def test_structures_stand_out_from_the_tissues_around_them() -> None:
    # With five tissues spread over the range a place far from all is not always found.
    far = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng, FLAT)
        means = draw_means(rng, scene)
        far += [np.abs(mean - means[: scene.tissues]).min() >= LEAST_CONTRAST for mean in means[scene.tissues :]]
    assert np.mean(far) > 0.95


def test_distances_are_those_of_the_simplest_shapes() -> None:
    points = grid((21, 21, 21))
    away = np.sqrt((points**2).sum(0))
    none = np.zeros(3, dtype=np.float32)
    ball = Body(none, np.eye(3, dtype=np.float32), np.full(3, 6, dtype=np.float32), 2.0)
    np.testing.assert_allclose(ball.distance(points), away - 6, atol=1e-4)
    (_, outer), (_, inner) = Layered(ball, (5, 6), (0.0, 2.0), np.array([1, 0, 0], dtype=np.float32), 3.0).distances(points)
    np.testing.assert_allclose(outer, np.maximum(away - 6, points[0] - 3), atol=1e-4)
    np.testing.assert_allclose(inner, np.maximum(away - 4, points[0] - 3), atol=1e-4)
    end = np.array([[0, 0, 5]], dtype=np.float32)
    ((value, rod),) = Segments(2, -end, end, np.array([2.0], dtype=np.float32)).distances(points)
    beyond = np.maximum(np.abs(points[2]) - 5, 0)
    np.testing.assert_allclose(rod, np.sqrt(points[0] ** 2 + points[1] ** 2 + beyond**2) - 2, atol=1e-4)
    assert value == 2


def test_turns_are_rotations_or_mirrors() -> None:
    for seed in range(5):
        turn = _turn(np.random.default_rng(seed), 3)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)


def test_fields_are_smooth_at_their_wavelength() -> None:
    rng = np.random.default_rng(0)
    for wavelength, most in ((4.0, 1.2), (16.0, 0.35)):
        field = smooth_field(rng, (64, 64), wavelength)
        assert abs(float(field.mean())) < 1e-5 and float(field.std()) == pytest.approx(1, abs=1e-4)
        assert float(np.abs(np.diff(field, axis=0)).mean()) < most


def test_a_tube_is_one_piece() -> None:
    from data_prep.synthetic.families import draw_tube

    whole = []
    for seed in range(20):
        ((_, distance),) = draw_tube(np.random.default_rng(seed), (64, 64)).distances(grid((64, 64)))
        whole.append(components(distance < 0.5)[1] <= 1)
    assert np.mean(whole) > 0.9  # now and then a bend leaves the image and comes back


@pytest.mark.parametrize("dims", [2, 3])
def test_shapes_become_a_data_set_like_any_other(dims: int, tmp_path: Path) -> None:
    raw = generate(tmp_path / "raw", cases=10, site="shapes", seed=1, dims=dims)
    assert json.loads((raw / "labels.json").read_text()) == LABELS
    image = next(iter(sorted((raw / "images").iterdir())))
    if dims == 2:
        assert np.asarray(Image.open(image)).shape == (96, 96)
    else:
        assert nib.load(image).shape == (32, 40, 32)
    assert not [f for f in build(raw, tmp_path / "prepared").findings if f.level == "error"]
    again = generate(tmp_path / "again", cases=2, site="shapes", seed=1, dims=dims)
    assert (again / "images" / image.name).read_bytes() == image.read_bytes()


def test_another_site_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="site is 'shape', expected one of 'A', 'B', 'shapes'"):
        generate(tmp_path / "raw", cases=1, site="shape")
