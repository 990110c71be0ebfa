"""What the command line does, for Python: `import monai_hybrid as mh; mh.adapt("target", model="runs/source")`.

Data sets are checked and described in this process. Trainings, predictions and evaluations run in a process of their own, as
the command line starts them, so a program keeps its memory and its logging. Settings are those of `monai-hybrid COMMAND
--help`, with underscores: `mh.pretrain("prepared", max_epochs=20)`. Wrong names and values are refused before anything runs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.build import BuildReport, build
from data_prep.cells import restored_row
from data_prep.check import check
from data_prep.errors import ConfigError, DataError, EnvironmentFault, HybridError, ModelFileError
from data_prep.home import at_home
from data_prep.quoting import quoted
from data_prep.repair import repair
from data_prep.shift import shift
from monai_hybrid.bundle_folders import bundle_folder, load_config
from monai_hybrid.catalogue.folder import any_universal
from monai_hybrid.command_options import check_names, check_values
from monai_hybrid.commands import (
    DISTILLING,
    SCORING,
    Command,
    Named,
    bundle_command,
    checked,
    distil_command,
    evaluation_command,
    execute,
    training_command,
)
from monai_hybrid.setting_checks import model_in, which_model

if TYPE_CHECKING:
    from monai_hybrid.evaluation.comparison import Difference
    from monai_hybrid.networks import HybridDiffusionUNet

__all__ = [
    "BuildReport", "adapt", "build", "calibrate", "check", "compare", "distil", "evaluate", "export", "load_model", "models",
    "predict", "pretrain", "rank_models", "repair", "report", "sample", "shift", "suggest",
]  # fmt: skip
PathLike = str | Path
ERRORS: dict[int, type[HybridError]] = {2: ConfigError, 3: DataError, 4: ModelFileError, 5: EnvironmentFault}


def pretrain(
    data: PathLike | None = None, output: PathLike | None = None, unlabelled_dir: PathLike | None = None, **settings: Any
) -> Path:
    """Pretrain on a labelled source domain; without data, on the built-in phantom.

    Args:
        data: prepared or raw folder.
        output: folder for the results; None: runs/...
        unlabelled_dir: images without labels that join the denoising term.
        settings: of the bundle `hybrid_pretrain`.

    Returns:
        The folder of the results; the model is `models/model.safetensors` in it.

    Raises:
        HybridError: one of `data_prep.errors`, with the exit code of the command line.
    """
    named = _named(data=("dataset_dir", data), output=("output_dir", output), unlabelled_dir=("unlabelled_dir", unlabelled_dir))
    return _trained("hybrid_pretrain", settings, named, report=False)


def adapt(
    data: PathLike | None = None,
    model: PathLike | None = None,
    output: PathLike | None = None,
    shots: int = 3,
    unlabelled_dir: PathLike | None = None,
    **settings: Any,
) -> Path:
    """Fine-tune a pretrained model on a few labelled patients of a target domain, and write `report.html`.

    Args:
        data: prepared or raw folder.
        model: model file, the folder of its run, or the name of a model of the package; "auto" takes the nearest of these,
            "scratch" starts from nothing; None takes the universal one.
        output: folder for the results; None: runs/...
        shots: labelled patients to use; 0: scans without labels alone, with a safety stop.
        unlabelled_dir: images without labels.
        settings: of the bundle `few_shot_finetune`.

    Returns:
        The folder of the results; the model is `models/model.safetensors` in it.

    Raises:
        HybridError: as `pretrain`.
    """
    if data is not None and model is None and not any_universal():
        raise ConfigError(which_model("data", str(data), "model"))
    named = _named(
        data=("dataset_dir", data),
        model=("pretrained", model),
        output=("output_dir", output),
        unlabelled_dir=("unlabelled_dir", unlabelled_dir),
    )
    return _trained("few_shot_finetune", {"shots": shots, **settings}, named, report=True)


def distil(data: PathLike, model: PathLike, output: PathLike, unlabelled_dir: PathLike | None = None, **settings: Any) -> Path:
    """Train a small, fast segmenter from a model's probabilities, and write `report.html`.

    Args:
        data: prepared or raw folder, of the model's labels and channels.
        model: the teacher: a model file, the folder of its run, or the name of a model of the package.
        output: folder for the results.
        unlabelled_dir: images without labels, to learn from as well.
        settings: of the bundle's `distil.json`.

    Returns:
        The folder of the results; the student is `models/model.safetensors` in it.

    Raises:
        HybridError: as `pretrain`.
    """
    named = _named(
        data=("dataset_dir", data),
        model=("teacher", model),
        output=("output_dir", output),
        unlabelled_dir=("unlabelled_dir", unlabelled_dir),
    )
    _run(distil_command(_texts("few_shot_finetune", DISTILLING, settings), named))
    return at_home(output)


def predict(images: PathLike, model: PathLike, output: PathLike, **settings: Any) -> list[dict[str, str]]:
    """Segment images; each mask lies on its image's own grid.

    Returns:
        The rows of `quality.csv`: case, mask, volumes, and why to look at it.

    Raises:
        HybridError: as `pretrain`; DataError also when some images failed, while the others have their masks.
    """
    named = _named(images=("input", images), model=("model", model), output=("output_dir", output))
    _run(bundle_command("few_shot_finetune", "inference.json", _texts("few_shot_finetune", "inference.json", settings), named))
    with (at_home(output) / "quality.csv").open(newline="", encoding="utf-8") as file:
        return [restored_row(row) for row in csv.DictReader(file)]


def evaluate(
    data: PathLike,
    model: PathLike | None,
    output: PathLike,
    source: PathLike | None = None,
    before: PathLike | None = None,
    masks: PathLike | None = None,
    mask_labels: str | None = None,
    without_mask: str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Score a model, or masks of any program, on the test cases, and write `report.html`.

    Args:
        data: prepared or raw folder.
        model: model file; None with `masks`.
        output: folder for the scores.
        source: prepared source data set, for forgetting and shift.
        before: model before the adaptation.
        masks: folder of masks to score in the place of a model, a file a case.
        mask_labels: what their values mean, "1=LV,2=RV"; None: what lies beside them says, or they are the data set's own.
        without_mask: "refuse" cases that have none, or "leave_out".
        settings: of the bundle's `evaluate.json`.

    Returns:
        `summary.json`: Dice, NSD and HD95 by structure, with intervals over patients.

    Raises:
        HybridError: as `pretrain`.
    """
    named = _named(
        data=("dataset_dir", data),
        model=("model", model),
        output=("output_dir", output),
        source=("source_dir", source),
        before=("pretrained", before),
        masks=("masks", masks),
        mask_labels=("mask_labels", mask_labels),
        without_mask=("without_mask", without_mask),
    )
    _run(evaluation_command(_texts("few_shot_finetune", SCORING, settings), named))
    summary: dict[str, Any] = json.loads((at_home(output) / "summary.json").read_text(encoding="utf-8"))
    return summary


