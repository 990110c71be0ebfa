"""D324: values of labels that number objects, such as cells, and are no classes."""

from __future__ import annotations

from collections.abc import Iterator

from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject

MOST_STRUCTURES = 8  # up to here numbers from 1 may well be structures, of which images show the first ones
DIFFERENT = 3  # numbers of objects that are seen


@check(
    "D324",
    on="dataset",
    level="warning",
    remedy='If they are, give all one value: monai-hybrid repair FOLDER --output OUT --map "2..{last}=1". '
    'If each is a structure, name all of them: --label-names "1=NAME_1,2=NAME_2" and so on',
)
def objects_numbered(subject: DatasetSubject) -> Iterator[Remark]:
    """Labels hold 1, 2, 3, ... without a gap, up to another number in each: perhaps each value is one object, as a cell is."""
    found = {facts.case.case_id: facts.values - {0, subject.ignore} for facts in subject.labelled}
    lengths = {name: len(values) for name, values in found.items() if values}
    if subject.declared or len(set(lengths.values())) < DIFFERENT or max(lengths.values()) <= MOST_STRUCTURES:
        return
    if any(values != set(range(1, len(values) + 1)) for values in found.values() if values):
        return
    fewest, most = (choose(sorted(lengths), key=lengths.__getitem__) for choose in (min, max))
    message = (
        f"each label holds 1, 2, 3, ... without a gap: {lengths[fewest]} values in {fewest}, {lengths[most]} in {most}; "
        "perhaps they number objects of one kind, such as cells, and each number would become a class"
    )
    files = {facts.case.case_id: str(facts.case.label) for facts in subject.labelled}
    yield Remark(message, most, files[most], words={"last": str(lengths[most])})
