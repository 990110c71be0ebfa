"""A bundle's train.json with a study's settings, on a study's data: what preparing the cases and training both read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from monai.bundle import ComponentLocator, ConfigParser

from benchmarks.label_efficiency.study import CONFIGS, ROOT
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.few_shot.starting_point import StartingPoint

DRAWN = "train#random_transforms#0"
_CONTENT: dict[str, dict[str, Any]] = {}
_LOCATOR = ComponentLocator()


def configuration(
    part: str, settings: Mapping[str, Any], data: PreparedData, origin: StartingPoint, device: str
) -> ConfigParser:
    """A bundle's train.json with these settings, on these data; with `shapes` random shapes take the place of the crops."""
    if part not in _CONTENT:
        _CONTENT[part] = ConfigParser.load_config_file(str(ROOT / CONFIGS[part]))
    parser = ConfigParser(json.loads(json.dumps(_CONTENT[part])))
    parser.locator = _LOCATOR  # its table of all MONAI classes takes a second to make
    plan = origin.plan
    changes = {
        "patch_size": plan["patch_size"],
        "spacing": plan["spacing"],
        "amp": False,
        "num_workers": 0,
        "updates": None,  # a study says its length in epochs; the bundle's is counted from shots, drawn into its own folder
        **settings,
    }
    shapes = changes.pop("shapes", False)
    for name, value in changes.items():
        parser[name] = value
    if shapes:
        overlay = ConfigParser.load_config_file(str((ROOT / CONFIGS[part]).with_name("synthetic.json")))
        parser[DRAWN] = overlay[DRAWN]
    if part == "pretrain":
        parser["unlabelled_cases#domain_label"] = False  # a study has no folder of scans; it marks the cases itself
    parser["data"], parser["device"] = data, torch.device(device)
    parser["bundle_root"] = str((ROOT / CONFIGS[part]).parents[1])
    if part == "finetune":
        parser["origin"] = origin
    return parser


def deterministic_transforms(data: PreparedData, origin: StartingPoint) -> list[Any]:
    """Load, orient, resample, normalise and pad a domain on the common plan; the two bundles have the same list."""
    transforms: list[Any] = configuration("finetune", {}, data, origin, "cpu").get_parsed_content(
        "train#deterministic_transforms"
    )
    return transforms
