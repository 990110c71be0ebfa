"""Adapting to a target's scans without a label, and whether the safety stop was right."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.label_efficiency import records
from benchmarks.label_efficiency.scoring import by_patient
from benchmarks.label_efficiency.starts import start_from
from benchmarks.label_efficiency.statistics import interval
from benchmarks.label_efficiency.training import Trained, make_stream, shaping, train
from data_prep.json_io import dump_json
from monai_hybrid.few_shot.safety_stop import ADAPTED, decide
from monai_hybrid.few_shot.scans_alone import hold_out
from monai_hybrid.few_shot.shots import without_labels
from monai_hybrid.few_shot.signals import Look
from monai_hybrid.weights import read_card

if TYPE_CHECKING:
    from benchmarks.label_efficiency.runner import Runner
    from benchmarks.label_efficiency.study import Arm

TIE = 0.0005  # Dice; two models that differ by less are as good
FIRST_SEED = 20_000  # of the streams: no other run has it


def adapt_alone(runner: Runner, arm: Arm, seed: int) -> tuple[Trained, dict[str, Any]]:
    """Adapt to the pool's scans without a label.

    Returns:
        The network that the safety stop keeps; and what it saw, with the Dice of both networks on the test patients, which it
        does not know: so it can be said how often it was right.
    """
    d, mixed_seed = runner.data.with_network(arm.network), FIRST_SEED + seed
    settings = runner.study.finetune_settings(arm, 0)
    path = runner.pretrained(arm, seed)
    objective, taught = str(settings.get("objective", "supervised")), bool(settings.get("self_training"))
    cases, held = hold_out(without_labels(d.pool), objective, taught, seed)
    pairs, origin = [(d.target_store, case) for case in cases], start_from(path, d.origin)
    key = ("alone", seed, shaping(settings), origin.network.get("num_domains", 0))
    stream = runner.streams.get(key, lambda: make_stream("finetune", settings, d.target, origin, pairs, mixed_seed))
    rate = runner.learning_rate(arm)
    trained = train("finetune", settings, d.target, origin, stream, mixed_seed, runner.device, arm.kind, rate)
    original = runner.starting_network(arm, seed)
    card = read_card(path) if path else None
    look = Look(card or {}, runner.inferer, d.origin.plan["spacing"], d.origin.plan["patch_size"], runner.schedule)
    images = [item["image"] for item in d.target_store.of(held)]
    verdict = decide(look(original, images), look(trained.network, images), objective == "diffusion")
    patients = {
        name: by_patient(runner.score(network, d.target_store, d.test, arm), d.test)
        for name, network in (("original", original), (ADAPTED, trained.network))
    }
    dice = {name: sum(values.values()) / len(values) for name, values in patients.items()}
    kept = trained.network if verdict.kept == ADAPTED else original
    return replace(trained, network=kept), {**verdict.plain(), "scans": len(held), "dice": dice, "patients": patients}


def right(stop: Mapping[str, Any]) -> bool | None:
    """Whether the model that was kept is the better one of the two on the test patients; None where they are as good."""
    gain = stop["dice"][ADAPTED] - stop["dice"]["original"]
    return None if abs(gain) < TIE else bool((stop["kept"] == ADAPTED) == (gain > 0))


def table(folder: Path) -> str:
    """A line a run: what the stop kept, the Dice of both, and whether it was right; then a line an arm."""
    rows = [r for r in records.read(folder / "results.jsonl") if "stop" in r]
    lines = ["| arm | seed | original | adapted | kept | right |", "| --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        stop, dice = r["stop"], r["stop"]["dice"]
        word = {True: "yes", False: "no", None: "as good"}[right(stop)]
        lines.append(f"| {r['arm']} | {r['seed']} | {dice['original']:.3f} | {dice['adapted']:.3f} | {stop['kept']} | {word} |")
    columns = (
        "arm",
        "runs",
        "original",
        "always adapted",
        "gain [95 %]",
        "kept by the stop",
        "gain [95 %]",
        "adapted kept",
        "stop right",
    )
    lines += ["", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for arm in dict.fromkeys(r["arm"] for r in rows):
        lines.append(_of_arm(arm, [r["stop"] for r in rows if r["arm"] == arm]))
    return "\n".join(lines)


def plain(folder: Path) -> list[dict[str, Any]]:
    """A line a run, without patients."""
    rows = [r for r in records.read(folder / "results.jsonl") if "stop" in r]
    return [
        {
            "arm": r["arm"],
            "seed": r["seed"],
            "kept": r["stop"]["kept"],
            **{k: round(v, 4) for k, v in r["stop"]["dice"].items()},
        }
        for r in rows
    ]


def _of_arm(arm: str, stops: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds and patients, and intervals of the differences to the original."""
    cells = [f"{np.mean([stop['dice']['original'] for stop in stops]):.3f}"]
    for name in (lambda stop: ADAPTED, lambda stop: stop["kept"]):
        pairs = [(stop["patients"][name(stop)], stop["patients"]["original"]) for stop in stops if "patients" in stop]
        gains = np.array([[[new[patient] - old[patient] for patient in sorted(old)] for new, old in pairs]])
        between = interval(gains) if len(pairs) == len(stops) else None  # older lines have no patients
        ends = f" [{between[0]:+.3f}, {between[1]:+.3f}]" if between else ""
        gain = np.mean([stop["dice"][name(stop)] - stop["dice"]["original"] for stop in stops])
        cells += [f"{np.mean([stop['dice'][name(stop)] for stop in stops]):.3f}", f"{gain:+.3f}{ends}"]
    told = [right(stop) for stop in stops if right(stop) is not None]
    kept = sum(stop["kept"] == ADAPTED for stop in stops)
    return f"| {arm} | {len(stops)} | {' | '.join(cells)} | {kept} of {len(stops)} | {sum(map(bool, told))} of {len(told)} |"


def main(words: Sequence[str] | None = None) -> int:
    """`python -m benchmarks.label_efficiency.alone runs/label_efficiency/zero_labels`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency.alone", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+", help="folders of studies")
    parser.add_argument("--json", type=Path, help="write what was kept and the Dice of both models, a line a run")
    args = parser.parse_args(words)
    for folder in args.folder:
        print(f"{folder.name}\n\n{table(folder)}\n")
    if args.json:
        dump_json({folder.name: plain(folder) for folder in args.folder}, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
