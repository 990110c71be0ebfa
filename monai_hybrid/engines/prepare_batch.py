"""From a batch of images and masks to what the network sees (x_t, t) and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from monai.engines import PrepareBatch
from torch import Tensor

from data_prep.ignoring import IGNORED
from monai_hybrid.diffusion.noising import PREDICTION_TYPES, NoiseSchedule, add_noise, draw_timesteps, prediction_target
from monai_hybrid.engines.teacher import MeanTeacher
from monai_hybrid.errors import ConfigError
from monai_hybrid.losses.hybrid import HybridTarget, Taught
from monai_hybrid.losses.objectives import get_objective
from monai_hybrid.transforms.annotated import plain
from monai_hybrid.transforms.domains import DOMAIN
from monai_hybrid.transforms.views import TEACHER
from monai_hybrid.transforms.warp import WARP, warp_batch


class HybridPrepareBatch(PrepareBatch):
    """Noise a batch as the objective says. Runs outside autocast, in float32, on plain tensors (torch.compile needs that).

    Args:
        schedule: the forward process.
        objective: name of the arm, see `monai_hybrid.losses.objectives`.
        clean_fraction: share of the labelled inputs that are exactly clean; None = the arm's own.
        prediction_type: "epsilon", "v" or "sample".
        teacher: gives images without a label their masks; None: no self-training.

    Raises:
        ConfigError: unknown objective or prediction type; a teacher, and an objective that learns no mask.
    """

    def __init__(
        self,
        schedule: NoiseSchedule,
        objective: str = "hybrid",
        clean_fraction: float | None = None,
        prediction_type: str = "epsilon",
        teacher: MeanTeacher | None = None,
    ) -> None:
        if prediction_type not in PREDICTION_TYPES:
            raise ConfigError(f"prediction_type: got {prediction_type!r}, expected one of {', '.join(PREDICTION_TYPES)}")
        self.schedule = schedule
        self.objective = get_objective(objective, clean_fraction)
        self.prediction_type, self.teacher = prediction_type, teacher
        if teacher is not None and not self.objective.learns_masks:
            raise ConfigError(f"self_training: the objective {objective} learns no mask; add --objective hybrid")

    def __call__(
        self,
        batchdata: Mapping[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, HybridTarget, tuple, dict[str, Any]]:
        """Draw t and epsilon, then apply them.

        Args:
            batchdata: "image" (B, C, ...) in [-1, 1], "label" (B, 1, ...) class index, -1 where nobody annotated, "has_label"
                (B,); with "warp" (see `DrawAffined`) both are resampled first; with a teacher its "teacher" (B, C, ...); for a
                network with domains "domain" (B,).

        Returns:
            x_t (B, C, ...), the target, no positional arguments for the network, and its keyword arguments.
        """
        x_0, label = (plain(batchdata[key]).to(device, torch.float32, non_blocking=non_blocking) for key in ("image", "label"))
        sparse = bool((plain(batchdata["label"]) == IGNORED).any())  # asked where the batch lies: a GPU need not be waited for
        if WARP in batchdata:
            x_0, label = warp_batch(x_0, label, plain(batchdata[WARP]))
        label = label.long()
        has_label = torch.as_tensor(batchdata["has_label"]).bool().cpu()
        if sparse:  # a patch that was turned away from every annotated slice has no label
            has_label = has_label & (label != IGNORED).flatten(1).any(1).cpu()
        taught = self._taught(batchdata, label, has_label)
        domain = torch.as_tensor(batchdata[DOMAIN]).long() if DOMAIN in batchdata else None
        if self.objective.two_pass:
            noisy = draw_timesteps(self.schedule.num_timesteps, 0.0, has_label)
            timesteps = torch.cat([noisy, torch.zeros_like(noisy)])
            x_0, label, has_label = torch.cat([x_0, x_0]), torch.cat([label, label]), torch.cat([has_label, has_label])
            domain = None if domain is None else torch.cat([domain, domain])
        else:
            timesteps = self.draw_timesteps(has_label, taught)
        epsilon = torch.randn(x_0.shape, device=x_0.device)
        return self.apply(x_0, label, has_label, timesteps, epsilon, sparse, taught, domain)

    def draw_timesteps(self, has_label: Tensor, taught: Taught | None) -> Tensor:
        """(B,) int64 on the CPU; images with a teacher's mask are clean as often as those with a label."""
        T, clean = self.schedule.num_timesteps, self.objective.clean_fraction
        timesteps = draw_timesteps(T, clean, has_label)
        return timesteps if taught is None else torch.where(taught.rows, draw_timesteps(T, clean, taught.rows), timesteps)

    def _taught(self, batchdata: Mapping[str, Any], label: Tensor, has_label: Tensor) -> Taught | None:
        """The teacher's masks of the images without a label; None without a teacher or such an image."""
        if self.teacher is None or bool(has_label.all()):
            return None
        rows = ~has_label
        view = plain(batchdata[TEACHER])[rows].to(label.device, torch.float32)
        taught = self.teacher(view, rows, label[rows.to(label.device)] != IGNORED)
        if self.objective.two_pass:  # the second half of the batch is the clean one
            taught = replace(taught, rows=torch.cat([torch.zeros_like(rows), rows]))
        return taught

    def apply(
        self,
        x_0: Tensor,
        label: Tensor,
        has_label: Tensor,
        timesteps: Tensor,
        epsilon: Tensor,
        sparse: bool = False,
        taught: Taught | None = None,
        domain: Tensor | None = None,
    ) -> tuple[Tensor, HybridTarget, tuple, dict[str, Any]]:
        """The deterministic half: the same draws give the same batch. `sparse`: the label may hold -1."""
        annotated = label != IGNORED if sparse else None
        target = HybridTarget(
            image=prediction_target(x_0, epsilon, timesteps, self.schedule, self.prediction_type),
            label=label.clamp(min=0) if sparse else label,
            timesteps=timesteps,
            has_label=has_label,
            image_term=self.objective.image_term,
            mask_on_noisy=self.objective.mask_on_noisy,
            annotated=annotated,
            taught=taught,
        )
        x_t = add_noise(x_0, epsilon, timesteps, self.schedule)
        told = {} if domain is None else {"class_labels": domain.to(x_t.device)}
        return x_t, target, (), {"timesteps": timesteps.to(x_t.device), "return_noise": True, **told}
