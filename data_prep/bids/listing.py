"""The NIfTI files of a BIDS data set: sub-*/[ses-*/][anat/]*, never deeper, so no loop of links is followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.bids.names import BidsFile, parse
from data_prep.reading import NIFTI, extension

DESCRIPTION = "dataset_description.json"
MICROSCOPY = "micr"


@dataclass(frozen=True)
class Listing:
    """Files whose names BIDS knows, and (file, sentence) for those it does not; folders of microscopy."""

    files: tuple[BidsFile, ...]
    bad: tuple[tuple[Path, str], ...] = ()
    microscopy: int = 0


def is_bids(root: Path) -> bool:
    """Whether a folder holds a description of a BIDS data set and subjects."""
    return (root / DESCRIPTION).is_file() and has_subjects(root)


def has_subjects(root: Path) -> bool:
    """Whether a folder holds folders sub-*."""
    return next(_folders(root, "sub-"), None) is not None


def around(folder: Path) -> Path | None:
    """The BIDS data set that a folder is a part of, at most four levels above."""
    above = list(folder.absolute().parents)[:4]
    return next((root for root in above if is_bids(root)), None)


def files_of(root: Path, labels: bool = False) -> Listing:
    """List the NIfTI files below sub-*; links to files that are not there are among them.

    Args:
        root: of the data set, or of a derivative.
        labels: words before the suffix are allowed in names.
    """
    good: list[BidsFile] = []
    lost = (path for path in sorted(root.glob("sub-*")) if path.is_symlink() and not path.exists())
    bad: list[tuple[Path, str]] = [(path, "a link to a folder that is not there") for path in lost]
    places = [place for subject in _folders(root, "sub-") for place in _places(subject)]
    for folder, datatype in places:
        for path in sorted(folder.iterdir()):
            if path.name.startswith(".") or extension(path) not in NIFTI or path.is_dir():
                continue
            found = parse(path, datatype, labels)
            if isinstance(found, str):
                bad.append((path, found))
            else:
                good.append(found)
    return Listing(tuple(good), tuple(bad), sum(datatype == MICROSCOPY for _, datatype in places))


def _places(subject: Path) -> Iterator[tuple[Path, str]]:
    """Folders of a subject in which files lie, with their datatype; "" for none."""
    for folder in (subject, *_folders(subject, "ses-")):
        yield folder, ""
        yield from ((inner, inner.name) for inner in _folders(folder, "") if not inner.name.startswith("ses-"))


def _folders(folder: Path, start: str) -> Iterator[Path]:
    """Sub-folders that begin so, sorted; hidden ones are left out."""
    if folder.is_dir():
        yield from (p for p in sorted(folder.iterdir()) if p.name.startswith(start) and p.name[0] != "." and p.is_dir())


def derivatives(root: Path) -> dict[str, Path]:
    """Pipelines of a data set by name: folders with subjects in derivatives/, two levels deep; "." for the set itself."""
    found = {"derivatives": root / "derivatives"} if has_subjects(root / "derivatives") else {}
    for first in _folders(root / "derivatives", ""):
        for folder in (first, *(p for p in _folders(first, "") if not p.name.startswith("sub-"))):
            if has_subjects(folder) and not first.name.startswith("sub-"):
                found[folder.relative_to(root / "derivatives").as_posix()] = folder
    return {**found, ".": root}


def empty_folders(root: Path) -> list[Path]:
    """Subjects and folders of derivatives/ that hold nothing: parts of datalad's data sets that were not fetched look so."""
    folders = (*_folders(root, "sub-"), *_folders(root / "derivatives", ""))
    return [folder for folder in folders if next(folder.iterdir(), None) is None]
