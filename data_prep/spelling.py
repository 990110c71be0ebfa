"""Names that cases spell differently, T1 and t1, brought into one spelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TypeVar

from data_prep.label_names import alike_name

Case = TypeVar("Case", bound=Hashable)


def in_one_spelling(
    found: Mapping[Case, Mapping[str, Path]], alike: Callable[[str], str] = alike_name
) -> dict[Case, dict[str, Path]]:
    """The same files, where names that are alike are one: the one most used.

    Args:
        found: case -> name -> file.
        alike: what is equal for names that are alike. By default case, spaces, hyphens and underscores do not count.

    Returns:
        case -> name -> file. A case that tells two files apart by such names keeps its own.
    """
    spelled: dict[str, str] = {}
    for name, _ in Counter(name for own in found.values() for name in sorted(own)).most_common():
        spelled.setdefault(alike(name), name)
    named = {case: {spelled[alike(name)]: path for name, path in own.items()} for case, own in found.items()}
    return {case: named[case] if len(named[case]) == len(own) else dict(own) for case, own in found.items()}
