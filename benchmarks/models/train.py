"""Train a model of the package by its recipe: `python -m benchmarks.models.train NAME [--data RAW] --output DIR`.

Runs `monai-hybrid build` on the raw data, then `monai-hybrid pretrain`. A stopped training goes on when the command is given
again. Further `--name value` replace settings of the recipe, for a trial.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai_hybrid
from benchmarks.ending import ended
from benchmarks.models.recipe import Recipe, load_recipe
from monai_hybrid.errors import ConfigError

PREPARED = "prepared"  # below the output folder


def built(raw: Path, out: Path, options: Mapping[str, Any]) -> Path:
    """A raw data set, prepared once; a table of splits is looked for in its folder."""
    if not (out / "datalist.json").is_file():
        given = {**options, **({"splits": raw / options["splits"]} if "splits" in options else {})}
        monai_hybrid.build(raw, out, **given)
    return out


def train(recipe: Recipe, data: Path | None, output: Path, more: Mapping[str, Any] | None = None) -> Path:
    """Train; `more` replaces settings, for a trial. The folder of the run.

    Raises:
        ConfigError: a recipe of real data, and no `data`.
        HybridError: what `build` and `pretrain` raise.
    """
    if recipe.drawn:
        source: Path | str = recipe.source
    elif data is None:
        raise ConfigError(f"{recipe.name}: is trained on {recipe.source}; give that folder with --data")
    else:
        source = built(data, output / PREPARED, recipe.build)
    settings = {**recipe.settings, "seed": recipe.seed, **(more or {})}
    begun = (output / "checkpoints").is_dir()
    return monai_hybrid.pretrain(source, output, **settings, **({"resume": True} if begun else {}))


def main(words: Sequence[str] | None = None) -> int:
    """The command line; our own errors end in one line and their exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models.train", description=__doc__)
    parser.add_argument("name", help="a recipe")
    parser.add_argument("--data", type=Path, help="folder of the raw data; random shapes need none")
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    args, rest = parser.parse_known_args(words)
    if len(rest) % 2 or any(not name.startswith("--") for name in rest[::2]):
        parser.error(f"{' '.join(rest)}: expected settings of pretrain, --name value")
    more = {name.removeprefix("--").replace("-", "_"): value for name, value in zip(rest[::2], rest[1::2], strict=True)}
    return ended(lambda: train(load_recipe(args.name), args.data, args.output, more))


if __name__ == "__main__":
    sys.exit(main())
