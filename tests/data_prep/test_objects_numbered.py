"""Labels in which each cell has a number of its own are told, and given one value."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import noise
from typer.testing import CliRunner

from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError
from data_prep.label_names import parse_map
from data_prep.roles import read_label

RUN = CliRunner()


def cells(root: Path, values: Sequence[Sequence[int]], end: str = "png") -> Path:
    """A picture for each list of values, each value a block of pixels."""
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    for index, own in enumerate(values):
        label = np.zeros((24, 24 * 3), np.uint16)
        for place, value in enumerate(own):
            row, column = divmod(place, 24)
            label[row * 3 : row * 3 + 2, column * 3 : column * 3 + 2] = value
        Image.fromarray(noise(label.shape, index).astype(np.uint8)).save(root / f"images/{index}.png")
        Image.fromarray(label).save(root / f"labels/{index}.{end}")
    return root


def upto(*lasts: int) -> list[list[int]]:
    return [list(range(1, last + 1)) for last in lasts]


def test_numbered_objects_are_told_with_what_gives_them_one_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells(Path("raw"), [*upto(5, 12, 9), []], "tif")
    said = RUN.invoke(app, ["check", "raw"], env={"COLUMNS": "400"}).output
    assert "5 values in 0, 12 in 1; perhaps they number objects" in said
    typed = 'repair raw --output raw_repaired --map "2..12=1"'
    assert f"give all one value: monai-hybrid {typed}" in said
    assert f"Next, if those masks show one structure: monai-hybrid {typed}" in said
    done = RUN.invoke(app, typed.replace('"', "").split())
    assert done.exit_code == 0 and "9 to 1 in 4 pixels and 3 more" in done.output
    for index in range(3):
        assert np.unique(read_label(Path(f"raw_repaired/labels/{index}.tif")).array).tolist() == [0, 1]
    assert "D324" not in {finding.code for finding in check(Path("raw_repaired"))}


@pytest.mark.parametrize(
    "values",
    [upto(3, 4, 5), upto(12, 12, 12), upto(11, 12, 12), [*upto(12, 10), [1, 2, 3, 5, 6, 7]], [*upto(12, 10), [2, 3, 4]]],
    ids=["few", "the same", "two lengths", "a gap", "another first"],
)
def test_structures_are_taken_for_such(values: list[list[int]], tmp_path: Path) -> None:
    assert "D324" not in {finding.code for finding in check(cells(tmp_path / "raw", values))}


def test_named_structures_are_none(tmp_path: Path) -> None:
    root = cells(tmp_path / "raw", upto(5, 12, 9))
    names = {value: f"organ {value}" for value in range(1, 13)}
    assert "D324" not in {finding.code for finding in check(root, label_names=names)}


def test_very_many_objects_are_told_too(tmp_path: Path) -> None:
    root = cells(tmp_path / "raw", upto(3, 3))
    Image.fromarray(np.arange(300, dtype=np.uint16).reshape(15, 20)).save(root / "labels/0.png")
    Image.fromarray(noise((15, 20), 3).astype(np.uint8)).save(root / "images/0.png")
    (finding,) = (finding for finding in check(root) if finding.code == "D306")
    assert 'repair FOLDER --output OUT --map "2..299=1"' in finding.remedy


def test_a_range_of_values_is_read() -> None:
    assert parse_map("2..4=1,255=0,-1=0") == {2: 1, 3: 1, 4: 1, 255: 0, -1: 0}


@pytest.mark.parametrize(
    ("text", "why"),
    [("4..2=1", "is 0 values"), ("2..9999999=1", "expected 1 to"), ("2..5=1,3=4", "given twice"), ("2..x=1", "whole numbers")],
)
def test_a_wrong_range_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_map(text)
