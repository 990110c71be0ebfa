"""A data set in parts: train/, val/ and test/, each as its files lie, or a folder for each site, or for each patient.

The parts lie below the data set, train/images and train/masks, or below its two folders, images/train and masks/train.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.amounts import few
from data_prep.cases import SPLITS, UNKNOWN_SITE, Case, Source
from data_prep.errors import DataListError, HybridError
from data_prep.layouts.case_folders import OF_CASES
from data_prep.layouts.common import folders_in, image_files, names_beside, split_of
from data_prep.layouts.two_folders import masks_in
from data_prep.quoting import quoted
from data_prep.scans import says_labels

PARTS, SITES, PATIENTS = "parts", "sites", "patients"
IMAGES = "images"
LISTS = (".json", ".csv", ".tsv", ".txt", ".label")  # what may describe a part
Reader = Callable[[Path, str | None, str | None], Source]  # folder, folder of labels and of images in it


@dataclass(frozen=True)
class Part:
    """A part of a data set.

    Attributes:
        name: of its folder.
        place: the folder that is read.
        labels_dir, images_dir: in that folder, None where the layout knows them.
        images: the folder of its images, where masks may be missing.
        split: "training", "validation" or "testing"; None: a site.
    """

    name: str
    place: Path
    labels_dir: str | None
    images_dir: str | None
    images: Path
    split: str | None


def splits_of(root: Path, labels_dir: str | None = None, images_dir: str | None = None) -> list[Part]:
    """The parts of a data set whose folders are called like splits; [] where there are fewer than two, or none to train on."""
    if image_files(root):
        return []
    for found in (_below(root, labels_dir, images_dir), _within_two(root, labels_dir, images_dir)):
        parts = [part for part in found if part.split]
        if len(parts) > 1 and any(part.split == "training" for part in parts):
            return sorted(parts, key=lambda part: SPLITS.index(str(part.split)))
    return []


def sites_of(root: Path, labels_dir: str | None = None, images_dir: str | None = None) -> list[Part]:
    """Each folder in a data set, or below its folder of images, as a site, whatever it is called."""
    found = [] if image_files(root) else _within_two(root, labels_dir, images_dir) or _below(root, labels_dir, images_dir)
    return [replace(part, split=None) for part in found]


def _below(root: Path, labels_dir: str | None, images_dir: str | None) -> list[Part]:
    """train/images and train/masks."""
    return [
        Part(path.name, path, labels_dir, images_dir, _images_in(path, images_dir), split_of(path.name))
        for path in folders_in(root)
    ]


def _images_in(part: Path, images_dir: str | None) -> Path:
    own = part / (images_dir or IMAGES)
    return own if own.is_dir() else part


def _within_two(root: Path, labels_dir: str | None, images_dir: str | None) -> list[Part]:
    """images/train and masks/train; or two folders of other names that hold folders of the same names."""
    within = {path.name: {own.name for own in folders_in(path)} for path in folders_in(root) if not image_files(path)}
    labels = [labels_dir] if labels_dir else [name for name in within if says_labels(name)]
    known = images_dir or (IMAGES if IMAGES in within else None)
    images = [known] if known else [name for name in within if name not in labels]
    fit = [
        (own, other, sorted(names))
        for own in images
        for other in labels
        if own != other and (names := within.get(own, set()) & within.get(other, set()))
    ]
    if len(fit) != 1:
        return []
    own, other, both = fit[0]
    bare = sorted(within[own] - set(both))  # tests without masks
    return [Part(name, root, f"{other}/{name}", f"{own}/{name}", root / own / name, split_of(name)) for name in (*both, *bare)]


def read(root: Path, parts: Sequence[Part], reader: Reader, patients: bool = False) -> Source:
    """List the cases of all parts.

    Args:
        root: the data set.
        parts: of it; cases of a split keep that, cases of a site get its name.
        reader: reads the folder of one part.
        patients: each part without a split is a patient, and no site.

    Raises:
        DataError: a part cannot be read.
        DataListError: "D550": parts have other channels, or name labels otherwise.
    """
    sources, bare = _each(parts, reader)
    _same(root, "channels", {name: source.channels for name, source in sources.items()})
    names = names_beside(root, "labels") or _one_table(root, sources)
    numbers = Counter(case.case_id for source in sources.values() for case in source.cases)
    several = patients or any(number > 1 for number in numbers.values())
    own = [_placed(sources[part.name], part, several, patients) for part in parts if part.name in sources]
    notes = [_said(parts, sources, patients), *_together(sources), *bare]
    if patients:  # of which there may be hundreds, each with another number of cases
        notes = [note for note in notes if OF_CASES not in note]
    elif several:
        notes.append("cases of several parts have the same names, so each is called by its part too")
    if parts[0].place != root and (others := {path.name for path in folders_in(root)} - {part.name for part in parts}):
        notes.append(f"folders that are no part, left out: {few(sorted(others))}")
    return replace(
        own[0],
        root=root,
        layout=PARTS if any(part.split for part in parts) else PATIENTS if patients else SITES,
        name=root.name,
        cases=tuple(case for source in own for case in source.cases),
        label_names=names,
        orphans=tuple(path for source in own for path in source.orphans),
        notes=tuple(notes),
        volumes={path: volume for source in own for path, volume in source.volumes.items()},
        faults=tuple(fault for source in own for fault in source.faults),
        findings=tuple(finding for source in own for finding in source.findings),
        labelled=any(source.labelled for source in own),
        beside=tuple(dict.fromkeys(path for source in own for path in (*source.beside, *_lists(source.root, root)))),
        table_of_names=names is not None and any(source.table_of_names for source in own),
    )


def _each(parts: Sequence[Part], reader: Reader) -> tuple[dict[str, Source], list[str]]:
    """Each part by its name, and what to say of parts without a mask."""
    sources: dict[str, Source] = {}
    said: list[str] = []
    for part in parts:
        try:
            sources[part.name] = reader(part.place, part.labels_dir, part.images_dir)
        except HybridError:
            if part.split in (None, "training") or not (bare := _without_masks(part)):
                raise
            typed = f"monai-hybrid predict {quoted(part.images)}"
            said.append(f"{part.name}/: {bare} images without masks, left out. To segment them: {typed}")
    return sources, said


def _one_table(root: Path, sources: Mapping[str, Source]) -> Mapping[int, str] | None:
    """The names of labels that the parts state, all the same."""
    named = {name: source.label_names for name, source in sources.items() if source.label_names is not None}
    _same(root, "names of labels", {name: tuple(sorted(own.items())) for name, own in named.items()})
    return next(iter(named.values()), None)


def _said(parts: Sequence[Part], sources: Mapping[str, Source], patients: bool) -> str:
    """What the parts are taken for, and how many cases each has."""
    if patients:
        cases = sum(len(source.cases) for source in sources.values())
        return f"each folder is a patient: {len(sources)} patients, {cases} cases"
    told = ", ".join(f"{name}/ {len(source.cases)}" for name, source in sources.items())
    if any(part.split for part in parts):
        return f"splits are those of the folders: {told} cases; to split anew, type: --layout sites"
    return f"each folder is a site: {told} cases"


def _without_masks(part: Part) -> int:
    """The number of images of a part that has no masks at all, as tests of a challenge; 0 where it has some."""
    if part.labels_dir is not None:
        masks = bool(masks_in(part.place / part.labels_dir))
    else:
        masks = any(says_labels(path.name) and masks_in(path) for path in folders_in(part.place))
    return 0 if masks or not part.images.is_dir() else len(image_files(part.images))


def _same(root: Path, what: str, of: Mapping[str, Sequence[object]]) -> None:
    """Raises: DataListError: the parts differ."""
    first = next(iter(of), "")
    for name, own in of.items():
        if own != of[first]:
            seen = f"{first}/ has {', '.join(map(str, of[first]))}; {name}/ has {', '.join(map(str, own))}"
            raise DataListError("D550", f"{root}: parts have other {what}: {seen}. Bring them into one form", str(root))


def _placed(source: Source, part: Part, several: bool, patients: bool) -> Source:
    """Its cases with their split, site or patient, and the part in their names where other parts have the same."""

    def called(case_id: str) -> str:
        return f"{part.name}_{case_id}" if several and case_id else case_id

    def of_part(case: Case) -> Case:
        patient = part.name if patients else called(case.patient)
        is_site = part.split is None and not patients
        site = part.name if is_site and case.site == UNKNOWN_SITE else case.site
        return replace(case, case_id=called(case.case_id), patient=patient, split=part.split, site=site)

    return replace(
        source,
        cases=tuple(of_part(case) for case in source.cases),
        faults=tuple(replace(fault, case=called(fault.case)) for fault in source.faults),
        findings=tuple(replace(finding, case=called(finding.case)) for finding in source.findings),
    )


def _together(sources: Mapping[str, Source]) -> list[str]:
    """The notes of all parts; one that all have once."""
    counts = Counter(note for source in sources.values() for note in source.notes)
    notes = {
        note if counts[note] == len(sources) else f"{name}/: {note}"
        for name, source in sources.items()
        for note in source.notes
    }
    return sorted(notes)


def _lists(place: Path, root: Path) -> list[Path]:
    """Small files that describe a part."""
    return [] if place == root else [path for path in sorted(place.iterdir()) if path.suffix in LISTS and path.is_file()]
