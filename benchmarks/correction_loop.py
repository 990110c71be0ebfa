"""Does the order that `monai-hybrid view` proposes beat a random one? Predict, correct a few cases, adapt, again.

    python -m benchmarks.correction_loop --output runs/correction_loop --seeds 0 1 --pictures docs/results/pictures

Two phantom scanners, pictures of 2D heads. The model has seen scanner A alone. In each round the proposal takes the first cases
of the page's list (flagged ones, then those whose foreground is least sure), the other arm takes random ones. The corrector is
simulated: the reference is saved through the page's own function. Each adaptation starts from the source model with all labels
so far, and has the same number of updates. Scored on cases that are in no pool. Writes `result.json` and `correction_loop.png`;
what is finished is not done again.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import monai_hybrid
from benchmarks.ending import ended
from benchmarks.plots import line_figure
from data_prep.build import build
from data_prep.phantom import generate
from data_prep.reading import read_volume
from monai_hybrid.demo import CHEAP_NETWORK
from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.gallery.volumes import mask_indices
from monai_hybrid.viewing.labels import save_label

POOL, TEST, SOURCE = 20, 10, 60  # cases that may be corrected, cases scored, cases of the source
ROUNDS, EACH = 2, 2  # rounds, and labels of each
UPDATES = 150  # of an adaptation
MODEL = "models/model.safetensors"
# The cheap network of the demo: minutes on one core.
COARSE = {"batch_size": 8, "patch_size": "[48,48]", "spacing": "[2,2]", "picture_interval": 0}
PRETRAINING = {**COARSE, "network_args": CHEAP_NETWORK, "max_epochs": 6, "updates_per_epoch": 50, "learning_rate": 0.003}
ADAPTING = {"updates": UPDATES, "picture_interval": 0, "learning_rate": 0.001}
ARMS = {"proposed": "the page's order", "random": "random order"}


def run_seed(folder: Path, seed: int) -> dict[str, Any]:
    """Mean Dice on the test cases: {"before", "all", arm: [a number a round], "labels"}."""
    target = generate(folder / "B", cases=POOL + TEST, site="B", seed=seed, dims=2)
    source = generate(folder / "A", cases=SOURCE, site="A", seed=seed, dims=2)
    model = folder / "source"
    if not (model / MODEL).is_file():
        monai_hybrid.pretrain(source, model, seed=seed, **PRETRAINING)
    names = sorted(path.name for path in (target / "images").iterdir())
    pool, test = set(names[:POOL]), names[POOL:]
    before = predicted(target, model, folder / "before")
    found: dict[str, Any] = {"seed": seed, "before": score(target, before, test)}
    for arm in ARMS:
        found[arm] = rounds(folder / arm, target, model, before, pool, test, arm, seed)
    everything = adapted(folder / "all", target, model, before, sorted(pool), seed)
    found["all"] = score(target, predicted(target, everything, folder / "all/masks"), test)
    return found


def rounds(
    folder: Path, target: Path, model: Path, before: Path, pool: set[str], test: Sequence[str], arm: str, seed: int
) -> list[float]:
    """The Dice after each round of one arm."""
    draw, chosen, masks, scores = random.Random(seed), [], before, []
    for number in range(1, ROUNDS + 1):
        left = [case.images[0].name for case in read_collection(masks).cases]  # in the page's order
        left = [name for name in left if name in pool and name not in chosen]
        chosen += left[:EACH] if arm == "proposed" else draw.sample(sorted(left), EACH)
        adapted_model = adapted(folder / f"round{number}", target, model, masks, chosen, seed)
        masks = predicted(target, adapted_model, folder / f"round{number}/masks")
        scores.append(score(target, masks, test))
    return scores


def predicted(target: Path, model: Path, folder: Path) -> Path:
    """Masks of all images of the target."""
    monai_hybrid.predict(target / "images", model, folder)
    return folder


def adapted(folder: Path, target: Path, model: Path, masks: Path, chosen: Sequence[str], seed: int) -> Path:
    """The source model adapted with the references of the chosen cases, saved as the page saves a correction."""
    if (folder / "run" / MODEL).is_file():
        return folder / "run"
    collection = read_collection(masks)
    for case in collection.cases:
        if case.images[0].name in chosen:
            drawing = mask_indices(collection, case, target / "labels" / case.images[0].name)
            save_label(collection, case, folder / "corrected", drawing.tobytes(order="F"), "simulated")
    build(folder / "corrected", folder / "prepared", val_fraction=0, test_fraction=0)
    return monai_hybrid.adapt(folder / "prepared", model, folder / "run", shots=len(chosen), seed=seed, **ADAPTING)


def score(target: Path, masks: Path, names: Sequence[str]) -> float:
    """Mean Dice over cases and structures; a structure that is in neither does not count."""
    found = []
    for case in read_collection(masks).cases:
        if case.images[0].name in names and case.mask is not None:
            reference = read_volume(target / "labels" / case.images[0].name).array
            mask = read_volume(case.mask).array
            for value in set(reference[reference > 0].tolist()) | set(mask[mask > 0].tolist()):
                a, b = reference == value, mask == value
                found.append(2 * int((a & b).sum()) / int(a.sum() + b.sum()))
    return statistics.fmean(found)


def told(results: Sequence[Mapping[str, Any]]) -> str:
    """The table of the page: a row an arm, mean over the seeds and each seed."""
    lines = ["| labels | " + " | ".join(str(EACH * number) for number in range(ROUNDS + 1)) + f" | all {POOL} |"]
    lines.append("| --- " * (ROUNDS + 3) + "|")
    before, everything = ([float(result[key]) for result in results] for key in ("before", "all"))
    for arm, name in ARMS.items():
        columns = [before, *([float(result[arm][number]) for result in results] for number in range(ROUNDS)), everything]
        lines.append(f"| {name} | " + " | ".join(_cell(column) for column in columns) + " |")
    return "\n".join(lines)


def _cell(scores: Sequence[float]) -> str:
    each = ", ".join(f"{score:.3f}" for score in scores)
    return f"{statistics.fmean(scores):.3f} ({each})"


def draw(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Dice over labels: a line an arm, thin ones for the seeds, and a level for all labels."""
    labels = [EACH * number for number in range(ROUNDS + 1)]
    lines = {name: [[result["before"], *result[arm]] for result in results] for arm, name in ARMS.items()}
    level = statistics.fmean(float(result["all"]) for result in results)
    line_figure(labels, lines, {f"all {POOL} labels": level}, "labels corrected", "mean Dice of the test cases", path)


def main() -> None:
    """Run the seeds that are missing, then write table and figure."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/correction_loop"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--pictures", type=Path, help="folder for the figure; none: the output folder")
    options = parser.parse_args()
    results = []
    for seed in options.seeds:
        path = options.output / f"seed{seed}.json"
        if not path.is_file():
            found = run_seed(options.output / f"seed{seed}", seed)
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        results.append(json.loads(path.read_text(encoding="utf-8")))
    content = {"pool": POOL, "test": TEST, "updates": UPDATES, "labels_a_round": EACH, "seeds": results}
    (options.output / "result.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draw(results, (options.pictures or options.output) / "correction_loop.png")
    print(told(results))


if __name__ == "__main__":
    sys.exit(ended(main))
