"""`predict --test-time-updates`: the column that says which weights made a mask, and masks as before where they stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from prediction_runs import model_card, predict, quality, random_model

from data_prep.result_files import is_ours
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.safety_stop import Verdict
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import save_weights


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(2):
        grey = np.random.default_rng(i).integers(0, 255, (40, 36)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"p{i}.png")
    return folder


def model_of_noise(folder: Path) -> Path:
    """All weights random: some of a new network are zero."""
    card = model_card(2, 1.0, 16)
    torch.manual_seed(0)
    network = HybridDiffusionUNet(**card["network"])
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    save_weights(network.state_dict(), folder, card)
    return folder / "model.pt"


@pytest.mark.parametrize("kept", ["adapted", "original"])
def test_the_table_says_which_weights_made_a_mask(
    kept: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of_noise(tmp_path)
    judged = iter([kept, "original"])
    monkeypatch.setattr("monai_hybrid.few_shot.one_image.decide", lambda *a, **b: Verdict(next(judged), ["so"], {}))
    settings = {"input": pictures, "model": model, "progress_bar": False, "precision": "float32"}
    assert predict(output_dir=tmp_path / "plain", **settings) is None
    updated = {"test_time_updates": 3, "test_time_learning_rate": 0.05}
    assert predict(output_dir=tmp_path / "updated", **settings, **updated) is None
    plain, own = quality(tmp_path / "plain"), quality(tmp_path / "updated")
    assert [row["test_time"] for row in own.values()] == [kept, "original"] and "test_time" not in plain["p0"]
    assert is_ours(tmp_path / "updated/quality.csv")
    masks = [[np.asarray(Image.open(tmp_path / d / f"p{i}_seg.png")) for d in ("plain", "updated")] for i in range(2)]
    assert (masks[0][0] == masks[0][1]).all() == (kept == "original"), "only weights that are kept make another mask"
    assert (masks[1][0] == masks[1][1]).all(), "the weights come back after each case"
    assert own["p0"]["denoising_error"] == plain["p0"]["denoising_error"], "of the model as it is: how unusual the image is"


def test_a_model_that_never_denoised_is_named(pictures: Path, tmp_path: Path) -> None:
    model = random_model(tmp_path, dims=2, spacing=1.0, objective="supervised")
    settings = {"input": pictures, "model": model, "output_dir": tmp_path / "masks", "progress_bar": False}
    error = predict(**settings, test_time_updates=3)
    assert isinstance(error, ConfigError) and "leave --test-time-updates out" in str(error)
    assert not (tmp_path / "masks/quality.csv").exists()
    assert predict(**settings) is None and "test_time" not in quality(tmp_path / "masks")["p0"]
