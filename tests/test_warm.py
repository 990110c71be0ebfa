"""The forks in which tests run bundles behave as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from warm import FEW, run_code, run_module

PROGRAM = """
import atexit, os, sys, time
print(sys.argv[1:], os.getcwd(), os.environ.get("ONLY_HERE"), __name__)
print("told", file=sys.stderr)
atexit.register(print, "the end")
if sys.argv[1] == "sleep": time.sleep(60)
if sys.argv[1] == "fail": raise KeyError("wrong")
sys.exit(int(sys.argv[1]))
"""

PARENT = """
import atexit, os, signal, subprocess, sys
import data_prep
data_prep.changed = True
atexit.register(print, "the parent's end", flush=True)
signal.signal(signal.SIGTERM, lambda *_: print("heard"))
sys.excepthook = lambda *_: print("the parent's hook")
child = subprocess.Popen([sys.executable, "-m", "child", sys.argv[1]], env={**os.environ, "ONLY_HERE": "child"})
print("parent", child.wait(), os.environ.get("ONLY_HERE"), flush=True)
piped = subprocess.run([sys.executable, "-m", "child", "0"], capture_output=True, text=True)
print("piped", len(piped.stdout.splitlines()), "torch" in piped.stdout, piped.returncode)
"""
CHILD = """
import os, signal, sys
import data_prep
known = [hasattr(data_prep, "changed"), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL]
print("child", sys.argv[1:], os.environ.get("ONLY_HERE"), *known, *(["torch"] if "torch" in sys.modules else []), flush=True)
if sys.argv[1] == "raise":
    raise OSError("wrong")
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGTERM)
sys.exit(5)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells a process that its parent is gone")
def test_forks_end_when_their_test_run_is_killed(folder: Path) -> None:
    (folder / "child.py").write_text("import os, time\nopen('child.pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    (folder / "parent.py").write_text(
        "import os, subprocess, sys\nopen('parent.pid', 'w').write(f'{os.getpid()} {os.getppid()}')\n"
        "subprocess.Popen([sys.executable, '-m', 'child']).wait()\n"
    )
    (folder / "run.py").write_text(
        "import os\nfrom pathlib import Path\nimport warm\nwarm.run_module('parent', [], Path.cwd(), dict(os.environ))\n"
    )
    alone = {"PYTEST_XDIST_TESTRUNUID": "", FEW: "subprocess"}
    paths = {**os.environ, **alone, "PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.Popen([sys.executable, "run.py"], cwd=folder, env=paths)
    try:
        wait_for(lambda: (folder / "child.pid").is_file() and (folder / "child.pid").read_text())
        numbers = [int(word) for name in ("child", "parent") for word in (folder / f"{name}.pid").read_text().split()]
        assert len(numbers) == 3
    finally:
        run.kill()
        run.wait()
    wait_for(lambda: not any(Path(f"/proc/{number}/stat").exists() and not is_zombie(number) for number in numbers))


TELLING = """
import os, sys, time
print(os.getppid(), flush=True)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(float(sys.argv[2]))
"""
WORKER = """
import os, sys
from pathlib import Path
import warm
for line in sys.stdin:
    print(warm.run_module("telling", line.split(), Path.cwd(), dict(os.environ)).stdout.strip(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process has a server of its own")
def test_a_second_process_has_a_fork_of_the_server_which_ends_with_it(folder: Path) -> None:
    (folder / "telling.py").write_text(TELLING)
    (folder / "worker.py").write_text(WORKER)
    run = f"{os.getpid()}{time.monotonic_ns()}"
    few = {"PYTEST_XDIST_TESTRUNUID": run, FEW: "subprocess", "PYTHONPATH": str(Path(__file__).parent)}
    settings = {"cwd": folder, "env": {**os.environ, **few}, "text": True}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    first, second = (subprocess.Popen([sys.executable, "worker.py"], **settings, **pipes) for _ in range(2))  # type: ignore[call-overload]

    def ask(worker: subprocess.Popen[str], words: str) -> int:
        assert worker.stdin is not None and worker.stdout is not None
        worker.stdin.write(f"{words}\n")
        worker.stdin.flush()
        return int(worker.stdout.readline())

    try:
        server, twin = ask(first, "one 0"), ask(second, "two 0")
        assert parent_of(server) == first.pid and parent_of(twin) == server
        assert second.stdin is not None
        second.stdin.write("three 60\n")
        second.stdin.flush()
        wait_for(lambda: (folder / "three").is_file() and (folder / "three").read_text())
        job = int((folder / "three").read_text())
        assert ask(first, "four 0") == server and parent_of(job) == twin
        second.kill()
        wait_for(lambda: all(is_zombie(number) for number in (twin, job)))
        assert ask(first, "five 0") == server
    finally:
        for worker in (first, second):
            worker.kill()
            worker.wait()
        shutil.rmtree(Path(tempfile.gettempdir(), f"warm-{run}subprocess"), ignore_errors=True)
    wait_for(lambda: is_zombie(server))


def parent_of(number: int) -> int:
    return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_fork_has_its_own_words_folder_environment_output_and_exit_code(folder: Path) -> None:
    environment = {**os.environ, "ONLY_HERE": "yes"}
    done = run_module("program", ["3", "a b"], folder, environment)
    assert done.returncode == 3 and done.stderr == "told\n"
    assert done.stdout == f"['3', 'a b'] {folder} yes __main__\nthe end\n"
    again = run_module("program", ["0"], folder, {k: v for k, v in environment.items() if k != "ONLY_HERE"})
    assert again.returncode == 0 and " None " in again.stdout
    code = run_code(PROGRAM, ["3", "a b"], folder, environment)
    assert (code.returncode, code.stdout, code.stderr) == (done.returncode, done.stdout, done.stderr)


def test_an_exception_ends_it_as_python_does(folder: Path) -> None:
    done = run_module("program", ["fail"], folder, os.environ)
    assert done.returncode == 1 and "KeyError: 'wrong'" in done.stderr and done.stdout.endswith("the end\n")


def test_one_that_takes_too_long_is_killed_and_the_next_one_runs(folder: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_module("program", ["sleep"], folder, os.environ, timeout=2)
    assert run_module("program", ["0"], folder, os.environ).returncode == 0


@pytest.mark.parametrize(("end", "code"), [("exit", 5), ("raise", 1), ("kill", -15)])
def test_what_a_fork_starts_is_a_fork_with_its_own_state(end: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "child.py").write_text(CHILD)
    done = run_module("parent", [end], tmp_path, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    lines = done.stdout.splitlines()
    assert lines[0] == f"child ['{end}'] child False True torch", done.stdout + done.stderr
    assert lines[1:] == [f"parent {code} None", "piped 1 False 5", "the parent's end"] and done.returncode == 0
    assert ("OSError: wrong" in done.stderr) == (end == "raise")
