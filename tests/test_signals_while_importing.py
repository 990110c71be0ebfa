"""A signal while a command still imports ends it in one sentence and the shell's exit code; at no time is there a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HANGS = (
    "import os, pathlib, time\npathlib.Path(os.environ['HERE']).write_text('now')\nfor _ in range(600):\n    time.sleep(0.1)\n"
)
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
COMMANDS = {
    "pretrain": ["--data", "data", "--output", "out"],
    "adapt": ["--data", "data", "--model", "model.pt", "--output", "out"],
    "predict": ["data", "--model", "model.pt", "--output", "out"],
    "evaluate": ["--data", "data", "--model", "model.pt", "--output", "out"],
    "sample": ["--model", "model.pt", "--output", "out"],
    "report": ["data"],
    "compare": ["data", "data"],
    "audit": ["data"],
    "build": ["data", "--output", "out"],
    "check": ["data"],
    "repair": ["data", "--output", "out"],
    "shift": ["data", "data"],
    "phantom": ["--output", "out"],
}


def interrupted(folder: Path, slow: str, words: list[str], number: int) -> subprocess.CompletedProcess[str]:
    """Run a command whose import of the library `slow` never ends, and send a signal when it has come to that."""
    (folder / "stubs").mkdir()
    (folder / "stubs" / f"{slow}.py").write_text(HANGS)
    (folder / "data").mkdir()
    (folder / "model.pt").write_bytes(b"x")
    here = folder / "here"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "stubs"), str(ROOT)]), "HERE": str(here)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", *words]
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    end = time.monotonic() + 60
    while not here.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert here.exists(), process.communicate()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def check(done: subprocess.CompletedProcess[str], number: int, folder: Path) -> None:
    assert done.returncode == 128 + number, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert f"stopped by {signal.Signals(number).name}; what is written is whole" in done.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_while_a_command_imports(name: str, tmp_path: Path) -> None:
    done = interrupted(tmp_path, "numpy", ["monai_hybrid.cli", name, *COMMANDS[name]], signal.SIGINT)
    check(done, signal.SIGINT, tmp_path)


@pytest.mark.parametrize("number", SIGNALS[1:])
@pytest.mark.parametrize("name", ["adapt", "report", "build"])
def test_other_signals_while_a_command_imports(name: str, number: int, tmp_path: Path) -> None:
    check(interrupted(tmp_path, "numpy", ["monai_hybrid.cli", name, *COMMANDS[name]], number), number, tmp_path)


@pytest.mark.parametrize(
    "words", [["monai_hybrid.cli", "--help"], ["data_prep", "check", "data"], ["monai_hybrid.reporting", "d"]]
)
def test_ctrl_c_while_the_command_line_itself_imports(words: list[str], tmp_path: Path) -> None:
    check(interrupted(tmp_path, "typer", words, signal.SIGINT), signal.SIGINT, tmp_path)


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    code = "import signal, sys, os; from data_prep.interrupts import end_at_once, end_in_order, done; "
    code += "end_at_once(); end_in_order(); done(); os.kill(os.getpid(), signal.SIGHUP); print('goes on')"
    command = [sys.executable, "-c", code]

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, preexec_fn=nohup, check=False)
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def test_a_signal_that_comes_before_the_child_can_take_it_is_kept(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from monai_hybrid.children import _held, run_child; from monai_hybrid.launch import launched\n"
        "import os, subprocess\n"
        "with _held(True): child = subprocess.Popen([sys.executable, *launched(['-m', 'timeit', '-n', '1', 'x = 1'])])\n"
        "child.send_signal(signal.SIGINT)\n"  # Python itself has not begun yet
        "sys.exit(child.wait())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130 and done.stderr.strip().startswith("stopped by SIGINT") and done.stdout == ""


def test_two_signals_of_one_wish_do_not_disturb_the_taking_down(tmp_path: Path) -> None:
    """A terminal's Ctrl-C comes to the working process twice: from the terminal, and handed on."""
    code = (
        "import os, signal, time, pathlib, sys\n"
        "from data_prep.interrupts import end_in_order, told\n"
        "end_in_order()\n"
        "with told():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "    finally: os.kill(os.getpid(), signal.SIGINT); time.sleep(0.05); print('in order')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "in order\n") and "Traceback" not in done.stderr
