"""The lines `python -m monai.bundle run ...` behind the command line and the Python API, and running them."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from data_prep.home import at_home
from data_prep.label_file import NAME as LABEL_FILE
from data_prep.quoting import quoted
from data_prep.this_python import python
from monai_hybrid.allocator import process_environment
from monai_hybrid.bundle_folders import bundle_folder, load_config
from monai_hybrid.catalogue.naming import model_path, said_of
from monai_hybrid.children import run_child
from monai_hybrid.command_options import as_words
from monai_hybrid.errors import ConfigError
from monai_hybrid.next_steps import no_model
from monai_hybrid.results_folder import default_folder
from monai_hybrid.setting_checks import check_path, check_plain_value, check_there, idle_in, model_in, safe_path, top
from monai_hybrid.settings import PATH_KINDS, SETTINGS, SYNTHETIC
from monai_hybrid.tracking import check_tracking, tracked, tracker_environment
from monai_hybrid.typed_options import environment

PRETRAINING, ADAPTATION = "hybrid_pretrain", "few_shot_finetune"
SCORING, SCORING_MASKS = "evaluate.json", ("evaluate.json", "masks.json")  # of few_shot_finetune
OF_MASKS = ("mask_labels", "without_mask")  # settings of `SCORING_MASKS` alone that are no paths
DISTILLING = ("train.json", "distil.json")  # of few_shot_finetune
OF_A_MODEL = ("trust.json", "forgetting.json", "logs/history.jsonl")  # results that no masks have
REPORT, CLOCK = "report.html", 2.0  # s by which clocks of file systems may differ
Named = Mapping[str, tuple[str, str | None]]  # option: (setting, text or None)


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        words: after `python`.
        report_on: folder on which a report is written when all went well; "" for none.
        output: folder of the results, as it was given or chosen; "" for the bundle's own.
        options: settings that the command has under another name: {setting: option}.
    """

    words: list[str]
    report_on: str = ""
    output: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


def bundle_command(
    bundle: str, config: str | Sequence[str], settings: Mapping[str, str], named: Named, report_on: str = ""
) -> Command:
    """The run of a configuration.

    Args:
        bundle, config: which; of several configurations the later ones replace entries of the first.
        settings: further settings, as text.
        named: settings with an option of another name: {option: (setting, text)}; None where it was not given.
        report_on: see `Command`.

    Raises:
        ConfigError, DataError, ModelFileError: a path is empty, holds a #, or is not there.
    """
    check_tracking(settings)
    given = {name: checked(option, name, text) for option, (name, text) in named.items() if text is not None}
    for name, text in settings.items():
        if name in SETTINGS and SETTINGS[name].kind in PATH_KINDS and text != "None":
            check_there(name, text)
    folder = bundle_folder(bundle)
    words = as_words({"bundle_root": str(folder), **given, **settings})
    files = [str(folder / "configs" / name) for name in ([config] if isinstance(config, str) else config)]
    config_file = files[0] if len(files) == 1 else str(files)
    options = {name: option for option, (name, _) in named.items() if option != f"--{name}"}
    output = settings.get("output_dir", given.get("output_dir", ""))
    return Command(["-m", "monai.bundle", "run", "--config_file", config_file, *words], report_on, output, options)


def training_command(bundle: str, settings: Mapping[str, str], named: Named, report: bool) -> Command:
    """The run of a training; without a folder for them, results of real data go to runs/...

    Raises:
        ConfigError: a pretraining from "auto", or an adaptation to drawn shapes.
    """
    given = {**{name: text for name, text in named.values() if text is not None}, **settings}
    if not given.get("output_dir"):
        default = default_folder(str(bundle_folder(bundle)), given.get("dataset_dir") or given.get("unlabelled_dir"))
        named = {**named, "--output": ("output_dir", default)}
        given = {**given, "output_dir": default or ""}
    report_on = safe_path(given["output_dir"]) if report and given["output_dir"] else ""
    if bundle == PRETRAINING and given.get("pretrained") == "auto":
        raise ConfigError("--pretrained auto: only an adaptation takes the nearest model; give a file or a name")
    config = ["train.json"]
    if bundle == ADAPTATION and str(given.get("shots")) == "0":
        config.append("without_labels.json")
    if given.get("dataset_dir") in SYNTHETIC:
        if bundle != PRETRAINING:
            _refuse_shapes(given["dataset_dir"])
        config.append("synthetic.json")
    return bundle_command(bundle, config, settings, named, report_on)


