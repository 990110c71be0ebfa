"""Predicted quality and calibrated probabilities: `python -m monai_hybrid.calibrating --data PREPARED --model MODEL`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.amounts import plural
from data_prep.home import at_home
from data_prep.interrupts import told
from data_prep.progress import show as show_progress
from monai_hybrid import one_command
from monai_hybrid.calibrating.calibration import Calibration, calibrate
from monai_hybrid.next_steps import after_evaluate, as_next
from monai_hybrid.prediction.reasons import by_reason
from monai_hybrid.quality.held_out import COPIES
from monai_hybrid.setting_checks import check_there, model_in


def calibrating(
    data: Annotated[Path, typer.Option("--data", help="prepared data set", metavar="FOLDER")],
    model: Annotated[str, typer.Option("--model", help="a file, the folder of a run, or a name", metavar="FILE")],
    split: Annotated[str, typer.Option("--split", help="validation or training")] = "validation",
    copies: Annotated[int, typer.Option("--copies", help="worse copies a case", min=0, max=100)] = COPIES,
    output: Annotated[Path | None, typer.Option("--output", help="file for a copy of the model", metavar="FILE")] = None,
) -> None:
    """Write predicted Dice, usual values and temperatures into a model's card, from labelled cases it was not trained on."""
    logging.getLogger("monai").setLevel(logging.ERROR)
    logging.basicConfig(format="%(message)s")
    show_progress()
    with told():
        inside = model_in(at_home(model))
        if inside is None:
            check_there("model", model, "--model")
        found = calibrate(data, str(inside or model), split, copies, output)
        show(found, str(found.file) if output is not None else model)


def show(found: Calibration, model: str) -> None:
    """Print what was fitted and the next line to type, with the model as the user called it."""
    entry, console = found.entry, Console()
    table = Table(title=f"{plural(entry['patients'], 'patient')}, {plural(entry['cases'], 'case')} and worse copies of them")
    for heading in ("structure", "error of the predicted Dice", "interval at Dice 0.8"):
        table.add_column(heading, overflow="fold")
    for name, lines in entry["dice"].items():
        low, high = (min(max(0.8 + bound * 0.22, 0), 1) for bound in lines[0]["interval"])
        table.add_row(escape(name), f"{lines[0]['error']:.3f}", f"{low:.2f} to {high:.2f}")
    console.print(table)
    if found.without:
        print(f"no predicted Dice for {', '.join(found.without)}: too few patients whose masks hold it")
    calibration = entry.get("calibration") or {}
    if calibration and "temperature" not in calibration:
        print(f"no temperature: it does not help most patients (calibration error {calibration.get('error_before', 0.0):.4f})")
    elif calibration:
        temperatures = sorted(set(calibration["temperature"]))
        before, after = (calibration.get(f"error_{when}", 0.0) for when in ("before", "after"))
        print(
            f"temperature {' to '.join(f'{t:.2f}' for t in temperatures[:1] + temperatures[1:][-1:])}: "
            f"calibration error {before:.4f} before, {after:.4f} after"
        )
    if found.failed:
        print("\n  ".join([f"left out: {plural(len(found.failed), 'case')}", *by_reason(found.failed.items())]))
    print(as_next(after_evaluate(model)))


def main() -> None:
    """Run `python -m monai_hybrid.calibrating`."""
    one_command.run(calibrating, "python -m monai_hybrid.calibrating")


if __name__ == "__main__":
    main()
