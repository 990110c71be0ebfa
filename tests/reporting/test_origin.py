"""What a report says of the model file."""

from __future__ import annotations

from typing import Any

import pytest

from monai_hybrid.reporting.origin import model


def card(stop: Any) -> dict[str, Any]:
    labels = [{"name": "background"}, {"name": "lumen"}]
    return {"labels": labels, "channels": ["image"], "network": {"stem": "plain"}, "training": {"safety_stop": stop}}


def test_a_model_that_was_adapted_without_labels_says_what_the_safety_stop_did() -> None:
    table = str(model(card({"kept": "original", "reasons": ["no gain", "<b>odd</b>"]})))
    assert "Safety stop" in table and "the original model is kept: no gain; " in table


@pytest.mark.parametrize("stop", [None, {}, "adapted", {"kept": "adapted", "reasons": "because"}])
def test_other_cards_say_nothing_of_it(stop: Any) -> None:
    assert "Safety stop" not in str(model(card(stop)))
