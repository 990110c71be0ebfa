"""Draw image-mask pairs from a model and write them as files that any viewer opens."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn

from data_prep.atomic import replace_file
from data_prep.colour import RGB
from data_prep.normalising import HARD, undone
from data_prep.on_grid import smallest_integer
from data_prep.pictures import LARGEST_VALUE, png_mask
from data_prep.result_files import MADE_WITH, is_ours
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.diffusion.sampling import network_denoiser, sample_ode, sample_sde
from monai_hybrid.distilled_models import refuse_distilled
from monai_hybrid.errors import ConfigError
from monai_hybrid.evaluation.scores import dice_per_class
from monai_hybrid.losses.objectives import refuse_to_draw
from monai_hybrid.reporting.figures import Panel, contact_sheet, shown_slices
from monai_hybrid.screen import write_log
from monai_hybrid.shape_models import warning
from monai_hybrid.weights import checksum, load_weights, with_pretrained

logger = logging.getLogger("monai_hybrid.sampling")


class PairSampler:
    """Sample pairs of the size that the network was trained on.

    Args:
        network: the hybrid network, on its device.
        model: its weights; loaded when `run` is called.
        card: describes the model.
        schedule: the forward process it was trained with.
        output_dir: `sample_000_image`, `sample_000_mask`, `contact_sheet.png` and `samples.json` go here.
        to_train: nobody looks at the images, they are read again as scans, so they are NIfTI in 2D too.
    """

    to_train = False

    def __init__(
        self,
        network: nn.Module,
        model: str,
        card: Mapping[str, Any],
        schedule: NoiseSchedule,
        output_dir: str,
        to_train: bool = False,
    ) -> None:
        self.network, self.model, self.card, self.schedule = network, model, card, schedule
        self.folder, self.to_train = Path(output_dir), to_train

    def run(self, num_samples: int, num_inference_steps: int, method: str, seed: int, batch_size: int) -> None:
        """Draw, write, and report how well each mask agrees with the segmentation of its own image.

        Raises:
            ConfigError: unknown method, more steps than the schedule has, a model that was distilled or not trained to denoise.
            ModelFileError: the weights are missing or do not fit.
        """
        if method not in ("ode", "sde"):
            raise ConfigError(f"method: got {method!r}, expected ode (proposition B) or sde (proposition A)")
        if num_inference_steps > (most := self.schedule.num_timesteps):
            raise ConfigError(
                f"num_inference_steps: got {num_inference_steps}, expected at most {most}, the noise levels of {self.model}. "
                f"Type: --num_inference_steps {most}"
            )
        refuse_distilled(self.card, str(self.model), "sample")
        refuse_to_draw(self.card, str(self.model))
        if said := warning(self.card, str(self.model)):
            logger.warning("%s", said)
        with_pretrained(self.network, self.model).eval()
        generator = torch.Generator().manual_seed(seed)
        images, masks, agreement = [], [], []
        for start in range(0, num_samples, batch_size):
            count = min(batch_size, num_samples - start)
            x_0, y_0, last = self._draw(count, num_inference_steps, method, generator)
            images += list(x_0.cpu())
            masks += list(y_0.argmax(1).cpu())
            agreement += self._agreement(y_0, last)
        self._write(images, masks, agreement, {"method": method, "num_inference_steps": num_inference_steps, "seed": seed})

    def _draw(self, count: int, steps: int, method: str, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """x_0, y_0 = E[y | x_0], and the mask estimate one step earlier, from the last noisy x_t."""
        channels = len(self.card["channels"])
        shape = (count, channels, *self.card["training"]["patch_size"])
        device = next(self.network.parameters()).device
        x_T = torch.randn(shape, generator=generator).to(device)
        denoiser = network_denoiser(self.network, self.schedule, self.card["training"]["prediction_type"], channels)
        seen: list[Tensor] = []

        def keep(state: dict[str, Any]) -> None:
            seen[:] = [*seen[-1:], state["mask_prob"]]

        if method == "ode":
            x_0, y_0 = sample_ode(denoiser, x_T, self.schedule, steps, callback=keep)
        else:
            x_0, y_0 = sample_sde(denoiser, x_T, self.schedule, steps, generator=generator, callback=keep)
        return x_0, y_0, seen[-2]

    def _agreement(self, y_0: Tensor, last: Tensor) -> list[float]:
        """Mean Dice between the mask at t = 0 and the one that the last noisy step led to: near 1 for a trained model."""
        num_classes = y_0.shape[1]
        values = [dice_per_class(a.argmax(0)[None], b.argmax(0)[None], num_classes) for a, b in zip(y_0, last, strict=True)]
        return [sum(v) / len(v) for v in values]

    def _write(self, images: list[Tensor], masks: list[Tensor], agreement: list[float], about: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_log(self.folder)
        values = np.array([label["value"] for label in self.card["labels"]])
        for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
            self._write_image(image.numpy(), f"sample_{i:03d}_image")
            self._write_mask(values[mask.numpy()], f"sample_{i:03d}_mask")
        names = [label["name"] for label in self.card["labels"]]
        write_sheet(images, masks, names, self.folder / "contact_sheet.png", coloured=bool(self.card.get("colour")))
        made_by = {"model": str(self.model), "sha256": checksum(load_weights(self.model))}
        text = json.dumps({**about, **made_by, "to_train": self.to_train, "agreement": agreement}, indent=2)
        replace_file(self.folder / "samples.json", lambda path: path.write_text(text + "\n"))
        logger.info("%d pairs in %s; mask against last noisy step: Dice %s", len(images), self.folder, _list(agreement))

    @property
    def _scaling(self) -> Mapping[str, Any]:
        return (self.card.get("plan") or {}).get("normalization") or {}

    @property
    def _pictures(self) -> bool:
        """Whether PNG says all of an image: its pixels are the network's, and any unit of grey will do."""
        training = self.card["training"]
        plain = all(edge == 1 for edge in training["spacing"]) and self._scaling.get("method") in (None, HARD)
        return len(training["spacing"]) == 2 and not self.to_train and (plain or bool(self.card.get("colour")))

    def _write_image(self, image: np.ndarray, name: str) -> None:
        """(C, X, Y[, Z]) in [-1, 1]. NIfTI: the values before their scaling; of a volume channels last where there are several,
        in 2D a file a channel. PNG, where it says all: 8 bits, three colours as one picture, any other channels as one each."""
        channels = self.card["channels"]
        if not self._pictures:
            scan = undone(image.clip(-1, 1), self._scaling)
            planes = {f"{name}_{channel}": plane for channel, plane in zip(channels, scan, strict=True)}
            if len(scan) == 1 or image.ndim == 4:
                planes = {name: scan[0] if len(scan) == 1 else np.moveaxis(scan, 0, -1)}
            for file, array in planes.items():
                self._write_nifti(array, file, np.float32)
            return
        pixels = np.rint((image.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
        pictures = {f"{name}_{channel}": plane.T for channel, plane in zip(channels, pixels, strict=True)}
        if len(pixels) == 1 or self.card.get("colour") == list(RGB):
            pictures = {name: pixels[0].T if len(pixels) == 1 else pixels.transpose(2, 1, 0)}
        for file, array in pictures.items():
            self._write_png(Image.fromarray(np.ascontiguousarray(array)), file)

    def _write_mask(self, mask: np.ndarray, name: str) -> None:
        """(X, Y[, Z]) of the user's label values, as its image, or as NIfTI where PNG cannot hold them."""
        if self._pictures and mask.max() <= LARGEST_VALUE:
            self._write_png(png_mask(mask), name)
        else:
            self._write_nifti(mask, name, smallest_integer([label["value"] for label in self.card["labels"]]))

    def _write_png(self, picture: Image.Image, name: str) -> None:
        told = PngInfo()
        told.add_text("Description", MADE_WITH)
        replace_file(self.folder / f"{name}.png", lambda path: picture.save(path, format="PNG", pnginfo=told))
        self._remove_earlier(f"{name}.nii.gz")

    def _write_nifti(self, array: np.ndarray, name: str, kind: type[np.generic]) -> None:
        """With the training spacing, RAS."""
        spacing = self.card["training"]["spacing"]
        volume = nib.Nifti1Image(array.astype(kind), np.diag([*spacing, *[1.0] * (4 - len(spacing))]), dtype=np.dtype(kind))
        volume.header.set_xyzt_units("mm")
        volume.header["descrip"] = MADE_WITH.encode()
        replace_file(self.folder / f"{name}.nii.gz", lambda path: _save_nifti(volume, path))
        self._remove_earlier(f"{name}.png")

    def _remove_earlier(self, name: str) -> None:
        """What an earlier start into this folder wrote in the other format: one scan must not be there twice."""
        if (path := self.folder / name).is_file() and is_ours(path):
            path.unlink()


def write_sheet(images: list[Tensor], masks: list[Tensor], class_names: list[str], path: Path, coloured: bool = False) -> None:
    """One row: for each pair (C, X, Y[, Z]) and (X, Y[, Z]) the slice with most foreground, with its mask drawn over it."""
    panels = [Panel(*shown_slices(x.numpy(), y.numpy(), coloured)) for x, y in zip(images, masks, strict=True)]
    plain = [Panel(panel.image) for panel in panels]
    titles = [f"pair {i + 1}" for i in range(len(panels))]
    contact_sheet([plain, panels], titles, ["image", "mask"], path, dict(enumerate(class_names)))


def _save_nifti(volume: nib.Nifti1Image, path: Path) -> None:
    """Compressed by us: nibabel chooses the format by the suffix, which a temporary name does not have."""
    path.write_bytes(gzip.compress(volume.to_bytes(), compresslevel=6, mtime=0))


def _list(values: list[float]) -> str:
    return ", ".join(f"{v:.2f}" for v in values)
