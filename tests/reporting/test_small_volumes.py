"""Small volumes are shown in cubic millimetres; the file keeps its unit."""

from __future__ import annotations

import pytest

from data_prep.fingerprint import small_unit
from monai_hybrid.reporting.predicted import quality


def shown(*volumes: str, unit: str = "ml") -> list[list[str]]:
    rows = [{"case_id": f"c{i}", "unit": unit, "volume_lesion": volume} for i, volume in enumerate(volumes)]
    table = quality(rows)
    unit = table.columns[1].name.removeprefix("volume lesion, ")
    return [[str(row[0].text), unit, str(row[1].text)] for row in table.rows]


def test_lesions_of_a_mouse() -> None:
    assert shown("3.375e-06", "0.0002", "0") == [["c0", "mm3", "0.003375"], ["c1", "mm3", "0.2"], ["c2", "mm3", "0"]]


def test_one_large_volume_keeps_millilitres_for_all() -> None:
    assert shown("0.0002", "1.5", "-") == [["c0", "ml", "0.0002"], ["c1", "ml", "1.5"], ["c2", "ml", "-"]]


def test_other_units_and_failed_cases_stay() -> None:
    assert shown("12", "", unit="pixels") == [["c0", "pixels", "12"], ["c1", "pixels", ""]]
    assert shown("", "nan") == [["c0", "ml", ""], ["c1", "ml", "nan"]]


def test_rows_of_several_units_say_theirs() -> None:
    rows = [{"case_id": unit, "unit": unit, "volume_lesion": "17600"} for unit in ("pixels", "mm2")]
    table = quality(rows)
    assert [column.name for column in table.columns] == ["case id", "unit", "volume lesion"]
    assert [str(row[2].text) for row in table.rows] == ["17,600", "17,600"]


@pytest.mark.parametrize(
    ("unit", "largest", "wanted"), [("ml", 0.09, "mm^3"), ("ml", 0.1, "ml"), ("ml", 0, "ml"), ("mm^2", 0.01, "mm^2")]
)
def test_the_unit(unit: str, largest: float, wanted: str) -> None:
    assert small_unit(unit, largest)[0] == wanted
