"""One number a structure, under names that trackers take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events

from monai_hybrid.evaluation import NamedScores
from monai_hybrid.evaluation.named_scores import score_name, scores_by_structure

NAMES = ["background", "cortex", "left ventricle (LV)/wall"]


@pytest.mark.parametrize(
    ("structure", "expected"),
    [("cortex", "val_dice_cortex"), ("Herzkammer-1.a ä", "val_dice_Herzkammer-1.a ä"), ("LV (wall)/x", "val_dice_LV _wall__x")],
)
def test_names_are_those_that_mlflow_takes(structure: str, expected: str) -> None:
    assert score_name(structure) == expected


def test_a_validation_ends_with_a_number_a_structure() -> None:
    engine = Engine(lambda engine, batch: None)

    @engine.on(Events.EPOCH_COMPLETED)
    def score(engine: Any) -> None:
        engine.state.metrics = {"val_mean_dice": 0.5, "val_dice_per_class": torch.tensor([0.25, 0.75])}

    NamedScores(NAMES).attach(engine)
    seen: list[dict[str, Any]] = []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen.append(dict(engine.state.metrics)))
    engine.run([0], max_epochs=2)
    expected = {"val_mean_dice": 0.5, "val_dice_cortex": 0.25, "val_dice_left ventricle _LV__wall": 0.75}
    assert seen == [expected, expected] and all(type(value) is float for value in seen[0].values())


def test_scores_are_found_in_either_form() -> None:
    expected = {"cortex": 0.25, "left ventricle (LV)/wall": 0.75}
    assert scores_by_structure({"val_dice_per_class": torch.tensor([0.25, 0.75])}, NAMES) == expected
    assert scores_by_structure({score_name(name): value for name, value in expected.items()}, NAMES) == expected
    assert scores_by_structure({"val_mean_dice": 0.5}, NAMES) == {}
    with pytest.raises(ValueError, match=r"shorter|longer"):
        scores_by_structure({"val_dice_per_class": torch.tensor([0.25])}, NAMES)
