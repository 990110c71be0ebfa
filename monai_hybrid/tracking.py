"""MONAI's `--tracking`: what it takes and needs, checked before a run begins. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from data_prep.errors import ConfigError, EnvironmentFault
from data_prep.this_python import install

MLFLOW = "mlflow"
# What MONAI puts into a configuration for a tracker, unless it is given.
TRACKING_SETTINGS = frozenset({"tracking_uri", "experiment_name", "run_name", "save_execute_config"})
TELEMETRY = "MLFLOW_DISABLE_TELEMETRY"  # MLflow tells its makers that it is used; a hospital's machine tells nobody unasked


def check_tracking(given: Mapping[str, Any]) -> None:
    """Refuse what MONAI would end in a traceback.

    Args:
        given: settings of the command line.

    Raises:
        ConfigError: a tracker that MONAI does not know, a file that is not there, or a tracker's setting without `--tracking`.
        EnvironmentFault: MLflow is not installed.
    """
    tracker = given.get("tracking")
    if tracker is None or isinstance(tracker, dict):
        alone = sorted(TRACKING_SETTINGS & given.keys()) if tracker is None else []
        if alone:
            raise ConfigError(f"--{alone[0]}: does nothing without a tracker; add --tracking {MLFLOW}")
        return
    if tracker != MLFLOW and not Path(str(tracker)).is_file():
        raise ConfigError(f"--tracking: got {tracker!r}, expected {MLFLOW} or a file of MONAI's tracking settings")
    if find_spec(MLFLOW) is None:
        raise EnvironmentFault(f"--tracking: {MLFLOW} is not installed. Type: {install('tracking')}")


def tracker_environment(words: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a run that is tracked."""
    return {TELEMETRY: "true"} if "--tracking" in words and TELEMETRY not in environment else {}


@contextmanager
def tracked(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of a run; one that is tracked has a place for the configuration that MONAI hands to the tracker.

    MONAI writes that file before any of our code runs, so a refused run would leave it. With a plain `--output_dir` it then
    looks for the file under another name and hands over nothing. The tracker has a copy when the run is over.
    """
    if "--tracking" not in words or "--save_execute_config" in words:
        yield list(words)
        return
    with TemporaryDirectory(prefix="monai_hybrid_") as folder:
        yield [*words, "--save_execute_config", str(Path(folder) / "config.json")]


def with_tracking(settings: Mapping[str, str], tracking: str | None) -> dict[str, str]:
    """A command's settings with the value of its option `--tracking`."""
    return {**settings, **({} if tracking is None else {"tracking": tracking})}
