"""How good is the predicted Dice, and does it find the bad masks better than entropy or flips alone?

    python -m benchmarks.quality --model M --fit PREPARED --sets NAME=PREPARED[@MODEL] ... --output DIR
    python -m benchmarks.quality --model M --sets NAME=PREPARED[@MODEL] ... --output DIR
    python -m benchmarks.quality --model M --fit PREPARED --output DIR --cost 10

The lines and the temperature are fitted on the validation cases of the first data set. Each further set is scored on its test
cases, whose labels choose nothing; @MODEL segments a set by another model (an adapted one) with the same lines. Without --fit
they are those of the model's own card, as `monai-hybrid calibrate` fitted them. Prints tables
and writes quality.json; the signals of each set are kept, so a second call measures nothing twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.ending import ended
from data_prep.evenly import spread
from data_prep.json_io import dump_json
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.bundle.held_out import held_out_parts
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.quality.batch import strange_batch
from monai_hybrid.quality.dice_model import predicted_dice
from monai_hybrid.quality.entry import make_entry
from monai_hybrid.quality.held_out import COPIES, Measured
from monai_hybrid.quality.reliability import Counts, expected_error
from monai_hybrid.weights import read_card

CONFIG = bundle_folder("few_shot_finetune") / "configs/inference.json"
# What ranks the cases: name -> sign, +1 where a larger value means a better mask.
ALONE = {"entropy": -1, "agreement_flip": 1, "agreement_noise": 1, "denoising_error": -1, "soft_dice": 1}
REVIEWED = 0.1
BATCH, DRAWS = 10, 500  # cases a batch, and batches, for the share that is called strange


def measured(prepared: Path, model: str, split: str, copies: int, limit: int | None, keep: Path) -> Measured:
    """Signals and Dice of the labelled cases of a split, evenly chosen where there are more than `limit`; kept in a file."""
    if keep.is_file():
        content = json.loads(keep.read_text(encoding="utf-8"))
        arrays = np.load(keep.with_suffix(".npz"))
        return Measured(content["rows"], content["errors"], [arrays["p"]], [arrays["classes"]], content["patients"], {})
    data = read_prepared(prepared)
    cases = data.labelled(split, required=True)
    cases = spread(cases, limit) if limit else cases
    found = held_out_parts(CONFIG, model, data.dataset, "cpu").measure(cases, copies)
    keep.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(keep.with_suffix(".npz"), p=np.concatenate(found.p), classes=np.concatenate(found.classes))
    dump_json({"rows": found.rows, "errors": found.errors, "patients": found.patients}, keep)
    return found


def predictions(found: Measured, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows with "predicted" (Dice, low, high) where the card allows it; a single structure may have another name."""
    only = next(iter(entry["dice"])) if len(entry["dice"]) == 1 else ""
    names = {row["structure"]: row["structure"] if row["structure"] in entry["dice"] else only for row in found.rows}
    rows = [{**row, "predicted": predicted_dice(entry, names[row["structure"]], row["signals"])} for row in found.rows]
    return [row for row in rows if row["predicted"] is not None]


def worst_found(dice: Sequence[float], score: Sequence[float]) -> float:
    """Of the worst tenth of the masks, the part that is among the tenth of the lowest scores; ties count by their chance."""
    wanted = max(1, round(REVIEWED * len(dice)))
    worst = np.argsort(dice, kind="stable")[:wanted]
    ranked, border = np.asarray(score), np.sort(score)[wanted - 1]
    below, level = ranked < border, ranked == border
    chance = (wanted - below.sum()) / level.sum()
    return float((below[worst].sum() + chance * level[worst].sum()) / wanted)


