"""Small bright and dark structures are not clipped to one grey: `build` says so and plans for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prep_samples import read_json, save
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.normalising import bulk, soft, tails, undone
from data_prep.shift.domain import normalised
from data_prep.tones import structures, tones

RUN = CliRunner()


def volume(seed: int, greys: tuple[float, float], size: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Noise around 100 and two cubes of 2^3: 0.12 % of the voxels together."""
    grey = np.random.default_rng(seed).normal(100, 15, (size,) * 3)
    label = np.zeros((size,) * 3, np.uint8)
    label[4:6, 4:6, 4:6], label[14:16, 14:16, 14:16] = 1, 2
    grey[label == 1] = greys[0]
    grey[label == 2] = greys[1]
    return grey.astype(np.float32), label


def data_set(folder: Path, greys: tuple[float, float]) -> Path:
    for i in range(3):
        grey, label = volume(i, greys)
        save(folder / f"images/c{i}.nii.gz", grey)
        save(folder / f"labels/c{i}.nii.gz", label)
    return folder


def built(source: Path, *words: str) -> tuple[str, dict[str, Any]]:
    out = source.parent / "out"
    done = RUN.invoke(app, ["build", str(source), "--output", str(out), *words])
    assert done.exit_code == 0, done.output + done.stderr
    return " ".join(done.output.split()), read_json(out / "plan.json")


@pytest.mark.parametrize(("greys", "side"), [((500, 900), "above"), ((-600, -300), "below"), ((500, -300), "both")])
def test_two_small_structures_are_told_apart(tmp_path: Path, greys: tuple[float, float], side: str) -> None:
    said, plan = built(data_set(tmp_path / "set", greys))
    rule = plan["normalization"]
    assert rule["method"] == "soft_percentiles"
    assert (rule["above"] > 0, rule["below"] > 0) == (side != "below", side != "above")
    assert "D314 warning" in said and "label 1 lies beyond the percentiles 0.5 and 99.5 of its image in" in said
    assert any("compressed and not clipped: there lies label_1, label_2" in reason for reason in plan["reasons"])
    grey, label = volume(7, greys)
    out = normalised(grey, rule)
    first, second, background = (out[label == value] for value in (1, 2, 0))
    assert abs(first.mean() - second.mean()) > 0.05 > 10 * (first.std() + second.std())
    assert out.min() >= -1 and out.max() <= 1 and background.std() > 0.1
    clipped = normalised(grey, {"method": "percentiles", "lower": 0.5, "upper": 99.5})
    assert side == "both" or clipped[label == 1].mean() == clipped[label == 2].mean()


def test_structures_within_the_bulk_keep_the_plan_of_before(tmp_path: Path) -> None:
    said, plan = built(data_set(tmp_path / "set", (120, 80)))
    assert plan["normalization"] == {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}
    assert "D314" not in said


def test_check_says_it_too(tmp_path: Path) -> None:
    done = RUN.invoke(app, ["check", str(data_set(tmp_path / "set", (500, 900)))])
    assert done.exit_code == 0 and "D314" in done.output


def test_the_window_of_ct_is_widened_for_a_structure_it_would_clip(tmp_path: Path) -> None:
    """A small calcification beside a large organ is less than half a per cent of the pooled foreground."""
    for i in range(3):
        grey, label = np.random.default_rng(i).normal(-1000, 5, (20, 20, 20)), np.zeros((20, 20, 20), np.uint8)
        label[2:18, 2:18, 2:18], label[9, 9, 9:11] = 1, 2
        grey[label == 1], grey[label == 2] = np.random.default_rng(i).normal(50, 10, (label == 1).sum()), 900
        save(tmp_path / f"set/images/c{i}.nii.gz", grey.astype(np.int16))
        save(tmp_path / f"set/labels/c{i}.nii.gz", label)
    said, plan = built(tmp_path / "set", "--modality", "CT", "--label-names", "1=organ,2=calcification")
    assert plan["normalization"]["method"] == "window" and plan["normalization"]["upper"] == 900
    assert "widened for calcification" in said and "D314" not in said


def test_a_picture_that_is_nearly_all_black(tmp_path: Path) -> None:
    """Both percentiles are 0: everything would be one grey."""
    for i in range(3):
        grey, label = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
        grey[10:12, 10 : 12 + i], label[10:12, 10 : 12 + i] = 90, 1
        grey[40:42, 40:43], label[40:42, 40:43] = 200, 2
        for kind, array in (("images", grey), ("labels", label)):
            (tmp_path / "set" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "set" / kind / f"p{i}.png")
    _, plan = built(tmp_path / "set")
    out = normalised(grey, plan["normalization"])
    assert len({round(float(out[label == value].mean()), 2) for value in (0, 1, 2)}) == 3


def test_a_colour_in_which_it_shows_is_enough() -> None:
    """Beyond in red only: green still tells it apart, so nothing is lost."""
    grey, label = volume(0, (500, 900))
    flat = np.random.default_rng(1).normal(100, 15, grey.shape)
    assert all(tone.is_beyond for tone in tones([grey], label, 0).values())
    assert not any(tone.is_beyond for tone in tones([grey, flat], label, 0).values())


def test_the_larger_part_of_the_images_decides() -> None:
    beyond, within = (tones([grey], label, 0)[1] for grey, label in (volume(0, (500, 900)), volume(0, (100, 900))))
    assert structures([{1: beyond}, {1: beyond}, {1: within}])[1].is_beyond
    assert not structures([{1: beyond}, {1: within}])[1].is_beyond


def test_the_soft_clip_is_steady_and_rises() -> None:
    grey = np.concatenate([np.linspace(0, 1, 1000), [5, 20, 100, 1e6], [-5, -1e6]])
    rule = {"method": "soft_percentiles", "lower": 1.0, "upper": 99.0, "below": 10.0, "above": 50.0}
    out = soft(grey, rule)
    order = np.argsort(grey)
    assert (np.diff(out[order]) >= 0).all() and out.min() == -1 and out.max() == 1
    low, high = bulk(grey, 1, 99)
    near = soft(np.append(grey, [high, np.nextafter(high, 2)]), rule)[-2:]
    assert near[0] == pytest.approx(near[1], abs=1e-6) and low < high
    assert not soft(np.full((3, 3), 7.0), rule).any()
    assert tails([(-0.5, 2.0), (0.1, 1.0)]) == (0.4, 8.0) and tails([]) == (0.0, 0.0)


@pytest.mark.parametrize("tail", [{"below": 0.0, "above": 9.0}, {"below": 4.0, "above": 0.0}, {"below": 2.0, "above": 5.0}])
def test_the_way_back_from_a_scaling_is_scaled_to_the_same(tail: dict[str, float]) -> None:
    grey, _ = volume(3, (500, -300))
    rule = {"method": "soft_percentiles", "lower": 0.5, "upper": 99.5, **tail}
    scaled = soft(grey, rule)
    np.testing.assert_allclose(soft(undone(scaled, rule), rule), scaled, atol=2e-3)
    window = {"method": "window", "lower": -160, "upper": 240}
    np.testing.assert_allclose(undone(np.array([-1.0, 0.0, 1.0]), window), [-160, 40, 240])
    assert np.array_equal(undone(scaled, {"method": "percentiles", "lower": 0.5, "upper": 99.5}), scaled)
