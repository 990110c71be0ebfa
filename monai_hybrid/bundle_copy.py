"""A bundle as a folder of one's own, for MONAI Label, Deploy and FL: those look for it by its path, with the model inside."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.atomic import new_folder
from data_prep.files import read_dataset
from data_prep.home import at_home
from data_prep.naming import keep_key_out
from data_prep.quoting import quoted
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.setting_checks import check_path, check_there, model_in
from monai_hybrid.shape_models import warning

BUNDLES = ("few_shot_finetune", "hybrid_pretrain")
PARTS = ("LICENSE", "configs", "docs")  # what runs have left in the bundle's own folder stays there


def copy_bundle(target: Path, name: str = BUNDLES[0], model: Path | None = None, data: Path | None = None) -> Path:
    """Copy a bundle's files to the new folder `target`, which is then whole by itself.

    Args:
        target: made here.
        name: of the bundle.
        model: a file, the folder of a run, or a name of the package's models; its two files go into `models/`, its channels
            and labels into the metadata.
        data: prepared data set whose labels and channels a training takes; it starts from `model` and writes into the copy.

    Raises:
        DataError: `data` is no prepared data set.
        ConfigError: an unknown bundle, or `target` is there already or lies in the bundle.
        ModelFileError: no such model, or one without a card.
        EnvironmentFault: the folder cannot be written; nothing is left of it then.
    """
    if name not in BUNDLES:
        raise ConfigError(f"--name: got {name!r}, expected {' or '.join(BUNDLES)}")
    if target.exists() or target.is_symlink():
        raise ConfigError(f"{target}: is there already; nothing was copied. Give the name of a new folder")
    model = None if model is None else model_in(model) or Path(model_path(str(model)))
    keep_key_out(target)
    source = bundle_folder(name)
    if target.resolve().is_relative_to(source.resolve()):
        other = quoted(f"./{source.name}_copy")
        raise ConfigError(f"{target}: lies in the bundle that is copied, {source}. Type: monai-hybrid bundle copy {other}")
    card = None if model is None else _card(model)
    settings = _settings(target, name, model, data)
    try:
        with new_folder(target) as folder:
            for part in PARTS:
                copy = shutil.copytree if (source / part).is_dir() else shutil.copyfile
                copy(source / part, folder / part)
            if model is not None and card is not None:
                if said := warning(card, str(model)):
                    logging.getLogger("monai_hybrid.bundle").warning("%s", said)
                _add_model(folder, model, card)
            _change(folder / "configs/train.json", settings)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or target}: {error.strerror or error}; nothing was copied") from error
    return target


def _card(model: Path) -> dict[str, Any]:
    check_there("model", str(model), "--model")
    from monai_hybrid.bundle.model import find_card  # here, because it brings torch

    return find_card(str(model))


def _add_model(folder: Path, model: Path, card: Mapping[str, Any]) -> None:
    from monai_hybrid.weights import load_weights, save_weights

    save_weights(load_weights(model), folder / "models", card)
    file = folder / "configs/metadata.json"
    _write(file, described(json.loads(file.read_text(encoding="utf-8")), card))


def _settings(target: Path, name: str, model: Path | None, data: Path | None) -> dict[str, str]:
    """What a training of the copy has otherwise than the bundle: plain paths, so that an audit still knows it as ours."""
    if data is None:
        return {}
    read_dataset(at_home(data) / "dataset.json")
    # Clients look for the trained model in the bundle itself, in place of runs/...
    places = {"dataset_dir": at_home(data), "output_dir": target}
    if model is not None and name == BUNDLES[0]:
        places["pretrained"] = target / "models/model.safetensors"
    settings = {setting: str(place.absolute()) for setting, place in places.items()}
    for setting, place in settings.items():
        check_path(setting, place, place, "--data" if setting == "dataset_dir" else "DIR")
    return settings


def _change(config: Path, settings: Mapping[str, str]) -> None:
    if settings:
        _write(config, {**json.loads(config.read_text(encoding="utf-8")), **settings})


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


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
