"""From the folders of a study to its table, JSON and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.plots import dice_bars_figure, loss_by_timestep_figure
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.evaluation.summary import ALL, summarize

ORDER = ("hybrid", "supervised", "noisy_supervised", "two_pass", "diffusion", "diffusion_probe", "scratch_probe")
LAST_EPOCHS = 3


def read_run(folder: Path) -> dict[str, Any]:
    """Scores, per-case Dice and the mask loss over t (mean of the last epochs) of one arm.

    The means are computed from the per-case file, so that studies with the older `dice.csv` follow the same policy.
    """
    summary = json.loads((folder / "eval/summary.json").read_text())
    rows = read_cases(folder / "eval")
    scores = summarize(rows)
    history = [json.loads(line) for line in (folder / "logs/history.jsonl").read_text().splitlines()]
    curves = [epoch["mask_loss_by_t"] for epoch in history[-LAST_EPOCHS:]]
    return {
        **scores,
        "training": summary["training"],
        "per_case": {c: [r["dice"] for r in rows if r["class"] == c] for c in scores["dice"] if c != "all"},
        "mask_loss_by_t": {name: _mean([curve[name] for curve in curves]) for name in curves[0]},
        "minutes": json.loads((folder / "minutes.json").read_text()),
    }


def _mean(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def table(runs: dict[str, dict[str, Any]], against: dict[str, str]) -> str:
    """Markdown: an arm a row; mean and SD over the test cases, per class, and the difference of hybrid to it."""
    first = next(iter(runs.values()))
    classes = list(first["per_case"])
    head = [
        "objective",
        "updates",
        *[f"Dice {c}" for c in classes],
        "median",
        "worst",
        "HD95",
        "hybrid - this (Dice)",
        "minutes",
    ]
    lines = [" | ".join(["", *head, ""]).strip(), "|".join(["", *["---"] * len(head), ""])]
    for name, run in runs.items():
        cells = [f"{_text(run['dice'][c]['mean'])} ± {_text(run['dice'][c]['sd'])}" for c in classes]
        overall, hd95 = run["dice"]["all"], run.get("hd95", {}).get("all", {}).get("mean")
        row = [name, str(run["training"]["updates"]), *cells, _text(overall["median"]), _text(overall["min"])]
        row += ["-" if hd95 is None else f"{hd95:.2f}", against.get(name, "-"), f"{run['minutes']:.1f}"]
        lines.append(" | ".join(["", *row, ""]).strip())
    return "\n".join(lines)


def against_hybrid(folder: Path, runs: dict[str, dict[str, Any]]) -> dict[str, str]:
    """For each other arm: mean difference hybrid - arm in Dice, 95 % bootstrap interval over cases, Wilcoxon p."""
    told = {}
    for name in runs:
        if name != "hybrid" and "hybrid" in runs:
            of_all = [d for d in compare(folder / name / "eval", folder / "hybrid/eval") if (d.metric, d.name) == ("dice", ALL)]
            for d in of_all:
                interval = "" if d.interval is None else f" [{d.interval[0]:+.3f}, {d.interval[1]:+.3f}]"
                told[name] = f"{d.difference:+.3f}{interval}" + ("" if d.test.p is None else f", p = {d.test.p:.2g}")
    return told


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def write_report(folder: Path) -> str:
    """Write `results.json`, `table.md`, `dice.png` and `mask_loss.png` under `folder`; return the table."""
    runs = {name: read_run(folder / name) for name in ORDER if (folder / name / "eval/summary.json").is_file()}
    (folder / "results.json").write_text(json.dumps(runs, indent=1) + "\n")
    text = table(runs, against_hybrid(folder, runs))
    (folder / "table.md").write_text(text + "\n")
    shown = {
        name: {c: [_nan(v) for v in values] for c, values in run["per_case"].items()}
        for name, run in runs.items()
        if "probe" not in name and name != "diffusion"
    }
    dice_bars_figure(shown, folder / "dice.png")
    # The other arms never read a mask from noise.
    curves = {name: runs[name]["mask_loss_by_t"] for name in ("hybrid", "noisy_supervised") if name in runs}
    if curves:
        bins = [name for name in next(iter(curves.values())) if name != "clean"]
        edges = [float(b.split("-")[0]) for b in bins] + [float(bins[-1].split("-")[1])]
        values = {run: [_nan(curve[b]) for b in bins] for run, curve in curves.items()}
        loss_by_timestep_figure(edges, values, folder / "mask_loss.png", ylabel="mask cross-entropy")
    return text


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value
