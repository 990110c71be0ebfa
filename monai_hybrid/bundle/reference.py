"""What is usual for a model, written into its card: volumes of its training labels, and how sure it is on a few cases."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser

from data_prep.amounts import plural
from data_prep.colour import parse_colour
from data_prep.evenly import spread
from data_prep.fingerprint import UNITS
from data_prep.shift.images import image_summary
from monai_hybrid.bundle.held_out import held_out_parts
from monai_hybrid.errors import ModelFileError
from monai_hybrid.networks.transfer.names import unified
from monai_hybrid.quality.entry import make_entry
from monai_hybrid.quality_schema import FEWEST_PATIENTS
from monai_hybrid.shape_models import is_of_shapes
from monai_hybrid.weights import load_weights, read_card

MOST_CASES = 3
ENOUGH = 10  # labels of the target, from which on those of the model that was adapted do not count
SHARE_OF_TRAINING, AT_LEAST = 0.1, 60.0  # seconds that scoring may begin another case in
logger = logging.getLogger("monai_hybrid.reference")


class CardReference:
    """The "reference" of a model's card, which a prediction compares each case with (`prediction/flags.py`).

    Args:
        dataset: the content of `dataset.json`.
        training: the cases trained on; those without "label" have no volume.
        held_out: labelled cases that were not trained on; [] where there are none.
        bundle_root: its `inference.json` is the path of the prediction; without it there are no scores.
        device: of the training.
        pretrained: the model file that was adapted, whose own reference still counts; None: none.
    """

    def __init__(
        self,
        dataset: Mapping[str, Any],
        training: Sequence[Mapping[str, Any]],
        held_out: Sequence[Mapping[str, Any]],
        bundle_root: str,
        device: Any,
        pretrained: str | None = None,
    ) -> None:
        self.training, self.held_out, self.device, self.dataset = training, held_out, device, dataset
        self.config, self.began = Path(bundle_root) / "configs/inference.json", time.monotonic()
        before, of_these_data = _volumes_before(pretrained, str(dataset.get("name") or ""))
        self.volumes = joined(label_volumes(dataset, training), before, of_these_data)

    def content(self, model: Path | None = None) -> dict[str, Any]:
        """{"volumes"}, and with a finished `model` file also {"scores", "images"}; what fails is left out and said."""
        content: dict[str, Any] = {"volumes": self.volumes}
        if model is None or not self.config.is_file():
            return content
        for name, measure in (("scores", self.scores), ("images", self.images)):
            try:
                content[name] = measure(model)
            except Exception as error:  # the model is saved; nothing may be lost for a number beside it
                logger.warning("no reference %s on the card: %s", name, " ".join(str(error).split())[:200])
        return {name: part for name, part in content.items() if part}

    def quality(self, model: Path, earlier: float = 0.0) -> dict[str, Any] | None:
        """The "quality" of the card, from the held-out cases; None where too few patients are held out, or where it fails.

        Args:
            model: the finished model file.
            earlier: seconds of training before this process, of a resumed run.
        """
        patients = {case.get("patient") or case["case_id"] for case in self.held_out}
        if not self.config.is_file() or len(patients) < FEWEST_PATIENTS:
            held_out = plural(len(patients), "patient")
            logger.info("masks come without a predicted Dice: %s held out, and it takes %d", held_out, FEWEST_PATIENTS)
            return None
        until = time.monotonic() + SHARE_OF_TRAINING * (earlier + time.monotonic() - self.began)
        try:
            found = held_out_parts(self.config, str(model), self.dataset, self.device).measure(self.held_out, until=until)
            entry = make_entry(found, {"data": str(self.dataset.get("name") or ""), "split": "validation"})
            if not entry["dice"]:
                logger.info(
                    "masks come without a predicted Dice: a tenth of the training was too short. Type: "
                    "monai-hybrid calibrate --data DATA --model RUN"
                )
            return entry if entry["dice"] else None
        except Exception as error:  # the model is saved; nothing may be lost for a number beside it
            logger.warning("masks come without a predicted Dice: %s", " ".join(str(error).split())[:200])
            return None

    def images(self, model: Path) -> dict[str, Any]:
        """Grids and grey values of the training images, for `monai-hybrid shift --model`; {} of random shapes."""
        card = read_card(model)
        if card is None or is_of_shapes(card):
            return {}
        return image_summary(
            self.dataset, self.training, card["plan"]["normalization"], parse_colour(self.dataset.get("colour"))
        )

    def scores(self, model: Path) -> dict[str, Any]:
        """Foreground entropy and denoising error of a few cases, by the very configuration that predicts.

        Returns:
            {"split": "validation" or "training", "entropy_foreground": [...], "denoising_error": [...]}, finite numbers only.
        """
        labelled = [case for case in self.training if "label" in case]
        cases = spread(list(self.held_out) or labelled, MOST_CASES)
        parser = ConfigParser()
        parser.read_config(str(self.config))
        parser.update({"model": str(model), "device": str(self.device)})
        network = parser.get_parsed_content("network").eval()
        network.load_state_dict(load_weights(model))
        score = parser.get_parsed_content("evaluator#score")
        preprocess, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
        until = time.monotonic() + max(AT_LEAST, SHARE_OF_TRAINING * (time.monotonic() - self.began))
        found: dict[str, list[float]] = {"entropy_foreground": [], "denoising_error": []}
        for case in cases:
            image = preprocess({"image": case["image"], "case_id": case["case_id"]})["image"].to(self.device)
            with torch.no_grad():
                _add(found["entropy_foreground"], inferer.segment(image, network).entropy_foreground)
                _add(found["denoising_error"], score(image, network))
            if time.monotonic() > until:
                break
        return {"split": "validation" if self.held_out else "training", **found}


def _add(numbers: list[float], value: float | None) -> None:
    if value is not None and np.isfinite(value):
        numbers.append(float(f"{value:.4g}"))


def label_volumes(dataset: Mapping[str, Any], training: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Smallest and largest volume of each structure over the training labels that hold it, in the unit of `quality.csv`.

    Returns:
        {"unit", "structures": {name: {"min", "max", "cases"}}}; "cases" is the number of labels behind the range.
    """
    known = bool(dataset["fingerprint"]["spacing_known"])
    unit = UNITS[int(dataset["spatial_dims"]), known].replace("^", "")
    ids = {case["case_id"] for case in training if "label" in case}
    # A label with voxels that nobody annotated shows no whole structure.
    records = [record for record in dataset.get("cases", []) if record["case_id"] in ids and not record.get("ignored")]
    structures = {}
    for label in dataset["labels"][1:]:
        sizes = [record["voxels"].get(str(label["value"]), 0) * _voxel(record, unit) for record in records]
        sizes = [size for size in sizes if size > 0]
        if sizes:
            low, high = (float(f"{size:.6g}") for size in (min(sizes), max(sizes)))
            structures[label["name"]] = {"min": low, "max": high, "cases": len(sizes)}
    return {"unit": unit, "structures": structures}


