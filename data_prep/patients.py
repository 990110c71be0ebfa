"""Which patient a case belongs to, so that no patient is in two splits."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.cases import Case
from data_prep.errors import ConfigError
from data_prep.patient_names import EACH, PATTERNS, recognise
from data_prep.patient_table import CaseTable, read_table


@dataclass(frozen=True)
class Assigned:
    """Cases with their patients. `rule`: one sentence on where these come from; `stated`: by the user, no guess of ours."""

    cases: list[Case]
    rule: str
    stated: bool


WHOLE = "^(.+)$"


class PatientFinder:
    """Case id -> patient: by the user's expression, else by cases.csv, else by names, else the case id.

    cases.csv comes before the names because it is a statement of the user and they are a guess.
    """

    def __init__(self, root: Path, expression: str | None = None) -> None:
        """Read cases.csv in `root` (columns file, patient, site) if there is one.

        Raises:
            ConfigError: the expression is not valid or has not exactly one group.
            DataError: cases.csv cannot be read.
        """
        self._expression = _compile(WHOLE if expression == EACH else expression) if expression else None
        self.table: CaseTable = read_table(root)

    def __call__(self, case_id: str) -> str:
        """The patient of a case seen alone.

        Raises:
            ConfigError: the user's expression does not fit this case.
        """
        stated = self._stated(case_id)
        if stated is not None:
            return stated
        return next((match[1] for pattern in PATTERNS if (match := pattern.fullmatch(case_id))), case_id)

    def assign(self, cases: Sequence[Case]) -> Assigned:
        """Give every case its patient, and its site where cases.csv names one.

        Raises:
            ConfigError: the user's expression does not fit a case.
        """
        ids = [case.case_id for case in cases]
        known = {case.case_id: case.patient for case in cases if case.patient}  # what the layout itself says
        stated = {name: patient for name in ids if (patient := self._stated(name) or known.get(name)) is not None}
        guessed = recognise([name for name in ids if name not in stated])
        patients = {**guessed.patients, **_as_siblings(recognise(ids).patients, stated), **stated}
        given = [
            replace(case, patient=patients[case.case_id], site=self.table.sites.get(case.case_id) or case.site)
            for case in cases
        ]
        number = len({case.patient for case in given})
        return Assigned(given, self._rule(number, stated, guessed.shortened, ids), len(stated) == len(set(ids)))

    def _stated(self, case_id: str) -> str | None:
        if self._expression is None:
            return self.table.patients.get(case_id)
        match = self._expression.search(case_id)
        if match is None or not match[1]:
            raise ConfigError(f"--patient-regex {shlex.quote(self._expression.pattern)} finds no patient in case {case_id!r}")
        return match[1]

    def _rule(self, number: int, stated: dict[str, str], shortened: bool, ids: Sequence[str]) -> str:
        by = []
        if stated:
            of = f" ({len(stated)} of {len(ids)} cases)" if len(stated) < len(ids) else ""
            by_table = any(name in self.table.patients for name in ids)
            # Pseudonyms of DICOM have the form of BIDS, and an entity that BIDS has not.
            by_name = all(
                name.startswith(who) and who.startswith("sub-") and "_ser-" not in name for name, who in stated.items()
            )
            by_folder = all(name.startswith(who) and not who.startswith("sub-") for name, who in stated.items())
            own = "sub- of BIDS" if by_name else "their folders" if by_folder else "the headers of the files"
            source = str(self.table.path) if by_table else own
            rule = f"--patient-regex {shlex.quote(self._expression.pattern)}" if self._expression else f"{source}{of}"
            by.append(f"by {rule}")
            if source == "their folders" and number < len(ids) and not self._expression:
                by[-1] += f"; if each case is a patient, type: --patient-regex {EACH}"
        if shortened:
            by.append(
                "by the names, without side, visit, time, slice and the like; "
                f"if each case is a patient, type: --patient-regex {EACH}"
            )
        elif len(stated) < len(ids):
            by.append("one for each case, as no name tells more" if not by else "the others one for each case")
        return f"patients: {number} in {len(ids)} cases, {', '.join(by)}"


def _as_siblings(guessed: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    """Cases of which nothing is stated, but whose names say that they are of a patient of whom something is."""
    known: dict[str, set[str]] = defaultdict(set)
    for name, patient in stated.items():
        known[guessed[name]].add(patient)
    return {name: min(known[base]) for name, base in guessed.items() if name not in stated and len(known.get(base, ())) == 1}


def _compile(expression: str) -> re.Pattern[str]:
    example = r"Type for example: --patient-regex '^(P\d+)_'"
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ConfigError(f"--patient-regex {shlex.quote(expression)}: not a regular expression: {error}. {example}") from error
    if compiled.groups != 1:
        raise ConfigError(f"--patient-regex {shlex.quote(expression)}: {compiled.groups} groups; expected one. {example}")
    return compiled