def sample(model: PathLike, output: PathLike, **settings: Any) -> Path:
    """Draw image-mask pairs from a model; returns the folder that holds them and `contact_sheet.png`."""
    named = _named(model=("model", model), output=("output_dir", output))
    _run(bundle_command("hybrid_pretrain", "sample.json", _texts("hybrid_pretrain", "sample.json", settings), named))
    return at_home(output)


def export(model: PathLike, output: PathLike, format: str | None = None, overwrite: bool = False) -> Path:
    """Write the segmenter for programs without MONAI.

    Args:
        model: model file.
        output: file to write: .ts or .onnx.
        format: "torchscript" or "onnx"; None: by the ending.
        overwrite: replace files that are there.

    Returns:
        The file; `<output>.json` beside it says how its input is made and its output is read.

    Raises:
        HybridError: as `pretrain`.
    """
    words = ["--model", checked("model", "model", str(model)), "--output", str(output)]
    words += [] if format is None else ["--format", format]
    _run(Command(["-m", "monai_hybrid.exporting", *words, *(["--overwrite"] if overwrite else [])]))
    return at_home(output)


def compare(a: PathLike, b: PathLike, **settings: int) -> list[Difference]:
    """Differences b - a of two evaluations of the same cases, with intervals and tests over patients."""
    from monai_hybrid.evaluation.comparison import compare as differences

    return differences(at_home(a), at_home(b), **settings)


def report(
    folder: PathLike, compare: Mapping[str, PathLike] | None = None, title: str = "", images: PathLike | None = None,
    suggestions: PathLike | None = None,
) -> Path:  # fmt: skip
    """Write `report.html` on a run, against other evaluations {name: folder}; returns the page.

    `images` is the folder of a prediction's images, where they were moved or the prediction is not your own.
    `suggestions` is what `suggest` wrote: the scans to label next.
    """
    from monai_hybrid.reporting.report import write_report

    return write_report(
        at_home(folder),
        [f"{name}={other}" for name, other in (compare or {}).items()],
        title=title,
        images=None if images is None else Path(images),
        suggestions=None if suggestions is None else at_home(suggestions),
    )


def models() -> list[dict[str, Any]]:
    """The models that come with the package: {"name", "structures", "modality", "dimensions", "spacing", "licence", ...};
    {"name", "error"} of one that is damaged."""
    from monai_hybrid.catalogue.entry import rows

    return rows()


