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
    # Pairs are bits of a number: sets of them took seconds whenever tests are collected.
    settings = list(combinations(range(len(values)), 2))
    places = [range(len(of)) for of in values.values()]
    pairs = ((i, j, a, b) for i, j in settings for a, b in product(places[i], places[j]))
    bit = {pair: 1 << number for number, pair in enumerate(pairs)}
    weighed: list[tuple[Row, int]] = []
    for row, chosen in zip(product(*values.values()), product(*places), strict=True):
        named = dict(zip(values, row, strict=True))
        if allowed(named):
            weighed.append((named, sum(bit[i, j, chosen[i], chosen[j]] for i, j in settings)))
    missing = 0
    for _, has in weighed:
        missing |= has
    rows = []
    while missing:
        best, has = max(weighed, key=lambda entry: (entry[1] & missing).bit_count())
        rows.append(best)
        missing &= ~has
    return rows
