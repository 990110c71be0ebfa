"""The hybrid loss.

    L =                E[ w(t) |D_x(x_t, t) - target|^2 ]     image term, t > 0
        + lambda_mask  E[ v(t) l_seg(D_y(x_t, t), y) ]        mask term, t > 0
        + lambda_clean E[ l_seg(D_y(x_0, 0), y) ]             mask term, t = 0

The first two terms are the hybrid objective of arXiv 2408.03433 (image and mask from one noisy input, the mask weighted less);
the third gives a share of each batch clean, because the fine-tuned segmenter will see nothing else. For any positive weights
the optimum is D_x = E[x | x_t] and D_y = E[y | x_t], with cross-entropy as with the squared error (both are proper scores).

With self-training the two mask terms are taken once more, of images without a label and with the masks of the teacher:

        + w (lambda_mask E[ v(t) c l_seg(D_y(x_t, t), y_teacher) ] + lambda_clean E[ c l_seg(D_y(x_0, 0), y_teacher) ])

c is the teacher's certainty of a voxel, w rises with the update.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.networks.utils import one_hot
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, check_prediction_type

MASK_LOSSES = ("dice_ce", "ce", "mse")
TIME_WEIGHTS = ("uniform", "min_snr", "alpha_bar")


@dataclass
class Taught:
    """Masks of a teacher for the images of a batch that have no label; made by `MeanTeacher`.

    Attributes:
        rows: (B,) bool, on the CPU: the N images of the batch that they belong to.
        label: (N, 1, ...) int64, class index 0..K-1.
        certainty: (N, 1, ...) float32 in [0, 1], how much a voxel counts.
        weight: of the term.
    """

    rows: Tensor
    label: Tensor
    certainty: Tensor
    weight: float


@dataclass
class HybridTarget:
    """What a batch has to be compared with; made by `HybridPrepareBatch`.

    Attributes:
        image: (B, C, ...) float32, the prediction target of the image channels (epsilon, v or x_0).
        label: (B, 1, ...) int64, class index 0..K-1.
        timesteps: (B,) int64, on the CPU; 0 = clean input.
        has_label: (B,) bool, on the CPU.
        image_term: whether the image channels count at t > 0.
        mask_on_noisy: whether the mask channels count at t > 0.
        annotated: (B, 1, ...) bool, the voxels whose label counts; None: all. The label of the others is any class.
        taught: masks of a teacher for images without a label; None: no self-training.
    """

    image: Tensor
    label: Tensor
    timesteps: Tensor
    has_label: Tensor
    image_term: bool = True
    mask_on_noisy: bool = True
    annotated: Tensor | None = None
    taught: Taught | None = None


@dataclass
class LossTerms:
    """The parts of one loss value, detached and left on the device; None where no sample of the batch had the term.

    Attributes:
        image: weighted image term.
        mask_noisy: weighted mask term on noisy inputs, before lambda_mask.
        mask_clean: mask term on clean inputs, before lambda_clean.
        timesteps: (N,) t of the labelled samples, on the CPU.
        mask_by_sample: (N,) their mask loss without Dice and without weight, for the curve over t.
        taught: self-training term, before its weight.
        certainty: mean certainty of the teacher.
    """

    image: Tensor | None
    mask_noisy: Tensor | None
    mask_clean: Tensor | None
    timesteps: Tensor
    mask_by_sample: Tensor
    taught: Tensor | None = None
    certainty: Tensor | None = None


class HybridLoss(nn.Module):
    """Image term + lambda_mask x mask term on noisy inputs + lambda_clean x mask term on clean inputs.

    Args:
        schedule: gives alpha_bar for the weights over the noise level.
        num_image_channels: C; the first C of the prediction's channels.
        lambda_mask: weight of the mask term on noisy inputs.
        lambda_clean: weight of the mask term on clean inputs.
        mask_loss: "dice_ce" (cross-entropy + soft Dice; Dice on clean inputs only, since at large t the mask is a probability
            that Dice would push to 0 or 1), "ce", or "mse" (squared error of the softmax against the one-hot mask in {0, 1}:
            what E[y | x_t] literally reads).
        prediction_type: what the image channels predict; "min_snr" depends on it.
        image_weight: w(t): "uniform", "min_snr" (Hang et al. 2023, gamma = 5) or "alpha_bar".
        mask_weight: v(t): "uniform", "alpha_bar" (emphasis on small noise), or "min_snr": what the image term has of it.

    Raises:
        ValueError: for an unknown name or a negative weight.
    """

    def __init__(
        self,
        schedule: NoiseSchedule,
        num_image_channels: int = 1,
        lambda_mask: float = 0.3,
        lambda_clean: float = 1.0,
        mask_loss: str = "dice_ce",
        prediction_type: str = "epsilon",
        image_weight: str = "uniform",
        mask_weight: str = "uniform",
    ) -> None:
        super().__init__()
        if mask_loss not in MASK_LOSSES:
            raise ValueError(f"mask_loss must be one of {', '.join(MASK_LOSSES)}, got {mask_loss!r}")
        if image_weight not in TIME_WEIGHTS or mask_weight not in TIME_WEIGHTS:
            raise ValueError(f"weights over t must be among {', '.join(TIME_WEIGHTS)}, got {image_weight!r}, {mask_weight!r}")
        check_prediction_type(prediction_type)
        if lambda_mask < 0 or lambda_clean < 0:
            raise ValueError(f"lambda_mask and lambda_clean must not be negative, got {lambda_mask}, {lambda_clean}")
        self.schedule = schedule
        self.num_image_channels = num_image_channels
        self.lambda_mask = lambda_mask
        self.lambda_clean = lambda_clean
        self.mask_loss = mask_loss
        self.prediction_type = prediction_type
        self.image_weight = image_weight
        self.mask_weight = mask_weight
        self.dice = DiceLoss(softmax=True, to_onehot_y=True, reduction="none")
        self.dice_of_shares = DiceLoss(reduction="none")
        self.terms: LossTerms | None = None

    def forward(self, prediction: Tensor, target: HybridTarget) -> Tensor:
        """(B, C + K, ...) prediction against its target: a scalar, float32 whatever autocast is on.

        The parts of the last value stay in `self.terms` for the log.
        """
        with torch.autocast(prediction.device.type, enabled=False):
            prediction = prediction.float()
            image, logits = prediction[:, : self.num_image_channels], prediction[:, self.num_image_channels :]
            noisy = target.timesteps > 0
            on_image = noisy if target.image_term else torch.zeros_like(noisy)
            on_noisy = (noisy if target.mask_on_noisy else torch.zeros_like(noisy)) & target.has_label
            on_clean = ~noisy & target.has_label

            image_term = _mean_where(on_image, self._image_loss(image, target))
            mask_loss = self._mask_loss(logits, target.label, target.annotated)
            noisy_term = _mean_where(on_noisy, self.time_weight(self.mask_weight, target.timesteps, logits) * mask_loss)
            clean_term = _mean_where(on_clean, mask_loss + self._dice_loss(logits, target, on_clean))
            # An arm without any term for this batch still needs a graph for backward().
            total = image_term + self.lambda_mask * noisy_term + self.lambda_clean * clean_term + 0 * prediction.sum()
            taught = None if target.taught is None else self._taught_term(logits, target, target.taught)
            if taught is not None and target.taught is not None:
                total = total + target.taught.weight * taught
        self.terms = LossTerms(
            image=image_term.detach() if on_image.any() else None,
            mask_noisy=noisy_term.detach() if on_noisy.any() else None,
            mask_clean=clean_term.detach() if on_clean.any() else None,
            timesteps=target.timesteps[target.has_label],
            mask_by_sample=mask_loss.detach()[target.has_label.to(mask_loss.device)],
            taught=None if taught is None else taught.detach(),
            certainty=None if target.taught is None else target.taught.certainty.mean(),
        )
        return total

    def _image_loss(self, image: Tensor, target: HybridTarget) -> Tensor:
        """(B,) mean squared error of the image channels, weighted by w(t)."""
        error = F.mse_loss(image, target.image, reduction="none").flatten(1).mean(1)
        return self.time_weight(self.image_weight, target.timesteps, image) * error

    def _mask_loss(self, logits: Tensor, label: Tensor, annotated: Tensor | None) -> Tensor:
        """(B,) cross-entropy or squared error of the mask channels, mean over the annotated voxels."""
        return _mean_inside(self._mask_error(logits, label), annotated)

    def _mask_error(self, logits: Tensor, label: Tensor) -> Tensor:
        """(B, ...) cross-entropy or squared error of each voxel."""
        if self.mask_loss == "mse":
            y = one_hot(label, num_classes=logits.shape[1])
            return (logits.softmax(1) - y).square().sum(1)
        return F.cross_entropy(logits, label[:, 0].long(), reduction="none")

    def _taught_term(self, logits: Tensor, target: HybridTarget, taught: Taught) -> Tensor:
        """The two mask terms of the images that a teacher gave masks, each voxel weighted by the teacher's certainty."""
        logits, timesteps = logits[taught.rows.to(logits.device)], target.timesteps[taught.rows]
        noisy = timesteps > 0
        error = (self._mask_error(logits, taught.label) * taught.certainty[:, 0]).flatten(1).mean(1)
        on_noisy = _mean_where(noisy, self.time_weight(self.mask_weight, timesteps, logits) * error)
        on_clean = _mean_where(~noisy, error + self._taught_dice(logits, taught, ~noisy))
        return self.lambda_mask * on_noisy + self.lambda_clean * on_clean

    def _taught_dice(self, logits: Tensor, taught: Taught, rows: Tensor) -> Tensor:
        """(N,) soft Dice loss of the chosen rows, mean over the classes that the teacher sees; 0 elsewhere.

        A class that it does not see counts for nothing: a teacher that misses a structure would take it from the student too.
        """
        value = logits.new_zeros(logits.shape[0])
        if self.mask_loss != "dice_ce" or not rows.any():
            return value
        index = rows.to(logits.device)
        certainty, y = taught.certainty[index], one_hot(taught.label[index], num_classes=logits.shape[1])
        loss = self.dice_of_shares(logits[index].softmax(1) * certainty, y * certainty).flatten(2).mean(2)
        seen = y.flatten(2).any(2)
        value[index] = (loss * seen).sum(1) / seen.sum(1)
        return value

    def _dice_loss(self, logits: Tensor, target: HybridTarget, rows: Tensor) -> Tensor:
        """(B,) soft Dice loss, mean over all classes, of the chosen rows; 0 elsewhere.

        A voxel that nobody annotated has a probability of 0 and a one-hot mask of 0 in every class: it adds to no sum.
        """
        value = logits.new_zeros(logits.shape[0])
        if self.mask_loss != "dice_ce" or not rows.any():
            return value
        index = rows.to(logits.device)
        if target.annotated is None:
            value[index] = self.dice(logits[index], target.label[index]).flatten(1).mean(1)
            return value
        inside, p = target.annotated[index], logits[index].softmax(1)
        y = one_hot(target.label[index], num_classes=logits.shape[1])
        value[index] = self.dice_of_shares(torch.where(inside, p, 0.0), torch.where(inside, y, 0.0)).flatten(1).mean(1)
        return value

    def time_weight(self, name: str, timesteps: Tensor, like: Tensor) -> Tensor:
        """(B,) weight over the noise level, on the device of `like`."""
        alpha_bar = self.schedule.alpha_bar[timesteps.long().cpu()]
        if name == "uniform":
            weight = torch.ones_like(alpha_bar)
        elif name == "alpha_bar":
            weight = alpha_bar
        else:
            snr = alpha_bar / (1 - alpha_bar).clamp(min=1e-8)
            unweighted = {"epsilon": snr, "v": snr + 1, "sample": torch.ones_like(snr)}[self.prediction_type]
            weight = snr.clamp(max=5.0) / unweighted
        return weight.to(like.device, torch.float32)


def _mean_inside(error: Tensor, annotated: Tensor | None) -> Tensor:
    """(B,) mean of (B, ...) over the voxels of (B, 1, ...) that are True, or over all; 0 where there is none."""
    if annotated is None:
        return error.flatten(1).mean(1)
    inside = annotated[:, 0].flatten(1)
    return torch.where(inside, error.flatten(1), 0.0).sum(1) / inside.sum(1).clamp(min=1)


def _mean_where(rows: Tensor, values: Tensor) -> Tensor:
    """Mean of (B,) values over the chosen rows; 0 when there are none. A weight of 0 must not let a NaN through."""
    index = rows.to(values.device)
    return values[index].mean() if bool(rows.any()) else values.new_zeros(())
