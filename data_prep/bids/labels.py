"""Which label belongs to which scan: of one pipeline and one kind, chosen by the user where there are several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.amounts import few
from data_prep.bids.contrasts import Scanned
from data_prep.bids.listing import derivatives, files_of, has_subjects
from data_prep.bids.names import LABELS, BidsFile, plain
from data_prep.bids.wanted import Wanted, below
from data_prep.errors import ConfigError, DataListError
from data_prep.home import at_home
from data_prep.quoting import quoted

# Entities of a label that its image need not have: they say what was drawn, by whom, on which grid.
OWN = ("desc", "label", "space", "res", "den", "atlas", "seg", "hemi", "from", "to", "mode")
NATIVE = ("orig", "native", "individual", "scanner", "raw")  # spaces that are the image's own
SHOWN = 8


@dataclass(frozen=True)
class Kind:
    """Labels that mean the same: pipeline, and name without what says which scan it is."""

    pipeline: str
    suffix: str
    own: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """`desc-rater1_dseg`."""
        return "_".join([*(f"{key}-{value}" for key, value in self.own), self.suffix])

    def __str__(self) -> str:
        return f"{self.pipeline}: {self.name}"


@dataclass(frozen=True)
class Found:
    """Label by case id, labels of sessions without image, labels that fit several scans, and the folder of all."""

    labels: Mapping[str, BidsFile]
    orphans: tuple[Path, ...]
    shared: tuple[tuple[Path, tuple[str, ...]], ...]
    root: Path


def find_labels(root: Path, scans: Sequence[Scanned], known: set[tuple[str, str]], wanted: Wanted, folder: str | None) -> Found:
    """Pair labels with scans.

    Args:
        root: of the data set.
        scans: complete ones.
        known: subject and session of all images, chosen or not.
        wanted: what --bids-labels asks for.
        folder: --labels-dir, the pipeline; None: the only one that has labels for these scans.

    Raises:
        ConfigError: there is no such folder.
        DataListError: D543, labels of several kinds fit.
    """
    holders = {folder: _holder(root, folder)} if folder is not None else derivatives(root)
    listed = {name: _labels_of(place, wanted) for name, place in holders.items()}
    fitting: dict[Kind, dict[str, list[BidsFile]]] = defaultdict(lambda: defaultdict(list))
    for name, labels in listed.items():
        for scan in scans:
            for label in labels[scan.there[0].scan]:
                if _belongs(label, scan, wanted):
                    fitting[kind_of(name, label)][scan.case_id].append(label)
    chosen = _one_each(root, fitting, len(scans), bool(wanted.pairs))
    pipelines = {kind.pipeline for kind in fitting} or set(listed)
    orphans = tuple(
        label.path for name in pipelines for key, labels in listed[name].items() for label in labels if key not in known
    )
    place = holders[next(iter(pipelines))] if len(pipelines) == 1 else root
    return Found(chosen, orphans, _shared(chosen), place)


def _holder(root: Path, folder: str) -> Path:
    """The folder of --labels-dir: in derivatives/, in the data set, or where the path leads."""
    places = [root / "derivatives" / folder, root / folder, at_home(folder)]
    found = next((place for place in places if has_subjects(place)), None)
    if found is None:
        there = [name for name in derivatives(root) if name != "."]
        raise ConfigError(
            f"--labels-dir {folder}: no folder with sub-* of that name in {root / 'derivatives'}; "
            f"it holds {', '.join(there[:SHOWN]) or 'none'}. Type: --labels-dir {there[0] if there else 'NAME'}"
        )
    return found


def _labels_of(place: Path, wanted: Wanted) -> dict[tuple[str, str], list[BidsFile]]:
    found: dict[tuple[str, str], list[BidsFile]] = defaultdict(list)
    for file in files_of(place, labels=True).files:
        if file.suffix in LABELS and wanted.fits(file):
            found[file.scan].append(file)
    return found


def _belongs(label: BidsFile, scan: Scanned, wanted: Wanted) -> bool:
    """Whether a label of the scan's subject and session can be one of this scan: what its name says, one image's name says."""
    if label.of and label.of not in {image.suffix for image in scan.there}:
        return False
    space = label.entities.get("space", "")
    if space and "space" not in wanted.pairs:
        own = {*NATIVE, *(image.suffix for image in scan.there), *(image.entities.get("space", "") for image in scan.there)}
        if space not in own:
            return False
    return any(_agrees(label, image) for image in scan.there)


def _agrees(label: BidsFile, image: BidsFile) -> bool:
    said = {key: value for key, value in label.entities.items() if key not in OWN}
    return all(plain(value) == plain(image.entities.get(key, "")) for key, value in said.items())


def kind_of(pipeline: str, label: BidsFile) -> Kind:
    """What a label is, apart from the scan it belongs to."""
    return Kind(pipeline, label.suffix, tuple((key, value) for key, value in label.entities.items() if key in OWN))


def _one_each(
    root: Path, fitting: Mapping[Kind, Mapping[str, Sequence[BidsFile]]], scans: int, named: bool
) -> dict[str, BidsFile]:
    """The label of each scan; several kinds only where the user named them and no scan has two."""
    found: dict[str, list[BidsFile]] = defaultdict(list)
    for by_case in fitting.values():
        for case_id, labels in by_case.items():
            found[case_id] += labels
    twice = next((labels for labels in found.values() if len(labels) > 1), None)
    if twice is None and (len(fitting) <= 1 or named):
        return {case_id: labels[0] for case_id, labels in found.items()}
    if len(fitting) > 1:
        raise DataListError(
            "D543", f"{root}: labels of several kinds, and none was chosen; {_there(fitting, scans)}", str(root)
        )
    assert twice is not None
    names = " and ".join(below(root, label.path) for label in twice[:2])
    raise DataListError("D543", f"{root}: two labels for one scan: {names}; move one away", str(twice[0].path))


def _there(fitting: Mapping[Kind, Mapping[str, Sequence[BidsFile]]], scans: int) -> str:
    ordered = sorted(fitting, key=lambda kind: -len(fitting[kind]))
    shown = few([f"{kind} ({len(fitting[kind])} of {scans} scans)" for kind in ordered], SHOWN, "; ")
    return f"there are {shown}. Type: {_option(ordered[0], ordered)}{_parts(ordered)}"


def _option(kind: Kind, others: Sequence[Kind]) -> str:
    """What to type for one kind among others."""
    words = [f"--labels-dir {quoted(kind.pipeline)}"] if len({other.pipeline for other in others}) > 1 else []
    rest = [other for other in others if other.pipeline == kind.pipeline and other != kind]
    keys = [key for key in OWN if any(dict(other.own).get(key) != dict(kind.own).get(key) for other in rest)]
    pairs = [f"{key}={dict(kind.own).get(key, 'none')}" for key in keys]
    pairs += [f"suffix={kind.suffix}"] if any(other.suffix != kind.suffix for other in rest) else []
    return " ".join([*words, *([f'--bids-labels "{",".join(pairs)}"'] if pairs else [])])


def _parts(kinds: Sequence[Kind]) -> str:
    structures = {dict(kind.own).get("label") for kind in kinds if kind.suffix == "mask"}
    return "; masks of one structure each are not joined here: join them into a _dseg" if len(structures - {None}) > 1 else ""


def _shared(chosen: Mapping[str, BidsFile]) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    users: dict[Path, list[str]] = defaultdict(list)
    for case_id, label in chosen.items():
        users[label.path].append(case_id)
    return tuple((path, tuple(ids)) for path, ids in users.items() if len(ids) > 1)


PEOPLE = ("rater", "expert", "reader", "annotator", "manual", "auto", "final", "corrected", "edited", "consensus", "draft")


def name_of_mask(label: BidsFile) -> str | None:
    """The structure of a mask: its label-, else its desc- where that names no person or state; None when neither does."""
    if label.suffix == "dseg":
        return None
    if "label" in label.entities:
        return label.entities["label"]
    described = label.entities.get("desc", "")
    person = described.lower().startswith(PEOPLE) or not described.isalpha() or len(described) < 3
    return None if person else described
