"""Small inputs that users reported as failing, each taken from raw files to the right answer by the command line.

    python -m benchmarks.reliability.reported FOLDER --out runs/reported [--only 01 16]

FOLDER holds `01_.../data`, `02_.../data`, ... The table says for each what should come out and what came out; exit code 1
when an answer is wrong.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
TINY = ["--max_epochs", "1", "--updates_per_epoch", "2", "--batch_size", "2", "--progress_bar", "False"]
DISABLED = ["--warmup_updates", "1", "--picture_interval", "0"]


@dataclass(frozen=True)
class Ran:
    """Exit code and all that was printed."""

    code: int
    text: str

    @property
    def last(self) -> str:
        """The last printed line, shortened."""
        return (self.text.strip().splitlines() or [""])[-1][:160]


def run(*words: object) -> Ran:
    """`python -m WORDS` with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-W", "ignore", "-m", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False)
    return Ran(done.returncode, done.stdout + done.stderr)


def prep(*words: object) -> Ran:
    """`python -m data_prep ...`."""
    return run("data_prep", *words)


def hybrid(*words: object) -> Ran:
    """`monai-hybrid ...`."""
    return run("monai_hybrid.cli", *words)


def trained(data: Path, out: Path, *words: object) -> Path:
    """Build and pretrain two updates; the model.

    Raises:
        RuntimeError: with the last line printed.
    """
    built = prep("build", data, "--out", out / "prepared")
    if built.code:
        raise RuntimeError(f"build: {built.last}")
    ran = hybrid("pretrain", "--data", out / "prepared", "--output", out / "model", *TINY, *DISABLED, *words)
    if ran.code:
        raise RuntimeError(f"pretrain: {ran.last}")
    return out / "model/models/model.pt"


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table as dictionaries."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def large_label_ids(data: Path, out: Path) -> tuple[bool, str]:
    """Two values that are one in float32 stay two classes, or check refuses them."""
    if prep("check", data).code == 3:
        return True, "check refuses"
    model = trained(data, out)
    ran = hybrid("evaluate", "--data", out / "prepared", "--model", model, "--output", out / "eval", "--split", "training")
    table = [row for row in rows(out / "eval/cases.csv") if row["case_id"] == "c0"] if ran.code == 0 else []
    counts = [int(float(row["label_voxels"])) for row in table]
    return counts == [1286, 1174], f"exit {ran.code}, label_voxels of c0 {counts}"


def upper_case(data: Path, out: Path) -> tuple[bool, str]:
    """Read to the end, and what repair writes opens; or refused with the ending to type."""
    repaired = prep("repair", data, "--out", out / "repaired")
    for path in (out / "repaired").rglob("*.*"):
        if path.name.lower().endswith((".nii", ".nii.gz")):
            np.asarray(nib.load(path).dataobj)
    checked = prep("check", data)
    if checked.code:
        return "lower" in checked.text, f"check: {checked.last}"
    model = trained(data, out)
    ran = hybrid("predict", data / "images", "--model", model, "--output", out / "masks")
    masks = sorted(path.name for path in (out / "masks").glob("*_seg.nii.gz"))
    return ran.code == 0 and len(masks) == 6, f"repair exit {repaired.code}, {len(masks)} masks of 6"


def two_channels(data: Path, out: Path) -> tuple[bool, str]:
    """One case, one mask, of the folder of test images and of the data set."""
    model, seen = trained(data, out), []
    for name, source in (("a", data / "imagesTs"), ("b", data)):
        ran = hybrid("predict", source, "--model", model, "--output", out / name)
        seen.append((ran.code, sorted(path.name for path in (out / name).glob("*.nii.gz"))))
    return all(code == 0 and masks == ["case_005_seg.nii.gz"] for code, masks in seen), str(seen)


def png_above_255(data: Path, out: Path) -> tuple[bool, str]:
    """16-bit masks of the user's values, or refused by check."""
    if prep("check", data).code == 3:
        return True, "check refuses"
    model = trained(data, out)
    ran = hybrid("predict", data / "images", "--model", model, "--output", out / "masks")
    masks = [np.asarray(Image.open(path)) for path in (out / "masks").glob("*.png")]
    values = sorted({int(v) for mask in masks for v in np.unique(mask)})
    return ran.code == 0 and bool(masks) and set(values) <= {0, 300, 1024}, f"exit {ran.code}, {len(masks)} masks of {values}"


def time_points(data: Path, out: Path) -> tuple[bool, str]:
    """No patient in two splits, or the expression to type."""
    built = prep("build", data, "--out", out)
    content = json.loads((out / "datalist.json").read_text())
    splits: dict[str, set[str]] = {}
    for split in ("training", "validation", "testing"):
        for entry in content[split]:
            splits.setdefault(entry["case_id"].split("_")[0], set()).add(split)
    leaking = sum(len(held) > 1 for held in splits.values())
    return leaking == 0 or "--patient-regex" in built.text, f"{leaking} of {len(splits)} patients in two splits"


def small_structures(data: Path, out: Path) -> tuple[bool, str]:
    """Two kinds of bright structure still differ after normalisation, or build warns."""
    from monai_hybrid.transforms import Normalized

    built = prep("build", data, "--out", out)
    plan = json.loads((out / "plan.json").read_text())
    image = np.asarray(nib.load(data / "images/c0.nii.gz").dataobj, dtype=np.float32)
    label = np.asarray(nib.load(data / "labels/c0.nii.gz").dataobj)
    scaled = np.asarray(Normalized("image", plan["normalization"])({"image": image[None]})["image"])[0]
    one, two = (float(scaled[label == value].mean()) for value in (1, 2))
    return abs(two - one) > 0.1 or "clip" in built.text, f"after normalisation {one:.3f} and {two:.3f}"


