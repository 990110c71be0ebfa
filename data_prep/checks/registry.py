"""Checks as small functions with a stable code, a level and a remedy; `@check` is all it takes to add one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Remark:
    """What a check over the whole data set says about one case or file of it."""

    message: str
    case: str = ""
    file: str = ""


Result = str | None | Iterable[Remark]


@dataclass(frozen=True)
class Finding:
    """One fact about the data that a person should know, with what to type about it."""

    code: str
    level: str
    case: str
    file: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """The finding as it is written to JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = self.file or self.case or "data set"
        return f"{self.code} {self.level}: {where}: {self.message}. {self.remedy}"


@dataclass(frozen=True)
class Check:
    """A registered check. `on` says what it looks at: fault, volume, image, label, pair or dataset."""

    code: str
    level: str
    on: str
    remedy: str
    function: Callable[[Any], Result]

    @property
    def title(self) -> str:
        """One sentence: the first line of the function's docstring."""
        return (self.function.__doc__ or self.code).strip().splitlines()[0]


REGISTRY: dict[str, Check] = {}


def check(code: str, *, on: str, level: str, remedy: str) -> Callable[[Callable[[Any], Result]], Callable[[Any], Result]]:
    """Register a check. It returns None (nothing to say), a sentence, or remarks (only `on="dataset"`).

    In `remedy`, `{file}` stands for the file's name, quoted for a shell.
    """
    if level not in LEVELS or code in REGISTRY:
        raise ValueError(f"check {code}: level {level!r} unknown, or the code is taken")

    def register(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
        REGISTRY[code] = Check(code, level, on, remedy, function)
        return function

    return register


def run_checks(on: str, subject: Any, case: str = "", file: str = "") -> list[Finding]:
    """Run every check registered for one kind of subject, in the order of the codes."""
    findings: list[Finding] = []
    for entry in sorted(REGISTRY.values(), key=lambda item: item.code):
        if entry.on == on:
            result = entry.function(subject)
            remarks = [Remark(result, case, file)] if isinstance(result, str) else list(result or ())
            findings += [_finding(entry, remark) for remark in remarks]
    return findings


def _finding(entry: Check, remark: Remark) -> Finding:
    remedy = entry.remedy.replace("{file}", shlex.quote(remark.file or remark.case))
    return Finding(entry.code, entry.level, remark.case, remark.file, remark.message, remedy)
