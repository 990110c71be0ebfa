"""Evaluation and prediction do to an image what the training did, and what their configurations did step by step before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose
from PIL import Image

from monai_hybrid.bundle import image_transforms, network_of

TESTS = Path(__file__).parents[1]
BUNDLES = TESTS.parent / "bundles"
NAMES = ("hybrid_pretrain", "few_shot_finetune")
IMAGE_STEPS = ("LoadImaged", "Orientationd", "SafeSpacingd", "Normalized")
PERCENTILES = {"method": "percentiles", "lower": 1.0, "upper": 99.0}


@pytest.fixture(params=["volume", "grey", "colour"])
def scan(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any], list[float]]:
    """A file, a card that fits it, and a spacing of another grid."""
    random = np.random.default_rng(0)
    card: dict[str, Any] = {
        "spatial_dims": 2,
        "channels": ["grey"],
        "plan": {"normalization": PERCENTILES, "resampling": "area"},
    }
    if request.param == "volume":
        turned = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, 7], [0, 0, -3.0, 9], [0, 0, 0, 1]])
        file = tmp_path / "scan.nii.gz"
        nib.save(nib.Nifti1Image(random.normal(100, 20, (9, 8, 7)).astype(np.float32), turned), file)
        return str(file), {**card, "spatial_dims": 3}, [2.0, 2.0, 2.0]
    file = tmp_path / "scan.png"
    shape = (12, 10) if request.param == "grey" else (12, 10, 3)
    Image.fromarray(random.integers(0, 255, shape, dtype=np.uint8)).save(file)
    colour = {} if request.param == "grey" else {"colour": ["red", "green"], "channels": ["red", "green"]}
    return str(file), {**card, **colour}, [1.5, 1.5]


def image_steps(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a training that concern the image, for it alone."""
    steps = [s for s in config["train"]["deterministic_transforms"] if s["_target_"].rsplit(".", 1)[-1] in IMAGE_STEPS]
    return [{**step, "keys": "image", **({"mode": "bilinear"} if "pixdim" in step else {})} for step in steps]


def through(steps: Any, file: str, card: dict[str, Any], spacing: list[float]) -> torch.Tensor:
    """What steps of a configuration make of a file."""
    about = {"plan": card["plan"], "dataset": {"colour": card.get("colour")}}
    known = {"card": card, "spacing": spacing, "colour": card.get("colour"), "spatial_dims": card["spatial_dims"]}
    holders = {name: {"_target_": "types.SimpleNamespace", **about} for name in ("data", "origin")}
    chain = ConfigParser({"chain": steps, **known, **holders}).get_parsed_content("chain")
    result: torch.Tensor = (chain if isinstance(chain, Compose) else Compose(chain))({"image": file})["image"]
    return result


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of", ["training", "evaluation before", "prediction before"])
def test_an_image_is_what_it_was_in_the_training(of: str, name: str, scan: tuple[str, dict[str, Any], list[float]]) -> None:
    file, card, spacing = scan
    earlier = TESTS / "earlier_configs" / name
    steps = {
        "training": lambda: image_steps(json.loads((BUNDLES / name / "configs/train.json").read_text())),
        "evaluation before": lambda: json.loads((earlier / "evaluate.json").read_text())["image_transforms"],
        "prediction before": lambda: json.loads((earlier / "inference.json").read_text())["preprocessing"],
    }[of]()
    image = image_transforms(card, spacing, card.get("colour"))({"image": file})["image"]
    expected = through(steps, file, card, spacing)
    assert image.shape[0] == len(card["channels"]) and image.ndim == card["spatial_dims"] + 1
    assert torch.equal(image, expected) and torch.equal(image.affine, expected.affine)  # type: ignore[attr-defined]


@pytest.mark.parametrize("stem", [None, "space_to_depth"])
def test_a_network_is_what_its_card_says(stem: str | None) -> None:
    settings = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 8}
    settings |= {"num_head_channels": 8, **({"stem": stem} if stem else {})}
    labels = [{"name": name} for name in ("background", "left", "right")]
    network = network_of({"spatial_dims": 2, "channels": ["a", "b"], "labels": labels, "network": settings})
    assert network.stem == (stem or "plain")
    assert network.eval()(torch.zeros(1, 2, 16, 16)).shape == (1, 3, 16, 16)