def other_order(data: Path, out: Path) -> tuple[bool, str]:
    """Accepted as it is, or made acceptable by repair."""
    first = prep("check", data)
    if first.code == 0:
        return True, "accepted"
    repaired = prep("repair", data, "--out", out / "repaired")
    again = prep("check", out / "repaired")
    return again.code == 0, f"repair exit {repaired.code}; check of it: {again.last}"


def flat_nifti(data: Path, out: Path) -> tuple[bool, str]:
    """Read as 2D to the end, or one command that makes them so."""
    checked = prep("check", data)
    if checked.code:
        return "2D" in checked.text and "Type" in checked.text, f"check: {checked.last}"
    model = trained(data, out)
    dims = json.loads((out / "prepared/plan.json").read_text())["spatial_dims"]
    affine = np.diag([1.0, 1.0, 999.0, 1.0])
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(size=(50, 70, 1)).astype(np.float32), affine), out / "new.nii.gz")
    ran = hybrid("predict", out / "new.nii.gz", "--model", model, "--output", out / "masks")
    masks = [nib.load(path).shape for path in (out / "masks").glob("new*_seg.nii.gz")]
    return dims == 2 and ran.code == 0 and masks == [(50, 70, 1)], f"{dims}D, exit {ran.code}, masks {masks}"


def class_only_in_test(data: Path, out: Path) -> tuple[bool, str]:
    """A warning that no training label holds class b."""
    checked = prep("check", data)
    lines = [
        line
        for line in checked.text.splitlines()
        if "train" in line and "b" in line.replace("'", " ").replace(",", " ").split()
    ]
    return bool(lines), (lines or [checked.last])[0][:160]


def output_in_input(data: Path, out: Path) -> tuple[bool, str]:
    """Own masks are never taken for images."""
    from data_prep.phantom import generate

    generate(out / "raw", cases=4, site="A", seed=0)
    model = trained(out / "raw", out, "--spacing", "[4,4,4]", "--patch_size", "[16,16,16]")
    folder = out / "in_and_out"
    folder.mkdir()
    (folder / "x.nii.gz").write_bytes((data / "x.nii.gz").read_bytes())
    codes = [hybrid("predict", folder, "--model", model, "--output", folder).code for _ in range(3)]
    names = sorted(path.name for path in folder.glob("*.nii.gz"))
    return codes == [0, 0, 0] and names == ["x.nii.gz", "x_seg.nii.gz"], f"exits {codes}, {names}"


def label_suffix(data: Path, out: Path) -> tuple[bool, str]:
    """Paired, or the message names the common ending."""
    seen = []
    for folder, ending in ((data, "_seg"), (data.parent / "nnunet_0000/data", "_0000")):
        checked = prep("check", folder)
        named = any(ending in line and ("common" in line or "all" in line) for line in checked.text.splitlines())
        seen.append("paired" if checked.code == 0 else "named" if named else "not named")
    return "not named" not in seen, ", ".join(seen)


def report_on_png(data: Path, out: Path) -> tuple[bool, str]:
    """Exit 0 and report.html, distances in pixels."""
    model = trained(data, out)
    ran = hybrid("evaluate", "--data", out / "prepared", "--model", model, "--output", out / "eval", "--split", "training")
    page = out / "eval/report.html"
    text = page.read_text() if page.is_file() else ""
    return ran.code == 0 and "pixels" in text, f"exit {ran.code}, report {'there' if text else 'missing'}"


CASES: dict[str, Callable[[Path, Path], tuple[bool, str]]] = {
    "01": large_label_ids,
    "02": upper_case,
    "03": two_channels,
    "04": png_above_255,
    "05": time_points,
    "07": small_structures,
    "08": other_order,
    "09": flat_nifti,
    "10": class_only_in_test,
    "14": output_in_input,
    "15": label_suffix,
    "16": report_on_png,
}


def tried(number: str, folder: Path, out: Path) -> dict[str, Any]:
    """Run one input; what goes wrong on the way is the answer."""
    data = next(iter(sorted(folder.glob(f"{number}_*/data"))), None)
    if data is None:
        return {"input": number, "right": False, "seen": f"no folder {number}_*/data in {folder}"}
    (out / number).mkdir(parents=True)
    try:
        right, seen = CASES[number](data, out / number)
    except Exception as error:  # a wrong answer like any other
        right, seen = False, " ".join(str(error).split())[:200] or type(error).__name__
    return {"input": data.parent.name, "wanted": (CASES[number].__doc__ or "").strip(), "right": right, "seen": seen}


def main() -> int:
    """Print one line an input and write `reported.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--only", nargs="*", choices=list(CASES), default=list(CASES))
    given = parser.parse_args()
    results = []
    for number in given.only:
        results.append(tried(number, given.folder.resolve(), given.out.resolve()))
        print(f"{'right' if results[-1]['right'] else 'WRONG':5}  {results[-1]['input']:30}  {results[-1]['seen']}", flush=True)
    (given.out / "reported.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(result["right"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
