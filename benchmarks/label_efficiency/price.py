"""What an objective costs: processor time until a pretraining reaches a Dice on the source's validation patients.

    python -m benchmarks.label_efficiency.price runs/label_efficiency/cardiac_scd_acdc [--json price.json]

The level is that of supervised pretraining at its end, of the same seed, less `BELOW`: so that the last digit decides nothing.
Between two validations the Dice is taken to rise along a line.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.json_io import dump_json, load_json

BELOW = 0.01  # of Dice
PLAIN = ("updates", "curve", "batch_size", "amp", "objective", "learning_rate")  # settings that are no part of an objective
_FOLDER = re.compile(r"(?P<network>.+?)-(?P<objective>[a-z_]+)-(?P<key>[0-9a-f]{8})-seed(?P<seed>\d+)")


def reached(curve: Sequence[Sequence[float]], level: float) -> float | None:
    """The number of updates at which a curve of (updates, Dice) first has the level; None where it never has.

    Before the first validation nothing is known: a level that is reached by then counts as reached there.
    """
    before: Sequence[float] | None = None
    for updates, dice in curve:
        if dice >= level:
            if before is None:
                return float(updates)
            share = (level - before[1]) / (dice - before[1])
            return float(before[0] + share * (updates - before[0]))
        before = (updates, dice)
    return None


def prices(study: Path) -> list[dict[str, Any]]:
    """A row for each pretraining of a study that has a supervised one of its network and seed beside it.

    Args:
        study: folder of a study, as `benchmarks.label_efficiency` writes it.

    Returns:
        "arm", "seed", "level" (Dice), "updates" and "seconds" (of a processor) until it, None where it is not reached,
        "last" (Dice at the end), and "ratio" of seconds to supervised's.
    """
    runs: list[tuple[str, int, str, Mapping[str, Any]]] = []
    for path in sorted((study / "pretrained").glob("*/info.json")):
        match = _FOLDER.fullmatch(path.parent.name)
        if match is not None:
            info = load_json(path)
            runs.append((match["network"], int(match["seed"]), _arm(info["settings"]), info))
    levels = {(network, seed): _supervised(info) for network, seed, arm, info in runs if arm == "supervised"}
    rows = []
    for network, seed, arm, info in runs:
        if (network, seed) not in levels:
            continue
        level, seconds = levels[network, seed]
        updates = reached(info["source_validation"], level)
        spent = None if updates is None else updates * info["cpu_seconds"] / info["updates"]
        rows.append(
            {
                "study": study.name, "arm": arm, "seed": seed, "level": level, "updates": updates, "seconds": spent,
                "last": info["source_validation"][-1][1], "ratio": None if spent is None else spent / seconds,
            }
        )  # fmt: skip
    return rows


def _arm(settings: Mapping[str, Any]) -> str:
    more = [f"{key} {value}" for key, value in sorted(settings.items()) if key not in PLAIN]
    return ", ".join([str(settings["objective"]), *more])


def _supervised(info: Mapping[str, Any]) -> tuple[float, float]:
    level = info["source_validation"][-1][1] - BELOW
    updates = reached(info["source_validation"], level)
    assert updates is not None  # its last validation is above
    return level, updates * info["cpu_seconds"] / info["updates"]


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each pretraining."""
    lines = ["| study | pretraining | seed | Dice to reach | updates | processor seconds | of supervised's | Dice at the end |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        got = row["updates"] is not None
        cells = [f"{row['updates']:.0f}", f"{row['seconds']:.0f}", f"{row['ratio']:.2f}"] if got else ["not reached", "-", "-"]
        lines.append(
            f"| {row['study']} | {row['arm']} | {row['seed']} | {row['level']:.3f} | {' | '.join(cells)} | {row['last']:.3f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    rows = [row for study in args.studies for row in prices(study)]
    print(table(rows))
    if args.json:
        dump_json(rows, args.json)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
