"""What makes a training fast changes nothing but its time: validation folded, cases not copied, bfloat16 with its switches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import BUNDLE, ROOT, TINY
from monai.bundle import ConfigWorkflow

from monai_hybrid.bundle import mixed_precision_pays
from monai_hybrid.networks import FoldedSegmenter

SETTINGS = {**TINY, "patch_size": [16, 16, 16], "spacing": [4, 4, 4], "picture_interval": 0, "checkpoint_interval": 0}


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def workflow(prepared: Path, out: Path, **settings: Any) -> ConfigWorkflow:
    """A training in this process, ready to run."""
    given = {**SETTINGS, **settings, "dataset_dir": str(prepared), "output_dir": str(out), "bundle_root": str(BUNDLE)}
    made = ConfigWorkflow(str(BUNDLE / "configs/train.json"), workflow_type="train", logging_file=False, **given)
    made.initialize()
    return made


def finish(made: ConfigWorkflow) -> dict[str, torch.Tensor]:
    """Run it; the averaged weights."""
    made.run()
    made.finalize()
    weights: dict[str, torch.Tensor] = made.parser.get_parsed_content("ema").ema_model.state_dict()
    return weights


@pytest.mark.usefixtures("in_root")
def test_validation_sees_the_averaged_weights_of_now_and_augmentation_leaves_the_cached_cases(
    prepared: Path, tmp_path: Path
) -> None:
    made = workflow(prepared, tmp_path, amp=False, val_interval=1, max_epochs=2, learning_rate=0.01, warmup_updates=0)
    part = made.parser.get_parsed_content
    network, averaged = part("validate#evaluator").network, part("ema").ema_model
    assert isinstance(network, FoldedSegmenter) and network.network is averaged and network.dtype == "float32"
    assert not part("train#dataset").copy_cache
    cached = [{key: case[key].clone() for key in ("image", "label")} for case in part("train#dataset")._cache]
    x = torch.randn(1, 1, 16, 16, 16)
    before = network(x)
    finish(made)
    with torch.no_grad():
        assert torch.allclose(network(x), averaged(x), atol=1e-4) and not torch.allclose(network(x), before, atol=1e-4)
    assert all(torch.equal(a[key], b[key]) for a, b in zip(cached, part("train#dataset")._cache, strict=True) for key in a)


@pytest.mark.usefixtures("in_root")
def test_mixed_precision_follows_the_processor_and_validation_follows_it(prepared: Path, tmp_path: Path) -> None:
    made = workflow(prepared, tmp_path)
    part, pays = made.parser.get_parsed_content, mixed_precision_pays(torch.device("cpu"))
    if part("device").type == "cpu":
        assert part("amp") is pays and part("train#inferer").enabled is pays
        assert part("validate#segmenter").dtype == ("auto" if pays else "float32")
    assert part("optimizer").param_groups[0]["fused"] is True


@pytest.mark.long
@pytest.mark.usefixtures("in_root")
def test_checkpointing_and_accumulation_give_the_same_weights_in_bfloat16(prepared: Path, tmp_path: Path) -> None:
    settings = {"amp": True, "device": torch.device("cpu"), "updates_per_epoch": 4, "accumulation_steps": 2, "val_interval": 9}
    plain = finish(workflow(prepared, tmp_path / "a", **settings))
    recomputed = finish(workflow(prepared, tmp_path / "b", use_checkpointing=True, **settings))
    other = finish(workflow(prepared, tmp_path / "c", **{**settings, "accumulation_steps": 1}))
    assert all(torch.equal(plain[name], recomputed[name]) for name in plain)
    assert any(not torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.slow
@pytest.mark.usefixtures("in_root")
def test_a_compiled_training_learns_the_same_under_the_same_names(prepared: Path, tmp_path: Path) -> None:
    settings = {"amp": False, "updates_per_epoch": 3, "val_interval": 1}
    plain = finish(workflow(prepared, tmp_path / "a", **settings))
    compiled = finish(workflow(prepared, tmp_path / "b", compile=True, **settings))
    assert plain.keys() == compiled.keys()
    assert all(torch.allclose(plain[name], compiled[name], atol=1e-4) for name in plain)
