"""The Python API: the steps of the command line as functions, on files that the test writes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

import monai_hybrid
from data_prep.phantom import generate
from monai_hybrid import api
from monai_hybrid.errors import ConfigError, DataError, ModelFileError

TINY = {"max_epochs": 1, "updates_per_epoch": 2, "batch_size": 2, "warmup_updates": 1, "progress_bar": False}


def test_the_whole_way_in_python(tmp_path: Path, warm_children: None) -> None:
    for site in "AB":
        generate(tmp_path / site, cases=6, site=site, seed=0, dims=2)
        monai_hybrid.build(tmp_path / site, tmp_path / f"{site}_prepared", test_fraction=0.3)
    assert [finding for finding in monai_hybrid.check(tmp_path / "A") if finding.level == "error"] == []
    run = monai_hybrid.pretrain(tmp_path / "A_prepared", tmp_path / "source", picture_interval=0, **TINY)
    assert run == tmp_path / "source"
    adapted = monai_hybrid.adapt(tmp_path / "B_prepared", model=run, output=tmp_path / "adapted", shots=2, **TINY)
    assert (adapted / "report.html").is_file()
    model = adapted / "models/model.safetensors"
    summary = monai_hybrid.evaluate(tmp_path / "B_prepared", model, tmp_path / "eval")
    assert 0 <= summary["dice"]["all"]["mean"] <= 1
    rows = monai_hybrid.predict(tmp_path / "B/images", model, tmp_path / "masks")
    assert len(rows) == 6 and {row["status"] for row in rows} == {"done"}
    network = monai_hybrid.load_model(adapted)
    assert not network.training and network.card["spatial_dims"] == 2
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 32, 32)).shape == (1, len(network.card["labels"]), 32, 32)
    assert monai_hybrid.report(tmp_path / "eval").is_file()


@pytest.mark.parametrize(
    ("call", "kind", "told"),
    [
        (lambda t: api.pretrain(max_epoch=3), ConfigError, "did you mean"),
        (lambda t: api.pretrain(max_epochs="many"), ConfigError, "max_epochs"),
        (lambda t: api.adapt(t), ConfigError, "model"),
        (lambda t: api.predict(t / "none", t / "m.pt", t / "out"), DataError, "none"),
        (lambda t: api.load_model(t / "m.pt"), ModelFileError, "no such model file"),
    ],
)
def test_mistakes_are_refused_before_anything_runs(
    call: object, kind: type[Exception], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("something ran")

    monkeypatch.setattr("monai_hybrid.commands.run_child", never)
    with pytest.raises(kind, match=told):
        call(tmp_path)  # type: ignore[operator]


def test_a_run_that_fails_is_an_error_of_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_hybrid.commands.run_child", lambda *_: 3)
    with pytest.raises(DataError, match="exit code 3"):
        api.pretrain(output=tmp_path / "out")


def test_every_function_is_documented_and_found_at_the_top() -> None:
    for name in monai_hybrid._API:
        function = getattr(monai_hybrid, name)
        assert callable(function) and inspect.getdoc(function), name
    with pytest.raises(AttributeError, match="nosuch"):
        _ = monai_hybrid.nosuch
