"""One slice a case for reports: image, reference and prediction, turned as a radiologist expects them.

Arrays of `slices/<case_id>.npz` (compressed): `image` uint8 (H, W), grey, or (H, W, 3), in colour, percentiles 0.5 to 99.5 of
the volume to 0..255; `reference` and `prediction` uint8 (H, W), class index; `spacing` float32 (2,), between rows and columns,
in `unit`: "mm", or "pixels" (3D: "voxels") with a spacing of 1 where the files state no length. Everything lies on the label's
own grid, turned to the nearest RAS axes but not resampled. `reporting.overlays.read_slice` reads them.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from monai.transforms import LoadImage

from data_prep.atomic import replace_file
from data_prep.result_files import is_ours
from monai_hybrid.evaluation.case_table import file_name
from monai_hybrid.processes import rank_and_number, wait_for_all
from monai_hybrid.transforms import CaseReader

Array = npt.NDArray[Any]
MAX_CASES = 200
MAX_CLASSES = 256  # of uint8
COLOURS = 3
# Sagittal, coronal and axial planes are cut at right angles to RAS axes 0, 1 and 2.
AXIAL = 2
THICK = 1.5  # an image whose slices are this much thicker than its pixels was acquired in that plane
logger = logging.getLogger("monai_hybrid.evaluation")


class SliceSaver:
    """Keep the slice with most reference of each case, and write all when the evaluation is over.

    Args:
        folder: the evaluation's; the files go to `slices/` in it, and those of an earlier run there are removed.
        num_classes: K; above 256 nothing is kept, and that is said.
        unit: "mm" when every file states its spacing; otherwise slices are in pixels.
        limit: number of cases kept, the first of the data list.
        colour: which colours of a picture are the channels, as the model reads them; three are shown in colour.
        spatial_dims: of the model.
    """

    def __init__(
        self,
        folder: str,
        num_classes: int,
        unit: str,
        limit: int = MAX_CASES,
        colour: str | Sequence[str] | None = None,
        spatial_dims: int | None = None,
    ) -> None:
        self.folder, self.unit = Path(folder) / "slices", unit
        self.limit = limit // rank_and_number()[1] if num_classes <= MAX_CLASSES else 0
        reader = CaseReader(colour, spatial_dims)
        self.load = LoadImage(reader=reader, ensure_channel_first=True, image_only=True)
        self.coloured = reader.colour is not None and len(reader.colour) == COLOURS
        self.kept: dict[str, bytes] = {}

    def attach(self, engine: Engine) -> None:
        """Collect after each batch, write at the end."""
        engine.add_event_handler(Events.STARTED, lambda: self.kept.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def collect(self, engine: Engine) -> None:
        """One slice for each decollated item of the batch; the image is read anew, since the network's is resampled."""
        for item, case in zip(engine.state.output, engine.state.batch, strict=True):
            if len(self.kept) < self.limit:
                image = self.load(case["image"].meta["filename_or_obj"])
                found = case_slice(image, item["label"], item["pred"], self.unit == "mm", self.coloured)
                self.kept[file_name(case["case_id"])] = _packed(found)

    def write(self, engine: Engine) -> None:
        """Write each file whole; remove what an earlier run left."""
        if not self.limit:
            logger.info("no slices: class indices above %d do not fit into their files", MAX_CLASSES - 1)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_old()
        for name, content in self.kept.items():
            replace_file(self.folder / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]

    def _remove_old(self) -> None:
        if rank_and_number()[0] == 0:
            for path in filter(is_ours, self.folder.glob("*.npz")):
                path.unlink()
        wait_for_all()


def case_slice(image: Any, label: Any, pred: Any, in_mm: bool, coloured: bool = False) -> dict[str, Array]:
    """The five arrays of a case.

    3D: turned to RAS, then cut where the reference is largest (the prediction, where there is no reference; else the middle),
    at right angles to the axis along which voxels are at least 1.5 times longer than along both others, otherwise axially.
    Axial: anterior up; coronal: superior up; both with the patient's right on the viewer's left. Sagittal: superior up,
    anterior on the left. 2D: the picture as in the file.

    Args:
        image: (C, X, Y[, Z]) any type, its first channel is shown; all three of a colour picture.
        label, pred: (1, X, Y[, Z]) class index on the same grid; the affine is the label's.
        in_mm: whether the affine states mm.
        coloured: the channels are red, green and blue.
    """
    affine = label.affine.cpu().numpy() if isinstance(label, MetaTensor) else np.eye(4)
    arrays = [_plain(x)[0] for x in (image, label, pred)]
    spacing = np.linalg.norm(affine[:3, : arrays[1].ndim], axis=0)
    if arrays[1].ndim == 3:
        turn = nib.io_orientation(affine)
        arrays = [nib.apply_orientation(x, turn) for x in arrays]
        spacing = spacing[np.argsort(turn[:, 0])]
        axis = _cut_axis(spacing)
        at = _largest(arrays[1], arrays[2], axis)
        planes, spacing = [_upright(x, axis, at) for x in arrays], np.delete(spacing, axis)
    else:
        planes = [x.T for x in arrays]
    if coloured and arrays[0].ndim == 2:
        colours = _plain(image)
        shown = _grey(colours.transpose(2, 1, 0), np.percentile(colours, [0.5, 99.5]))
    else:
        shown = _grey(planes[0], np.percentile(arrays[0], [0.5, 99.5]))
    rows_columns = spacing[::-1] if in_mm else np.ones(2)
    masks = {
        name: np.ascontiguousarray(x, dtype=np.uint8) for name, x in zip(("reference", "prediction"), planes[1:], strict=True)
    }
    unit = np.array("mm" if in_mm else "pixels" if arrays[1].ndim == 2 else "voxels")
    return {"image": shown, **masks, "spacing": rows_columns.astype(np.float32), "unit": unit}


def _plain(values: Any) -> Array:
    values = values.as_tensor() if isinstance(values, MetaTensor) else values
    return np.asarray(torch.as_tensor(values).detach().cpu())


def _cut_axis(spacing: Array) -> int:
    longest = int(np.argmax(spacing))
    return longest if spacing[longest] >= THICK * np.delete(spacing, longest).max() else AXIAL


def _largest(label: Array, pred: Array, axis: int) -> int:
    """Index along `axis` of the slice with most voxels of any class."""
    others = tuple(i for i in range(3) if i != axis)
    sizes = [(mask > 0).sum(axis=others) for mask in (label, pred)]
    area = next((size for size in sizes if size.any()), None)
    return label.shape[axis] // 2 if area is None else int(area.argmax())


def _upright(volume: Array, axis: int, at: int) -> Array:
    """(X, Y, Z) RAS -> (H, W). Rows run from superior (axial: from anterior) down; see `case_slice` for the columns."""
    return np.take(volume, at, axis=axis)[::-1, ::-1].T


def _grey(plane: Array, bounds: Array) -> Array:
    low, high = (float(bound) for bound in bounds)
    scaled = (plane.astype(np.float64) - low) / (high - low) if high > low else np.zeros(plane.shape)
    return np.ascontiguousarray((np.nan_to_num(scaled).clip(0, 1) * 255).round().astype(np.uint8))


def _packed(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
