"""`monai-hybrid WORDS` as a user types it, in a process of its own (see `warm`) or in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from warm import run_module

from monai_hybrid import cli

ROOT = Path(__file__).parents[1]


def typed(*words: object, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    """What came of `monai-hybrid WORDS`: exit code, stdout, stderr; `options` as of `run_module`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "400"}
    return run_module("monai_hybrid.cli", list(map(str, words)), cwd, environment, **options)


def printed(*words: object, expected: int = 0) -> str:
    """What `monai-hybrid WORDS` printed; it ends with this exit code, and never with a traceback."""
    done = typed(*words)
    assert done.returncode == expected, (done.stdout + done.stderr)[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def said(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and stderr of `monai-hybrid WORDS` in this process."""
    monkeypatch.setattr(sys, "argv", ["monai-hybrid", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(str(stop.value.code)), capsys.readouterr().err
