"""D4xx and D5xx: is each person one patient, and is what is said about people used?"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator

from data_prep.amounts import few
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject
from data_prep.patient_names import EACH, expression_for, recognise

PATIENTS_STATED = "D414"  # kept with a data set's accepted judgements: all its patients were stated by the user


@check(
    "D407",
    on="dataset",
    level="error",
    remedy="Put all cases of a patient into one list, or let build split anew: monai-hybrid build SOURCE --output OUT; "
    f"if they are different people, add --patient-regex {EACH}",
)
def patient_across_splits(subject: DatasetSubject) -> Iterator[Remark]:
    """A patient is in two splits: the result on the second would be too good."""
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for case in subject.cases:
        if case.split is not None and case.patient:
            splits[case.patient].setdefault(case.split, case.case_id)
    for patient, seen in splits.items():
        if len(seen) > 1:
            where = ", ".join(f"{split} ({case_id})" for split, case_id in seen.items())
            yield Remark(f"patient {patient!r} is in {where}", next(iter(seen.values())))


@check(
    "D414",
    on="dataset",
    level="warning",
    remedy="If they are of one person, add that option to build as it stands, or list file and patient in cases.csv; "
    f"if each is another person: --patient-regex {EACH}",
)
def names_alike(subject: DatasetSubject) -> Iterator[Remark]:
    """Names look like several scans of one patient, but count as different patients: they may lie in two splits."""
    if subject.patients_stated:
        return
    cases = sorted(subject.cases, key=lambda case: case.case_id)  # `build` has them by split, and names the same ones
    patients = {case.case_id: case.patient for case in cases}
    files = {case.case_id: str(case.images[0]) for case in cases}
    found = recognise(list(patients))
    for doubt in found.suspicions:
        apart = [ids for ids in doubt.groups.values() if len({patients[name] for name in ids}) > 1]
        if apart:
            yield Remark(_sentence(apart, doubt.why, doubt.expression), apart[0][0], files[apart[0][0]])
    members: dict[str, list[str]] = defaultdict(list)
    for name, patient in found.patients.items():
        members[patient].append(name)
    groups = {patient: tuple(ids) for patient, ids in members.items()}
    apart = [ids for ids in groups.values() if len({patients[name] for name in ids}) > 1]
    if apart:
        why = "they differ by a side, visit, time, slice or the like only"
        yield Remark(_sentence(apart, why, expression_for(groups)), apart[0][0], files[apart[0][0]])


def _sentence(apart: list[tuple[str, ...]], why: str, expression: str | None) -> str:
    ids = apart[0]
    shown = few(ids)
    type_this = f". Paste as it stands to group them: --patient-regex {shlex.quote(expression)}" if expression else ""
    number = sum(len(ids) for ids in apart)
    return f"{number} cases such as {shown} may be scans of one patient: {why}{type_this}"


@check("D508", on="dataset", level="note", remedy="Nothing to do, if it is not meant to be used")
def list_not_used(subject: DatasetSubject) -> Iterator[Remark]:
    """A list of splits or of patients beside the images is not used."""
    for entry in subject.unused:
        if not entry.apart:
            yield Remark(entry.sentence, "", str(entry.path))


@check(
    "D416",
    on="dataset",
    level="warning",
    remedy=f"Type that and give the folder again; if each case is another person: --patient-regex {EACH}",
)
def patients_of_a_table(subject: DatasetSubject) -> Iterator[Remark]:
    """A table beside the images gives several cases to one patient, and they count as different patients."""
    if subject.patients_stated:
        return
    for entry in subject.unused:
        if entry.apart:
            yield Remark(entry.sentence, "", str(entry.path))
