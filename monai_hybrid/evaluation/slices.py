"""One slice a case for reports: image, reference and prediction, turned as a radiologist expects them.

Arrays of `slices/<case_id>.npz` (compressed): `image` uint8 (H, W), grey, or (H, W, 3), in colour, percentiles 0.5 to 99.5 of
the volume to 0..255; `reference` and `prediction` uint8 (H, W), class index; `spacing` float32 (2,), between rows and columns,
in `unit`: "mm", or "pixels" (3D: "voxels") with a spacing of 1 where the files state no length; `edges`: the letters at the
left, right, upper and lower edge ("RLAP"), "" where the files state no orientation. Everything lies on the label's own grid,
turned to the nearest RAS axes but not resampled. `reporting.overlays.read_slice` reads them. Volumes: see `small_volumes`.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ignite.engine import Engine, Events
from monai.transforms import LoadImage

from data_prep.atomic import replace_file
from data_prep.pictures import is_picture
from data_prep.result_files import is_ours
from monai_hybrid.evaluation.blocks import grey
from monai_hybrid.evaluation.case_table import file_name
from monai_hybrid.evaluation.chosen import MOST, kept_cases
from monai_hybrid.evaluation.small_volumes import plain, small_volume, turned
from monai_hybrid.processes import rank_and_number, wait_for_all
from monai_hybrid.transforms import CaseReader

Array = npt.NDArray[Any]
MAX_CASES = 200
MAX_CLASSES = 256  # of uint8
COLOURS = 3
# Sagittal, coronal and axial planes are cut at right angles to RAS axes 0, 1 and 2.
AXIAL = 2
EDGES = ("APSI", "RLSI", "RLAP")  # letters at the left, right, upper and lower edge of a plane across each of them
THICK = 1.5  # an image whose slices are this much thicker than its pixels was acquired in that plane
logger = logging.getLogger("monai_hybrid.evaluation")


class SliceSaver:
    """Keep the slice with most reference of each case, and write all when the evaluation is over.

    Cases that a report shows are kept wherever they stand in the list, of volumes three planes too: see `chosen.kept_cases`.

    Args:
        folder: the evaluation's; the files go to `slices/` and `volumes/` in it, and those of an earlier run there are removed.
        num_classes: K; above 256 nothing is kept, and that is said.
        unit: "mm" when every file states its spacing; otherwise slices are in pixels.
        limit: number of cases kept, the first of the data list; those that a report shows come on top.
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
        self.later: dict[str, Path] = {}  # case beyond the limit -> where its slice waits
        self.volumes: dict[str, Path] = {}  # case -> where its volume waits
        self.waiting: tempfile.TemporaryDirectory[str] | None = None

    def attach(self, engine: Engine) -> None:
        """Collect after each batch, write at the end."""
        engine.add_event_handler(Events.STARTED, self.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def begin(self) -> None:
        """Forget what an earlier run has left in memory."""
        self.kept.clear()
        self.later.clear()
        self.volumes.clear()

    def collect(self, engine: Engine) -> None:
        """One slice for each decollated item of the batch; the image is read anew, since the network's is resampled."""
        for item, case in zip(engine.state.output, engine.state.batch, strict=True):
            if self.limit:
                file, case_id = case["image"].meta["filename_or_obj"], case["case_id"]
                image, in_mm = self.load(file), self.unit == "mm"
                oriented = in_mm and not is_picture(Path(file))
                found = _packed(case_slice(image, item["label"], item["pred"], in_mm, self.coloured, oriented))
                if len(self.kept) >= self.limit:
                    self._put_aside(case_id, found, "slices", self.later)
                    continue
                self.kept[file_name(case_id)] = found
                if item["label"].ndim == 4:
                    volume = small_volume(image, item["label"], item["pred"], in_mm, oriented)
                    self._put_aside(case_id, _packed(volume), "volumes", self.volumes)

    def _put_aside(self, case_id: str, content: bytes, kind: str, places: dict[str, Path]) -> None:
        """On the disk: together they are large, and which of them a report shows is known at the end."""
        try:
            self.waiting = self.waiting or tempfile.TemporaryDirectory(prefix="monai_hybrid_")
            path = Path(self.waiting.name) / kind / file_name(case_id)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        except OSError as error:  # the scores are not lost for a picture
            logger.warning("case %s is not among the %s of the report (%s)", case_id, kind, error)
        else:
            places[case_id] = path

    def write(self, engine: Engine) -> None:
        """Write each file whole; remove what an earlier run left."""
        if not self.limit:
            logger.info("no slices: class indices above %d do not fit into their files", MAX_CLASSES - 1)
            return
        volumes = self.folder.with_name("volumes")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_old(volumes)
        for name, content in self.kept.items():
            replace_file(self.folder / name, lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
        for folder, places, first in ((self.folder, self.later, 0), (volumes, self.volumes, MOST)):
            for case in kept_cases(self.folder.parent, list(places), first):
                folder.mkdir(exist_ok=True)
                content = places[case].read_bytes()
                replace_file(folder / file_name(case), lambda path, content=content: path.write_bytes(content))  # type: ignore[misc]
        if self.waiting is not None:
            self.waiting.cleanup()
            self.waiting = None

    def _remove_old(self, *more: Path) -> None:
        if rank_and_number()[0] == 0:
            for path in (file for folder in (self.folder, *more) for file in folder.glob("*.npz") if is_ours(file)):
                path.unlink()
        wait_for_all()


def case_slice(
    image: Any, label: Any, pred: Any, in_mm: bool, coloured: bool = False, oriented: bool = False
) -> dict[str, Array]:
    """The six arrays of a case.

    3D: turned to RAS, then cut where the reference is largest (the prediction, where there is no reference; else the middle),
    at right angles to the axis along which voxels are at least 1.5 times longer than along both others, otherwise axially.
    Axial: anterior up; coronal: superior up; both with the patient's right on the viewer's left. Sagittal: superior up,
    anterior on the left. 2D: the picture as in the file.

    Args:
        image: (C, X, Y[, Z]) any type, its first channel is shown; all three of a colour picture.
        label, pred: (1, X, Y[, Z]) class index on the same grid; the affine is the label's.
        in_mm: whether the affine states mm.
        coloured: the channels are red, green and blue; a picture of 8 bits is shown as it is.
        oriented: whether the file says where right, anterior and superior are.
    """
    arrays, spacing = turned(image, label, pred)
    edges = ""
    if arrays[1].ndim == 3:
        axis = _cut_axis(spacing)
        at = _largest(arrays[1], arrays[2], axis)
        planes, spacing = [upright(x, axis, at) for x in arrays], np.delete(spacing, axis)
        edges = EDGES[axis] if oriented else ""
    else:
        planes = [x.T for x in arrays]
    if coloured and arrays[0].ndim == 2:
        colours = plain(image)
        shown = grey(colours.transpose(2, 1, 0), [0, 255] if _of_eight_bits(colours) else np.percentile(colours, [0.5, 99.5]))
    else:
        shown = grey(planes[0], np.percentile(arrays[0], [0.5, 99.5]))
    rows_columns = spacing[::-1] if in_mm else np.ones(2)
    masks = {
        name: np.ascontiguousarray(x, dtype=np.uint8) for name, x in zip(("reference", "prediction"), planes[1:], strict=True)
    }
    unit = np.array("mm" if in_mm else "pixels" if arrays[1].ndim == 2 else "voxels")
    return {"image": shown, **masks, "spacing": rows_columns.astype(np.float32), "unit": unit, "edges": np.array(edges)}


def _of_eight_bits(colours: Array) -> bool:
    """Whether these are the values of a byte, as most pictures have them."""
    return bool(1 < colours.max() <= 255 and colours.min() >= 0 and (colours == np.floor(colours)).all())


def _cut_axis(spacing: Array) -> int:
    longest = int(np.argmax(spacing))
    return longest if spacing[longest] >= THICK * np.delete(spacing, longest).max() else AXIAL


def _largest(label: Array, pred: Array, axis: int) -> int:
    """Index along `axis` of the slice with most voxels of any class."""
    others = tuple(i for i in range(3) if i != axis)
    sizes = [(mask > 0).sum(axis=others) for mask in (label, pred)]
    area = next((size for size in sizes if size.any()), None)
    return label.shape[axis] // 2 if area is None else int(area.argmax())


def upright(volume: Array, axis: int, at: int) -> Array:
    """(X, Y, Z) RAS -> (H, W). Rows run from superior (axial: from anterior) down; see `case_slice` for the columns."""
    return np.take(volume, at, axis=axis)[::-1, ::-1].T


def _packed(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
