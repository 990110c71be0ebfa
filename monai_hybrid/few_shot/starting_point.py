"""Where an adaptation starts: a model file and its plan, or nothing and the plan of the data."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.slices import line
from data_prep.to_cut import is_volume
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.catalogue.entry import universal
from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.children import run_child
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.model_card import TO_ADAPT, required_card
from monai_hybrid.nearest.ranking import AUTO, chosen
from monai_hybrid.results_folder import RUNS, usable
from monai_hybrid.runs.manifest import note
from monai_hybrid.runs.stop_signals import Stopped
from monai_hybrid.setting_checks import which_model

SCRATCH = "scratch"
# The forward process of a model whose card says nothing of it.
NOISE = {"prediction_type": "v", "noise_schedule": "cosine", "num_timesteps": 1000}
LEARNING_RATE = 0.0003
# Chosen on two source data sets: docs/how-to/start-without-source-data.md. Features of random shapes have farther to go.
LEARNING_RATE_OF_SHAPES = 0.003
logger = logging.getLogger("monai_hybrid.adaptation")


@dataclass(frozen=True)
class StartingPoint:
    """What the fine-tuned network is made of.

    Attributes:
        path: model file whose weights are taken over; None from scratch.
        network: arguments of HybridDiffusionUNet, with the channels and labels of the target.
        plan: spacing, patch size and normalisation: those the weights know, not those that the target would choose.
        noise: prediction_type, noise_schedule and num_timesteps that the weights know, for a denoising term.
        learning_rate: highest one of the fine-tuning, where nobody gives another.
    """

    path: str | None
    network: dict[str, Any]
    plan: dict[str, Any]
    noise: dict[str, Any] = field(default_factory=lambda: dict(NOISE))
    learning_rate: float = LEARNING_RATE


def starting_point(pretrained: str | None, data: PreparedData, bundle_root: str, plan_from: str | None = None) -> StartingPoint:
    """Find the model and join its plan with the target's channels and labels.

    Args:
        pretrained: a model file, the folder of a run, or the name of a model of the package; "auto" for the nearest of these;
            "scratch"; None for the universal model of the data's dimensions. For the built-in phantom None is first the model
            of the bundle hybrid_pretrain beside this one, which is trained now where there is no universal model either.
        data: the target.
        bundle_root: this bundle's folder.
        plan_from: with "scratch", a model file whose network and plan are used, so that only the weights differ.

    Raises:
        ModelFileError: no such file, no card, one that says too little, or a network for another number of dimensions.
        ConfigError: `plan_from` without "scratch"; no model given for real data, and no universal one there.
    """
    if plan_from and pretrained != SCRATCH:
        raise ConfigError("plan_from: only with --pretrained scratch; a model file brings its own plan")
    path = None if pretrained == SCRATCH else _model(pretrained, data, Path(bundle_root))
    described = path or (model_file(plan_from) if plan_from else None)
    if described is None:
        return StartingPoint(None, _network(data.plan["network"], data), data.plan)
    card = required_card(described, TO_ADAPT)
    if card["spatial_dims"] != data.plan["spatial_dims"]:
        differ = f"a {card['spatial_dims']}D model, but the data are {data.plan['spatial_dims']}D"
        raise ModelFileError(f"{described}: {differ}{_as_slices(data, card)}")
    plan = {**card["plan"], "patch_size": card["training"]["patch_size"], "spacing": card["training"]["spacing"]}
    of_shapes = bool(card["plan"].get("universal"))
    if of_shapes:  # its shapes were drawn in voxels: it knows no spacing and no unit of grey
        plan = data.plan
    noise = {name: card["training"].get(name) or default for name, default in NOISE.items()}
    rate = LEARNING_RATE_OF_SHAPES if path and of_shapes else LEARNING_RATE
    return StartingPoint(path, _network(card["network"], data), plan, noise, rate)


def _as_slices(data: PreparedData, card: Mapping[str, Any]) -> str:
    """What to type where volumes of one file each can be cut for a 2D model; else what model to give."""
    first = next((case for case in data.training if isinstance(case["image"], str) and case.get("label")), None)
    files = [] if first is None else [str(first["image"]), str(first["label"])]
    written = {Path(file).absolute().is_relative_to(Path(data.folder).absolute()) for file in files}
    if card["spatial_dims"] != 2 or len(written) != 1 or not all(map(is_volume, files)):  # of DICOM the image alone is written
        return f". Give a {data.plan['spatial_dims']}D model: monai-hybrid models"
    raw = os.path.commonpath(files)
    return f". Give a 3D model, or cut the volumes into slices, and build these: {line(raw)}"


def chosen_model(pretrained: str | None, data: PreparedData | None, bundle_root: str, scans: Path | None = None) -> str:
    """The file of the model that `starting_point` takes, for data or for `scans` alone.

    Raises:
        ConfigError: no model given, and none that could be meant.
        ModelFileError: see `model_file`.
    """
    if data is not None:
        return _model(pretrained, data, Path(bundle_root))
    if pretrained is None:
        raise ConfigError("shots 0: no model was given; give --model the model that segments these structures elsewhere")
    assert scans is not None
    return chosen(scans)[0] if pretrained == AUTO else model_file(pretrained)


def _model(pretrained: str | None, data: PreparedData, bundle_root: Path) -> str:
    if pretrained == AUTO:
        name, why = chosen(data.folder)
        return _told(name, why)
    if pretrained:
        return model_file(pretrained)
    dims = int(data.plan["spatial_dims"])
    name = universal(dims) or ""
    own = _neighbours_model(bundle_root)
    if data.built_in and (own.is_file() or not name):
        return _neighbour(bundle_root)
    if not name:
        raise ConfigError(which_model("--dataset_dir", str(data.folder), "--pretrained"))
    return _told(name, f"no model was given, and {name} is the start for any {dims}D data")


def _told(name: str, why: str) -> str:
    """The file of a model that nobody named; the reason is printed, and kept in `run.json`."""
    logger.info("starting from %s: %s. Give --pretrained to start from another", name, why)
    note("pretrained", {"model": name, "reason": why})
    return model_file(name)


def _network(arguments: dict[str, Any], data: PreparedData) -> dict[str, Any]:
    channels = len(data.dataset["channels"])
    return {**arguments, "spatial_dims": data.plan["spatial_dims"], "in_channels": channels, "num_classes": data.num_classes}


def _neighbours_model(bundle_root: Path) -> Path:
    """Where the model of hybrid_pretrain is, or will be."""
    bundle = bundle_root.resolve().parent / "hybrid_pretrain"
    return (bundle if usable(bundle) else Path(RUNS) / bundle.name) / "models/model.safetensors"


def _neighbour(bundle_root: Path) -> str:
    """The model of hybrid_pretrain, made now if it is not there."""
    bundle = bundle_root.resolve().parent / "hybrid_pretrain"
    model = _neighbours_model(bundle_root)
    results = model.parents[1]
    if not model.is_file():
        config = bundle / "configs/train.json"
        if not config.is_file():
            raise ModelFileError("pretrained: not given, and no bundle hybrid_pretrain lies beside this one; give a model file")
        logger.info("no pretrained model given and none found: pretraining on the built-in phantom first")
        command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(config), "--bundle_root", str(bundle)]
        command += ["--output_dir", str(results), "--resume", "True"]  # one that was stopped half-way goes on
        code = run_child(command)
        if code > 128:
            name = signal.Signals(code - 128).name
            raise Stopped(f"stopped by {name} in the pretraining; type the same command again to go on", code - 128)
        if code:
            raise ModelFileError("pretrained: the pretraining on the built-in phantom failed; its message stands above")
    return str(model)
