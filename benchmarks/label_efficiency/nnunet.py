"""nnU-Net itself with a few labelled patients of a study's target: its plans, training and prediction, our draws and scores.

    python -m venv nnunet && nnunet/bin/pip install nnunetv2
    python -m benchmarks.label_efficiency.nnunet --study NAME --nnunet nnunet/bin/python --shots 1 3 --draws 1 --minutes 10

It sees the cases as the study's arms do: on their grid, the same patients drawn, the same patients scored. Prints a table and
writes nnunet.jsonl and nnunet.json into OUTPUT/STUDY. Each run keeps nnU-Net's own files beside them: they show patients.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ending import ended
from benchmarks.label_efficiency import records
from benchmarks.label_efficiency.configuration import deterministic_transforms
from benchmarks.label_efficiency.data import CaseStore, StudyData, open_data
from benchmarks.label_efficiency.nnunet_layout import NAME, NUMBER, read_masks, write_raw
from benchmarks.label_efficiency.scoring import by_patient, dice, mean
from benchmarks.label_efficiency.statistics import interval
from benchmarks.label_efficiency.study import Study, load_study
from data_prep.resampling import AREA, SAMPLE
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.few_shot.shots import draw_shots

STORED = Path("docs/results/data/label_efficiency.json")
TRAINER = "nnUNetTrainerMinutes"
TRAINERS = Path(__file__).with_name("nnunet_trainer")
PLANS = "nnUNetPlans"
KEPT_OF_PLANS = ("patch_size", "batch_size", "normalization_schemes")


def options(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.label_efficiency.nnunet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--study", required=True, help="a name in studies/, or a YAML or JSON file")
    parser.add_argument("--data_root", type=Path, default=Path("../shared/data"), help="folder that holds the raw data sets")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/nnunet"))
    parser.add_argument("--nnunet", type=Path, default=Path(sys.executable), help="Python of nnU-Net's environment")
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 3], help="numbers of labelled patients")
    parser.add_argument("--draws", type=int, default=1, help="draws of the labelled patients")
    parser.add_argument("--minutes", type=float, default=10, help="of training, in processor time of one thread")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--resampling", choices=(AREA, SAMPLE), help="of the grid; default: the study's plan")
    parser.add_argument("--against", type=Path, default=STORED, help="results of the study's arms")
    parser.add_argument("--arms", nargs="+", default=["supervised", "hybrid"], help="of these, set beside it")
    parser.add_argument("--resume", action="store_true", help="go on where the results in --output_dir end")
    return parser.parse_args(words)


def require_nnunet(python: Path) -> str:
    """The version of nnU-Net beside a Python.

    Raises:
        EnvironmentFault: there is none.
    """
    ask = "from importlib.metadata import version; print(version('nnunetv2'))"
    try:
        answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        answer = None
    if answer is None or answer.returncode:
        raise EnvironmentFault(
            f"--nnunet {python}: no Python that has nnU-Net. It needs an environment of its own: "
            "python -m venv nnunet && nnunet/bin/pip install nnunetv2, then --nnunet nnunet/bin/python"
        )
    return answer.stdout.strip()


def opened(study: Study, data_root: Path, folder: Path, resampling: str | None) -> StudyData:
    """The study's data as its arms have it; with `resampling` on a grid that is made so.

    Raises:
        DataError: see `open_data`.
    """
    data = open_data(study, data_root, folder / "data", "cpu")
    if resampling is None:
        return data
    origin = replace(data.origin, plan={**data.origin.plan, "resampling": resampling})
    store = CaseStore(deterministic_transforms(data.target, origin), study.target.appearance)
    return replace(data, origin=origin, target_store=store)


def one_run(
    study: Study, data: StudyData, folder: Path, args: argparse.Namespace, draw: int, shots: int
) -> tuple[records.Record, Path]:
    """Draw, write, plan, train, predict and score: the record of `nnunet.jsonl`, and the folder of nnU-Net's files."""
    place = folder / f"draw{draw}_shots{shots}"
    shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
    drawn = draw_shots(data.pool, shots, draw, str(place))
    test = data.target_store.of(data.test)
    spacing = list(data.origin.plan["spacing"])
    write_raw(place / "raw" / NAME, data.target_store.of(drawn), test, data.target.class_names[1:], spacing)
    configuration = "2d" if len(spacing) == 2 else "3d_fullres"
    work(place, configuration, args)
    masks = read_masks(place / "predictions", test)
    scores = scored(masks, test, data.target.num_classes)
    record = {
        "study": study.name, "arm": "nnunet", "seed": 0, "draw": draw, "shots": shots, "minutes": args.minutes,
        "patients": sorted({case["patient"] for case in drawn}), "cases": len(drawn),
        "resampling": data.origin.plan["resampling"], "dice": scores, "mean": mean(scores, data.test),
        **told(place, configuration),
    }  # fmt: skip
    return record, place


