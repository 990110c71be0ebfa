"""Scans without labels as a data set of the model's words; which are held out; what is refused, with twins that are taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.few_shot import hold_out, objective_alone, scans_as_data
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import save_weights

WINDOW = {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}
NETWORK = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 4}


def model(folder: Path, channels: tuple[str, ...] = ("image",), objective: str = "hybrid", **more: Any) -> str:
    """A network with random weights that knows one structure, of value 7."""
    network = {**NETWORK, "num_head_channels": 8, "spatial_dims": 2, "in_channels": len(channels), "num_classes": 2}
    card = {
        "format_version": 1, "network": network, "spatial_dims": 2, "channels": list(channels), "modality": "MRI",
        "labels": [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 7, "name": "lumen"}],
        "plan": {"normalization": WINDOW},
        "training": {"objective": objective, "patch_size": [16, 16], "spacing": [1.0, 1.0]},
        **more,
    }  # fmt: skip
    torch.manual_seed(0)
    save_weights(HybridDiffusionUNet(**network).state_dict(), folder, card)
    return str(folder / "model.pt")


def pictures(folder: Path, number: int, colour: bool = False) -> str:
    folder.mkdir(parents=True)
    for i in range(number):
        shape = (24, 28, 3) if colour else (24, 28)
        Image.fromarray(np.random.default_rng(i).integers(0, 255, shape, dtype=np.uint8)).save(folder / f"u{i}.png")
    return str(folder)


def scans(unlabelled: str | None, pretrained: str | None, out: Path, data: str | None = None) -> Any:
    return scans_as_data(data, unlabelled, pretrained, str(out), "bundles/few_shot_finetune")


@pytest.mark.parametrize("colour", [False, True])
def test_a_folder_of_scans_has_the_structures_of_the_model(colour: bool, tmp_path: Path) -> None:
    rgb = ("red", "green", "blue")
    path = model(tmp_path / "m", rgb if colour else ("image",), **({"colour": list(rgb)} if colour else {}))
    data = scans(pictures(tmp_path / "scans", 3, colour), path, tmp_path / "out")
    assert [case["case_id"] for case in data.training] == ["u0", "u1", "u2"]
    assert not any("label" in case for case in data.training) and data.validation == data.testing == []
    assert data.class_names == ["background", "lumen"] and data.label_values == [0, 7]
    assert data.plan["spatial_dims"] == 2 and data.length_unit == "pixels"


def test_a_prepared_data_set_lends_its_training_images_and_no_label(tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=6, site="B", seed=0, dims=2)
    build(tmp_path / "raw", tmp_path / "prepared", budget="cpu")
    data = scans(str(tmp_path / "raw"), model(tmp_path / "m"), tmp_path / "out", str(tmp_path / "prepared"))
    listed = json.loads((tmp_path / "prepared/datalist.json").read_text())
    assert [case["case_id"] for case in data.training] == [case["case_id"] for case in listed["training"]], "never the held-out"
    assert data.class_names == ["background", "lumen"], "the model's, not those of the labels"
    assert not any("label" in case for case in [*data.training, *data.validation, *data.testing]) and data.testing


def test_models_that_know_no_structure_of_the_scans_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "scans", 2)
    with pytest.raises(ConfigError, match="a network from scratch knows no structure; give --model"):
        scans(folder, "scratch", tmp_path)
    with pytest.raises(ConfigError, match="shots 0: no model was given; give --model"):
        scans(folder, None, tmp_path)
    shapes = model(tmp_path / "shapes", plan={"normalization": WINDOW, "universal": True})
    with pytest.raises(ConfigError, match="was trained on random shapes and knows no structure of yours"):
        scans(folder, shapes, tmp_path)
    (tmp_path / "m").mkdir()
    with pytest.raises(ModelFileError, match=r"a folder without models/model\.safetensors"):
        scans(folder, str(tmp_path / "m"), tmp_path)
    assert scans(folder, model(tmp_path / "n"), tmp_path).training


def test_scans_of_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unlabelled_dir: "):
        scans(pictures(tmp_path / "scans", 2, colour=True), model(tmp_path / "m"), tmp_path)


def cases(patients: int, each: int = 1) -> list[dict[str, Any]]:
    return [{"case_id": f"{p}_{i}", "patient": f"p{p}"} for p in range(patients) for i in range(each)]


@pytest.mark.parametrize(("patients", "each", "judged"), [(2, 1, 1), (10, 1, 2), (100, 1, 8), (5, 40, 24)])
def test_whole_patients_are_held_out(patients: int, each: int, judged: int) -> None:
    trained, held = hold_out(cases(patients, each), "hybrid", True, seed=1)
    assert len(held) == judged and not {c["patient"] for c in trained} & {c["patient"] for c in held}
    assert {c["patient"] for c in trained} | {c["patient"] for c in held} == {f"p{p}" for p in range(patients)}
    assert hold_out(cases(patients, each), "hybrid", True, seed=1)[1] == held


def test_one_scan_and_an_objective_without_a_use_for_scans_are_refused() -> None:
    for each in (1, 3):
        with pytest.raises(DataError, match=r"shots 0: got scans of 1 patient, expected at least 2: .*monai-hybrid predict"):
            hold_out(cases(1, each), "hybrid", True)
    with pytest.raises(ConfigError, match="the objective supervised learns nothing from images without labels"):
        hold_out(cases(2), "supervised", False)
    assert hold_out(cases(2), "supervised", True) and hold_out(cases(2), "diffusion", False)


def test_what_is_learnt_follows_from_the_model(tmp_path: Path) -> None:
    denoises, not_so = model(tmp_path / "a"), model(tmp_path / "b", objective="supervised")
    assert [objective_alone(path, True) for path in (denoises, not_so)] == ["hybrid", "supervised"]
    assert objective_alone(denoises, False) == "diffusion"
    with pytest.raises(ConfigError, match="trained without the denoising term, so scans alone teach it nothing"):
        objective_alone(not_so, False)
