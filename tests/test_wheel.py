"""What `pip install` of the wheel gives: the program with its bundles, which it finds and does not write to."""

from __future__ import annotations

import fnmatch
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def distribution(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that setup.py gives setuptools."""
    setuptools = pytest.importorskip("setuptools")
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return given


def test_every_file_of_the_bundles_that_is_kept_is_part_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    given = distribution(monkeypatch)
    assert given["package_dir"] == {"monai_hybrid._bundles": "bundles"}
    patterns = given["package_data"]["monai_hybrid._bundles"]
    bundles = ROOT / "bundles"
    kept = [bundles / b / part for b in ("hybrid_pretrain", "few_shot_finetune") for part in ("configs", "docs")]
    files = [file for folder in kept for file in folder.iterdir()] + list(bundles.glob("*/LICENSE"))
    assert len(files) > 15
    for file in files:
        name = file.relative_to(bundles).as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
    written = "hybrid_pretrain/models/model.pt", "hybrid_pretrain/eval/cases.csv", "hybrid_pretrain/data/x/datalist.json"
    for name in written:
        assert not any(fnmatch.fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns), name


def test_every_package_and_every_file_of_its_data_is_part_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    given = distribution(monkeypatch)
    for package in ("data_prep", "monai_hybrid"):
        folders = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / package).rglob("__init__.py")}
        assert folders <= set(given["packages"])
        data = [p for p in (ROOT / package).rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")]
        for file in data:
            name = file.relative_to(ROOT / package).as_posix()
            assert any(fnmatch.fnmatch(name, pattern) for pattern in given["package_data"][package]), name


@pytest.mark.slow
def test_the_program_of_an_unpacked_wheel_works_from_another_folder(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source, site, work = tmp_path / "source", tmp_path / "site", tmp_path / "work"
    leave_out = shutil.ignore_patterns(
        ".git", ".venv", "*.egg-info", "build", "demo", "runs", "__pycache__", "benchmarks", "tests"
    )
    shutil.copytree(ROOT, source, ignore=leave_out)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, timeout=300)
    shutil.rmtree(source)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    before = {p for p in site.rglob("*") if "__pycache__" not in p.parts}
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}

    def hybrid(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "monai_hybrid.cli", *words],
            cwd=work, env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    short = ["--max-epochs", "1", "--updates-per-epoch", "2", "--batch-size", "2"]
    short += ["--patch-size", "[16,16]", "--spacing", "[6,6]"]
    hybrid("phantom", "--output", "raw", "--dims", "2", "--cases", "8")
    hybrid("check", "raw")
    hybrid("build", "raw", "--output", "data", "--test-fraction", "0.3")
    assert str(site) in hybrid("pretrain", "--data", "data", *short)
    model = "runs/hybrid_pretrain_data/models/model.pt"
    hybrid("adapt", "--data", "data", "--model", model, "--shots", "1", "--max-epochs", "1", "--updates-per-epoch", "2")
    hybrid("predict", "raw/images", "--model", model, "--output", "masks")
    hybrid("sample", "--model", model, "--output", "samples", "--num-samples", "1", "--num-inference-steps", "2")
    hybrid("evaluate", "--data", "data", "--model", model, "--output", "eval")
    assert (work / "runs/few_shot_finetune_data/report.html").is_file() and (work / "masks/quality.csv").is_file()
    assert {p for p in site.rglob("*") if "__pycache__" not in p.parts} == before
