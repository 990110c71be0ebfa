"""Do the networks of leave-one-out say together how good a mask is, and is their mean the better mask?

    python -m benchmarks.fold_agreement --data DATA --model ADAPTED [--limit N] --output DIR

ADAPTED is the folder of a run with `--stopping leave_one_out --keep-folds True`. Its model and its folds segment the test cases
on the network's grid. Agreement is the mean Dice of the folds' masks with the model's.
Prints a table and writes fold_agreement.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer
from scipy.stats import spearmanr

from benchmarks.ending import ended
from benchmarks.label_efficiency.configuration import deterministic_transforms
from benchmarks.label_efficiency.data import CaseStore
from benchmarks.label_efficiency.scoring import dice
from benchmarks.label_efficiency.statistics import interval
from benchmarks.label_efficiency.study import ROOT
from benchmarks.quality import worst_found
from monai_hybrid.bundle import network_of
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.errors import DataError
from monai_hybrid.few_shot.starting_point import starting_point
from monai_hybrid.inferers.segmenter import segmenter
from monai_hybrid.quality.folds import read_folds
from monai_hybrid.weights import load_weights, read_card

BUNDLE = str(ROOT / "bundles/few_shot_finetune")


def measured(prepared: Path, model: Path, limit: int) -> list[dict[str, Any]]:
    """A row a test case with foreground: Dice of the model, of each fold and of their mean, and the agreement.

    Raises:
        DataError: the run kept no folds.
    """
    folds = sorted(read_folds(model).values())
    if not folds:
        raise DataError(f"{model.parent.parent}: no folds; adapt with --stopping leave_one_out --keep-folds True")
    data, card = read_prepared(prepared), read_card(model) or {}
    networks = []
    for path in (model, *folds):
        network = network_of(card).eval()
        network.load_state_dict(load_weights(path))
        networks.append(segmenter(network))
    cases = data.labelled("testing")
    chosen = np.linspace(0, len(cases) - 1, min(limit, len(cases))).round().astype(int)
    store = CaseStore(deterministic_transforms(data, starting_point(str(model), data, BUNDLE)))
    inferer = SlidingWindowInferer(card["training"]["patch_size"], 4, 0.5, "gaussian", progress=False)
    rows = []
    for case in (cases[i] for i in chosen):
        item = store.of([case])[0]
        label = torch.as_tensor(item["label"])[0][None].long()
        if label.any():
            image = torch.as_tensor(item["image"])[None].float()
            rows.append(
                {
                    "case_id": case["case_id"],
                    "patient": case["patient"],
                    **looked(networks, inferer, image, label, data.num_classes),
                }
            )
    return rows


@torch.no_grad()
def looked(networks: Sequence[Any], inferer: Any, image: torch.Tensor, label: torch.Tensor, classes: int) -> dict[str, Any]:
    """Of one case: the scores, each the mean over the structures; the first network is the model."""
    probabilities = [inferer(image, network).softmax(1) for network in networks]
    own, *others = (p.argmax(1) for p in probabilities)
    joined = torch.stack(probabilities[1:]).mean(0).argmax(1)

    def score(mask: torch.Tensor, against: torch.Tensor) -> float:
        return float(dice(mask, against, classes).mean())

    return {
        "model": score(own, label),
        "mean_of_folds": score(joined, label),
        "folds": [score(mask, label) for mask in others],
        "agreement": float(np.mean([score(mask, own) for mask in others])),
    }


def gain(rows: Sequence[dict[str, Any]]) -> tuple[float, tuple[float, float] | None]:
    """Mean over patients of the mean of the folds minus the model, and its bootstrap interval."""
    by_patient: dict[str, list[float]] = {}
    for row in rows:
        by_patient.setdefault(row["patient"], []).append(row["mean_of_folds"] - row["model"])
    values = np.array([[[float(np.mean(of)) for of in by_patient.values()]]])
    return float(values.mean()), interval(values)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown."""
    own, agreement = np.array([row["model"] for row in rows]), np.array([row["agreement"] for row in rows])
    difference, between = gain(rows)
    ends = f" [{between[0]:+.3f}, {between[1]:+.3f}]" if between else ""
    columns = (
        "masks",
        "Dice of the model",
        "of one fold",
        "of their mean",
        "gain [95 %]",
        "agreement",
        "rank correlation",
        "worst tenth found",
    )
    cells = [str(len(rows)), f"{own.mean():.3f}", f"{np.mean([row['folds'] for row in rows]):.3f}"]
    cells += [f"{np.mean([row['mean_of_folds'] for row in rows]):.3f}", f"{difference:+.3f}{ends}", f"{agreement.mean():.3f}"]
    cells += [f"{spearmanr(agreement, own).statistic:.2f}", f"{worst_found(own.tolist(), agreement.tolist()):.0%}"]
    return f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}\n| {' | '.join(cells)} |"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path, help="folder of the run")
    parser.add_argument("--limit", type=int, default=60, help="test cases, evenly chosen")
    parser.add_argument("--output", required=True, type=Path)
    args = parser.parse_args(words)
    rows = measured(args.data, args.model / "models/model.pt", args.limit)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "fold_agreement.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    sys.exit(ended(main))
