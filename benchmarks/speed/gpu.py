"""All measurements of a GPU in one command, each part in a process of its own with a limit, into one JSON.

python -m benchmarks.speed.gpu gpu.json                  # 25 minutes at most; benchmarks/speed/gpu.sh is the same
python -m benchmarks.speed.gpu tried.json --dry          # tiny sizes on the processor, numbers without meaning
python -m benchmarks.speed.gpu gpu.json --parts training volume

The JSON is written after each part. A part that fails, or does not end in time, leaves a sentence in its place.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.ending import ended
from data_prep.atomic import replace_file
from data_prep.interrupts import end_in_order
from monai_hybrid.errors import EnvironmentFault

MINUTES = 25
LIMITS = {"training": 9.0, "determinism": 2.0, "nccl": 4.0, "forward": 4.0, "volume": 6.0}  # minutes, in this order
ROOT = Path(__file__).parents[2]
Runner = Callable[[str, float], dict[str, Any]]


def all_parts(parts: Sequence[str], minutes: float, one: Runner, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Measure parts one after another until the time is over.

    Args:
        parts: names of `LIMITS`.
        minutes: for all of them; `LIMITS` are of `MINUTES`.
        one: measures a part within as many seconds.
        keep: called with what is there after each.

    Returns:
        part -> what `one` gave, or {"left_out": why}.
    """
    until, report = time.monotonic() + 60 * minutes, {}
    for part in parts:
        left = min(60 * LIMITS[part] * minutes / MINUTES, until - time.monotonic())
        report[part] = one(part, left) if left > 0 else {"left_out": f"the {minutes:g} minutes were over"}
        keep(report)
    return report


def in_a_process(part: str, seconds: float, dry: bool) -> dict[str, Any]:
    """What a part says of itself; {"error": a sentence} where it failed, {"left_out": ...} where it did not end in time."""
    # cuBLAS reads this when it starts; without it, it has no deterministic products.
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "part.json"
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.gpu_parts", part, str(told), *["--dry"] * dry]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            said = child.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            _kill(child)
            return {"left_out": f"not done after {seconds / 60:.1f} minutes"}
        except BaseException:  # Ctrl-C, which a group of its own does not hear
            _kill(child)
            raise
        if child.returncode or not told.is_file():
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            return {"error": f"exit code {child.returncode}: {last}"}
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return found


def _kill(child: subprocess.Popen[str]) -> None:
    """With the trainings that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def minutes_of(text: str) -> float:
    """A time that something can be measured in.

    Raises:
        argparse.ArgumentTypeError: not a number, not above 0, or without end.
    """
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number > 0, such as {MINUTES}")
    return minutes


def machine(dry: bool) -> dict[str, Any]:
    """The card and what drives it.

    Raises:
        EnvironmentFault: there is none.
    """
    import torch

    from benchmarks.speed.processor import processor

    about: dict[str, Any] = {"torch": torch.__version__, "processor": processor(), "dry": dry}
    if dry:
        return about
    if not torch.cuda.is_available():
        raise EnvironmentFault(
            "no GPU: PyTorch sees none here, so there is nothing to measure. "
            "Go to a machine with one, or type --dry to see that it runs"
        )
    card = torch.cuda.get_device_properties(0)
    more = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "capability": f"{card.major}.{card.minor}"}
    return {**about, "device": card.name, "gigabytes": card.total_memory / 1e9, **more}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, tell of each part, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="write everything measured here")
    parser.add_argument("--dry", action="store_true", help="tiny sizes on the processor, to see that it runs")
    parser.add_argument("--parts", nargs="+", choices=LIMITS, default=list(LIMITS))
    parser.add_argument("--minutes", type=minutes_of, default=MINUTES, help="for everything, a part its share of them")
    args = parser.parse_args(words)

    def work() -> None:
        about = machine(args.dry)

        def write(report: dict[str, Any]) -> None:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"machine": about, **report}, indent=1) + "\n"
            replace_file(args.json, lambda path: path.write_text(text, encoding="utf-8"))

        def keep(report: dict[str, Any]) -> None:
            write(report)
            part = list(report)[-1]
            print(f"{part}: {report[part].get('error') or report[part].get('left_out') or 'done'}", flush=True)

        write({})  # where it cannot be written, nothing is measured
        all_parts(args.parts, args.minutes, lambda part, seconds: in_a_process(part, seconds, args.dry), keep)

    return ended(work)


if __name__ == "__main__":
    end_in_order()
    sys.exit(main())
