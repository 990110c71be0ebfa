"""bfloat16 is taken for an image where it agrees, and only there."""

from __future__ import annotations

import logging

import pytest
import torch
from monai.data.utils import dense_patch_slices
from torch import Tensor, nn

from monai_hybrid.inferers import InputGridInferer, agreement, segmenter
from monai_hybrid.inferers.agreement import AgreeingPrecision
from monai_hybrid.inferers.windows import num_windows, scan_interval


class Sign(nn.Module):
    """Foreground where the image is positive; above `wrong_above` it errs. Keeps the numbers of windows it was given."""

    def __init__(self, wrong_above: float = torch.inf) -> None:
        super().__init__()
        self.wrong_above, self.calls = wrong_above, [0]

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append(len(x))
        said = torch.where(x > self.wrong_above, -1.0, x)
        return torch.cat([-said, said], 1)


@pytest.fixture(autouse=True)
def a_processor_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "fastest_dtype", lambda device: torch.bfloat16)


def windows(foreground: list[int], changed: int = 0) -> Tensor:
    """(B, 1, 100, 200): the first voxels of each window are foreground, in the first window `changed` of them at 10."""
    x = torch.full((len(foreground), 20000), -1.0)
    for row, count in zip(x, foreground, strict=True):
        row[:count] = 1
    x[0, :changed] = 10
    return x.view(-1, 1, 100, 200)


def run(x: Tensor, num: int = 24, batch: int = 1) -> tuple[AgreeingPrecision, Tensor]:
    module = AgreeingPrecision(Sign(), Sign(wrong_above=5))
    module.new_image(num)
    return module, torch.cat([module(part) for part in x.split(batch)])


def calls(module: AgreeingPrecision, precision: str) -> int:
    """Windows that were run in it."""
    form = module.exact if precision == "float32" else module.fast
    assert isinstance(form, Sign)
    return sum(form.calls)


@pytest.mark.parametrize(("changed", "taken"), [(0, "bfloat16"), (10, "bfloat16"), (11, "float32")])
@pytest.mark.parametrize("batch", [1, 3, 6])
def test_half_precision_needs_999_of_1000_voxels(
    changed: int, taken: str, batch: int, caplog: pytest.LogCaptureFixture
) -> None:
    x = windows([10000, 10000, 0, 10000, 10000, 0], changed)
    with caplog.at_level(logging.INFO, "monai_hybrid.precision"):
        module, logits = run(x, batch=batch)
    assert module.precision == taken
    assert torch.equal(logits, Sign()(x)), "the windows that were compared keep the float32 logits"
    said = f"precision {taken}: in 1 window, bfloat16 gives {10000 - changed} of 10000 foreground pixels float32's class"
    assert caplog.messages == [said + ("" if taken == "bfloat16" else ", below 99.9%")]
    assert calls(module, "float32") == (batch if taken == "bfloat16" else 6)


def test_windows_without_foreground_are_run_once_and_decide_nothing() -> None:
    module, _ = run(windows([0] * 6))
    assert (module.precision, calls(module, "float32"), calls(module, "bfloat16")) == ("bfloat16", 0, 6)


def test_too_little_foreground_is_no_proof(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "monai_hybrid.precision"):
        module, _ = run(windows([1600] * 6))
    assert (module.precision, calls(module, "float32")) == ("float32", 6)
    said = "in 3 windows, bfloat16 gives 4800 of 4800 foreground pixels float32's class, too few to go by"
    assert caplog.messages == [f"precision float32: {said}"]
    module, _ = run(windows([1700] * 6))
    assert (module.precision, calls(module, "float32")) == ("bfloat16", 3)


def test_few_windows_are_not_worth_a_test() -> None:
    module, _ = run(windows([6000] * 4), num=4)
    assert (module.precision, calls(module, "bfloat16")) == ("float32", 0)
    module, _ = run(windows([6000] * 5), num=5)
    assert (module.precision, calls(module, "float32")) == ("bfloat16", 1)


def test_without_instructions_for_it_all_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "fastest_dtype", lambda device: torch.float32)
    module, _ = run(windows([6000] * 6))
    assert (module.precision, calls(module, "bfloat16")) == ("float32", 0)


def test_each_image_is_chosen_for_anew() -> None:
    module = AgreeingPrecision(Sign(), Sign(wrong_above=5))
    inferer = InputGridInferer((64, 64), wrap=lambda network: module)
    good, bad = torch.ones(1, 192, 192), torch.ones(1, 192, 192)
    bad[0, ::7] = 10.0
    found = [inferer.segment(image, nn.Identity()) for image in (good, bad, good, good[:, :64, :64])]
    assert [one.precision for one in found] == ["bfloat16", "float32", "bfloat16", "float32"]
    assert all(bool(one.labels.all()) for one in found)
    assert InputGridInferer((64, 64)).segment(good, Sign()).precision is None


@torch.no_grad()
@pytest.mark.parametrize("timesteps", [[0], [0, 40]])
def test_auto_is_made_of_the_two_precisions(timesteps: list[int]) -> None:
    from test_segmenter import CARD
    from test_small_t import image, network

    auto = segmenter(network(), "auto", timesteps, CARD)
    assert isinstance(auto, AgreeingPrecision)
    for precision, form in (("float32", auto.exact), ("bfloat16", auto.fast)):
        assert torch.equal(form(image()), segmenter(network(), precision, timesteps, CARD)(image()))


@pytest.mark.parametrize(
    ("size", "roi", "overlap"), [((37, 50, 29), (16, 0, 32), 0.5), ((90, 10), (16, 16), 0.3), ((64,), (32,), 0)]
)
def test_the_number_of_windows_is_monai_s(size: tuple[int, ...], roi: tuple[int, ...], overlap: float) -> None:
    whole = [r or n for n, r in zip(size, roi, strict=True)]
    shape = [max(n, r) for n, r in zip(size, whole, strict=True)]
    assert num_windows(size, roi, overlap) == len(dense_patch_slices(shape, whole, scan_interval(shape, whole, overlap)))
