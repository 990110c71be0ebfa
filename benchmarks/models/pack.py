"""Put a trained model into the package: `python -m benchmarks.models.pack DIR NAME`.

Weights are stored in half precision when the masks of the validation cases stay the same. The file about the model is written
from the recipe, and the list of checksums is brought up to date. Scores that were measured for the same weights are kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor

from benchmarks.ending import ended
from benchmarks.models.recipe import Recipe, load_recipe
from data_prep.colour import parse_colour
from data_prep.evenly import spread
from data_prep.files import read_datalist, read_dataset
from data_prep.json_io import dump_json, write_atomically
from data_prep.shift.images import image_summary
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.about import problems, read_about
from monai_hybrid.catalogue.folder import FOLDER, LARGEST, LARGEST_TOGETHER, SUMS, digest
from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.weights import load_weights, read_card, write_safetensors

MOST_CASES = 20
# Voxels of the masks that may differ. A voxel between two structures has no margin, and flips when weights are rounded.
MOST_DIFFERING, OF_SHAPES = 1e-4, 1e-3  # masks of random shapes are of no use to anybody
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def masks(model: Path, cases: Sequence[Mapping[str, Any]]) -> Iterator[Tensor]:
    """Class index of every voxel of each case, by the configuration that predicts, in float32."""
    parser = ConfigParser()
    parser.read_config(str(bundle_folder("few_shot_finetune") / "configs/inference.json"))
    parser.update({"model": str(model), "device": "cpu", "precision": "float32"})
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(load_weights(model))
    prepare, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
    for case in cases:
        image = prepare({"image": case["image"], "case_id": case["case_id"]})["image"]
        with torch.no_grad():  # not around the yield: two of these run in turns, and each would end the other's
            labels = inferer.segment(image, network).labels
        yield labels


def differing(whole: Path, half: Path, cases: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Voxels compared, and those whose class differs."""
    compared = other = 0
    for a, b in zip(masks(whole, cases), masks(half, cases), strict=True):
        compared += a.numel()
        other += int((a != b).sum())
    return compared, other


def stored(
    model: Path, card: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], out: Path, most: float = MOST_DIFFERING
) -> dict[str, Any]:
    """Write the weights to `out` in the first number type that keeps the masks; the "storage" of the file about the model.

    `most` is the share of voxels that may differ.

    Raises:
        ModelFileError: no type keeps them in a file that is small enough.
    """
    weights = load_weights(model)
    for name, dtype in DTYPES.items():
        write_safetensors(weights, out, card, dtype)
        compared, other = differing(model, out, cases)
        print(f"{name}: {other} of {compared} voxels differ, {out.stat().st_size / 1e6:.2f} MB")
        if other <= most * compared:
            return {"dtype": name, "voxels_compared": compared, "voxels_differing": other}
    write_safetensors(weights, out, card)
    if out.stat().st_size > LARGEST:
        raise ModelFileError(f"{model}: masks change in half precision, and in float32 it has {out.stat().st_size} bytes")
    return {"dtype": "float32", "voxels_compared": compared, "voxels_differing": 0}


def prepared_of(run: Path, given: Path | None) -> Path:
    """The prepared data set that a run was trained on.

    Raises:
        DataError: not given, and not in the run's folder.
    """
    places = [given] if given else [run / "prepared", *sorted((run / "data").glob("*_prepared"))]
    found = next((place for place in places if (place / "datalist.json").is_file()), None)
    if found is None:
        raise DataError(f"{run}: no prepared data set in it; give the one that it was trained on with --data")
    return found


def packed_card(recipe: Recipe, card: Mapping[str, Any], prepared: Path) -> dict[str, Any]:
    """The card with its licence, and with the numbers of its training images where it has none."""
    reference = dict(card.get("reference") or {})
    if not recipe.universal and "images" not in reference:
        dataset, cases = read_dataset(prepared), read_datalist(prepared)["training"]
        colour, normalization = parse_colour(dataset.get("colour")), card["plan"]["normalization"]
        reference["images"] = image_summary(dataset, cases, normalization, colour)
    return {**card, "licence": dict(recipe.licence), "reference": reference}


def about_of(recipe: Recipe, run: Path, storage: Mapping[str, Any], citation: Sequence[str]) -> dict[str, Any]:
    """The file about a model, without scores."""
    record = run / "logs/run.json"
    revision = json.loads(record.read_text(encoding="utf-8")).get("revision") if record.is_file() else None
    return {
        "format_version": 1,
        "name": recipe.name,
        "title": recipe.title,
        "universal": recipe.universal,
        "use": recipe.use,
        "licence": dict(recipe.licence),
        "data": list(recipe.data),
        "training": {"command": recipe.command(), "seed": recipe.seed, "commit": revision},
        "storage": dict(storage),
        "scores": {"source_test": None, "adapted": []},
        "known_failures": list(recipe.known_failures),
        "citation": [*recipe.citation, *citation],
    }


def pack(run: Path, recipe: Recipe, into: Path, data: Path | None = None) -> Path:
    """Make the three files of a model.

    Args:
        run: folder of a training.
        recipe: of the model.
        into: folder of models.
        data: the prepared data set, where the run's folder has none.

    Raises:
        ModelFileError: no model, masks that change, or files too large.
        DataError: no data set.
    """
    model, prepared = run / "models/model.safetensors", prepared_of(run, data)
    card = read_card(model)
    if card is None:
        raise ModelFileError(f"{model}: no model with a card; give the folder of a training")
    lists = read_datalist(prepared)
    cases = spread(lists["validation"] or lists["training"], MOST_CASES)
    into.mkdir(parents=True, exist_ok=True)
    file = into / f"{recipe.name}.safetensors"
    before = load_weights(file) if file.is_file() else None
    with tempfile.TemporaryDirectory(dir=into) as place:
        new = Path(place) / file.name
        storage = stored(
            model, packed_card(recipe, card, prepared), cases, new, OF_SHAPES if recipe.universal else MOST_DIFFERING
        )
        others = sum(other.stat().st_size for other in into.glob("*.safetensors") if other != file)
        if new.stat().st_size > LARGEST or others + new.stat().st_size > LARGEST_TOGETHER:
            raise ModelFileError(f"{file}: too large; expected at most {LARGEST} bytes, and {LARGEST_TOGETHER} with all others")
        new.replace(file)
    about = about_of(recipe, run, storage, card.get("citation") or [])
    if before is not None and file.with_suffix(".json").is_file() and _equal(before, load_weights(file)):
        about["scores"] = read_about(file.with_suffix(".json"))["scores"]
    for problem in problems(about):
        raise ModelFileError(f"{recipe.name}: {problem}; correct the recipe")
    dump_json(about, file.with_suffix(".json"))
    write_sums(into)
    return file


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether weights are the same. Their files may differ: safetensors writes its entries in any order."""
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def write_sums(folder: Path) -> None:
    """The checksums of all weights in a folder, as `sha256sum` writes them."""
    lines = [f"{digest(file)}  {file.name}\n" for file in sorted(folder.glob("*.safetensors"))]
    write_atomically(folder / SUMS, "".join(lines).encode())


def main(words: Sequence[str] | None = None) -> int:
    """The command line; our own errors end in one line and their exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models.pack", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a training")
    parser.add_argument("name", help="its recipe")
    parser.add_argument("--data", type=Path, help="the prepared data set that it was trained on")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of models")
    args = parser.parse_args(words)

    def work() -> None:
        file = pack(args.run, load_recipe(args.name), args.into, args.data)
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")

    return ended(work)


if __name__ == "__main__":
    sys.exit(main())
