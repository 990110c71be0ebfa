"""Groups A to F, M and N of the fault matrix: one verdict from `check` and `build`, in one line, with nothing half-written."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.reliability.faults import ACCEPTED, FAULTS, Fault
from data_prep.checks import REGISTRY
from data_prep.cli import app

RUN = CliRunner()
SECONDS = 5 * 4  # the matrix says 5; a busy machine may take longer


def each(fault: Fault) -> str:
    return f"{fault.id}-{fault.title}"


def options(fault: Fault) -> list[str]:
    return [text for key, value in fault.options.items() for text in (f"--{key.replace('_', '-')}", value)]


def level(fault: Fault) -> str:
    return "none" if fault.answer == ACCEPTED else REGISTRY[fault.answer].level


@pytest.mark.parametrize("fault", FAULTS, ids=each)
def test_check_answers(fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fault.make(tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    start = time.perf_counter()
    result = RUN.invoke(app, ["check", str(path), "--json", "report.json", *options(fault)])
    assert time.perf_counter() - start < SECONDS
    assert result.exit_code == (3 if level(fault) == "error" else 0), result.output
    assert "Traceback" not in result.output
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    if fault.answer == ACCEPTED:
        assert [finding for finding in findings if finding["level"] != "note"] == []
        return
    told = [finding for finding in findings if finding["code"] == fault.answer]
    assert told, findings
    first = told[0]
    assert fault.names in (first["file"] + first["case"] or "data set") and first["remedy"], first
    assert any(re.search(fault.message, line) for line in (*(f["message"] for f in told), *result.output.splitlines()))


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.id[0] in "ABCDEMN"], ids=each)
def test_build_answers_alike(fault: Fault, tmp_path: Path) -> None:
    path, out = fault.make(tmp_path / "set"), tmp_path / "out"
    if (path / "datalist.json").is_file():
        pytest.skip("the fault is in a prepared list, which nobody builds")
    result = RUN.invoke(app, ["build", str(path), "--output", str(out), *options(fault)])
    assert "Traceback" not in result.output + result.stderr
    if level(fault) == "error":
        assert result.exit_code == 3 and not out.exists(), result.output
        assert result.stderr.startswith("error: ") and fault.names in result.stderr, result.stderr
    else:
        assert result.exit_code == 0, result.stderr
        assert {file.name for file in out.iterdir()} == {"datalist.json", "dataset.json", "plan.json"}


def test_every_case_of_the_data_border_is_there() -> None:
    counts = {group: len({fault.id for fault in FAULTS if fault.id[0] == group}) for group in "ABCDEFMN"}
    assert counts == {"A": 14, "B": 20, "C": 10, "D": 19, "E": 16, "F": 20, "M": 10, "N": 11}
    assert len({each(fault) for fault in FAULTS}) == len(FAULTS)
