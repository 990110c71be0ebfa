"""D415: has a case other voxels than all the rest?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from data_prep.amounts import by
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject

MIN_CASES = 5  # fewer say nothing about what is usual
TIGHT = 1.1  # the others lie within this factor of their median, along every axis
OTHER = 1.5  # beyond this factor of it a case is unlike them
MOST = 0.1  # share of the cases; more of them are a second scanner or protocol


@check(
    "D415",
    on="dataset",
    level="warning",
    remedy="Compare it with its source. If its header lost the size (1 mm is what programs write then), export image and label "
    "again, or leave the case out: {case}. If it was taken so, there is nothing to do",
)
def voxels_unlike_all_others(subject: DatasetSubject) -> Iterator[Remark]:
    """The voxel size of a case is unlike that of all others, which agree: image and label may share a wrong header."""
    known = [facts for facts in subject.facts if facts.spacing]
    if len(known) < MIN_CASES or len({len(facts.spacing) for facts in known}) > 1:
        return
    table = np.array([facts.spacing for facts in known], dtype=np.float64)
    usual = np.median(table, axis=0)
    factor = np.maximum(table / usual, usual / table).max(axis=1)
    unlike = factor > OTHER
    if not 0 < unlike.sum() <= max(1, MOST * len(known)) or factor[~unlike].max() > TIGHT:
        return
    for facts in (facts for facts, apart in zip(known, unlike, strict=True) if apart):
        message = f"voxels of {by(facts.spacing)} mm; {int((~unlike).sum())} of {len(known)} cases have about {by(usual)} mm"
        yield Remark(message, facts.case.case_id, str(facts.case.images[0]))
