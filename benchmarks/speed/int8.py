"""The exported segmenter in whole numbers of 8 bits: milliseconds of a window, and what it loses.

python -m benchmarks.speed.int8 --model runs/small/models/model.safetensors --data target --output study --json int8.json
python -m benchmarks.speed.int8 --model hippocampus_mr --output study          # times alone

ONNX Runtime's static quantisation (weights a channel, activations by their range on windows of training images) of the file
that `export` writes. Dice is of the test cases, by the same sliding windows for every row.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.ending import ended
from benchmarks.speed.measure import Stopwatch
from benchmarks.speed.processor import add_isa, isa_environment, processor, restart_with
from monai_hybrid.allocator import allocator_environment
from monai_hybrid.api import load_model
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.bundle.held_out import held_out_parts
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.exporting.program import INPUT, OUTPUT, needed, write_onnx
from monai_hybrid.inferers import InputGridInferer
from monai_hybrid.networks import fastest_dtype, folded
from monai_hybrid.prediction.denoising import cut_window, window_at
from monai_hybrid.quality.held_out import HeldOut

Segmenter = Callable[[Tensor], Tensor]
CONFIG = bundle_folder("few_shot_finetune") / "configs/inference.json"


def session(path: Path, threads: int) -> Segmenter:
    """An ONNX file as a function of windows, one at a time, as `export` writes it."""
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    made = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(windows: Tensor) -> Tensor:
        each = [np.asarray(made.run([OUTPUT], {INPUT: window[None].numpy()})[0]) for window in windows]
        return torch.from_numpy(np.concatenate(each))

    return run


class Windows:
    """Windows of training images, in the form that ONNX Runtime asks for."""

    def __init__(self, windows: Sequence[Tensor]) -> None:
        self.left: Iterator[Tensor] = iter(windows)

    def get_next(self) -> dict[str, Any] | None:
        """The next one; None at the end."""
        window = next(self.left, None)
        return None if window is None else {INPUT: window[None].numpy()}


def quantised(path: Path, target: Path, windows: Sequence[Tensor]) -> Path:
    """Write `path` with convolutions and products in 8 bits: weights signed, a scale a channel, activations unsigned.

    All else stays float32: ONNX Runtime refuses to quantise the shared constants of the norms.

    Args:
        path: ONNX of float32.
        target: is written.
        windows: (C, *patch) each, to see the ranges of activations.
    """
    needed("onnxruntime")
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    kinds = ["Conv", "ConvTranspose", "MatMul", "Gemm"]
    logging.disable(logging.WARNING)  # a line for each bias, which has no channels to scale apart
    try:
        quantize_static(
            str(prepared), str(target), Windows(windows), quant_format=QuantFormat.QDQ, op_types_to_quantize=kinds,
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    prepared.unlink()
    return target


def dice(parts: HeldOut, cases: Sequence[Mapping[str, Any]], run: Segmenter) -> dict[str, float]:
    """Mean Dice by case over the structures that label or mask holds."""
    inferer = InputGridInferer(parts.inferer.roi_size, 1, parts.inferer.overlap)
    found = {}
    for case in cases:
        d = parts.load_label({**parts.prepare(dict(case)), "label": case["label"]})
        said, label = inferer.segment(d["image"], run).labels, torch.as_tensor(d["label"])[0]
        of = [(said == k, label == k) for k in range(1, len(parts.structures) + 1)]
        scores = [float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in of if a.any() or b.any()]
        found[str(case["case_id"])] = float(np.mean(scores)) if scores else float("nan")
    return found


def segmenters(args: argparse.Namespace, network: Any, windows: Sequence[Tensor]) -> dict[str, Segmenter]:
    """Every row of the table."""
    args.output.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Segmenter] = {"PyTorch, folded, float32": folded(network, "float32")}
    if fastest_dtype(torch.device("cpu")) == torch.bfloat16:
        rows["PyTorch, folded, bfloat16"] = folded(network, "bfloat16")
    plain = args.output / "float32.onnx"
    write_onnx(folded(network).fixed(), windows[0][None], plain)
    rows["ONNX Runtime, float32"] = session(plain, args.threads)
    path = quantised(plain, args.output / "int8.onnx", windows)
    rows["ONNX Runtime, int8"] = session(path, args.threads)
    return rows


def examples(args: argparse.Namespace, card: Mapping[str, Any]) -> tuple[list[Tensor], HeldOut | None, list[dict[str, Any]]]:
    """Windows that show the ranges, and with data what measures the test cases; without data the windows are noise."""
    patch = card["training"]["patch_size"]
    if not args.data:
        torch.manual_seed(0)
        return [torch.rand(len(card["channels"]), *patch) * 2 - 1 for _ in range(4)], None, []
    prepared = read_prepared(Path(args.data))
    parts = held_out_parts(CONFIG, model_file(args.model), prepared.dataset, "cpu")
    seen = prepared.training[:: max(1, len(prepared.training) // args.windows)][: args.windows]
    images = (torch.as_tensor(parts.prepare(dict(case))["image"]) for case in seen)
    windows = [cut_window(image, window_at(image.shape[1:], patch)).contiguous() for image in images]
    return windows, parts, prepared.testing[:: args.every]


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """A row a segmenter: milliseconds, ratio to the first, and where there is data Dice with its change."""
    network = load_model(args.model).eval()
    windows, parts, cases = examples(args, network.card)
    rows = segmenters(args, network, windows)
    timings = Stopwatch(torch.device("cpu"), args.repetitions, "process").interleaved(
        {name: partial(_without_gradients, run, windows[0][None]) for name, run in rows.items()}
    )
    results, first = [], next(iter(timings.values())).seconds
    plain: dict[str, float] = {}
    for name, timing in timings.items():
        row = {"name": name, "milliseconds": 1000 * timing.seconds, "spread": timing.spread, "ratio": timing.seconds / first}
        if parts is not None:
            scores = dice(parts, cases, rows[name])
            plain = plain or scores
            row |= {"dice": float(np.nanmean(list(scores.values()))), "cases": len(scores)}
            row["change"] = float(np.nanmean([scores[case] - plain[case] for case in scores]))
        results.append(row)
    about = {"device": processor(), "threads": args.threads, "torch": torch.__version__, "patch": list(windows[0].shape[1:])}
    return {"machine": about, "model": args.model, "rows": results}


@torch.no_grad()
def _without_gradients(run: Segmenter, window: Tensor) -> Tensor:
    return run(window)


def text(report: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    lines += ["", "| segmenter | ms a window | ratio | Dice | change |", "| --- | --- | --- | --- | --- |"]
    for row in report["rows"]:
        score = f"{row['dice']:.4f} | {row['change']:+.4f}" if "dice" in row else " | "
        lines.append(f"| {row['name']} | {row['milliseconds']:.1f} | {row['ratio']:.2f} | {score} |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model file, or the name of a model of the package")
    parser.add_argument("--data", help="prepared data set with test cases, for the ranges and for Dice")
    parser.add_argument("--output", type=Path, required=True, help="folder for the ONNX files")
    parser.add_argument("--windows", type=int, default=32, help="training images that show the ranges")
    parser.add_argument("--every", type=int, default=1, help="of the test cases, each that many")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write everything measured here")
    add_isa(parser)
    args = parser.parse_args(words)
    if words is None:
        restart_with({**isa_environment(args.isa), **allocator_environment()})
    torch.set_num_threads(args.threads)

    def work() -> None:
        report = measure(args)
        print(text(report))
        if args.json:
            args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    return ended(work)


if __name__ == "__main__":
    sys.exit(main())
