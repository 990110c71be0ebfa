"""Processor time until a pretraining reaches a Dice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.label_efficiency.price import main, prices, reached
from data_prep.json_io import dump_json, load_json


@pytest.mark.parametrize(
    ("level", "updates"), [(0.5, 100.0), (0.6, 100.0), (0.7, 150.0), (0.8, 200.0), (0.85, 300.0), (0.95, None)]
)
def test_a_level_is_reached_between_two_validations(level: float, updates: float | None) -> None:
    curve = [(100, 0.6), (200, 0.8), (300, 0.85), (400, 0.84)]
    assert reached(curve, level) == (None if updates is None else pytest.approx(updates))


def written(study: Path, name: str, curve: list[tuple[int, float]], seconds: float, **settings: object) -> None:
    place = study / "pretrained" / name
    place.mkdir(parents=True)
    content = {"settings": settings, "updates": curve[-1][0], "cpu_seconds": seconds, "source_validation": curve}
    dump_json(content, place / "info.json")


def test_each_objective_is_held_against_supervised_of_its_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "ventricle"
    written(study, "net-supervised-00000000-seed0", [(100, 0.7), (200, 0.81)], 100, objective="supervised")
    written(study, "net-hybrid-11111111-seed0", [(100, 0.6), (200, 0.85)], 150, objective="hybrid")
    written(study, "net-hybrid-22222222-seed0", [(200, 0.6)], 160, objective="hybrid", unlabelled_target=True)
    written(study, "net-hybrid-11111111-seed1", [(200, 0.9)], 150, objective="hybrid")  # no supervised of its seed
    rows = {row["arm"]: row for row in prices(study)}
    assert list(rows) == ["hybrid", "hybrid, unlabelled_target True", "supervised"]
    assert rows["supervised"]["level"] == pytest.approx(0.8) and rows["supervised"]["ratio"] == 1
    assert rows["hybrid"]["updates"] == pytest.approx(180) and rows["hybrid"]["seconds"] == pytest.approx(135)
    assert rows["hybrid"]["ratio"] == pytest.approx(135 / (0.5 * (100 + 100 * 0.1 / 0.11)))
    assert rows["hybrid, unlabelled_target True"]["seconds"] is None
    assert main([str(study), "--json", str(tmp_path / "price.json")]) == 0
    shown = capsys.readouterr().out
    assert (
        "| ventricle | hybrid | 0 | 0.800 | 180 | 135 | 1.41 | 0.850 |" in shown and "| not reached | - | - | 0.600 |" in shown
    )
    assert len(load_json(tmp_path / "price.json")) == 3


def test_a_folder_without_pretrainings_has_no_price(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1
