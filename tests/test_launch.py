"""A command that was started by `monai_hybrid.launch`: how it ends, and that its files and words are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.user_folder import look_there_last
from monai_hybrid.launch import launched

ROOT = Path(__file__).parents[1]
MODULE = """
import atexit, logging, sys
handler = logging.FileHandler("log.txt", delay=True)
logging.getLogger().addHandler(handler)
atexit.register(print, "registered")
logging.warning("logged")
print("worked", end="")
sys.exit(int(sys.argv[1])) if len(sys.argv) > 1 else None
"""


@pytest.mark.parametrize(("words", "code"), [([], 0), (["3"], 3)])
def test_a_command_that_has_done_its_work_ends_without_teardown(words: list[str], code: int, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(MODULE)
    (tmp_path / "sitecustomize.py").write_text("import atexit; atexit.register(print, 'taken down')")
    command = [sys.executable, *launched(["-m", "job"]), *words]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}, capture_output=True, text=True)
    assert done.returncode == code and done.stdout.startswith("workedregistered"), done.stderr
    assert ("taken down" in done.stdout) == (code != 0), "only one that fails is taken down by Python"
    assert (tmp_path / "log.txt").read_text() == "logged\n"


def test_folders_of_the_user_are_no_modules_where_others_have_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ["/usr/lib/python", "/site-packages"]
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    for folder, keep, expected in (
        (tmp_path, False, installed),
        (tmp_path, True, [*installed, str(tmp_path)]),
        (ROOT, False, [str(ROOT), *installed]),  # a clone
    ):
        monkeypatch.chdir(folder)
        path = [str(folder), *installed]
        look_there_last(path, keep)
        assert path == expected
    monkeypatch.chdir(tmp_path)
    path = list(installed)  # `python -P`
    look_there_last(path)
    assert path == installed
    look_there_last(path, keep=True)
    assert path == [*installed, str(tmp_path)]
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    path = list(installed)
    look_there_last(path, keep=True)
    assert path == installed


LIKE_OTHERS = ("random", "json", "typing", "runpy", "logging", "numpy", "yaml", "monai", "torch", "multiprocessing")


@pytest.mark.parametrize("installed", [True, False], ids=["found", "a folder beside"])
def test_files_of_the_user_are_no_modules_in_what_is_started(installed: bool, tmp_path: Path) -> None:
    """Of scans or notes that are called like modules none is run, ours among them; in processes of the command neither."""
    for name in LIKE_OTHERS:
        (tmp_path / f"{name}.py").write_text("import os; os._exit(99)\n")
    for name in ("monai_hybrid", "data_prep"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("import os; os._exit(98)\n")
    environment = {"PYTHONPATH": str(ROOT)} if installed else {}
    words = [["data_prep", "check", "nowhere"]] if installed else [["this_one", "a word"], ["data_prep", "check", "nowhere"]]
    (tmp_path / "this_one.py").write_text("import random, sys; print(random.random() < 1, sys.argv[1:])")
    for of_module in words:
        command = [sys.executable, *launched(["-m", *of_module])]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        if of_module[0] == "this_one":  # as a bundle may name classes that lie there
            assert (done.returncode, done.stdout) == (0, "True ['a word']\n"), done.stderr
        else:
            assert done.returncode == 3 and done.stderr.startswith("error: nowhere: "), done.stderr


def test_processes_of_a_command_take_no_module_from_there_either(tmp_path: Path) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("Python has no -P")
    (tmp_path / "tempfile.py").write_text("import os; os._exit(99)\n")
    code = "from data_prep.in_processes import each\nif __name__ == '__main__': print(*each(abs, [-1, -2], 2))\n"
    (tmp_path / "twice.py").write_text(code)
    command = [sys.executable, *launched(["-m", "twice"])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "1 2\n"), done.stderr
