"""The handler that saves the whole state of a run, restores it, and ends the run when a signal asks for it."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events

from monai_hybrid.engines.length import updates_of
from monai_hybrid.engines.prepare_batch import HybridPrepareBatch
from monai_hybrid.engines.weights_handlers import state_of
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.runs.checkpoint import load_newest, save_checkpoint
from monai_hybrid.runs.run_folder import run_length
from monai_hybrid.runs.same_run import (
    CLEAN_SHARE,
    describe_cases,
    flat,
    moved_model,
    refuse_another_run,
    refuse_other_settings,
    tell_of_another_draw,
)
from monai_hybrid.runs.stop_signals import Stopped, StopSignals
from monai_hybrid.screen import write_log
from monai_hybrid.weights import checksum, load_weights

SCHEDULE = ("last_epoch", "_step_count", "_last_lr")  # the rest of a scheduler are settings, and max_epochs may change
PARTS = (
    "update", "epoch_length", "network", "ema", "optimizer", "lr_scheduler", "scaler", "also", "cases", "plan", "settings",
)  # fmt: skip
logger = logging.getLogger("monai_hybrid.checkpoint")


class Checkpoint:
    """Save network, average, optimizer, schedule, scaler, log and position; go on from there, bit for bit on one CPU.

    Put it first among the handlers: what it restores at the start, the others see. What it does after an update or an epoch is
    attached when the run begins, so it comes after all others. Generators are not saved: see `replay`.

    Args:
        folder: of the checkpoints.
        ema: ignite's EMAHandler.
        lr_scheduler: stepped by its own handler.
        cases: the training cases, in the order of their indices.
        plan: spacing, patch size, normalisation and network.
        settings: the run's settings, see `same_run.lasting`; empty where there is no command line.
        model: file of the model that the run starts from or learns from; None: none.
        interval: epochs between checkpoints; 0: only when a signal ends the run.
        resume: go on from the newest checkpoint, if there is one.
        rank: only rank 0 writes.

    Raises:
        ConfigError, DataError: at the start of the run, when settings, plan, model or cases are others than in the
            checkpoint, or where the trainer counts batches as updates.
        ModelFileError: no checkpoint can be read.
    """

    def __init__(
        self,
        folder: str,
        ema: Any,
        lr_scheduler: Any,
        cases: Sequence[Mapping[str, Any]] = (),
        plan: Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
        interval: int = 1,
        resume: bool = False,
        rank: int = 0,
        model: str | None = None,
    ) -> None:
        self.model, self.before = model, 0.0
        self.folder, self.ema, self.lr_scheduler = Path(folder), ema, lr_scheduler
        self.cases, self.plan, self.settings = cases, plan or {}, dict(settings or {})
        self.interval, self.resume, self.rank = interval, resume, rank
        self.signals = StopSignals()
        self.stopped: Stopped | None = None
        self.attached = False
        self.left_at = state_of(ema.model) if ema is not None else []

    def attach(self, engine: Engine) -> None:
        """Restore when the run starts."""
        engine.add_event_handler(Events.STARTED, self.begin)

    def begin(self, engine: Any) -> None:
        """Attach the rest, take the signals over, and restore."""
        if engine.accumulation_steps > 1:
            raise ConfigError(
                f"train#trainer: accumulation_steps {engine.accumulation_steps} makes each batch an update of the run's "
                'length; give it "iteration_update": {"_target_": "monai_hybrid.engines.AccumulatedUpdate", "batches": '
                f"{engine.accumulation_steps}}} in its place, as the bundles' train.json does"
            )
        self.stopped = None
        self.began = time.monotonic()
        self.now_cases, self.now_plan = describe_cases(self.cases), flat(self.plan)
        self.now_model = checksum(load_weights(self.model)) if self.model else None
        if not self.attached:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self.after_update)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self.after_epoch)
            engine.add_event_handler(Events.COMPLETED | Events.TERMINATE, self.end)
            engine.add_event_handler(Events.EXCEPTION_RAISED, self.fail)
            self.attached = True
        self.signals.watch()
        if state_of(self.ema.model) != self.left_at:  # an application (MONAI FL) gave other weights: their average begins here
            self.ema.ema_model.load_state_dict(self.ema.model.state_dict())
        found = load_newest(self.folder, engine.state.device) if self.resume else None
        if found is not None:
            self.restore(engine, *found)
            if self.rank == 0:
                write_log(self.folder.parent)  # of a copy of the bundle that does not ask first
        elif self.interval:
            self.save(engine)  # from now on the folder holds a run that can go on

    def after_update(self, engine: Any) -> None:
        """End a run that was asked to stop, unless epoch or run end now."""
        done = engine.state.iteration % engine.state.epoch_length
        if engine.state.iteration == updates_of(engine.state):
            return
        if self.signals.received and done:
            self.save(engine)
            self.stop(engine)

    def after_epoch(self, engine: Any) -> None:
        """Save every `interval` epochs and at the end; end a run that was asked to stop."""
        last = engine.state.epoch >= engine.state.max_epochs
        asked = bool(self.signals.received) and not last
        if asked or (self.interval and (last or engine.state.epoch % self.interval == 0)):
            self.save(engine)
        if asked:
            self.stop(engine)

    def end(self, engine: Any) -> None:
        """Give the signals back, and remember the weights as this run leaves them."""
        self.signals.release()
        self.left_at = state_of(self.ema.model)

    def fail(self, engine: Engine, error: BaseException) -> None:
        """Give the signals back and pass the error on."""
        self.signals.release()
        raise error

    def save(self, engine: Any) -> None:
        """Write a checkpoint of this moment; rank 0 only.

        Raises:
            OSError: it could not be written; the older ones are as they were.
        """
        if self.rank == 0:
            save_checkpoint(self.state(engine), self.folder)

    def state(self, engine: Any) -> dict[str, Any]:
        """Everything that the rest of the run follows from: tensors, numbers and strings."""
        schedule = self.lr_scheduler.state_dict()
        return {
            "update": engine.state.iteration,
            "epoch_length": engine.state.epoch_length,
            "max_epochs": engine.state.max_epochs,
            "total": updates_of(engine.state),
            "length": run_length() if self.settings else {},
            "seconds": self.before + time.monotonic() - self.began,
            "network": engine.network.state_dict(),
            "ema": self.ema.ema_model.state_dict(),
            "optimizer": engine.optimizer.state_dict(),
            "lr_scheduler": {name: schedule[name] for name in SCHEDULE},
            "scaler": engine.scaler.state_dict() if engine.scaler is not None else None,
            "also": {name: part.state_dict() for name, part in self._also(engine).items()},
            "cases": self.now_cases,
            "plan": self.now_plan,
            "model": self.now_model,
            "settings": self.settings,
            "clean_share": CLEAN_SHARE,
        }

    def restore(self, engine: Any, path: Path, state: Mapping[str, Any]) -> None:
        """Put everything back.

        Raises:
            ModelFileError: a part of it is missing.
            ConfigError, DataError: it belongs to a run of other settings, plan or cases; nothing is changed then.
        """
        missing = [part for part in PARTS if part not in state]
        if missing:
            raise ModelFileError(
                f"{path}: holds no {', '.join(missing)}; expected a complete checkpoint, as training writes it. "
                "To start from weights alone: --pretrained FILE, with another --output_dir"
            )
        if self.settings:
            refuse_other_settings(moved_model(state, self.settings), self.settings, path)
        refuse_another_run(state, path, self.now_cases, self.now_plan, (self.model, self.now_model) if self.model else None)
        before, now = ({"updates_per_epoch": str(n)} for n in (state["epoch_length"], engine.state.epoch_length))
        refuse_other_settings(before, now, path)
        if isinstance(engine.prepare_batch, HybridPrepareBatch):
            tell_of_another_draw(state.get("clean_share"), engine.prepare_batch.objective, self.cases, path)
        engine.network.load_state_dict(state["network"])
        self.ema.ema_model.load_state_dict(state["ema"])
        engine.optimizer.load_state_dict(state["optimizer"])
        self.lr_scheduler.load_state_dict({**self.lr_scheduler.state_dict(), **state["lr_scheduler"]})
        if engine.scaler is not None and state["scaler"] is not None:
            engine.scaler.load_state_dict(state["scaler"])
        for name, part in self._also(engine).items():
            part.load_state_dict(state["also"][name])
        self.before = engine.state.earlier_seconds = float(state.get("seconds", 0.0))
        engine.state.iteration = state["update"]
        total = updates_of(engine.state)
        # A run whose last epoch was a short one is at its end, or goes on within that epoch if it is to be longer now.
        whole = state["update"] // state["epoch_length"]
        engine.state.epoch = whole if state["update"] < total else max(whole, engine.state.max_epochs)
        logger.info("going on from %s: update %d of %d", path, state["update"], total)

    def stop(self, engine: Any) -> None:
        """End the run without its closing events; `leave` then ends the process."""
        assert self.signals.received is not None
        total = updates_of(engine.state)
        self.stopped = Stopped(
            f"stopped by {signal.Signals(self.signals.received).name} after update {engine.state.iteration} of {total}; "
            "everything is saved: type the same command with --resume True to go on",
            self.signals.received,
        )
        engine.terminate(skip_completed=True)

    def leave(self) -> None:
        """After the run: end the process with the signal's exit code if a signal ended the run.

        Raises:
            Stopped: 130 after SIGINT, 143 after SIGTERM.
        """
        if self.stopped is not None:
            raise self.stopped

    @staticmethod
    def _also(engine: Any) -> dict[str, Any]:
        """Other handlers with a state: they enter themselves in `engine.state.also_saved`."""
        return getattr(engine.state, "also_saved", {})
