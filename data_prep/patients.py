"""Which patient a case belongs to, so that no patient is in two splits."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from data_prep.errors import ConfigError, DataError
from data_prep.reading import stem

PATTERNS = (
    re.compile(r"(sub-[A-Za-z0-9]+)(?:_.*)?"),  # BIDS
    re.compile(r"(patient\d+)(?:_.*)?"),  # ACDC
    re.compile(r"(SC-[A-Z]+(?:-[A-Z]+)?-\d+)-IM-\d+-\d+"),  # Sunnybrook Cardiac Data
    re.compile(r"(IXI\d+-[A-Za-z]+-\d+)(?:_.*)?"),  # IXI, one or both sides
)


class PatientFinder:
    """Case id -> patient: by the user's expression, else by cases.csv, else by known name patterns, else the case id.

    cases.csv comes before the patterns because it is a statement of the user and they are a guess.
    """

    def __init__(self, root: Path, expression: str | None = None) -> None:
        """Read cases.csv in `root` (columns file, patient) if there is one.

        Raises:
            ConfigError: the expression is not valid or has not exactly one group.
            DataError: cases.csv cannot be read.
        """
        self._expression = _compile(expression) if expression else None
        self._table = {} if self._expression else _table(root / "cases.csv")

    def __call__(self, case_id: str) -> str:
        """The patient of a case.

        Raises:
            ConfigError: the user's expression does not fit this case.
        """
        if self._expression is not None:
            match = self._expression.search(case_id)
            if match is None or not match[1]:
                raise ConfigError(f"--patient-regex {self._expression.pattern!r} finds no patient in case {case_id!r}")
            return match[1]
        if case_id in self._table:
            return self._table[case_id]
        matches = (pattern.fullmatch(case_id) for pattern in PATTERNS)
        return next((match[1] for match in matches if match), case_id)


def _compile(expression: str) -> re.Pattern[str]:
    example = r"Type for example: --patient-regex '^(P\d+)_'"
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ConfigError(f"--patient-regex {expression!r}: not a regular expression: {error}. {example}") from error
    if compiled.groups != 1:
        raise ConfigError(f"--patient-regex {expression!r}: {compiled.groups} groups; expected one. {example}")
    return compiled


def _table(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from error
    return {stem(Path(row["file"])): row["patient"] for row in rows if row.get("file") and row.get("patient")}
