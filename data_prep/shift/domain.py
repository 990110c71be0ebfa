"""What is compared of a data set: the numbers of dataset.json, and grey values measured on some training cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # its parts load when they are called

from data_prep.colour import Colour, parse_colour
from data_prep.datalist import images_of
from data_prep.errors import DataError
from data_prep.evenly import spread
from data_prep.files import read_datalist, read_dataset, read_plan
from data_prep.label_names import same_only_class
from data_prep.normalising import SOFT, soft
from data_prep.roles import read_image, read_label
from data_prep.volume import Array, ReadError, Volume
from data_prep.voxel_order import in_order_of

MAX_CASES = 24  # read for grey values, evenly spread over the training list
LEVELS = np.linspace(0, 1, 101)
SHELL = 3  # voxels around a structure that count as its surroundings


@dataclass(frozen=True)
class Domain:
    """A data set as it is compared.

    Attributes:
        folder, name: of the prepared data set.
        dataset, plan: the contents of dataset.json and plan.json.
        volumes: structure name -> one volume a training case that has it, in `volume_unit`, sorted.
        quantiles: (cases, channels, 101) normalised grey value in [-1, 1] at the quantiles 0, 0.01, ..., 1.
        contrasts: structure name -> one value a measured case: median inside minus median of the surroundings, first channel,
            as a share of the grey range (-1 to 1).
    """

    folder: Path
    name: str
    dataset: Mapping[str, Any]
    plan: Mapping[str, Any]
    volumes: Mapping[str, list[float]]
    quantiles: Array
    contrasts: Mapping[str, list[float]]

    @property
    def facts(self) -> Mapping[str, Any]:
        """The fingerprint."""
        content: Mapping[str, Any] = self.dataset["fingerprint"]
        return content

    @property
    def structures(self) -> list[str]:
        """Names of the classes without background."""
        return [str(label["name"]) for label in self.dataset["labels"] if label["index"]]

    @property
    def volume_unit(self) -> str:
        """ml, mm^2, pixels or voxels."""
        return str(self.facts["foreground_volume_unit"])


def read_domain(folder: Path, normalization: Mapping[str, Any] | None = None) -> Domain:
    """Read and measure a prepared data set.

    Args:
        folder: holds datalist.json, dataset.json and plan.json.
        normalization: of a plan; None: the data set's own.

    Raises:
        DataError: a file is missing or cannot be read, or the data set has no training case.
    """
    datalist, dataset, plan = read_datalist(folder), read_dataset(folder), read_plan(folder)
    cases = datalist["training"]
    if not cases:
        raise DataError(f"{folder}: no training case; grey values and volumes are compared over training cases")
    values = {str(label["name"]): int(label["value"]) for label in dataset["labels"] if label["index"]}
    colour, flat = parse_colour(dataset.get("colour")), dataset["spatial_dims"] == 2
    ignore = dataset.get("ignore_value")
    measured = [
        measure(case, values, normalization or plan["normalization"], colour, flat, ignore) for case in spread(cases, MAX_CASES)
    ]
    contrasts = {name: [of[name] for _, of in measured if name in of] for name in values}
    volumes = _volumes(dataset, {case["case_id"] for case in cases}, values)
    return Domain(folder, dataset["name"], dataset, plan, volumes, np.stack([q for q, _ in measured]), contrasts)


def measure(
    case: Mapping[str, Any],
    values: Mapping[str, int],
    normalization: Mapping[str, Any],
    colour: Colour = None,
    flat: bool = False,
    ignore: int | None = None,
) -> tuple[Array, dict[str, float]]:
    """Quantiles (channels, 101) and the contrast of each structure that the case holds; files are read as `roles.py` says.

    `ignore`: label value of voxels that nobody annotated; they are neither in a structure nor around it.
    """
    images = [_read(partial(read_image, Path(path), colour, flat), path) for path in images_of(case)]
    channels = [normalised(image.channel(i), normalization) for image in images for i in range(image.channels)]
    quantiles = np.stack([np.quantile(channel, LEVELS) for channel in channels])
    if "label" not in case:
        return quantiles, {}
    label = _read(partial(read_label, Path(case["label"]), flat), case["label"])
    classes = in_order_of(images[0], label).channel(0).reshape(channels[0].shape)
    known = classes != ignore if ignore is not None else None
    found = {name: contrast(channels[0], classes == value, known) for name, value in values.items()}
    return quantiles, {name: value for name, value in found.items() if value is not None}


def _read(read: Callable[[], Volume], path: str) -> Volume:
    try:
        return read()
    except ReadError as fault:
        raise DataError(f"{path}: {fault}. Type: monai-hybrid check DATALIST") from fault


def normalised(values: Array, normalization: Mapping[str, Any]) -> Array:
    """Grey values of any shape as the network sees them, but on the file's own grid: in [-1, 1], float64."""
    grey = np.nan_to_num(np.asarray(values, dtype=np.float64))
    if normalization["method"] == SOFT:
        return soft(grey, normalization)
    low, high = float(normalization["lower"]), float(normalization["upper"])
    if normalization["method"] == "percentiles":
        low, high = (float(bound) for bound in np.percentile(grey, [low, high]))
    if high <= low:
        return np.zeros_like(grey)
    return (2 * (grey - low) / (high - low) - 1).clip(-1, 1)


