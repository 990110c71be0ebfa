"""Flags that every case of a prediction has: said once, so that what tells cases apart can be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from monai_hybrid.gallery.cases import Collection

FEWEST = 3  # cases; two of two are no rule
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
REASONS = re.compile(r"; (?!1 of \d+ usual)")  # between the reasons in a flag
CLAUSES = re.compile(r", (?![^(]*\))")  # between the parts of one
INTERVAL = re.compile(rf" {ELLIPSIS} \([^) ]+ to [^) ]+\)")  # of a number that differs, and its interval, nothing is said
VARIES = re.compile(r"\(lowest: [^)]*\)|\d+(?:[.,]\d+)*")  # what is a case's own in a reason that all have


@dataclass(frozen=True)
class Shared:
    """A reason that all masks have: its `kind`, without numbers; the sentence; and which of its clauses are a case's own."""

    kind: str
    said: str
    own: tuple[int, ...]


def shared_flags(rows: Sequence[Mapping[str, str]]) -> tuple[Shared, ...]:
    """The reasons that all masks have, but for their numbers, in the order of the first one; () of fewer than three masks."""
    flags = [
        {_kind(reason): reason for reason in REASONS.split(str(row.get("flag") or ""))}
        for row in rows
        if row.get("status", "done") == "done"
    ]
    if len(flags) < FEWEST:
        return ()
    kinds = [kind for kind in flags[0] if kind and all(kind in flag for flag in flags)]
    return tuple(_shared(kind, [flag[kind] for flag in flags]) for kind in kinds)


def _kind(reason: str) -> str:
    return VARIES.sub(ELLIPSIS, reason)


def _shared(kind: str, reasons: Sequence[str]) -> Shared:
    """Of reasons of one kind: numbers that differ become an ellipsis, clauses that differ stay with the case."""
    numbers = list(zip(*(VARIES.findall(reason) for reason in reasons), strict=True))
    said = iter([each[0] if len(set(each)) == 1 else ELLIPSIS for each in numbers])
    clauses = zip(*(CLAUSES.split(reason) for reason in reasons), strict=True)
    own = tuple(index for index, each in enumerate(clauses) if len(set(each)) > 1)
    return Shared(kind, INTERVAL.sub("", VARIES.sub(lambda _: next(said), reasons[0])), own)


def without(flag: str, shared: Sequence[Shared]) -> str:
    """A flag less what all cases have."""
    known = {one.kind: one for one in shared}
    kept = []
    for reason in REASONS.split(flag):
        one = known.get(_kind(reason))
        clauses = CLAUSES.split(reason)
        kept.append(reason if one is None else ", ".join(clauses[index] for index in one.own if index < len(clauses)))
    return "; ".join(reason for reason in kept if reason)


def rows_without(rows: Sequence[Mapping[str, str]], shared: Sequence[Shared]) -> list[dict[str, str]]:
    """Rows of `quality.csv`, each with what is its own in the column flag."""
    return [{**row, "flag": without(row["flag"], shared)} if row.get("flag") else dict(row) for row in rows]


def collection_without(collection: Collection | None, shared: Sequence[Shared]) -> Collection | None:
    """The cases with their own flags, flagged ones first as before."""
    if collection is None or not shared:
        return collection
    cases = [replace(case, flag=without(case.flag, shared)) for case in collection.cases]
    return replace(collection, cases=tuple(sorted(cases, key=lambda case: not case.flag)))


def said_once(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A sentence for each reason that all masks have."""
    number = sum(row.get("status", "done") == "done" for row in rows)
    return [f"All {number} masks have this flag: {one.said}." for one in shared_flags(rows)]
