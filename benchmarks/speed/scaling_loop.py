"""One process of the scaling measurement: a number of updates of train.json, alone or as a rank of torchrun."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.pretraining import workflow


def main() -> None:
    """Train, and write what each update after the first ones took."""
    from ignite.engine import Events

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=json.loads, help="of the bundle, as JSON")
    parser.add_argument("--updates", type=int, required=True)
    parser.add_argument("--skip", type=int, required=True, help="first updates that are not counted")
    parser.add_argument("--report", type=Path, required=True, help="folder; a file a rank")
    args = parser.parse_args()
    from monai_hybrid.allocator import keep_memory

    keep_memory()
    several = ["multi_gpu_train.json"] if "RANK" in os.environ else []  # where torchrun started this process
    length = {"max_epochs": 1, "updates_per_epoch": args.updates + args.skip, "val_interval": 2}
    made = workflow({**args.settings, **length}, *several)
    trainer = made.parser.get_parsed_content("train#trainer")
    network = made.parser.get_parsed_content("network")
    ticks: list[float] = []

    def tick(engine: Any) -> None:
        output = engine.state.output
        float((output[0] if isinstance(output, list) else output)["loss"])  # waits for a GPU
        ticks.append(time.perf_counter())

    trainer.add_event_handler(Events.ITERATION_COMPLETED, tick)
    trainer.run()
    seconds = [after - before for before, after in zip(ticks[args.skip - 1 :], ticks[args.skip :], strict=False)]
    gradients = sum(p.numel() * p.element_size() for p in network.parameters() if p.requires_grad)
    batch = int(made.parser.get_parsed_content("batch_size"))
    told = {"seconds": seconds, "gradient_bytes": gradients, "batch_size": batch}
    rank = os.environ.get("RANK", "0")
    (args.report / f"rank_{rank}.json").write_text(json.dumps(told))
    made.finalize()


if __name__ == "__main__":
    main()
