"""The scans that models are compared with: the training images of a prepared data set, or any scans. Labels stay closed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.colour import Colour, parse_colour
from data_prep.errors import DataError
from data_prep.evenly import spread
from data_prep.files import read_datalist, read_dataset
from data_prep.free_names import PREPARED, free
from data_prep.layouts.channels import usual_channels
from data_prep.layouts.loose_channels import loose_channels
from data_prep.quoting import quoted
from data_prep.shift.images import MOST_IMAGES, grid_facts, quantiles, read_channels
from data_prep.volume import Array, Volume
from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.dicom_border import is_dicom


@dataclass(frozen=True)
class Scans:
    """What is compared.

    Attributes:
        name: for the sentences.
        cases: {"image", "case_id"}, those that are read.
        dataset: "spatial_dims", "channels", "modality", "labels" (names alone, [] where nobody says).
        facts: grids; see `grid_facts`.
        curves: for each normalisation that was asked for, (cases, channels, 101).
        colour: which colours of pictures are the channels.
    """

    name: str
    cases: Sequence[Mapping[str, Any]]
    dataset: Mapping[str, Any]
    facts: Mapping[str, Any]
    curves: Sequence[Array]
    colour: Colour

    @property
    def dims(self) -> int:
        """2 or 3."""
        return int(self.dataset["spatial_dims"])


def described(target: Path) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The cases of a target, without labels, and the description of a prepared one.

    Raises:
        DataError: no image there, or DICOM that was not prepared.
    """
    if (target / "datalist.json").is_file():
        cases = read_datalist(target)["training"]
        if not cases:
            raise DataError(f"{target}: no training case; models are compared with training images")
        return [{"image": case["image"], "case_id": case["case_id"]} for case in cases], read_dataset(target)
    if target.exists() and is_dicom(target):
        there = quoted(target)
        raise DataError(
            f"{target}: holds DICOM, which is compared as NIfTI. With masks: monai-hybrid build {there} --output "
            f"{free(PREPARED)}, and give that folder; without: mkdir nifti && dcm2niix -z y -o nifti {there}, and give that one"
        )
    return cases_to_predict(str(target), str(target), channels=("image",)), None


def with_channels(cases: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Mapping[str, Any]], list[str]]:
    """Scans of a file each, those joined that are channels of one by their names; and the names of the channels.

    Cases without the channels of most are left out. Where fewer than half of the files are channels, none is.
    """
    if any("place" in case for case in cases):  # of BIDS, whose names say more
        return cases, []
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for case in cases:
        by_folder[Path(case["image"]).parent].append(Path(case["image"]))
    found = [(name, own) for files in by_folder.values() for name, own in loose_channels(files).items()]
    usual = usual_channels([own for _, own in found]).names if found else frozenset()
    joined = [
        {"image": [str(own[name]) for name in sorted(usual)], "case_id": case} for case, own in found if set(own) == usual
    ]
    return (joined, sorted(usual)) if 2 * len(joined) * len(usual) >= len(cases) and joined else (cases, [])


def read_scans(target: Path, normalizations: Sequence[Mapping[str, Any]]) -> Scans:
    """Read some scans, each once.

    Args:
        target: a prepared data set, an image, or a folder of images.
        normalizations: of the plans of the models that they are compared with.

    Raises:
        DataError: no image, or one that cannot be read; scans of 2 and of 3 dimensions.
        EnvironmentFault: a format that needs a package which is not there.
    """
    cases, dataset = described(target)
    scans, names = (cases, []) if dataset else with_channels(cases)
    chosen = spread(scans, MOST_IMAGES)
    colour = parse_colour(dataset.get("colour")) if dataset else None
    flat = dataset is not None and dataset["spatial_dims"] == 2
    firsts: list[Volume] = []
    curves: list[list[Array]] = [[] for _ in normalizations]
    for case in chosen:
        volumes = read_channels(case, colour, flat)
        firsts.append(volumes[0])
        for found, normalization in zip(curves, normalizations, strict=True):
            found.append(quantiles(volumes, normalization))
    dims = sorted({volume.spatial_dims for volume in firsts})
    if len(dims) > 1:
        raise DataError(f"{target}: holds images of 2 and of 3 dimensions; give one kind")
    count = sum(volume.channels for volume in volumes)
    names = names if len(names) == count else [f"channel {i}" for i in range(count)]
    unknown = {"spatial_dims": dims[0], "channels": names, "modality": "unknown", "labels": []}
    facts = dataset["fingerprint"] if dataset else grid_facts(firsts)
    return Scans(target.name, chosen, dataset or unknown, facts, [np.stack(found) for found in curves], colour)
