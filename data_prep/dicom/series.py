"""Series of a folder: planes of one SeriesInstanceUID, in order along the normal, with all that speaks against using them."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.amounts import plural
from data_prep.dicom.grid import Problem, affine_of, has_place, problems_of_stack, stacked
from data_prep.dicom.headers import Found, read_headers
from data_prep.dicom.kinds import MOSAIC, NO_VOLUME, SCOUT, no_scan_problem, scout_problem, sorted_by_kind, whole_problem
from data_prep.dicom.names import shown_path
from data_prep.dicom.parts import by_tells, of_one_grid, shares_places
from data_prep.dicom.plane import Plane
from data_prep.dicom.shown import MODALITIES, joined, shown_number, shown_parts, shown_term
from data_prep.known_files import equal_files
from data_prep.naming import naming
from data_prep.quoting import printable
from data_prep.volume import Affine

LEFT_OUT = (SCOUT, NO_VOLUME)  # these are no volumes, so that nothing is lost
REMARKS = ("D525", "D526")  # nothing that hinders
NO_STACK = (*LEFT_OUT, MOSAIC)


@dataclass(frozen=True)
class Series:
    """One stack of planes.

    Attributes:
        uid: SeriesInstanceUID; `part` tells the stacks of one series apart ("EchoTime=2.5"), "" for a whole one.
        shown_part: the same where others may read it: free text is told by its rank.
        modality, description, number: of the header, as they are there: for choosing, and never shown. See `title`.
        files: in the order of the slices; a multi-frame file once.
        planes: one a slice, in order along the normal.
        shape: (columns, rows, slices) = (X, Y, Z).
        affine: (4, 4) float64, voxel -> RAS mm.
        problems: by code; empty for a sound series.
    """

    uid: str
    part: str
    modality: str
    description: str
    number: str
    planes: tuple[Plane, ...]
    shape: tuple[int, int, int]
    affine: Affine
    patient_id: str
    study_uid: str
    frame_of_reference_uid: str
    problems: tuple[Problem, ...] = ()
    shown_part: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files in the order of the slices; a multi-frame file once."""
        return tuple(dict.fromkeys(plane.file for plane in self.planes))

    @property
    def title(self) -> str:
        """What a person knows it by: number, part, kind and size; with --keep-names also the description, a free text."""
        described = f"'{printable(self.description)}'" if self.description and naming().keep else ""
        called = " ".join(filter(None, ("series", printable(self.shown_number), described, self.shown_part)))
        kind = shown_term(self.modality, MODALITIES, "no modality" if not self.modality else "another modality")
        return f"{called} ({kind}, {plural(len(self.planes), 'slice')})"

    @property
    def shown_number(self) -> str:
        """SeriesNumber where it is a number."""
        return shown_number(self.number, self.planes[0].identifiers)

    @property
    def left_out(self) -> bool:
        """Whether it is no volume by its kind: a scout, a screen shot, colours."""
        return any(problem.code in LEFT_OUT for problem in self.problems)

    @property
    def usable(self) -> bool:
        """Whether nothing speaks against reading it as one volume."""
        return all(problem.code in REMARKS for problem in self.problems)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Words of its headers that no output may show."""
        return tuple(dict.fromkeys(word for plane in self.planes for word in plane.identifiers))


def find_series(folder: Path) -> list[Series]:
    """All series of images below a folder, sound or not, in the order of patient, study and number.

    Raises:
        EnvironmentFault: pydicom is not installed.
    """
    return series_of(read_headers(folder))


def series_of(found: Found) -> list[Series]:
    """The series that the planes of a folder make; one with several planes at a place comes as its parts."""
    groups: dict[tuple[str, str], list[Plane]] = defaultdict(list)
    for plane in found.planes:
        groups[plane.patient_id, plane.series_uid or f"none:{plane.file}"].append(plane)
    owners: dict[str, int] = Counter(uid for _, uid in groups)
    every = [_owned(one, owners[one.uid]) for planes in groups.values() for one in _of_uid(planes)]
    return sorted(every, key=lambda one: (one.patient_id, one.study_uid, _as_number(one.number), one.uid))


def _owned(series: Series, patients: int) -> Series:
    """A series whose UID several patients have is a part of one, if one of their IDs is wrong."""
    if patients < 2:
        return series
    told = f"{patients} patients have a series with this UID; these slices may be only a part of it"
    return replace(series, problems=(*series.problems, Problem("D527", told)))


def _as_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)


def _of_uid(planes: Sequence[Plane]) -> Iterator[Series]:
    kept = _once(planes)
    twice = len(planes) - len(kept)
    remarks = [Problem("D525", f"{twice} of {len(planes)} slices are there twice, in equal files")] if twice else []
    scouts, others, slices = sorted_by_kind(kept)
    if scouts:
        yield _series(scouts, "localizer" if slices else "", [scout_problem(scouts)])
    if others:
        yield _series(others, "colour" if slices else "", [no_scan_problem(others)])
    if not slices:
        return
    grids = of_one_grid(slices)
    no_stack = whole_problem(slices, grids)
    if no_stack is not None:
        yield _series(slices, "", [no_stack, *remarks])
        return
    for index, grid in enumerate(grids):
        part = f"grid={index + 1}" if len(grids) > 1 else ""
        mixed = [Problem("D519", f"one of {len(grids)} grids in one series; to take it: --series {part}")] if part else []
        yield from _stacks(grid, part, [*mixed, *remarks])


def _once(planes: Sequence[Plane]) -> list[Plane]:
    """Planes without those of files that are, byte for byte, there already."""
    first: dict[tuple[str, int, tuple[float, ...] | None], Plane] = {}
    equal: dict[tuple[Path, Path], bool] = {}
    kept = []
    for plane in planes:
        other = first.setdefault((plane.sop_uid, plane.frame, plane.position), plane)
        pair = (other.file, plane.file)
        if other is not plane and pair not in equal:
            equal[pair] = other.file != plane.file and equal_files(*pair)
        if other is plane or not equal[pair]:
            kept.append(plane)
    return kept


def _stacks(planes: Sequence[Plane], part: str, problems: Sequence[Problem]) -> Iterator[Series]:
    """Planes of one grid as one series, or as its parts when several lie at each place."""
    lost = [plane for plane in planes if not has_place(plane)]
    if lost:
        yield _series(planes, part, [*problems, Problem("D520", _lost_words(lost, len(planes)))])
        return
    frames = dict.fromkeys(plane.frame_of_reference_uid for plane in planes)
    if len(frames) > 1:
        problems = [
            *problems,
            Problem("D518", f"its slices are in {len(frames)} frames of reference: the patient may have moved"),
        ]
    parts = by_tells(planes) if shares_places(planes) else {}
    if not parts:
        yield _series(planes, part, problems)
    shown = shown_parts(list(parts), planes[0].identifiers)
    for pairs, group in parts.items():
        words, real = (",".join(filter(None, (part, one))) for one in (shown[pairs], joined(pairs)))
        several = Problem(
            "D511", f"{len(parts)} parts of this series lie at the same place; to take this one: --series {shlex.quote(words)}"
        )
        yield _series(group, real, [*problems, several], words)


def _lost_words(lost: Sequence[Plane], count: int) -> str:
    absent = {
        "ImageOrientationPatient": any(plane.orientation is None for plane in lost),
        "ImagePositionPatient": any(plane.position is None for plane in lost),
        "PixelSpacing": any(plane.spacing is None for plane in lost),
    }
    names = ", ".join(name for name, is_absent in absent.items() if is_absent) or "a usable orientation and spacing"
    return f"{len(lost)} of {count} slices lack {names}"


def _series(planes: Iterable[Plane], part: str, problems: Sequence[Problem], shown: str = "") -> Series:
    ordered = stacked(list(planes))
    first = ordered[0]
    found = list(problems)
    is_stack = not any(one.code in NO_STACK for one in found)
    if is_stack and all(has_place(plane) for plane in ordered):
        found += [one for one in problems_of_stack(ordered) if one.code not in {problem.code for problem in found}]
    if len(ordered) == 1 and is_stack and has_place(first):
        found.append(Problem("D517", "a volume needs two or more"))
    if any(plane.photometric == "MONOCHROME1" for plane in ordered) and is_stack:
        found.append(Problem("D526", "MONOCHROME1"))
    found += _short(ordered)
    return Series(
        uid=first.series_uid,
        part=part,
        modality=first.modality,
        description=first.description,
        number=first.number,
        planes=tuple(ordered),
        shape=(first.columns, first.rows, len(ordered)),
        affine=affine_of(ordered),
        patient_id=first.patient_id,
        study_uid=first.study_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        problems=tuple(found),
        shown_part=shown or part,
    )


def _short(planes: Sequence[Plane]) -> Iterator[Problem]:
    short = [plane for plane in planes if plane.short]
    if short:
        more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
        yield Problem("D516", f"{_name(short[0])}{more}: {short[0].short}")


def _name(plane: Plane) -> str:
    return Path(shown_path(plane.file, plane.identifiers)).name
