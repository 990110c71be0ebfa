"""Mixed precision and loader processes by default: where they pay; validation folds what can be folded."""

from __future__ import annotations

import pytest
import torch

from monai_hybrid.bundle import device_defaults, loader_processes, mixed_precision_pays, validation_network
from monai_hybrid.networks import FoldedSegmenter, HybridDiffusionUNet


@pytest.mark.parametrize("native", [torch.bfloat16, torch.float32])
def test_on_a_processor_it_follows_its_instructions_and_with_cuda_it_is_on(
    monkeypatch: pytest.MonkeyPatch, native: torch.dtype
) -> None:
    monkeypatch.setattr(device_defaults, "fastest_dtype", lambda _device: native)
    assert mixed_precision_pays(torch.device("cpu")) is (native == torch.bfloat16)
    assert mixed_precision_pays(torch.device("cuda")) is True
    assert mixed_precision_pays("cpu") is (native == torch.bfloat16) and mixed_precision_pays("cuda:1") is True


@pytest.mark.parametrize(
    ("cores", "trainings", "expected"), [(16, None, 6), (4, None, 3), (1, None, 0), (96, "8", 6), (16, "8", 1), (8, "8", 0)]
)
def test_loader_processes_are_for_a_gpu_and_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, trainings: str | None, expected: int
) -> None:
    monkeypatch.setattr(device_defaults.os, "sched_getaffinity", lambda _pid: set(range(cores)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if trainings:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", trainings)
    assert loader_processes(torch.device("cuda")) == expected
    assert loader_processes(torch.device("cpu")) == loader_processes("cpu") == 0


def test_validation_runs_the_folded_network_and_any_other_as_it_is() -> None:
    network = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8)
    for mixed, dtype in ((True, "auto"), (False, "float32")):
        made = validation_network(network, mixed)
        assert isinstance(made, FoldedSegmenter) and made.network is network and made.dtype == dtype
    other = torch.nn.Conv2d(1, 2, 1)
    assert validation_network(other, True) is other


def test_validation_takes_scans_for_those_of_a_domain() -> None:
    network = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8, num_domains=2)
    assert [validation_network(network, False, domain).network.domain for domain in (None, 0)] == [1, 0]
    plain = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8)
    assert validation_network(plain, False, 0).network is plain
