"""What images alone show of a data set, without a look at their labels: grids and grey values, few numbers in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.colour import Colour
from data_prep.datalist import images_of
from data_prep.errors import DataError
from data_prep.evenly import spread
from data_prep.fingerprint import ranges
from data_prep.geometry import in_ras_order, orientation
from data_prep.quoting import quoted
from data_prep.roles import read_image
from data_prep.shift.domain import LEVELS, Domain, normalised
from data_prep.volume import Array, ReadError, Volume

MOST_IMAGES = 8  # read, evenly spread over the list
MOST_VALUES = 500_000  # of an image, evenly spread over its voxels
FACTS = ("spacing", "spacing_known", "shape", "orientations")


def read_channels(case: Mapping[str, Any], colour: Colour, flat: bool) -> list[Volume]:
    """The images of a case; its label is not opened.

    Raises:
        DataError: a file cannot be read.
    """
    read = partial(read_image, colour=colour, flat=flat)
    volumes = []
    for path in images_of(case):
        try:
            volumes.append(read(Path(path)))
        except ReadError as fault:
            raise DataError(f"{path}: {fault}. Type: monai-hybrid check {quoted(path)}") from fault
    return volumes


def quantiles(volumes: Sequence[Volume], normalization: Mapping[str, Any]) -> Array:
    """(channels, 101) normalised grey value in [-1, 1] at the quantiles 0, 0.01, ..., 1, of at most 500,000 voxels."""
    channels = [volume.channel(i) for volume in volumes for i in range(volume.channels)]
    drawn = [channel.reshape(-1)[:: 1 + channel.size // MOST_VALUES] for channel in channels]
    return np.stack([np.quantile(normalised(values, normalization), LEVELS) for values in drawn])


def grid_facts(firsts: Sequence[Volume]) -> dict[str, Any]:
    """Median spacing and shape in RAS order, whether spacing is known, and orientations, as in a fingerprint."""
    return {
        "spacing": ranges([in_ras_order(volume, volume.spacing) for volume in firsts]),
        "spacing_known": all(volume.affine is not None for volume in firsts),
        "shape": ranges([in_ras_order(volume, volume.shape) for volume in firsts]),
        "orientations": dict(Counter(kind for volume in firsts if (kind := orientation(volume)) is not None)),
    }


def image_summary(
    dataset: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], normalization: Mapping[str, Any], colour: Colour
) -> dict[str, Any]:
    """What a model's card keeps of its training images, so that others can be compared with them.

    Args:
        dataset: the content of dataset.json.
        cases: of the training; some of them are read.
        normalization: of the model's plan.
        colour: which colours of a picture are the channels.

    Returns:
        {"images": how many were read, "spacing", "shape": median per axis, "spacing_known", "orientations",
        "quantiles": the mean curve of each channel, 101 numbers}.
    """
    facts, flat = dataset["fingerprint"], dataset["spatial_dims"] == 2
    chosen = spread(cases, MOST_IMAGES)
    curves = np.stack([quantiles(read_channels(case, colour, flat), normalization) for case in chosen]).mean(axis=0)
    return {
        "images": len(chosen),
        **{key: facts[key]["median"] if key in ("spacing", "shape") else facts[key] for key in FACTS},
        "quantiles": [[round(float(value), 3) for value in curve] for curve in curves],
    }


def domain_of_images(
    name: str, dataset: Mapping[str, Any], facts: Mapping[str, Any], plan: Mapping[str, Any], curves: Array
) -> Domain:
    """A `Domain` of which nothing is known but its images.

    Args:
        name: for the sentences.
        dataset: "spatial_dims", "channels", "modality", "labels".
        facts: of `grid_facts`, or a fingerprint.
        plan: spacing and patch size that its model has; {} where it has none.
        curves: (cases, channels, 101), of `quantiles`.
    """
    described = {**dataset, "name": name, "fingerprint": dict(facts)}
    return Domain(Path(name), name, described, plan, {}, curves, {})
