"""Predictions that read and write beside computing: the files of one case after another, also when it ends early."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from prediction_runs import predict, quality, threshold_model

from data_prep.interrupts import Ended
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.prediction import engine
from monai_hybrid.prediction.engine import Predictor
from monai_hybrid.prediction.masks import SaveMasksd


class OneAfterAnother:
    """In the place of `Ahead` and `Behind`: everything when it is asked for."""

    def __init__(self, items: Any = ()) -> None:
        self.items = items

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def do(self, task: Callable[[], None]) -> None:
        task()

    def wait(self) -> None:
        return None


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "in").mkdir()
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 16)] * 3, indexing="ij"))
    for number, name in enumerate("abcd"):
        values = np.roll(1.4 - np.sqrt((grid**2).sum(0)), number, axis=0).astype(np.float32)
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"in/{name}.nii.gz")
    (tmp_path / "in/b.nii.gz").write_bytes(b"")
    return {"input": tmp_path / "in", "output_dir": tmp_path / "out", **threshold_model(tmp_path / "model")}


def files(folder: Path) -> dict[str, bytes]:
    """Everything that a prediction of these images leaves, but for its record."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name not in ("run.json", ".run.lock")
    }


def test_the_files_are_those_of_one_case_after_another(settings: dict[str, Any], tmp_path: Path, monkeypatch: Any) -> None:
    more = {"statistics": True, "preview": True, "save_entropy": True}
    assert "1 of 4 cases failed" in str(predict(**settings | more))
    monkeypatch.setattr(engine, "Ahead", OneAfterAnother)
    monkeypatch.setattr(engine, "Behind", OneAfterAnother)
    assert "1 of 4 cases failed" in str(predict(**settings | more | {"output_dir": tmp_path / "plain"}))
    beside, plain = files(tmp_path / "out"), files(tmp_path / "plain")
    assert "c_preview.png" in beside and "statistics.csv" in beside
    assert {name for name in beside.keys() | plain.keys() if beside.get(name) != plain.get(name)} == set()
    rows = quality(tmp_path / "out").values()
    assert [row["status"] for row in rows] == ["done", "failed", "done", "done"]
    assert all(row["image_digest"] for row in rows if row["status"] == "done")  # the list of cases is still known


def test_masks_are_written_in_another_thread_than_they_are_computed(settings: dict[str, Any], monkeypatch: Any) -> None:
    threads: list[tuple[str, str]] = []

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            threads.append((name, threading.current_thread().name))
            return function(*given)

        return call

    monkeypatch.setattr(SaveMasksd, "__call__", watched("write", SaveMasksd.__call__))
    monkeypatch.setattr(Predictor, "_predict", watched("compute", Predictor._predict))
    predict(**settings)
    assert set(threads) == {("write", "write_0"), ("compute", threading.main_thread().name)} and len(threads) == 6


def test_a_mask_that_cannot_be_written_ends_the_run_with_its_case(settings: dict[str, Any], monkeypatch: Any) -> None:
    written = SaveMasksd.__call__

    def full(self: SaveMasksd, data: Any) -> Any:
        if data["case_id"] == "c":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, data)

    monkeypatch.setattr(SaveMasksd, "__call__", full)
    error = predict(**settings)
    assert isinstance(error, EnvironmentFault) and str(error).startswith("case c: "), error
    assert {name: row["status"] for name, row in quality(settings["output_dir"]).items()} == {"a": "done", "b": "failed"}
    assert [path.name for path in settings["output_dir"].glob("*.nii.gz")] == ["a_seg.nii.gz"]


def test_a_signal_while_a_mask_is_written_leaves_mask_and_row(settings: dict[str, Any], monkeypatch: Any) -> None:
    computed, written = Predictor._predict, SaveMasksd.__call__

    def stopped(self: Predictor, batch: Any) -> Any:
        if batch["case_id"][0] == "c":
            raise Ended(15)
        return computed(self, batch)

    def slow(self: SaveMasksd, data: Any) -> Any:
        time.sleep(0.3)
        return written(self, data)

    monkeypatch.setattr(Predictor, "_predict", stopped)
    monkeypatch.setattr(SaveMasksd, "__call__", slow)
    (settings["input"] / "b.nii.gz").unlink()
    before = threading.active_count()
    with pytest.raises(Ended):
        predict(**settings)
    assert {name: row["status"] for name, row in quality(settings["output_dir"]).items()} == {"a": "done"}
    assert [path.name for path in settings["output_dir"].glob("*.nii.gz")] == ["a_seg.nii.gz"]
    assert threading.active_count() == before and not list(settings["output_dir"].glob(".*.tmp"))
