"""What a program must know beside the network: how its input is made and its output is read. As JSON, held to a schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from data_prep.resampling import AREA, SAMPLE
from monai_hybrid.bundle_folders import load_config
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.transforms.intensity import Normalized

VERSION = 1
SIGMA, SMALLEST_WEIGHT = 0.125, 0.001  # of the windows' weights, as MONAI's `compute_importance_map` has them


def sidecar_of(model: Path) -> Path:
    """Where the JSON of an exported model lies: `model.onnx.json` beside `model.onnx`."""
    return model.with_name(model.name + ".json")


def describe(card: Mapping[str, Any], source: str, program: Mapping[str, Any]) -> dict[str, Any]:
    """The sidecar of an exported model.

    Args:
        card: of the model, complete.
        source: name of the model's file, for messages.
        program: the entry "model": file, format, sha256, shapes.

    Raises:
        ModelFileError: the card has values that no prediction can use.
    """
    dims, training, plan = card["spatial_dims"], card["training"], card["plan"]
    told = {
        "format_version": VERSION,
        "model": dict(program),
        "spatial_dims": dims,
        "channels": list(card["channels"]),
        "colour": list(card["colour"]) if card.get("colour") else None,
        "labels": [{key: label[key] for key in ("index", "value", "name")} for label in card["labels"]],
        "preprocessing": {
            "orientation": "RAS" if dims == 3 else None,
            "spacing": list(training["spacing"]),
            "resampling": plan.get("resampling", SAMPLE),
            "normalization": plan["normalization"],
        },
        "inference": {
            "window": list(training["patch_size"]),
            "overlap": load_config("few_shot_finetune", "inference.json")["overlap"],
            "padding": "edge",
            "blending": {"method": "gaussian", "sigma": SIGMA, "smallest": SMALLEST_WEIGHT},
        },
        "postprocessing": {"activation": "softmax", "interpolation": "linear", "decision": "argmax"},
        "source": {"file": source, "created": card.get("created"), "versions": card.get("versions", {})},
    }
    check(told, source)
    return told


def check(told: Mapping[str, Any], source: str) -> None:
    """Hold a sidecar to its schema, and to what the schema cannot say.

    Raises:
        ModelFileError: with the first entry that no prediction can use.
    """
    dims = told.get("spatial_dims")
    for error in sorted(_validator().iter_errors(told), key=lambda error: len(error.absolute_path)):
        place = error.json_path.removeprefix("$").removeprefix(".") or "the whole"
        raise ModelFileError(f"{source}: its card cannot be exported: {place}: {' '.join(error.message.split())[:200]}")
    for place, sizes in (("spacing", told["preprocessing"]["spacing"]), ("patch_size", told["inference"]["window"])):
        if len(sizes) != dims:
            raise ModelFileError(f"{source}: its card, {place}: saw {sizes}; expected {dims} numbers, one an axis")
    try:
        Normalized("image", told["preprocessing"]["normalization"])
    except ConfigError as error:
        raise ModelFileError(f"{source}: its card, plan: {error}") from error


@cache
def _validator() -> Draft202012Validator:
    text = files("monai_hybrid.exporting").joinpath("sidecar.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert schema["properties"]["preprocessing"]["properties"]["resampling"]["enum"] == [AREA, SAMPLE]
    return Draft202012Validator(schema)
