"""Mixed precision by default: where it pays, and nowhere else; validation folds what can be folded."""

from __future__ import annotations

import pytest
import torch

from monai_hybrid.bundle import mixed_precision_pays, precision, validation_network
from monai_hybrid.networks import FoldedSegmenter, HybridDiffusionUNet


@pytest.mark.parametrize("native", [torch.bfloat16, torch.float32])
def test_on_a_processor_it_follows_its_instructions_and_with_cuda_it_is_on(
    monkeypatch: pytest.MonkeyPatch, native: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "fastest_dtype", lambda _device: native)
    assert mixed_precision_pays(torch.device("cpu")) is (native == torch.bfloat16)
    assert mixed_precision_pays(torch.device("cuda")) is True


def test_validation_runs_the_folded_network_and_any_other_as_it_is() -> None:
    network = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8)
    for mixed, dtype in ((True, "auto"), (False, "float32")):
        made = validation_network(network, mixed)
        assert isinstance(made, FoldedSegmenter) and made.network is network and made.dtype == dtype
    other = torch.nn.Conv2d(1, 2, 1)
    assert validation_network(other, True) is other
