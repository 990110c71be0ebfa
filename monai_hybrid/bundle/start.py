"""The first step of every bundle run: refuse mistyped settings, and end errors in one sentence."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser

from data_prep.home import at_home
from data_prep.interrupts import end_in_order, sentence, signal_of
from data_prep.lack_of_memory import take_blas_memory
from data_prep.naming import keep_key_out
from monai_hybrid.allocator import keep_memory
from monai_hybrid.bundle.real_data import refuse_phantom_model, refuse_phantom_start
from monai_hybrid.bundle.setting_values import check_value, warn_of_slow_numbers
from monai_hybrid.catalogue.naming import said_of
from monai_hybrid.errors import ConfigError
from monai_hybrid.results_folder import is_bundle_command
from monai_hybrid.runs.command_line import command_line_overrides, config_files, typed_settings
from monai_hybrid.runs.finished import Finished
from monai_hybrid.runs.machine_faults import machine_fault, own_error
from monai_hybrid.runs.manifest import record_run
from monai_hybrid.runs.stop_signals import Stopped
from monai_hybrid.screen import take_over
from monai_hybrid.setting_checks import check_kind, check_part, check_section, check_there, refuse_idle, top, unknown
from monai_hybrid.settings import RUN_ARGUMENTS, SETTINGS
from monai_hybrid.tracking import check_tracking
from monai_hybrid.typed_options import as_typed

DEBUG = "MONAI_HYBRID_DEBUG"  # set to 1, tracebacks are shown

# Upstream deprecations and hints that a user can do nothing about.
NOISE = (
    ".*TorchScript.*",
    ".*unable to generate class balanced.*",
    ".*torch.jit.*",
    ".*lr_scheduler.step.*",
    ".*nvImageCodec.*",
    ".*get_mask_edges.*",
)
logger = logging.getLogger("monai_hybrid.settings")


def start(bundle_root: str, argv: list[str] | None = None, verbose: bool = False) -> None:
    """Prepare a bundle run: checked settings, one-line errors, no noise, memory kept, and a record of the run at its end.

    Args:
        bundle_root: the bundle's folder; the settings of the config files named are known names.
        argv: the command line; the process's own by default.
        verbose: show all lines of the log.

    Raises:
        ConfigError: an override on the command line has an unknown name or a value of the wrong kind.
    """
    own_process, argv = argv is None, sys.argv if argv is None else argv
    one_line_errors(show_traceback="--debug" in argv or os.environ.get(DEBUG, "") not in ("", "0"))
    take_over(verbose)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    if is_bundle_command(argv):
        if own_process:
            end_in_order()
            take_blas_memory()
            keep_memory()
        overrides = command_line_overrides(argv)
        known = known_settings(Path(bundle_root), argv)
        _refuse_settings_of_others(overrides, known, Path(bundle_root))
        refuse_idle(overrides, known)
        check_overrides(overrides, known, typed_settings(argv))
        check_tracking(overrides)
        _check_models(overrides)
        keep_key_out(at_home(str(overrides.get("output_dir") or bundle_root)))
        refuse_phantom_start(overrides, known)
        refuse_phantom_model(overrides, known, bundle_root)
        warn_of_slow_numbers(overrides)
        for line in replaced_settings(list(map(Path, config_files(overrides)))):
            logger.info("%s", line)
        if own_process:
            record_run(argv, overrides, bundle_root)


def known_settings(bundle_root: Path, argv: list[str]) -> dict[str, Any]:
    """Top-level names of the config files on the command line, with their defaults; of all the bundle's when none is named."""
    files = [file for file in map(Path, config_files(command_line_overrides(argv))) if file.is_file()]
    known: dict[str, Any] = {}
    for file in files or _bundle_configs(bundle_root):
        known.update({k: v for k, v in ConfigParser.load_config_file(str(file)).items() if k not in known})
    return known


def _bundle_configs(bundle_root: Path) -> list[Path]:
    return [file for file in sorted((bundle_root / "configs").glob("*.json")) if file.name != "metadata.json"]


def _refuse_settings_of_others(overrides: Mapping[str, Any], known: Mapping[str, Any], bundle_root: Path) -> None:
    """A setting that another config of the bundle has would do nothing here, and nobody would notice."""
    for name in map(top, overrides):
        if name in known or name in RUN_ARGUMENTS:
            continue
        owners = [file.name for file in _bundle_configs(bundle_root) if name in ConfigParser.load_config_file(str(file))]
        if owners:
            raise ConfigError(f"--{name} is a setting of {', '.join(owners)}, and would do nothing in this run; leave it out")


def replaced_settings(files: Sequence[Path]) -> list[str]:
    """Plain settings that two config files give different values: MONAI takes the later one, and says nothing."""
    told: list[str] = []
    seen: dict[str, tuple[Any, Path]] = {}
    for file in files:
        for name, value in ConfigParser.load_config_file(str(file)).items() if file.is_file() else ():
            plain = not isinstance(value, (dict, list)) and not str(value).startswith(("$", "@", "%")) and name[0] != "_"
            own = name in seen and seen[name][1].parent == file.parent  # a second configuration of the same bundle is meant so
            if plain and name in seen and not own and seen[name][0] != value:
                told.append(f"{name}: {value} from {file}, not {seen[name][0]} from {seen[name][1]}: the later file counts")
            seen[name] = (value, file)
    return told


def check_overrides(
    overrides: Mapping[str, Any], known: Mapping[str, Any], typed: Mapping[str, str | None] | None = None
) -> None:
    """Refuse names that no config has, values whose kind differs from the default's, and values that no run can use.

    Raises:
        ConfigError: with the nearest known name, or what to type.
        EnvironmentFault: a device that this machine does not have.
    """
    if None not in (overrides.get("updates"), overrides.get("max_epochs")):
        raise ConfigError("--updates and --max_epochs: each says how long the training is; give one of them")
    for name, value in overrides.items():
        first = top(name)
        if first in RUN_ARGUMENTS:
            continue
        if first not in known:
            raise ConfigError(unknown(first, known))
        if first == name:
            check_section(name, value, known[name])
            check_kind(name, value, known[name], (typed or {}).get(name))
            check_value(name, value)
        else:
            check_part(name, value, known, overrides)


def _check_models(overrides: Mapping[str, Any]) -> None:
    """A model that is not there is told before any data are looked at."""
    for name, value in overrides.items():
        if name in SETTINGS and SETTINGS[name].kind in ("file", "model") and isinstance(value, str):
            check_there(name, value)
            if value not in SETTINGS[name].words and (said := said_of(value)):
                logger.info("%s", said)


def one_line_errors(show_traceback: bool = False) -> None:
    """Let errors of our own tree, faults of the machine and Ctrl-C end the process in one message and its exit code.

    MONAI wraps an exception of a config expression several times; ours is found along the chain of causes.
    """
    previous = sys.excepthook
    # torch.distributed wraps the hook and puts a buffer in the place of stderr, which leaving by sys.exit would lose.
    stream = sys.stderr

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        own = own_error(error) or machine_fault(error)
        if isinstance(error, KeyboardInterrupt):
            own = Stopped(sentence(error), signal_of(error))
        if own is None or show_traceback:
            previous(kind, error, trace)
            return
        logging.shutdown()
        print(f"\n{'' if isinstance(own, (Finished, Stopped)) else 'error: '}{as_typed(str(own))}", file=stream, flush=True)
        sys.exit(own.exit_code)

    sys.excepthook = hook
