"""dataset.json: what the data set is, in numbers. Statistics over training cases; axes in RAS order for 3D."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.examine import CaseRecord, pooled
from data_prep.tones import Structure, structures

FORMAT_VERSION = 1
UNITS = {(3, True): "ml", (2, True): "mm^2", (2, False): "pixels", (3, False): "voxels"}
SMALL_ML = 0.1


def describe(
    records: Sequence[CaseRecord],
    name: str,
    modality: str,
    channels: Sequence[str],
    labels: Sequence[dict[str, int | str]],
) -> dict[str, Any]:
    """The content of dataset.json.

    Args:
        records: all cases, of every split, at least one of them in training; all 2D or all 3D.
        name: of the data set.
        modality: "MRI", "CT" or the user's own word.
        channels: names in the order of the channels.
        labels: the table of classes, see `label_names.label_table`.
    """
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "spatial_dims": records[0].spatial_dims,
        "modality": modality,
        "channels": list(channels),
        "labels": list(labels),
        "fingerprint": fingerprint(records, labels),
        "cases": [_case(record) for record in records],
    }


def fingerprint(records: Sequence[CaseRecord], labels: Sequence[dict[str, int | str]]) -> dict[str, Any]:
    """Counts over all splits; spacing (mm), shape (voxels), grey values and volumes over the training cases."""
    training = [record for record in records if record.case.split == "training"]
    splits = Counter(record.case.split for record in records)
    first = records[0]
    known = all(record.spacing_known for record in records)
    found = structures(record.tones for record in training)
    classes = {str(entry["name"]): int(entry["value"]) for entry in labels if entry["index"]}
    return {
        "num_cases": {split: splits[split] for split in ("training", "validation", "testing")},
        "spacing": ranges([record.ras_spacing for record in training]),
        "spacing_known": known,
        "shape": ranges([record.ras_shape for record in training]),
        "orientations": dict(Counter(r.orientation for r in training if r.orientation is not None)),
        "intensity": [intensity(values) for values in pooled(record.samples for record in training)],
        "foreground_intensity": [intensity(values) for values in pooled(r.foreground for r in training) if values.size],
        "structure_intensity": {name: tone(found[value]) for name, value in classes.items() if value in found},
        "foreground_volume": {name: volumes(training, value) for name, value in classes.items()},
        "foreground_volume_unit": UNITS[first.spatial_dims, known],
        "label_cases": {name: sum(value in r.voxels for r in records) for name, value in classes.items()},
    }


def ranges(rows: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """Smallest, median and largest number per axis; (cases, axes) -> three lists of length axes."""
    table = np.asarray(rows, dtype=np.float64)
    rows_out = {"min": table.min(axis=0), "median": np.median(table, axis=0), "max": table.max(axis=0)}
    return {key: [round(float(value), 4) for value in row] for key, row in rows_out.items()}


def intensity(values: np.ndarray) -> dict[str, float]:
    """Percentiles 0.5, 50 and 99.5, mean and standard deviation of drawn grey values (N,)."""
    low, middle, high = np.percentile(values.astype(np.float64), [0.5, 50, 99.5])
    numbers = (low, middle, high, values.mean(dtype=np.float64), values.std(dtype=np.float64))
    keys = ("p00_5", "p50", "p99_5", "mean", "std")
    return {key: float(f"{number:.6g}") for key, number in zip(keys, numbers, strict=True)}


def tone(structure: Structure) -> dict[str, float]:
    """Levels in the first channel, the share of images in which it lies beyond their percentiles 0.5 and 99.5, and how far."""
    numbers = {
        **dict(zip(("p05", "p50", "p95"), structure.levels, strict=True)),
        "beyond": structure.beyond / structure.cases,
        "below": structure.below,
        "above": structure.above,
    }
    return {key: float(f"{number:.6g}") for key, number in numbers.items()}


def volumes(records: Sequence[CaseRecord], value: int) -> dict[str, float]:
    """Volume of one class over the cases that contain it (ml in 3D, mm^2 or pixels in 2D); zeros if none does.

    A label with voxels that nobody annotated does not show a whole structure, and has no volume.
    """
    whole = [record for record in records if value in record.voxels and not record.ignored]
    sizes = [_size(record, record.voxels[value]) for record in whole] or [0.0]
    return {
        "min": _six_digits(min(sizes)),
        "median": _six_digits(float(np.median(sizes))),
        "max": _six_digits(max(sizes)),
    }


def small_unit(unit: str, largest: float) -> tuple[str, float]:
    """Cubic millimetres and the factor to them where not even the largest volume reaches a tenth of a millilitre."""
    return ("mm^3", 1000.0) if unit == "ml" and 0 < largest < SMALL_ML else (unit, 1.0)


def _six_digits(number: float) -> float:
    """A lesion of one voxel of 0.15 mm holds 3.4e-6 ml: a number of decimals would make it nothing."""
    return float(f"{number:.6g}")


def _size(record: CaseRecord, voxels: int) -> float:
    size = voxels * float(np.prod(record.spacing))
    return size / 1000 if record.spatial_dims == 3 and record.spacing_known else size  # mm^3 -> ml


def _case(record: CaseRecord) -> dict[str, Any]:
    return {
        "case_id": record.case.case_id,
        "shape": list(record.shape),
        "spacing": [round(edge, 6) for edge in record.spacing],
        "orientation": record.orientation,
        "voxels": {str(value): count for value, count in sorted(record.voxels.items())},
        **({"ignored": record.ignored} if record.ignored else {}),
    }
