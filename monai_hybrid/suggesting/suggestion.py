"""From a folder of scans and a model to the scans that should be labelled next."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cells import harmless_row
from data_prep.colour import parse_colour
from data_prep.errors import ConfigError, DataError
from data_prep.files import read_datalist, read_dataset
from data_prep.free_names import PREPARED, free
from data_prep.home import at_home
from data_prep.json_io import dump_json, write_atomically
from data_prep.naming import keep_key_out
from data_prep.places import refuse_among
from data_prep.progress import Ticker
from data_prep.quoting import quoted
from data_prep.result_files import SUGGESTION_COLUMNS, anything, refuse_others
from monai_hybrid.bundle.cases import cases_to_predict
from monai_hybrid.bundle.model import find_card
from monai_hybrid.dicom_border import is_dicom
from monai_hybrid.look_first import refuse_all_labelled
from monai_hybrid.prediction.cases import accepted_by, inspect
from monai_hybrid.prediction.reasons import by_reason, headline, kind_of
from monai_hybrid.setting_checks import check_there, model_in
from monai_hybrid.suggesting.orders import DEFAULT, ORDERS, ordered
from monai_hybrid.suggesting.seen import Seen, look, signals_of

logger = logging.getLogger("monai_hybrid.suggest")


@dataclass(frozen=True)
class Suggestion:
    """Scans in the order in which they should be labelled.

    `seen` are all scans that could be read, `chosen` are places in it, `labelled` those that have a label already, `failed` are
    (case id, why).
    """

    model: str
    order: str
    seen: Sequence[Seen]
    chosen: Sequence[int]
    labelled: Sequence[bool]
    failed: Sequence[tuple[str, str]]

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row a scan without a label: the chosen first, in their order, then the others by name."""
        place = {at: number for number, at in enumerate(self.chosen, 1)}
        at_once = [i for i, known in enumerate(self.labelled) if not known]
        for i in sorted(at_once, key=lambda i: (place.get(i, len(self.seen) + 1), self.seen[i].case_id)):
            one = self.seen[i]
            values = (place.get(i, ""), one.case_id, _shown(one.entropy), _shown(one.error), _shown(one.dice), one.image)
            yield dict(zip(SUGGESTION_COLUMNS, values, strict=True))

    def write(self, folder: Path) -> None:
        """suggestion.csv and suggestion.json, each in one step."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, SUGGESTION_COLUMNS)
        writer.writeheader()
        rows = list(self.rows())
        writer.writerows(map(harmless_row, rows))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "suggestion.csv", text.getvalue().encode("utf-8"), anything)
        content = {
            "format_version": 1,
            "model": self.model,
            "order": self.order,
            "suggested": [self.seen[i].case_id for i in self.chosen],
            "labelled": [one.case_id for one, known in zip(self.seen, self.labelled, strict=True) if known],
            "failed": [{"case_id": case, "why": why} for case, why in self.failed],
            "scans": rows,
        }
        dump_json(content, folder / "suggestion.json")


def suggest(
    data: Path, model: str, number: int = 3, order: str = DEFAULT, seed: int = 0, accept: str | None = None
) -> Suggestion:
    """Look at every scan with the model, and choose some to label.

    Args:
        data: an image folder, or a prepared data set: its training cases without a label; those with one are known.
        model: a file, or a name of the package's models.
        number: how many.
        order: one of `ORDERS`.
        seed: of the order "random".
        accept: judgements of the checks that are overruled, "D103,D107", beside those of the model's card and of the data set.

    Raises:
        ConfigError: an unknown order, or a code that cannot be accepted.
        DataError: no scan without a label, or none that can be read.
        ModelFileError: no such model.
    """
    if order not in ORDERS:
        raise ConfigError(f"--order {order}: expected one of {', '.join(ORDERS)}")
    card = find_card(model)
    cases, colour, overruled = _cases(data, card["channels"])
    seen, failed = _looked(cases, model, card, colour, overruled | accepted_by(card, accept))
    names = {one.case_id for one in seen}
    if not any(case["case_id"] in names and not case["labelled"] for case in cases):
        raise DataError("\n  ".join([f"{data}: no scan can be read:", *by_reason(failed)]))
    by_name = {case["case_id"]: bool(case["labelled"]) for case in cases}
    known = [by_name[one.case_id] for one in seen]
    signals = signals_of(seen)
    if order in signals and all(value is None for value in signals[order]):
        what = "predicted Dice, for which it needs held-out cases (monai-hybrid calibrate)," if order == "dice" else order
        raise DataError(f"--order {order}: the model gives no {what} on these scans. Type: --order {DEFAULT}")
    features = np.stack([one.features for one in seen])
    chosen = ordered(order, number, features, np.asarray(known), signals, seed)
    return Suggestion(model, order, seen, chosen, known, failed)


def suggest_into(
    data: Path,
    model: str,
    number: int = 3,
    order: str = DEFAULT,
    seed: int = 0,
    output: Path | None = None,
    accept: str | None = None,
) -> Suggestion:
    """`suggest`, for the model of a run by its folder as well; suggestion.csv and suggestion.json go into `output`.

    Raises:
        ConfigError, DataError, ModelFileError: as `suggest`; or `output` holds files of somebody else, or lies among the scans.
    """
    if output is not None:
        keep_key_out(output)
        refuse_others(output, "suggest")
        refuse_among(output, data)
    inside = model_in(at_home(model))
    if inside is None:
        check_there("model", model, "--model")
    found = suggest(data, str(inside or model), number, order, seed, accept)
    if output is not None:
        found.write(output)
    return found


def _cases(data: Path, channels: Sequence[str]) -> tuple[list[dict[str, Any]], Any, frozenset[str]]:
    """{"image", "case_id", "labelled"} by name, which colours are the channels, and what the data set has overruled."""
    refuse_all_labelled(data)
    overruled: frozenset[str] = frozenset()
    if (data / "datalist.json").is_file():
        listed = read_datalist(data)["training"]
        cases = [{"image": c["image"], "case_id": c["case_id"], "labelled": "label" in c} for c in listed]
        dataset = read_dataset(data)
        colour, overruled = parse_colour(dataset.get("colour")), accepted_by(dataset)
    elif data.exists() and is_dicom(data):
        raise DataError(
            f"{data}: holds DICOM. Type: monai-hybrid build {quoted(data)} --output {free(PREPARED)}, and give that folder"
        )
    else:
        cases = [{**case, "labelled": False} for case in cases_to_predict(str(data), str(data), channels=channels)]
        colour = None
    return sorted(cases, key=lambda case: str(case["case_id"])), colour, overruled


def _looked(
    cases: Sequence[Mapping[str, Any]], model: str, card: Mapping[str, Any], colour: Any, accept: Collection[str]
) -> tuple[list[Seen], list[tuple[str, str]]]:
    channels, dims = len(card["channels"]), int(card["spatial_dims"])
    colour = colour or parse_colour(card.get("colour"))
    eye = look(model, colour)
    seen: list[Seen] = []
    failed: list[tuple[str, str]] = []
    kinds: dict[str, str] = {}  # of reasons, with the first scan of each
    ticker = Ticker("scans looked at", len(cases), 10)
    for case in cases:
        try:
            inspect(case["image"], channels, dims, colour, accept)
            seen.append(eye(case))
        except DataError as error:
            case_id, why = str(case["case_id"]), str(error)
            failed.append((case_id, why))
            first = kinds.setdefault(kind_of(why), case_id)
            logger.warning("%s: left out: %s", case_id, headline(why) if first == case_id else f"as {first}")
        ticker.step()
    return seen, failed


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
