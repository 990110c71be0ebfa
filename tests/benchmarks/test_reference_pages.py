"""The reference pages are what the code says today, and each result file has its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reference.__main__ import COMMAND, PAGES, text_of
from benchmarks.reference.files import MEANINGS
from data_prep.result_files import RESULTS
from monai_hybrid.prediction.table import QualityTable
from monai_hybrid.settings import SETTINGS

PLACE = Path(__file__).parents[2] / "docs/reference"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_reference_page_is_up_to_date(name: str) -> None:
    assert (PLACE / name).read_text(encoding="utf-8") == text_of(name), f"type: {COMMAND}"


def test_every_setting_of_a_command_stands_on_the_page_with_its_default() -> None:
    page = (PLACE / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in SETTINGS if f"| `{name}`" not in page]
    assert missing == []
    assert (
        "| `shots` | `--shots` | a whole number >= 0 | `3` | labelled patients to use; 0: scans without labels alone |" in page
    )


def test_every_result_file_has_a_meaning() -> None:
    names, places = {one.name for one in RESULTS}, {f"{one.place}/{one.name}" for one in RESULTS}
    assert names <= set(MEANINGS) <= names | places


def test_every_column_of_the_table_of_a_prediction_stands_on_the_page() -> None:
    labels = [{"index": i, "value": i, "name": name} for i, name in enumerate(("background", "NAME"))]
    table = QualityTable("masks", labels, "model.pt", quality={"dice": {"NAME": {}}}, test_time=True)
    (row,) = (
        line for line in (PLACE / "files.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `quality.csv` | `")
    )
    assert sorted(row.split("|")[2].strip().strip("`").split("`, `")) == sorted(table.columns)
