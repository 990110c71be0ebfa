"""What the "quality" of a model's card may hold: a line with its interval for each structure, usual values, temperatures.

It lies apart from the room `quality`, because a card is read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Signals of a predicted Dice: those that raise it when they grow (+1), and those that lower it (-1).
SIGNS = {
    "soft_dice": 1, "entropy": -1, "agreement_noise": 1, "agreement_flip": 1, "denoising_error": -1, "volume_off": -1,
}  # fmt: skip
FEWEST_PATIENTS = 3  # that a predicted Dice takes: leaving one patient out must leave two
COLDEST, HOTTEST = 0.2, 10.0  # temperatures
LINE = ("centre", "scale", "lowest", "highest", "weights")  # numbers of a line, one a signal

_NUMBER = {"type": "number", "minimum": -1e9, "maximum": 1e9, "description": "a number from -1e9 to 1e9"}
# The fit has no scale below 1e-6; much smaller ones would make a prediction infinite.
_POSITIVE = {"type": "number", "minimum": 1e-9, "maximum": 1e9, "description": "a number from 1e-9 to 1e9"}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1, "description": "a number from 0 to 1"}


def _numbers(of: Mapping[str, Any], least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "items": of, "minItems": least, "maxItems": most, "description": f"{least} to {most} numbers"}


_MODEL = {
    "type": "object",
    "required": ["signals", "centre", "scale", "lowest", "highest", "weights", "intercept", "interval"],
    "properties": {
        "signals": {"type": "array", "items": {"enum": list(SIGNS)}, "minItems": 1, "uniqueItems": True},
        **{key: _numbers(_NUMBER, 1, len(SIGNS)) for key in ("centre", "lowest", "highest", "weights")},
        "scale": _numbers(_POSITIVE, 1, len(SIGNS)),
        "intercept": _NUMBER,
        "interval": _numbers(_NUMBER, 2, 2),
    },
    "description": "a line with its signals and numbers",
}
QUALITY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "an object with dice, reference, calibration",
    "properties": {
        "split": {"type": "string", "maxLength": 64, "description": "a word"},
        "level": _SHARE,
        "dice": {
            "type": "object",
            "maxProperties": 4096,
            "additionalProperties": {"type": "array", "items": _MODEL, "maxItems": 4, "description": "up to 4 lines"},
            "description": "an object with lines of each structure",
        },
        "reference": {
            "type": "object",
            "additionalProperties": _numbers(_NUMBER, 0, 10_000),
            "description": "an object with numbers of each signal",
        },
        "calibration": {
            "type": "object",
            "properties": {
                "temperature": _numbers(
                    {"type": "number", "minimum": COLDEST, "maximum": HOTTEST, "description": "a number from 0.2 to 10"},
                    2,
                    4096,
                ),
                "error_before": _SHARE,
                "error_after": _SHARE,
            },
            "description": "an object with temperature",
        },
    },
}


def contradiction(entry: Mapping[str, Any], num_classes: int) -> str | None:
    """What of an entry that fits the schema cannot be used: place, seen, expected; None where nothing is wrong."""
    for name, lines in (entry.get("dice") or {}).items():
        for line in lines:
            wanted = len(line["signals"])
            for key in LINE:
                if len(line[key]) != wanted:
                    return f"quality.dice.{name}.{key}: saw {len(line[key])} numbers; expected {wanted}, one a signal"
    temperature = (entry.get("calibration") or {}).get("temperature")
    if temperature is not None and num_classes and len(temperature) != num_classes:
        return f"quality.calibration.temperature: saw {len(temperature)} numbers; expected {num_classes}, one a label"
    return None
