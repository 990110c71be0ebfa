"""The wheel as a user has it: built, installed into a fresh environment, tried from an empty folder. Run by `make wheel`.

    python tests/wheel_smoke.py [--without PATTERN]

The fresh environment borrows the dependencies of this one, and nothing is downloaded. `--without` leaves files out of the
wheel, to see that it is found.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETUPTOOLS = 77  # pyproject.toml
SHORT = ["--max-epochs", "1", "--updates-per-epoch", "1", "--batch-size", "2"]
COARSE = ["--patch-size", "[16,16]", "--spacing", "[6,6]"]
MODEL = "source/models/model.safetensors"


def say(command: Sequence[str | Path], cwd: Path, expected: Sequence[str] = ()) -> str:
    """Run a command, print how long it took, and end with what it said where it fails or writes no file `expected`."""
    began = time.monotonic()
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "MONAI_HYBRID_KEY_FILE": str(cwd.parent / "keys.json")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False)
    said = done.stdout + done.stderr
    shown = " ".join(Path(word).name if word.startswith(str(cwd.parent)) else word for word in words[:6])
    print(f"{time.monotonic() - began:5.1f} s  {shown}", flush=True)
    missing = [name for name in expected if not (cwd / name).is_file()]
    if done.returncode or missing:
        sys.exit(f"{said[-4000:]}\nwheel: exit code {done.returncode}, not written: {missing}")
    return said


def build(folder: Path) -> Path:
    """The wheel, from a copy of the files that git knows or would add: an earlier `build/` would bring files that are gone."""
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    try:
        here = int(importlib.metadata.version("setuptools").split(".")[0]) >= SETUPTOOLS
    except importlib.metadata.PackageNotFoundError:
        here = False
    own = ["--no-build-isolation", "--no-index"] if here else []
    say([sys.executable, "-m", "pip", "wheel", ".", "--no-deps", *own, "-q", "-w", folder], source)
    shutil.rmtree(source)
    return next(folder.glob("*.whl"))


def rewritten(wheel: Path, without: str) -> None:
    """The wheel without the files that a pattern names."""
    whole = wheel.with_suffix(".whole")
    wheel.rename(whole)
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(wheel, "w") as new:
        names = [name for name in old.namelist() if not fnmatch.fnmatch(name, without)]
        if len(names) == len(old.namelist()):
            sys.exit(f"--without: {without} names no file of the wheel")
        for name in names:
            new.writestr(name, old.read(name))


def install(wheel: Path, folder: Path) -> Path:
    """The folder of programs of a fresh environment with the wheel, and behind it the packages of this one.

    A path in a `.pth` file brings packages and none of their `.pth` files: the repository's editable installation stays out.
    """
    say([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install"]
    say([*pip, "--no-deps", "--no-index", "-q", wheel], folder.parent)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(say([programs / "python", "-c", asked], folder.parent).strip())
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def story(programs: Path, work: Path) -> None:
    """Each command once, on phantom pictures, in an empty folder; then MONAI's own command in a copied bundle."""
    program, python = programs / "monai-hybrid", programs / "python"

    def hybrid(line: str, *more: str, expected: Sequence[str] = ()) -> str:
        return say([program, *line.split(), *more], work, expected)

    place = say([python, "-c", "import monai_hybrid; print(monai_hybrid.__file__)"], work).strip()
    if not place.startswith(str(programs.parent)):
        sys.exit(f"wheel: monai_hybrid comes from {place}, not from the wheel")
    assert hybrid("--version").startswith("monai-hybrid ")
    hybrid("phantom --out raw --dims 2 --cases 8")
    hybrid("check raw")
    hybrid("build raw --out data --test-fraction 0.3", expected=["data/plan.json"])
    hybrid("pretrain --data data --output source", *SHORT, *COARSE, expected=[MODEL, "source/logs/run.json"])
    hybrid("adapt --data data --model source --shots 1 --output adapted", *SHORT, expected=["adapted/report.html"])
    hybrid("evaluate --data data --model adapted --output adapted/eval", expected=["adapted/eval/summary.json"])
    hybrid("predict raw/images --model adapted --output masks", expected=["masks/quality.csv"])
    hybrid("report adapted --output page.html", expected=["page.html"])
    hybrid("export --model adapted --output model.ts", expected=["model.ts", "model.ts.json"])
    hybrid("bundle copy copied --model adapted/models/model.safetensors", expected=["copied/models/model.pt"])
    words = ["--config_file", "configs/inference.json", "--input", work / "raw/images", "--output_dir", work / "again"]
    say([python, "-m", "monai.bundle", "run", *words], work / "copied", ["../again/quality.csv"])


def main() -> None:
    """Build, install, try; the time of each step is printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", default="", help="pattern of files to leave out of the wheel")
    without, began = parser.parse_args().without, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wheel_") as name:
        folder = Path(name).resolve()
        wheel = build(folder)
        if without:
            rewritten(wheel, without)
        programs = install(wheel, folder / "environment")
        installed = {file for file in folder.glob("environment/**/*") if "__pycache__" not in file.parts}
        (folder / "work").mkdir()
        story(programs, folder / "work")
        written = {file for file in folder.glob("environment/**/*") if "__pycache__" not in file.parts} - installed
        if written:
            sys.exit(f"wheel: the program wrote into its installation: {sorted(map(str, written))[:5]}")
    print(f"wheel: {wheel.name} works from an empty folder, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
