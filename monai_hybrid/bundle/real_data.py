"""A model of the built-in phantom is never taken for real data unasked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_hybrid.catalogue.folder import any_universal
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.results_folder import inside
from monai_hybrid.setting_checks import EXAMPLE_MODEL, which_model
from monai_hybrid.weights import read_card

PHANTOMS = ("phantom_A", "phantom_B")  # names of the built-in data sets, as a card's `source`


def refuse_phantom_start(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse to adapt a model of the built-in phantom to real data, where no universal model is there to take its place.

    Args:
        given: settings of the command line.
        known: top-level names of the configurations.

    Raises:
        ConfigError: an adaptation has data and no model.
    """
    started = given.get("pretrained") or "teacher" in known
    if {"origin", "shots"} <= known.keys() and given.get("dataset_dir") and not started and not any_universal():
        raise ConfigError(which_model("--dataset_dir", str(given["dataset_dir"]), "--pretrained"))


def refuse_phantom_model(given: Mapping[str, Any], known: Mapping[str, Any], bundle_root: str) -> None:
    """Refuse to use the demonstration's model on real data when no model was named.

    Raises:
        ModelFileError: data are given, no model is, and the bundle's own is missing or was trained on the phantom.
    """
    data = given.get("input") or given.get("dataset_dir")
    uses_a_model = {"card", "model"} <= known.keys() and "masks" not in known  # a training has a card too, which it writes
    if not uses_a_model or not data or given.get("model") or inside(str(data), Path(bundle_root)):
        return
    own = Path(bundle_root) / "models/model.pt"
    card = read_card(own)
    if card is None:
        raise ModelFileError(f"--model: not given, and {own} is not there. Give --model {EXAMPLE_MODEL}")
    if card.get("source") in PHANTOMS:
        raise ModelFileError(
            f"--model: not given, and {own} was trained on the built-in phantom, not on data like {data}. "
            f"Give --model {EXAMPLE_MODEL}"
        )
