"""The measurements of distilled models and of whole predictions: that they say what they measured."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.speed import pipeline, pipeline_stages, student
from benchmarks.speed.networks import NotInstalled, Peer
from monai_hybrid.model_card import check_complete
from monai_hybrid.weights import read_card

OWN = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 8}
CARD: dict[str, Any] = {
    "spatial_dims": 2, "channels": ["image"], "labels": [{}, {}], "network": {**OWN, "num_head_channels": 8},
    "training": {"patch_size": [20, 20]},
}  # fmt: skip


def test_every_network_is_timed_on_a_window_that_all_can_take() -> None:
    found = student.times(SimpleNamespace(patch=None, repetitions=1), CARD)  # type: ignore[arg-type]
    by_name = {row["network"]: row for row in found}
    assert by_name[student.STOCK]["of_stock"] == by_name[student.OWN]["of_teacher"] == 1
    assert {"width 16, folded, float32", student.UNET} <= set(by_name) and found[0]["patch"] == [32, 32]
    assert by_name["width 8, folded, float32"]["gflop"] < by_name["width 32, folded, float32"]["gflop"]


@pytest.mark.parametrize("name", list(student.PEERS))
def test_a_peer_is_called_like_the_projects_network(name: str) -> None:
    try:
        network, x = Peer(name, 2, 2, 3).eval(), torch.rand(1, 2, 32, 32)
    except NotInstalled as error:
        pytest.skip(str(error))
    both = network(x, torch.zeros(1), return_noise=True)
    assert both.shape == (1, 5, 32, 32) and both[:, :2].abs().sum() == 0 and torch.equal(both[:, 2:], network(x))


def test_a_peer_learns_from_the_labels_at_the_teachers_spacing_on_patches_that_it_can_halve(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(student.mh, "pretrain", lambda data, folder, **settings: asked.update(settings))
    monkeypatch.setattr(student, "_scored", lambda args, model, folder, network: None)
    monkeypatch.setattr(student, "_against", lambda teacher, folder: {"dice": 0.5, "of": folder.parent.name})
    monkeypatch.setattr(student, "model_file", str)
    args: Any = SimpleNamespace(output=tmp_path, model="m", data="d", peers=[student.UNET], updates=7, set=["amp=False"])
    training = {"patch_size": [20, 33], "spacing": [2, 2], "batch_size": 3}
    (row,) = student.labels(args, {**CARD, "training": training})
    assert row == {"student": "MONAI UNet, from labels", "dice": 0.5, "of": "labels_MONAI_UNet"}
    assert asked["objective"] == "supervised" and asked["patch_size"] == [32, 48] and asked["spacing"] == [2, 2]
    assert (asked["updates"], asked["batch_size"], asked["amp"]) == (7, 3, "False")
    assert asked["network_def"]["name"] == student.UNET and "teacher" not in asked


def test_the_table_of_students() -> None:
    row = {"student": "width 16", "cases": 9, "dice": 0.9, "teacher": 0.91, "difference": -0.01, "interval": (-0.02, 0.005)}
    told = student.text({"machine": {"threads": 1}, "dice": [row]})
    assert "| width 16 | 9 | 0.9000 | 0.9100 | -0.0100 [-0.0200, +0.0050] |" in told


def test_inner_stages_count_once() -> None:
    stages = pipeline_stages.Stages()
    network = stages.watched("network", lambda: _compute(0.05))
    windows = stages.watched("windows", lambda: (_compute(0.02), network()))
    windows()
    assert stages.seconds["network"] >= 0.05 and 0.02 <= stages.seconds["windows"] < 0.05


def _compute(seconds: float) -> None:
    until = time.thread_time() + seconds  # the clock of the stages: of the process, other threads would end it early
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize(("shape", "suffix"), [((8, 8, 8), ".nii.gz"), ((8, 8), ".png")])
def test_the_made_up_images_and_their_model(shape: tuple[int, ...], suffix: str, tmp_path: Path) -> None:
    images = pipeline.Images(2, shape, 1.5, 16)
    pipeline.make_images(images, tmp_path / "images")
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == [f"case_000{suffix}", f"case_001{suffix}"]
    card = read_card(pipeline.make_model(images, tmp_path / "model"))
    assert card is not None and card["training"]["spacing"] == [1.5] * len(shape)
    check_complete("model", card)


def test_the_table_of_stages() -> None:
    one = {
        "images": 3,
        "shape": [8, 8],
        "wall": 9.0,
        "processor": 7.5,
        "stages": {"files: read again": 0.6, "network": 3.0, "the rest": 0.4},
        "waited": 3.5,
    }
    told = pipeline.text({"machine": {"threads": 1}, "sets": {"slices": one}})
    assert "## slices: 3 of 8 x 8" in told and "7.5 processor seconds, 9.0 on the wall" in told
    assert "| network | 3.00 | 75% |" in told and "| all | 4.00 | |" in told
    assert "| of it in the main thread, without the network | 0.50 | 14% of its seconds |" in told
    assert "| of it beside the main thread | 0.50 | |" in told
    assert "| of that the first image's reading and the last mask's writing, which are waited for | 0.20 | |" in told
