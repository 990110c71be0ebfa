"""Several processes that prepare the same data at once."""

from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from data_prep.build import build
from data_prep.files import read_datalist
from data_prep.phantom import generate
from monai_hybrid.bundle import data as bundle_data
from monai_hybrid.bundle.data import prepare_data

FORK = multiprocessing.get_context("fork")


def files(folder: Path) -> dict[str, str]:
    """Digest of every file but locks."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock")
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def together(work: Any, processes: int = 3) -> list[Any]:
    """What each process returned; all begin at the same moment."""
    barrier, answers = FORK.Barrier(processes), FORK.SimpleQueue()

    def one() -> None:
        barrier.wait()
        try:
            answers.put(work())
        except BaseException as error:
            answers.put(repr(error))

    started = [FORK.Process(target=one) for _ in range(processes)]
    for process in started:
        process.start()
    got = [answers.get() for _ in started]
    for process in started:
        process.join()
    return got


def test_the_built_in_phantom_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_data, "PHANTOM_CASES", 5)

    def work() -> list[str]:
        return [case["case_id"] for case in prepare_data(None, str(tmp_path / "run"), budget="cpu").training]

    answers = together(work)
    assert answers[0] == answers[1] == answers[2] and len(answers[0]) >= 3
    assert not list((tmp_path / "run").rglob("*.tmp"))
    before = files(tmp_path / "run")
    assert work() == answers[0] and files(tmp_path / "run") == before


def test_three_builds_into_one_folder_leave_whole_files(tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=5, site="A", seed=0)
    build(tmp_path / "raw", tmp_path / "alone", budget="cpu")

    def work() -> int:
        build(tmp_path / "raw", tmp_path / "out", budget="cpu")
        return len(read_datalist(tmp_path / "out")["training"])

    answers = together(work)
    assert answers == [len(read_datalist(tmp_path / "alone")["training"])] * 3
    assert files(tmp_path / "out").keys() == files(tmp_path / "alone").keys()
