"""cases.csv: what the user states about each case, its patient and its site."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.errors import DataError
from data_prep.reading import stem

NAME = "cases.csv"
FILE_COLUMNS = ("file", "case_id", "case", "image", "name", "id")
PATIENT_COLUMNS = ("patient", "patient_id", "subject", "subject_id")
SITE_COLUMNS = ("site", "centre", "center", "hospital")


@dataclass(frozen=True)
class CaseTable:
    """Patient and site by case id; `columns` are those of the file."""

    path: Path
    columns: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_there(self) -> bool:
        """Whether the file exists."""
        return bool(self.columns)

    def patient(self, case_id: str) -> str | None:
        """What the table says, None when nothing."""
        return self.patients.get(case_id)

    def site(self, case_id: str) -> str | None:
        """What the table says, None when nothing."""
        return self.sites.get(case_id)

    def names_any(self, case_ids: Iterable[str]) -> bool:
        """Whether it says anything about one of these cases."""
        return any(case_id in self.patients or case_id in self.sites for case_id in case_ids)


def read_table(root: Path) -> CaseTable:
    """The cases.csv of a raw folder; empty when there is none. Commas, semicolons or tabs separate.

    Raises:
        DataError: it cannot be read, or gives a case two patients or two sites.
    """
    path = root / NAME
    if not path.is_file():
        return CaseTable(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        head = text.splitlines()[0] if text.strip() else ""
        rows = list(csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=head.count)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    rows = [
        {str(key).strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
        for row in rows
    ]
    columns = tuple(rows[0]) if rows else tuple(cell.strip() for cell in head.split(",") if cell.strip()) or ("nothing",)
    patients, sites = (_by_case(path, rows, names) for names in (PATIENT_COLUMNS, SITE_COLUMNS))
    return CaseTable(path, columns, patients, sites)


def _by_case(path: Path, rows: Iterable[Mapping[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        file, value = (_first(row, columns) for columns in (FILE_COLUMNS, names))
        if not file or not value:
            continue
        own = stem(Path(file))
        for case_id in {own, re.sub(r"_\d{4}$", "", own)} if (own[-5:-4] == "_" and own[-4:].isdigit()) else {own}:
            if found.setdefault(case_id, value) != value and case_id == own:
                raise DataError(f"{path}: {file!r} has the {names[0]} {found[case_id]!r} and {value!r}; expected one")
    return found


def _first(row: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")
