"""The page of files: every result file of `result_files.py`, the keys of the prepared ones by their schemas, and the card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import data_prep
from benchmarks.reference.markdown import code, table
from data_prep.result_files import CASES_ALL, QUALITY_ALL, RESULTS
from monai_hybrid.model_card import CARD_KEY, NEEDED, SCHEMA

SCHEMAS = Path(data_prep.__file__).parent / "schemas"
MEANINGS = {
    "datalist.json": "Cases by split, with patient, site and fold.",
    "dataset.json": "What the data set is: channels, labels, grids, grey values.",
    "plan.json": "Spacing, patch, batch, grey scale and network, with reasons.",
    "shift.json": "Differences of two data sets; [its page](shift.md).",
    "shift.png": "The same as a picture.",
    "nearest.json": "Models against scans, the nearest first.",
    "run.json": "What was run: command, settings given, seed, outcome, times, versions, machine.",
    "history.jsonl": "A line an epoch: loss terms, validation Dice.",
    "pictures.png": "Images, masks and denoised images of the last epoch.",
    "transfer.json": "Which weights were taken over from the starting model.",
    "transfer.txt": "The same in words.",
    "fold_*.safetensors": "Weights of a fold of leave one out, kept by `--keep-folds True` for `calibrate`.",
    "shots.json": "The labelled patients and cases that an adaptation used.",
    "leave_one_out.json": "Dice by epoch of the patients left out.",
    "leave_one_out_part.json": "The same of the patients that are done, while leave one out goes on.",
    "safety_stop.json": "Adapting without labels: which model was kept, why, and what was seen in each held-out scan.",
    "cases.csv": "A row a case and structure; [its columns](evaluation.md#files).",
    "summary.json": "Means and intervals; [its keys](evaluation.md#files).",
    "forgetting.json": "Dice on the source before and after; [its page](evaluation.md#forgetting).",
    "*.npz": "A slice a case for the report.",
    "quality.csv": "A row a case: why to look at it, volumes, how sure the model is.",
    "trust.json": "How far the numbers hold: strange batches, predicted against measured Dice, calibration.",
    "volumes/*.npz": "A small volume a case for the report: the best, median, worst and flagged ones.",
    "statistics.csv": "Voxels, volume and mean intensity of each structure, a row a case and structure.",
    "statistics.json": "The same as JSON.",
    "*_preview.png": "A picture of a case with its mask.",
    "suggestion.csv": "Scans in the order in which to label them, and what the model saw in them.",
    "suggestion.json": "The same, with the order and the model.",
    "labels.txt": "Values, names and colours of labels, as ITK-SNAP reads them.",
    "dseg.tsv": "The same for BIDS.",
    "dseg.json": "What BIDS says of all masks of a derivative.",
    "*_dseg.json": "What BIDS says of one mask.",
    "*_probseg.json": "What BIDS says of one file of probabilities.",
    "samples.json": "How image-mask pairs were drawn.",
    "contact_sheet.png": "All pairs on one picture.",
    "sample_[0-9][0-9][0-9]_*": "Image and mask of one pair.",
    "report.html": "One page on a run, with nothing outside it.",
}
# Columns of quality.csv that follow from a model's structures; the predicted ones of a calibrated model alone.
OF_STRUCTURES = ("volume_NAME", "predicted_dice", "predicted_dice_NAME", "predicted_interval_NAME")
INTRO = """# Files that are written

A file of yours with one of these names is never replaced. What each word means: [glossary](glossary.md).
Masks are called like their image, with `_seg` behind it. Models are `models/model.safetensors` and `models/model.pt`.

"""


def page() -> str:
    """The page docs/reference/files.md."""
    places = [(f"{one.place}/{one.name}" if one.place else one.name, one.name) for one in _unique()]
    rows = [[code(place), MEANINGS.get(place) or MEANINGS[name]] for place, name in places]
    parts = [INTRO + table(["file", "content"], rows) + "\n"]
    for name in ("datalist", "dataset", "plan"):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
        parts.append(f"## {name}.json\n\n" + _keys(schema, schema.get("required", [])) + "\n")
    first = f"JSON text in the header of `models/model.safetensors`, under the key `{CARD_KEY}`.\n\n"
    parts.append("## The card of a model\n\n" + first + _keys(SCHEMA, [key for key in NEEDED if "." not in key]) + "\n")
    parts.append(
        "## Columns\n\n"
        + table(
            ["file", "columns"], [_columns("quality.csv", {*QUALITY_ALL, *OF_STRUCTURES}), _columns("cases.csv", CASES_ALL)]
        )
        + "\n"
    )
    return "\n".join(parts)


def _unique() -> list[Any]:
    return list({(one.place, one.name): one for one in RESULTS}.values())


def _columns(name: str, columns: set[str]) -> list[str]:
    return [code(name), ", ".join(code(column) for column in sorted(columns))]


def _keys(schema: Mapping[str, Any], required: list[str]) -> str:
    """A row a key; of lists and objects the first two levels."""
    rows = []
    for key, value in schema["properties"].items():
        rows.append([code(key), "always" if key in required else "", _expected(value)])
        inner = value.get("items", value) if isinstance(value.get("items", {}), Mapping) else value
        deeper = inner.get("properties", {}) if isinstance(inner, Mapping) else {}
        rows += [
            [code(f"{key}.{name}"), "always" if name in inner.get("required", []) else "", _expected(v)]
            for name, v in deeper.items()
        ]
    return table(["key", "there", "value"], rows)


def _expected(value: Mapping[str, Any]) -> str:
    """What a schema says of a value, in words."""
    if "description" in value:
        return str(value["description"])
    if "$ref" in value:
        return "a " + str(value["$ref"]).rpartition("/")[2]
    if "const" in value or "enum" in value:
        return " or ".join(code(json.dumps(word).strip('"')) for word in value.get("enum", [value.get("const")]))
    kinds = value.get("type", "")
    return " or ".join([kinds] if isinstance(kinds, str) else kinds)
