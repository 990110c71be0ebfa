"""Group F: the list of the cases."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reliability.faults.registry import ACCEPTED, Fault
from benchmarks.reliability.tiny import NAMES, edit_json, prepared, sound

LIST = "datalist.json"


def _listed(change: Callable[[Any], object]) -> Callable[[Path], Path]:
    return lambda folder: edit_json(prepared(folder) / LIST, change)


def _text(change: Callable[[str], str]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = prepared(folder) / LIST
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        return path

    return make


def _first(key: str, value: object) -> Callable[[Any], None]:
    return lambda content: content["training"][0].__setitem__(key, value)


def _without(*place: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in place[:-1]:
            content = content[key]
        del content[place[-1]]

    return change


def _renamed(old: str, new: str) -> Callable[[Any], None]:
    return lambda content: content["training"][0].__setitem__(new, content["training"][0].pop(old))


def _paths(change: Callable[[str, Path], str]) -> Callable[[Path], Path]:
    """Rewrite every path of the list; `change` gets the absolute path and the list's folder."""

    def make(folder: Path) -> Path:
        path = prepared(folder) / LIST
        content = json.loads(path.read_text(encoding="utf-8"))
        for entry in (entry for split in ("training", "validation", "testing") for entry in content[split]):
            entry["image"], entry["label"] = (change(entry[key], path.parent) for key in ("image", "label"))
        path.write_text(json.dumps(content), encoding="utf-8")
        return path.parent

    return make


def _cases(names: Sequence[str]) -> Callable[[Path], Path]:
    return lambda folder: sound(folder / "raw", names)


def _doubled(text: str) -> str:
    return text.replace('"format_version"', '"name": "other", "format_version"', 1)


def _bad_id(title: str, case_id: str, number: str) -> Fault:
    return Fault(number, title, "D502", _listed(_first("case_id", case_id)), names=LIST, message=r"training\[0\]\.case_id")


TOP = ("format_version", "name", "training", "validation", "testing")
ENTRY = ("image", "fold", "case_id", "patient", "site")

FAULTS = [
    *(Fault("F01", f"no {key}", "D502", _listed(_without(key)), LIST, f"'{key}' is a required") for key in TOP),
    *(Fault("F01", f"no {key} in a case", "D502", _listed(_without("training", 0, key)), LIST, f"'{key}'") for key in ENTRY),
    Fault("F01", "no label in a test case", "D502", _listed(_without("testing", 0, "label")), LIST, "'label' is a required"),
    Fault("F02", "'image' mistyped", "D502", _listed(_renamed("image", "imgae")), LIST, "'image' is a required"),
    Fault("F02", "a number for a path", "D502", _listed(_first("image", 7)), LIST, r"saw 7; expected a path"),
    Fault("F02", "a text for a fold", "D502", _listed(_first("fold", "0")), LIST, r"saw \"0\"; expected a whole number"),
    Fault("F03", "a key twice", "D501", _text(_doubled), LIST, "the key 'name' appears twice"),
    Fault("F04", "trailing comma", "D501", _text(lambda text: text.rstrip()[:-1] + ",}"), LIST, "not valid JSON: .* line"),
    Fault("F05", "byte order mark", ACCEPTED, _text(lambda text: "\ufeff" + text)),
    Fault("F06", "no training case", "D502", _listed(lambda content: content["training"].clear()), LIST, "at least one case"),
    Fault("F07", "one case", ACCEPTED, _cases(NAMES[:1])),
    Fault("F08", "two cases", ACCEPTED, _cases(NAMES[:2])),
    Fault("F09", "three cases", ACCEPTED, _cases(NAMES)),
    Fault("F10", "four cases", ACCEPTED, _cases([*NAMES, "case_d"])),
    Fault("F11", "fold missing", "D502", _listed(_without("training", 1, "fold")), LIST, r"training\[1\].*'fold'"),
    Fault("F12", "fold -1", "D502", _listed(_first("fold", -1)), LIST, "saw -1; expected a whole number from 0"),
    Fault("F12", "fold 7 of 2", "D505", _listed(_first("fold", 7)), "data set", "folds .*7; expected 0 to"),
    Fault("F13", "absolute paths", ACCEPTED, _paths(lambda path, folder: path)),
    Fault("F14", "'..' in paths", ACCEPTED, _paths(lambda path, folder: os.path.relpath(path, folder))),
    _bad_id("'..' as a case id", "..", "F14"),
    _bad_id("slash in a case id", "a/b", "F15"),
    _bad_id("backslash in a case id", "a\\b", "F15"),
    _bad_id("NUL in a case id", "a\0b", "F16"),
    _bad_id("newline in a case id", "a\nb", "F16"),
    Fault("F16", "newline in a file name", "D504", _cases([*NAMES, "case\nd"]), "case", r"case\\nd"),
    _bad_id("case id of 300 characters", "x" * 300, "F17"),
    Fault("F17", "file name of 230 characters", "D504", _cases([*NAMES, "x" * 230]), "xxx", "at most 200 characters"),
    _bad_id("right-to-left mark in a case id", "a\u202eb", "F18"),
    Fault("F18", "right-to-left mark in a file name", "D504", _cases([*NAMES, "case\u202ed"]), "case", r"u202ed"),
    Fault("F19", "leading '~'", "D502", _listed(_first("image", "~/a.nii.gz")), LIST, "expected a path"),
    Fault("F19", "leading '$'", "D502", _listed(_first("label", "$HOME/a.nii.gz")), LIST, "expected a path"),
    Fault(
        "F20", "paths relative to the list, not to the shell", ACCEPTED, _paths(lambda p, folder: os.path.relpath(p, folder))
    ),
]
