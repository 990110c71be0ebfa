"""What tells, without a label, how good a mask is: from the sweep, the denoising passes, and one flipped pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.inferers.input_grid import InputGridInferer
from monai_hybrid.inferers.windows import num_windows
from monai_hybrid.networks.transfer.names import unified
from monai_hybrid.prediction.denoising import (
    LEVELS,
    Denoised,
    DenoisingScore,
    WindowSpan,
    cut_window,
    window_at,
    without_padding,
)
from monai_hybrid.quality.mask_sums import MaskSums

SMALL_T = 2  # of the levels of noise count: at larger ones no mask is left to agree with
COVERED = 0.5  # of a structure must lie in a window that is compared
WINDOWS_PER_LOOK, MOST_LOOKS = 16, 4  # a further place is looked at for so many windows of the sweep
FLIPPED = 2  # axis of (B, C, X, Y[, Z]): left-right of a volume in RAS


class CaseSignals:
    """Measures the signals of `quality_schema.SIGNS` for each structure of a case.

    soft_dice, entropy: of the probabilities. agreement_noise, agreement_flip: Dice of the mask with those of noisy images and
    of the flipped image, in a window. denoising_error: of the case. volume_off: |log| of how far the volume lies outside the
    training labels' range. The sweep gives the first two, the denoising passes carry masks too; the flip is one pass
    more, and where the sweep has 16 windows or more, small structures off the centre get windows of their own.

    Args:
        card: of the model.
        score: of the denoising error.
        spacing: of the network's grid; None: the card's.

    A card without "quality" has no use for signals: `enabled` is False then.
    """

    def __init__(self, card: Mapping[str, Any], score: DenoisingScore, spacing: Sequence[float] | None = None) -> None:
        self.structures = [str(label["name"]) for label in card["labels"]][1:]
        self.score, self.volumes = score, ((card.get("reference") or {}).get("volumes") or {})
        self.voxel = math.prod(spacing or card["training"]["spacing"]) / (1000 if self.volumes.get("unit") == "ml" else 1)
        self.enabled = bool((card.get("quality") or {}).get("dice"))

    def sums(self, image: Tensor, inferer: InputGridInferer) -> MaskSums | None:
        """To be called before `inferer.segment(image)`: what will take its rods; None where nothing is measured."""
        sums = MaskSums(image.shape[1:], len(self.structures) + 1) if self.enabled else None
        inferer.on_rod = None if sums is None else sums.add
        return sums

    @torch.no_grad()
    def measured(
        self, sums: MaskSums, image: Tensor, network: nn.Module, inferer: InputGridInferer
    ) -> tuple[float | None, dict[str, dict[str, float | None]]]:
        """The denoising error, and the signals of each structure that was found.

        Args:
            sums: of the sweep over this image.
            image: preprocessed (C, X, Y[, Z]).
            network: a HybridDiffusionUNet.
            inferer: of the sweep.
        """
        inferer.on_rod = None
        image = torch.as_tensor(image).float()
        denoised = self.score.look(image, network)
        found = {index: name for index, name in enumerate(self.structures, 1) if sums.voxels[index]}
        noise, flip = self._agreements(sums, image, network, inferer, denoised)
        error = None if denoised is None else denoised.error
        return error, {
            name: {
                "soft_dice": sums.soft_dice(index),
                "entropy": sums.mean_entropy(index),
                "agreement_noise": noise.get(index),
                "agreement_flip": flip.get(index),
                "denoising_error": error,
                "volume_off": self.volume_off(name, float(sums.voxels[index]) * self.voxel),
            }
            for index, name in found.items()
        }

    def volume_off(self, name: str, volume: float) -> float | None:
        """|log| of the volume over the nearer end of the card's range; 0 within it, None where the card has none."""
        entries = {unified(str(key)): entry for key, entry in (self.volumes.get("structures") or {}).items()}
        entry = entries.get(unified(name))
        if entry is None or not volume > 0:
            return None
        return max(0.0, math.log(volume / entry["max"]), math.log(entry["min"] / volume))

    def _places(self, sums: MaskSums, looks: int) -> Iterator[tuple[Sequence[WindowSpan], list[int]]]:
        """Windows, the one at the centre first, each with the structures that it shows and no earlier one did."""
        size, found = sums.labels.shape, sums.voxels.clone()
        found[0] = 0
        by_size = [int(k) for k in found.argsort(descending=True) if found[k]]
        for k in (0, *by_size):  # 0: no structure, the centre
            if not found.any() or looks < 0:
                return
            if k and not found[k]:
                continue
            middle = (sums.labels == k).nonzero().float().median(0).values.tolist() if k else None
            window = window_at(size, self.score.roi, middle)
            here = torch.bincount(_part(sums.labels, window).flatten().long(), minlength=len(found))
            shown = [i for i in by_size if found[i] and here[i] >= COVERED * found[i]]
            if shown:
                looks -= bool(k)
                if looks < 0:
                    return
                found[shown] = 0
                yield window, shown

    def _agreements(
        self, sums: MaskSums, image: Tensor, network: nn.Module, inferer: InputGridInferer, denoised: Denoised | None
    ) -> tuple[dict[int, float], dict[int, float]]:
        """By class index: agreement under small noise, and under a flip."""
        noise: dict[int, float] = {}
        flip: dict[int, float] = {}
        size = tuple(image.shape[1:])
        looks = min(MOST_LOOKS, num_windows(size, inferer.roi_size, inferer.overlap) // WINDOWS_PER_LOOK)
        centre = window_at(size, self.score.roi)
        for window, shown in self._places(sums, looks):
            here, mirrored = _part(sums.labels, window), self._flipped(image, window, network, inferer)
            seen = denoised if window == centre else self.score.look(image, network, window, LEVELS[:1])
            masks = [] if seen is None else seen.masks[:SMALL_T]
            for k in shown:
                flip[k] = _dice(mirrored, here, k)
                if masks:
                    noise[k] = sum(_dice(mask, here, k) for mask in masks) / len(masks)
        return noise, flip

    def _flipped(self, image: Tensor, window: Sequence[WindowSpan], network: nn.Module, inferer: InputGridInferer) -> Tensor:
        """(X, Y[, Z]) class index in the window, from the mirrored image."""
        x = cut_window(image, window)[None].flip(FLIPPED)
        logits = torch.as_tensor(inferer.segmenter(network)(x)).flip(FLIPPED)
        return without_padding(logits[0].argmax(0), window).cpu()


def _part(labels: Tensor, window: Sequence[WindowSpan]) -> Tensor:
    return labels[tuple(slice(span.start, span.start + span.length) for span in window)]


def _dice(a: Tensor, b: Tensor, k: int) -> float:
    """Of class k in two masks of one shape, which `b` holds."""
    in_a, in_b = a == k, b == k
    return float(2 * (in_a & in_b).sum() / (in_a.sum() + in_b.sum()))
