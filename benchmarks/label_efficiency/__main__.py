"""Run a label-efficiency study, or report on what was run.

    python -m benchmarks.label_efficiency --study NAME|FILE [--device cpu|cuda] [--resume] [--max_minutes M] [--output_dir R]
    python -m benchmarks.label_efficiency report R [--docs docs/results] [--minus ARM ARM] [--runs FILE]

Several processes may work on one study (each with --resume): they share the pretrained networks and take different runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ending import ended
from monai_hybrid.errors import ConfigError


def run_options(words: Sequence[str]) -> argparse.Namespace:
    """The command line of a study."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_efficiency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", required=True, help="a name in studies/, or a YAML or JSON file")
    parser.add_argument("--data_root", type=Path, default=Path("../shared/data"), help="folder that holds the raw data sets")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/label_efficiency"))
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--resume", action="store_true", help="go on where the results in --output_dir end")
    parser.add_argument("--arms", nargs="+", default=[], help="only these")
    parser.add_argument("--shots", nargs="+", type=int, default=[], help="only these numbers of labelled patients")
    parser.add_argument("--draws", type=int, help="at most so many draws of the labelled patients")
    parser.add_argument("--seeds", type=int, help="at most so many pretraining seeds")
    parser.add_argument("--max_minutes", type=float, help="start no run after so many minutes")
    parser.add_argument("--threads", type=int, help="of torch; default OMP_NUM_THREADS")
    return parser.parse_args(words)


def run(words: Sequence[str]) -> None:
    """Run a study or a part of it.

    Raises:
        ConfigError, DataError: see `load_study`, `Runner`; results are there and --resume is not.
    """
    from benchmarks.label_efficiency.study import load_study

    args = run_options(words)
    whole = load_study(args.study)
    study = whole.only(args.arms, args.shots, args.draws, args.seeds)
    folder = args.output_dir / study.name
    if (folder / "results.jsonl").is_file() and not args.resume:
        raise ConfigError(f"{folder}: results are there already; add --resume, or give another --output_dir")

    import torch

    from benchmarks.label_efficiency.runner import Runner

    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: torch sees no GPU here; type --device cpu")
    warnings.filterwarnings("ignore")
    started = time.monotonic()
    left = Runner(study, args.data_root, folder, args.device, _tell, whole.arms).work(args.max_minutes)
    _tell(f"{left} runs left after {(time.monotonic() - started) / 60:.1f} minutes; results: {folder / 'results.jsonl'}")


def _tell(line: str) -> None:
    print(time.strftime("%H:%M:%S"), line, flush=True)


def report(words: Sequence[str]) -> None:
    """Write and print the tables of all studies under a folder."""
    from benchmarks.label_efficiency import records
    from benchmarks.label_efficiency.report import contrasts, runs, write_report

    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_efficiency report")
    parser.add_argument("folder", type=Path, help="the --output_dir of the studies")
    parser.add_argument("--docs", type=Path, help="also put tables, figure and JSON here; no patient's picture goes there")
    parser.add_argument("--minus", nargs=2, action="append", metavar="ARM", help="also the first arm minus the second")
    parser.add_argument("--runs", type=Path, metavar="FILE", help="also write each run with its mean Dice, as JSON")
    args = parser.parse_args(words)
    print(write_report(args.folder, args.docs))
    if args.minus:
        print(f"\n{contrasts(args.folder, args.minus)}")
    if args.runs:
        records.write_json(args.runs, runs(args.folder))


def main(words: Sequence[str] | None = None) -> int:
    """The command line; our own errors end in one line and their exit code."""
    words = sys.argv[1:] if words is None else words
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ended(lambda: report(words[1:]) if words[:1] == ["report"] else run(words))


if __name__ == "__main__":
    sys.exit(main())