def rank_models(target: PathLike, model: PathLike = "auto") -> list[dict[str, Any]]:
    """Which model lies nearest to scans, the nearest first; no label is read.

    Args:
        target: prepared data set, image or folder of images.
        model: file, folder of a run or name; "auto": all models of the package of the target's dimensions.

    Returns:
        {"model", "resembles", "score", "distance", "parts", "denoising_error", "findings", ...} a model.

    Raises:
        HybridError: as `pretrain`.
    """
    from monai_hybrid.nearest.ranking import as_plain, rank

    return as_plain(rank(at_home(target), str(model)))


def suggest(
    data: PathLike,
    model: PathLike,
    output: PathLike | None = None,
    number: int = 3,
    order: str = "random",
    seed: int = 0,
    accept: str | None = None,
) -> list[dict[str, Any]]:
    """Choose the scans to label next, from what a model sees in them; no label is read.

    Args:
        data: folder of images, or a prepared data set with unlabelled cases.
        model: model file, the folder of its run, or the name of a model of the package.
        output: folder for `suggestion.csv` and `suggestion.json`; None: nothing is written.
        number: how many scans to choose.
        order: "random", "typical", "spread", "error", "entropy" or "dice".
        seed: of the order "random".
        accept: judgements of the checks that you overrule, "D103,D107".

    Returns:
        The rows of `suggestion.csv`, the chosen ones first: {"label_next", "case_id", "entropy_foreground",
        "denoising_error", "predicted_dice", "image"}; "label_next" counts from 1, and is "" of the others.

    Raises:
        HybridError: as `pretrain`.
    """
    from monai_hybrid.suggesting.suggestion import suggest_into

    place = None if output is None else at_home(output)
    return list(suggest_into(at_home(data), str(model), number, order, seed, place, accept).rows())


def calibrate(
    data: PathLike, model: PathLike, output: PathLike | None = None, split: str = "validation", copies: int = 4
) -> dict[str, Any]:
    """Teach a model to predict the Dice of its masks, and calibrate its probabilities, on cases it was not trained on.

    No weight changes: the model's card gets an entry "quality", which `predict` and `evaluate` use.

    Args:
        data: prepared data set with labels.
        model: model file, the folder of its run, or the name of a model of the package.
        output: .safetensors file for a copy with the new card; None: the model's own card is replaced.
        split: "validation"; "training" where the model never saw the data.
        copies: worse copies a case, 0 or more.

    Returns:
        The card's "quality".

    Raises:
        HybridError: as `pretrain`; `DataError` for too few labelled patients.
    """
    from monai_hybrid.calibrating import calibrate as fit

    place = None if output is None else at_home(output)
    return dict(fit(at_home(data), str(model_in(at_home(str(model))) or model), split, copies, place).entry)


def load_model(path: PathLike) -> HybridDiffusionUNet:
    """The network of a model file, on the CPU and ready to predict; `network.card` says what it was trained on.

    Args:
        path: model.pt or model.safetensors, the folder of its run, or the name of a model of the package.

    Returns:
        HybridDiffusionUNet in evaluation mode. `network(x)` takes (B, C, X, Y[, Z]) float32 on the card's spacing, scaled as
        the card says, and gives logits (B, K, X, Y[, Z]).

    Raises:
        ModelFileError: no such file, no card, or weights of another network.
    """
    from monai_hybrid.bundle.model import find_card, network_of
    from monai_hybrid.catalogue.naming import model_file
    from monai_hybrid.weights import with_pretrained

    file = model_file(str(path))
    if not Path(file).is_file():
        raise ModelFileError(f"{path}: no such model file. Type: ls {quoted(Path(path).parent)}")
    card = find_card(str(file))
    network = network_of(card)
    with_pretrained(network, file)
    network.card = card
    return network.eval()


def _named(**options: tuple[str, PathLike | None]) -> Named:
    return {option: (name, None if path is None else str(path)) for option, (name, path) in options.items()}


def _texts(bundle: str, config: str | Sequence[str], settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, checked as the command line does.

    Raises:
        ConfigError: a name that the configuration does not have, or a value that no run can use.
    """
    texts = {name: str(value) for name, value in settings.items()}
    content = load_config(bundle, config)
    check_names(texts, content)
    check_values(texts, content)
    return texts


def _trained(bundle: str, settings: Mapping[str, Any], named: Named, report: bool) -> Path:
    command = training_command(bundle, _texts(bundle, "train.json", settings), named, report)
    _run(command)
    return at_home(command.output) if command.output else bundle_folder(bundle)


def _run(command: Command) -> None:
    code = execute(command)
    if code:
        kind = ERRORS.get(code, HybridError)
        raise kind(f"the run ended with exit code {code}; what it says stands above, on stderr")
