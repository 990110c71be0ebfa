"""Combinations of settings: few rows in which every pair of values meets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Row = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]


def pairs_of(row: Row) -> set[Pair]:
    """Each two settings of a row, with their values."""
    return set(combinations(sorted(row.items(), key=lambda item: item[0]), 2))


def covering_rows(values: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool]) -> list[Row]:
    """Rows of which each is allowed, and in which every pair that any allowed row has occurs at least once.

    The next row is always the one with most pairs that are still missing; of equals the first. Every row is weighed, so this is
    for thousands of rows, not for millions.
    """
    every = [dict(zip(values, row, strict=True)) for row in product(*values.values())]
    pairs = [(row, pairs_of(row)) for row in every if allowed(row)]
    missing = set().union(*(has for _, has in pairs))
    rows = []
    while missing:
        row, has = max(pairs, key=lambda entry: len(entry[1] & missing))
        rows.append(row)
        missing -= has
    return rows
