"""Cases read in several processes: the same findings and the same data set, and a process that is ended is a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.errors import EnvironmentFault
from data_prep.in_processes import each

RUN = CliRunner()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(6):
        for folder, values in (("images", rng.integers(0, 255, (16, 12))), ("labels", rng.integers(0, 2, (16, 12)))):
            file = tmp_path / "raw" / folder / f"p{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(file)
    (tmp_path / "raw/images/p3.png").write_bytes(b"not a picture")
    return tmp_path / "raw"


@pytest.mark.long
def test_two_processes_find_and_write_what_one_does(raw: Path, tmp_path: Path) -> None:
    one, two = (RUN.invoke(app, ["check", str(raw), "--json", str(tmp_path / f"{n}.json"), "--jobs", n]) for n in "12")
    assert one.exit_code == two.exit_code == 3 and "p3.png" in two.output and "--jobs" not in two.output
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    for folder in ("images", "labels"):
        (raw / folder / "p3.png").unlink()
    for number in "12":
        assert RUN.invoke(app, ["build", str(raw), "--output", str(tmp_path / number), "--jobs", number]).exit_code == 0
    for file in ("datalist.json", "dataset.json", "plan.json"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


@pytest.mark.parametrize("jobs", ["0", "-2"])
def test_less_than_one_process_is_refused(raw: Path, tmp_path: Path, jobs: str) -> None:
    for words in (["check", str(raw)], ["build", str(raw), "--output", str(tmp_path / "out")]):
        done = RUN.invoke(app, [*words, "--jobs", jobs])
        assert done.exit_code == 2 and f"--jobs {jobs}: expected a number of processes" in done.output
    assert not (tmp_path / "out").exists()


def test_a_process_that_is_ended_is_a_sentence() -> None:
    with pytest.raises(EnvironmentFault, match=r"one of 2 processes was ended.*--jobs 1"):
        list(each(os._exit, [1, 1], 2))


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(each(abs, [-3, 2, -1], 2)) == [3, 2, 1] and list(each(abs, [], 4)) == []
