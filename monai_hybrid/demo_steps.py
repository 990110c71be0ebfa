"""Runs the steps of the demonstration one after another, and says on a line for each how long the rest will take."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.interrupts import signal_of
from data_prep.this_python import python
from monai_hybrid.allocator import process_environment
from monai_hybrid.children import end_with_parent
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.launch import as_launched

LOG, COMMANDS = "log.txt", "commands.sh"
POLL_SECONDS = 0.5
SECONDS_BETWEEN_LINES = 30.0  # within one step
SHOWN_LINES = 5  # of a step that failed


@dataclass(frozen=True)
class Step:
    """One `python ...` command.

    Attributes:
        title: what it does, for the reader.
        words: the command after `python`.
        seconds: what it took where the story was measured; what is left is told in proportion.
        history: a file that gains one line an epoch while the step runs, of `epochs` in all.
    """

    title: str
    words: list[str]
    seconds: float
    history: Path | None = None
    epochs: int = 0

    def share_done(self) -> float:
        """From 0 to 1: epochs done of all; 0 for a step without them."""
        if self.history is None or not self.epochs or not self.history.is_file():
            return 0.0
        return min(1.0, self.history.read_bytes().count(b"\n") / self.epochs)


class Teller:
    """Runs steps; what they print goes to a log file.

    Args:
        steps: all of the story, in order.
        folder: for the log and the list of commands; made if missing.
        say: takes each line.
        clock: seconds.
    """

    def __init__(
        self, steps: list[Step], folder: Path, say: Callable[[str], None] = print, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.steps, self.folder, self.say, self.clock = steps, folder, say, clock

    def run(self) -> None:
        """Run all steps.

        Raises:
            EnvironmentFault: one failed; its last lines and the log's name are in the message.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        commands = "".join(f"{python()} {shlex.join(step.words)}\n" for step in self.steps)
        (self.folder / COMMANDS).write_text(commands, encoding="utf-8")
        log = self.folder / LOG
        log.unlink(missing_ok=True)
        self.started = self.clock()
        environment = {**os.environ, **process_environment()}
        for number, step in enumerate(self.steps):
            if step.history is not None:
                step.history.unlink(missing_ok=True)  # of an earlier run
            self.say(self.line(number, 0.0))
            self._run_one(number, log, environment)

    def line(self, number: int, share: float) -> str:
        """`number` steps are done, and `share` of the next: which it is, and how long the rest of the story takes."""
        step, left = self.steps[number], duration(self.seconds_left(number, share))
        epochs = f", {share:.0%} done" if share else ""
        return f"Step {number + 1} of {len(self.steps)}: {step.title}{epochs}. About {left} left."

    def seconds_left(self, number: int, share: float) -> float:
        """Of the whole story: in proportion to the time so far, and as measured elsewhere before there is any."""
        done = sum(step.seconds for step in self.steps[:number]) + share * self.steps[number].seconds
        rest = sum(step.seconds for step in self.steps) - done
        return rest * (self.clock() - self.started) / done if done else rest

    def _run_one(self, number: int, log: Path, environment: Mapping[str, str]) -> None:
        step = self.steps[number]
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"\n$ python {shlex.join(step.words)}\n")
            stream.flush()
            begin = stream.tell()
            command = [sys.executable, "-W", "ignore", *as_launched(step.words)]
            process = subprocess.Popen(
                command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=environment, preexec_fn=end_with_parent()
            )
            try:
                code = self._watch(process, number)
            except KeyboardInterrupt as error:
                if signal_of(error) != signal.SIGINT:  # Ctrl-C goes to the step as well, and it ends by itself
                    process.send_signal(signal_of(error))
                process.wait()
                raise
        if code:
            raise EnvironmentFault(f"demo: the step '{step.title}' failed (all of it in {log}):\n{last_lines(log, begin)}")

    def _watch(self, process: subprocess.Popen[bytes], number: int) -> int:
        """Wait for a step's end; a line now and then on how far it is."""
        told, share = self.clock(), 0.0
        while True:
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                now = self.steps[number].share_done()
                if share < now < 1 and self.clock() - told >= SECONDS_BETWEEN_LINES:
                    told, share = self.clock(), now
                    self.say(self.line(number, share))


def duration(seconds: float) -> str:
    """ "40 s", "3 min": to ten seconds below a minute and a half, else to the minute."""
    return f"{max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def last_lines(log: Path, begin: int) -> str:
    """What a step said at its end: its error if it named one, else its last lines."""
    with log.open("rb") as stream:
        stream.seek(begin)
        lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
    return "\n".join(lines[errors[-1] :] if errors else lines[-SHOWN_LINES:])
