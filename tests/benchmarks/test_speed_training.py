"""The training loops that are compared: they run in turns, and differ in what the table says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import training
from benchmarks.speed.training import LOOPS, Loop, arguments, main, measure, text
from monai_hybrid.errors import EnvironmentFault

TINY = ["--cases", "6", "--rounds", "2", "--every", "1", "--quick_peak", "--set"]
SETTINGS = '{"batch_size": 2, "patch_size": [16, 16, 16], "spacing": [4, 4, 4]}'


@pytest.mark.slow  # two processes load everything for a table that no user sees; it breaks with its own code alone
def test_the_first_and_the_last_loop_train_in_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "LOOPS", (LOOPS[0], LOOPS[-1]))
    monkeypatch.setattr("sys.argv", ["training", *TINY, SETTINGS, "--json", str(tmp_path / "t.json")])
    main()
    results = json.loads((tmp_path / "t.json").read_text())
    assert [result["name"] for result in results] == [LOOPS[0].name, LOOPS[-1].name]
    for result in results:
        assert len(result["losses"]) == 2 and result["updates_per_second"] > 0 and result["validation_seconds"] > 0
        assert result["flops_per_update"] > 0 and 0 < result["share_of_peak"] < 1
    stock, ours = results
    assert ours["flops_per_update"] < stock["flops_per_update"]  # merged layers need fewer products
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("processor: ")
    assert table[3].startswith("| stock: MONAI's parts, float32, glibc's memory | 1.00 | ") and len(table) == 5


def test_a_loop_that_ends_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LOOPS", LOOPS[:1])
    args = arguments([*TINY, SETTINGS, "--dataset_dir", str(tmp_path)])
    args.clock = "sundial"
    with pytest.raises(EnvironmentFault, match=r"a training loop ended with exit code 2: .* invalid choice: 'sundial'"):
        measure(args, tmp_path)


def test_ratios_are_against_the_first_row_and_the_first_turn_does_not_count() -> None:
    def result(seconds: list[float], validation: float) -> dict[str, Any]:
        seen = [{"seconds": s, "faults": 8, "losses": [1.5, 1.5], "flops": 4e9} for s in seconds]
        return training._result(Loop("loop"), seen, {"seconds": validation, "dice": 0.5}, every=2, peak=16e9)

    slow, fast = result([90.0, 4.0, 4.0], 3.0), result([90.0, 2.0, 1.0, 1.0], 1.5)
    assert (slow["updates_per_second"], slow["faults_per_update"], len(slow["losses"])) == (0.5, 4.0, 6)
    assert text([slow, fast]).splitlines()[-1] == "| loop | 4.00 | 2.00 | 4.0 | 50% | 4 | 2.00 |"
