"""What `check` prints: columns that fit the terminal, plain lines in a pipe, commands that can be typed as they stand."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks.reliability.tiny import sound
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError
from data_prep.findings_table import print_findings
from data_prep.layouts import read_source

RUN = CliRunner()


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """Five images with a NaN, and a label 0.4 mm off its image."""
    root = tmp_path / "my set"
    sound(root)
    images = sorted((root / "images").iterdir())
    first, label = nib.load(images[0]), nib.load(root / "labels" / images[0].name)
    holed = np.asarray(first.dataobj, np.float32)
    holed[2, 3, 4] = np.nan
    for number in range(5):
        name = f"a_long_name_of_a_case_that_fills_the_column_{number}.nii.gz"
        nib.Nifti1Image(holed + number, first.affine).to_filename(root / "images" / name)
        nib.save(label, root / "labels" / name)
    moved = label.affine.copy()
    moved[0, 3] += 0.4
    nib.Nifti1Image(np.asarray(label.dataobj), moved).to_filename(root / "labels" / images[0].name)
    return root


def shown(root: Path, width: int, terminal: bool, colours: bool = False) -> list[str]:
    text = io.StringIO()
    system: Any = "standard" if colours else "auto" if not terminal else None
    console = Console(file=text, width=width, force_terminal=terminal, color_system=system)
    print_findings(check(root), console, root)
    return text.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_columns_fit_the_terminal_and_commands_are_not_broken(width: int, bad: Path) -> None:
    lines = shown(bad, width, terminal=True)
    long = [line for line in lines if len(line.rstrip()) > width]
    assert all("->" in line or "what a repair would do" in line for line in long)
    text = "\n".join(lines)
    assert "D201 error" in text and "and 2 more; --json FILE lists all" in text and str(bad / "images") not in lines[1]
    starts = {line.index("images/") for line in lines if line.lstrip().startswith("images/")}
    assert starts == {4}
    assert f"monai-hybrid repair '{bad}' --output '{bad.name}_repaired'" in text and "FOLDER" not in text


def test_a_pipe_gets_one_line_a_finding_without_colours(bad: Path) -> None:
    lines = shown(bad, 80, terminal=False)
    assert not any("\x1b" in line for line in lines)
    found = [
        line for line in lines if re.match(rf"    {re.escape(str(bad))}/images/\S+_\d\.nii\.gz: 1 of \d+ voxels are not", line)
    ]
    assert len(found) == 3
    assert any("\x1b[1;31mD201 error" in line for line in shown(bad, 80, terminal=True, colours=True))


def test_the_command_ends_with_the_verdict(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = RUN.invoke(app, ["check", str(bad)])
    assert result.exit_code == 3 and "\x1b" not in result.output
    assert re.fullmatch(rf"{re.escape(str(bad))}: refused: 6 errors, .*", result.output.splitlines()[-1])
    repaired = RUN.invoke(app, ["repair", str(bad), "--output", f"{bad}_repaired", "--dry-run"])
    assert "corrected D402" in repaired.output


def test_images_without_a_layout_are_told_where_to_go(bad: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"images lie directly in it, .* Expected p1 and p1_seg, or images/, .*monai-hybrid check .*gz'?$"
    ):
        read_source((bad / "images").rename(bad / "scans"))
    (bad / "scans").rename(bad / "images")
    assert len(read_source(bad).cases) >= 6
