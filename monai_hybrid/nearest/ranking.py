"""All models against scans, the nearest first; where none resembles them, the universal one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.home import at_home
from monai_hybrid.bundle.model import find_card
from monai_hybrid.catalogue.entry import entries
from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.nearest.judge import Near, judged
from monai_hybrid.nearest.target import Scans, read_scans
from monai_hybrid.nearest.told import reason
from monai_hybrid.setting_checks import check_there, model_in

AUTO = "auto"  # in the place of a model: the nearest


def rank(target: Path, model: str = AUTO) -> list[Near]:
    """Compare models with scans.

    Args:
        target: a prepared data set, an image, or a folder of images. No label is read.
        model: a file, or a name of the package's models; "auto": all of these of the target's dimensions.

    Returns:
        Those that resemble the scans, the nearest first; then the universal one; then the others.

    Raises:
        DataError: no image, one that cannot be read, or other dimensions than the model's.
        ModelFileError: the model is missing or damaged, or there is none of these dimensions.
    """
    cards: Mapping[str, Mapping[str, Any]]
    cards = {one.name: one.card for one in entries()} if model == AUTO else {_there(model): find_card(_there(model))}
    if not cards:
        raise ModelFileError("no model comes with this installation; give one with --model")
    scans = read_scans(target, [card["plan"]["normalization"] for card in cards.values()])
    fitting = {
        name: (card, curves)
        for (name, card), curves in zip(cards.items(), scans.curves, strict=True)
        if card["spatial_dims"] == scans.dims
    }
    if not fitting:
        raise _other_dimensions(scans, model, cards)
    return sorted((judged(name, scans, curves, card) for name, (card, curves) in fitting.items()), key=_order)


def _there(model: str) -> str:
    """A name or a file as it is, for the folder of a run the model in it.

    Raises:
        ModelFileError: no such file, folder or name.
    """
    if inside := model_in(at_home(model)):
        return str(inside)
    check_there("model", model, "--model")
    return model


def _other_dimensions(scans: Scans, model: str, cards: Mapping[str, Mapping[str, Any]]) -> DataError | ModelFileError:
    if model == AUTO:
        return ModelFileError(f"{scans.name} is {scans.dims}D, and no {scans.dims}D model comes with this installation")
    dims = next(iter(cards.values()))["spatial_dims"]
    return DataError(f"{scans.name} is {scans.dims}D, the model {model} {dims}D: they cannot be compared")


def _order(near: Near) -> tuple[int, float]:
    group = 0 if near.resembles else 1 if near.universal else 2
    return group, near.score if near.score is not None else near.denoising or 0.0


def chosen(target: Path) -> tuple[str, str]:
    """The model that an adaptation of `--model auto` starts from, and why.

    Raises:
        DataError, ModelFileError: see `rank`.
    """
    ranked = rank(target)
    return ranked[0].model, reason(ranked)


def as_plain(ranked: Sequence[Near]) -> list[dict[str, Any]]:
    """For JSON: a model's numbers, and the findings as sentences."""
    return [
        {
            "model": near.model,
            "universal": near.universal,
            "resembles": near.resembles,
            "score": near.score,
            "distance": near.distance,
            "parts": dict(near.parts),
            "denoising_error": near.denoising,
            "denoising_error_of_its_own_scans": near.usual,
            "findings": [{"kind": f.kind, "level": f.level, "sentence": f.sentence} for f in near.findings],
        }
        for near in ranked
    ]
