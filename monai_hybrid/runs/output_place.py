"""Whether a run may write into its output folder, asked before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.dead_links import refuse_dead_link
from data_prep.free_names import free
from data_prep.home import at_home
from data_prep.places import refuse_among
from data_prep.quoting import quoted
from data_prep.result_files import TRAIN, refuse_others, written_by
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.setting_checks import model_in
from monai_hybrid.settings import SETTINGS

SOURCES = ("dataset_dir", "input", "unlabelled_dir", "source_dir")
MODELS = ("pretrained", "plan_from")
FOLDERS = ("data", "logs", "models", "checkpoints", "slices", "volumes")  # in an output folder


def refuse_place(output: Path, configs: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse an output folder among the images of the run, on the model that it starts from, or on what is not the run's.

    Args:
        output: the folder, there or not.
        configs: names of the configurations that run.
        given: settings of the command line.

    Raises:
        ConfigError: with what to type.
        DataError: a record of the run that is to go on is damaged.
    """
    for name in SOURCES:
        source = given.get(name)
        if isinstance(source, str) and source and source not in SETTINGS[name].words:
            refuse_among(output, Path(source), "--output_dir")
    if TRAIN in configs and given.get("resume") is not True:
        for name in MODELS:
            _refuse_model(output, name, given.get(name))
    _refuse_no_folders(output)
    if TRAIN in configs and given.get("resume") is True and any((output / "checkpoints").glob("update_*.pt")):
        _refuse_damaged(output)
    refuse_others(output, *configs)


def _refuse_no_folders(output: Path) -> None:
    """What a run makes folders of must not be files, nor links to a disk that has gone."""
    for inside in (output / name for name in FOLDERS):
        refuse_dead_link(inside, "--output_dir")
        if inside.exists() and not inside.is_dir():
            raise ConfigError(
                f"--output_dir {output}: {inside} is a file, and the run makes a folder of that name. "
                f"Type: mv {quoted(inside)} {quoted(f'{inside}.kept')}"
            )


def _refuse_damaged(output: Path) -> None:
    """Where a run lies, a file under the name of its record is its own, and no other program's."""
    for path, ours in written_by(output, TRAIN):
        if path.is_file() and not ours(path):
            raise DataError(
                f"{path}: is damaged: expected what this run wrote there. The run goes on without it. "
                f"Type: mv {quoted(path)} {quoted(f'{path}.kept')}, and the same command again"
            )


def _refuse_model(output: Path, name: str, model: Any) -> None:
    if not isinstance(model, str) or not model or model in SETTINGS[name].words:
        return
    path = at_home(model)
    file = (model_in(path) if path.is_dir() else path) or path
    if file.resolve().parent == (output / "models").resolve() and file.stem == "model":
        raise ConfigError(
            f"--output_dir {output}: the run would replace the model that it starts from, {file}. "
            f"Type: --output_dir {quoted(free(output.with_name(output.name + '_adapted')))}"
        )
