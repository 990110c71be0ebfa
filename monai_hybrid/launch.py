"""Starts a command before anything heavy is imported: Ctrl-C and a lack of memory end in a sentence from the first moment.

    python -m monai_hybrid.launch MODULE WORDS

is `python -m MODULE WORDS`. Python and MONAI import for seconds, and in that time none of the command's own code runs.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from data_prep.interrupts import ALL, done, end_at_once
from data_prep.lack_of_memory import memory_told
from data_prep.user_folder import look_there_last
from monai_hybrid import late_imports

_START = (  # "" is the folder where the user is: before Python 3.11 there is no -P
    "import sys; sys.path[:] = [place for place in sys.path if place]; root = {root!r}; "
    "root in sys.path or sys.path.insert(0, root); from monai_hybrid.launch import start; start()"
)
_finished: list[int] = []  # this process's number, once its module has run to its end: a forked child has another


def launched(words: Sequence[str]) -> list[str]:
    """`-m MODULE WORDS` as the words after `python` that start it here, with the code that runs now.

    No file of the folder where the user is can take the place of a module: `-m` would look there first, for this one too.
    """
    safe = ["-P"] if sys.version_info >= (3, 11) else []  # processes that the command starts get it from it
    return [*safe, "-c", _START.format(root=str(Path(__file__).resolve().parents[1])), *words[1:]]


def is_of_module(words: Sequence[str]) -> bool:
    """Whether the words after `python` are `-m MODULE WORDS`."""
    return list(words[:1]) == ["-m"]


def as_launched(words: Sequence[str]) -> list[str]:
    """The words after `python`, so that a module is started here; others as they are."""
    return launched(words) if is_of_module(words) else list(words)


def take_signals() -> None:
    """End at once by a signal; those that whoever started this process has held back (`children`) come now."""
    end_at_once()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL)


def run_module(module: str) -> None:
    """Run a module as `python -m` does, with the words of `sys.argv`."""
    late_imports.install()
    try:
        with memory_told():
            if module == "monai.bundle":  # a warning of foreign configurations; what the command line runs are its own
                warnings.filterwarnings("ignore", message="parsing config_file .*")
                import_all(module)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        done()
    _finished.append(os.getpid())


def import_all(module: str) -> None:
    """Import without looking for garbage, of which there is none, then or later: a tenth of the seconds that all take."""
    gc.disable()
    try:
        importlib.import_module(module)
    finally:
        gc.freeze()  # else the first looks after this go through all that was imported
        gc.enable()


@atexit.register  # here, at the import: what runs register later (run.json) is done before it
def _end_without_teardown() -> None:
    """Python would take PyTorch and MONAI apart for more than a second; the work is done, and all files are closed."""
    if os.getpid() in _finished:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def run_main(module: str) -> None:
    """Import a module and call its `main`; for a program's first lines."""
    take_signals()
    late_imports.install()
    try:
        with memory_told():
            importlib.import_module(module).main()
    finally:
        done()


def main() -> None:
    """The command `monai-hybrid`."""
    run_main("monai_hybrid.cli")


def start() -> None:
    """The module and the words that stand in `sys.argv`; a bundle may name classes that lie where the user is."""
    take_signals()
    sys.argv[:] = sys.argv[1:]
    look_there_last(sys.path, keep=not sys.argv[0].startswith(("monai_hybrid", "data_prep")))
    run_module(sys.argv[0])


if __name__ == "__main__":
    start()
