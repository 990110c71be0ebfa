"""Series of a folder: planes of one SeriesInstanceUID, in order along the normal, with all that speaks against using them."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.dicom.grid import Problem, affine_of, has_place, problems_of_stack, stacked
from data_prep.dicom.headers import Found, read_headers
from data_prep.dicom.names import without_identifiers
from data_prep.dicom.parts import by_tells, of_one_grid, shares_places
from data_prep.dicom.plane import Plane
from data_prep.dicom.tags import SECONDARY
from data_prep.volume import Affine

SCOUT, NO_VOLUME, ONE_SLICE = "D514", "D515", "D517"
LEFT_OUT = (SCOUT, NO_VOLUME)  # these are no volumes, so that nothing is lost
REMARKS = ("D525", "D526")  # nothing that hinders
SCOUT_WORDS = ("LOCALIZER", "SCOUT", "SURVEY", "TOPOGRAM")
GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class Series:
    """One stack of planes.

    Attributes:
        uid: SeriesInstanceUID; `part` tells the stacks of one series apart ("EchoTime=2.5"), "" for a whole one.
        modality, description, number: of the header; the description without what names the patient.
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

    @property
    def files(self) -> tuple[Path, ...]:
        """Files in the order of the slices; a multi-frame file once."""
        return tuple(dict.fromkeys(plane.file for plane in self.planes))

    @property
    def title(self) -> str:
        """What a person knows it by: its number, description, kind and size."""
        called = " ".join(filter(None, (self.number, f"'{self.description}'" if self.description else "", self.part)))
        count = len(self.planes)
        return f"series {called} ({self.modality or 'no modality'}, {count} slice{'' if count == 1 else 's'})"

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
    every = [one for planes in groups.values() for one in _of_uid(planes)]
    return sorted(every, key=lambda one: (one.patient_id, one.study_uid, _as_number(one.number), one.uid))


def _as_number(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)


def _of_uid(planes: Sequence[Plane]) -> Iterator[Series]:
    kept, twice = _once(planes)
    remarks = [Problem("D525", f"{twice} of {len(planes)} slices are there twice, as equal files")] if twice else []
    scouts = [plane for plane in kept if is_scout(plane)]
    flat = [plane for plane in kept if not is_scout(plane) and not is_grey(plane)]
    volume = [plane for plane in kept if not is_scout(plane) and is_grey(plane)]
    if scouts:
        yield _series(scouts, "localizer" if volume else "", [Problem(SCOUT, _scout_words(scouts))])
    if flat:
        yield _series(flat, "colour" if volume else "", [Problem(NO_VOLUME, _flat_words(flat))])
    if not volume:
        return
    grids = of_one_grid(volume)
    if (len(grids) > 1 and all(len(grid) == 1 for grid in grids)) or _crossed(grids):
        yield _series(volume, "", [Problem(SCOUT, f"{len(volume)} images in {len(grids)} orientations: a localiser"), *remarks])
        return
    for index, grid in enumerate(grids):
        part = f"grid={index + 1}" if len(grids) > 1 else ""
        mixed = [Problem("D519", f"one of {len(grids)} grids in one series; to take it: --series {part}")] if part else []
        yield from _stacks(grid, part, [*mixed, *remarks])


def _crossed(grids: Sequence[Sequence[Plane]]) -> bool:
    """Whether a few images lie in three directions, as those of a localiser do."""
    return len(grids) == 3 and max(map(len, grids)) <= 15 and all(has_place(grid[0]) for grid in grids)


def _once(planes: Sequence[Plane]) -> tuple[list[Plane], int]:
    """Planes without copies of one file, and how many were copies."""
    first: dict[tuple[str, int], Plane] = {}
    for plane in planes:
        first.setdefault((plane.sop_uid or str(plane.file), plane.frame), plane)
    return list(first.values()), len(planes) - len(first)


def is_scout(plane: Plane) -> bool:
    """Whether the header calls it a localiser, scout or survey."""
    return any(word in part for part in plane.image_type for word in SCOUT_WORDS)


def is_grey(plane: Plane) -> bool:
    """Whether it is a picture of one grey value a pixel that a scanner made."""
    secondary = plane.sop_class == SECONDARY or plane.sop_class.startswith(f"{SECONDARY}.")
    return plane.samples == 1 and plane.photometric in GREY and not (secondary and plane.position is None)


def _scout_words(planes: Sequence[Plane]) -> str:
    return f"{len(planes)} image{'s are' if len(planes) > 1 else ' is'} called a localiser by the header"


def _flat_words(planes: Sequence[Plane]) -> str:
    kind = "colour" if planes[0].photometric not in GREY or planes[0].samples > 1 else "no place in the patient"
    return f"{len(planes)} images: a secondary capture or colour ({kind}, {planes[0].photometric})"


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
    for words, group in parts.items():
        shown = ",".join(filter(None, (part, without_identifiers(words, planes[0].identifiers))))
        several = Problem("D511", f"{len(parts)} parts lie at one place; to take this one: --series {shlex.quote(shown)}")
        yield _series(group, shown, [*problems, several])


def _lost_words(lost: Sequence[Plane], count: int) -> str:
    absent = {
        "ImageOrientationPatient": any(plane.orientation is None for plane in lost),
        "ImagePositionPatient": any(plane.position is None for plane in lost),
        "PixelSpacing": any(plane.spacing is None for plane in lost),
    }
    names = ", ".join(name for name, is_absent in absent.items() if is_absent) or "a usable orientation and spacing"
    return f"{len(lost)} of {count} slices lack {names}"


def _series(planes: Iterable[Plane], part: str, problems: Sequence[Problem]) -> Series:
    ordered = stacked(list(planes))
    first = ordered[0]
    found = list(problems)
    if all(has_place(plane) for plane in ordered) and len(of_one_grid(ordered)) == 1:
        found += [one for one in problems_of_stack(ordered) if one.code not in {problem.code for problem in found}]
    if len(ordered) == 1 and not found:
        found.append(Problem(ONE_SLICE, "a volume needs two or more"))
    if any(plane.photometric == "MONOCHROME1" for plane in ordered) and not found:
        found.append(Problem("D526", "MONOCHROME1"))
    found += _short(ordered)
    return Series(
        uid=first.series_uid,
        part=part,
        modality=without_identifiers(first.modality, first.identifiers),
        description=without_identifiers(first.description, first.identifiers),
        number=without_identifiers(first.number, first.identifiers),
        planes=tuple(ordered),
        shape=(first.columns, first.rows, len(ordered)),
        affine=affine_of(ordered),
        patient_id=first.patient_id,
        study_uid=first.study_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        problems=tuple(found),
    )


def _short(planes: Sequence[Plane]) -> Iterator[Problem]:
    short = [plane for plane in planes if plane.short]
    if short:
        more = f" (and {len(short) - 1} more)" if len(short) > 1 else ""
        yield Problem("D516", f"{_name(short[0])}{more}: {short[0].short}")


def _name(plane: Plane) -> str:
    return without_identifiers(plane.file.name, plane.identifiers)
