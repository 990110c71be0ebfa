"""Disturb build, repair, predict, adapt and report: each ends as if undisturbed, or in one sentence with nothing half-written.

    python -m benchmarks.reliability.disturbances --points 3 --output_dir runs/disturbances

SIGKILL, SIGTERM, SIGINT and SIGUSR1 at random moments; two processes on one output and on one cache; a read-only folder; little
memory; an image that goes while it is read. After each, every file left is read to its end; then the command is typed again,
and its result is compared with that of the undisturbed run. Prints a table, writes disturbances.json; exit code 1 if one is
wrong.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.commands import Base, Command, commands, make_base, run, run_in_little_memory, start
from benchmarks.reliability.whole import leftovers, torn
from data_prep.atomic import replace_file

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
DROP_CAPABILITY, MAY_WRITE_EVERYWHERE = 24, 1  # of Linux's prctl and capabilities: root without its own right
MEGABYTE = 2**20
LITTLE = (0, 8 * MEGABYTE, 64 * MEGABYTE)


@dataclass(frozen=True)
class Outcome:
    """One disturbed run. `wrong` is empty when it was answered as it must be."""

    command: str
    disturbance: str
    exit_code: int
    said: str
    wrong: str


@dataclass(frozen=True)
class Trial:
    """A command, the result of its undisturbed run, and how long that took."""

    command: Command
    expected: Any
    seconds: float


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a run that did not end well: its last line."""
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("python -m ")]
    return " ".join(lines[-1].split())[:200] if lines else ""


def judge(trial: Trial, what: str, done: subprocess.CompletedProcess[str], out: Path, allowed: Sequence[int]) -> Outcome:
    """Hold a disturbed run against what is allowed: exit code, message, whole files, nothing left over."""
    faults = [f"torn: {file}" for file in torn(out)] if out.is_dir() else []
    if done.returncode not in (0, *allowed):
        faults.append(f"exit code {done.returncode}")
    if done.returncode > 0 and "Traceback (most recent call last)" in done.stderr:
        faults.append("a traceback")
    if what != "SIGKILL":
        faults += [f"left over: {name}" for name in leftovers(out)]
    said = one_sentence(done) if done.returncode else ""
    return Outcome(trial.command.name, what, done.returncode, said, "; ".join(faults))


def again(trial: Trial, out: Path) -> str:
    """Type the command once more where it has not finished; what is wrong with the end, empty if nothing."""
    finished = trial.command.name == "repair" and out.exists()
    if not finished:
        done = run([*trial.command.words(out), *trial.command.again])
        if done.returncode and "holds a finished run" not in done.stderr:
            return f"again: exit code {done.returncode}: {one_sentence(done)}"
    if leftovers(out):
        return f"again: left over: {', '.join(leftovers(out))}"
    return "" if trial.command.result(out) == trial.expected else "again: another result"


def with_again(outcome: Outcome, trial: Trial, out: Path) -> Outcome:
    """The same outcome, and what came of typing the command again."""
    said = again(trial, out)
    return outcome if not said else Outcome(**{**asdict(outcome), "wrong": "; ".join(filter(None, (outcome.wrong, said)))})


def signalled(trial: Trial, number: int, delay: float, out: Path) -> Outcome:
    """A signal after `delay` seconds, then the command again."""
    process = start(trial.command.words(out))
    time.sleep(delay)
    process.send_signal(number)
    output, errors = process.communicate(timeout=600)
    done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    if number == signal.SIGKILL:
        wait_for_orphans(out)
    return with_again(judge(trial, signal.Signals(number).name, done, out, (-number, 128 + number)), trial, out)


def wait_for_orphans(out: Path) -> None:
    """At most a minute, until no process names the folder any more: the child of a killed command line saves and ends."""
    end = time.monotonic() + 60
    while time.monotonic() < end and any(str(out) in words for words in _command_lines()):
        time.sleep(0.05)


def _command_lines() -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid():
                yield (entry / "cmdline").read_text(errors="replace")
        except OSError:
            continue


def two_at_once(trial: Trial, out: Path) -> Outcome:
    """Two processes with one output: both well, or one is refused in a sentence."""
    pair = [start(trial.command.words(out)) for _ in range(2)]
    both = []
    for process in pair:
        output, errors = process.communicate(timeout=900)
        both.append(subprocess.CompletedProcess(process.args, process.returncode, output, errors))
    worse = max(both, key=lambda done: done.returncode != 0)
    outcome = judge(trial, "two on one output", worse, out, (2, 5))
    if all(done.returncode for done in both):
        outcome = Outcome(**{**asdict(outcome), "wrong": f"both failed: {one_sentence(both[0])}; {one_sentence(both[1])}"})
    return with_again(outcome, trial, out)


def two_on_one_cache(trial: Trial, out: Path) -> Outcome:
    """Two trainings with one cache_dir: both end as alone."""
    outs = [out / "a", out / "b"]
    pair = [start([*trial.command.words(o), "--cache_dir", str(out / "cache")]) for o in outs]
    wrong, codes = [], []
    for process, folder in zip(pair, outs, strict=True):
        _, errors = process.communicate(timeout=900)
        codes.append(process.returncode)
        if process.returncode:
            wrong.append(errors[-200:])
        elif trial.command.result(folder) != trial.expected:
            wrong.append("another result")
    return Outcome(trial.command.name, "two on one cache_dir", max(codes), "", "; ".join(wrong))


