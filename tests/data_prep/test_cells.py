"""A file's name is no formula: what a spreadsheet would calculate is written as text, and read back as it was."""

from __future__ import annotations

import csv
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cells import harmless, restored
from data_prep.disk import needing
from data_prep.errors import EnvironmentFault
from data_prep.json_io import dump_json
from monai_hybrid.evaluation.case_table import read_cases, write_cases

FORMULAS = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "a;=1",
    "a\n=1",
    "\uff1d1",
    "'=1",
    "''@x",
    "=HYPERLINK(0)",
]


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_becomes_text_and_comes_back(name: str) -> None:
    cell = harmless(name)
    assert cell != name and restored(cell) == name
    assert all(
        not part.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d")) for part in cell.replace("\n", ";").split(";") if part
    )


@pytest.mark.parametrize("value", ["-0.5", "+1e-5", "-", "", "case_1", "a-b", "'quoted'", "a; b = c", -0.5, 3, None, "-.5"])
def test_numbers_and_plain_texts_stay_what_they_are(value: object) -> None:
    assert harmless(value) == value and restored(value) == value


@given(st.text(alphabet="=+-@'\t\r\n;|a1\uff1d", max_size=12))
def test_every_text_comes_back(text: str) -> None:
    assert restored(harmless(text)) == text


@pytest.mark.parametrize("name", FORMULAS)
def test_the_table_of_an_evaluation(name: str, tmp_path: Path) -> None:
    row = {"case_id": name, "patient": name, "class": name, "label_voxels": 1, "pred_voxels": 1, "dice": 0.5, "status": "ok"}
    write_cases([row], tmp_path / "cases.csv")
    with (tmp_path / "cases.csv").open(newline="", encoding="utf-8") as file:
        cell = list(csv.reader(file))[1][0]
    assert cell == harmless(name) and cell[0] not in "=+-@\t\r\uff1d"
    assert [read_cases(tmp_path)[0][key] for key in ("case_id", "patient", "class", "dice")] == [name, name, name, 0.5]


def test_a_full_disk_says_what_is_needed_and_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(OSError, match=r"No space left: 3\.0 MB needed, [\d.]+ MB free") as told,
        needing(3_000_000, tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, "No space left")
    assert told.value.filename == str(tmp_path / "a") and told.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="no right"), needing(3, tmp_path / "a"):
        raise OSError(errno.EACCES, "no right")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EnvironmentFault, match=r"a\.json: cannot be written: No space left: 0\.000 MB needed, [\d.]+ MB free"):
        dump_json({"a": 1}, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []
