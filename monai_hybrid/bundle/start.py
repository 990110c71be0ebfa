"""The first step of every bundle run: refuse mistyped settings, and end errors in one sentence."""

from __future__ import annotations

import difflib
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from monai_hybrid.allocator import keep_memory
from monai_hybrid.bundle.machine_faults import machine_fault
from monai_hybrid.bundle.manifest import record_run
from monai_hybrid.bundle.setting_values import check_value
from monai_hybrid.engines.stop_signals import Stopped
from monai_hybrid.errors import ConfigError, HybridError

DEBUG = "MONAI_HYBRID_DEBUG"  # set to 1, tracebacks are shown

logger = logging.getLogger("monai_hybrid.settings")

# Arguments of `python -m monai.bundle run` itself.
RUN_ARGUMENTS = {
    "run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file", "tracking", "args_file",
    "workflow_name", "workflow_type", "properties_path", "debug",
}  # fmt: skip


def start(bundle_root: str, argv: list[str] | None = None) -> None:
    """Prepare a bundle run: checked settings, one-line errors, no noise, memory kept, and a record of the run at its end.

    Args:
        bundle_root: the bundle's folder; the settings of the config files named are known names.
        argv: the command line; the process's own by default.

    Raises:
        ConfigError: an override on the command line has an unknown name or a value of the wrong kind.
    """
    own_process, argv = argv is None, sys.argv if argv is None else argv
    one_line_errors(show_traceback="--debug" in argv or os.environ.get(DEBUG, "") not in ("", "0"))
    # Upstream deprecations that a user can do nothing about.
    for message in (".*TorchScript.*", ".*unable to generate class balanced.*", ".*torch.jit.*", ".*lr_scheduler.step.*"):
        warnings.filterwarnings("ignore", message=message)
    if is_bundle_command(argv):
        if own_process:
            keep_memory()
        overrides = command_line_overrides(argv)
        known = known_settings(Path(bundle_root), argv)
        _refuse_settings_of_others(overrides, known, Path(bundle_root))
        check_overrides(overrides, known)
        for line in replaced_settings(_config_files(overrides)):
            logger.info("%s", line)
        if own_process:
            record_run(argv, overrides, bundle_root)


# Settings that are paths: fire turns 2024 into a number, and MONAI turns # into a separator, which would name another path.
PATHS = (
    "dataset_dir",
    "output_dir",
    "bundle_root",
    "model",
    "pretrained",
    "plan_from",
    "source_dir",
    "unlabelled_dir",
    "input",
    "cache_dir",
)


def is_bundle_command(argv: list[str]) -> bool:
    """Whether the process is `python -m monai.bundle run ...`."""
    return len(argv) > 1 and Path(argv[0]).parent.name == "bundle" and argv[1] in ("run", "run_workflow")


def command_line_overrides(argv: list[str]) -> dict[str, Any]:
    """`--name value`, `--name=value` and the content of `--args_file`, parsed as fire (the parser of monai.bundle) does."""
    overrides: dict[str, Any] = {}
    words = list(argv[2:])
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            continue
        name, equals, text = word[2:].partition("=")
        if not equals:
            text = words.pop(0) if words and not words[0].startswith("--") else "True"
        overrides[name.lstrip("+")] = DefaultParseValue(text)
    if "args_file" in overrides and Path(str(overrides["args_file"])).is_file():
        from_file = ConfigParser.load_config_file(str(overrides["args_file"]))
        overrides = {**from_file, **overrides}
    return overrides


def known_settings(bundle_root: Path, argv: list[str]) -> dict[str, Any]:
    """Top-level names of the config files on the command line, with their defaults; of all the bundle's when none is named."""
    files = [file for file in _config_files(command_line_overrides(argv)) if file.is_file()]
    known: dict[str, Any] = {}
    for file in files or _bundle_configs(bundle_root):
        known.update({k: v for k, v in ConfigParser.load_config_file(str(file)).items() if k not in known})
    return known


def _bundle_configs(bundle_root: Path) -> list[Path]:
    return [file for file in sorted((bundle_root / "configs").glob("*.json")) if file.name != "metadata.json"]


