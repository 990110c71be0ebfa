"""Checks as small functions with a stable code, a level and a remedy; `@check` is all it takes to add one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.amounts import cells
from data_prep.quoting import printable, quoted
from data_prep.this_python import install, python

LEVELS = ("error", "warning", "note")
_PLACE = ("voxels", "index", "mm")
_PLACES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Remark:
    """What a check says. Checks over the whole data set name the case and file; the others leave that to the caller.

    `voxels` is the number of bad voxels, `index` the first of them in the order of the file's axes, from 0, `mm` its
    place in RAS; each None where it has no meaning. `words` fill the places of that name in the remedy; `remedy` takes the
    place of the check's own.
    """

    message: str
    case: str = ""
    file: str = ""
    voxels: int | None = None
    index: tuple[int, ...] | None = None
    mm: tuple[float, ...] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    remedy: str = ""


Result = str | Remark | None | Iterable[Remark]


@dataclass(frozen=True)
class Finding:
    """One fact about the data that a person should know, with what to type about it."""

    code: str
    level: str
    case: str
    file: str
    message: str
    remedy: str
    voxels: int | None = None
    index: tuple[int, ...] | None = None
    mm: tuple[float, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The finding as it is written to JSON; keys about voxels only where the finding is about voxels."""
        return {key: value for key, value in asdict(self).items() if key not in _PLACE or value is not None}

    @property
    def where(self) -> str:
        """The place of the first bad voxel in words, empty when there is none."""
        if self.index is None:
            return ""
        place = f" = ({', '.join(f'{value:.1f}' for value in self.mm)}) mm" if self.mm is not None else ""
        return f"first at {cells(len(self.index))[:-1]} {self.index}{place}"

    @property
    def subject(self) -> str:
        """The file, else the case, else "data set"."""
        return self.file or self.case or "data set"

    @property
    def sentence(self) -> str:
        """What was seen, and where."""
        return f"{self.message}, {self.where}" if self.where else self.message

    @property
    def line(self) -> str:
        """All of it but the level, for a place that says the level itself."""
        return printable(f"{self.code}: {self.subject}: {self.sentence}. {self.remedy}")

    def __str__(self) -> str:
        return self.line.replace(self.code, f"{self.code} {self.level}", 1)


@dataclass(frozen=True)
class Check:
    """A registered check. `on` says what it looks at: fault, volume, image, label, pair, dataset or datalist.

    What is `acceptable` is a judgement: the user may overrule it with `--accept CODE`, which turns an error into a warning.
    `training_only`: a reason not to train on an image that does not hinder a mask; prediction tells it as a remark.
    """

    code: str
    level: str
    on: str
    remedy: str
    function: Callable[[Any], Result]
    acceptable: bool = False
    training_only: bool = False

    @property
    def title(self) -> str:
        """One sentence: the first line of the function's docstring."""
        return (self.function.__doc__ or self.code).strip().splitlines()[0]


REGISTRY: dict[str, Check] = {}
OFFER = "; or, if it is meant so, add --accept"


def check(
    code: str, *, on: str, level: str, remedy: str, acceptable: bool = False, training_only: bool = False
) -> Callable[[Callable[[Any], Result]], Callable[[Any], Result]]:
    """Register a check. It returns None (nothing to say), a sentence, a remark, or remarks (only `on="dataset"`).

    In `remedy`, `{file}` stands for the file's name, quoted for a shell, `{folder}` for that of its folder, and `{case}` for
    the command that moves all files of its case out of the data set, `{python}` for the Python that runs, `{dicom_install}`
    for what adds the readers of DICOM.

    Raises:
        ValueError: an unknown level, a code that is taken, or a note that could be accepted.
    """
    if level not in LEVELS or code in REGISTRY or (acceptable and level == "note"):
        raise ValueError(f"check {code}: level {level!r} unknown, or the code is taken, or nothing to accept")

    def register(function: Callable[[Any], Result]) -> Callable[[Any], Result]:
        REGISTRY[code] = Check(code, level, on, remedy, function, acceptable, training_only)
        return function

    return register


def check_kind(*kinds: str, code: str, title: str, level: str, remedy: str, acceptable: bool = False) -> None:
    """Register the check of a reader's fault by its kind: its sentence is what was seen."""

    def seen(fault: Any) -> str | None:
        return fault.seen if fault.kind in kinds else None

    seen.__doc__ = title
    check(code, on="fault", level=level, remedy=remedy, acceptable=acceptable)(seen)


def run_checks(
    on: str,
    subject: Any,
    case: str = "",
    file: str = "",
    accept: Collection[str] = (),
    files: Mapping[str, Sequence[str] | str] | None = None,
) -> list[Finding]:
    """Run every check registered for one kind of subject, in the order of the codes; errors in `accept` become warnings.

    `files` has the files of cases, by case; a remedy that leaves a case out names them all. A text says how it is left out.
    """
    findings: list[Finding] = []
    for entry in sorted(REGISTRY.values(), key=lambda item: item.code):
        if entry.on == on:
            findings += [_finding(entry, remark, accept, files) for remark in _remarks(entry.function(subject), case, file)]
    return findings


def _remarks(result: Result, case: str, file: str) -> list[Remark]:
    if isinstance(result, str):
        return [Remark(result, case, file)]
    if isinstance(result, Remark):
        return [replace(result, case=case, file=file)]
    return list(result or ())


def _finding(
    entry: Check, remark: Remark, accept: Collection[str], files: Mapping[str, Sequence[str] | str] | None = None
) -> Finding:
    own = remark.file or remark.case
    whole = (files or {}).get(remark.case) or [own]
    words = {
        "file": quoted(own),
        "folder": quoted(Path(own).parent),
        "case": whole if isinstance(whole, str) else moved_out(whole),
        **remark.words,
    }
    wanted = remark.remedy or entry.remedy
    words |= {"python": python()} if "{python}" in wanted else {}
    words |= {"dicom_install": install("dicom")} if "{dicom_install}" in wanted else {}
    remedy = _PLACES.sub(lambda place: words.get(place[1], place[0]), wanted)  # once: names of files may hold such words
    if entry.acceptable and entry.code in accept:
        return Finding(entry.code, "warning", **_fields(remark), remedy="Accepted by --accept; nothing to do")
    if entry.acceptable:
        remedy += f"{OFFER} {entry.code}"
    return Finding(entry.code, entry.level, **_fields(remark), remedy=remedy)


def moved_out(files: Sequence[str]) -> str:
    """The command that moves these files, of one case, to the folder above; equal names are kept apart."""
    names = Counter(Path(file).name for file in files)
    plain = [file for file in files if names[Path(file).name] == 1]
    commands = [f"mv -n {' '.join(map(quoted, plain))} .."] if plain else []
    for file in (file for file in files if names[Path(file).name] > 1):
        commands.append(f"mv -n {quoted(file)} {quoted(f'../{Path(file).parent.name}_{Path(file).name}')}")
    return " && ".join(commands)


def _fields(remark: Remark) -> dict[str, Any]:
    return {name: getattr(remark, name) for name in ("message", "case", "file", *_PLACE)}
