"""What the parts of dataset.json must be beside each other: a model's card is held to the same after its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def dataset_problems(dataset: Mapping[str, Any]) -> Iterator[str]:
    """Labels and colours that contradict each other: place, what was seen, what was expected.

    Args:
        dataset: the content of dataset.json, within its schema.
    """
    labels = dataset["labels"]
    found = {key: [label[key] for label in labels] for key in ("index", "value", "name")}
    if found["index"] != list(range(len(labels))):
        yield f"labels: saw index {found['index']}; expected {', '.join(map(str, range(len(labels))))} in order"
    for key in ("value", "name"):
        if len(set(found[key])) < len(labels):
            yield f"labels: saw {key} {found[key]}; expected each once"
    colours, channels = dataset.get("colour"), dataset["channels"]
    if colours and len(colours) != len(channels):
        yield f"colour: saw {colours}; expected {len(channels)}, as many as there are channels"
