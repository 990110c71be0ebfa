"""One run for one output folder: claimed with a lock, and nothing of an earlier run overwritten without being asked."""

from __future__ import annotations

import atexit
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from filelock import FileLock, Timeout
from monai.bundle import ConfigParser

from data_prep.free_names import free
from data_prep.json_io import dump_json
from data_prep.naming import keep_key_out
from data_prep.quoting import quoted
from data_prep.result_files import refuse_other
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.results_folder import is_bundle_command
from monai_hybrid.runs.checkpoint import checkpoints, load_newest, remove_leftovers
from monai_hybrid.runs.command_line import command_line_overrides, config_files
from monai_hybrid.runs.finished import leave_finished, length_of, total_of
from monai_hybrid.runs.manifest import story_of
from monai_hybrid.runs.same_run import lasting, moved_model, refuse_other_settings
from monai_hybrid.screen import write_log
from monai_hybrid.settings import RUN_ARGUMENTS

OTHER = "or give another: --output_dir"
MODELS = ("models/model.safetensors", "models/model.pt")
LOCK, HOLDER = ".run.lock", ".run.json"
logger = logging.getLogger("monai_hybrid.run")
_held: dict[Path, FileLock] = {}


def claim_run(output_dir: str, resume: bool = False, overwrite: bool = False, argv: list[str] | None = None) -> None:
    """Take the output folder for this process, and look at what is in it before any work is done.

    Args:
        output_dir: made if need be.
        resume: go on from the newest checkpoint; in an empty folder a new run begins.
        overwrite: begin anew: checkpoints and the history of the earlier run are deleted, its model is replaced by the first
            that this run saves.
        argv: the command line; the process's own by default. Without `python -m monai.bundle run` (MONAI Label, MONAI FL) an
            earlier run is replaced, with a warning: there the application keeps the models.

    Raises:
        EnvironmentFault: another process runs in this folder, or it cannot be written.
        ConfigError: both settings; an earlier run is there and neither was given; or it had other settings.
        Finished: there is nothing to go on with; on all ranks.
    """
    argv = sys.argv if argv is None else argv
    folder = Path(output_dir)
    if resume and overwrite:
        raise ConfigError("resume and overwrite: both are True; give one of them")
    if idist.get_rank() > 0:
        if resume and (found := load_newest(folder / "checkpoints", mapped=True)) is not None:
            _leave_finished(folder, found[1], argv)
        return
    lock(folder)
    for part in ("checkpoints", "models", "logs"):
        remove_leftovers(folder / part)
    found = load_newest(folder / "checkpoints", mapped=True) if not overwrite else None
    if resume and found is not None:
        settings = run_settings(argv)
        if settings:
            refuse_other_settings(moved_model(found[1], settings), settings, found[0])
        _leave_finished(folder, found[1], argv)
        return  # the log begins when the rest was asked, see `ask_first`
    model = next((file for file in MODELS if (folder / file).is_file()), None)
    if not overwrite and (found is not None or model is not None):
        if is_bundle_command(argv):
            raise ConfigError(_earlier_run(folder, found, model))
        logger.warning("%s: replacing the run that is there", folder)
    _begin_anew(folder)
    write_log(folder)


def lock(folder: Path) -> None:
    """Hold the folder until the process ends; the kernel lets go of it even after SIGKILL, so no lock can be stale.

    Raises:
        ConfigError: the key to pseudonyms lies in it.
        EnvironmentFault: another process holds it, or the folder cannot be written.
    """
    keep_key_out(folder)
    folder = folder.resolve()
    if folder in _held:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / LOCK)
        held.acquire(timeout=0)
        _held[folder] = held
        atexit.register(release, folder)
        dump_json(_this_process(), folder / HOLDER)
    except Timeout as error:
        raise EnvironmentFault(
            f"{folder}: another run is writing here ({_holder(folder)}); wait for it, stop it, or give another --output_dir"
        ) from error
    except OSError as error:
        raise EnvironmentFault(f"{folder}: cannot be written: {error.strerror}; give another --output_dir") from error


def release(folder: Path) -> None:
    """Let go of a folder, and take the files of the lock away; those that a killed process left are taken over by the next."""
    folder = folder.resolve()
    held = _held.pop(folder, None)
    if held is not None:
        with suppress(OSError):  # Windows deletes no open file
            (folder / HOLDER).unlink(missing_ok=True)
            (folder / LOCK).unlink(
                missing_ok=True
            )  # while it is held: who opened it earlier sees that it is gone, and asks anew
        held.release()


def run_settings(argv: list[str] | None = None) -> dict[str, str]:
    """The settings that make this run what it is: config files and overrides of the command line; {} where there is none."""
    return lasting(_given_config(sys.argv if argv is None else argv))


def run_length(argv: list[str] | None = None) -> dict[str, Any]:
    """What config files and overrides of the command line say of the run's length, see `finished.length_of`."""
    return length_of(_given_config(sys.argv if argv is None else argv))


def _given_config(argv: list[str]) -> dict[str, Any]:
    """Config files of the command line with its overrides, unevaluated; {} where there is none."""
    if not is_bundle_command(argv):
        return {}
    given = command_line_overrides(argv)
    parser = ConfigParser()
    parser.read_config(config_files(given))
    parser.update({name: value for name, value in given.items() if name not in RUN_ARGUMENTS})
    return dict(parser.get())


def _leave_finished(folder: Path, state: Mapping[str, Any], argv: list[str]) -> None:
    if is_bundle_command(argv):
        leave_finished(folder, state, run_length(argv))


def _this_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def _holder(folder: Path) -> str:
    try:
        seen = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {seen['pid']} on {seen['host']}, since {seen['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"


def _earlier_run(folder: Path, found: tuple[Path, Mapping[str, Any]] | None, model: str | None) -> str:
    of, other = story_of(folder / "logs"), f"{OTHER} {quoted(free(folder))}"
    if found is None:
        return f"{folder}: holds {model} of an earlier run{of}; --overwrite True replaces it, {other}"
    update, total = found[1]["update"], total_of(found[1])
    state = "a finished run" if update >= total else "an unfinished run"
    first = "--resume True with more --updates or --max_epochs goes on" if update >= total else "--resume True goes on"
    return f"{folder}: holds {state}{of} (update {update} of {total}); {first}, --overwrite True begins anew, {other}"


def _begin_anew(folder: Path) -> None:
    """Delete what an earlier run of ours left, and nothing else that lies there."""
    for file in checkpoints(folder / "checkpoints"):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # not there, or files of somebody else's
        (folder / "checkpoints").rmdir()
    history = folder / "logs/history.jsonl"
    refuse_other(history)
    history.unlink(missing_ok=True)