def read_only(trial: Trial, out: Path) -> Outcome:
    """An output that may not be written: a sentence and exit code 5, and nothing there."""
    out.mkdir(parents=True)
    out.chmod(0o555)
    target = out / "new" if trial.command.name == "repair" else out  # repair wants a folder that is not there
    done = run(trial.command.words(target), preexec_fn=_as_somebody if os.geteuid() == 0 else None)
    outcome = judge(trial, "read-only output", done, out, (5,))
    faults = [outcome.wrong] if outcome.wrong else []
    faults += ["it was written"] if any(out.iterdir()) else []
    faults += ["no refusal"] if done.returncode == 0 else []
    out.chmod(0o755)
    return Outcome(**{**asdict(outcome), "wrong": "; ".join(faults)})


def _as_somebody() -> None:
    ctypes.CDLL(None).prctl(DROP_CAPABILITY, MAY_WRITE_EVERYWHERE)


def little_memory(trial: Trial, more: int, out: Path) -> Outcome:
    """A limit of the address space: as undisturbed, or a sentence and exit code 5 (3 where cases failed for it)."""
    done = run_in_little_memory(trial.command, out, more)
    outcome = judge(trial, f"{more // MEGABYTE} MiB more than the imports", done, out, (3, 5))
    return with_again(outcome, trial, out)


def image_goes(trial: Trial, base: Base, out: Path) -> Outcome:
    """The last image is taken away after a third of the time, then put back."""
    victim = sorted((base.raw / "images").iterdir())[-1]
    aside = base.folder / victim.name
    process = start(trial.command.words(out))
    time.sleep(0.3 * trial.seconds)
    shutil.move(victim, aside)
    try:
        output, errors = process.communicate(timeout=600)
    finally:
        shutil.move(aside, victim)
    done = subprocess.CompletedProcess(process.args, process.returncode, output, errors)
    outcome = judge(trial, "an image goes", done, out, (3, 5))
    if trial.command.name == "repair" and done.returncode == 3:  # a copy without the image, and it said so
        shutil.rmtree(out)
    return with_again(outcome, trial, out)


def disturbed(trial: Trial, base: Base, folder: Path, points: int, draw: random.Random) -> Iterator[Outcome]:
    """All disturbances of one command."""

    def fresh(name: str) -> Path:
        out = folder / trial.command.name / name.replace(" ", "_")
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        return out

    for number in SIGNALS:
        for point in range(points):
            yield signalled(trial, number, draw.uniform(0.3, 1.0) * trial.seconds, fresh(f"signal_{number}_{point}"))
    yield two_at_once(trial, fresh("two"))
    yield read_only(trial, fresh("read_only"))
    for more in LITTLE:
        yield little_memory(trial, more, fresh(f"memory_{more}"))
    if trial.command.name in ("build", "repair", "predict"):
        yield image_goes(trial, base, fresh("goes"))
    if trial.command.name == "adapt":
        yield two_on_one_cache(trial, fresh("cache"))


def undisturbed(command: Command, out: Path) -> Trial:
    """Run a command alone.

    Raises:
        RuntimeError: it fails.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    done = run(command.words(out))
    if done.returncode:
        raise RuntimeError(f"{command.name}: {done.stderr[-2000:]}")
    return Trial(command, command.result(out), time.monotonic() - began)


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A row a command and disturbance: how often, with which exit codes, and how many were wrong."""
    lines = ["| command | disturbance | runs | exit codes | wrong |", "| --- | --- | --- | --- | --- |"]
    for key in dict.fromkeys((o.command, o.disturbance) for o in outcomes):
        group = [o for o in outcomes if (o.command, o.disturbance) == key]
        codes = ", ".join(sorted({str(o.exit_code) for o in group}, key=int))
        lines.append(f"| {key[0]} | {key[1]} | {len(group)} | {codes} | {sum(bool(o.wrong) for o in group)} |")
    return "\n".join(lines)


def record(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write disturbances.json anew; paths under `folder` are written as RUNS."""
    content = {"wrong": sum(bool(o.wrong) for o in outcomes), "runs": [asdict(o) for o in outcomes]}
    text = json.dumps(content, indent=1).replace(str(folder), "RUNS") + "\n"
    replace_file(folder / "disturbances.json", lambda path: path.write_text(text, encoding="utf-8"))


def main(arguments: Sequence[str] | None = None, show: Callable[[str], object] = print) -> int:
    """Disturb, print, write; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=3, help="moments a signal")
    parser.add_argument("--only", nargs="*", help="of build, repair, predict, adapt, report")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, required=True)
    given = parser.parse_args(arguments)
    folder, draw = given.output_dir.resolve(), random.Random(given.seed)
    base, outcomes = make_base(folder / "base"), []
    for command in commands(base):
        if given.only and command.name not in given.only:
            continue
        trial = undisturbed(command, folder / command.name / "undisturbed")
        for outcome in disturbed(trial, base, folder, given.points, draw):
            print(outcome, file=sys.stderr, flush=True)
            outcomes.append(outcome)
            record(outcomes, folder)
    wrong = [o for o in outcomes if o.wrong]
    show(f"{markdown(outcomes)}\n\n{len(outcomes)} disturbed runs, {len(wrong)} answered wrongly")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
