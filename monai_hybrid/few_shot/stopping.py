"""When a fine-tuning ends: after a budget that follows the number of labels, or where leaving one patient out says."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
from ignite.engine import Events
from monai.bundle import ConfigParser
from monai.utils import set_determinism
from torch.utils.data import Sampler

from monai_hybrid.engines import ReplayableDataset, mixed_sampler
from monai_hybrid.engines.length import total_updates
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.folds_done import Fold, FoldsDone, folds_of
from monai_hybrid.networks.merged_state import merged_state_dict
from monai_hybrid.quality.folds import write_fold
from monai_hybrid.runs.same_run import flat
from monai_hybrid.weights import checksum

STOPPING = ("budget", "leave_one_out")
MINIMUM_PATIENTS = 3
BASE, PER_PATIENT, MOST = 200, 50, 600
# What a fold needs of the training's handlers; it writes nothing.
FOLD_HANDLERS = (
    "SeededUpdates",
    "StopOnNonFinite",
    "GradientClip",
    "LrScheduleHandler",
    "ValidationHandler",
    "Progress",
    "TeachingRamp",
    "LastUpdate",
)
logger = logging.getLogger("monai_hybrid.adaptation")


def updates_for(cases: Sequence[dict[str, Any]]) -> int:
    """Updates of a fine-tuning: 200 + 50 a labelled patient, at most 600 (shorter: docs/results/notes/label_efficiency.md)."""
    patients = len({case["patient"] for case in cases})
    return min(BASE + PER_PATIENT * patients, MOST)


def check_stopping(stopping: str, cases: Sequence[dict[str, Any]], keep_folds: bool = False) -> None:
    """Refuse early what `leave_one_out` could not do.

    Raises:
        ConfigError: unknown name, several processes, or folds to keep where there are none.
        DataError: fewer than three labelled patients: one fold's score would decide, or none.
    """
    if stopping not in STOPPING:
        raise ConfigError(f"stopping: got {stopping!r}, expected one of {', '.join(STOPPING)}")
    if keep_folds and stopping != "leave_one_out":
        raise ConfigError(
            "keep_folds: there are folds with --stopping leave_one_out alone; add that, or leave --keep-folds out"
        )
    patients = len({case["patient"] for case in cases})
    if stopping == "leave_one_out" and patients < MINIMUM_PATIENTS:
        raise DataError(
            f"stopping leave_one_out: got {patients} labelled patients, expected at least {MINIMUM_PATIENTS}; "
            "type --stopping budget, or give more --shots"
        )
    if stopping == "leave_one_out" and idist.get_world_size() > 1:
        raise ConfigError("stopping leave_one_out: works in one process; type --stopping budget, or run without torchrun")


def choose_epochs(stopping: str, trainer: Any, keep_folds: bool = False) -> None:
    """Set the number of epochs that `trainer` will run. For a configuration's `run`, just before the training.

    With "budget" nothing changes. With "leave_one_out" a network is trained on all patients but one in turn, from the same
    weights and with the same settings, and validated on the one left out after every epoch. The epoch with the best mean over
    the patients, smoothed over three epochs, is taken; the learning rate still follows the schedule of the whole budget, as it
    did in the folds. `logs/leave_one_out.json` keeps the curves. With
    `keep_folds` the averaged weights at the end of each fold stay in `logs/folds/`, for `monai-hybrid calibrate`.
    A run that goes on (`resume`) trains the folds that it has not finished.
    """
    if stopping == "leave_one_out":
        main = _calling_parser()
        parsed = main.get_parsed_content
        settings = {**_deciding(main), "epochs": trainer.state.max_epochs, "keep": keep_folds}
        done = folds_of(Path(parsed("output_dir")) / "logs", parsed("train#dataset").data, settings, parsed("resume"))
        record = done.record if parsed("resume") else None
        if record is None:
            record = _folds(main, done, keep_folds)
            done.finish(record)
        trainer.state.max_epochs = record["epochs"]


def _calling_parser() -> ConfigParser:
    """The parser that evaluates the expression which called us.

    The call stack is the one place where it can be had. MONAI gives an expression its references (values, already made), and
    a `%` copy of a section is evaluated where it stands. The command line does not tell what an application has set.

    Raises:
        ConfigError: no configuration called us.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ConfigParser):
            return frame.f_locals["self"]
        frame = frame.f_back
    raise ConfigError("stopping leave_one_out: works in a bundle's configuration only")


def _deciding(main: ConfigParser) -> dict[str, Any]:
    """What decides how a fold is trained and measured, besides the settings that were given and the files of the cases."""
    parsed = main.get_parsed_content
    return {
        "updates": parsed("updates"),
        "weights": checksum({name: w.cpu() for name, w in parsed("starting_network").state_dict().items()}),
        "plan": flat(parsed("origin").plan),  # built anew with another spacing, it is another training
        "dataset": flat(parsed("data").dataset),
    }


