"""Configurations of a bundle beside ours: the same tree, but for plain values of the settings at its top."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from data_prep.errors import HybridError
from data_prep.json_io import load_json
from monai_hybrid.audit.metadata import SCHEMA
from monai_hybrid.audit.settings import MARKS, setting_allowed

LARGEST = 4 << 20
SHORT = 60


@dataclass(frozen=True)
class Finding:
    """An entry that is not ours: the file, the place in it ("" for the file itself), and what was seen."""

    file: str
    place: str
    seen: str

    def __str__(self) -> str:
        return f"{self.file} {self.place}: {self.seen}" if self.place else f"{self.file}: {self.seen}"


def compare_config(path: Path, own: Path, name: str) -> tuple[list[Finding], list[str]]:
    """What of a configuration is not ours, and as "name = value" the settings that are other."""
    content, problem = _content(path)
    if problem:
        return [Finding(name, "", problem)], []
    ours = load_json(own)
    changed = [key for key in content if key in ours and not same(content[key], ours[key])]
    settings = [key for key in changed if setting_allowed(key, content[key], ours[key])]
    rest = {key: value for key, value in content.items() if key not in settings}
    expected = {key: value for key, value in ours.items() if key not in settings}
    findings = [Finding(name, place, seen) for place, seen in _differences(rest, expected, "")]
    return findings, [f"{key} = {_shortened(content[key])}" for key in settings]


def compare_metadata(path: Path, own: Path, name: str) -> list[Finding]:
    """What of the metadata is no plain description: MONAI evaluates a `$` there too, and its shapes of images."""
    content, problem = _content(path)
    if problem:
        return [Finding(name, "", problem)]
    ours = load_json(own)
    if same(content, ours):
        return []
    errors = sorted(map(_smallest, Draft202012Validator(SCHEMA).iter_errors(content)), key=lambda error: error.json_path)
    findings = [Finding(name, error.json_path.removeprefix("$."), _shortened(error.instance)) for error in errors]
    own_texts = dict(_texts(ours, ""))
    marked = ((place, text) for place, text in _texts(content, "") if any(mark in place + text for mark in MARKS))
    return findings + [Finding(name, place, _shortened(text)) for place, text in marked if own_texts.get(place) != text]


def compare_logging(path: Path, own: Path, name: str) -> list[Finding]:
    """Python evaluates much of a logging configuration, after its own interpolation: only ours, line by line, is taken."""
    same_lines = path.stat().st_size < LARGEST and path.read_bytes().splitlines() == own.read_bytes().splitlines()
    return [] if same_lines else [Finding(name, "", "not our logging configuration")]


def same(one: Any, other: Any) -> bool:
    """Equal trees, with types: to Python 1 equals True."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _content(path: Path) -> tuple[dict[str, Any], str | None]:
    """A JSON object in ASCII, which every reader on every system takes for the same, and what is wrong with it."""
    if path.stat().st_size > LARGEST:
        return {}, f"larger than {LARGEST >> 20} MB"
    if not path.read_bytes().isascii():
        return {}, "holds characters beyond ASCII; write them as \\u escapes"
    try:
        content = load_json(path)
    except HybridError as error:
        return {}, str(error).removeprefix(f"{path}: ")
    return (content, None) if isinstance(content, dict) else ({}, "not a JSON object")


def _smallest(error: ValidationError) -> ValidationError:
    """The innermost part that breaks the schema, where that offers a choice."""
    while error.context:
        error = max(error.context, key=lambda part: len(part.absolute_path))
    return error


def _differences(theirs: Any, ours: Any, place: str) -> Iterator[tuple[str, str]]:
    """(place, what is there) of the smallest parts that differ."""
    if same(theirs, ours):
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            where = f"{place}#{key}" if place else str(key)
            if key not in theirs:
                yield where, "missing"
            elif key not in ours:
                yield where, _shortened(theirs[key])
            else:
                yield from _differences(theirs[key], ours[key], where)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _differences(one, other, f"{place}#{number}")
    else:
        yield place, _shortened(theirs)


def _texts(node: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield place, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        where = f"{place}#{key}" if place else str(key)
        yield where, ""  # a key counts even where its value is no text
        yield from _texts(value, where)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}..."
