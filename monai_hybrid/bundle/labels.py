"""Which label value of a data set is which class of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.label_names import same_only_class
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.shape_models import warning


def values_by_name(card: Mapping[str, Any], dataset: Mapping[str, Any], model: str) -> list[int]:
    """The data set's value of each class of the model, in the model's order; classes are matched by name, and a single class by
    being the only one where a name was made up (label_1 and label_255).

    Args:
        card: of the model; its `labels` are {"name", "value", "index"}, background first.
        dataset: the content of `dataset.json`, with `labels` of the same form in any order.
        model: the model file, for the message.

    Raises:
        DataError: the names are not the same: a mean over other structures than those trained would mean nothing. Of a model
            of random shapes, that it must be adapted.
        ModelFileError: the names are not the same because there is no model, and the card is the built-in one.
    """
    trained, given = ([label["name"] for label in source["labels"]] for source in (card, dataset))
    if sorted(trained) == sorted(given):
        values = {label["name"]: int(label["value"]) for label in dataset["labels"]}
        return [values[name] for name in trained]
    if same_only_class(trained, given):
        return [int(label["value"]) for label in dataset["labels"]]
    if not Path(model_path(model)).is_file():
        raise ModelFileError(f"{model}: no such model file")
    if said := warning(card, model):
        raise DataError(said)
    raise DataError(
        f"the data set's labels are {', '.join(given)}; {model} was trained on {', '.join(trained)}. Use a model of these "
        "structures, or give the values the model's names: python -m data_prep build ... --label-names '1=...,2=...'"
    )