def work(place: Path, configuration: str, args: argparse.Namespace) -> None:
    """nnU-Net's three commands on what lies under `place`.

    Raises:
        EnvironmentFault: one of them failed; what it said stands in `place`/nnunet.log.
    """
    device, plain = ["-device", args.device], ["-d", str(NUMBER), "-c", configuration]
    images, masks = str(place / "raw" / NAME / "imagesTs"), str(place / "predictions")
    lines = (
        ["nnUNetv2_plan_and_preprocess", *plain, "-npfp", "1", "-np", "1", "--verify_dataset_integrity"],
        ["nnUNetv2_train", str(NUMBER), configuration, "all", "-tr", TRAINER, *device],
        ["nnUNetv2_predict", "-i", images, "-o", masks, *plain, "-f", "all", "-tr", TRAINER, "-npp", "1", "-nps", "1", *device],
    )
    log = place / "nnunet.log"
    for program, *words in lines:
        with log.open("a") as output:
            line = [str(args.nnunet.absolute().parent / program), *words]
            code = subprocess.run(
                line, env=environment(place, args.minutes), stdout=output, stderr=output, check=False
            ).returncode
        if code:
            raise EnvironmentFault(f"{program} ended with code {code}; what it said: {log}")


def environment(place: Path, minutes: float) -> dict[str, str]:
    """Variables of nnU-Net: its folders under `place`, one thread, one process that augments, no compiling."""
    folders = {f"nnUNet_{name}": str((place / name).absolute()) for name in ("raw", "preprocessed", "results")}
    names = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    threads = dict.fromkeys(names, "1")  # the limit, because nnU-Net's command takes every core
    own = {"nnUNet_extTrainer": str(TRAINERS), "NNUNET_MINUTES": str(minutes)}
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # of another environment
    return {**inherited, **folders, **threads, **own, "nnUNet_compile": "f", "nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}


def scored(masks: Sequence[np.ndarray], items: Sequence[dict[str, Any]], num_classes: int) -> dict[str, list[float]]:
    """case_id -> Dice of classes 1..K-1, as every arm is scored."""
    found = {}
    for mask, item in zip(masks, items, strict=True):
        label = torch.as_tensor(item["label"])[0].long()
        values = dice(torch.from_numpy(mask)[None].long(), label[None], num_classes)[0]
        found[item["case_id"]] = [round(v, 4) for v in values.tolist()]
    return found


def told(place: Path, configuration: str) -> dict[str, Any]:
    """What nnU-Net planned and how long it trained."""
    results = place / "results" / NAME / f"{TRAINER}__{PLANS}__{configuration}"
    plan = records.read_json(results / "plans.json")["configurations"][configuration]
    features = plan["architecture"]["arch_kwargs"]["features_per_stage"]
    return {**records.read_json(results / "fold_all" / "minutes.json"),
            "plan": {**{k: plan[k] for k in KEPT_OF_PLANS}, "features_per_stage": features}}  # fmt: skip


def stored_runs(path: Path, study: str) -> list[Mapping[str, Any]]:
    """The runs of a study's arms in a file of results; none without it."""
    return list(records.read_json(path).get(study, {}).get("runs", []))


def beside(runs: Sequence[Mapping[str, Any]], record: Mapping[str, Any], arm: str) -> float | None:
    """Mean Dice of an arm over the seeds that had the same labelled patients; None where there are none."""
    same = [r["mean"] for r in runs
            if (r["arm"], r["draw"], r["shots"]) == (arm, record["draw"], record["shots"])
            and r.get("patients") == record["patients"]]  # fmt: skip
    return float(np.mean(same)) if same else None


def table(
    rows: Sequence[Mapping[str, Any]], patients: Mapping[str, str], runs: Sequence[Mapping[str, Any]], arms: Sequence[str]
) -> str:
    """A line a run: nnU-Net with its interval over the test patients, and the arms that had the same labelled patients."""
    lines = [
        "| " + " | ".join(["labels", "draw", "nnU-Net", *arms, "updates", "minutes"]) + " |",
        "| --- " * (5 + len(arms)) + "|",
    ]
    cases = [{"case_id": case, "patient": patient} for case, patient in patients.items()]
    for row in sorted(rows, key=lambda r: (r["shots"], r["draw"])):
        own = np.array(list(by_patient(row["dice"], cases).values()))
        ends = interval(own[None, None])
        score = f"{row['mean']:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if ends else "")
        values = [beside(runs, row, arm) for arm in arms]
        shown = ["-" if value is None else f"{value:.3f}" for value in values]
        minutes = f"{row['cpu_seconds'] / 60:.1f}"
        lines.append(
            "| " + " | ".join([str(row["shots"]), str(row["draw"]), score, *shown, str(row["updates"]), minutes]) + " |"
        )
    return "\n".join(lines)


def run(words: Sequence[str]) -> None:
    """Run what is not done yet, and print the table.

    Raises:
        ConfigError, DataError, EnvironmentFault: see `load_study`, `open_data`, `require_nnunet`; results are there and
            --resume is not, or they are of other minutes.
    """
    args = options(words)
    study = load_study(args.study)
    folder, device = args.output_dir / study.name, args.device
    results = folder / "nnunet.jsonl"
    done = records.read(results)
    if done and not args.resume:
        raise ConfigError(f"{folder}: results are there already; add --resume, or give another --output_dir")
    for r in done:
        if (r["minutes"], r["device"]) != (args.minutes, device):
            raise ConfigError(
                f"{folder}: holds runs of {r['minutes']:g} minutes on {r['device']}; expected {args.minutes:g} on {device}. "
                "Give another --output_dir"
            )
    version = require_nnunet(args.nnunet)
    warnings.filterwarnings("ignore")
    data = opened(study, args.data_root, folder, args.resampling)
    for draw in range(args.draws):
        for shots in args.shots:
            if any((r["draw"], r["shots"]) == (draw, shots) for r in records.read(results)):
                continue
            record, place = one_run(study, data, folder, args, draw, shots)
            records.append(results, {**record, "device": device, "version": version})
            print(f"labelled patients {shots}, draw {draw}: Dice {record['mean']:.3f}; nnU-Net's files: {place}", flush=True)
    rows = records.read(results)
    records.write_json(folder / "nnunet.json", [{k: v for k, v in r.items() if k != "dice"} for r in rows])
    patients = {case["case_id"]: case["patient"] for case in data.test}
    print(table(rows, patients, stored_runs(args.against, study.name), args.arms))


def main(words: Sequence[str] | None = None) -> int:
    """The command line; our own errors end in one line and their exit code."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ended(lambda: run(sys.argv[1:] if words is None else words))


if __name__ == "__main__":
    sys.exit(main())
