"""A bundle as a folder of one's own, for MONAI Label, Deploy and FL: those look for it by its path, with the model inside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.atomic import new_folder
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.errors import ConfigError, EnvironmentFault

BUNDLES = ("few_shot_finetune", "hybrid_pretrain")
PARTS = ("LICENSE", "configs", "docs")  # what runs have left in the bundle's own folder stays there


def copy_bundle(target: Path, name: str = BUNDLES[0], model: Path | None = None) -> Path:
    """Copy a bundle's files to the new folder `target`; with a model, its two files and metadata of its channels and labels.

    Raises:
        ConfigError: an unknown bundle, or `target` is there already.
        ModelFileError: no such model, or one without a card.
        EnvironmentFault: the folder cannot be written; nothing is left of it then.
    """
    if name not in BUNDLES:
        raise ConfigError(f"--name: got {name!r}, expected {' or '.join(BUNDLES)}")
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target}: is there already; nothing was copied. Give the name of a new folder")
    source, card = bundle_folder(name), None if model is None else _card(model)
    try:
        with new_folder(target) as folder:
            for part in PARTS:
                copy = shutil.copytree if (source / part).is_dir() else shutil.copyfile
                copy(source / part, folder / part)
            if model is not None and card is not None:
                _add_model(folder, model, card)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or target}: {error.strerror or error}; nothing was copied") from error
    return target


def _card(model: Path) -> dict[str, Any]:
    from monai_hybrid.bundle.model import find_card  # here, because it brings torch
    from monai_hybrid.setting_checks import check_there

    check_there("model", str(model), "--model")
    return find_card(str(model))


def _add_model(folder: Path, model: Path, card: Mapping[str, Any]) -> None:
    from monai_hybrid.weights import load_weights, save_weights

    save_weights(load_weights(model), folder / "models", card)
    file = folder / "configs/metadata.json"
    metadata = described(json.loads(file.read_text(encoding="utf-8")), card)
    file.write_text(json.dumps(metadata, indent=4) + "\n", encoding="utf-8")


def described(metadata: dict[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata with a model's channels, labels and axes; clients take the names of the labels from there."""
    channels, labels = list(card["channels"]), [label["name"] for label in card["labels"]]
    network = card["network"]
    divisor = 2 ** (len(network["channels"]) - 1) * (2 if network.get("stem") == "space_to_depth" else 1)
    shape = [f"{max(divisor, 16)}*n"] * card["spatial_dims"]
    image, pred = {"num_channels": len(channels)}, {"num_channels": len(labels)}
    segmenter, denoiser = metadata["network_data_format"], metadata["denoiser_data_format"]
    segmenter["inputs"]["image"] |= {**image, "spatial_shape": shape, "channel_def": _numbered(channels)}
    segmenter["outputs"]["pred"] |= {**pred, "spatial_shape": shape, "channel_def": _numbered(labels)}
    noisy = [f"noisy {name} x_t" for name in channels]
    both = [f"{name} prediction" for name in channels] + labels
    denoiser["inputs"]["image"] |= {**image, "spatial_shape": shape, "channel_def": _numbered(noisy)}
    denoiser["outputs"]["pred"] |= {"num_channels": len(both), "spatial_shape": shape, "channel_def": _numbered(both)}
    told = {"image_classes": ", ".join(channels), "label_classes": ", ".join(f"{i} {name}" for i, name in enumerate(labels))}
    told["pred_classes"] = f"{len(labels)} channels of logits, in the order of the label classes"
    return {**metadata, **told, "data_source": str(card.get("source") or "not said by the model's card")}


def _numbered(names: list[str]) -> dict[str, str]:
    return {str(i): name for i, name in enumerate(names)}
