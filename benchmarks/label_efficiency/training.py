"""The bundles' own training, in this process: their configurations through MONAI's ConfigParser, without pictures and logs.

What is replaced: the loading of the data (`StoredCases`), the loader (`Stream`), and for peers the network. What is left out:
the log, pictures, progress and validation. Optimizer, schedule of the learning rate, loss, noise, clipping and averaging of the
weights, and the transforms are the configuration's.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.bundle import ConfigParser
from monai.utils import set_determinism
from torch import nn

from benchmarks.label_efficiency.configuration import configuration
from benchmarks.label_efficiency.data import Case, CaseStore, StoredCases
from benchmarks.label_efficiency.peers import FEATURE_STEPS, PixelHead, PlainUNet
from benchmarks.label_efficiency.streams import Resumed, Stream
from data_prep.atomic import replace_file
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.few_shot.starting_point import StartingPoint
from monai_hybrid.transforms import MatchAppearanced
from monai_hybrid.weights import with_pretrained

KEPT_HANDLERS = ("StopOnNonFinite", "GradientClip", "LrScheduleHandler", "TeachingRamp")
SAVER = "WeightsSaver"
# Settings that change the batches; all others leave them equal.
SHAPING = ("shapes", "batch_size", "patch_size", "spacing", "augment", "contrast_randomisation", "labelled_share", "unlabelled",
           "source_replay", "replay_share", "match_appearance", "self_training", "domain_label")  # fmt: skip
OF_CASES = ("updates", "curve", "source_labels", "unlabelled_target", "shapes", "source_replay", "match_appearance")


def shaping(settings: Mapping[str, Any]) -> str:
    """The settings that make two streams of the same cases differ."""
    return json.dumps({name: settings[name] for name in (*SHAPING, "updates") if name in settings}, sort_keys=True)


def make_stream(
    part: str,
    settings: Mapping[str, Any],
    data: PreparedData,
    origin: StartingPoint,
    cases: Sequence[tuple[CaseStore, Case]],
    seed: int,
    looks: Sequence[tuple[CaseStore, Case]] = (),
) -> Stream:
    """The batches of a training: the bundle's sampler, random transforms and collation on stored cases.

    `looks` are the scans whose grey values replayed cases take, by the setting `match_appearance`.
    """
    own = {k: v for k, v in settings.items() if k not in ("updates", "source_replay", "match_appearance")}
    kind = settings.get("match_appearance", "none")
    stored = [lambda scan: scan["store"][scan["case"]]]
    before = [MatchAppearanced("image", kind, [{"store": s, "case": c} for s, c in looks], stored)] if kind != "none" else []

    def loader() -> Any:
        if settings.get("num_workers"):
            for store, case in cases:
                _ = store[case]  # before the workers fork, so that they share it
        once = {"seed": seed, "max_epochs": 1, "updates_per_epoch": settings["updates"]}
        parser = configuration(part, {**own, **once}, data, origin, "cpu")
        transforms = parser.get_parsed_content("train#views" if part == "finetune" else "train#random_transforms")
        parser.parse(reset=True)
        parser["train#dataset"] = StoredCases(cases, [*before, *transforms], seed)
        return parser.get_parsed_content("train#dataloader")

    return Stream(loader, seed)


@dataclass
class Trained:
    """A finished training.

    Attributes:
        network: the averaged weights.
        updates, seconds: of the training; the share of `seconds` that scoring on the way took is not in it.
        cpu_seconds: the same as processor time of this process: on a shared machine the honest measure.
    """

    network: nn.Module
    updates: int
    seconds: float
    cpu_seconds: float


def train(
    part: str,
    settings: Mapping[str, Any],
    data: PreparedData,
    origin: StartingPoint,
    stream: Stream,
    seed: int,
    device: str,
    kind: str = "hybrid_unet",
    learning_rate: float | None = None,
    feature_steps: Sequence[int] = (0,),
    save_to: Path | None = None,
    curve: int = 1,
    on_curve: Callable[[nn.Module, int], None] | None = None,
) -> Trained:
    """Pretrain or fine-tune once.

    Args:
        part: "pretrain" or "finetune".
        settings: of the bundle, and `updates`.
        data, origin: the domain, and the start (its `path` is the model file, None from scratch).
        stream: the batches.
        seed: of the fresh weights, of t and of the noise.
        kind: see `study.Arm`.
        feature_steps: noise levels of a pixel_head; (0,) for its own.
        save_to: folder for the model files.
        curve: how often `on_curve(network, update)` is called, in equal distances.
    """
    started, aside = _clocks(), (0.0, 0.0)
    updates = int(settings["updates"])
    curve = max(1, min(curve, updates))
    own = {k: v for k, v in settings.items() if k not in OF_CASES}
    own |= {"max_epochs": curve, "updates_per_epoch": updates // curve, "seed": seed}
    own |= {} if learning_rate is None else {"learning_rate": learning_rate}
    parser = configuration(part, own, data, origin, device)
    logging.getLogger("monai.engines.trainer.SupervisedTrainer").setLevel(logging.WARNING)
    set_determinism(seed=seed)
    _choose_network(parser, part, kind, origin, device, feature_steps)
    # nnU-Net's network names each tensor several times, which safetensors refuses.
    _choose_handlers(parser, None if kind == "plain_unet" else save_to)
    parser["train#dataloader"] = Resumed(stream)
    trainer = parser.get_parsed_content("train#trainer")
    trainer.logger.setLevel(logging.WARNING)
    network: nn.Module = parser.get_parsed_content("ema").ema_model

    def at_epoch() -> None:
        nonlocal aside
        before = _clocks()
        if on_curve:
            on_curve(network, trainer.state.iteration)
        aside = _sum(aside, _since(before))

    trainer.add_event_handler(Events.EPOCH_COMPLETED, at_epoch)
    trainer.run()
    if kind == "plain_unet" and save_to:
        save_to.mkdir(parents=True, exist_ok=True)
        replace_file(save_to / "model.pt", lambda path: torch.save(network.state_dict(), path))
    wall, cpu = (round(spent - other, 2) for spent, other in zip(_since(started), aside, strict=True))
    return Trained(network, trainer.state.iteration, wall, cpu)


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _since(before: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - before[0], now[1] - before[1]


def _sum(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] + b[0], a[1] + b[1]


def _choose_network(
    parser: ConfigParser, part: str, kind: str, origin: StartingPoint, device: str, feature_steps: Sequence[int]
) -> None:
    if kind == "hybrid_unet":
        if part == "finetune":
            parser["transferred_network#report_dir"] = None
        return
    if kind == "plain_unet":
        network: nn.Module = with_pretrained(PlainUNet(origin.network), origin.path)
    else:
        body: Any = with_pretrained(parser.get_parsed_content("network_def"), origin.path)
        network = PixelHead(
            body, parser.get_parsed_content("schedule"), FEATURE_STEPS if tuple(feature_steps) == (0,) else feature_steps
        )
        parser.parse(reset=True)
    parser["starting_network"] = network.to(device)
    parser["optimizer#params"] = "$[p for p in @network.parameters() if p.requires_grad]"


def _choose_handlers(parser: ConfigParser, save_to: Path | None) -> None:
    kept = (*KEPT_HANDLERS, SAVER) if save_to else KEPT_HANDLERS
    handlers = [h for h in parser.config["train"]["handlers"] if h["_target_"].rpartition(".")[2] in kept]
    for handler in handlers:
        if handler["_target_"].endswith(SAVER):
            handler |= {"validator": None, "folder": str(save_to), "interval": 10**9}  # at the end alone
    parser["train#handlers"] = handlers
    parser["train#trainer#train_handlers"] = "$@train#handlers + [@ema]"  # no checkpoints