def scored(found: Measured, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Errors, ranks and coverage of a set, for the prediction and for single signals."""
    rows = predictions(found, entry)
    dice = np.array([row["dice"] for row in rows])
    predicted, low, high = np.array([row["predicted"] for row in rows]).T
    result: dict[str, Any] = {
        "masks": len(rows),
        "mean_dice": float(dice.mean()),
        "mean_predicted": float(predicted.mean()),
        "error": float(np.abs(dice - predicted).mean()),
        "error_of_a_constant": float(np.abs(dice - np.mean(entry["reference"]["predicted_dice"])).mean()),
        "covered": float(((low <= dice) & (dice <= high)).mean()),
        "width": float((high - low).mean()),
        "rank_correlation": {}, "worst_found": {},
    }  # fmt: skip
    scores = {"predicted Dice": predicted}
    for name, sign in ALONE.items():
        values = [row["signals"].get(name) for row in rows]
        if all(value is not None for value in values):
            scores[name] = sign * np.array(values, float)
    for name, score in scores.items():
        constant = np.ptp(score) == 0 or np.ptp(dice) == 0
        result["rank_correlation"][name] = None if constant else float(spearmanr(score, dice).statistic)
        result["worst_found"][name] = worst_found(dice.tolist(), score.tolist())
    return result


def calibrated(found: Measured, entry: Mapping[str, Any]) -> dict[str, float | None]:
    """Expected calibration error before and after the temperatures of the card."""
    temperature = (entry.get("calibration") or {}).get("temperature")
    counts = Counts(temperature)
    counts.add(torch.as_tensor(np.concatenate(found.p)).T, torch.as_tensor(np.concatenate(found.classes)))
    return {"before": expected_error(counts.before), "after": expected_error(counts.after) if temperature else None}


def called_strange(found: Measured, entry: Mapping[str, Any]) -> float | None:
    """Share of random batches of ten cases that are called strange; None with fewer than ten cases."""
    by_case: dict[str, list[float]] = {}
    for row in predictions(found, entry):
        by_case.setdefault(row["case_id"], []).append(row["predicted"][0])
    cases = [name for name in by_case if name in found.errors]
    if len(cases) < BATCH:
        return None
    random, strange = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        batch = random.choice(cases, BATCH, replace=False)
        values = {
            "denoising_error": [found.errors[name] for name in batch],
            "predicted_dice": [float(np.mean(by_case[name])) for name in batch],
        }
        strange += strange_batch(values, entry["reference"])["strange"]
    return strange / DRAWS


def cost(prepared: Path, model: str, number: int) -> dict[str, float]:
    """Processor seconds a case of segmenting and denoising, without and with the signals; reading and writing are left out."""
    data = read_prepared(prepared)
    parts = held_out_parts(CONFIG, model, data.dataset, "cpu")
    seconds = {"without": 0.0, "with": 0.0}
    with torch.no_grad():
        for turn, case in enumerate([data.labelled("testing", required=True)[0], *data.labelled("testing")[:number]]):
            image = parts.prepare(dict(case))["image"]
            for name in seconds:
                began = time.process_time()
                sums = parts.signals.sums(image, parts.inferer) if name == "with" else None
                parts.inferer.segment(image, parts.network)
                if sums is None:
                    parts.signals.score(image, parts.network)
                else:
                    parts.signals.measured(sums, image, parts.network, parts.inferer)
                seconds[name] += (time.process_time() - began) if turn else 0.0  # the first case warms up
    shown = {name: round(total / number, 4) for name, total in seconds.items()}
    return {**shown, "more": round(seconds["with"] / seconds["without"] - 1, 4), "cases": number}


def tables(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: errors and coverage, then ranks and found cases of each signal."""
    head = ["set", "masks", "Dice", "predicted", "error", "error of a constant", "in the 90 % interval", "ECE before", "after",
            "batches of 10 called strange"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    for name, of in results.items():
        cells = [of["masks"], *(_number(of[key]) for key in ("mean_dice", "mean_predicted", "error", "error_of_a_constant"))]
        cells += [
            _percent(of["covered"]),
            _number(of["ece"]["before"], 4),
            _number(of["ece"]["after"], 4),
            _percent(of["strange"]),
        ]
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    signals = list(dict.fromkeys(name for of in results.values() for name in of["rank_correlation"]))
    for title, key, shown in (
        ("rank correlation with the Dice", "rank_correlation", _number),
        ("worst tenth found at a tenth reviewed", "worst_found", _percent),
    ):
        lines += ["", f"| {title} | {' | '.join(signals)} |", "| --- |" + " --- |" * len(signals)]
        lines += [f"| {name} | " + " | ".join(shown(of[key].get(s)) for s in signals) + " |" for name, of in results.items()]
    return "\n".join(lines)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--fit", type=Path, help="prepared data set whose validation cases fit the lines; none: the card's")
    parser.add_argument("--sets", default=[], nargs="+", metavar="NAME=FOLDER[@MODEL]")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--copies", type=int, default=COPIES, help="worse copies of a validation case")
    parser.add_argument("--worse", type=int, default=0, help="worse copies of a test case, scored as a set of their own")
    parser.add_argument("--limit", type=int, help="cases of a split; none: all")
    parser.add_argument("--cost", type=int, metavar="N", help="only measure what the signals cost, on N test cases")
    args = parser.parse_args()
    if args.cost and not args.fit:
        parser.error("--cost needs --fit: the data to measure on")
    if args.cost:
        found = cost(args.fit, args.model, args.cost)
        args.output.mkdir(parents=True, exist_ok=True)
        dump_json({"model": Path(args.model).name, **found}, args.output / "cost.json")
        print(f"{found['without']:.3f} s a case without, {found['with']:.3f} s with the signals: {found['more']:+.1%}")
        return
    if args.fit:
        fitted = measured(args.fit, args.model, "validation", args.copies, args.limit, args.output / "validation.json")
        entry = make_entry(fitted, {"data": args.fit.name, "split": "validation"})
    else:
        entry = (read_card(args.model) or {}).get("quality") or {}
    if not entry.get("dice"):
        raise SystemExit(f"{args.fit or args.model}: no predicted Dice; give data of three validation patients, or calibrate")
    results: dict[str, Any] = {}
    for text in args.sets:
        name, _, rest = text.partition("=")
        folder, _, model = rest.partition("@")
        found = measured(Path(folder), model or args.model, "testing", args.worse, args.limit, args.output / f"{name}.json")
        clean = Measured(**{**vars(found), "rows": [row for row in found.rows if row["copy"] == "as it is"]})
        results[name] = {**scored(clean, entry), "ece": calibrated(found, entry), "strange": called_strange(clean, entry)}
        if args.worse:
            worse = Measured(**{**vars(found), "rows": [row for row in found.rows if row["copy"] != "as it is"]})
            results[f"{name}, made worse"] = {**scored(worse, entry), "ece": {"before": None, "after": None}, "strange": None}
        about = {"model": Path(args.model).name, "fitted_on": {"patients": entry["patients"], "cases": entry["cases"]}}
        dump_json({**about, "entry": entry, "sets": results}, args.output / "quality.json")
        print(tables(results), flush=True)


if __name__ == "__main__":
    sys.exit(ended(main))
