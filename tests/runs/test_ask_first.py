"""A run that may not go on is refused before it writes: log, curves, transfer and drawn cases stay as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError, DataError, HybridError
from monai_hybrid.few_shot.shots import draw_shots
from monai_hybrid.runs import ask_first
from monai_hybrid.runs.checkpoint import save_checkpoint
from monai_hybrid.runs.same_run import describe_cases, flat
from monai_hybrid.weights import checksum, load_weights

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.fixture
def run(tmp_path: Path) -> dict[str, Any]:
    """The arguments of the step, for a run that has a checkpoint."""
    (tmp_path / "a.png").write_bytes(b"image")
    torch.save({"w": torch.zeros(2)}, tmp_path / "model.pt")
    cases = [{"case_id": "a", "image": str(tmp_path / "a.png")}]
    state = {"update": 2, "cases": describe_cases(cases), "plan": flat({"spacing": [1, 1]})}
    save_checkpoint({**state, "model": checksum(load_weights(tmp_path / "model.pt"))}, tmp_path / "run/checkpoints")
    given = {"cases": cases, "plan": {"spacing": [1, 1]}, "model": str(tmp_path / "model.pt")}
    return {"output_dir": str(tmp_path / "run"), "resume": True, **given}


def test_the_same_run_goes_on_and_a_new_one_is_not_asked(run: dict[str, Any]) -> None:
    ask_first(**run)
    ask_first(**run | {"resume": False, "cases": [], "model": None})
    ask_first(**run | {"output_dir": f"{run['output_dir']}_of_nobody", "cases": []})


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ("image", DataError, "with other files: a"),
        ("case", DataError, "gone: a; new: b"),
        ("plan", ConfigError, r"plan#spacing: \[1, 1\] -> \[2, 2\]"),
        ("model", ConfigError, "was made with another model"),
        ("model and case", DataError, "gone: a; new: b"),
    ],
)
def test_another_run_is_refused(change: str, error: type[HybridError], told: str, run: dict[str, Any], tmp_path: Path) -> None:
    if change == "image":
        (tmp_path / "a.png").write_bytes(b"another")
    if change.startswith("model"):
        torch.save({"w": torch.ones(2)}, tmp_path / "model.pt")
    another = {"cases": [{"case_id": "b"}]}
    other = {"case": another, "model and case": another, "plan": {"plan": {"spacing": [2, 2]}}}.get(change, {})
    with pytest.raises(error, match=told):
        ask_first(**run | other)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoints"]


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_each_training_asks_for_the_cases_that_it_trains_with(bundle: str) -> None:
    train = json.loads((BUNDLES / bundle / "configs/train.json").read_text())
    parts = (train["train"]["dataset"]["data"], train["checkpoint"]["plan"], train["checkpoint"]["model"])
    cases, plan, model = (text.removeprefix("$") for text in parts)
    assert train["run"][0] == f"$runs.ask_first(@output_dir, @resume, {cases}, {plan}, {model})"


def test_a_run_that_goes_on_keeps_the_record_of_its_cases(tmp_path: Path) -> None:
    cases = [{"case_id": name, "patient": name, "label": "l"} for name in "ab"]
    draw_shots(cases, 1, 0, str(tmp_path))
    record = (tmp_path / "shots.json").read_text()
    draw_shots(cases, 2, 0, str(tmp_path))
    assert (tmp_path / "shots.json").read_text() != record, "without a checkpoint it is a new run"
    (tmp_path / "shots.json").write_text(record)
    save_checkpoint({"update": 1}, tmp_path / "checkpoints")
    draw_shots(cases, 2, 0, str(tmp_path))
    assert (tmp_path / "shots.json").read_text() == record