def _refuse_settings_of_others(overrides: Mapping[str, Any], known: Mapping[str, Any], bundle_root: Path) -> None:
    """A setting that another config of the bundle has would do nothing here, and nobody would notice."""
    for name in (_top(name) for name in overrides):
        if name in known or name in RUN_ARGUMENTS:
            continue
        owners = [file.name for file in _bundle_configs(bundle_root) if name in ConfigParser.load_config_file(str(file))]
        if owners:
            raise ConfigError(f"--{name} is a setting of {', '.join(owners)}, and would do nothing in this run; leave it out")


def _config_files(overrides: Mapping[str, Any]) -> list[Path]:
    named = overrides.get("config_file", [])
    return [Path(str(file)) for file in (named if isinstance(named, (list, tuple)) else [named])]


def replaced_settings(files: Sequence[Path]) -> list[str]:
    """Plain settings that two config files give different values: MONAI takes the later one, and says nothing."""
    told: list[str] = []
    seen: dict[str, tuple[Any, Path]] = {}
    for file in files:
        for name, value in ConfigParser.load_config_file(str(file)).items() if file.is_file() else ():
            plain = not isinstance(value, (dict, list)) and not str(value).startswith(("$", "@", "%")) and name[0] != "_"
            if plain and name in seen and seen[name][0] != value:
                told.append(f"{name}: {value} from {file}, not {seen[name][0]} from {seen[name][1]}: the later file counts")
            seen[name] = (value, file)
    return told


def check_overrides(overrides: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse names that no config has, values whose kind differs from the default's, and values that no run can use.

    Raises:
        ConfigError: with the nearest known name, or what to type.
        EnvironmentFault: a device that this machine does not have.
    """
    for name, value in overrides.items():
        top = _top(name)
        if top in RUN_ARGUMENTS:
            continue
        if top not in known:
            raise ConfigError(_unknown(top, known))
        if top == name:
            _check_kind(name, value, known[name])
            check_value(name, value)


def _top(name: str) -> str:
    return name.replace("#", "::").split("::")[0]


def _unknown(name: str, known: Iterable[str]) -> str:
    settings = [k for k in known if not k.startswith("_") and k not in ("imports", "initialize", "run")]
    near = difflib.get_close_matches(name, settings, n=1, cutoff=0.6)
    hint = f"did you mean --{near[0]}?" if near else f"known settings: {', '.join(sorted(settings))}"
    return f"unknown setting --{name}: {hint}"


def _check_kind(name: str, value: Any, default: Any) -> None:
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        return
    if name in PATHS and value is not None and not isinstance(value, str):
        raise ConfigError(f"--{name}: got the {type(value).__name__} {value!r}, expected a path; write ./{value}")
    if name in PATHS and isinstance(value, str) and "#" in value:
        raise ConfigError(f"--{name}: got {value!r}, but MONAI reads # as a separator; rename the folder or link to it")
    # fire leaves true and false as strings, and the string 'false' counts as true.
    lower_case = isinstance(value, str) and value.lower() in ("true", "false")
    if lower_case or (isinstance(default, bool) and not isinstance(value, bool)):
        raise ConfigError(f"--{name}: got {value!r}, expected True or False (with a capital letter)")
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ConfigError(f"--{name}: got {value!r}, expected a number such as {default}")
        if isinstance(default, int) and isinstance(value, float) and not value.is_integer():
            raise ConfigError(f"--{name}: got {value!r}, expected a whole number such as {default}")


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
            own = Stopped("stopped by SIGINT", signal.SIGINT)
        if own is None or show_traceback:
            previous(kind, error, trace)
            return
        logging.shutdown()
        print(f"\n{'' if isinstance(own, Stopped) else 'error: '}{own}", file=stream, flush=True)
        sys.exit(own.exit_code)

    sys.excepthook = hook


def own_error(error: BaseException | None) -> HybridError | None:
    """The first `HybridError` along the chain of causes, or None."""
    while error is not None:
        if isinstance(error, HybridError):
            return error
        error = error.__cause__ or error.__context__
    return None
