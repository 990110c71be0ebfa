"""The best Dice that a spacing allows: masks of training cases taken to it and back, as training and prediction do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.cases import Case
from data_prep.evenly import spread
from data_prep.geometry import ras_axes
from data_prep.ignoring import IGNORED, marked
from data_prep.patches import by
from data_prep.resampling import coarse_label, label_back
from data_prep.roles import read_label
from data_prep.volume import Array, ReadError

Spacing = tuple[float, ...]
MAX_CASES = 20  # evenly spread over the training list
MAX_VOXELS = 2**27  # of all masks together: 128 MB at one byte each
GOOD = 0.9
NAMED = 3  # classes in a sentence
OFTEN = 0.1  # of the cases with a class may lose it


@dataclass(frozen=True)
class ClassCeiling:
    """What one class keeps: mean and worst Dice over the `cases` that hold it, and how many of them lose it altogether."""

    name: str
    mean: float
    worst: float
    worst_case: str
    lost: int
    cases: int

    @property
    def is_good(self) -> bool:
        """Whether a model could be called good at this spacing."""
        return self.mean >= GOOD and self.lost <= OFTEN * self.cases


@dataclass(frozen=True)
class Ceiling:
    """What a spacing lets a mask keep, class by class; `cases` masks were looked at."""

    spacing: Spacing
    cases: int
    classes: tuple[ClassCeiling, ...]

    @property
    def is_good(self) -> bool:
        """Whether every class keeps enough."""
        return all(one.is_good for one in self.classes)

    @property
    def lowest(self) -> float:
        """The smallest of the classes' means; 1 without a class."""
        return min((one.mean for one in self.classes), default=1.0)

    def in_words(self) -> str:
        """What a mask keeps, the classes that lose most first."""
        lowest = sorted(self.classes, key=lambda one: one.mean)[:NAMED]
        each = [f"{one.name} {one.mean:.2f} (worst {one.worst:.2f}, {one.worst_case})" for one in lowest]
        lost = [f"{one.name} in {one.lost} of {one.cases}" for one in self.classes if one.lost]
        gone = f"; nothing is left of {', '.join(lost[:NAMED])} cases" if lost else ""
        return f"a mask taken to the spacing {by(self.spacing)} and back keeps a Dice of {', '.join(each)}{gone}"

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Ceiling:
        """From plan.json's entry."""
        classes = [ClassCeiling(name, **numbers) for name, numbers in entry["classes"].items()]
        return cls(tuple(entry["spacing"]), int(entry["cases"]), tuple(classes))

    def as_dict(self) -> dict[str, Any]:
        """As plan.json has it."""
        classes = {
            one.name: {"mean": one.mean, "worst": one.worst, "worst_case": one.worst_case, "lost": one.lost, "cases": one.cases}
            for one in self.classes
        }
        return {"spacing": list(self.spacing), "cases": self.cases, "classes": classes}


@dataclass(frozen=True)
class Mask:
    """The label of a case, (X, Y[, Z]) in the order of its file, with edge and RAS axis of each of its axes."""

    case_id: str
    label: Array
    spacing: Spacing
    axes: tuple[int, ...]

    def again(self, spacing: Spacing) -> Array:
        """The mask after a stay on the grid of another spacing (RAS order in 3D)."""
        factors = [spacing[axis] / old for axis, old in zip(self.axes, self.spacing, strict=True)]
        return label_back(coarse_label(self.label, factors), self.label.shape, factors)


class Masks:
    """The masks of some training cases, read once, and the ceiling of any spacing for them."""

    def __init__(self, cases: Sequence[Case], names: Mapping[int, str], flat: bool = False, ignore: int | None = None) -> None:
        """Read up to `MAX_CASES` masks, fewer where they are large.

        Args:
            cases: of every split; those that train and have a label count.
            names: value of a class -> its name, without the background.
            flat: read masks of one slice as pictures, as a 2D data set does.
            ignore: value of voxels that nobody annotated; they count nowhere.
        """
        self.names = dict(names)
        self.masks = _read(cases, flat, ignore)
        self._known: dict[Spacing, Ceiling] = {}

    def __call__(self, spacing: Sequence[float]) -> Ceiling:
        """The ceiling of a spacing (mm, or pixels; RAS order in 3D)."""
        key = tuple(float(edge) for edge in spacing)
        if key not in self._known:
            self._known[key] = self._measured(key)
        return self._known[key]

    def _measured(self, spacing: Spacing) -> Ceiling:
        found: dict[int, list[tuple[float, bool, str]]] = {value: [] for value in self.names}
        for mask in self.masks:
            for value, (kept, lost) in _dice(mask.label, mask.again(spacing)).items():
                if value in found:
                    found[value].append((kept, lost, mask.case_id))
        classes = [_of_class(self.names[value], rows) for value, rows in found.items() if rows]
        return Ceiling(spacing, len(self.masks), tuple(classes))


def _of_class(name: str, rows: Sequence[tuple[float, bool, str]]) -> ClassCeiling:
    worst = min(rows)
    mean = float(np.mean([kept for kept, _, _ in rows]))
    return ClassCeiling(name, round(mean, 4), round(worst[0], 4), worst[2], sum(lost for _, lost, _ in rows), len(rows))


def _dice(label: Array, again: Array) -> dict[int, tuple[float, bool]]:
    """For each class of `label`: its Dice with `again`, and whether nothing of it is left there, over annotated voxels."""
    if (left_out := (label == IGNORED) | (again == IGNORED)).any():
        label, again = label[~left_out], again[~left_out]
    before, after, both = (_counts(part) for part in (label, again, label[label == again]))
    return {
        value: (2 * both.get(value, 0) / (number + after.get(value, 0)), value not in after)
        for value, number in before.items()
        if value
    }


def _counts(values: Array) -> dict[int, int]:
    found, numbers = np.unique(values, return_counts=True)
    return {int(value): int(number) for value, number in zip(found, numbers, strict=True)}


def _read(cases: Sequence[Case], flat: bool, ignore: int | None) -> list[Mask]:
    labelled = [case for case in cases if case.split == "training" and case.label is not None]
    masks: list[Mask] = []
    for case in spread(labelled, MAX_CASES):
        if sum(mask.label.size for mask in masks) >= MAX_VOXELS:
            break
        assert case.label is not None
        try:
            volume = read_label(case.label, flat)
        except ReadError:  # it was read a moment ago; the next step will say what is wrong with it now
            continue
        label = marked(np.rint(volume.channel(0).reshape(volume.shape)).astype(np.int64), ignore)
        kind = np.promote_types(np.min_scalar_type(int(label.max(initial=0))), np.min_scalar_type(int(label.min(initial=0))))
        label = label.astype(kind)
        masks.append(Mask(case.case_id, label, volume.spacing, ras_axes(volume)))
    return masks
