"""Source cases beside the target's: their labels in the target's classes, never the target's own; refused where they lie."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data_prep.build import build
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.engines import mixed_sampler
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.replay import appearance_steps, replayed_cases
from monai_hybrid.transforms import LoadClassesd


def data_set(folder: Path, values: dict[int, str], seed: int, colour: bool = False) -> Path:
    """Ten pictures with a stripe for each label value, prepared."""
    rng = np.random.default_rng(seed)
    for part in ("images", "labels"):
        (folder / "raw" / part).mkdir(parents=True)
    for number in range(10):
        label = np.zeros((32, 32), np.uint8)
        for place, value in enumerate(values):
            label[8 * place : 8 * place + 6, 4:28] = value
        image = rng.integers(0, 60, (32, 32, 3) if colour else (32, 32)) + 20 * (label[..., None] if colour else label)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "raw/images" / f"p{number}.png")
        Image.fromarray(label).save(folder / "raw/labels" / f"p{number}.png")
    names = ",".join(f"{value}={name}" for value, name in values.items())
    build(folder / "raw", folder / "prepared", label_names=names, budget="cpu")
    return folder / "prepared"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return read_prepared(data_set(tmp_path_factory.mktemp("target"), {1: "wall", 2: "lumen"}, 0))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other values and another order, and a structure more."""
    return data_set(tmp_path_factory.mktemp("source"), {3: "lumen", 5: "fat", 9: "wall"}, 1)


def test_labels_come_in_the_classes_of_the_target(target: PreparedData, source: Path) -> None:
    cases = replayed_cases(target, str(source))
    listed = json.loads((source / "datalist.json").read_text())["training"]
    assert len(cases) == len(listed) and all(case["replayed"] for case in cases)
    loaded = LoadClassesd("label", target.label_values, spatial_dims=2)(cases[0])["label"]
    stored = np.asarray(Image.open(cases[0]["label"])).T
    wanted = np.select([stored == 9, stored == 3], [1, 2], 0)  # wall, lumen; fat is background here
    np.testing.assert_array_equal(np.asarray(loaded)[0], wanted)
    own = LoadClassesd("label", target.label_values, spatial_dims=2)(target.training[0])["label"]
    assert set(np.unique(np.asarray(own))) == {0, 1, 2}


def test_nothing_is_replayed_unasked_and_never_the_targets_own(target: PreparedData) -> None:
    assert replayed_cases(target, None) == replayed_cases(target, "") == []
    with pytest.raises(DataError, match="no labelled training case besides those of the target"):
        replayed_cases(target, str(target.folder))


def test_a_structure_that_the_source_does_not_label_is_refused_and_a_partner_accepted(
    target: PreparedData, tmp_path: Path
) -> None:
    other = data_set(tmp_path, {1: "wall", 2: "cavity"}, 2)
    with pytest.raises(ConfigError, match=r"no label for lumen \(it has wall, cavity\).*--label-map"):
        replayed_cases(target, str(other))
    assert replayed_cases(target, str(other), {"lumen": "cavity"})[0]["class_indices"] == [0, 1, 2]


def test_names_are_the_same_as_in_a_transfer_of_weights(target: PreparedData, tmp_path: Path) -> None:
    other = data_set(tmp_path, {1: "Wall", 2: "the_lumen"}, 2)
    assert replayed_cases(target, str(other), {"LUMEN": "The lumen"})[0]["class_indices"] == [0, 1, 2]
    with pytest.raises(ConfigError, match="no label for lumen"):
        replayed_cases(target, str(other), {"lumen": None})


def test_two_structures_that_continue_one_are_refused(target: PreparedData, source: Path) -> None:
    """The weights of one may start both, but a voxel of its label can be one of them alone."""
    with pytest.raises(ConfigError, match=r"wall and lumen share the label fat of .*leave --source-replay out"):
        replayed_cases(target, str(source), {"wall": "fat", "lumen": "fat"})
    assert replayed_cases(target, str(source), {"wall": "fat", "lumen": "wall"})[0]["class_indices"] == [0, 0, 1, 2]


def test_other_folders_and_channels_are_refused(target: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no datalist.json; type: monai-hybrid build"):
        replayed_cases(target, str(tmp_path))
    colour = data_set(tmp_path / "colour", {1: "wall", 2: "lumen"}, 3, colour=True)
    with pytest.raises(DataError, match=r"source_replay: .* has channels .*red.*, the labelled data"):
        replayed_cases(target, str(colour))


@pytest.mark.parametrize(("replayed", "unlabelled"), [(6, 0), (6, 9), (0, 9)])
def test_each_kind_has_its_share(replayed: int, unlabelled: int) -> None:
    cases: list[dict[str, Any]] = [{"label": 1}] * 2 + [{}] * unlabelled + [{"label": 1, "replayed": True}] * replayed
    draws = list(mixed_sampler(cases, 8000, labelled_share=0.75, replay_share=0.4))
    kinds = Counter("r" if cases[i].get("replayed") else "l" if "label" in cases[i] else "u" for i in draws)
    rest = 0.6 if replayed else 1.0
    wanted = {"r": 0.4 if replayed else 0, "l": rest * (0.75 if unlabelled else 1), "u": rest * (0.25 if unlabelled else 0)}
    assert {kind: kinds[kind] / 8000 for kind in "rlu"} == pytest.approx(wanted, abs=0.03)


def test_the_look_is_that_of_training_images_and_more(target: PreparedData, source: Path, tmp_path: Path) -> None:
    assert appearance_steps("none", [], target, None, []) == []
    with pytest.raises(ConfigError, match=r"match_appearance histogram: it changes source images; name .* --source-replay"):
        appearance_steps("histogram", [], target, None, [])
    with pytest.raises(ConfigError, match="match_appearance: got 'style'"):
        appearance_steps("style", [], target, None, [])
    image = np.random.default_rng(5).integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "more.png")
    cases = replayed_cases(target, str(source))
    (step,) = appearance_steps("histogram", cases, target, str(tmp_path), [])
    held_out = {case["image"] for case in [*target.validation, *target.testing]}
    seen = {case["image"] for case in step.scans}
    assert seen == {case["image"] for case in target.training} | {str(tmp_path / "more.png")} and not seen & held_out
    assert not any("label" in case for case in step.scans)
    few = replace(target, training=target.training[:1])
    assert len(appearance_steps("fourier", cases, few, None, [])[0].scans) == 1