def _voxel(record: Mapping[str, Any], unit: str) -> float:
    """Size of a voxel in ml or mm2; 1 where sizes are counted in voxels or pixels."""
    if unit not in ("ml", "mm2"):
        return 1.0
    size = float(np.prod(record["spacing"]))
    return size / 1000 if unit == "ml" else size


def joined(own: dict[str, Any], before: Mapping[str, Any] | None, of_these_data: bool = False) -> dict[str, Any]:
    """The ranges of this training, for structures of one name and unit widened by those of the model that was adapted.

    "earlier" says how many cases are that model's. A range of `ENOUGH` cases or more is not widened. Where that model had
    learned `of_these_data`, as a teacher has, its cases may be the same ones, so they are not counted again.
    """
    if not before or before.get("unit") != own["unit"]:
        return own
    earlier = {unified(name): entry for name, entry in before["structures"].items()}
    structures = {}
    for name, entry in own["structures"].items():
        if unified(name) not in earlier or entry["cases"] >= ENOUGH:
            structures[name] = entry
            continue
        both = [entry, earlier[unified(name)]]
        numbers = [part["cases"] for part in both]
        structures[name] = {
            "min": min(part["min"] for part in both),
            "max": max(part["max"] for part in both),
            **({"cases": max(numbers)} if of_these_data else {"cases": sum(numbers), "earlier": numbers[1]}),
        }
    return {"unit": own["unit"], "structures": structures}


def _volumes_before(pretrained: str | None, name: str) -> tuple[dict[str, Any] | None, bool]:
    """The volumes on the card of the model that was adapted, and whether it had learned the data set of this name.

    None where it has none, or a card that is of no use. Random shapes are no structures, whatever they are called.
    """
    try:
        card = read_card(pretrained) if pretrained else None
    except ModelFileError:
        return None, False
    if card is None or is_of_shapes(card):
        return None, False
    volumes = (card.get("reference") or {}).get("volumes")
    found = volumes if isinstance(volumes, dict) and isinstance(volumes.get("structures"), dict) else None
    return found, bool(name) and card.get("source") == name
