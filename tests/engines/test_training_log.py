"""The training log: one JSON object an epoch, the curve over t in exact bins, scalars for TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_samples import Watch, make_trainer, square
from hypothesis import given
from hypothesis import strategies as st
from ignite.engine import Events

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import TrainingLog
from monai_hybrid.engines.training_log import MaskLossByTime
from monai_hybrid.losses import HybridLoss
from monai_hybrid.losses.hybrid import LossTerms

BINS = ["clean", "000-100", "100-200", "200-300", "300-400", "400-500", "500-600", "600-700", "700-800", "800-900", "900-1000"]


class Writer:
    """Notes what TensorBoard would get."""

    def __init__(self) -> None:
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        pass

    def steps(self, name: str) -> list[int]:
        return [step for n, _, step in self.scalars if n == name]


def strict_json(line: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(line, parse_constant=refuse)


def run(
    folder: Path, objective: str = "hybrid", writer: Any = None, validator: Any = None, rank: int = 0
) -> list[dict[str, float]]:
    """Two epochs of three updates; returns the loss terms of each update."""
    torch.manual_seed(0)
    loss = HybridLoss(NoiseSchedule(100), prediction_type="v")
    seen: list[dict[str, float]] = []

    def note(engine: Any) -> None:
        terms = {"loss": engine.state.output["loss"].detach(), "image": loss.terms.image, "mask_clean": loss.terms.mask_clean}
        seen.append({name: float(value) for name, value in terms.items() if value is not None})
        if validator is not None:
            validator.state.epoch = 1  # validation after the first epoch only

    log = TrainingLog(loss, writer, str(folder), ["background", "square"], validator, interval=2, rank=rank)
    watch = Watch(Events.ITERATION_COMPLETED, note)
    make_trainer([square(i) for i in range(12)], [watch, log], objective, epochs=2, loss_function=loss).run()
    return seen


def test_history_holds_the_means_of_each_epoch(tmp_path: Path) -> None:
    seen = run(tmp_path / "logs")
    records = [strict_json(line) for line in (tmp_path / "logs" / "history.jsonl").read_text().splitlines()]
    assert [(r["epoch"], r["updates"]) for r in records] == [(1, 3), (2, 6)]
    for record, updates in zip(records, (seen[:3], seen[3:]), strict=True):
        for name in ("loss", "image", "mask_clean"):
            assert record[name] == pytest.approx(sum(u[name] for u in updates) / 3)
        assert list(record["mask_loss_by_t"])[:3] == ["clean", "000-010", "010-020"] and len(record["mask_loss_by_t"]) == 11
        assert record["mask_loss_by_t"]["clean"] > 0 and "val_dice" not in record


def test_terms_that_an_arm_lacks_are_left_out(tmp_path: Path) -> None:
    run(tmp_path, "supervised")
    for line in (tmp_path / "history.jsonl").read_text().splitlines():
        record = strict_json(line)
        assert {"loss", "mask_clean"} <= record.keys() and not {"image", "mask_noisy"} & record.keys()
        assert {name for name, value in record["mask_loss_by_t"].items() if value is not None} == {"clean"}


@pytest.mark.parametrize("per_class", [0.75, torch.tensor([0.75])])
def test_validation_is_written_for_the_epoch_that_had_one(tmp_path: Path, per_class: Any) -> None:
    metrics = {"val_mean_dice": 0.75, "val_dice_per_class": per_class}
    writer, validator = Writer(), SimpleNamespace(state=SimpleNamespace(epoch=0, metrics=metrics))
    run(tmp_path, writer=writer, validator=validator)
    first, second = (strict_json(line) for line in (tmp_path / "history.jsonl").read_text().splitlines())
    assert first["val_mean_dice"] == 0.75 and first["val_dice"] == {"square": 0.75}
    assert "val_mean_dice" not in second
    assert ("validation/dice_square", 0.75, 1) in writer.scalars and writer.steps("validation/mean_dice") == [1]


def test_scalars_come_at_their_interval(tmp_path: Path) -> None:
    writer = Writer()
    seen = run(tmp_path, writer=writer)
    assert writer.steps("train/loss") == [2, 4, 6] == writer.steps("train/learning_rate")
    values = {step: value for name, value, step in writer.scalars if name == "train/loss"}
    assert values == pytest.approx({step: seen[step - 1]["loss"] for step in (2, 4, 6)})
    assert writer.steps("mask_loss_by_t/clean") == [3, 6]


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    run(tmp_path / "other", rank=1)
    assert not (tmp_path / "other").exists()
    run(tmp_path / "first", rank=0)
    assert (tmp_path / "first" / "history.jsonl").is_file()


@pytest.mark.parametrize(
    ("t", "bin_index"), [(0, 0), (1, 1), (100, 1), (101, 2), (200, 2), (201, 3), (900, 9), (901, 10), (1000, 10)]
)
def test_bins_are_exact_at_their_edges(t: int, bin_index: int) -> None:
    curve = MaskLossByTime(1000)
    curve.add(torch.tensor([t]), torch.tensor([0.5]))
    assert curve.means() == {**dict.fromkeys(BINS), BINS[bin_index]: 0.5}


@given(num_timesteps=st.integers(1, 1500), data=st.data())
def test_every_t_falls_into_the_bin_that_names_it(num_timesteps: int, data: st.DataObject) -> None:
    t = data.draw(st.integers(0, num_timesteps))
    curve = MaskLossByTime(num_timesteps)
    curve.add(torch.tensor([t]), torch.tensor([2.0]))
    filled = [name for name, value in curve.means().items() if value is not None]
    assert len(filled) == 1
    if t == 0:
        assert filled == ["clean"]
    else:
        low, high = map(int, filled[0].split("-"))
        assert low < t <= high


def test_the_curve_is_a_mean_over_batches() -> None:
    curve = MaskLossByTime(1000)
    assert curve.means() == dict.fromkeys(BINS)
    curve.add(torch.tensor([0, 50, 150]), torch.tensor([1.0, 2.0, 8.0]))
    curve.add(torch.tensor([0, 0, 60]), torch.tensor([2.0, 6.0, 4.0]))
    assert curve.means() == {**dict.fromkeys(BINS), "clean": 3.0, "000-100": 3.0, "100-200": 8.0}


class Far(torch.Tensor):
    """Stands for a tensor of a GPU: it is joined with none of the processor."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.stack, torch.cat) and not all(isinstance(part, cls) for part in args[0]):
            raise RuntimeError("Expected all tensors to be on the same device")
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **(kwargs or {}))
        return result.as_subclass(torch.Tensor) if func is torch.Tensor.cpu else result


def test_an_epoch_that_went_on_from_a_checkpoint_joins_its_halves_on_a_gpu_too(tmp_path: Path) -> None:
    log = TrainingLog(HybridLoss(NoiseSchedule(100)), None, str(tmp_path), ["background", "square"])
    log.load_state_dict({"sums": {"loss": [1.0], "image": [2.0]}, "timesteps": [[0]], "values": [[4.0]], "lines": 0})
    value, curve = torch.tensor(3.0).as_subclass(Far), torch.tensor([8.0]).as_subclass(Far)
    log.loss.terms = LossTerms(value, None, None, torch.tensor([0]), curve)
    state = SimpleNamespace(output={"loss": value}, epoch=1, iteration=2, max_epochs=1)
    log.collect(SimpleNamespace(state=state))
    log.write_epoch(SimpleNamespace(state=state))  # type: ignore[arg-type]
    record = strict_json((tmp_path / "history.jsonl").read_text())
    assert (record["loss"], record["image"], record["mask_loss_by_t"]["clean"]) == (2.0, 2.5, 6.0)
