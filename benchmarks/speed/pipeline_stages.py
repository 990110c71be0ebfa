"""One prediction in this process, its functions timed: `pipeline` starts it. Processor seconds, each counted once.

Seconds are those of the thread in which a stage runs, so with `--threads 1` they are whole. What the main thread takes is what
one waits for where a second processor is free; the rest is reading and writing beside it.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from monai_hybrid import late_imports
from monai_hybrid.launch import import_all

# Stage -> (module, class or "", function). What is called within another stage counts there no more.
START = "start: imports, configuration, model"
WATCHED = {
    "files: hashes": [("monai_hybrid.prediction.table", "QualityTable", "made_from")],
    "files: read and check": [("monai_hybrid.prediction.cases", "", "inspect")],
    "files: read again": [("monai.transforms", "LoadImaged", "__call__")],
    "to the network's grid": [
        ("monai.transforms", "Orientationd", "__call__"),
        ("monai_hybrid.transforms", "SafeSpacingd", "__call__"),
        ("monai_hybrid.transforms", "Normalized", "__call__"),
    ],
    "network": [("monai_hybrid.networks.folding", "FoldedSegmenter", "forward")],
    "windows": [("monai_hybrid.inferers", "InputGridInferer", "segment")],
    "the way back": [("monai_hybrid.inferers.emit", "Emitter", "add")],
    "masks: written": [("monai_hybrid.prediction", "SaveMasksd", "__call__")],
    "quality.csv": [
        ("monai_hybrid.prediction.table", "QualityTable", "write"),
        ("monai_hybrid.prediction.table", "QualityTable", "reserve"),
    ],
}


class Stages:
    """Processor seconds by stage; time within an inner stage is taken from the outer one."""

    def __init__(self) -> None:
        self.seconds = {START: 0.0, **dict.fromkeys(WATCHED, 0.0)}
        self.threads = threading.local()

    def from_start(self, engine: Any) -> None:
        """What came before the engine's `run` is the start."""
        run = engine.run

        def timed(one: Any) -> None:
            self.seconds[START] = time.process_time()
            run(one)

        engine.run = timed

    def watched(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **named: Any) -> Any:
            inner = self.threads.__dict__.setdefault("inner", [0.0])
            began = time.thread_time()
            inner.append(0.0)
            try:
                return function(*args, **named)
            finally:
                spent = time.thread_time() - began
                self.seconds[stage] += spent - inner.pop()
                inner[-1] += spent

        return timed


def main() -> None:
    """Predict as the process that the command line starts does, and write the stages."""
    told, *words = sys.argv[1:]
    late_imports.install()
    import_all("monai.bundle")
    import monai.bundle.__main__ as program

    stages = Stages()
    for stage, functions in WATCHED.items():
        for module, owner, name in functions:
            place = getattr(import_module(module), owner) if owner else import_module(module)
            setattr(place, name, stages.watched(stage, getattr(place, name)))
    stages.from_start(import_module("monai_hybrid.prediction").Predictor)
    sys.argv[:] = [program.__file__, *words]
    import fire
    from monai.bundle import run

    fire.Fire({"run": run})
    ended, waited = time.process_time(), time.thread_time()
    stages.seconds["the rest"] = ended - sum(stages.seconds.values())
    Path(told).write_text(json.dumps({"stages": stages.seconds, "waited": waited}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
