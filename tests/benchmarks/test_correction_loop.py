"""The loop of corrections: who is chosen in which order, what is scored, and what is shown; no network is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from view_samples import pictures, predicted

from benchmarks import correction_loop
from monai_hybrid.gallery.cases import read_collection

RESULT = {"seed": 0, "before": 0.3, "all": 0.9, "proposed": [0.5, 0.6], "random": [0.4, 0.6]}


def test_the_proposal_is_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = pictures(tmp_path / "in")
    masks = predicted(tmp_path / "masks", files, flag={"colour": "look"})
    listed = [case.images[0].name for case in read_collection(masks).cases]
    assert listed[0] == "colour.jpg"
    seen: list[list[str]] = []
    monkeypatch.setattr(correction_loop, "EACH", 1)
    monkeypatch.setattr(correction_loop, "ROUNDS", 3)
    monkeypatch.setattr(correction_loop, "adapted", lambda *words: seen.append(list(words[4])) or Path("model"))
    monkeypatch.setattr(correction_loop, "predicted", lambda *_: masks)
    monkeypatch.setattr(correction_loop, "score", lambda *_: len(seen) / 10)
    pool = {path.name for path in files.values()}
    for arm in ("proposed", "random"):
        scores = correction_loop.rounds(tmp_path, tmp_path, Path("model"), masks, pool, [], arm, 3)
        assert len(scores) == 3
    assert seen[:3] == [listed[:1], listed[:2], listed[:3]]
    assert [len(chosen) for chosen in seen[3:]] == [1, 2, 3] and sorted(seen[5]) == sorted(listed)


def test_the_table_and_the_figure(tmp_path: Path) -> None:
    table = correction_loop.told([RESULT, {**RESULT, "proposed": [0.7, 0.8]}])
    assert "| labels | 0 | 2 | 4 | all 20 |" in table
    assert "| the page's order | 0.300 (0.300, 0.300) | 0.600 (0.500, 0.700) |" in table
    correction_loop.draw([RESULT], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
