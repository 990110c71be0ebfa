"""Score a model of the package: `python -m benchmarks.models.score NAME --data_root ROOT --output DIR`.

On the test cases of its source, and on each target of the recipe: as it is where the target has its structures, and after
`monai-hybrid adapt` with 1, 3 and 5 labelled patients. Dice with its interval over patients goes into the file about the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai_hybrid
from benchmarks.ending import ended
from benchmarks.models.recipe import Recipe, Target, load_recipe
from benchmarks.models.train import built
from data_prep.files import read_dataset
from data_prep.json_io import dump_json
from monai_hybrid.catalogue.about import problems, read_about
from monai_hybrid.catalogue.entry import entry
from monai_hybrid.catalogue.folder import folder
from monai_hybrid.errors import ModelFileError

SHOTS = (0, 1, 3, 5)


def score_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A score of the file about a model, from `summary.json` of an evaluation."""
    dice = {}
    for structure, of in summary["dice"].items():
        if of.get("mean") is not None and (structure != "all" or len(summary["dice"]) > 2):
            interval = of.get("interval")
            dice[structure] = {
                "mean": round(of["mean"], 4),
                "interval": None if not interval or None in interval else [round(end, 4) for end in interval],
            }
    return {"patients": int(summary["patients"]), "dice": dice}


def evaluated(data: Path, model: str | Path, out: Path) -> dict[str, Any]:
    """The score of a model on the test cases of a data set; an evaluation that is there is not repeated."""
    if not (out / "summary.json").is_file():
        monai_hybrid.evaluate(data, model, out)
    return score_of(json.loads((out / "summary.json").read_text(encoding="utf-8")))


def on_target(recipe: Recipe, target: Target, root: Path, out: Path, shots: Sequence[int], seed: int) -> dict[str, Any]:
    """Scores of one target by the number of labelled patients."""
    data = built(root / target.raw, out / target.raw / "prepared", target.build)
    structures = [str(label["name"]) for label in read_dataset(data)["labels"]][1:]
    found = []
    for labels in shots:
        run = out / target.raw / f"{recipe.name}_{labels}"
        if labels == 0 and sorted(structures) != sorted(entry(recipe.name).structures):
            continue
        if labels and not (run / "models/model.safetensors").is_file():
            monai_hybrid.adapt(data, recipe.name, run, labels, seed=seed)
        found.append({"labels": labels, "score": evaluated(data, run if labels else recipe.name, run / "eval")})
    command = f"monai-hybrid adapt --data {target.raw} --model {recipe.name} --shots N --seed {seed}"
    return {"target": target.title, "command": command, "shots": found}


def score(recipe: Recipe, root: Path, out: Path, shots: Sequence[int], seed: int = 0) -> None:
    """Measure, and write into the file about the model.

    Raises:
        HybridError: no such model or data, or what the commands raise.
    """
    file = folder() / f"{recipe.name}.json"
    about = read_about(file)
    if not recipe.drawn:
        place = out / f"source_of_{recipe.name}"  # not that of a target of the same data with other labels
        source = built(root / recipe.source, place / "prepared", recipe.build)
        about["scores"]["source_test"] = evaluated(source, recipe.name, place / "eval")
    about["scores"]["adapted"] = [on_target(recipe, target, root, out, shots, seed) for target in recipe.targets]
    for problem in problems(about):
        raise ModelFileError(f"{file}: {problem}")
    dump_json(about, file)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; our own errors end in one line and their exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models.score", description=__doc__)
    parser.add_argument("name", help="a model of the package, with a recipe")
    parser.add_argument("--data_root", type=Path, default=Path("../shared/data"), help="folder of the raw data sets")
    parser.add_argument("--output", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--shots", type=int, nargs="+", default=list(SHOTS), help="labelled patients")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(words)
    return ended(lambda: score(load_recipe(args.name), args.data_root, args.output, args.shots, args.seed))


if __name__ == "__main__":
    sys.exit(main())
