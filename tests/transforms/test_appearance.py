"""Source images in the grey values of target scans: by ranks, by low frequencies, replayed cases alone, replayable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Lambdad

from monai_hybrid.errors import ConfigError
from monai_hybrid.transforms import MatchAppearanced
from monai_hybrid.transforms.appearance import crop_like, mapped, ranks, with_low_amplitudes


def image(seed: int, shape: tuple[int, ...] = (1, 24, 20)) -> torch.Tensor:
    """Grey values even over [-0.9, 0.9], with a border of air."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9
    values[:, :3] = -1.0
    return values


def made(kind: str, scans: list[torch.Tensor], seed: int = 0) -> MatchAppearanced:
    """The transform over scans that are there already."""
    cases = [{"image": number, "label": "never read"} for number in range(len(scans))]
    load = Lambdad("image", func=lambda number: scans[number])
    return MatchAppearanced("image", kind, cases, [load]).set_random_state(seed)


@pytest.mark.parametrize("shape", [(1, 24, 20), (3, 24, 20), (1, 12, 10, 8), (2, 12, 10, 8)])
def test_ranks_become_those_of_the_scan_and_air_stays(shape: tuple[int, ...]) -> None:
    own, scan = image(0, shape), (image(1, shape) + 1) ** 3 / 8 * 2 - 1
    found = made("histogram", [scan])({"image": own, "replayed": True, "case_id": "a"})["image"]
    assert found.shape == own.shape and found.dtype == own.dtype
    body = own > -0.999
    assert torch.equal(found == -1.0, ~body)
    np.testing.assert_allclose(ranks(found), ranks(scan), atol=0.02)
    for channel, before in zip(found, own, strict=True):  # one monotone curve a channel
        order = before[before > -0.999].argsort()
        assert (channel[before > -0.999][order].diff() >= -1e-6).all()


def test_a_curve_of_equal_ranks_changes_nothing() -> None:
    own = image(0)
    np.testing.assert_allclose(mapped(own[0], ranks(own)[0], ranks(own)[0]), own[0], atol=0.002)


@pytest.mark.parametrize("constant", [-1.0, 0.25])
def test_an_image_of_one_value_stays_finite(constant: float) -> None:
    own = torch.full((1, 10, 10), constant)
    for kind in ("histogram", "fourier"):
        found = made(kind, [image(1)])({"image": own, "replayed": True})["image"]
        assert torch.isfinite(found).all() and found.shape == own.shape


def test_low_amplitudes_are_the_others_and_phases_stay() -> None:
    own, other = image(0), image(1)
    found = with_low_amplitudes(own, other, 0.1)
    spectrum, before, wanted = (torch.fft.fftn(x, dim=(1, 2)) for x in (found, own, other))
    low = (torch.fft.fftfreq(24).abs()[:, None] <= 0.1) & (torch.fft.fftfreq(20).abs()[None] <= 0.1)
    torch.testing.assert_close(spectrum[:, low].abs(), wanted[:, low].abs(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(spectrum[:, ~low], before[:, ~low], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("band", [0.0, 0.05])
def test_a_dark_image_becomes_as_bright_as_a_bright_scan(band: float) -> None:
    own, other = 0.4 * image(0) - 0.5, 0.4 * image(1) + 0.5
    found = with_low_amplitudes(own, other, band)
    torch.testing.assert_close(found.mean(), other.mean(), rtol=1e-4, atol=1e-4)


def test_nothing_is_changed_but_replayed_cases() -> None:
    for kind in ("histogram", "fourier", "none"):
        step = made(kind, [image(1)])
        case = {"image": image(0), "case_id": "mine"}
        assert step(case)["image"] is case["image"]
    changed = made("fourier", [image(1)])({"image": image(0), "replayed": True})["image"]
    assert not torch.equal(changed, image(0)) and changed.abs().max() <= 1


@pytest.mark.parametrize("kind", ["histogram", "fourier"])
def test_the_draw_follows_from_the_state(kind: str) -> None:
    case: dict[str, Any] = {"image": image(0), "replayed": True, "case_id": "a"}
    scans = [(image(seed) + 1) ** (1 + seed) / 2**seed - 1 for seed in range(6)]
    step = made(kind, scans, seed=3)
    first, second = step(case)["image"], step(case)["image"]
    step.set_random_state(3)
    assert torch.equal(step(case)["image"], first) and not torch.equal(first, second)


@pytest.mark.parametrize("size", [5, 16, 40])
def test_a_scan_of_another_size_is_cropped_or_mirrored(size: int) -> None:
    scan = torch.arange(float(size))[None, :, None].expand(1, size, 9)
    part = crop_like(scan, (16, 9), np.array([0.99, 0.0, 0.0]))
    assert part.shape == (1, 16, 9)
    wanted = {5: [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 4], 16: list(range(16)), 40: list(range(24, 40))}
    assert part[0, :, 0].tolist() == wanted[size]


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="match_appearance: got 'cyclegan', expected one of none, histogram, fourier"):
        made("cyclegan", [image(0)])
    with pytest.raises(ConfigError, match="there is no scan of the target"):
        made("histogram", [])
