"""What can be known of a segmenter without a label: whether its masks agree with themselves, their sizes, its denoising."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise
from monai_hybrid.losses.objectives import OBJECTIVES
from monai_hybrid.prediction.denoising import DenoisingScore
from monai_hybrid.prediction.usual import Usual

SMALL_T = 0.05  # of T: so little noise that the mask should stay
Segment = Callable[[Tensor, Callable[..., Tensor]], Tensor]


@dataclass(frozen=True)
class Seen:
    """One scan, as a model sees it.

    Attributes:
        agreement: mean Dice of its mask with those of the mirrored and of the slightly noisy scan, over the structures that are
            in either; 0 where there is no structure at all.
        denoising: see `DenoisingScore`; None without a trained image head.
        entropy: mean over the foreground, 0 sure to 1; None without foreground. It is told, and decides nothing: training on
            one's own masks lowers it whether they are right or wrong.
        odd: structures that are absent, or of a volume that is unusual for the model's source.
        volumes: of each structure, in the unit of the card.
    """

    agreement: float
    denoising: float | None
    entropy: float | None
    odd: int
    volumes: Mapping[str, float]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Look:
    """Measure these signals of any weights of one network.

    Args:
        card: of the model that is adapted: its structures, what is usual for them, and whether it denoises and reads noise.
        segment: a sliding-window inferer.
        spacing: of the network's grid.
        patch_size: of the network.
        schedule: the forward process.
    """

    def __init__(
        self,
        card: Mapping[str, Any],
        segment: Segment,
        spacing: Sequence[float],
        patch_size: Sequence[int],
        schedule: NoiseSchedule,
    ) -> None:
        self.names = [str(label["name"]) for label in card["labels"]][1:]
        self.segment, self.schedule = segment, schedule
        self.denoising = DenoisingScore(card, patch_size)
        reference = card.get("reference") or {}
        self.unit = str((reference.get("volumes") or {}).get("unit"))
        self.usual = Usual(reference, self.unit)
        self.voxel = math.prod(map(float, spacing)) / (1000 if self.unit == "ml" else 1)
        objective = OBJECTIVES.get(str(card["training"].get("objective")))
        self.reads_noise = objective is not None and objective.mask_on_noisy

    @torch.no_grad()
    def __call__(self, network: nn.Module, images: Sequence[Tensor]) -> list[Seen]:
        """What `network` makes of each preprocessed (C, X, Y[, Z]) image in [-1, 1]."""
        training = network.training
        network.eval()
        seen = [self._one(network, torch.as_tensor(image).float()) for image in images]
        network.train(training)
        return seen

    def _one(self, network: nn.Module, image: Tensor) -> Seen:
        x = image[None].to(next(network.parameters()).device)
        p = torch.as_tensor(self.segment(x, network)).float().softmax(1)
        mask = p.argmax(1)
        others = [self.segment(x.flip(axis), network).flip(axis).argmax(1) for axis in (2, 3)]
        if self.reads_noise:
            t = torch.tensor([max(1, round(SMALL_T * self.schedule.num_timesteps))])
            epsilon = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
            at_t = lambda part: network(part, t.expand(len(part)).to(part.device))  # noqa: E731
            others.append(self.segment(add_noise(x, epsilon, t, self.schedule), at_t).argmax(1))
        agreements = [agreement(mask, other, len(self.names)) for other in others]
        entropy = -(p * p.clamp(min=1e-8).log()).sum(1) / math.log(p.shape[1])
        volumes = {name: round(float((mask == k).sum()) * self.voxel, 4) for k, name in enumerate(self.names, 1)}
        odd = sum(volume == 0 or bool(self.usual.volume(name, volume)) for name, volume in volumes.items())
        return Seen(
            agreement=sum(agreements) / len(agreements),
            denoising=self.denoising(image.to(x.device), network),
            entropy=float(entropy[mask > 0].mean()) if bool((mask > 0).any()) else None,
            odd=odd,
            volumes=volumes,
        )


def agreement(one: Tensor, other: Tensor, structures: int) -> float:
    """Mean Dice of two masks (B, X, Y[, Z]) over the structures 1..`structures` that are in either; 0 where there is none."""
    values = []
    for k in range(1, structures + 1):
        a, b = one == k, other == k
        total = int(a.sum() + b.sum())
        if total:
            values.append(2 * int((a & b).sum()) / total)
    return sum(values) / len(values) if values else 0.0
