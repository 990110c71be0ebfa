"""The forks in which tests run bundles behave as processes of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from warm import run_module

PROGRAM = """
import atexit, os, sys, time
print(sys.argv[1:], os.getcwd(), os.environ.get("ONLY_HERE"), __name__)
print("told", file=sys.stderr)
atexit.register(print, "the end")
if sys.argv[1] == "sleep": time.sleep(60)
if sys.argv[1] == "fail": raise KeyError("wrong")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_a_fork_has_its_own_words_folder_environment_output_and_exit_code(folder: Path) -> None:
    environment = {**os.environ, "ONLY_HERE": "yes"}
    done = run_module("program", ["3", "a b"], folder, environment)
    assert done.returncode == 3 and done.stderr == "told\n"
    assert done.stdout == f"['3', 'a b'] {folder} yes __main__\nthe end\n"
    again = run_module("program", ["0"], folder, {k: v for k, v in environment.items() if k != "ONLY_HERE"})
    assert again.returncode == 0 and " None " in again.stdout


def test_an_exception_ends_it_as_python_does(folder: Path) -> None:
    done = run_module("program", ["fail"], folder, os.environ)
    assert done.returncode == 1 and "KeyError: 'wrong'" in done.stderr and done.stdout.endswith("the end\n")


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(folder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_module("program", ["sleep"], folder, os.environ, timeout=2)
    assert run_module("program", ["0"], folder, os.environ).returncode == 0
