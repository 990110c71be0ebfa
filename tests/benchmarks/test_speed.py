"""The speed comparison: that it measures what it says, and that every row runs."""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.speed import __main__ as command
from benchmarks.speed import measure, networks, parts
from benchmarks.speed.processor import processor
from benchmarks.speed.report import text
from monai_hybrid.networks.number_types import processor_has_bfloat16

CPU = torch.device("cpu")


def test_actions_are_timed_in_turn_after_a_warm_up() -> None:
    calls: list[str] = []
    actions = {"slow": lambda: (calls.append("slow"), time.sleep(0.02)), "fast": lambda: calls.append("fast")}
    timings = measure.Stopwatch(CPU, 2).interleaved(actions)
    assert calls == ["slow", "fast"] * 3
    assert timings["slow"].seconds > 0.02 > timings["fast"].seconds
    calls.clear()
    measure.Stopwatch(CPU, 1).interleaved(actions, warm_up=False)
    assert calls == ["slow", "fast"]


def test_the_process_clock_does_not_count_waiting() -> None:
    timing = measure.Stopwatch(CPU, 1, "process").interleaved({"wait": lambda: time.sleep(0.05)})["wait"]
    assert timing.seconds < 0.02


def test_the_median_and_the_spread() -> None:
    timing = measure._timing([1.0, 2.0, 3.0, 4.0, 100.0])
    assert timing.seconds == 3.0
    assert timing.spread == pytest.approx((4 - 2) / 2 / 3)


def test_flops_of_a_convolution() -> None:
    x, weight = torch.randn(2, 3, 8, 8, 8), torch.randn(5, 3, 3, 3, 3)
    flops = 2 * 2 * 5 * 8**3 * 3 * 27
    assert measure.count_flops(lambda: torch.conv3d(x, weight, padding=1)) == flops
    onednn = partial(torch.mkldnn_convolution, x, weight, None, [1] * 3, [1] * 3, [1] * 3, 1)
    assert measure.count_flops(onednn) == flops


def test_peak_memory_counts_what_is_alive_together_and_no_inputs() -> None:
    x = torch.zeros(1000)

    def two_at_once() -> Tensor:
        a = x + 1
        return a + 1

    def one_at_a_time() -> Tensor:
        return (x + 1).mul_(2).view(10, 100)

    assert measure.peak_bytes(two_at_once, CPU) == 8000
    assert measure.peak_bytes(one_at_a_time, CPU) == 4000
    assert measure.peak_bytes(lambda: x.mul_(2), CPU) == 0


def test_the_peak_is_the_better_of_two_layouts() -> None:
    assert measure.convolution_peak(measure.Stopwatch(CPU, 1), torch.float32, quick=True) > 1e9


@pytest.mark.parametrize("row", networks.OURS, ids=lambda row: row.name)
def test_ours_segments_a_patch(row: networks.Row) -> None:
    with torch.no_grad():
        assert row.segmenter(CPU)(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 3, 8, 8, 8)


def test_a_peer_that_is_not_installed_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures", None)
    monkeypatch.setitem(sys.modules, "dynamic_network_architectures.architectures", None)
    with pytest.raises(networks.NotInstalled, match="pip install dynamic-network-architectures"):
        networks.nnunet("plain")
    wanted = (networks.STOCK, "nnU-Net PlainConv")
    monkeypatch.setattr(parts, "ROWS", [row for row in networks.ROWS if row.name in wanted])
    small = parts.Sizes((8, 8, 8), ((8, 8, 16),), (8, 8, 8), (1,))
    results = parts.forward(measure.Stopwatch(CPU, 1), small, {torch.float32: 1e12})
    assert [result["name"] for result in results] == list(wanted)
    assert results[0]["ratio"] == 1 and results[0]["gflop"] > 0.1
    assert results[1] == {"name": "nnU-Net PlainConv", "missing": "pip install dynamic-network-architectures"}
    assert "| nnU-Net PlainConv | not installed (pip install dynamic-network-architectures) | - |" in text(
        {"machine": {}, "forward": results}
    )


@pytest.mark.long
def test_the_command_measures_every_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "QUICK", parts.Sizes((8, 8, 8), ((8, 8, 16),), (8, 8, 8), (1, 2)))
    fast = "ours, folded, bfloat16" if processor_has_bfloat16() else "ours, folded"
    wanted = (networks.STOCK, fast, "ours, space to depth")
    monkeypatch.setattr(parts, "ROWS", [row for row in networks.ROWS if row.name in wanted])
    out = tmp_path / "speed.json"
    monkeypatch.setattr(sys, "argv", ["speed", "--quick", "--stock_allocator", "--json", str(out)])
    command.main()
    report = json.loads(out.read_text())
    names = {part: [result.get("name") for result in report[part]] for part in command.PARTS}
    assert names["forward"] == list(wanted)
    assert names["training"] == [networks.STOCK, "ours, space to depth"]
    assert names["volume"] == [f"{networks.STOCK}; windows: MONAI", f"{fast}; windows: ours"]
    assert report["volume"][0]["agreement"] == 1 and 0.9 < report["volume"][1]["agreement"] <= 1
    assert [result["steps"] for result in report["sampling"]] == [1, 2]
    stock, folded, _ = report["forward"]
    assert folded["gflop"] < stock["gflop"] and folded["megabytes"] < stock["megabytes"]
    assert 0 < stock["share_of_peak"] < 2
    assert report["machine"]["device"] == processor()
    printed = capsys.readouterr().out
    assert (
        "## Whole volumes, sliding window" in printed and "| 8 x 8 x 16, ours, stock form; windows: MONAI | 1.000 |" in printed
    )


@pytest.mark.slow
def test_every_row_runs_and_trains() -> None:
    stopwatch = measure.Stopwatch(CPU, 1)
    peaks = dict.fromkeys((torch.float32, torch.bfloat16), 1e12)
    for part in (parts.forward, parts.training):
        results = part(stopwatch, parts.QUICK, peaks)
        assert all("missing" in result or result["seconds"] > 0 for result in results)
        assert len(results) == len(networks.ROWS if part is parts.forward else parts.TRAINED)
