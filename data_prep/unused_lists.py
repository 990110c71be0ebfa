"""Lists and tables beside the images that nobody has asked for: each in one sentence, with what to type."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.cases import Case
from data_prep.errors import HybridError
from data_prep.json_io import load_json
from data_prep.patient_names import expression_for
from data_prep.patient_table import NAME, CaseTable
from data_prep.quoting import quoted
from data_prep.splits import KEYS

SPLITS = ("splits.json", "split.json")
PARTICIPANTS = ("participants.tsv", "participants.csv")


@dataclass(frozen=True)
class UnusedList:
    """A file that is not used, and why or how it could be."""

    path: Path
    sentence: str


def unused_lists(
    root: Path, cases: Sequence[Case], table: CaseTable, splits_given: bool, used: Collection[Path] = ()
) -> tuple[UnusedList, ...]:
    """Of splits.json, cases.csv and participants.tsv in the data set's folder or beside its images, those not used.

    `used` are those that the layout's reader took.
    """
    folders = [root, *sorted({image.parent for case in cases for image in case.images if image.parent != root})[:4]]
    found: list[UnusedList] = []
    for folder in folders:
        found += [] if splits_given else _splits(folder)
        found += _tables(folder, root, cases, table)
        found += _participants(folder, cases, used)
    return tuple(found)


def _splits(folder: Path) -> Iterator[UnusedList]:
    for path in (folder / name for name in SPLITS if (folder / name).is_file()):
        try:
            content = load_json(path)
        except HybridError:
            content = None
        fits = isinstance(content, dict) and bool(content) and set(content) <= set(KEYS)
        hint = f"to take its splits, type: --splits {quoted(path)}"
        other = 'its form is another than {"train": [...], "test": [...]}'
        yield UnusedList(path, f"not used; {hint if fits else other}")


def _tables(folder: Path, root: Path, cases: Sequence[Case], table: CaseTable) -> Iterator[UnusedList]:
    path = folder / NAME
    if folder == root and table.is_there and not table.names_any(case.case_id for case in cases):
        columns = ", ".join(table.columns)
        yield UnusedList(path, f"not used: it names no case; its columns are {columns}; expected file and patient, or site")
    elif folder != root and path.is_file():
        move = f"mv {quoted(path)} {quoted(root)}"
        yield UnusedList(path, f"not used; to take its patients, type: {move}")


def _participants(folder: Path, cases: Sequence[Case], used: Collection[Path]) -> Iterator[UnusedList]:
    for path in (folder / name for name in PARTICIPANTS if (folder / name).is_file() and folder / name not in used):
        groups = _by_participant(path, cases)
        if groups is not None and {case.patient for case in cases} == set(groups):
            continue  # the patients are known as it has them
        text = expression_for(groups) if groups else None
        hint = f"to take its patients, type: --patient-regex {shlex.quote(text)}" if text else ""
        yield UnusedList(path, f"not used; {hint or f'a table {NAME} in the data set with columns file, patient and site is'}")


def _by_participant(path: Path, cases: Sequence[Case]) -> dict[str, tuple[str, ...]] | None:
    """Participant -> case ids that begin with it; None when a case belongs to none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = list(csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    names = sorted({str(next(iter(row.values()), "") or "").strip() for row in rows} - {""}, key=len, reverse=True)
    groups: dict[str, tuple[str, ...]] = {}
    for case_id in (case.case_id for case in cases):
        owner = next((n for n in names if case_id.startswith(n) and not case_id[len(n) : len(n) + 1].isalnum()), None)
        if owner is None:
            return None
        groups[owner] = (*groups.get(owner, ()), case_id)
    return groups
