"""What is run on a window when a model is used: the folded network, or its average over small noise levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.distilled_models import refuse_distilled
from monai_hybrid.errors import ConfigError
from monai_hybrid.inferers.agreement import AgreeingPrecision
from monai_hybrid.inferers.small_t import SmallTAverage
from monai_hybrid.networks.folding import DTYPES, folded
from monai_hybrid.networks.hybrid_unet import HybridDiffusionUNet
from monai_hybrid.networks.number_types import warn_of_slow_bfloat16


def segmenter(
    network: nn.Module, precision: str = "float32", timesteps: Sequence[int] = (0,), card: Mapping[str, Any] | None = None
) -> nn.Module:
    """(B, C, X, Y[, Z]) image -> (B, K, X, Y[, Z]) logits; the `wrap` of `InputGridInferer`.

    Args:
        network: a HybridDiffusionUNet, or another that does the same (run as it is); weights may be loaded into it later.
        precision: "float32", "bfloat16", or "auto": for each image bfloat16 where the device computes in it and the masks
            agree (`agreement.py`).
        timesteps: (0,) for the folded network; more levels for the mean over them, a pass of the network each.
        card: of the model; its `training` names the schedule of the noise.

    Raises:
        ConfigError: an unknown `precision`, levels without 0 or outside the schedule, or levels for a model that was
            distilled.
    """
    if precision not in (*DTYPES, "auto"):
        raise ConfigError(f"precision: got {precision!r}, expected one of auto, {', '.join(DTYPES)}")
    if precision == "auto":
        exact, fast = (segmenter(network, name, timesteps, card) for name in ("float32", "bfloat16"))
        return AgreeingPrecision(exact, fast)
    if tuple(timesteps) == (0,):
        folds = isinstance(network, HybridDiffusionUNet)
        return folded(network, precision) if folds else _Autocast(network, DTYPES[precision])
    refuse_distilled(card, "the model", f"--timesteps {list(timesteps)}")
    training = (card or {}).get("training", {})
    schedule = NoiseSchedule(training.get("num_timesteps", 1000), training.get("noise_schedule", "cosine"))
    return _Autocast(SmallTAverage(network, schedule, timesteps), DTYPES[precision])


class _Autocast(nn.Module):
    """A module under autocast to bfloat16 if that is `dtype`."""

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, x: Tensor) -> Tensor:
        if self.dtype == torch.bfloat16:
            warn_of_slow_bfloat16(x.device, "--precision float32")
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            logits: Tensor = self.module(x)
        return logits
