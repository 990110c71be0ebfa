"""What a run shows on the screen, and what it writes down: few plain lines here, all lines in `logs/log.txt`.

The bundles' `logging.conf` keeps all lines in memory until `take_over` decides where they go, because the command line is read
after the first of them. With `--verbose True` the screen shows everything, with time and name. Without it: lines of this
project, warnings and errors; of lines that count the same thing (marked `TICK`), one every half minute.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import time
from pathlib import Path

from data_prep.progress import SECONDS
from monai_hybrid.typed_options import as_typed

LOGS, NAME = "logs", "log.txt"
FULL = "%(asctime)s - %(name)s - %(levelname)s - %(message)s"
TICK = {"tick": True}  # `extra` of a progress line
BAR = "bar"  # in `extra`: whether a bar shows the same
OURS = ("monai_hybrid", "data_prep", "__main__")
# What these say at any level is said better by our own sentence, or a user can do nothing about it.
NOISE = ("ignite.engine", "monai.data.nvimgcodec_pydicom_plugin")
ASIDE = ("monai_hybrid.precision",)  # of our own, for the log alone: how a choice was measured
KEPT = 10_000  # lines in memory before there is a folder for them


class Screen(logging.StreamHandler):
    """The lines a person reads while a run works.

    Args:
        verbose: show all lines in full.
    """

    def __init__(self, verbose: bool = False) -> None:
        super().__init__(sys.stdout)
        self.last = -SECONDS
        if verbose:
            self.setFormatter(logging.Formatter(FULL))
        else:
            self.addFilter(self.wanted)
            self.setFormatter(Plain("%(message)s"))

    def wanted(self, record: logging.LogRecord) -> bool:
        """Whether a person wants to read it now."""
        if record.name.startswith(NOISE):
            return False
        if record.levelno >= logging.WARNING:
            return True
        if not record.name.startswith(OURS) or record.name in ASIDE or int(os.environ.get("RANK", "0")) > 0:
            return False
        if getattr(record, BAR, False):
            return False
        if not getattr(record, "tick", False):
            return True
        now = time.monotonic()
        if now - self.last < SECONDS:
            return False
        self.last = now
        return True

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (of logging)
        """A terminal that is gone ends no run, and is not told of."""


class Plain(logging.Formatter):
    """A line as a sentence: the message, and its kind where that is more than information."""

    def format(self, record: logging.LogRecord) -> str:
        """As the class says."""
        text = as_typed(super().format(record))
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


class LogFile(logging.handlers.MemoryHandler):
    """All lines, kept until `write_to` says where: a run that is refused leaves no file."""

    def __init__(self) -> None:
        super().__init__(KEPT, flushLevel=logging.CRITICAL + 1, flushOnClose=False)

    def shouldFlush(self, record: logging.LogRecord) -> bool:  # noqa: N802 (of logging)
        """At once when there is a file."""
        return self.target is not None or super().shouldFlush(record)

    def write_to(self, folder: Path) -> None:
        """Append to `log.txt` of this folder from now on, what was kept first; a full disk ends the log and not the run."""
        if self.target is not None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = Lines(folder / NAME, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            print(f"warning: {folder / NAME}: cannot be written: {error.strerror}", file=sys.stderr)
            logging.getLogger().removeHandler(self)
            return
        file.setFormatter(logging.Formatter(FULL))
        self.setTarget(file)
        self.flush()

    def close(self) -> None:
        """Close the file as well."""
        target = self.target
        super().close()
        if target is not None:
            target.close()


class Lines(logging.FileHandler):
    """A log file that stops where the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (of logging)
        """Say it once; the run goes on."""
        if not self.disabled:
            self.disabled = True
            print(f"warning: {self.baseFilename}: cannot be written any more", file=sys.stderr)

    disabled = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, as long as lines can be written."""
        if not self.disabled:
            super().emit(record)


def take_over(verbose: bool = False) -> None:
    """Send the lines kept by the bundles' `logging.conf`, and those to come, to the screen and to a log file.

    Where another logging configuration is used, it stays as it is.
    """
    root = logging.getLogger()
    early = next((h for h in root.handlers if type(h) is logging.handlers.MemoryHandler), None)
    if early is None:
        return
    root.removeHandler(early)
    ours = [Screen(verbose), LogFile()] if int(os.environ.get("RANK", "0")) == 0 else [Screen(verbose)]
    for handler in ours:
        root.addHandler(handler)
        for record in early.buffer:
            handler.handle(record)
    early.buffer.clear()
    early.close()


def write_log(folder: str | Path) -> None:
    """Write all lines of this run, past and to come, to `logs/log.txt` of its folder."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            handler.write_to(Path(folder) / LOGS)
