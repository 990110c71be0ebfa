"""What leaves the data set with a case, so that nothing of it is left behind: its files, or the folder that is its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.cases import Case, Source
from data_prep.checks.registry import moved_out
from data_prep.quoting import quoted
from data_prep.reading import extension
from data_prep.structures import label_files

Whole = Mapping[Path, Sequence[Path]]  # by the first image of a case


def whole_cases(raw: Source) -> Whole:
    """What is of a case and more than its images and its label: all its masks of structures, or the folder that holds no other.

    Cases of which this says nothing are left out.
    """
    files = [(*case.images, *label_files(raw, case)) for case in raw.cases]
    inhabited = Counter(folder for own in files for folder in {path.parent for path in own})
    found: dict[Path, Sequence[Path]] = {}
    for case, own in zip(raw.cases, files, strict=True):
        folder = case.images[0].parent
        masks = own[len(case.images) :]
        if len(files) > 1 and inhabited[folder] == 1 and folder != raw.root and _is_own(folder, own):
            found[case.images[0]] = (folder,)
        elif case.label is not None and masks != (case.label,) and not _is_own(case.label, masks):
            found[case.images[0]] = own
    return found


def _is_own(folder: Path, files: Sequence[Path]) -> bool:
    """Whether a folder holds all files of a case, and no image or mask of another."""
    if not folder.is_dir() or not all(path.is_relative_to(folder) for path in files):
        return False
    return {path for path in folder.rglob("*") if extension(path) and not path.name.startswith(".")} <= set(files)


def shown_files(cases: Sequence[Case], whole: Whole) -> dict[str, list[str] | str]:
    """What a remedy that leaves a case out has to name, by the id of the case; of a list what to do."""
    return {case.case_id: _files(case, whole) for case in cases}


def _files(case: Case, whole: Whole) -> list[str] | str:
    """The files that leave with a case; of a list, which would miss them, what to do."""
    if case.listed_in is not None:
        entry = f"take its entry {quoted(case.case_id)} out of {quoted(case.listed_in)}"
        alone = (
            case.label is None or case.listed_in.name == "datalist.json"
        )  # which has no folder of labels, where one would be left
        return entry if alone else f"{entry}, and its label away: {moved_out([str(case.label)])}"
    own = whole.get(case.images[0], (*case.images, case.label))
    return [str(path) for path in own if path is not None]
