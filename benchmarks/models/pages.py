"""Write `docs/models/NAME.md` of each model of the package: `python -m benchmarks.models.pages [--pictures]`.

The text follows from the file about the model and its card. `--pictures` also draws: pairs that the model samples, or the
random shapes that it was trained on. No patient is in either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import monai_hybrid
from benchmarks.ending import ended
from data_prep.amounts import by
from data_prep.json_io import write_atomically
from data_prep.phantom.dataset import SHAPES, labels_of, make_case
from monai_hybrid.bundle.sample import write_sheet
from monai_hybrid.catalogue.entry import Entry, entries
from monai_hybrid.catalogue.shown import number, to_type

OTHERS = "Scores of this file: the [results](../results/README.md) are of other models, trained for their studies."
DOCS = Path(__file__).parents[2] / "docs/models"
SAMPLED = "Each pair is drawn by the model from noise."
TRAINED_ON = "Drawings of the kind that it was trained on, and the shapes that it learned to find in them."
SHOWN = 6  # pairs of a picture
WIDTH, QUALITY = 1400, 88  # of a picture, as JPEG: a sixth of the bytes of the sheet


def page(one: Entry, picture: bool) -> str:
    """The page of a model, in Markdown."""
    about = one.about
    parts = [f"# {one.name}: {about['title']}", about["use"], "```bash\n" + "\n".join(to_type(one)) + "\n```"]
    if picture:
        parts += [f"![{'Random shapes' if one.universal else 'Pairs of image and mask'}]({one.name}.jpg)"]
        parts += [f"{TRAINED_ON if one.universal else SAMPLED} No patient is shown."]
    parts += [_facts(one), "## Data", *map(_data, about["data"]), "## Training", _training(one), "## Scores", _scores(about)]
    parts += ["## Known failures", "\n".join(f"- {text}" for text in about["known_failures"]) or "None is known."]
    parts += ["## Cite", "\n".join(f"- {text}" for text in about["citation"])]
    return "\n\n".join(parts) + "\n"


def _facts(one: Entry) -> str:
    rows = {
        "structures": "any, after adapting" if one.universal else ", ".join(one.structures),
        "modality": one.modality,
        "dimensions": f"{one.dims}D",
        "spacing": "of your data" if one.spacing is None else by(one.spacing),
        "size": f"{one.size / 1e6:.1f} MB, {one.about['storage']['dtype']}",
        "licence": f"{one.about['licence']['weights']}. {one.about['licence']['attribution']}",
    }
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {text} |" for name, text in rows.items())


def _data(data: dict[str, str]) -> str:
    return f"**{data['name']}**, {data['licence']}. {data['source']} {data['citation']}"


def _training(one: Entry) -> str:
    training, storage = one.about["training"], one.about["storage"]
    return (
        f"```bash\n{training['command']}\n```\n\n"
        f"Seed {training['seed']}, revision {training['commit'] or 'unknown'}. Stored as {storage['dtype']}: "
        f"{storage['voxels_differing']} of {storage['voxels_compared']} voxels of the validation masks "
        "differ from those of the weights as trained."
    )


def _scores(about: dict[str, Any]) -> str:
    source, adapted = about["scores"]["source_test"], about["scores"]["adapted"]
    if not source and not adapted:
        return "Not measured yet."
    lines = [f"Mean Dice with its 95 % interval over test patients. {OTHERS}", ""]
    lines += ["| data | labelled patients | Dice | test patients |", "| --- | --- | --- | --- |"]
    lines += [_row("its source", "-", source)] if source else []
    lines += [_row(target["target"], shots["labels"], shots["score"]) for target in adapted for shots in target["shots"]]
    commands = [f"`{target['command']}`" for target in adapted]
    return "\n".join([*lines, *(["", "Adapted by " + ", ".join(commands) + "."] if commands else [])])


def _row(what: str, labels: Any, score: dict[str, Any]) -> str:
    dice = ", ".join(f"{name} {number(of)}" for name, of in score["dice"].items())
    return f"| {what} | {labels} | {dice} | {score['patients']} |"


def write_pages(docs: Path, pictures: bool) -> list[Path]:
    """Write the pages, and remove those of models that are gone."""
    written = []
    for one in entries():
        if pictures:
            _draw(one, docs / f"{one.name}.jpg")
        text = page(one, (docs / f"{one.name}.jpg").is_file())
        write_atomically(docs / f"{one.name}.md", text.encode())
        written.append(docs / f"{one.name}.md")
    return written


def _draw(one: Entry, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        sheet = Path(place) / "contact_sheet.png"
        if one.universal:
            _draw_shapes(one.dims, sheet)
        else:
            monai_hybrid.sample(one.name, place, num_samples=SHOWN, seed=0)
        with Image.open(sheet) as large:
            height = round(large.height * WIDTH / large.width)
            small = large.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        small.save(file, quality=QUALITY, subsampling=0, optimize=True)


def _draw_shapes(dims: int, sheet: Path) -> None:
    cases = [make_case(SHAPES, 0, dims, index) for index in range(SHOWN)]
    planes = (slice(None),) * 3 if dims == 3 else (slice(None), slice(None), 0)  # a picture is one slice
    signals = [case.signal[planes] for case in cases]
    images = [torch.as_tensor(np.interp(grey, (grey.min(), grey.max()), (-1, 1)))[None] for grey in signals]
    masks = [torch.as_tensor(case.label[planes]) for case in cases]
    names = ["background", *(name for value, name in labels_of(SHAPES).items() if value != "0")]
    write_sheet(images, masks, names, sheet)


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models.pages", description=__doc__)
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--pictures", action="store_true", help="draw pairs from each model")
    args = parser.parse_args(words)
    for file in write_pages(args.docs, args.pictures):
        print(file)


if __name__ == "__main__":
    sys.exit(ended(main))
