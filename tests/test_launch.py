"""A command that was started by `monai_hybrid.launch`: how it ends, and that its files and words are whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monai_hybrid.launch import launched, look_here_last

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
    for folder, module, expected in (
        (tmp_path, "monai_hybrid.exporting", installed),
        (tmp_path, "monai.bundle", [*installed, str(tmp_path)]),
        (ROOT, "data_prep", [str(ROOT), *installed]),  # a clone
    ):
        monkeypatch.chdir(folder)
        path = [str(folder), *installed]
        look_here_last(path, module)
        assert path == expected
        path = list(installed)  # `python -P`
        look_here_last(path, module)
        assert path == installed
