"""Cases on their way to the network: finished ones are passed over, bad files become a sentence instead of an exception."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import Dataset

from data_prep.accepting import parse_codes
from data_prep.checks import REGISTRY, Finding, run_checks
from data_prep.checks.subjects import ImageSubject, PairSubject
from data_prep.colour import Colour, parse_colour
from data_prep.grouped import named, with_copies
from data_prep.pictures import LARGEST_VALUE, is_picture
from data_prep.roles import read_image
from data_prep.slices import line
from data_prep.to_cut import is_volume
from data_prep.volume import ReadError, Volume
from monai_hybrid import dicom_border
from monai_hybrid.errors import DataError, EnvironmentFault
from monai_hybrid.prediction.reasons import reason
from monai_hybrid.prediction.table import QualityTable
from monai_hybrid.shape_models import REMARK, is_of_shapes, warning

if TYPE_CHECKING:
    from data_prep.dicom import Series

MODALITIES = {"CT": "CT", "MR": "MRI"}  # of a header -> of a card
logger = logging.getLogger("monai_hybrid.predict")


@dataclass(frozen=True)
class FileFacts:
    """What the files of a case say.

    Attributes:
        voxel: size of a voxel in `unit`.
        unit: "ml" (3D), "mm2" (2D), "voxels" or "pixels" where the spacing is not known.
        remarks: warnings of the checks, one sentence each.
    """

    voxel: float
    unit: str
    remarks: tuple[str, ...]


class PredictionDataset(Dataset):
    """Give {"image", "case_id", "made_from", "voxel", "unit", "remarks"}, or {"case_id", "skip"}, or {"case_id", "failure"}.

    Args:
        data: list of {"image", "case_id"}; with "series" the image is written when its turn comes, with "failure" it is none.
        transform: the preprocessing.
        table: knows what is finished.
        card: of the model: channels and spatial_dims that an image must have, and the values that its masks hold.
        colour: which colours of a picture are the channels; None: one grey value a pixel.
        accept: judgements of the checks that are overruled, "D103,D107", beside those that the training data had overruled.

    Raises:
        ConfigError: a code that cannot be accepted.
    """

    def __init__(
        self,
        data: Sequence[dict[str, Any]],
        transform: Callable,
        table: QualityTable,
        card: Mapping[str, Any],
        colour: str | Sequence[str] | None = None,
        accept: str | None = None,
    ) -> None:
        super().__init__(data, transform)
        self.accepted = accepted_by(card, accept)
        self.colour = parse_colour(colour, "--colour")
        self.highest = max((int(label["value"]) for label in card["labels"]), default=0)
        self.remarks = (REMARK,) if is_of_shapes(card) else ()
        if said := warning(card, str(table.model)):
            logger.warning("%s", said)
        self.modality = str(card.get("modality") or "")
        self.table, self.channels, self.dims = table, len(card["channels"]), int(card["spatial_dims"])

    def _transform(self, index: int) -> dict[str, Any]:
        case = dict(self.data[index])
        if "failure" in case:
            return {"case_id": case["case_id"], "failure": case["failure"]}
        try:
            return self._prepared(case)
        except Exception as error:
            if "series" not in case:
                return {"case_id": case["case_id"], "failure": reason(error)}
            dicom_border.removed(case)
            if isinstance(error, EnvironmentFault):  # the disk of the NIfTI files: true of every case
                raise
            return {"case_id": case["case_id"], "failure": dicom_border.shown(reason(error), case)}

    def _prepared(self, case: dict[str, Any]) -> dict[str, Any]:
        known = {"case_id": case["case_id"], "made_from": self.table.made_from(case)}
        known |= {"said": self.table.said(case["case_id"], known["made_from"])}
        if self.table.is_done(case["case_id"], known["made_from"]):
            return {**known, "skip": True}
        fitting = self.table.fitting(case["case_id"], known["made_from"])
        known |= {"made_from": self.table.made_with(known["made_from"], fitting), "fitting": ",".join(fitting)}
        if "series" in case:
            dicom_border.written(case)
        facts = self._facts(case)
        _refuse_values(case["image"], self.highest)
        d = self.transform(case)
        if not bool(torch.isfinite(d["image"]).all()):
            raise DataError("the preprocessed image holds NaN or Inf; run `monai-hybrid check` on it")
        remarks = [*self.remarks, *facts.remarks, *_other_modality(case.get("series"), self.modality)]
        voxel = {"voxel": facts.voxel, "unit": facts.unit, "remarks": "; ".join(remarks)}
        return {"image": d["image"], **known, **voxel}

    def case(self, case_id: str) -> dict[str, Any]:
        """As the list of cases has it."""
        return next((case for case in self.data if case["case_id"] == case_id), {})

    def close(self) -> None:
        """Delete what was written for the time of the run."""
        dicom_border.all_removed(self.data)

    def _facts(self, case: Mapping[str, Any]) -> FileFacts:
        try:
            return inspect(case["image"], self.channels, self.dims, self.colour, self.accepted, case.get("scans"))
        except DataError as error:
            if case.get("missing"):  # explains what the single file lacks
                raise DataError(str(case["missing"])) from error
            raise


def accepted_by(known: Mapping[str, Any], typed: str | None = None) -> frozenset[str]:
    """The judgements that are overruled for scans: by a card or a data set, whose own scans are so, and on the command line.

    Raises:
        ConfigError: a code that cannot be accepted.
    """
    return frozenset(known.get("accepted") or ()) | parse_codes(typed)


def inspect(
    image: str | Sequence[str],
    channels: int,
    dims: int,
    colour: Colour = None,
    accept: Collection[str] = (),
    scans: str | None = None,
) -> FileFacts:
    """Read and check the file(s) of one image with the checks that `data_prep` trains by, but for judgements in `accept`.

    `scans`: what the user gave, a folder or a file, where the image was made of DICOM: lines to type name that. None: the
    image is the user's own.

    Raises:
        DataError: what is wrong and what to do; "another number of axes or channels than the model's" included.
    """
    names, of_user = [image] if isinstance(image, str) else list(image), scans is None
    volumes, findings = [], []
    for name in names:
        try:
            volume = read_image(Path(name), colour, dims == 2)
        except ReadError as fault:
            findings = run_checks("fault", fault, file=name, accept=accept)
            raise DataError(_told(findings[0], name, of_user) if findings else f"{name}: {fault.seen}") from fault
        volumes.append(volume)
        findings += run_checks("volume", volume, file=name, accept=accept)
        findings += run_checks("image", ImageSubject(volume, channels if len(names) == 1 else 1), file=name, accept=accept)
        if len(volumes) > 1:
            findings += run_checks("pair", PairSubject(volumes[0], volume), file=name)
    if volumes[0].spatial_dims != dims:  # before what is said of its channels
        to_cut = dims == 2 and len(names) == 1 and is_volume(names[0])
        slices = f", or cut the volumes into slices: {line(scans or Path(names[0]).parent)}" if to_cut else ""
        raise DataError(
            f"{names[0]}: the image has shape {volumes[0].array.shape}, that is {volumes[0].spatial_dims}D; the model was "
            f"trained on {dims}D images: use a {volumes[0].spatial_dims}D model{slices}"
        )
    _refuse(findings, names[0], of_user)
    if len(names) > 1 and len(names) != channels:
        raise DataError(f"{names[0]}: got {len(names)} channel files, expected the model's {channels}")
    greys = [name for name, volume in zip(names, volumes, strict=True) if volume.grey and volume.channels > 1]
    told = [f"a grey picture, its one value taken for each of {', '.join(colour or ())}"] if greys else []
    remarks = (*told, *_remarks(finding for finding in findings if finding.code not in accept))
    return FileFacts(*_size(volumes[0]), remarks)


def _other_modality(series: Series | None, trained_on: str) -> Iterator[str]:
    """Of a DICOM series the header says how it was taken; a CT in the place of an MR scan gives a mask all the same."""
    taken = MODALITIES.get(series.modality) if series is not None else None
    if taken and trained_on in MODALITIES.values() and taken != trained_on:
        yield f"the series is {taken}, the model was trained on {trained_on}"


def _remarks(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(f"{f.code}: {f.message}" for f in findings if f.level == "warning" or REGISTRY[f.code].training_only)


def _refuse_values(image: str | Sequence[str], highest: int) -> None:
    first = Path(image if isinstance(image, str) else image[0])
    if is_picture(first) and highest > LARGEST_VALUE:
        raise DataError(
            f"{first}: the model's label value {highest} does not fit into PNG, in which masks of pictures are written; it "
            f"holds 0 to {LARGEST_VALUE}. Renumber the training labels, or give the image as NIfTI"
        )


def _refuse(findings: Sequence[Finding], image: str, of_user: bool) -> None:
    errors = [f for f in findings if f.level == "error" and not REGISTRY[f.code].training_only]
    if errors:
        raise DataError(_told(errors[0], image, of_user))


def _told(finding: Finding, image: str, of_user: bool) -> str:
    """A finding with the folder of the image in the place of FOLDER in what to type."""
    return named(with_copies(str(finding), Path(image)), Path(image).parent) if of_user else str(finding)


def _size(volume: Volume) -> tuple[float, str]:
    if volume.affine is None:
        return 1.0, "pixels" if volume.spatial_dims == 2 else "voxels"
    if volume.spatial_dims == 2:
        return float(np.prod(volume.spacing)), "mm2"
    return float(abs(np.linalg.det(volume.affine[:3, :3]))) / 1000, "ml"
