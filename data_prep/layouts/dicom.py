"""A folder of DICOM files, in any nesting, with masks beside it: each sound series is a case."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from data_prep.amounts import few
from data_prep.cases import Case, Source
from data_prep.checks.registry import Finding, run_checks
from data_prep.dicom.choice import choose, without
from data_prep.dicom.headers import Found, read_headers
from data_prep.dicom.labels import drawn, readers
from data_prep.dicom.names import case_name, shown_path
from data_prep.dicom.series import Series, series_of
from data_prep.dicom.volume import volume_of
from data_prep.errors import ConfigError, DataListError
from data_prep.label_affixes import Pairs, pair_labels, without_label_words
from data_prep.layouts.common import image_files, label_folder, names_beside
from data_prep.naming import naming
from data_prep.quoting import quoted
from data_prep.reading import extension, stem

ACCEPTED = ("D517", "D518", "D527")  # problems that the user may overrule
MODALITIES = {"CT": "CT", "MR": "MRI"}
LABELS = "labels"


def read(root: Path, labels_dir: str | None = None, series: str | None = None, accept: Collection[str] = ()) -> Source:
    """List the series below a folder as cases; what is wrong with the others is in `findings`.

    Args:
        root: the folder, or one file.
        labels_dir: folder of masks in `root`, named like the case, the SeriesInstanceUID or the series' folder.
        series: which are meant; see `choose`.
        accept: codes that the user overrules.

    Raises:
        ConfigError: no such series, or no such label folder.
        DataListError: no image at all.
        EnvironmentFault: pydicom is not installed.
    """
    found = read_headers(root)
    there = series_of(found)
    every = choose(there, series)
    if not every and not found.faults:
        raise DataListError("D503", f"{root}: its DICOM files hold no image; expected CT or MR series", str(root))
    places = places_of(every, root)
    findings = [*_findings(places, accept), *_faults(found)]
    findings += run_checks("dicom_folder", _without_labels(found, root, labels_dir), file=str(root))
    usable = _usable(places, accept)
    labels, name = _labels(root, labels_dir)
    if not usable and not any(finding.level == "error" for finding in findings):
        raise DataListError("D503", f"{root}: none of its DICOM series is a volume: {_why(findings)}", str(root))
    sound = [one for one, _ in usable]
    by_case = {case_name(one): one for one in sound}
    pairs, note = _paired(sound, there, labels, root)
    _show(pairs, {case: one.uid for case, one in by_case.items()})
    unpaired = found if not labels else replace(found, segmentations=[], structures=[])
    of_headers = drawn(unpaired, there, sound, accept)
    made = readers(of_headers, by_case, root, accept)
    masks = {**{case: place for case, (place, _) in made.items()}, **pairs.labels}
    modalities = {MODALITIES.get(one.modality, "") for one in sound}
    return Source(
        root,
        "dicom",
        root.name or "dicom",
        tuple(Case(case_name(one), (place,), masks.get(case_name(one)), patient_of(one)) for one, place in usable),
        of_headers.label_names or (names_beside(root, name) if root.is_dir() else None),
        modality=modalities.pop() or None if len(modalities) == 1 else None,
        orphans=pairs.orphans,
        notes=(note,) if note else (),
        volumes={**{place: partial(volume_of, one, place) for one, place in usable}, **dict(made.values())},
        series=by_case,
        findings=(*findings, *of_headers.findings),
        labelled=bool(labels or made),
        segments_named=bool(made),
    )


def _findings(places: Sequence[tuple[Series, Path]], accept: Collection[str]) -> Iterator[Finding]:
    for one, place in places:
        yield from run_checks("series", one, case_name(one), str(place), accept)


def _usable(places: Sequence[tuple[Series, Path]], accept: Collection[str]) -> list[tuple[Series, Path]]:
    """The series that are volumes, where they lie, without the problems that the user overrules."""
    solved = {*ACCEPTED} & {*accept}
    return [(sound, place) for one, place in places if (sound := without(one, solved)).usable]


def patient_of(series: Series) -> str:
    """The pseudonym of its patient; "" when the headers name none, so that names may tell."""
    return case_name(series).rsplit("_", 1)[0] if series.patient_id else ""


def places_of(every: Sequence[Series], root: Path) -> list[tuple[Series, Path]]:
    """Each series and where it lies: its folder, else its first file, else its case's name below `root`.

    No two share a place, and none of these names a patient.
    """
    folders = Counter(folder for one in every for folder in {file.parent for file in one.files})
    firsts = Counter(one.files[0] for one in every)
    places = []
    for one in every:
        own = {file.parent for file in one.files}
        alone = len(own) == 1 and folders[one.files[0].parent] == 1 and root.is_dir()
        place = next(iter(own)) if alone else one.files[0]
        hidden = shown_path(place, one.identifiers, "") != str(place) or (place in firsts and firsts[place] > 1)
        hidden = hidden or extension(place) is not None  # it would be taken for a file of that kind
        places.append((one, root / case_name(one) if hidden else place))
    return places


def _without_labels(found: Found, root: Path, labels_dir: str | None) -> Found:
    """What lies in the folder of masks is no stranger."""
    labels = root / (labels_dir or LABELS)
    return replace(found, strangers=[path for path in found.strangers if not path.is_relative_to(labels)])


def _why(findings: Sequence[Finding]) -> str:
    return few([finding.message for finding in findings], between="; ")


def _faults(found: Found) -> Iterator[Finding]:
    words = {word for plane in found.planes for word in plane.identifiers}
    for path, fault in found.faults:
        yield from run_checks("fault", fault, "", shown_path(path, words, "unreadable"))


def _labels(root: Path, labels_dir: str | None) -> tuple[list[Path], str]:
    """Mask files and the name of their folder; none where no folder was named and there is no usual one."""
    if labels_dir and not (root / labels_dir).is_dir():  # what else lies there is not told: folders name patients
        raise ConfigError(f"--labels-dir {labels_dir}: there is no such folder in {root}. Type: ls {quoted(root)}")
    if root.is_dir() and (labels_dir or (root / LABELS).is_dir()):
        return image_files(label_folder(root, labels_dir or LABELS)), labels_dir or LABELS
    return [], LABELS


def _paired(sound: Sequence[Series], there: Sequence[Series], labels: Sequence[Path], root: Path) -> tuple[Pairs, str]:
    """The mask of each case, by the kind of name that pairs most; names that several series share pair nothing.

    Masks of series that are there and no case belong to nobody, and are no orphans.
    """
    stems = {stem(path): path for path in labels}
    best, said = Pairs({}, tuple(labels)), ""
    others = _names([one for one in there if not one.left_out], root)
    for kind, several in _names(sound, root).items():
        names = {name: cases[0] for name, cases in several.items() if len(cases) == 1}
        pairs = pair_labels([*names, *(name for name in others[kind] if name not in several)], stems)
        cases = {names[name]: path for name, path in pairs.labels.items() if name in names}
        if len(cases) > len(best.labels) or (not best.labels and len(pairs.orphans) < len(best.orphans)):
            best = Pairs(cases, pairs.orphans)
            said = f"masks are paired with series by {kind}: {len(cases)}" if cases else ""
    return best, said


def _show(pairs: Pairs, uids: Mapping[str, str]) -> None:
    """Masks that are called by the case or the SeriesInstanceUID name nobody: they are shown, and stay where they are.

    A word that says "mask" may stand beside it.
    """
    safe = (path for case, path in pairs.labels.items() if {case, uids[case]} & {stem(path), *without_label_words(stem(path))})
    naming().given.update(path.name for path in safe)


def _names(series: Sequence[Series], root: Path) -> dict[str, dict[str, list[str]]]:
    """By kind: name -> the cases that have it."""
    names_of: dict[str, Callable[[Series], str]] = {
        "their case's name": case_name,
        "SeriesInstanceUID": lambda one: one.uid,
        "their folder's name": lambda one: one.files[0].parent.name,
        "their patient's folder": lambda one: _top(one, root),
    }
    found: dict[str, dict[str, list[str]]] = {kind: defaultdict(list) for kind in names_of}
    for one in series:
        for kind, name_of in names_of.items():
            found[kind][name_of(one)].append(case_name(one))
    return {kind: {name: cases for name, cases in names.items() if name} for kind, names in found.items()}


def _top(series: Series, root: Path) -> str:
    parts = series.files[0].relative_to(root).parts if series.files[0].is_relative_to(root) else ()
    return parts[0] if len(parts) > 1 else ""