def evaluation_command(settings: Mapping[str, str], named: Named) -> Command:
    """The run that scores a model, or masks that lie in files, and its report.

    Raises:
        ConfigError: neither of both, or both; or a setting of the other one.
    """
    options = {name: option for option, (name, text) in named.items() if text is not None}
    if "model" in options and "masks" in options:
        raise ConfigError("evaluate: --model and --masks were given; expected one of them")
    if not {"model", "masks"} & set(options):
        raise ConfigError(f"{no_model('evaluate')}. To score masks that lie in files: --masks FOLDER")
    of_masks = "masks" in options
    of_the_other = idle_in(load_config(ADAPTATION, SCORING_MASKS)) if of_masks else OF_MASKS
    if wrong := next((name for name in (*options, *settings) if top(name) in of_the_other), None):
        option = options.get(wrong, SETTINGS[top(wrong)].option)
        raise ConfigError(f"{option}: goes with --{'model' if of_masks else 'masks'} alone; leave it out")
    output = settings.get("output_dir") or next((text for name, text in named.values() if name == "output_dir"), None)
    if not output:
        raise ConfigError("--output: the path is empty; give a folder for the scores")
    if not of_masks:
        return bundle_command(ADAPTATION, SCORING, settings, named, safe_path(reported(output)))
    texts = {name: text or "" for name, text in named.values()}
    _check_names(texts["mask_labels"])
    _refuse_shared(texts["masks"], output)
    return bundle_command(ADAPTATION, SCORING_MASKS, settings, named, safe_path(str(at_home(output))))


def _refuse_shared(masks: str, output: str) -> None:
    """Refuse a folder in which scores of masks would stand among results of something else, as if they were of them.

    Raises:
        ConfigError: it holds the masks, or results of a model.
    """
    folder = at_home(output)
    seen = next((name for name in OF_A_MODEL if (folder / name).is_file()), None)
    if masks and folder.is_dir() and at_home(masks).is_dir() and folder.samefile(at_home(masks)):
        seen = "the masks"
    if seen:
        raise ConfigError(f"--output {quoted(output)}: this folder holds {seen}; expected another one for the scores of masks")


def _check_names(text: str) -> None:
    """Refuse names of values of another form, before anything is started.

    Raises:
        ConfigError: with an example.
    """
    from data_prep.label_names import parse_option, without_others  # here, because it brings numpy

    option = SETTINGS["mask_labels"].option
    if names := without_others(text)[0]:
        parse_option(names, option)
    if "#" in text:
        raise ConfigError(
            f"{option}: MONAI reads # as a separator; expected names without it, or a {LABEL_FILE} beside the masks"
        )


def distil_command(settings: Mapping[str, str], named: Named) -> Command:
    """The run that trains a student, and its report."""
    given = {name: text for name, text in named.values() if text is not None}
    _refuse_shapes(given.get("dataset_dir"))
    report_on = safe_path(settings.get("output_dir", given.get("output_dir", "")))
    return bundle_command(ADAPTATION, DISTILLING, settings, named, report_on)


def _refuse_shapes(data: str | None) -> None:
    if data in SYNTHETIC:
        raise ConfigError(f"--data {data}: random shapes are for pretraining alone. Give a data set of your own")


def checked(option: str, name: str, text: str) -> str:
    """A path of an option, as monai.bundle takes it; for the folder of a run its model, where a model file is wanted, and for
    the name of a model of the package its file. What is no path is checked as its kind wants it.

    Raises:
        ConfigError, DataError, ModelFileError: it is empty, holds a #, or is not there; or it is no value of its kind.
    """
    if SETTINGS[name].kind not in PATH_KINDS:
        check_plain_value(name, text)
        return text
    words = SETTINGS[name].words
    if SETTINGS[name].kind in ("file", "model") and text not in words:
        text = named_model(text)
    if SETTINGS[name].kind == "file" and text and (inside := model_in(at_home(text))):
        text = str(inside)
    path = text if text in words or "#" in text else safe_path(text)
    check_path(name, path, path, option)
    check_there(name, text, option)
    return path


def named_model(text: str) -> str:
    """The file of a model of the package, where its name is given, and a line that says so; another text as it is.

    Raises:
        ModelFileError: the file is damaged.
    """
    if said := said_of(text):
        typer.echo(said, err=True)
    return model_path(text)


def reported(evaluation: str) -> str:
    """The run that an evaluation belongs to: the folder around `eval/` where that holds a training, else its own."""
    folder = at_home(evaluation)
    return str(folder.parent if (folder.parent / "logs/history.jsonl").is_file() else folder)


def execute(command: Command) -> int:
    """Print each line and run it; the exit code of the first that failed, 0 when all went well."""
    since = time.time()
    with tracked(command.words) as words:
        code = _run(words, {**tracker_environment(words, os.environ), **environment(command.options)})
    if code == 0 and command.report_on and _has_news(Path(command.report_on), since):
        code = _run(["-m", "monai_hybrid.reporting", command.report_on])
    return code


def _has_news(folder: Path, since: float) -> bool:
    """Whether a command wrote anything that its report could show, or there is none: a finished run is left as it is."""
    files = (path for path in folder.rglob("[!.]*") if path.is_file() and path.name != REPORT)
    return not (folder / REPORT).is_file() or any(path.stat().st_mtime >= since - CLOCK for path in files)


def _run(words: list[str], more: Mapping[str, str] | None = None) -> int:
    typer.secho(f"{python()} {shlex.join(words)}", dim=True, err=True)
    return run_child([sys.executable, *words], {**os.environ, **process_environment(), **(more or {})})
