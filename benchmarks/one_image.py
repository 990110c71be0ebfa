"""Does a mask gain from a few updates on its own image? `python -m benchmarks.one_image --data RAW --model M --output DIR`.

The test cases of RAW (images/, labels/, splits.json) are segmented by the model as it is, by the weights after the updates of
`predict --test-time-updates`, and by those that the safety stop keeps. Dice is that of the network's grid, a patient's is the
mean over its cases. Labels choose nothing. Prints a table and writes one_image.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.ending import ended
from benchmarks.label_efficiency.configuration import configuration, deterministic_transforms
from benchmarks.label_efficiency.data import Case, CaseStore, thinned
from benchmarks.label_efficiency.scoring import dice, predict
from benchmarks.label_efficiency.study import ROOT
from data_prep.build import build
from data_prep.json_io import dump_json
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.bundle.model import find_card, network_of
from monai_hybrid.evaluation.statistics import bootstrap_interval
from monai_hybrid.few_shot.one_image import OneImage
from monai_hybrid.few_shot.safety_stop import Verdict, decide
from monai_hybrid.few_shot.starting_point import starting_point
from monai_hybrid.prediction.table import ADAPTED, ORIGINAL
from monai_hybrid.weights import with_pretrained

EQUAL = 0.0005  # of Dice: below it both masks are as good


class Forced:
    """In the place of the safety stop: keeps the adapted weights always, and remembers what the stop would have kept."""

    def __init__(self) -> None:
        self.would = ORIGINAL

    def __call__(self, *seen: Any, **told: Any) -> Verdict:
        """The verdict of the stop, but for what is kept."""
        verdict = decide(*seen, **told)
        self.would = verdict.kept
        return Verdict(ADAPTED, verdict.reasons, verdict.numbers)


def measured(raw: Path, model: str, folder: Path, updates: int, rate: float, patients: int, each: int) -> list[dict[str, Any]]:
    """A row a case: Dice before and after, what the stop keeps, processor seconds without and with the updates."""
    if not (folder / "data/plan.json").is_file():
        build(raw, folder / "data", splits=raw / "splits.json")
    data = read_prepared(folder / "data")
    origin = starting_point(model, data, str(ROOT / "bundles/few_shot_finetune"))
    assert origin.path is not None
    card = find_card(origin.path)
    network = with_pretrained(network_of(card), origin.path).eval()
    inferer = configuration("finetune", {}, data, origin, "cpu").get_parsed_content("validate#inferer")
    store, stop = CaseStore(deterministic_transforms(data, origin)), Forced()
    adapt = OneImage(card, origin.plan["patch_size"], origin.plan["spacing"], updates, rate, judge=stop)
    rows = []
    for case in chosen(data.labelled("testing"), patients, each):
        image, label = torch.as_tensor(store[case]["image"]).float(), torch.as_tensor(store[case]["label"])[:1].long()

        def scored(image: Any = image, label: Any = label) -> tuple[float, Any]:
            mask = predict(network, image[None], inferer)
            return float(dice(mask, label, data.num_classes).mean()), mask[0]

        started = time.process_time()
        before, mask = scored()
        alone, stop.would = time.process_time() - started, ORIGINAL
        with adapt(image, mask, network):
            after, _ = scored()
        row = {"case_id": case["case_id"], "patient": case["patient"], "before": before, "after": after, "kept": stop.would}
        rows.append({**row, "seconds": alone, "with_updates": time.process_time() - started})
    return rows


def chosen(cases: Sequence[Case], patients: int, each: int) -> list[Case]:
    """The cases of the first patients, at most so many of each."""
    names = sorted({str(case["patient"]) for case in cases})[:patients]
    return thinned([case for case in cases if case["patient"] in names], each)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean Dice over patients, before, after and as kept; how often the stop kept the better weights; the cost."""
    by_patient: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_patient.setdefault(row["patient"], []).append(row)
    means = {
        name: [fmean(value(row) for row in own) for own in by_patient.values()]
        for name, value in (
            ("before", lambda row: row["before"]),
            ("after", lambda row: row["after"]),
            ("kept", lambda row: row["after"] if row["kept"] == ADAPTED else row["before"]),
        )
    }
    gains = {name: [b - a for a, b in zip(means["before"], means[name], strict=True)] for name in ("after", "kept")}
    differ = [row for row in rows if abs(row["after"] - row["before"]) >= EQUAL]
    right = sum((row["after"] > row["before"]) == (row["kept"] == ADAPTED) for row in differ)
    return {
        "patients": len(by_patient), "cases": len(rows), **{name: round(fmean(of), 4) for name, of in means.items()},
        "gain": {name: [round(fmean(of), 4), *_interval(of)] for name, of in gains.items()},
        "kept_adapted": sum(row["kept"] == ADAPTED for row in rows), "differ": len(differ), "stop_right": right,
        "seconds": round(fmean(row["seconds"] for row in rows), 2),
        "seconds_with_updates": round(fmean(row["with_updates"] for row in rows), 2),
    }  # fmt: skip


def _interval(values: Sequence[float]) -> list[float]:
    ends = bootstrap_interval(list(values)) if len(values) > 1 else None
    return [round(end, 4) for end in ends] if ends else []


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: a row a setting."""
    lines = [
        "| model, data | updates, rate | patients, cases | as it is | updated | gain [95 %] | kept by the stop "
        "| updated masks kept | stop right | processor seconds a case |",
        "| --- |" + " --- |" * 9,
    ]
    for of in found:
        gain, *ends = of["gain"]["after"]
        between = f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else ""
        lines.append(
            f"| {of['model']}, {of['data']} | {of['updates']}, {of['rate']:g} | {of['patients']}, {of['cases']} "
            f"| {of['before']:.3f} | {of['after']:.3f} | {gain:+.3f}{between} | {of['kept']:.3f} "
            f"| {of['kept_adapted']} of {of['cases']} "
            f"| {of['stop_right']} of {of['differ']} | {of['seconds']:.1f}, {of['seconds_with_updates']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--updates", nargs="+", type=int, default=[10])
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-3], help="learning rates")
    parser.add_argument("--patients", type=int, default=8, help="of the test")
    parser.add_argument("--each", type=int, default=4, help="cases of a patient, 0 for all")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    for updates in args.updates:
        for rate in args.rates:
            rows = measured(args.data, args.model, args.output, updates, rate, args.patients, args.each)
            about = {"model": Path(args.model).stem, "data": args.data.resolve().name, "updates": updates, "rate": rate}
            found.append({**about, **summary(rows), "rows": rows})
            dump_json({"settings": found}, args.output / "one_image.json")
            print(table(found[-1:]), flush=True)
    print(table(found))


if __name__ == "__main__":
    sys.exit(ended(main))
