"""What ends a command ends the one that it waits for, and a child that saves first is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from monai_hybrid import children
from monai_hybrid.children import run_child

ROOT = Path(__file__).parents[1]
CHILD = """
import os, pathlib, signal, sys, time
def stop(number, frame):
    time.sleep(0.6)  # longer than subprocess.run would wait
    pathlib.Path(sys.argv[1], "saved").write_text(str(number))
    sys.exit(128 + number)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, stop)
pathlib.Path(sys.argv[1], "pid").write_text(str(os.getpid()))
time.sleep(60)
"""
PARENT = "import sys; from monai_hybrid.children import run_child; sys.exit(run_child([sys.executable, '-c', *sys.argv[1:]]))"


def started(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD, str(folder)], env=environment)
    wait_for(folder / "pid")
    return parent


def wait_for(file: Path) -> None:
    end = time.monotonic() + 60
    while not (file.is_file() and file.read_text()):
        assert time.monotonic() < end, f"no {file.name}"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_is_handed_on_and_the_child_waited_for(number: int, tmp_path: Path) -> None:
    parent = started(tmp_path)
    parent.send_signal(number)
    assert parent.wait(60) == 128 + number and (tmp_path / "saved").read_text() == str(int(number))


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the system does not say when a process has ended")
def test_a_signal_that_interrupts_no_call_is_handed_on(tmp_path: Path) -> None:
    """Python notes a signal, and answers it at its next step, which may lie behind a call that waits for the child."""
    noted = f"""
import _thread, pathlib, threading, time
def note():
    while not pathlib.Path({str(tmp_path / "pid")!r}).is_file():
        time.sleep(0.01)
    time.sleep(0.2)
    _thread.interrupt_main({int(signal.SIGTERM)})
threading.Thread(target=note, daemon=True).start()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", noted + PARENT, CHILD, str(tmp_path)], env=environment)
    assert parent.wait(30) == 128 + signal.SIGTERM and (tmp_path / "saved").is_file()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_the_child_of_a_killed_parent_saves_and_ends(tmp_path: Path) -> None:
    parent = started(tmp_path)
    parent.kill()
    parent.wait(60)
    wait_for(tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == str(int(signal.SIGTERM))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
@pytest.mark.parametrize("there", [True, False])
def test_a_parent_that_went_before_it_could_be_asked_for_is_noticed(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ended = [], []
    library = SimpleNamespace(prctl=lambda *words: asked.append(words))
    monkeypatch.setattr(children.ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(children.os, "kill", lambda *words: ended.append(words))
    ask = children.end_with_parent()
    monkeypatch.setattr(children.os, "getppid", lambda: os.getpid() if there else 1)
    assert ask is not None
    ask()
    assert asked == [(1, signal.SIGTERM)] and ended == ([] if there else [(os.getpid(), signal.SIGTERM)])


def test_exit_codes_are_the_childs() -> None:
    assert run_child([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert run_child([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137
    assert run_child([sys.executable, "-c", "pass"]) == 0
