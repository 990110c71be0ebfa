"""Few labelled cases: by patient, reproducible, nested."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_hybrid.engines import mixed_sampler, pretraining_sampler
from monai_hybrid.errors import DataError
from monai_hybrid.few_shot.shots import draw_shots, without_labels


def cases(patients: int, slices: int = 2, unlabelled: int = 0) -> list[dict[str, Any]]:
    labelled = [
        {"case_id": f"p{p}_s{s}", "patient": f"p{p}", "image": "i", "label": "l"}
        for p in range(patients)
        for s in range(slices)
    ]
    return labelled + [{"case_id": f"u{i}", "patient": f"u{i}", "image": "i"} for i in range(unlabelled)]


def test_all_slices_of_the_drawn_patients_are_taken_and_written_down(tmp_path: Path) -> None:
    taken = draw_shots(cases(6, unlabelled=3), 2, seed=1, folder=str(tmp_path))
    assert len(taken) == 4 and len({case["patient"] for case in taken}) == 2
    record = json.loads((tmp_path / "shots.json").read_text())
    assert set(record["patients"]) == {case["patient"] for case in taken} and record["seed"] == 1
    assert record["cases"] == [case["case_id"] for case in taken]


def test_more_shots_of_a_seed_hold_the_fewer(tmp_path: Path) -> None:
    draws = [{c["patient"] for c in draw_shots(cases(8), k, seed=3, folder=str(tmp_path))} for k in (1, 3, 8)]
    assert draws[0] < draws[1] < draws[2]
    others = {frozenset(c["patient"] for c in draw_shots(cases(8), 3, seed=s, folder=str(tmp_path))) for s in range(6)}
    assert len(others) > 1


def test_none_takes_every_patient_and_one_is_enough(tmp_path: Path) -> None:
    assert len(draw_shots(cases(5), None, 0, str(tmp_path))) == 10
    assert len(draw_shots(cases(1, slices=1), 1, 0, str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("shots", "message"),
    [(0, r"shots 0: .*without_labels.json.*monai-hybrid adapt --shots 0"), (4, "shots: got 4, expected 1 to 3, the labelled")],
)
def test_a_number_that_is_not_there_is_refused(shots: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        draw_shots(cases(3), shots, 0, str(tmp_path))
    assert not (tmp_path / "shots.json").exists()
    assert draw_shots(cases(3), 3, 0, str(tmp_path))


def test_the_sampler_meets_the_share_of_labelled_cases() -> None:
    torch.manual_seed(0)
    mixed = cases(1, slices=1) + without_labels(cases(9, slices=1))
    drawn = Counter("label" in mixed[i] for i in mixed_sampler(mixed, 2000, labelled_share=0.5))
    assert drawn[True] / 2000 == pytest.approx(0.5, abs=0.04)


def test_without_unlabelled_cases_each_comes_equally_often() -> None:
    drawn = Counter(mixed_sampler(cases(2), 40))
    assert set(drawn.values()) == {10}


@pytest.mark.parametrize(
    ("objective", "labelled", "expected"),
    [
        ("hybrid", 1, 0.5), ("two_pass", 1, 0.5), ("hybrid", 8, 0.8), ("hybrid", 10, 1.0), ("hybrid", 0, 0.0),
        ("supervised", 1, 1.0), ("noisy_supervised", 8, 1.0), ("diffusion", 1, 0.1),
    ],
)  # fmt: skip
def test_pretraining_never_starves_of_labels_nor_draws_what_teaches_nothing(
    objective: str, labelled: int, expected: float
) -> None:
    torch.manual_seed(0)
    mixed = cases(10, slices=1)[:labelled] + without_labels(cases(10, slices=1)[labelled:])
    drawn = Counter("label" in mixed[i] for i in pretraining_sampler(mixed, 2000, objective))
    assert drawn[True] / 2000 == pytest.approx(expected, abs=0.04 if expected == 0.5 else 0.0)


def test_several_processes_deal_out_a_permutation_or_keep_the_share_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda *_: 2)
    dealt = []
    for rank in range(2):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda *_, r=rank: r)
        dealt += list(pretraining_sampler(cases(5, slices=2), 5, "hybrid", processes=2))
        torch.manual_seed(rank)
        rare = cases(1, slices=2) + without_labels(cases(9, slices=2))
        for sampler in (pretraining_sampler(rare, 1000, "hybrid", processes=2), mixed_sampler(rare, 1000, processes=2)):
            drawn = Counter("label" in rare[i] for i in sampler)
            assert drawn.total() == 1000 and drawn[True] / 1000 == pytest.approx(0.5, abs=0.05)
    assert sorted(dealt) == list(range(10))
