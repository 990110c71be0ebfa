"""Which settings of a configuration may have another value in a bundle that is still ours, and of which kind."""

from __future__ import annotations

import math
import re
from typing import Any

from monai_hybrid.bundle.setting_values import check_value
from monai_hybrid.errors import HybridError
from monai_hybrid.settings import PATH_KINDS, RANGES, SETTINGS

MARKS = "$@%"  # MONAI's signs of an expression, a reference and a macro
WORD = re.compile(r"[A-Za-z0-9_.-]{0,64}")
PATH = re.compile(r"[^$@%#\x00-\x1f\x7f]{0,1000}")
TEXT = re.compile(r"[^$@%\x00-\x1f\x7f]{0,2000}")
DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,2})?")
MOST = 64
LARGEST = 2**63 - 1  # of any number
# The kinds of `settings.py` -> what such a value may look like here; of these a default says nothing more.
FORMS: dict[str, str] = {
    **dict.fromkeys(PATH_KINDS, "path"),
    **{kind: "whole" if kind.startswith("count") else "number" for kind in RANGES},
    "flag": "truth", "word": "word", "voxels": "wholes", "mm": "numbers", "device": "device", "text": "word",
    "timesteps": "wholes", "colours": "word", "names": "none",
}  # fmt: skip


def setting_allowed(name: str, value: Any, default: Any) -> bool:
    """Whether a setting at the top of a configuration may have this value: plain, of its kind, within its range.

    Null is allowed where it is the default, and where it means something.
    """
    if value is None:
        return default is None or (name in SETTINGS and SETTINGS[name].may_be_none)
    if not _of_kind(kind_of(name, default), value):
        return False
    try:
        if name != "device":  # one that this machine lacks is for the run to say
            check_value(name, value)
    except HybridError:
        return False
    return True


def kind_of(name: str, default: Any) -> str:
    """The form of a setting's value: by the table of settings, else by its default."""
    if name == "_desc_":
        return "text"
    return FORMS[SETTINGS[name].kind] if name in SETTINGS else _kind(default)


def _kind(default: Any) -> str:
    """The kind of a plain default; "none" for one that is an expression, a part of the pipeline, or null."""
    if isinstance(default, bool):
        return "truth"
    if isinstance(default, (int, float)):
        return "whole" if isinstance(default, int) else "number"
    if isinstance(default, str):
        return "none" if any(mark in default for mark in MARKS) else "word"
    if isinstance(default, list) and default:
        kinds = {_kind(item) for item in default}
        return {"whole": "wholes", "number": "numbers"}.get(kinds.pop(), "none") if len(kinds) == 1 else "none"
    return "none"


def _of_kind(kind: str, value: Any) -> bool:
    if kind in ("wholes", "numbers"):
        return isinstance(value, list) and 0 < len(value) <= MOST and all(_of_kind(kind[:-1], item) for item in value)
    if kind in ("word", "path", "text", "device"):
        form = {"word": WORD, "path": PATH, "text": TEXT, "device": DEVICE}[kind]
        return isinstance(value, str) and form.fullmatch(value) is not None
    if kind == "truth":
        return isinstance(value, bool)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # LARGEST first: Python does not turn every whole number into a float
    return (
        number
        and abs(value) <= LARGEST
        and math.isfinite(value)
        and (kind == "number" or (kind == "whole" and isinstance(value, int)))
    )
