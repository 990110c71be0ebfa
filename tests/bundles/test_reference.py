"""From the training's card to the flag of a case: made models and images, the configuration that predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prediction_runs import Threshold, model_card, predict, quality

from monai_hybrid.bundle.reference import CardReference
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import read_card, save_weights


def disc(radius: float, path: Path) -> Path:
    """A bright round thing on dark ground, with a few grey pixels, 64 x 64."""
    x, y = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    distance = np.hypot(x - 32, y - 32)
    grey = np.where(distance < radius, 230, np.where(distance < radius + 3, 130, 10)).astype(np.uint8)
    grey += (np.arange(grey.shape[1]) % 6).astype(np.uint8)  # more values than a mask has
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)
    return path


def made_model(folder: Path, reference: Any) -> dict[str, Any]:
    """A model that thresholds, with a reference on its card."""
    card = model_card(2, 1.0, 32, objective="supervised")
    card["plan"]["normalization"] = {"method": "window", "lower": 0, "upper": 255, "range": [-1, 1]}
    if reference is not None:
        card["reference"] = reference
    save_weights(Threshold().state_dict(), folder, card)
    return {"model": str(folder / "model.pt"), "network_def": {"_target_": "prediction_runs.Threshold"}}


def volumes() -> dict[str, Any]:
    structures = {"white": {"min": 300.0, "max": 500.0, "cases": 30}, "grey": {"min": 50.0, "max": 400.0, "cases": 30}}
    return {"volumes": {"unit": "pixels", "structures": structures}}


@pytest.mark.parametrize(
    ("radius", "flag"),
    [
        (11, ""),
        (3, "little white: 25 pixels, expected 272.7 to 550 (30 training labels: 300 to 500)"),
        (25, "much white: 1941 pixels, expected 272.7 to 550 (30 training labels: 300 to 500)"),
    ],
)
def test_the_first_case_of_a_batch_of_one_is_flagged(radius: float, flag: str, tmp_path: Path) -> None:
    image = disc(radius, tmp_path / "in/scan.png")
    assert predict(input=image, output_dir=tmp_path / "out", **made_model(tmp_path / "model", volumes())) is None
    assert flag in quality(tmp_path / "out")["scan"]["flag"] and bool(quality(tmp_path / "out")["scan"]["flag"]) == bool(flag)
    assert predict(input=image, output_dir=tmp_path / "old", **made_model(tmp_path / "before", None)) is None
    assert quality(tmp_path / "old")["scan"]["flag"] == ""


def test_an_empty_mask_says_what_was_expected(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 10, np.uint8) + np.eye(64, dtype=np.uint8)).save(tmp_path / "scan.png")
    settings = made_model(tmp_path / "model", volumes())
    assert predict(input=tmp_path / "scan.png", output_dir=tmp_path / "out", **settings) is None
    told = "nothing found (expected grey 45.45 to 440 pixels, white 272.7 to 550 pixels)"
    assert quality(tmp_path / "out")["scan"]["flag"].startswith(told)


def test_one_bad_mask_of_a_batch_of_three_is_flagged_alone(tmp_path: Path) -> None:
    for name, radius in (("a", 11), ("b", 4), ("c", 10.5)):
        disc(radius, tmp_path / f"in/{name}.png")
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", **made_model(tmp_path / "model", volumes())) is None
    assert {name for name, row in quality(tmp_path / "out").items() if row["flag"]} == {"b"}


@pytest.mark.parametrize("held_out", [True, False])
def test_scores_come_from_the_configuration_that_predicts(held_out: bool, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    card = model_card(2, 1.0, 32)
    torch.manual_seed(0)
    save_weights(HybridDiffusionUNet(**card["network"]).state_dict(), tmp_path, card)
    cases = [{"case_id": f"c{i}", "image": str(disc(9 + i, tmp_path / f"c{i}.png")), "label": "x"} for i in range(5)]
    dataset = {
        "spatial_dims": 2,
        "labels": card["labels"],
        "cases": [{"case_id": f"c{i}", "spacing": [1.0, 1.0], "voxels": {"10": 50 + i, "20": 300}} for i in range(5)],
        "fingerprint": {"spacing_known": False},
    }
    bundle = str(pytestconfig.rootpath / "bundles/hybrid_pretrain")
    reference = CardReference(dataset, cases, cases[:2] if held_out else [], bundle, "cpu")
    content = reference.content(tmp_path / "model.safetensors")
    assert content["volumes"]["structures"]["grey"] == {"min": 50.0, "max": 54.0, "cases": 5}
    assert content["scores"]["split"] == ("validation" if held_out else "training")
    assert len(content["scores"]["entropy_foreground"]) == (2 if held_out else 3)
    assert predict(input=cases[0]["image"], output_dir=tmp_path / "out", model=tmp_path / "model.pt") is None
    row = quality(tmp_path / "out")["c0"]
    assert content["scores"]["entropy_foreground"][0] == pytest.approx(float(row["entropy_foreground"]), rel=1e-3)
    assert content["scores"]["denoising_error"][0] == pytest.approx(float(row["denoising_error"]), rel=1e-3)
    assert reference.content() == {"volumes": content["volumes"]}


def test_a_score_that_fails_costs_no_model(
    tmp_path: Path, pytestconfig: pytest.Config, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = {"spatial_dims": 2, "labels": [{}], "cases": [], "fingerprint": {"spacing_known": True}}
    bundle = str(pytestconfig.rootpath / "bundles/hybrid_pretrain")
    reference = CardReference(dataset, [{"case_id": "a", "image": "gone.png", "label": "l"}], [], bundle, "cpu")
    content = reference.content(tmp_path / "none.safetensors")
    assert content == {"volumes": {"unit": "mm2", "structures": {}}} and "no reference scores on the card" in caplog.text


def test_a_training_writes_the_reference_into_its_card(trained: Path) -> None:
    card = read_card(trained / "models/model.safetensors")
    assert card is not None
    structures = card["reference"]["volumes"]["structures"]
    assert set(structures) == {"cortex", "nucleus", "ventricle"} and card["reference"]["volumes"]["unit"] == "ml"
    assert all(0 < entry["min"] <= entry["max"] and entry["cases"] > 1 for entry in structures.values())
    assert set(card["reference"]["scores"]) == {"split", "entropy_foreground", "denoising_error"}


def labelled_discs(folder: Path, count: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A data set of discs with labels as `dataset.json` and the data list have it."""
    cases = []
    for i in range(count):
        image = disc(9 + i, folder / f"c{i}.png")
        grey = np.asarray(Image.open(image))
        Image.fromarray(np.where(grey > 200, 20, np.where(grey > 100, 10, 0)).astype(np.uint8)).save(folder / f"l{i}.png")
        cases.append({"case_id": f"c{i}", "image": str(image), "label": str(folder / f"l{i}.png"), "patient": f"p{i}"})
    labels = model_card(2, 1.0, 32)["labels"]
    return {"spatial_dims": 2, "labels": labels, "name": "discs", "fingerprint": {"spacing_known": False}}, cases


