"""Which settings of a configuration may have another value in a bundle that is still ours, and of which kind."""

from __future__ import annotations

import math
import re
from typing import Any

from monai_hybrid.bundle.setting_values import check_value
from monai_hybrid.errors import HybridError

MARKS = "$@%"  # MONAI's signs of an expression, a reference and a macro
# Settings that are paths: a list of its own, since it says what others may set.
PATHS = (
    "dataset_dir", "output_dir", "bundle_root", "model", "pretrained", "plan_from", "source_dir", "unlabelled_dir", "input",
    "cache_dir",
)  # fmt: skip
WORD = re.compile(r"[A-Za-z0-9_.-]{0,64}")
PATH = re.compile(r"[^$@%#\x00-\x1f\x7f]{0,1000}")
TEXT = re.compile(r"[^$@%\x00-\x1f\x7f]{0,2000}")
DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,2})?")
MOST = 64
LARGEST = 2**63 - 1  # of any number
# Kinds of the settings whose default says none: it is null, or an expression.
KINDS: dict[str, str] = {
    **dict.fromkeys(PATHS, "path"),
    **dict.fromkeys(("budget", "prediction_type", "noise_schedule"), "word"),
    **dict.fromkeys(("batch_size", "num_workers", "updates", "max_epochs", "num_timesteps"), "whole"),
    **dict.fromkeys(("clean_fraction", "nsd_tolerance"), "number"),
    "shots": "whole", "amp": "truth", "device": "device", "patch_size": "wholes",
    "spacing": "numbers", "colour": "word", "_desc_": "text",
}  # fmt: skip
NULLABLE = {*PATHS, "shots"}


def setting_allowed(name: str, value: Any, default: Any) -> bool:
    """Whether a setting at the top of a configuration may have this value: plain, of its kind, within its range.

    Null is allowed where it is the default, and for paths.
    """
    if value is None:
        return default is None or name in NULLABLE
    if not _of_kind(KINDS.get(name) or _kind(default), value):
        return False
    try:
        if name != "device":  # one that this machine lacks is for the run to say
            check_value(name, value)
    except HybridError:
        return False
    return True


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