def contrast(grey: Array, inside: Array, known: Array | None = None) -> float | None:
    """Median inside minus median of the voxels at most `SHELL` away, over the range of 2; None where either is empty.

    Args:
        grey: (X, Y[, Z]) in [-1, 1].
        inside: the same shape, bool.
        known: the same, the annotated voxels; None: all.
    """
    if not inside.any():
        return None
    places = np.nonzero(inside)
    box = tuple(slice(max(0, int(p.min()) - SHELL), int(p.max()) + SHELL + 1) for p in places)
    grey, inside = grey[box], inside[box]
    shell = scipy.ndimage.binary_dilation(inside, iterations=SHELL) & ~inside
    shell = shell if known is None else shell & known[box]
    return float(np.median(grey[inside]) - np.median(grey[shell])) / 2 if shell.any() else None


def _volumes(dataset: Mapping[str, Any], training: set[str], values: Mapping[str, int]) -> dict[str, list[float]]:
    to_unit = 1e-3 if dataset["fingerprint"]["foreground_volume_unit"] == "ml" else 1.0
    cases = [case for case in dataset["cases"] if case["case_id"] in training]
    return {name: sorted(_sizes(cases, str(value), to_unit)) for name, value in values.items()}


def _sizes(cases: Sequence[Mapping[str, Any]], value: str, to_unit: float) -> list[float]:
    whole = [case for case in cases if case["voxels"].get(value) and not case.get("ignored")]
    return [case["voxels"][value] * float(np.prod(case["spacing"])) * to_unit for case in whole]


def with_only_name_of(domain: Domain, other: Domain) -> Domain:
    """The domain with its single class named as the other's, where a made-up name (label_255) is all that tells them apart."""
    mine, theirs = ([str(label["name"]) for label in of.dataset["labels"]] for of in (domain, other))
    if mine == theirs or not same_only_class(mine, theirs):
        return domain
    old, new = mine[1], theirs[1]
    labels = [label if label["name"] != old else {**label, "name": new} for label in domain.dataset["labels"]]
    facts = dict(domain.facts)
    for key in ("foreground_volume", "label_cases"):
        facts[key] = {new: facts[key][old]}
    dataset = {**domain.dataset, "labels": labels, "fingerprint": facts}
    volumes, contrasts = {new: domain.volumes[old]}, {new: domain.contrasts[old]}
    return replace(domain, dataset=dataset, volumes=volumes, contrasts=contrasts)
