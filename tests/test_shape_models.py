"""A model of random shapes that was not adapted says so, wherever it is used; an adapted one says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.errors import DataError
from monai_hybrid.bundle.labels import values_by_name
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.prediction import PredictionDataset, QualityTable
from monai_hybrid.shape_models import REMARK, warning

LABELS = [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 1, "name": "blob"}]
TARGET = {"labels": [LABELS[0], {"index": 1, "value": 1, "name": "heart"}, {"index": 2, "value": 2, "name": "lung"}]}
ADAPT = (
    "Adapt it first, with your data set for TARGET: "
    "monai-hybrid adapt --data TARGET --model m.pt --shots 3 --output runs/adapted"
)


def card(universal: bool) -> dict[str, Any]:
    return {"labels": LABELS, "plan": {"universal": universal}, "channels": ["image"], "spatial_dims": 3}


def test_the_sentence_names_the_classes_and_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where `runs/adapted` is free
    said = warning(card(True), "m.pt")
    assert said == f"m.pt: was pretrained on random shapes, and its classes (blob) are no structures of a body. {ADAPT}"
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(tmp_path))
    for ending in ("safetensors", "json"):
        (tmp_path / f"universal_2d.{ending}").touch()
    named = warning(card(True), str(tmp_path / "universal_2d.safetensors"))  # a model of the package, by its name
    assert named == said.replace("m.pt", "universal_2d")
    assert warning(card(False), "m.pt") == warning({"labels": LABELS}, "m.pt") == warning({"plan": None}, "m.pt") == ""


@pytest.mark.parametrize("universal", [True, False])
def test_a_prediction_warns_and_flags_each_mask(universal: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import nibabel as nib
    import torch

    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 99, (8, 8, 8)).astype(np.int16), np.eye(4))
    image.header.set_xyzt_units("mm")
    image.to_filename(tmp_path / "a.nii.gz")
    (tmp_path / "m.pt").write_bytes(b"weights")
    table = QualityTable(str(tmp_path / "out"), LABELS, str(tmp_path / "m.pt"))
    table.open()
    cases = [{"image": str(tmp_path / "a.nii.gz"), "case_id": "a"}]
    dataset = PredictionDataset(cases, lambda d: {**d, "image": torch.zeros(1, 8, 8, 8)}, table, card(universal))
    assert (REMARK in dataset[0]["remarks"]) == ("pretrained on random shapes" in caplog.text) == universal


def test_an_evaluation_is_refused_with_the_adaptation_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.pt").write_bytes(b"weights")
    with pytest.raises(DataError, match=r"m\.pt: was pretrained on random shapes, .* Adapt it first"):
        values_by_name(card(True), TARGET, "m.pt")
    assert values_by_name(card(True), {"labels": LABELS}, "m.pt") == [0, 1], "scored on shapes themselves"


def test_a_copy_within_the_bundle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai_hybrid.errors import ConfigError

    (tmp_path / "bundle/configs").mkdir(parents=True)
    monkeypatch.setattr("monai_hybrid.bundle_copy.bundle_folder", lambda _: tmp_path / "bundle")
    for place in ("bundle/configs/new", "bundle/new"):
        with pytest.raises(
            ConfigError, match=r"lies in the bundle that is copied, .* Type: monai-hybrid bundle copy \./bundle_copy"
        ):
            copy_bundle(tmp_path / place)
    assert sorted(path.name for path in (tmp_path / "bundle").rglob("*")) == ["configs"]


def test_a_sampling_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from torch import nn

    from monai_hybrid.bundle import sample
    from monai_hybrid.diffusion.noising import NoiseSchedule

    monkeypatch.setattr(sample, "with_pretrained", lambda network, _: network)
    monkeypatch.setattr(sample.PairSampler, "_write", lambda *_: None)
    sample.PairSampler(nn.Identity(), "m.pt", card(True), NoiseSchedule(10), str(tmp_path)).run(0, 2, "ode", 0, 1)
    assert ADAPT in caplog.text


def test_an_export_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from types import SimpleNamespace

    from monai_hybrid.exporting import write

    monkeypatch.setattr(write, "load_model", lambda _: SimpleNamespace(card=card(True)))
    with pytest.raises(KeyError, match="training"):  # all that the made-up card lacks comes after the warning
        write.export_model(Path("m.pt"), tmp_path / "x.ts")
    assert ADAPT in caplog.text


def test_an_export_never_replaces_the_model(tmp_path: Path) -> None:
    from monai_hybrid.errors import ConfigError
    from monai_hybrid.exporting.write import export_model

    model = tmp_path / "model.ts"
    model.write_bytes(b"weights")
    with pytest.raises(ConfigError, match="it is the model itself, which is kept"):
        export_model(model, model, overwrite=True)
    assert model.read_bytes() == b"weights"
