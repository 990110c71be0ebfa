"""Flags that every case of a prediction has: said once, so that what tells cases apart can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monai_hybrid.gallery.cases import Collection

FEWEST = 3  # cases; two of two are no rule
PARTED = "; "  # between the reasons in a flag


def shared_flags(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The reasons that all masks have, in the order of the first one; () of fewer than three masks."""
    flags = [str(row.get("flag") or "").split(PARTED) for row in rows if row.get("status", "done") == "done"]
    if len(flags) < FEWEST:
        return ()
    return tuple(dict.fromkeys(reason for reason in flags[0] if reason and all(reason in flag for flag in flags)))


def without(flag: str, shared: Sequence[str]) -> str:
    """A flag less the reasons that all cases have."""
    return PARTED.join(reason for reason in flag.split(PARTED) if reason not in shared)


def rows_without(rows: Sequence[Mapping[str, str]], shared: Sequence[str]) -> list[dict[str, str]]:
    """Rows of `quality.csv`, each with what is its own in the column flag."""
    return [{**row, "flag": without(row["flag"], shared)} if row.get("flag") else dict(row) for row in rows]


def collection_without(collection: Collection | None, shared: Sequence[str]) -> Collection | None:
    """The cases with their own flags, flagged ones first as before."""
    if collection is None or not shared:
        return collection
    cases = [replace(case, flag=without(case.flag, shared)) for case in collection.cases]
    return replace(collection, cases=tuple(sorted(cases, key=lambda case: not case.flag)))


def said_once(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A sentence for each reason that all masks have."""
    number = sum(row.get("status", "done") == "done" for row in rows)
    return [f"All {number} masks have this flag: {reason}." for reason in shared_flags(rows)]
