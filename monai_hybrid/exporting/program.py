"""The folded network as TorchScript or ONNX, and whether what was written gives the same logits."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_prep.this_python import install
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.networks.folding import FixedSegmenter

INPUT, OUTPUT = "image", "logits"
TORCHSCRIPT, ONNX = "torchscript", "onnx"
SUFFIXES = {TORCHSCRIPT: ".ts", ONNX: ".onnx"}
LARGEST_ONNX = 2**31 - 2**26  # bytes: a protobuf file holds 2 GiB, here all weights are in the one file


def write_torchscript(network: FixedSegmenter, window: Tensor, path: Path) -> None:
    """Record `network` on `window` (1, C, X, Y[, Z]) and write it."""
    with _quiet():
        script = torch.jit.trace(network, (window,), check_trace=False)
        with path.open("wb") as handle:
            torch.jit.save(script, handle)


def write_onnx(network: FixedSegmenter, window: Tensor, path: Path) -> None:
    """Record `network` on `window` (1, C, X, Y[, Z]) and write it, for windows of this size.

    Raises:
        EnvironmentFault: onnx or onnxscript is not installed.
    """
    onnx = needed("onnx")
    needed("onnxscript")
    with _quiet():
        names: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT]}
        program = torch.onnx.export(network, (window,), dynamo=True, verbose=False, **names)
    assert program is not None
    content = program.model_proto
    for node in content.graph.node:
        del node.metadata_props[:]  # where in whose source each line stood
        node.ClearField("doc_string")
    onnx.save(content, str(path))


def runs(path: Path, kind: str) -> Callable[[Tensor], Tensor]:
    """The written file as a function of one window, on the CPU.

    Raises:
        EnvironmentFault: onnxruntime is not installed.
    """
    if kind == TORCHSCRIPT:
        with _quiet(), path.open("rb") as handle:
            script = torch.jit.load(handle, map_location="cpu")
        return lambda window: script(window)
    session = needed("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda window: torch.from_numpy(np.asarray(session.run([OUTPUT], {INPUT: window.numpy()})[0]))


def needed(name: str) -> Any:
    """An optional library.

    Raises:
        EnvironmentFault: it is not installed, with what to type.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise EnvironmentFault(
            f"--format onnx: {name} is not installed. Type: {install('export')}, or take --format torchscript"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Upstream's notes on deprecations and libraries that are not there, which nobody can do anything about."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
