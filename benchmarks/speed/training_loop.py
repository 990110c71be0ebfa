"""One training in a process of its own, which trains a number of updates whenever it is told to, and says what they took.

The arithmetic of the first update is counted, so the first round is slower than the others.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from typing import Any, TextIO

from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.pretraining import workflow

CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


class Stepper:
    """A handler that stops after every `every` updates, reports them as a line of JSON, and waits for a line on stdin."""

    def __init__(self, clock: str, every: int, report: TextIO) -> None:
        self.clock, self.every, self.report = CLOCKS[clock], every, report
        self.losses: list[Any] = []
        self.flops: FlopCounterMode | None = FlopCounterMode(display=False)

    def attach(self, engine: Any) -> None:
        """Stop after whole rounds; the validation is the engine's own."""
        from ignite.engine import Events

        engine.add_event_handler(Events.STARTED, self.begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.count)

    def begin(self, _engine: Any) -> None:
        """The clock runs from here."""
        self.wait()
        if self.flops:
            self.flops.__enter__()

    def count(self, engine: Any) -> None:
        """Report a whole round."""
        if self.flops:
            self.flops.__exit__(None, None, None)
            self.counted, self.flops = int(self.flops.get_total_flops()), None
        output = engine.state.output  # a list since handlers of MONAI's tracking read it
        self.losses.append((output[0] if isinstance(output, list) else output)["loss"].detach())
        if len(self.losses) == self.every:
            losses = [float(loss) for loss in self.losses]  # waits for a GPU
            self.tell(losses=losses, flops=self.counted)
            self.losses.clear()
            self.wait()

    def tell(self, **what: Any) -> None:
        """Seconds and page faults since the last line was read, and more."""
        seconds = self.clock() - self.started
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - self.faults
        print(json.dumps({"seconds": seconds, "faults": faults, **what}), file=self.report, flush=True)

    def wait(self) -> None:
        """Until the next line, outside the clock."""
        sys.stdin.readline()
        self.faults, self.started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, self.clock()


def main() -> None:
    """Train in rounds, then validate once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=json.loads, help="of the bundle, as JSON")
    parser.add_argument("--keep_memory", action="store_true")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--every", type=int, required=True)
    parser.add_argument("--clock", choices=CLOCKS, required=True)
    args = parser.parse_args()
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print must not come between
    if args.keep_memory:
        from monai_hybrid.allocator import keep_memory

        keep_memory()
    from monai.utils import set_determinism

    made = workflow({**args.settings, "max_epochs": 1, "updates_per_epoch": args.rounds * args.every, "val_interval": 2})
    trainer = made.parser.get_parsed_content("train#trainer")
    evaluator = made.parser.get_parsed_content("validate#evaluator")
    set_determinism(seed=args.settings["seed"])  # the stock loop draws from it, ours from (seed, place in the run)
    stepper = Stepper(args.clock, args.every, report)
    stepper.attach(trainer)
    trainer.run()
    evaluator.run()
    stepper.tell(dice=evaluator.state.metrics["val_mean_dice"])
    made.finalize()


if __name__ == "__main__":
    main()
