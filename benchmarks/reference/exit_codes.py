"""The page of exit codes: from the error tree and the signals that commands end on."""

from __future__ import annotations

import inspect
import signal

from benchmarks.reference.markdown import code, table
from data_prep import errors
from data_prep.interrupts import ALL

INTRO = """# Exit codes

Each error is a sentence on the error stream, that begins with `error: `. It says what is wrong, where, and what to type.
`--debug` of the commands that read data shows the traceback.

"""
ORDINARY = [["0", "", "All went well."]]
SPECIAL = """
Data that are not there end every command with 3, a model that is not there ends it with 4.
`check` and `repair` end with 3 where findings are left. `predict` ends with 3 when some images failed; the others have
their masks. `audit` ends with 2 for a bundle that is not one of ours with other settings.
"""
MEANT = {
    signal.SIGHUP: "The terminal was closed.",
    signal.SIGINT: "Ctrl-C.",
    signal.SIGUSR1: "A scheduler warns of its limit.",
    signal.SIGTERM: "A scheduler or `kill` asks for the end.",
}


def page() -> str:
    """The page docs/reference/exit_codes.md."""
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HybridError)]
    named = sorted((kind for kind in kinds if kind is errors.HybridError or errors.HybridError in kind.__bases__), key=_order)
    rows = [[str(kind.exit_code), code(kind.__name__), str(kind.__doc__).splitlines()[0]] for kind in named]
    signals = [[str(128 + number), code(number.name), MEANT[number]] for number in sorted(ALL)]
    errors_table = table(["code", "error in Python", "meaning"], [*ORDINARY, *rows])
    return (
        INTRO
        + errors_table
        + "\n"
        + SPECIAL
        + "\n## Signals\n\nA training saves a checkpoint first; `--resume` goes on from it.\n\n"
        + table(["code", "signal", "meaning"], signals)
        + "\n"
    )


def _order(kind: type[errors.HybridError]) -> tuple[int, str]:
    return kind.exit_code, kind.__name__
