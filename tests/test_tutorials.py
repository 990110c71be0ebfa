"""The commands of the tutorials, taken from their pages and typed in an empty folder."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import typed as typed_here
from small_plan import with_small_network

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/tutorials/first_adaptation.md"
DICOM_PAGE = ROOT / "docs/tutorials/dicom_to_report.md"


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks of a page in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path = PAGE) -> list[str]:
    """Lines of the page's bash blocks, in order."""
    return [line for block in blocks(page, "bash") for line in block.splitlines() if line.strip()]


def typed(lines: list[str], folder: Path) -> None:
    """Type lines in `folder`/here, where `monai-hybrid` and `python` are those of this test."""
    (folder / "bin").mkdir()
    for name, start in (("monai-hybrid", "-m monai_hybrid.cli "), ("python", "")):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start}"$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environment.pop("MONAI_HYBRID_MODELS", None)  # a reader has the models of the package
    (folder / "here").mkdir(exist_ok=True)
    script = "\n".join(["set -e", *lines])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder / "here", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tutorial_goes_from_files_to_masks() -> None:
    names = [line.split()[1] for line in commands()]
    assert names == [
        "phantom",
        "phantom",
        "check",
        "build",
        "build",
        "pretrain",
        "evaluate",
        "adapt",
        "evaluate",
        "compare",
        "predict",
    ]
    assert all(line.startswith("monai-hybrid ") for line in commands())


# Sizes in which the commands of the page take seconds; all else of each line is as it stands there.
SMALL = {
    "--cases 60": "--cases 6",
    "--cases 30": "--cases 8",
    "--max-epochs 4 --updates-per-epoch 50": "--max-epochs 1 --updates-per-epoch 2",
    "--updates 100": "--updates 2 --updates-per-epoch 2",
}


@pytest.mark.long
def test_the_commands_of_the_tutorial_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONAI_HYBRID_MODELS", raising=False)
    page = "\n".join(commands())
    for long, short in SMALL.items():
        assert long in page, "the page has other sizes now"
        page = page.replace(long, short)
    for line in page.splitlines():
        done = typed_here(*shlex.split(line)[1:], cwd=tmp_path)
        assert done.returncode == 0, line + done.stdout + done.stderr
        if line.split()[1] == "build":
            with_small_network(tmp_path / line.split()[-1])
    assert len(list((tmp_path / "masks").glob("*_seg.*"))) == 8
    assert (tmp_path / "runs/adapted/report.html").is_file() and (tmp_path / "runs/before/summary.json").is_file()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tutorial_ends_with_masks_and_a_better_model(tmp_path: Path) -> None:
    place = tmp_path / "here"
    typed(commands(), tmp_path)
    dice = [
        json.loads((place / f / "summary.json").read_text())["dice"]["all"]["mean"]
        for f in ("runs/before", "runs/adapted/eval")
    ]
    assert dice[1] > dice[0] + 0.1
    assert len(list((place / "masks").glob("*_seg.*"))) == 30
    assert (place / "runs/adapted/report.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_notebook_ends_with_a_better_model(tmp_path: Path) -> None:
    cells = json.loads(PAGE.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    last = 'assert after["dice"]["all"]["mean"] > before["dice"]["all"]["mean"] + 0.1'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    script = [sys.executable, "-W", "ignore", "-c", "\n".join([*code, last])]
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dicom_tutorial_goes_from_series_to_a_report() -> None:
    assert [line.split()[:2] for line in commands(DICOM_PAGE)] == [
        ["monai-hybrid", "phantom"],
        ["python", "make_series.py"],
        *(["monai-hybrid", name] for name in ("check", "predict", "report")),
    ]


@pytest.mark.slow
def test_the_dicom_tutorial_ends_with_segmentations_and_a_page(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    (tmp_path / "here").mkdir()
    (tmp_path / "here/make_series.py").write_text(blocks(DICOM_PAGE, "python")[0])
    typed(commands(DICOM_PAGE), tmp_path)
    masks = tmp_path / "here/masks"
    assert len(list(masks.glob("*_seg.dcm"))) == 2
    with (masks / "quality.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "done"]
    assert all(row["flag"].startswith("much hippocampus") for row in rows)
    assert (masks / "report.html").read_text().count('src="data:image/png') >= 2, "a picture a case"
