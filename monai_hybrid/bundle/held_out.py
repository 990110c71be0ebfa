"""The parts that measure held-out cases, taken from the configuration that predicts, so that both do the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.quality.held_out import HeldOut
from monai_hybrid.transforms.classes import LoadClassesd
from monai_hybrid.weights import load_weights


def held_out_parts(config: Path, model: str, dataset: Mapping[str, Any], device: Any) -> HeldOut:
    """What measures cases of a data set with a model.

    Args:
        config: `inference.json` of a bundle.
        model: the file.
        dataset: the content of `dataset.json`: which value is which structure.
        device: where the network runs.

    Raises:
        DataError: other structures than the model's.
        ModelFileError: no such model.
    """
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update({"model": model, "device": str(device)})
    card = parser.get_parsed_content("card")
    values = values_by_name(card, dataset, model)
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(load_weights(model))
    signals = parser.get_parsed_content("signals")
    signals.enabled = True  # the card has no "quality" yet, or one to be replaced
    return HeldOut(
        parser.get_parsed_content("preprocessing"),
        LoadClassesd(keys="label", label_values=values, spatial_dims=card["spatial_dims"]),
        network,
        parser.get_parsed_content("inferer"),
        signals,
        signals.structures,
        device,
    )
