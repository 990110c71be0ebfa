"""What the metadata.json of a bundle that is ours may say: descriptions, versions, and the form of input and output.

MONAI evaluates the strings of `spatial_shape` and downloads what `schema` names, so that neither is free text.
No key begins with `_`: an object with `_target_` would be called wherever the metadata are asked for.
"""

from __future__ import annotations

from typing import Any

SHAPE = r"^(\*|[0-9]{1,5}|([0-9]{1,5} ?\* ?)?[np])$"
TEXT = {"type": "string", "maxLength": 4000}
WORD = {"type": "string", "pattern": r"^[A-Za-z0-9_. /-]{0,80}$"}
VERSION = {"type": "string", "pattern": r"^[A-Za-z0-9_.+-]{1,40}$"}
PLACE = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
APPS = ["monailabel", "monai-fl"]  # clients that were tried with the bundles; {} in bundles of before
PACKAGES = ["pytorch-ignite", "nibabel", "einops", "safetensors", "tensorboard", "jsonschema"]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _named(names: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "propertyNames": {"pattern": names}, "additionalProperties": values, "maxProperties": 200}


_TENSOR = _object(
    {
        "type": WORD,
        "format": WORD,
        "modality": WORD,
        "dtype": {"enum": ["float32", "float16", "bfloat16", "int64", "int32", "uint8"]},
        "num_channels": {"type": "integer", "minimum": 1, "maximum": 65536},
        "spatial_shape": {
            "type": "array",
            "maxItems": 3,
            "items": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65536}, {"type": "string", "pattern": SHAPE}]},
        },
        "value_range": {"type": "array", "maxItems": 2, "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": _named("^[0-9]{1,5}$", TEXT),
    }
)
_SIDE = _named("^[a-z][a-z_]{0,40}$", {"anyOf": [{"type": "boolean"}, _TENSOR]})
_FORMAT = _object({"inputs": _SIDE, "outputs": _SIDE})
_TEXTS = (
    "name", "task", "description", "authors", "copyright", "data_source", "data_type", "image_classes", "label_classes",
    "pred_classes", "intended_use",
)  # fmt: skip
SCHEMA: dict[str, Any] = _object(
    {
        "schema": {"const": PLACE},
        **dict.fromkeys(("version", "monai_version", "pytorch_version", "numpy_version"), VERSION),
        **dict.fromkeys(_TEXTS, TEXT),
        "changelog": _named(r"^[0-9A-Za-z][0-9A-Za-z_.+-]{0,39}$", TEXT),
        "required_packages_version": _object(dict.fromkeys(PACKAGES, VERSION)),
        "supported_apps": _object(dict.fromkeys(APPS, VERSION)),
        "references": {"type": "array", "maxItems": 100, "items": TEXT},
        "eval_metrics": _named(r"^[A-Za-z0-9][A-Za-z0-9_ -]{0,79}$", {"type": "number"}),
        "network_data_format": _FORMAT,
        "denoiser_data_format": _FORMAT,
    }
)
