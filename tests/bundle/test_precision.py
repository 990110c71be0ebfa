"""Mixed precision by default: where it pays, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from monai_hybrid.bundle import mixed_precision_pays, precision


@pytest.mark.parametrize("native", [torch.bfloat16, torch.float32])
def test_on_a_processor_it_follows_its_instructions_and_with_cuda_it_is_on(
    monkeypatch: pytest.MonkeyPatch, native: torch.dtype
) -> None:
    monkeypatch.setattr(precision, "fastest_dtype", lambda _device: native)
    assert mixed_precision_pays(torch.device("cpu")) is (native == torch.bfloat16)
    assert mixed_precision_pays(torch.device("cuda")) is True
