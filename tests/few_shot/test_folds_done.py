"""Folds of leave-one-out that a stopped run has finished are not trained again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from monai_hybrid.few_shot import stopping
from monai_hybrid.few_shot.folds_done import PART, Fold, FoldsDone, folds_of
from monai_hybrid.quality.folds import RECORD

SETTINGS = {"updates": 30, "epochs": 3}
RESULT = {"epochs": 2, "updates": 20, "dice": 0.5, "patients": {"a": [0.1, 0.5, 0.4]}}


@pytest.fixture
def cases(tmp_path: Path) -> list[dict[str, Any]]:
    for name in "ab":
        (tmp_path / f"{name}.nii").write_bytes(name.encode())
    return [{"case_id": name, "patient": name, "image": str(tmp_path / f"{name}.nii")} for name in "ab"]


def test_a_finished_fold_is_kept_and_the_record_takes_its_place(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    first = folds_of(tmp_path / "logs", cases, SETTINGS, resume=False)
    first.add("a", Fold(0.1, [0.2, 0.3, 0.4]))
    again = folds_of(tmp_path / "logs", cases, SETTINGS, resume=True)
    assert again.folds == {"a": Fold(0.1, [0.2, 0.3, 0.4])} and again.record is None
    assert folds_of(tmp_path / "logs", cases, SETTINGS, resume=False).folds == {}
    again.finish(RESULT)
    assert not (tmp_path / "logs" / PART).exists()
    record = folds_of(tmp_path / "logs", cases, SETTINGS, resume=True).record
    assert record is not None and record["epochs"] == 2


def test_folds_of_other_settings_or_images_are_trained_anew(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    folds_of(logs, cases, SETTINGS, resume=False).add("a", Fold(0.1, [0.2]))
    assert folds_of(logs, cases, {**SETTINGS, "epochs": 4}, resume=True).folds == {}
    (tmp_path / "b.nii").write_bytes(b"another image")
    other = folds_of(logs, cases, SETTINGS, resume=True)
    assert other.folds == {}
    other.finish(RESULT)
    (tmp_path / "b.nii").write_bytes(b"b")
    assert folds_of(logs, cases, SETTINGS, resume=True).record is None


def test_folds_of_other_patients_are_trained_anew(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    folds_of(tmp_path / "logs", cases, SETTINGS, resume=False).add("a", Fold(0.1, [0.2]))
    regrouped = [case | {"patient": "a"} for case in cases]
    assert folds_of(tmp_path / "logs", regrouped, SETTINGS, resume=True).folds == {}
    assert list(folds_of(tmp_path / "logs", cases, SETTINGS, resume=True).folds) == ["a"]


@pytest.mark.parametrize(
    "changed", [{"plan": {"spacing": [2.0]}}, {"dataset": {"ignore_value": 255}}, {"data": [{"case_id": "other"}]}]
)
def test_folds_of_another_plan_or_other_unlabelled_scans_are_trained_anew(
    changed: dict[str, Any], cases: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def folds(_: Any, done: FoldsDone, __: bool) -> dict[str, Any]:
        trained.extend({"a", "b"} - set(done.folds))
        for patient in "ab":
            done.add(patient, Fold(0.1, [0.2]))
        return dict(RESULT)

    def run(resume: bool, plan: Any = None, dataset: Any = None, data: Any = ()) -> None:
        content = {
            "updates": 30,
            "starting_network": torch.nn.Linear(1, 1, bias=False),
            "cases": cases,
            "origin": SimpleNamespace(plan=plan or {"spacing": [1.0]}),
            "data": SimpleNamespace(dataset=dataset or {}),
            "train#dataset": SimpleNamespace(data=[*cases, *data]),
            "output_dir": str(tmp_path),
            "resume": resume,
        }
        torch.nn.init.ones_(content["starting_network"].weight)
        monkeypatch.setattr(stopping, "_calling_parser", lambda: SimpleNamespace(get_parsed_content=content.__getitem__))
        stopping.choose_epochs("leave_one_out", SimpleNamespace(state=SimpleNamespace(max_epochs=3)))

    monkeypatch.setattr(stopping, "_folds", folds)
    run(False)
    run(True)
    assert sorted(trained) == ["a", "b"]
    run(True, **changed)
    assert sorted(trained) == ["a", "a", "b", "b"]


def test_weights_that_are_gone_are_trained_anew(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    done = folds_of(logs, cases, SETTINGS, resume=False)
    done.add("a", Fold(0.1, [0.2], "folds/fold_1.safetensors"))
    assert folds_of(logs, cases, SETTINGS, resume=True).folds == {}
    (logs / "folds").mkdir()
    (logs / "folds/fold_1.safetensors").write_bytes(b"weights")
    again = folds_of(logs, cases, SETTINGS, resume=True)
    assert again.folds["a"].file == "folds/fold_1.safetensors"
    again.finish({**RESULT, "folds": {"a": "folds/fold_1.safetensors"}})
    assert folds_of(logs, cases, SETTINGS, resume=True).record is not None
    (logs / "folds/fold_1.safetensors").unlink()
    assert folds_of(logs, cases, SETTINGS, resume=True).record is None


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"of": "x", "folds": 3}', '{"folds": {"a": {"start": "b"}}}'])
def test_a_damaged_file_of_folds_is_none(content: str, cases: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / PART).write_text(content)
    assert folds_of(tmp_path / "logs", cases, SETTINGS, resume=True).folds == {}


def test_a_damaged_fold_is_trained_anew(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    done = folds_of(tmp_path / "logs", cases, SETTINGS, resume=False)
    done.write({"of": done.of, "folds": {"a": {"start": 0.1}, "b": {"start": 0.1, "curve": [0.5], "file": None}}}, PART)
    assert list(folds_of(tmp_path / "logs", cases, SETTINGS, resume=True).folds) == ["b"]


def test_a_file_of_somebody_else_stays(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / RECORD).write_text('{"mine": 1}')
    with pytest.raises(ConfigError, match=RECORD):
        folds_of(tmp_path / "logs", cases, SETTINGS, resume=False).finish(RESULT)
    assert (tmp_path / "logs" / RECORD).read_text() == '{"mine": 1}'
