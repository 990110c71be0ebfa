"""Are labels that `suggest` chooses better than random ones?

    python -m benchmarks.suggestions --data RAW --model M --output DIR

RAW holds images/, labels/ and splits.json; all of its cases are used. In each repetition the patients are divided anew into a
pool, whose scans could be labelled, and a test. Every order chooses from the same pool; random draws several times. The model
is adapted with the labels of the chosen scans, with the same updates and seed, by the configuration of `adapt`, and scored on
the network's grid. So each order has a difference to the random draws of the same repetition. No test label chooses anything.
Prints a table and writes suggestions.json; runs that are there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.ending import ended
from benchmarks.label_efficiency.configuration import configuration, deterministic_transforms
from benchmarks.label_efficiency.data import Case, CaseStore, thinned
from benchmarks.label_efficiency.scoring import mean, score
from benchmarks.label_efficiency.study import ROOT
from benchmarks.label_efficiency.training import make_stream, train
from data_prep.build import build
from data_prep.json_io import dump_json
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.few_shot.starting_point import StartingPoint, starting_point
from monai_hybrid.suggesting import ORDERS, ordered
from monai_hybrid.suggesting.seen import Seen, look, signals_of

CHOOSING = tuple(order for order in ORDERS if order != "random")
LEVEL = 0.95


@dataclass
class Target:
    """The data set and the model: cases by name, what the model sees in each, and its Dice by labels chosen."""

    data: PreparedData
    origin: StartingPoint
    cases: dict[str, Case]
    seen: dict[str, Seen]
    store: CaseStore
    settings: Mapping[str, Any]
    inferer: Any

    def scored(self, chosen: Sequence[str], test: Sequence[str], seed: int) -> float:
        """Mean Dice of the test patients after an adaptation with these labels.

        The order in which the cases are drawn follows from the seed, not from the order of choice.
        """
        pairs = [(self.store, self.cases[name]) for name in sorted(chosen)]
        stream = make_stream("finetune", self.settings, self.data, self.origin, pairs, seed)
        network = train("finetune", self.settings, self.data, self.origin, stream, seed, "cpu").network
        cases = [self.cases[name] for name in test]
        device = next(network.parameters()).device
        dice = mean(score(network, self.store.of(cases), self.inferer, self.data.num_classes, device), cases)
        assert dice is not None
        return round(dice, 4)


def opened(raw: Path, model: str, folder: Path, each: int, settings: Mapping[str, Any]) -> Target:
    """Describe the data set, and look with the model at every scan, of slices at `each` of a patient."""
    if not (folder / "data/plan.json").is_file():
        build(raw, folder / "data", splits=raw / "splits.json")
    data = read_prepared(folder / "data")
    cases = thinned([case for split in ("training", "validation", "testing") for case in data.labelled(split)], each)
    origin = starting_point(model, data, str(ROOT / "bundles/few_shot_finetune"))
    assert origin.path is not None
    eye = look(origin.path)
    seen = {case["case_id"]: eye(case) for case in cases}
    store = CaseStore(deterministic_transforms(data, origin))
    parser = configuration("finetune", {}, data, origin, "cpu")
    parser["validate#inferer#sw_batch_size"] = 16
    inferer = parser.get_parsed_content("validate#inferer")
    return Target(data, origin, {case["case_id"]: case for case in cases}, seen, store, settings, inferer)


def divided(cases: Mapping[str, Case], pool: int, repetition: int) -> tuple[list[str], list[str]]:
    """Case ids of `pool` patients, and of the others."""
    patients = sorted({str(case["patient"]) for case in cases.values()})
    random.Random(repetition).shuffle(patients)
    inside = set(patients[:pool])
    names = sorted(cases)
    return [n for n in names if cases[n]["patient"] in inside], [n for n in names if cases[n]["patient"] not in inside]


def choices(seen: Sequence[Seen], number: int, draws: int, repetition: int) -> list[tuple[str, list[str]]]:
    """(order, scans): of each order one choice, of the random one several."""
    features = np.stack([one.features for one in seen])
    signals = signals_of(seen)
    orders = [order for order in CHOOSING if any(value is not None for value in signals.get(order, [0.0]))]
    found = [(order, ordered(order, number, features, signals=signals)) for order in orders]
    found += [("random", ordered("random", number, features, seed=1000 * repetition + draw)) for draw in range(draws)]
    return [(order, sorted(seen[i].case_id for i in places)) for order, places in found]


def against_random(rows: Sequence[Mapping[str, Any]], order: str, labels: int) -> list[float]:
    """Of each repetition: the order's Dice minus the mean of the random draws."""
    here = [row for row in rows if row["labels"] == labels]
    found = []
    for repetition in sorted({row["repetition"] for row in here}):
        own, by_chance = (
            [row["dice"] for row in here if row["repetition"] == repetition and row["order"] == name]
            for name in (order, "random")
        )
        if own and by_chance:
            found.append(float(np.mean(own) - np.mean(by_chance)))
    return found


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % of the mean, by Student's t; None of fewer than two values."""
    if len(values) < 2:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row an order; for each budget the mean Dice, and the difference to random with its interval."""
    budgets = list(dict.fromkeys(row["labels"] for row in rows))
    heads = [head for n in budgets for head in (f"{n} label{'s' * (n > 1)}", "against random [95 %]")]
    lines = [f"| order | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for order in ("random", *CHOOSING):
        cells = []
        for labels in budgets:
            dice = [row["dice"] for row in rows if row["labels"] == labels and row["order"] == order]
            cells.append(f"{np.mean(dice):.3f}" if dice else "-")
            differences = [] if order == "random" else against_random(rows, order, labels)
            between = interval(differences)
            ends = f" [{between[0]:+.3f}, {between[1]:+.3f}]" if between else ""
            cells.append(f"{np.mean(differences):+.3f}{ends}" if differences else "")
        lines.append(f"| {order} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--labels", nargs="+", type=int, default=[1, 3], help="budgets")
    parser.add_argument("--repetitions", type=int, default=5, help="divisions into pool and test")
    parser.add_argument("--draws", type=int, default=3, help="random draws of each repetition")
    parser.add_argument("--pool", type=int, default=24, help="patients whose scans could be labelled")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--each", type=int, default=4, help="slices of a patient, evenly spread; 0 for all")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    settings = {"updates": args.updates, "batch_size": args.batch_size}
    target = opened(args.data, args.model, args.output, args.each, settings)
    about = {
        "model": Path(args.model).name,
        **settings,
        "pool": args.pool,
        "each": args.each,
        "patients": len({str(case["patient"]) for case in target.cases.values()}),
    }
    path = args.output / "suggestions.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = {key(row): row["dice"] for row in earlier.get("rows", [])} if {k: earlier.get(k) for k in about} == about else {}
    rows: list[dict[str, Any]] = []
    before = time.process_time()
    for repetition in range(args.repetitions):
        pool, test = divided(target.cases, args.pool, repetition)
        for labels in args.labels:
            for order, chosen in choices([target.seen[name] for name in pool], labels, args.draws, repetition):
                row = {"order": order, "labels": labels, "repetition": repetition, "chosen": chosen}
                dice = known.get(key(row))
                dice = known[key(row)] = target.scored(chosen, test, repetition) if dice is None else dice
                rows.append({**row, "dice": dice})
                dump_json({**about, "rows": rows}, path)
            print(f"repetition {repetition}, {labels}: {time.process_time() - before:.0f} processor seconds", flush=True)
    print(table(rows))


def key(row: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """Of a run: equal choices in one repetition share it."""
    return row["repetition"], tuple(row["chosen"])


if __name__ == "__main__":
    sys.exit(ended(main))
