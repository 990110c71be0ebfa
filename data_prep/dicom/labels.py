"""Which segmentation belongs to which series, and the label value of each name of a segment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.amounts import few
from data_prep.checks.registry import Finding, run_checks
from data_prep.dicom.headers import Found
from data_prep.dicom.names import case_name, shown_path
from data_prep.dicom.seg_read import Segmentation, label_map, read_segmentation
from data_prep.dicom.seg_write import is_own_seg
from data_prep.dicom.series import Series
from data_prep.label_names import alike_name
from data_prep.volume import ReadError, Volume

HALVES = "D534"  # accepted: fractional segmentations are cut at half of their largest value
OWN = "D539"  # accepted: segmentations that prediction wrote are labels
CONTOURS = "D537"  # a file of contours, of which no mask is made
SHOWN = 3


@dataclass(frozen=True)
class Drawn:
    """Segmentations of a folder: by case those of its series, label values by name, and what is wrong with others."""

    of_case: Mapping[str, tuple[Segmentation, ...]] = field(default_factory=dict)
    values: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def label_names(self) -> dict[int, str] | None:
        """Value -> name with the background, None when there is no segmentation."""
        first = {value: name for name, value in reversed(list(self.values.items()))}  # of several spellings the first
        return {0: "background", **dict(sorted(first.items()))} if self.of_case else None


def drawn(found: Found, every: Sequence[Series], sound: Sequence[Series], accept: Collection[str] = ()) -> Drawn:
    """Pair the segmentations of a folder with its series.

    Args:
        found: what the folder holds.
        every: all its series.
        sound: those that become cases.
        accept: codes of judgements that the user overrules.

    What prediction wrote is no label, unless it is accepted as such (D539). A segmentation belongs to the series that it
    names; where it names none, to that of the images that its frames name; else to the only series of its frame of
    reference. Values are 1, 2, ... in the order of the numbers in the files, then by name.
    """
    of_case: dict[str, list[Segmentation]] = defaultdict(list)
    own = [path for path in found.segmentations if is_own_seg(path)]
    findings = _own(own, every, sound, accept)
    for path in found.segmentations if OWN in accept else [path for path in found.segmentations if path not in own]:
        try:
            one = read_segmentation(path)
            series = _series_of(one, every, sound)
            if series is not None:
                _once(one, of_case[case_name(series)])
                of_case[case_name(series)].append(one)
        except ReadError as fault:
            findings += run_checks("fault", fault, "", shown_path(path))
    contours = ReadError("contours", "it holds contours (RTSTRUCT), which are not made into masks here; it is left out")
    findings += [one for path in found.structures for one in run_checks("fault", contours, "", shown_path(path))]
    kept = {case: tuple(several) for case, several in of_case.items() if several}
    return Drawn(kept, _values(kept.values()), tuple(findings))


def _own(own: Sequence[Path], every: Sequence[Series], sound: Sequence[Series], accept: Collection[str]) -> list[Finding]:
    """The finding about segmentations that prediction wrote, with the series that they are of."""
    if not own:
        return []
    cases = sorted({case for path in own for case in _case_of(path, every, sound)})
    of = f", of {few(cases, SHOWN)}" if cases else ""
    what = "1 predicted mask is" if len(own) == 1 else f"{len(own)} predicted masks are"
    fault = ReadError("segments_own", f"{what} {'taken as drawn' if OWN in accept else 'left out'}{of}")
    return run_checks("fault", fault, "", shown_path(own[0]), accept)


def _case_of(path: Path, every: Sequence[Series], sound: Sequence[Series]) -> Iterator[str]:
    try:
        series = _series_of(read_segmentation(path), every, sound)
    except ReadError:
        return
    if series is not None:
        yield case_name(series)


def _series_of(one: Segmentation, every: Sequence[Series], sound: Sequence[Series]) -> Series | None:
    """The series of a segmentation; None when that is here, and is no case: what is wrong with it was said.

    Raises:
        ReadError: "segments_elsewhere": it is not here. "segments_unrelated": it may be any of several.
    """
    named = [series for series in every if series.uid in one.series_uids or _holds(series, one.source_uids)]
    if not named and (one.series_uids or one.source_uids):
        raise ReadError("segments_elsewhere", "the series that it was drawn on is not here; it is left out")
    if not named:
        frame = one.frame_of_reference_uid
        named = [series for series in every if frame and series.frame_of_reference_uid == frame and not series.left_out]
        if len(named) != 1:
            raise ReadError("segments_unrelated", f"it names no series, and {len(named)} series here fit it")
    whole = [series for series in named if any(series is other or series.planes == other.planes for other in sound)]
    if len(whole) > 1:
        exact = [series for series in whole if _holds(series, one.source_uids)]
        whole = exact or whole
    if len(whole) > 1:
        raise ReadError("segments_unrelated", f"it was drawn on one of {len(whole)} stacks here, and does not say which")
    return whole[0] if whole else None


def _holds(series: Series, source_uids: Collection[str]) -> bool:
    return bool(source_uids) and any(plane.sop_uid in source_uids for plane in series.planes)


def _once(one: Segmentation, others: Sequence[Segmentation]) -> None:
    own = {alike_name(name) for name in one.names}
    twice = [name for other in others for name in other.names if alike_name(name) in own]
    if twice:
        raise ReadError("segments_twice", f"another file has a segment {twice[0]!r} of this series, too")


def _values(several: Collection[tuple[Segmentation, ...]]) -> dict[str, int]:
    """Name -> value; spellings of one name (capitals, spaces, hyphens) have one value."""
    first: dict[str, int] = {}
    for segment in (segment for members in several for one in members for segment in one.segments):
        first[segment.name] = min(segment.number, first.get(segment.name, segment.number))
    ordered = sorted(first, key=lambda name: (first[name], name))
    classes = {key: value for value, key in enumerate(dict.fromkeys(alike_name(name) for name in ordered), start=1)}
    return {name: classes[alike_name(name)] for name in ordered}


def label_volume(found: Sequence[Segmentation], series: Series, drawn_on: Drawn, halves: bool, place: Path) -> Volume:
    """The label of a case as the volume that the checks take; (X, Y, Z), affine to RAS mm.

    Raises:
        ReadError: see `label_map`.
    """
    labels = label_map(found, series, drawn_on.values, halves)
    digest = "|".join(str(one.path) for one in found)
    return Volume(place, labels, np.asarray(series.affine), str(labels.dtype), digest)


def readers(
    found: Drawn, series: Mapping[str, Series], root: Path, accept: Collection[str]
) -> dict[str, tuple[Path, partial[Volume]]]:
    """By case: the path that stands for its label, and what reads it."""
    made = {}
    for case, several in found.of_case.items():
        place = root / f"{case}_seg"
        made[case] = (place, partial(label_volume, several, series[case], found, HALVES in accept, place))
    return made
