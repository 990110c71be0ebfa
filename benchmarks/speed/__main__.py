"""Compare speeds in one run; only the ratios are worth anything on a machine that others use.

python -m benchmarks.speed --quick
python -m benchmarks.speed --quick --isa avx2
python -m benchmarks.speed --device cuda --json speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.ending import ended
from benchmarks.speed.processor import add_isa, isa_environment, processor, restart_with
from monai_hybrid.allocator import allocator_environment
from monai_hybrid.errors import ConfigError

PARTS = ("forward", "training", "volume", "sampling")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda[:n]")
    parser.add_argument("--quick", action="store_true", help="small patches, about a minute")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, help="threads on the CPU; default: PyTorch's")
    parser.add_argument("--clock", choices=("wall", "process"), default="wall", help="process: processor seconds, CPU only")
    parser.add_argument("--networks", nargs="+", help="only these rows of the tables, the first is the measure (default: all)")
    parser.add_argument("--volume", type=int, nargs=3, action="append", help="whole volume to segment, voxels; may be repeated")
    parser.add_argument("--stock_allocator", action="store_true", help="leave memory to glibc's defaults")
    add_isa(parser)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    return parser.parse_args()


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the parts asked for."""
    # Here, so that the restart for the allocator costs nothing.
    import torch

    from benchmarks.speed import measure, parts
    from monai_hybrid.networks.number_types import fastest_dtype

    torch.manual_seed(0)
    device = torch.device(args.device)
    dtypes = tuple(dict.fromkeys((torch.float32, fastest_dtype(device))))
    if args.networks:
        parts.ROWS = _named(args.networks, parts.ROWS)
    else:  # bfloat16 without instructions for it would take minutes a patch
        parts.ROWS = tuple(row for row in parts.ROWS if row.dtype in dtypes)
    if args.threads:
        torch.set_num_threads(args.threads)
    sizes = parts.QUICK if args.quick else parts.FULL
    if args.volume:
        sizes = replace(sizes, volumes=tuple(tuple(shape) for shape in args.volume))
    stopwatch = measure.Stopwatch(device, 3 if args.quick else args.repetitions, args.clock)
    peaks = {dtype: measure.convolution_peak(stopwatch, dtype, args.quick) for dtype in dtypes}
    machine = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "clock": args.clock,
        "allocator": "kept memory" if "MALLOC_TRIM_THRESHOLD_" in os.environ else "default",
        **{f"convolution peak {str(k).removeprefix('torch.')}, GFLOP/s": round(v / 1e9, 1) for k, v in peaks.items()},
    }
    measured = {
        "forward": lambda: parts.forward(stopwatch, sizes, peaks),
        "training": lambda: parts.training(stopwatch, sizes, peaks),
        "volume": lambda: parts.volume(stopwatch, sizes),
        "sampling": lambda: parts.sampling(stopwatch, sizes),
    }
    return {"machine": machine, **{part: measured[part]() for part in args.parts}}


def _named(names: Sequence[str], rows: Sequence[Any]) -> tuple[Any, ...]:
    """The rows of these names.

    Raises:
        ConfigError: there is none of a name.
    """
    known = [row.name for row in rows]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--networks {unknown[0]!r}: unknown; expected of {', '.join(map(repr, known))}")
    return tuple(row for row in rows if row.name in names)


def main() -> None:
    """Measure, print, and write."""
    args = arguments()
    restart_with(isa_environment(args.isa))
    if not args.stock_allocator and args.device == "cpu":
        restart_with(allocator_environment())
    try:
        report = run(args)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    from benchmarks.speed.report import text

    print(text(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(ended(main))
