"""Lists and tables beside the images that nobody has asked for: each in one sentence, with what to type."""

from __future__ import annotations

import csv
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_prep.cases import Case
from data_prep.errors import HybridError
from data_prep.json_io import load_json
from data_prep.patient_names import expression_for
from data_prep.patient_table import NAME, CaseTable, read_table_file
from data_prep.quoting import quoted
from data_prep.splits import KEYS

SPLITS = ("splits.json", "split.json")
TABLES = (".csv", ".tsv")
MOST_TABLES, LARGEST_TABLE = 10, 10 * 2**20  # bytes
PARTICIPANTS = ("participants.tsv", "participants.csv")


@dataclass(frozen=True)
class UnusedList:
    """A file that is not used, and why or how it could be. `apart`: it has cases of one patient that count as of several."""

    path: Path
    sentence: str
    apart: bool = False


def unused_lists(
    root: Path, cases: Sequence[Case], table: CaseTable, splits_given: bool, used: Collection[Path] = ()
) -> tuple[UnusedList, ...]:
    """Of splits.json, cases.csv, participants.tsv and other tables in the data set's folder or beside images, those not used.

    `used` are those that the layout's reader took.
    """
    folders = [root, *sorted({image.parent for case in cases for image in case.images if image.parent != root})[:4]]
    found: list[UnusedList] = []
    for folder in folders:
        found += [] if splits_given else _splits(folder)
        found += _tables(folder, root, cases, table)
        found += _participants(folder, cases, used)
        found += _other_tables(folder, root, cases, used)
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


def _other_tables(folder: Path, root: Path, cases: Sequence[Case], used: Collection[Path]) -> Iterator[UnusedList]:
    """Tables of any name, such as metadata.csv, that give patients or sites of cases."""
    files = (path for end in TABLES for path in sorted(folder.glob(f"*{end}")))
    for path in islice((path for path in files if path.name not in (NAME, *PARTICIPANTS) and path not in used), MOST_TABLES):
        try:
            table = read_table_file(path) if 0 < path.stat().st_size <= LARGEST_TABLE else None
        except (HybridError, OSError):
            continue
        if table is None or not table.names_any(case.case_id for case in cases):
            continue
        known = {case.case_id: case.patient or case.case_id for case in cases}
        of_patients = {name: patient for name, patient in table.patients.items() if name in known}
        patients_new = _grouping(of_patients) != _grouping({name: known[name] for name in of_patients})
        sites = {case.case_id: table.sites[case.case_id] for case in cases if case.case_id in table.sites}
        sites_new = any(case.site != sites[case.case_id] for case in cases if case.case_id in sites)
        what = " and ".join(word for word, new in (("patients", patients_new), ("sites", sites_new)) if new)
        if what:
            apart = [ids for ids in _grouping(of_patients) if len({known[name] for name in ids}) > 1]
            yield UnusedList(path, _of_table(path, root, what, apart), bool(apart))


def _of_table(path: Path, root: Path, what: str, apart: Sequence[frozenset[str]]) -> str:
    own = root / NAME
    typed = f"move its columns into {own}" if own.exists() else f"type: cp {quoted(path)} {quoted(own)}"
    several = ""
    if apart:
        number = sum(map(len, apart))
        several = (
            f"it gives {number} cases, such as {' and '.join(sorted(min(apart, key=sorted))[:2])}, to patients with several; "
        )
    return f"not used; {several}to take its {what}, {typed}"


def _grouping(patients: Mapping[str, str]) -> set[frozenset[str]]:
    """Which cases are of one patient, whatever the patients are called."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name, patient in patients.items():
        groups[patient].add(name)
    return {frozenset(ids) for ids in groups.values()}


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
