"""Pictures while training: at four noise levels the noisy input, the denoised image, the predicted and the true mask.

What the objective does not train is left out: the denoised image, and noisy inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import add_noise, predicted_x_0
from monai_hybrid.engines.prepare_batch import HybridPrepareBatch
from monai_hybrid.reporting.figures import Panel, contact_sheet, middle_slices, shown_slices
from monai_hybrid.transforms.domains import DOMAIN

NOISE_LEVELS = (0.0, 0.2, 0.5, 0.8)


class TrainingPictures:
    """Draw what the averaged model makes of the first case of the batch; to TensorBoard and to `pictures.png`.

    The same noise is used each time, so that the pictures of two epochs differ by the model alone.

    Args:
        model: the averaged network.
        prepare_batch: gives the schedule and the prediction type.
        writer: a TensorBoard `SummaryWriter`, or None.
        folder: `pictures.png`, always the latest, goes here.
        class_names: names of all K classes, background first.
        interval: epochs between pictures.
        colour: which colours of a picture are the channels; three are shown in colour.
    """

    def __init__(
        self,
        model: nn.Module,
        prepare_batch: HybridPrepareBatch,
        writer: Any,
        folder: str,
        class_names: Sequence[str],
        interval: int = 1,
        colour: Sequence[str] | None = None,
    ) -> None:
        self.model, self.prepare, self.writer = model, prepare_batch, writer
        self.folder, self.class_names, self.interval = Path(folder), list(class_names), interval
        self.coloured = colour is not None and len(colour) > 1
        objective = prepare_batch.objective
        self.denoises = objective.image_term
        self.levels = NOISE_LEVELS if objective.image_term or objective.mask_on_noisy else NOISE_LEVELS[:1]

    def attach(self, engine: Engine) -> None:
        """Draw at the end of every `interval` epochs."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(every=self.interval), self)

    def __call__(self, engine: Any) -> None:
        batch, device = engine.state.batch, engine.state.device
        x_0 = torch.as_tensor(batch["image"])[:1].to(device, torch.float32)
        label = torch.as_tensor(batch["label"])[0, 0].clamp(min=0)  # where nobody annotated: shown as background
        self.folder.mkdir(parents=True, exist_ok=True)
        domain = torch.as_tensor(batch[DOMAIN])[:1].to(device) if DOMAIN in batch else None
        sheet = self.draw(x_0, label, self.folder / "pictures.png", domain)
        if self.writer is not None:
            name = "noisy, denoised, predicted, true" if self.denoises else "input, predicted, true"
            self.writer.add_image(name, sheet, engine.state.epoch, dataformats="HWC")
            self.writer.flush()

    @torch.no_grad()
    def draw(self, x_0: Tensor, label: Tensor, path: Path, domain: Tensor | None = None) -> Any:
        """One row a noise level. x_0 is (1, C, ...), label (...), domain (1,); returns the sheet (H, W, 3) uint8."""
        schedule = self.prepare.schedule
        timesteps = torch.tensor([round(level * schedule.num_timesteps) for level in self.levels])
        x_0 = x_0.expand(len(timesteps), *x_0.shape[1:])
        epsilon = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).to(x_0.device)
        x_t = add_noise(x_0, epsilon, timesteps, schedule)
        told = {} if domain is None else {"class_labels": domain}
        output = self.model(x_t, timesteps.to(x_t.device), return_noise=True, **told).float()
        prediction, logits = output[:, : x_0.shape[1]], output[:, x_0.shape[1] :]
        denoised = predicted_x_0(prediction, x_t, timesteps, schedule, self.prepare.prediction_type).clamp(-1, 1)
        predicted = logits.argmax(1).cpu()
        clean = timesteps == 0
        denoised[clean] = x_0[clean]  # nothing to denoise, and epsilon says nothing about x_0 there
        rows = [
            self._row(x_0[i].cpu(), x_t[i].cpu(), denoised[i].cpu(), predicted[i], label.cpu()) for i in range(len(timesteps))
        ]
        titles = [f"t = {int(t)}" for t in timesteps]
        columns = ["input", *(["denoised"] if self.denoises else []), "predicted mask", "true mask"]
        return contact_sheet(rows, columns, titles, path, dict(enumerate(self.class_names)))

    def _row(self, x_0: Tensor, x_t: Tensor, denoised: Tensor, predicted: Tensor, label: Tensor) -> list[Panel]:
        """All panels show the same slice, the one in which the true mask is largest."""
        z = best_slice(label)
        noisy, clean, image = (shown_slices(v[..., z].numpy(), coloured=self.coloured)[0] for v in (x_t, denoised, x_0))
        masks = [middle_slices(x_0[0, ..., z].numpy(), m[..., z].numpy())[1] for m in (predicted, label)]
        shown = [Panel(noisy, smooth=False), *([Panel(clean)] if self.denoises else [])]
        return [*shown, Panel(image, masks[0]), Panel(image, masks[1])]


def best_slice(label: Tensor) -> slice:
    """For (X, Y, Z): the axial slice with the most foreground, as a slice of the last axis; for (X, Y): everything."""
    if label.ndim == 2:
        return slice(None)
    z = int((label > 0).sum(dim=(0, 1)).argmax())
    return slice(z, z + 1)