def test_the_quality_of_a_finished_training(
    tmp_path: Path, pytestconfig: pytest.Config, caplog: pytest.LogCaptureFixture
) -> None:
    dataset, cases = labelled_discs(tmp_path, 3)
    card = model_card(2, 1.0, 64)
    torch.manual_seed(0)
    save_weights(HybridDiffusionUNet(**card["network"]).state_dict(), tmp_path, card)
    bundle, model = str(pytestconfig.rootpath / "bundles/hybrid_pretrain"), tmp_path / "model.safetensors"
    reference = CardReference(dataset, [], cases, bundle, "cpu")
    reference.began -= 10_000  # a long training: there is time
    found = reference.quality(model)
    assert found is not None and found["patients"] == 3 and set(found["dice"]) <= {"grey", "white"} and found["dice"]
    with caplog.at_level("INFO"):
        assert CardReference(dataset, [], cases, bundle, "cpu").quality(model) is None, "a short one leaves none"
        assert CardReference(dataset, [], cases[:2], bundle, "cpu").quality(model) is None
        other = {**dataset, "labels": [*dataset["labels"][:2], {"index": 2, "value": 20, "name": "black"}]}
        assert CardReference(other, [], cases, bundle, "cpu").quality(model) is None
    assert "a tenth of the training was too short" in caplog.text and "2 patients held out, and it takes 3" in caplog.text
    assert "masks come without a predicted Dice: the data set's labels are" in caplog.text


@pytest.mark.parametrize(
    ("before", "entry"),
    [
        ({"source": "other"}, {"min": 5.0, "max": 900.0, "cases": 10, "earlier": 7}),  # another hospital's, so beside these
        ({"source": "discs"}, {"min": 5.0, "max": 900.0, "cases": 7}),  # perhaps the same labels, so never counted twice
        ({"source": "other", "plan": {"universal": True}}, {"min": 253.0, "max": 377.0, "cases": 3}),  # a shape's name
    ],
)
def test_labels_of_the_model_before_count_once_and_shapes_never(
    before: dict[str, Any], entry: dict[str, Any], tmp_path: Path
) -> None:
    """A random shape may be called like a structure, as "core" is; its size says nothing of that one."""
    dataset, cases = labelled_discs(tmp_path, 3)
    card = model_card(2, 1.0, 32)
    card["source"], card["plan"] = before["source"], {**card["plan"], **before.get("plan", {})}
    card["reference"] = {"volumes": {"unit": "pixels", "structures": {"white": {"min": 5.0, "max": 900.0, "cases": 7}}}}
    save_weights(Threshold().state_dict(), tmp_path / "before", card)
    dataset["cases"] = [{"case_id": f"c{i}", "voxels": {"20": size}} for i, size in enumerate((253, 300, 377))]
    model = str(tmp_path / "before/model.safetensors")
    found = CardReference(dataset, cases, [], str(tmp_path), "cpu", model).volumes["structures"]["white"]
    assert found == entry
