"""Values that no run can use end in one line; those that it can use are let through."""

from __future__ import annotations

import logging
import os
import re
from typing import Any

import pytest
import torch

from monai_hybrid.bundle.setting_values import check_patch, check_value
from monai_hybrid.bundle.start import known_settings
from monai_hybrid.errors import ConfigError, EnvironmentFault


@pytest.mark.parametrize(
    ("name", "wrong", "right", "expected"),
    [
        ("learning_rate", -0.1, 1e-4, "a number > 0"),
        ("learning_rate", 0, 1, "a number > 0"),
        ("learning_rate", float("nan"), 0.5, "a number > 0"),
        ("weight_decay", -1, 0, "a number >= 0"),
        ("gradient_clip", -1.0, 0, "a number >= 0"),
        ("max_epochs", 0, 1, "a whole number >= 1"),
        ("batch_size", 1.5, 2.0, "a whole number >= 1"),
        ("batch_size", "two", 2, "a whole number >= 1"),
        ("batch_size", True, 1, "a whole number >= 1"),
        ("num_workers", -1, 0, "a whole number >= 0"),
        ("ema_decay", 1, 0.999, "a number > 0 and < 1"),
        ("ema_decay", 0, 0.001, "a number > 0 and < 1"),
        ("overlap", 1.0, 0, "a number >= 0 and < 1"),
        ("cache_rate", 3, 1.0, "a number from 0 to 1"),
        ("labelled_share", 0, 0.5, "a number > 0 and <= 1"),
        ("patch_size", 32, [32, 32], "2 or 3 whole numbers of voxels > 0, such as --patch_size"),
        ("patch_size", [32, 0], (32, 8), "2 or 3 whole numbers of voxels > 0, such as --patch_size"),
        ("patch_size", [32.5, 32], [16, 16, 16], "2 or 3 whole numbers of voxels > 0"),
        ("patch_size", [16] * 4, [16] * 3, "2 or 3 whole numbers of voxels > 0"),
        ("spacing", [1, -1], [1, 0.5], '2 or 3 distances in mm > 0, such as --spacing "[1.5,1,1]"'),
        ("device", "warp", "cpu", "cpu, cuda or cuda:0"),
        ("device", [1], "cpu", "cpu, cuda or cuda:0"),
    ],
)
def test_a_value_out_of_range_is_refused_and_its_neighbour_taken(name: str, wrong: Any, right: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"--{name}: got {wrong!r}, expected {expected}")):
        check_value(name, wrong)
    check_value(name, right)
    check_value(name, None)
    check_value(name, "$1 - 2")


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_every_default_is_in_its_range(name: str, pytestconfig: pytest.Config) -> None:
    bundles = pytestconfig.rootpath / "bundles"
    for setting, default in known_settings(bundles / name, []).items():
        check_value(setting, default)


def test_a_gpu_that_is_not_there_is_a_fault_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(EnvironmentFault, match=r"--device cuda: torch .* sees 0 CUDA devices here .*, or give cpu"):
        check_value("device", "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_value("device", "cuda")
    with pytest.raises(EnvironmentFault, match=r"--device cuda:1: torch .* sees 1 CUDA devices here"):
        check_value("device", "cuda:1")


def test_more_loader_processes_than_processors_are_taken_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with caplog.at_level(logging.WARNING):
        check_value("num_workers", 2)
        assert caplog.text == ""
        check_value("num_workers", 99)
    assert "--num_workers 99: this machine has 2 processors" in caplog.text


@pytest.mark.parametrize(
    ("patch", "dims", "network", "message"),
    [
        ([30, 32], 2, {"channels": [8] * 4}, r"got \[30, 32\], expected multiples of 8 \(the network has 4 levels\)"),
        (
            [24, 24],
            2,
            {"channels": [8] * 4, "stem": "space_to_depth"},
            r"expected multiples of 16 .*type --patch_size \[32,32\]",
        ),
        ([32, 32], 3, {"channels": [8] * 4}, r"got \[32, 32\], expected 3 numbers: the data are 3D"),
    ],
)
def test_a_patch_that_the_network_cannot_halve_is_refused_with_the_next_that_fits(
    patch: list[int], dims: int, network: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_patch(patch, dims, network)
    check_patch([32] * dims, dims, network)


@pytest.mark.parametrize(
    ("patch", "network", "larger"),
    [
        ([4, 4, 4], {"channels": [8, 8, 8], "norm_num_groups": 8}, "[8,4,4]"),
        ([4, 4], {"channels": [16, 8], "norm_num_groups": 8, "stem": "space_to_depth"}, "[8,4]"),
    ],
)
def test_a_patch_of_which_one_value_a_group_is_left_is_refused(patch: list[int], network: dict[str, Any], larger: str) -> None:
    with pytest.raises(
        ConfigError,
        match=re.escape(f"leave one voxel, with one channel a group: its norm makes 0 of each. Type --patch_size {larger}"),
    ):
        check_patch(patch, len(patch), network)
    check_patch([2 * patch[0], *patch[1:]], len(patch), network)
    check_patch(patch, len(patch), {**network, "channels": [16] * len(network["channels"])})


def test_a_patch_that_no_memory_holds_is_refused_with_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the image is: a smaller one is filled up to the patch."""
    monkeypatch.setattr("monai_hybrid.bundle.setting_values.machine_memory", lambda: 16 * 2**30)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    network = {"channels": [16, 32, 64]}
    said = (
        r"got \[1024, 1024, 1024\], which takes about 640 GB, and the machine has 16 GB. Type --patch_size \[256,256,256\], or"
    )
    with pytest.raises(ConfigError, match=said):
        check_patch([1024] * 3, 3, network, "auto")
    check_patch([256] * 3, 3, network, "auto")
    check_patch([320] * 3, 3, network, "bfloat16")
    with pytest.raises(ConfigError, match=r"takes about 20 GB"):
        check_patch([320] * 3, 3, network, "float32")
    check_patch([512] * 3, 3, {**network, "stem": "space_to_depth"}, "float32")  # it works on a grid of half the edge
    with pytest.raises(ConfigError, match=r"takes about 6144 GB"):
        check_patch([131072, 131072], 2, network)
    monkeypatch.setattr("monai_hybrid.bundle.setting_values.machine_memory", lambda: None)
    check_patch([1024] * 3, 3, network, "auto")
