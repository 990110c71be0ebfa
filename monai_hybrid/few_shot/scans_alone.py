"""Adapting without a label: scans as a data set in the words of the model's card, and a few of them held out."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.evenly import spread
from data_prep.home import at_home
from monai_hybrid.bundle.data import PreparedData, prepare_data
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.shots import without_labels
from monai_hybrid.few_shot.starting_point import SCRATCH, chosen_model
from monai_hybrid.few_shot.unlabelled import cases_of_folder, others
from monai_hybrid.losses.objectives import denoises, get_objective
from monai_hybrid.model_card import required_card
from monai_hybrid.weights import read_card

HELD_OUT, MOST_HELD_OUT = 5, 8  # one patient in five is held out for the safety stop, at most so many
MOST_JUDGED = 24  # of their scans; of slices there are many a patient
FEWEST = 2


def scans_as_data(
    dataset_dir: str | None,
    unlabelled_dir: str | None,
    pretrained: str | None,
    output_dir: str,
    bundle_root: str,
    budget: str | None = None,
) -> PreparedData:
    """A data set without labels, whose structures are those of the model.

    Args:
        dataset_dir: a prepared data set, whose training images are taken and whose labels stay closed; a raw folder is
            described first.
        unlabelled_dir: a folder of scans. Without both: the built-in phantom.
        pretrained: the model that is adapted; it says which structures there are.
        output_dir: for what has to be written first.
        bundle_root: of this bundle.
        budget: of the plan of a raw folder.

    Raises:
        ConfigError: a model that knows no structure of the data's: none, scratch, or one of random shapes.
        DataError: no scan, or scans of other channels or dimensions than the model's.
    """
    given = None if unlabelled_dir and not dataset_dir else prepare_data(dataset_dir, output_dir, "B", budget=budget)
    if pretrained == SCRATCH:
        raise ConfigError("shots 0: a network from scratch knows no structure; give --model a model that was trained on them")
    here = at_home(unlabelled_dir) if unlabelled_dir else None
    path = chosen_model(pretrained, given, bundle_root, here)
    card = required_card(path)
    if card["plan"].get("universal"):
        raise ConfigError(f"shots 0: {path} was trained on random shapes and knows no structure of yours; give another --model")
    data = _described(card, here) if given is None else _in_words_of(card, given, path)
    training = without_labels(data.training)
    if here is not None:
        found = cases_of_folder(here, data, training, output_dir)
        training += others(found, [*training, *data.validation, *data.testing])
    validation, testing = without_labels(data.validation), without_labels(data.testing)
    return replace(data, training=training, validation=validation, testing=testing)


def _described(card: Mapping[str, Any], folder: Path | None) -> PreparedData:
    """What a card says of its data, for scans of which nothing else is known."""
    assert folder is not None
    unit = ((card.get("reference") or {}).get("volumes") or {}).get("unit")
    dataset = {"name": folder.name, "cases": [], "fingerprint": {"spacing_known": unit in ("ml", "mm2")}}
    dataset |= {
        key: card[key]
        for key in ("spatial_dims", "channels", "labels", "modality", "colour", "codes", "accepted")
        if card.get(key)
    }
    return PreparedData(folder, [], [], [], dataset, {**card["plan"], "spatial_dims": card["spatial_dims"]})


def _in_words_of(card: Mapping[str, Any], data: PreparedData, path: str) -> PreparedData:
    """A prepared data set with the structures of the model.

    Raises:
        DataError: other dimensions, or another number of channels.
    """
    for key, seen, wanted in (
        ("dimensions", data.dataset["spatial_dims"], card["spatial_dims"]),
        ("channels", len(data.dataset["channels"]), len(card["channels"])),
    ):
        if seen != wanted:
            raise DataError(f"{data.folder} has {seen} {key}, the model {path} {wanted}")
    return replace(data, dataset={**data.dataset, "labels": card["labels"]})


def objective_alone(path: str | None, self_training: bool) -> str:
    """What is learnt from scans alone: with a teacher its masks, and the images where the model denoises; else the images.

    Raises:
        ConfigError: without a teacher, a model that does not denoise.
    """
    denoised = denoises((path and read_card(path)) or {})
    if self_training:
        return "hybrid" if denoised else "supervised"
    if not denoised:
        raise ConfigError(
            f"self_training False: {path} was trained without the denoising term, so scans alone teach it nothing; "
            "type --self-training True"
        )
    return "diffusion"


def hold_out(
    cases: Sequence[dict[str, Any]], objective: str, self_training: bool, seed: int = 0
) -> tuple[list[Any], list[Any]]:
    """Scans to train with, and scans to judge by: those of one patient in five, at least one and at most eight patients.

    Raises:
        DataError: fewer than two patients.
        ConfigError: an objective that learns nothing from them.
    """
    if not (get_objective(objective).image_term or self_training):
        raise ConfigError(
            f"shots 0: the objective {objective} learns nothing from images without labels; leave --objective out"
        )
    patients = sorted({case["patient"] for case in cases})
    if len(patients) < FEWEST:
        raise DataError(
            f"shots 0: got scans of {plural(len(patients), 'patient')}, expected at least {FEWEST}: those of one are held out "
            "to judge the adapted model by. Type monai-hybrid predict to use the model as it is"
        )
    random.Random(seed).shuffle(patients)
    number = min(MOST_HELD_OUT, max(1, round(len(patients) / HELD_OUT)))
    held = set(patients[:number])
    judged = spread([case for case in cases if case["patient"] in held], MOST_JUDGED)
    return [case for case in cases if case["patient"] not in held], judged
