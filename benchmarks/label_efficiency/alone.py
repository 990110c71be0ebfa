"""Adapting to a target's scans without a label, and whether the safety stop was right."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.label_efficiency import records
from benchmarks.label_efficiency.scoring import mean
from benchmarks.label_efficiency.training import Trained, make_stream, shaping, train
from monai_hybrid.few_shot.safety_stop import ADAPTED, decide
from monai_hybrid.few_shot.scans_alone import hold_out
from monai_hybrid.few_shot.shots import without_labels
from monai_hybrid.few_shot.signals import Look
from monai_hybrid.weights import read_card

if TYPE_CHECKING:
    from benchmarks.label_efficiency.runner import Runner
    from benchmarks.label_efficiency.study import Arm

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
    pairs, origin = [(d.target_store, case) for case in cases], replace(d.origin, path=str(path))
    key = ("alone", seed, shaping(settings))
    stream = runner.streams.get(key, lambda: make_stream("finetune", settings, d.target, origin, pairs, mixed_seed))
    rate = runner.learning_rate(arm)
    trained = train("finetune", settings, d.target, origin, stream, mixed_seed, runner.device, arm.kind, rate)
    original = runner.starting_network(arm, seed)
    card = read_card(path) if path else None
    look = Look(card or {}, runner.inferer, d.origin.plan["spacing"], d.origin.plan["patch_size"], runner.schedule)
    images = [item["image"] for item in d.target_store.of(held)]
    verdict = decide(look(original, images), look(trained.network, images), objective == "diffusion")
    dice = {
        name: mean(runner.score(network, d.target_store, d.test, arm), d.test)
        for name, network in (("original", original), ("adapted", trained.network))
    }
    kept = trained.network if verdict.kept == ADAPTED else original
    return replace(trained, network=kept), {**verdict.plain(), "scans": len(held), "dice": dice}


def right(stop: dict[str, Any]) -> bool:
    """Whether the model that was kept is the better one of the two on the test patients."""
    dice = stop["dice"]
    return bool((stop["kept"] == ADAPTED) == (dice["adapted"] > dice["original"]))


def table(folder: Path) -> str:
    """A line a run: what the stop kept, the Dice of both, and whether it was right; then how often."""
    rows = [r for r in records.read(folder / "results.jsonl") if "stop" in r]
    lines = ["| arm | seed | original | adapted | kept | right |", "| --- | --- | --- | --- | --- | --- |"]
    for r in rows:
        stop, dice = r["stop"], r["stop"]["dice"]
        word = "yes" if right(stop) else "no"
        lines.append(f"| {r['arm']} | {r['seed']} | {dice['original']:.3f} | {dice['adapted']:.3f} | {stop['kept']} | {word} |")
    return "\n".join([*lines, "", f"right: {sum(right(r['stop']) for r in rows)} of {len(rows)}"])


def main(words: Sequence[str] | None = None) -> int:
    """`python -m benchmarks.label_efficiency.alone runs/label_efficiency/zero_labels`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency.alone", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a study")
    print(table(parser.parse_args(words).folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