def _folds(main: ConfigParser, done: FoldsDone, keep: bool) -> dict[str, Any]:
    """Train and validate each fold that is not done; the record that is written. With `keep` their weights stay."""
    cases, deterministic = main.get_parsed_content("cases"), main.get_parsed_content("deterministic")
    patients = sorted({case["patient"] for case in cases})
    for number, patient in enumerate(patients, 1):
        before = patient in done.folds
        if not before:
            if deterministic:
                set_determinism(main.get_parsed_content("seed"))
            fold = _fold(main, patient)
            start, curve = train_fold(fold)
            weights = merged_state_dict(fold.get_parsed_content("ema").ema_model) if keep else None
            file = None if weights is None else write_fold(done.logs, number, patient, weights)
            done.add(patient, Fold(start, curve, file))
        start, curve = done.folds[patient].start, done.folds[patient].curve
        logger.info(
            "leave one out %d/%d, without %s: Dice %.3f at the start, best %.3f after epoch %d of %d%s",
            *(number, len(patients), patient, start, max(curve), int(np.argmax(curve)) + 1, len(curve)),
            " (trained before)" if before else "",
        )
    if deterministic:
        set_determinism(main.get_parsed_content("seed"))
    folds = {patient: done.folds[patient] for patient in patients}
    starts = [fold.start for fold in folds.values()]
    record = best_epoch([fold.curve for fold in folds.values()])
    updates, per_epoch = (main.get_parsed_content(name) for name in ("updates", "updates_per_epoch"))
    record |= {"updates": total_updates(updates, record["epochs"], per_epoch)}
    logger.info("leave one out: %d epochs (%d updates), mean Dice %.3f", *(record[k] for k in ("epochs", "updates", "dice")))
    if float(np.mean(starts)) >= record["dice"]:
        logger.warning("leave one out: no epoch is better than the start (mean Dice %.3f)", np.mean(starts))
    record |= {"start": starts, "patients": {patient: fold.curve for patient, fold in folds.items()}}
    return record | ({"folds": {patient: fold.file for patient, fold in folds.items()}} if keep else {})


def _fold(main: ConfigParser, patient: str) -> ConfigParser:
    """The same configuration without one patient, validated on it; data already in memory are shared."""
    parsed = main.get_parsed_content
    dataset = parsed("train#dataset")
    kept = [i for i, case in enumerate(dataset.data) if case.get("patient") != patient]
    cases = [dataset.data[i] for i in kept]
    held_out = [case for case in parsed("cases") if case["patient"] == patient]
    fold = ConfigParser(copy.deepcopy(main.get()))
    fold["data"], fold["origin"], fold["cases"] = parsed("data"), parsed("origin"), tuple(parsed("cases"))
    fold["starting_network"] = copy.deepcopy(parsed("starting_network"))
    fold["writer"], fold["validation"], fold["val_interval"] = None, True, 1
    fold["train"]["dataset"] = dataset
    samples = parsed("updates_per_epoch") * parsed("train#update_size")
    fold["train"]["sampler"] = Chosen(
        mixed_sampler(cases, samples, parsed("labelled_share"), replay_share=parsed("replay_share")), kept
    )
    fold["train"]["trainer"]["train_handlers"] = "$@train#handlers + [@ema]"  # no checkpoints: a fold is not the run
    handlers = [h for h in fold["train"]["handlers"] if h["_target_"].rsplit(".", 1)[-1] in FOLD_HANDLERS]
    # A tracker would take the folds for the run.
    fold["validate"]["handlers"] = [h for h in fold["validate"]["handlers"] if "MLFlowHandler" not in h["_target_"]]
    for handler in handlers:
        if "Validation" in handler["_target_"]:
            handler.pop("_disabled_", None)
    fold["train"]["handlers"] = handlers
    fold["validate"]["dataset"] = ReplayableDataset(
        held_out, parsed("validate#preprocessing"), parsed("cache_dir"), progress=False
    )
    return fold


class Chosen(Sampler[int]):
    """A sampler's indices, as places in `kept`: some of the cases of a data set that several folds share."""

    def __init__(self, sampler: Sampler[int], kept: Sequence[int]) -> None:
        self.sampler, self.kept = sampler, kept

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return (self.kept[i] for i in self.sampler)


def train_fold(fold: ConfigParser) -> tuple[float, list[float]]:
    """Mean Dice of the validation at the start, and after each epoch of the training."""
    trainer, validator = (fold.get_parsed_content(name) for name in ("train#trainer", "validate#evaluator"))
    validator.run()
    start, curve = float(validator.state.metrics["val_mean_dice"]), []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: curve.append(float(validator.state.metrics["val_mean_dice"])))
    trainer.run()
    return start, curve


def best_epoch(curves: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Where the mean of the curves (folds x epochs), smoothed over three epochs, is highest; the first of equals."""
    mean = np.mean(np.asarray(curves, dtype=float), axis=0)
    smoothed = [float(mean[max(i - 1, 0) : i + 2].mean()) for i in range(len(mean))]
    best = int(np.argmax(smoothed))
    return {"epochs": best + 1, "dice": float(mean[best]), "mean": mean.tolist(), "smoothed": smoothed}
