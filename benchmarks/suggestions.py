"""Are labels that `suggest` chooses better than random ones?

    python -m benchmarks.suggestions --data RAW --model M --output DIR

RAW holds images/, labels/ and splits.json: `pool` (else fewshot, val or train) are scans that could be labelled, `test` scores.
For each budget the model is adapted with the scans that each order chooses, and with several random draws, all with the same
updates and seed. Prints a table and writes suggestions.json; runs that are there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import monai_hybrid
from data_prep.build import build
from data_prep.json_io import dump_json
from data_prep.reading import stem
from monai_hybrid.suggesting import ORDERS, ordered
from monai_hybrid.suggesting.seen import Seen, look

CHOOSING = tuple(order for order in ORDERS if order != "random")


def split(raw: Path) -> tuple[list[str], list[str]]:
    """Case ids of the pool and of the test."""
    splits = json.loads((raw / "splits.json").read_text(encoding="utf-8"))
    pool = splits.get("pool") or [*splits.get("fewshot", splits.get("train", [])), *splits.get("val", [])]
    return sorted({stem(Path(name)) for name in pool}), sorted({stem(Path(name)) for name in splits["test"]})


def looked(raw: Path, model: str, pool: Sequence[str]) -> list[Seen]:
    """What the model sees in the scans of the pool."""
    files = {stem(file): str(file) for file in (raw / "images").iterdir()}
    eye = look(model)
    return [eye({"image": files[name], "case_id": name}) for name in pool]


def draws(seen: Sequence[Seen], number: int, repetitions: int) -> dict[str, list[str]]:
    """The scans of each order, and of each random draw: "random 0", "random 1", ..."""
    features = np.stack([one.features for one in seen])
    signals = {"error": [one.error for one in seen], "entropy": [one.entropy for one in seen]}
    found = {order: ordered(order, number, features, signals=signals) for order in CHOOSING}
    found |= {f"random {seed}": ordered("random", number, features, seed=seed) for seed in range(repetitions)}
    return {name: sorted(seen[i].case_id for i in places) for name, places in found.items()}


def scored(raw: Path, model: str, chosen: Sequence[str], test: Sequence[str], folder: Path, **settings: Any) -> float:
    """Mean Dice of the test cases after an adaptation with these labels; equal choices share a run."""
    run = folder / "__".join(chosen)
    if not (run / "eval/summary.json").is_file():
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir(parents=True)
        (run / "splits.json").write_text(json.dumps({"train": list(chosen), "test": list(test)}), encoding="utf-8")
        build(raw, run / "data", splits=run / "splits.json")
        quiet = {"progress_bar": False, "picture_interval": 0}
        monai_hybrid.adapt(run / "data", model, run / "run", len(chosen), **quiet, **settings)
        monai_hybrid.evaluate(run / "data", run / "run", run / "eval", save_slices=False)
    dice: float = json.loads((run / "eval/summary.json").read_text(encoding="utf-8"))["dice"]["all"]["mean"]
    return dice


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row an order, a column a budget; random as mean, lowest and highest."""
    budgets = list(dict.fromkeys(row["labels"] for row in rows))
    lines = [f"| order | {' | '.join(f'{n} labels' for n in budgets)} |", "| --- |" + " --- |" * len(budgets)]
    for order in ("random", *CHOOSING):
        cells = []
        for labels in budgets:
            dice = [row["dice"] for row in rows if row["labels"] == labels and row["order"].split()[0] == order]
            spread = f" ({min(dice):.3f} to {max(dice):.3f}, {len(dice)} draws)" if order == "random" and dice else ""
            cells.append(f"{np.mean(dice):.3f}{spread}" if dice else "-")
        lines.append(f"| {order} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 3, 5], help="budgets")
    parser.add_argument("--repetitions", type=int, default=5, help="random draws")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--batch-size", type=int, help="of the adaptation; none: the configuration's")
    args = parser.parse_args()
    settings = {"updates": args.updates, **({"batch_size": args.batch_size} if args.batch_size else {})}
    args.output.mkdir(parents=True, exist_ok=True)
    pool, test = split(args.data)
    seen = looked(args.data, args.model, pool)
    rows: list[dict[str, Any]] = []
    for labels in args.labels:
        for order, chosen in draws(seen, labels, args.repetitions).items():
            dice = scored(args.data, args.model, chosen, test, args.output, **settings)
            rows.append({"order": order, "labels": labels, "chosen": chosen, "dice": dice})
            about = {"model": Path(args.model).name, **settings, "pool": len(pool), "test": len(test)}
            dump_json({**about, "rows": rows}, args.output / "suggestions.json")
            print(table(rows), flush=True)


if __name__ == "__main__":
    main()
