"""What was run, on what, and when: `run.json` beside the results of a bundle run, so that a result can be made again."""

from __future__ import annotations

import atexit
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser

from data_prep.errors import EnvironmentFault, HybridError
from data_prep.home import at_home
from data_prep.json_io import dump_json, load_json
from data_prep.quoting import printable
from data_prep.result_files import is_ours
from monai_hybrid import __version__
from monai_hybrid.runs.command_line import config_files
from monai_hybrid.runs.output_place import refuse_place
from monai_hybrid.screen import NAME as LOG

FORMAT_VERSION = 1
NAME = "run.json"
DATA, MODELS = ("dataset_dir", "unlabelled_dir"), ("pretrained", "teacher")  # settings that tell one run from another
LONGEST = 200  # characters of a setting in a message
PACKAGES = ("torch", "monai", "pytorch-ignite", "numpy", "nibabel")


_notes: dict[str, Any] = {}


def note(name: str, value: Any) -> None:
    """Keep a decision of this process for its `run.json`: what was chosen, and why."""
    _notes[name] = value


class RunRecord:
    """One bundle run. Written when the process ends, and only if the run has written results: a refused one leaves nothing.

    Args:
        argv: the command line of `python -m monai.bundle run`.
        overrides: its settings, parsed.
        bundle_root: the bundle's folder.
    """

    def __init__(self, argv: Sequence[str], overrides: Mapping[str, Any], bundle_root: str) -> None:
        self.argv, self.overrides = list(argv), dict(overrides)
        self.began, self.began_at = _now(), time.monotonic()
        self.revision = revision()  # of the code that runs, whatever is checked out before it ends
        self.failed = False
        self.configs = config_files(self.overrides)
        self.overrides.pop("config_file", None)
        parser = ConfigParser()
        parser.read_config(self.configs)
        parser.update(
            {"bundle_root": bundle_root, **{k: v for k, v in self.overrides.items() if "#" not in k and "::" not in k}}
        )
        settings = {name: parser.get_parsed_content(name) if name in parser else None for name in ("output_dir", "seed")}
        training = any("train" in Path(config).name for config in self.configs)
        self.seed = settings["seed"]
        self.output = at_home(str(settings["output_dir"] or "."))
        self.folder = self.output / ("logs" if training else "")
        self.before = _files(self.folder)

    def at_exit(self) -> None:
        """Write when the process ends; a failure is told by the exception hook."""
        previous = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            self.failed = True
            previous(kind, error, trace)

        sys.excepthook = hook
        atexit.register(self.write)

    def write(self) -> None:
        """Write `run.json`, if this run has changed a file of the folder; a full disk or memory is said, not raised."""
        if not _files(self.folder) - self.before:
            return
        try:
            dump_json(self.content(), self.folder / NAME)
        except EnvironmentFault as error:
            print(f"warning: {error}", file=sys.stderr)
        except MemoryError:
            print(f"warning: {self.folder / NAME} is not written: not enough memory", file=sys.stderr)

    def content(self) -> dict[str, Any]:
        """Command, settings given (as text), decisions, seed, outcome, times (UTC), versions, machine (never its name)."""
        return {
            "format_version": FORMAT_VERSION,
            "command": "python -m monai.bundle " + shlex.join(self.argv[1:]),
            "config": self.configs,
            "settings": {name: str(value) for name, value in self.overrides.items()},
            "chosen": dict(_notes),
            "seed": self.seed if isinstance(self.seed, int) else None,
            "outcome": "failed" if self.failed else "finished",
            "began": self.began,
            "ended": _now(),
            "seconds": round(time.monotonic() - self.began_at, 1),
            "versions": versions(),
            "revision": self.revision,
            "machine": machine(),
        }


def record_run(argv: Sequence[str], overrides: Mapping[str, Any], bundle_root: str) -> None:
    """Have `run.json` written when this process ends; by the first process of a run on several GPUs only.

    Raises:
        ConfigError: this run may not write into its output folder; see `refuse_place`.
    """
    if os.environ.get("RANK", "0") == "0":
        record = RunRecord(argv, overrides, bundle_root)
        refuse_place(record.output, [Path(config).name for config in record.configs], record.overrides)
        record.at_exit()


def story_of(folder: Path) -> str:
    """Of which data and model the run is whose `run.json` lies in a folder: " of DATA from MODEL"; "" where nothing says it."""
    settings = settings_of(folder / NAME)
    said = {name: printable(str(settings.get(name) or "")[:LONGEST]) for name in (*DATA, *MODELS)}
    data, model = (next((said[name] for name in names if said[name] not in ("", "None")), "") for names in (DATA, MODELS))
    return (f" of {data}" if data else "") + (f" from {model}" if model else "")


def settings_of(file: Path) -> Mapping[str, Any]:
    """Those that a `run.json` of ours names; {} of another file."""
    if not file.is_file() or not is_ours(file):
        return {}
    with suppress(HybridError):
        settings = load_json(file).get("settings")
        return settings if isinstance(settings, dict) else {}
    return {}


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what the numbers depend on."""
    found = {"python": platform.python_version(), "monai_hybrid": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str | None:
    """Git revision of the package ("-dirty" when files differ from it); None for an installed package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """Processor, its cores, the GPU and the system."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {"cpu": cpu_name(), "cores": os.cpu_count(), "gpu": gpu, "system": f"{platform.system()} {platform.machine()}"}


def cpu_name(info: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's own name on Linux; elsewhere what Python knows."""
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _files(folder: Path) -> set[tuple[str, int, int]]:
    """Name, size and time of all in a folder; compared with themselves later, never with the clock, which may be set back.

    Links count as themselves: they may lead nowhere.
    """
    found = [(file.name, file.lstat()) for file in folder.iterdir() if file.name != LOG] if folder.is_dir() else []
    return {(name, facts.st_size, facts.st_mtime_ns) for name, facts in found}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
