"""How many contoured slices of a volume are enough? `python -m benchmarks.sparse_slices --data RAW --output DIR`.

The few-shot training labels of RAW (images/, labels/, splits.json) are kept in a few slices, evenly over the structures, across
the axis along which these are longest; everything else holds the ignore value. `+2` adds the first slice beyond each end, which
is empty and costs a person nothing but a look. The same volumes, updates and seeds for every number of slices; the test labels
stay whole. Prints a table and writes sparse_slices.json; runs that are there are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import monai_hybrid
from benchmarks.ending import ended
from data_prep.build import build
from data_prep.errors import HybridError
from data_prep.json_io import dump_json
from data_prep.nifti_open import open_nifti
from data_prep.on_grid import mask_file
from data_prep.reading import read_volume, stem
from data_prep.volume import Array

IGNORE = 255
ARMS = ("1", "3", "3+2", "5", "5+2", "all")


def kept_slices(label: Array, arm: str) -> tuple[int, list[int]]:
    """Which slices of which axis stay annotated.

    Args:
        label: (X, Y, Z), 0 the background.
        arm: their number, with +2 for one beyond each end; "all".

    Returns:
        The axis along which the structures are longest, and the places on it; all of them for "all".
    """
    spans = [np.flatnonzero((label > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    axis = int(np.argmax([span[-1] - span[0] for span in spans]))
    if arm == "all":
        return axis, list(range(label.shape[axis]))
    first, last = int(spans[axis][0]), int(spans[axis][-1])
    number, _, ends = arm.partition("+")
    inner = np.linspace(first, last, int(number) + 2)[1:-1].round().astype(int)
    beyond = [place for place in (first - 1, last + 1) if ends and 0 <= place < label.shape[axis]]
    return axis, sorted({*inner.tolist(), *beyond})


def sparse(label: Array, arm: str) -> Array:
    """The label, uint8, with `IGNORE` in all slices that are not kept."""
    axis, places = kept_slices(label, arm)
    found = np.full(label.shape, IGNORE, np.uint8)
    at = tuple(places if i == axis else slice(None) for i in range(3))
    found[at] = label[at]
    return found


def data_set(raw: Path, folder: Path, arm: str) -> Path:
    """RAW with sparse training labels, prepared; its images are links."""
    made = folder / "raw"
    shutil.rmtree(made, ignore_errors=True)
    (made / "labels").mkdir(parents=True)
    (made / "images").symlink_to((raw / "images").resolve())
    splits = json.loads((raw / "splits.json").read_text(encoding="utf-8"))
    training = {stem(Path(name)) for name in splits.get("fewshot") or splits["train"]}
    for file in sorted((raw / "labels").iterdir()):
        if stem(file) not in training or arm == "all":
            (made / "labels" / file.name).symlink_to(file.resolve())
            continue
        label = sparse(np.rint(read_volume(file).channel(0)), arm)
        affine = np.asarray(open_nifti(file).affine)
        content, path = mask_file(label, file, made / "labels" / stem(file), affine, b"")
        path.write_bytes(content)
    for name in ("splits.json", "labels.json", "cases.csv"):
        if (raw / name).is_file():
            shutil.copy(raw / name, made / name)
    build(made, folder / "prepared", splits=made / "splits.json", ignore_label=None if arm == "all" else IGNORE)
    return folder / "prepared"


def scores(raw: Path, model: str, folder: Path, arm: str, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dice of the test cases after one adaptation."""
    run = folder / f"{arm}_{seed}"
    if not (run / "eval/summary.json").is_file():
        prepared = data_set(raw, folder / f"data_{arm}_{seed}", arm)
        monai_hybrid.adapt(prepared, model, run, seed=seed, overwrite=True, progress_bar=False, picture_interval=0, **settings)
        monai_hybrid.evaluate(prepared, run, run / "eval", save_slices=False)
    dice = json.loads((run / "eval/summary.json").read_text(encoding="utf-8"))["dice"]["all"]
    return {"slices": arm, "seed": seed, "dice": dice["mean"], "interval": dice["interval"], "missed": dice["missed"]}


def table(rows: Sequence[Mapping[str, Any]], unadapted: float | None) -> str:
    """Markdown: mean Dice over the seeds, and each seed's."""
    lines = ["| contoured slices | Dice | each seed |", "| --- | --- | --- |"]
    lines += [f"| none (not adapted) | {unadapted:.3f} | |"] if unadapted is not None else []
    for arm in dict.fromkeys(row["slices"] for row in rows):
        each = [row["dice"] for row in rows if row["slices"] == arm]
        lines.append(f"| {arm} | {np.mean(each):.3f} | {', '.join(f'{dice:.3f}' for dice in each)} |")
    return "\n".join(lines)


def before(raw: Path, model: str, folder: Path) -> float | None:
    """Dice of the model as it is; None where it was trained on other structures."""
    out = folder / "before"
    if not (out / "summary.json").is_file():
        try:
            monai_hybrid.evaluate(data_set(raw, folder / "data_whole", "all"), model, out, save_slices=False)
        except HybridError:
            return None
    dice: float = json.loads((out / "summary.json").read_text(encoding="utf-8"))["dice"]["all"]["mean"]
    return dice


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, help="images/, labels/ and splits.json with fewshot, val and test")
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--model", default="hippocampus_mr")
    parser.add_argument("--slices", nargs="+", default=list(ARMS), help="N, N+2 (with the slices beyond), all")
    parser.add_argument("--shots", type=int, default=3, help="labelled volumes")
    parser.add_argument("--updates", type=int, default=350, help="of every adaptation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    unadapted = before(args.data, args.model, args.output)
    settings = {"shots": args.shots, "updates": args.updates}
    rows: list[dict[str, Any]] = []
    for seed in args.seeds:
        for arm in args.slices:
            rows.append(scores(args.data, args.model, args.output, arm, seed, settings))
            about = {"model": args.model, **settings, "threads": os.environ.get("OMP_NUM_THREADS"), "unadapted": unadapted}
            dump_json({**about, "rows": rows}, args.output / "sparse_slices.json")
            print(table(rows, unadapted), flush=True)


if __name__ == "__main__":
    sys.exit(ended(main))
