"""Train twice a seed on one prepared data set, with `resampling` "sample" and "area", and score both on held-out cases.

    python -m data_prep build RAW --out PREPARED --spacing "2,2,2"
    python -m benchmarks.resampling --dataset_dir PREPARED --output_dir RUNS [--also OTHER ...] -- --max_epochs 3

Everything after `--` goes to `train.json` of every run. `--also` names further prepared data sets to score on. Finished runs
are skipped, so an interrupted study goes on. Prints a table and writes resampling.json.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import torch

from benchmarks.bundle_run import run_bundle
from benchmarks.ending import ended
from benchmarks.resampling.report import summary, write_report
from data_prep.files import read_datalist, read_dataset, read_plan, write_all
from data_prep.resampling import AREA, SAMPLE


def with_resampling(prepared: Path, way: str, out: Path) -> Path:
    """The same prepared data set with another `resampling` in its plan."""
    plan = {**read_plan(prepared), "resampling": way}
    out.mkdir(parents=True, exist_ok=True)
    write_all(out, {"datalist": read_datalist(prepared), "dataset": read_dataset(prepared), "plan": plan})
    return out


def run(root: Path, prepared: Path, tests: dict[str, Path], way: str, seed: int, extra: dict[str, str]) -> None:
    """One training and its evaluations, unless they are there."""
    folder = root / f"{way}_{seed}"
    if not (folder / "models/model.safetensors").is_file():
        data = with_resampling(prepared, way, root / f"data_{way}")
        run_bundle("train.json", dataset_dir=data, output_dir=folder, seed=seed, overwrite=True, progress_bar=False, **extra)
    for name, data in tests.items():
        out = folder / f"eval_{name}"
        if not (out / "summary.json").is_file():
            model = folder / "models/model.safetensors"
            run_bundle("evaluate.json", dataset_dir=data, model=model, output_dir=out, save_slices=False)


def processor() -> str:
    """Name of the processor and what torch uses of it."""
    names = [line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {torch.backends.cpu.get_cpu_capability()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", required=True, type=Path, help="a folder made by `python -m data_prep build`")
    parser.add_argument("--also", nargs="*", default=[], type=Path, help="further prepared data sets to score on")
    parser.add_argument("--output_dir", required=True, type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    args, rest = parser.parse_known_args()
    words = [word for word in rest if word != "--"]
    extra = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    tests = {folder.name: folder for folder in (args.dataset_dir, *args.also)}
    for seed in args.seeds:
        for way in (SAMPLE, AREA):
            run(args.output_dir, args.dataset_dir, tests, way, seed, extra)
    about = {
        "dataset": args.dataset_dir.name,
        "spacing": read_plan(args.dataset_dir)["spacing"],
        "settings": extra,
        "seeds": args.seeds,
        "processor": processor(),
    }
    print(write_report(args.output_dir, summary(args.output_dir, list(tests), args.seeds), about))


if __name__ == "__main__":
    sys.exit(ended(main))
