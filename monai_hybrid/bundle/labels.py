"""Which label value of a data set is which class of a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.label_names import alike_name, is_made_up, same_only_class
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.shape_models import warning

logger = logging.getLogger("monai_hybrid.labels")


def values_by_name(card: Mapping[str, Any], dataset: Mapping[str, Any], model: str) -> list[int]:
    """The data set's value of each class of the model, in the model's order; classes are matched by name, and a single class by
    being the only one where a name was made up (label_1 and label_255).

    Args:
        card: of the model; its `labels` are {"name", "value", "index"}, background first.
        dataset: the content of `dataset.json`, with `labels` of the same form in any order.
        model: the model file, for the message.

    Raises:
        DataError: the names are not the same: a mean over other structures than those trained would mean nothing. Of a model
            of random shapes, that it must be adapted. The images have other axes or another number of channels.
        ModelFileError: the names are not the same because there is no model, and the card is the built-in one.
    """
    _refuse_other_images(card, dataset, model)
    trained, given = ([label["name"] for label in source["labels"]] for source in (card, dataset))
    if sorted(trained) == sorted(given):
        values = {label["name"]: int(label["value"]) for label in dataset["labels"]}
        return [values[name] for name in trained]
    if same_only_class(trained, given):
        tell_other_names(given, trained)
        return [int(label["value"]) for label in dataset["labels"]]
    if not Path(model_path(model)).is_file():
        raise ModelFileError(f"{model}: no such model file")
    if said := warning(card, model):
        raise DataError(said)
    raise DataError(
        f"the data set's labels are {', '.join(given)}; {model} was trained on {', '.join(trained)}. Use a model of these "
        "structures, or give the values the model's names: monai-hybrid build RAW --output DATA "
        "--label-names 'VALUE=NAME,VALUE=NAME'"
    )


def _refuse_other_images(card: Mapping[str, Any], dataset: Mapping[str, Any], model: str) -> None:
    """Refuse images that the network cannot take; colours are a matter of each picture (`--colour`)."""
    dims: list[Any] = [of.get("spatial_dims") for of in (dataset, card)]
    channels: list[Any] = [of.get("channels") for of in (dataset, card)]
    if None not in dims and dims[0] != dims[1]:
        raise DataError(
            f"the data set's images are {dims[0]}D; {model} was trained on {dims[1]}D images. Use a {dims[0]}D model"
        )
    if None in channels or dataset.get("colour") or card.get("colour") or len(channels[0]) == len(channels[1]):
        return
    given, trained = (f"{plural(len(names), 'channel')} ({', '.join(map(str, names))})" for names in channels)
    raise DataError(f"the data set's images have {given}; {model} was trained on {trained}. Use a model of these channels")


def tell_other_names(given: Sequence[str], *trained: Sequence[str]) -> None:
    """One line where the only class of a data set is taken for the only class of a model, and the names differ."""
    others = [names[1] for names in trained if alike_name(names[1]) != alike_name(given[1])]
    other = next((name for name in others if not (is_made_up(name) and is_made_up(given[1]))), None)
    if other is not None:
        logger.warning(
            "labels: %s of the data set is taken for %s of the model, because each is the only class. If they are not alike, "
            "name it, and it is refused: monai-hybrid build RAW --output DATA --label-names 'VALUE=NAME'",
            *(given[1], other),
        )
