"""Which model lies nearest to scans: `python -m monai_hybrid.nearest TARGET [--model NAME]`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from data_prep.home import at_home
from data_prep.interrupts import told
from data_prep.json_io import dump_json
from data_prep.naming import keep_key_out
from data_prep.progress import show as show_progress
from data_prep.result_files import refuse_others
from monai_hybrid import one_command
from monai_hybrid.nearest.ranking import AUTO, as_plain, rank
from monai_hybrid.nearest.told import lines


def nearest(
    target: Annotated[Path, typer.Argument(help="prepared data set, image or folder of images", metavar="TARGET")],
    model: Annotated[str, typer.Option("--model", help="a file or a name; auto: all models of the dimensions")] = AUTO,
    out: Annotated[Path | None, typer.Option("--out", "--output", help="folder for nearest.json", metavar="FOLDER")] = None,
) -> None:
    """Compare models with scans, without a look at labels."""
    logging.getLogger("monai").setLevel(logging.ERROR)
    show_progress()
    with told():
        if out is not None:
            keep_key_out(out)
            refuse_others(out, "nearest")
        ranked = rank(at_home(target), model)
        if out is not None:
            dump_json({"target": target.name, "models": as_plain(ranked)}, out / "nearest.json")
        for line in lines(ranked, str(target), findings=model != AUTO):
            typer.echo(line)


if __name__ == "__main__":
    one_command.run(nearest, "python -m monai_hybrid.nearest")
