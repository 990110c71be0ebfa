"""What the checks look at, besides a single volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.cases import Case, SourceFault
from data_prep.tones import Tone
from data_prep.unused_lists import UnusedList
from data_prep.volume import Affine, Volume


@dataclass(frozen=True)
class ImageSubject:
    """An image with the number of channels its layout declares for this one file."""

    volume: Volume
    channels: int


@dataclass(frozen=True)
class LabelSubject:
    """A label with its values counted once. `declared`: value -> name, None when nothing is declared.

    `counts` leaves out the `ignored` voxels, which nobody annotated.
    """

    volume: Volume
    counts: Mapping[float, int]
    declared: Mapping[int, str] | None
    ignored: int = 0


@dataclass(frozen=True)
class PairSubject:
    """Two volumes that must lie on one grid: an image and its label, or two channels."""

    first: Volume
    second: Volume
    counts: Mapping[float, int] | None = None  # voxels by value of `second` when it is a label


@dataclass(frozen=True)
class CaseFacts:
    """What the checks over the whole data set need to know about one case that could be read."""

    case: Case
    digests: tuple[str, ...]
    spatial_dims: int
    values: frozenset[int]
    ranges: tuple[tuple[float, float], ...] = ()  # lowest and highest grey value per channel
    quartiles: tuple[tuple[float, float, float], ...] = ()  # per channel
    tones: Mapping[int, Tone] = field(default_factory=dict)  # per value of the label
    grey: bool = False  # a picture without colour
    ignored: int = 0  # voxels of the label that nobody annotated
    places: tuple[Affine | None, ...] = ()  # of the image files, as `same_scan.canonical` gives them
    spacing: tuple[float, ...] = ()  # mm, axes in RAS order; empty where files state none


@dataclass(frozen=True)
class DatasetSubject:
    """The whole data set: all cases, and facts about those that could be read."""

    cases: Sequence[Case]
    facts: Sequence[CaseFacts]
    orphans: Sequence[Path] = ()
    allow_unlabelled: bool = False
    declared: Mapping[int, str] | None = None
    modality: str | None = None
    folds: Sequence[int | None] = ()
    ignored: Sequence[Path] = ()
    unused: Sequence[UnusedList] = ()
    patients_stated: bool = False  # by the user, for every case
    faults: Sequence[SourceFault] = ()  # what the layout's reader passed over
    ignore: int | None = None  # the label value of voxels that nobody annotated
    table_of_names: bool = False  # `declared` names more than must be there
    not_masks: str = ""  # what to say of annotations that are no masks

    @property
    def labelled(self) -> list[CaseFacts]:
        """The facts of cases that have a label."""
        return [facts for facts in self.facts if facts.case.label is not None]
