"""Result files: whole or absent, and what a killed process left is removed, that of a running one never."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.atomic import neighbour, new_folder, remove_leftovers, replace_file


def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return process.pid


def of_another(path: Path, pid: int) -> Path:
    return path.with_name(neighbour(path).name.replace(str(os.getpid()), str(pid)))


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    replace_file(file, lambda path: path.write_text("old"))

    def broken(path: Path) -> None:
        path.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(file, broken)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "out") as folder:
        (folder / "whole").write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and (tmp_path / "out/whole").is_file()


def test_leftovers_of_the_dead_go_and_those_of_the_living_and_of_other_machines_stay(tmp_path: Path) -> None:
    gone = dead()
    of_dead, of_living = of_another(tmp_path / "a.csv", gone), of_another(tmp_path / "b.csv", os.getppid())
    elsewhere, older = tmp_path / f".c.csv.otherhost-{gone}.tmp", tmp_path / f".d.csv.{gone}.tmp"
    mine = tmp_path / ".notes.tmp"
    for file in (of_dead, of_living, elsewhere, older, mine):
        file.write_text("half")
    folder = of_another(tmp_path / "out", gone)
    folder.mkdir()
    (folder / "half").write_text("x")
    remove_leftovers(tmp_path, "zzz")
    assert len(list(tmp_path.iterdir())) == 6
    remove_leftovers(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {of_living.name, elsewhere.name, mine.name}
    remove_leftovers(tmp_path / "nothing")
