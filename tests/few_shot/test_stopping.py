"""How long a fine-tuning is."""

from __future__ import annotations

import ignite.distributed as idist
import pytest

from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.stopping import best_epoch, check_stopping, choose_epochs, updates_for


def cases(patients: int, slices: int = 3) -> list[dict[str, str]]:
    return [
        {"patient": f"p{i}", "case_id": f"p{i}_{s}", "image": "i", "label": "l"} for i in range(patients) for s in range(slices)
    ]


@pytest.mark.parametrize(("patients", "updates"), [(1, 250), (2, 300), (3, 350), (5, 450), (8, 600), (50, 600)])
def test_the_budget_follows_patients_not_slices(patients: int, updates: int) -> None:
    assert updates_for(cases(patients)) == updates_for(cases(patients, slices=1)) == updates


def test_the_best_epoch_is_that_of_the_smoothed_mean() -> None:
    spike = [0.1, 0.1, 0.9, 0.1, 0.6, 0.62, 0.6, 0.3]
    record = best_epoch([spike, spike])
    assert record["epochs"] == 6 and record["dice"] == pytest.approx(0.62) and record["mean"] == pytest.approx(spike)
    assert record["smoothed"][0] == pytest.approx(0.1) and record["smoothed"][2] == pytest.approx(1.1 / 3)


def test_every_patient_counts_the_same_and_the_first_of_equals_is_taken() -> None:
    assert best_epoch([[0.0, 0.5, 0.8], [0.9, 0.5, 0.0]])["mean"] == pytest.approx([0.45, 0.5, 0.4])
    assert best_epoch([[0.5, 0.5, 0.5]])["epochs"] == 1
    assert best_epoch([[0.3]])["epochs"] == 1
    assert best_epoch([[0.1, 0.2, 0.3, 0.4]])["epochs"] == 4, "a curve that still rises is trained to its end"


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(DataError, match="got 2 labelled patients, expected at least 3; type --stopping budget, or give more"):
        check_stopping("leave_one_out", cases(2))
    check_stopping("leave_one_out", cases(3, slices=1), keep_folds=True)
    check_stopping("budget", cases(1))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="there are folds with --stopping leave_one_out alone"):
        check_stopping("budget", cases(3), keep_folds=True)
    with pytest.raises(ConfigError, match="stopping: got 'early', expected one of budget, leave_one_out"):
        check_stopping("early", cases(3))


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idist, "get_world_size", lambda: 2)
    check_stopping("budget", cases(3))
    with pytest.raises(ConfigError, match="works in one process; type --stopping budget, or run without torchrun"):
        check_stopping("leave_one_out", cases(3))


def test_outside_a_configuration_it_says_so() -> None:
    choose_epochs("budget", None)
    with pytest.raises(ConfigError, match="works in a bundle's configuration only"):
        choose_epochs("leave_one_out", None)
