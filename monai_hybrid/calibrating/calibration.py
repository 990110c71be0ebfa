"""From a model and labelled cases that it was not trained on to the "quality" of its card; no weight changes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from data_prep.amounts import few, plural
from data_prep.free_names import free
from data_prep.quoting import quoted
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.bundle.held_out import held_out_parts
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.folder import names
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.look_first import labelled_patients, learned_patients, not_prepared, refuse_learned, too_few
from monai_hybrid.model_card import check_complete, parse_card, read_card
from monai_hybrid.quality.entry import make_entry
from monai_hybrid.quality.folds import read_folds
from monai_hybrid.quality.held_out import COPIES, HeldOut, Measured
from monai_hybrid.quality_schema import FEWEST_PATIENTS
from monai_hybrid.weights import dumped_card, load_weights, write_safetensors

SPLITS = ("validation", "training")
FOLDS = "training, each patient by a network that never saw it"
logger = logging.getLogger("monai_hybrid.calibrate")


@dataclass(frozen=True)
class Calibration:
    """What was fitted: the file with the card, its "quality", structures without a prediction, and cases left out with why."""

    file: Path
    entry: Mapping[str, Any]
    without: list[str]
    failed: Mapping[str, str]


def calibrate(
    data: Path, model: str, split: str = "validation", copies: int = COPIES, output: Path | None = None, device: Any = "cpu"
) -> Calibration:
    """Fit predicted Dice and temperature on the labelled cases of one split, and write them into the model's card.

    Args:
        data: prepared data set.
        model: a file; of the package's models, by name, only with `output`.
        split: "validation"; "training" where the model never saw the data.
        copies: worse copies a case, 0 or more.
        output: a .safetensors file with the same weights; None: the card of `model` is replaced.
        device: of the network.

    Raises:
        ConfigError: the test cases, or a model of the package without `output`.
        DataError: too few labelled patients, or none whose masks can be measured.
        ModelFileError: no such model, or none with a card.
    """
    target = _target(model, split, output)
    source = Path(model_path(model)).with_suffix(".safetensors")
    card = read_card(source)
    if card is None:
        raise ModelFileError(f"{model}: no card beside the weights, expected models/model.safetensors of a training run")
    check_complete(model, card)
    if not (data / "datalist.json").is_file():
        raise not_prepared(data)
    prepared = read_prepared(data)
    own = split == "validation" and card["training"].get("stopping") != "budget"  # folds in its place may be of a run before
    cases, folds = _cases(prepared, split, source, source if own else None, model)
    config = bundle_folder("few_shot_finetune") / "configs/inference.json"
    parts = held_out_parts(config, str(source), prepared.dataset, device)
    found = _by_folds(parts, cases, folds, copies) if folds else parts.measure(cases, copies)
    if not found.rows:
        why = next(iter(found.failed.values()), "the masks are empty")
        raise DataError(f"{data}: no mask of {len(cases)} cases could be measured; the first: {why}")
    split = FOLDS if folds else split
    entry = make_entry(found, {"data": str(prepared.dataset.get("name") or ""), "split": split})
    _write(source, target, {**card, "quality": entry})
    structures = [str(label["name"]) for label in card["labels"]][1:]
    return Calibration(target, entry, [name for name in structures if name not in entry["dice"]], found.failed)


def _cases(
    prepared: PreparedData, split: str, file: Path, source: Path | None, model: str
) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    """The held-out cases; and of a run that kept its folds, where the split has too few, the weights for each patient.

    Args:
        prepared: the data set.
        split: of the cases; training ones that the model has learned are left out.
        file: the model's, whose card says what it learned.
        source: the same file where its run's folds may stand in; None: they may not.
        model: as it was called.

    Raises:
        DataError: too few labelled patients, and no folds.
    """
    cases = [case for case in prepared.labelled(split) if "label" in case]
    if split == "training" and (learned := learned_patients(prepared.folder, str(file))):
        refuse_learned(prepared.folder, labelled_patients(cases), learned, model)
        cases = [case for case in cases if not labelled_patients([case]) & learned]
        logger.warning("left out: %s that the model was trained on: %s", plural(len(learned), "patient"), few(sorted(learned)))
    patients = len(labelled_patients(cases))
    if patients >= FEWEST_PATIENTS:
        return cases, {}
    folds = read_folds(source) if source is not None else {}
    of_folds = [case for case in prepared.labelled("training") if case["patient"] in folds]
    if len({case["patient"] for case in of_folds}) < FEWEST_PATIENTS:
        raise too_few(prepared.folder, split, patients, model)
    logger.warning(
        "the split %s has %d labelled patient%s: each training patient is measured by the network that was trained without it",
        *(split, patients, "s" * (patients != 1)),
    )
    return of_folds, folds


def _by_folds(parts: HeldOut, cases: Sequence[Mapping[str, Any]], folds: Mapping[str, Path], copies: int) -> Measured:
    """The cases of each patient, by the network that never saw it."""
    found = Measured()
    for number, (patient, file) in enumerate(folds.items()):
        weights = load_weights(file)
        try:
            parts.network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelFileError(f"{file}: holds other weights than the model's; adapt again") from error
        found.add(parts.measure([case for case in cases if case["patient"] == patient], copies, first=number))
    return found


def _target(model: str, split: str, output: Path | None) -> Path:
    """Where the card goes."""
    if split not in SPLITS:
        told = " (test cases would no longer test)" if split == "testing" else ""
        raise ConfigError(f"--split {split}: expected {' or '.join(SPLITS)}{told}")
    if output is None:
        if model in names():
            copy = free(f"{model}.safetensors")
            raise ConfigError(f"--model {model}: comes with the package and stays as it is. Add --output {copy}")
        return Path(model).with_suffix(".safetensors")
    if output.suffix != ".safetensors":
        raise ConfigError(f"--output {output}: expected a file that ends in .safetensors")
    if output.exists():
        raise ConfigError(f"--output {output}: is there already. Type: --output {quoted(free(output))}")
    return output


def _write(source: Path, target: Path, card: Mapping[str, Any]) -> None:
    """The weights of `source`, bit for bit, with another card."""
    parse_card(target, dumped_card(card))  # what no reader would take is never written
    target.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(load_file(source), target, card)
