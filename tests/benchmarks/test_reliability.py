"""The table of 39 defects and the page of the fault matrix."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from benchmarks.reliability import defects, matrix, torn_files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("defect", defects.DEFECTS, ids=lambda defect: f"{defect.number:02d}-{defect.title}")
def test_each_defect_is_stopped_and_each_control_accepted(defect: defects.Defect) -> None:
    answer = defects.ask(defect)
    if defect.fault is None:
        assert answer.built and not answer.stopped
    else:
        assert answer.stopped and not answer.built and answer.named, answer.line
        assert re.search(r"\b(mv|rm|cp|ls|chmod|python) |--[a-z-]+", answer.line), "nothing to type"


def test_the_peers_figures_are_the_measured_ones() -> None:
    stopped = [sum(d.peers[index] == "S" for d in defects.DEFECTS) for index in range(5)]
    warned = [sum(d.peers[index] == "w" for d in defects.DEFECTS) for index in range(5)]
    assert stopped == [12, 12, 17, 19, 21] and warned == [0, 0, 3, 0, 0]
    assert sum(defect.fault is not None for defect in defects.DEFECTS) == 39 and len(defects.DEFECTS) == 41


def test_the_command_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [defects.DEFECTS[0], defects.DEFECTS[1]]
    monkeypatch.setattr(defects, "DEFECTS", few)
    printed: list[str] = []
    assert defects.main(["--output", str(tmp_path)], printed.append) == 0
    assert (tmp_path / "defects.md").read_text() == printed[0] and "1 of 1 stopped by `check`" in printed[0]
    content = json.loads((tmp_path / "defects.json").read_text())
    assert content["summary"]["controls_accepted"] == 1 and content["data_sets"][1]["code"] == "D201"


def test_the_command_fails_when_a_defect_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defects, "DEFECTS", [defects.DEFECTS[1]])
    monkeypatch.setattr(defects, "check", lambda *_, **__: [])
    assert defects.main([], lambda _: None) == 1


def test_the_matrix_has_224_cases_in_the_stated_groups() -> None:
    table = matrix.rows()
    counts = {letter: sum(row.id[0] == letter for row in table) for letter in matrix.GROUPS}
    expected = {"A": 14, "B": 20, "C": 10, "D": 19, "E": 16, "F": 20, "G": 20, "H": 18, "I": 12, "J": 12, "K": 14, "L": 10}
    expected |= {"M": 11, "N": 19, "O": 9}
    assert counts == expected and len({row.id for row in table}) == len(table) == 224


@pytest.mark.parametrize("row", [row for row in matrix.rows() if row.test], ids=lambda row: row.id)
def test_the_test_named_exists(row: matrix.Row) -> None:
    file, _, function = row.test.partition("::")
    assert (ROOT / file).is_file() and f"def {function}" in (ROOT / file).read_text(encoding="utf-8")


def test_the_page_is_the_one_that_the_registry_gives() -> None:
    page = ROOT / "docs/reference/fault_matrix.md"
    assert page.read_text(encoding="utf-8") == matrix.markdown(matrix.rows()), (
        "type: python -m benchmarks.reliability.matrix --output docs/reference/fault_matrix.md"
    )


def test_kills_in_the_middle_of_saves_leave_no_torn_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few of the 200 that `python -m benchmarks.reliability.torn_files` does; and a torn file would be noticed."""
    monkeypatch.setattr(torn_files, "MEGABYTES", 1)
    found = torn_files.measure(torn_files.save_ours, tmp_path, 8, random.Random(0))
    assert found["kills"] == 8 and found["kills_that_left_a_torn_file"] == 0
    for model in ("model.pt", "model.safetensors"):
        whole = (tmp_path / "models" / model).read_bytes()
        (tmp_path / "models" / model).write_bytes(whole[: len(whole) // 2])
        assert torn_files.torn(tmp_path) == [model]
        (tmp_path / "models" / model).write_bytes(whole)
    assert torn_files.torn(tmp_path) == []
