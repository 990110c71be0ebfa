"""cases.csv: what the user states about each case, its patient and its site."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.errors import DataError
from data_prep.quoting import quoted
from data_prep.reading import stem

NAME = "cases.csv"
FILE_COLUMNS = (  # as `_column` has them
    "file", "filename", "caseid", "case", "image", "imagefile", "imageid", "imagename", "imagepath", "imageindex", "filepath",
    "path", "scan", "scanid", "name", "id",
)  # fmt: skip
PATIENT_COLUMNS = ("patient", "patientid", "subject", "subjectid", "participant", "participantid")
SITE_COLUMNS = ("site", "siteid", "centre", "center", "hospital", "institution")
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # what spreadsheets call Unicode text begins so


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

    def names_any(self, case_ids: Iterable[str]) -> bool:
        """Whether it says anything about one of these cases."""
        return any(case_id in self.patients or case_id in self.sites for case_id in case_ids)


def read_table(root: Path) -> CaseTable:
    """The cases.csv of a raw folder; empty when there is none. Commas, semicolons or tabs separate.

    Raises:
        DataError: it cannot be read, or gives a case two patients or two sites.
    """
    path = root / NAME
    return read_table_file(path) if path.is_file() else CaseTable(path)


def read_table_file(path: Path) -> CaseTable:
    """A table of the same form under any name.

    Raises:
        DataError: as `read_table`.
    """
    try:
        text = _text(path)
        head = text.splitlines()[0] if text.strip() else ""
        rows = list(csv.DictReader(text.splitlines(), delimiter=max(",;\t", key=head.count)))
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    rows = [{_column(str(key)): (value or "").strip() for key, value in row.items() if isinstance(value, str)} for row in rows]
    columns = tuple(cell.strip() for cell in re.split("[,;\t]", head) if cell.strip()) or ("nothing",)
    patients, sites = (_by_case(path, rows, names) for names in (PATIENT_COLUMNS, SITE_COLUMNS))
    return CaseTable(path, columns, patients, sites)


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith(UTF16):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        name = quoted(path)
        remedy = f"Save it as CSV UTF-8, or type: iconv -f WINDOWS-1252 -t UTF-8 {name} > cases.utf8 && mv cases.utf8 {name}"
        raise DataError(f"{path}: line {line} is not UTF-8, so names could be taken for others. {remedy}") from error


def _column(name: str) -> str:
    """A column's name as it is compared: "Patient ID", "patient_id" and "PatientID" are one."""
    return re.sub(r"[\s_.\-]+", "", name).lower()


def _by_case(path: Path, rows: Iterable[Mapping[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        file, value = (_first(row, columns) for columns in (FILE_COLUMNS, names))
        if not file or not value:
            continue
        own = stem(Path(file.replace("\\", "/")))  # written on Windows
        for case_id in {own, re.sub(r"_\d{4}$", "", own)} if (own[-5:-4] == "_" and own[-4:].isdigit()) else {own}:
            if found.setdefault(case_id, value) != value and case_id == own:
                raise DataError(f"{path}: {file!r} has the {names[0]} {found[case_id]!r} and {value!r}; expected one")
    return found


def _first(row: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((row[column] for column in columns if row.get(column)), "")
