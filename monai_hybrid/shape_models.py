"""Models pretrained on random shapes: their classes are families of shapes and name nothing in a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.free_names import ADAPTED, free
from data_prep.quoting import quoted
from monai_hybrid.catalogue.naming import name_of

REMARK = "the model knows random shapes alone and was not adapted: its classes are no structures"


def is_of_shapes(card: Mapping[str, Any]) -> bool:
    """Whether a model's card says that it was pretrained on random shapes, and not adapted since."""
    plan = card.get("plan")
    return isinstance(plan, Mapping) and bool(plan.get("universal"))


def warning(card: Mapping[str, Any], model: str) -> str:
    """What to say before such a model is used, with what to type; "" for other models."""
    if not is_of_shapes(card):
        return ""
    model = name_of(model)
    names = [str(label.get("name")) for label in card.get("labels") or []][1:]
    first = f"monai-hybrid adapt --data TARGET --model {quoted(model)} --shots 3 --output {free(ADAPTED)}"
    told = f"its classes ({', '.join(names)}) are no structures of a body"
    return f"{model}: was pretrained on random shapes, and {told}. Adapt it first, with your data set for TARGET: {first}"
