"""The cases of a report in three planes: small volumes for the viewer of the page, packed so that the page stays small."""

from __future__ import annotations

import base64
import gzip
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from data_prep.known_files import lies_below
from data_prep.result_files import label_colour
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.blocks import MOST_VOXELS, averaged, steps, thinned
from monai_hybrid.evaluation.case_table import file_name
from monai_hybrid.evaluation.chosen import worth_seeing
from monai_hybrid.reporting import niivue
from monai_hybrid.reporting.inputs import Evaluation
from monai_hybrid.reporting.overlays import UNITS

Array = npt.NDArray[Any]
PAGE_BYTES = 8_000_000  # of all volumes, packed; as text they are a third longer, and a page stays under 15 MB
CASE_BYTES = 2_500_000
FEWEST_VOXELS = 4096  # a volume is not made smaller than this
SHRINK = 0.7  # of the voxels, when the packed volume is still too large


@dataclass(frozen=True)
class CaseVolume:
    """A case: image, prediction and reference (None: there is none), uint8 (X, Y, Z), RAS where `oriented`.

    Attributes:
        case: its name.
        why: it is shown: "best", "liver missed", a flag.
        spacing: of a voxel, in `unit`, one of `UNITS`.
        reduced, cut: whether its voxels are larger than the file's, and whether a part was left out.
    """

    case: str
    why: tuple[str, ...]
    image: Array
    prediction: Array
    reference: Array | None
    spacing: tuple[float, float, float]
    unit: str
    oriented: bool
    reduced: bool = False
    cut: bool = False

    def smaller(self, most: int) -> CaseVolume:
        """With at most `most` voxels."""
        step = steps(self.image.shape, self.spacing, most)
        if step == (1, 1, 1):
            return self
        x, y, z = (length * by for length, by in zip(self.spacing, step, strict=True))
        reference = None if self.reference is None else thinned(self.reference, step)
        image = averaged(self.image, step).round().astype(np.uint8)
        made = replace(self, image=image, prediction=thinned(self.prediction, step), reference=reference)
        return replace(made, spacing=(x, y, z), reduced=True)


def read_case_volume(path: Path, case: str, why: Sequence[str]) -> CaseVolume:
    """Read `volumes/<case>.npz`, as `evaluation.small_volumes` makes it.

    Raises:
        DataError: damaged, an array missing, too large, of another shape or kind, or a spacing that is none.
    """
    wrong = f"{path}: not a volume of evaluate.json"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            image, reference, prediction, spacing = (arrays[n] for n in ("image", "reference", "prediction", "spacing"))
            unit, told = str(arrays["unit"]), {name: bool(arrays[name]) for name in ("oriented", "cut")}
            reduced = bool((arrays["step"] > 1).any())
    except (OSError, TypeError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{wrong} ({str(error).splitlines()[0]}); evaluate again") from error
    for name, array in (("image", image), ("reference", reference), ("prediction", prediction)):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape != image.shape or not 0 < array.size <= 2 * MOST_VOXELS:
            raise DataError(
                f"{wrong}: {name} is {array.dtype} {array.shape}; expected uint8 {image.shape} (X, Y, Z); evaluate again"
            )
    if (
        spacing.shape != (3,)
        or spacing.dtype.kind not in "fiu"
        or not ((spacing > 1e-6) & (spacing < 1e6)).all()
        or unit not in UNITS
    ):
        raise DataError(f"{wrong}: spacing is {spacing} {unit}; expected three lengths; evaluate again")
    x, y, z = (float(length) for length in spacing)
    return CaseVolume(case, tuple(why), image, prediction, reference, (x, y, z), unit, told["oriented"], reduced, told["cut"])


def of_evaluation(evaluation: Evaluation) -> list[CaseVolume]:
    """The best, the median, the worst and every flagged case whose volume was kept, in this order."""
    folder = evaluation.folder / "volumes"
    return [
        read_case_volume(path, case, why)
        for case, why in worth_seeing(evaluation.rows).items()
        if (path := folder / file_name(case)).is_file() and lies_below(evaluation.folder, path)
    ]


def planes(volumes: Sequence[CaseVolume], names: Sequence[str]) -> dict[str, Any] | None:
    """What the page embeds: cases and labels as JSON, the viewer's script as base64; None without a volume.

    Args:
        volumes: to show, the first one first.
        names: of classes 1...

    Raises:
        EnvironmentFault: the viewer is damaged.
    """
    if not volumes:
        return None
    budget = min(CASE_BYTES, PAGE_BYTES // len(volumes))
    shown = [packed(volume, budget) for volume in volumes]
    labels = [{"index": 0, "name": "background", "colour": "#000000"}]
    labels += [{"index": index, "name": name, "colour": label_colour(index)} for index, name in enumerate(names, 1)]
    return {
        "cases": [{"name": entry["name"], "why": entry["why"]} for entry in shown],
        "legend": labels[1:],
        "data": as_script({"labels": labels, "cases": shown}),
        "script": base64.b64encode(niivue.packed_script()).decode(),
        "has_reference": any(volume.reference is not None for volume in volumes),
        "reduced": [entry["name"] for entry in shown if entry["reduced"]],
        "cut": any(volume.cut for volume in volumes),
        "viewer": f"{niivue.about()['name']} {niivue.about()['version']}",
        "licence": niivue.about()["license"],
        "notice": niivue.notice(),
    }


def packed(volume: CaseVolume, budget: int) -> dict[str, Any]:
    """A case as the script of the page takes it, of at most `budget` bytes before base64 where that is possible."""
    while True:
        affine = np.diag([*volume.spacing, 1.0])
        parts = {"image": nifti(volume.image, affine), "prediction": nifti(volume.prediction, affine)}
        if volume.reference is not None:
            parts["reference"] = gzip.compress(volume.reference.tobytes(order="F"), 9, mtime=0)
        if sum(map(len, parts.values())) <= budget or volume.image.size <= FEWEST_VOXELS:
            break
        volume = volume.smaller(max(FEWEST_VOXELS, int(volume.image.size * SHRINK)))
    told: dict[str, Any] = {"name": volume.case, "why": ", ".join(volume.why), "shape": list(volume.image.shape)}
    told |= {"spacing": list(volume.spacing), "unit": volume.unit, "oriented": volume.oriented, "reduced": volume.reduced}
    return {**told, **{name: base64.b64encode(part).decode() for name, part in parts.items()}}


def nifti(array: Array, affine: Array) -> bytes:
    """A gzipped NIfTI file of (X, Y, Z) voxels; affine voxel -> RAS mm."""
    return gzip.compress(nib.Nifti1Image(array, affine).to_bytes(), 9, mtime=0)


def as_script(content: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a script element: no text in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
