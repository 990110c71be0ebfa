"""The Python API: the steps of the command line as functions, on files that the test writes."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_plan import with_small_network

import monai_hybrid
from monai_hybrid import api
from monai_hybrid.errors import ConfigError, DataError, ModelFileError

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs/tutorials/first_adaptation.ipynb"


def code_cells() -> list[str]:
    """The code of the notebook, cell by cell."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.long
def test_the_notebook_goes_the_whole_way(tmp_path: Path, warm_children: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells as they stand, but for the sizes of its first one, and a small network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPLBACKEND", "agg")
    sizes, *cells = code_cells()
    made: dict[str, Any] = {}
    exec(sizes, made)
    small = {"CASES_A": 6, "CASES_B": 8, "EPOCHS": 1, "UPDATES": 2, "ADAPTING": 2}
    assert small.keys() == made.keys() - {"__builtins__"}
    made |= small
    for cell in cells:
        exec(cell, made)
        if "mh.build" in cell:
            for domain in ("source", "target"):
                with_small_network(made["work"] / domain)
    made["plt"].close("all")
    assert made["source"] == Path("notebook_run/runs/source") and (made["adapted"] / "report.html").is_file()
    assert 0 <= made["after"]["dice"]["all"]["mean"] <= 1 and made["page"].is_file()
    assert len(made["rows"]) == 8 and {row["status"] for row in made["rows"]} == {"done"}
    network = monai_hybrid.load_model(made["adapted"])
    assert not network.training and network.card["spatial_dims"] == 2
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 32, 32)).shape == (1, len(network.card["labels"]), 32, 32)


def test_the_notebook_is_small_and_names_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["nbformat"] == 4 and len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
    assert len(text) < 300_000 and text.count("image/png") == 2
    printed = [out["text"] for cell in content["cells"] for out in cell.get("outputs", ()) if out["output_type"] == "stream"]
    assert printed and not re.search(r"/home|/root|/tmp|/work|python -m", "".join("".join(lines) for lines in printed))
    called = set(re.findall(r"\bmh\.(\w+)", "".join(code_cells())))
    assert called >= {"build", "pretrain", "adapt", "evaluate", "predict", "report"} and called <= set(api.__all__)


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
