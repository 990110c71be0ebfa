"""From a model file to an exported one with its sidecar: checked, compared, and then named."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_prep.atomic import neighbour, remove_leftovers, replace_file
from data_prep.disk import needing
from data_prep.quoting import quoted
from monai_hybrid.api import load_model
from monai_hybrid.errors import ConfigError, EnvironmentFault, ModelFileError
from monai_hybrid.exporting.program import (
    INPUT,
    LARGEST_ONNX,
    ONNX,
    OUTPUT,
    SUFFIXES,
    needed,
    runs,
    write_onnx,
    write_torchscript,
)
from monai_hybrid.exporting.sidecar import describe, sidecar_of
from monai_hybrid.networks import HybridDiffusionUNet, folded
from monai_hybrid.networks.folding import FixedSegmenter
from monai_hybrid.setting_checks import model_in
from monai_hybrid.shape_models import warning
from monai_hybrid.weights import tensor_bytes

logger = logging.getLogger("monai_hybrid.exporting")
LARGEST_DIFFERENCE = 1e-3  # of the largest logit; what was seen is below 1e-5


def export_model(model: Path, output: Path, kind: str | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Write the segmenter of a model, folded at t = 0 in float32, and its sidecar `<output>.json`.

    Args:
        model: model.pt or model.safetensors, or the folder of its run.
        output: file to write; ends with .ts or .onnx.
        kind: "torchscript" or "onnx"; None: by the ending.
        overwrite: replace files that are there.

    Returns:
        The sidecar's content. Nothing is written unless the file gives the model's logits.

    Raises:
        ConfigError: the ending does not fit, or a file is there already.
        ModelFileError: no model, no card, or one that no prediction can use.
        EnvironmentFault: a library for ONNX is missing, or its program differs.
    """
    kind = checked_kind(output, kind)
    for place in (output, sidecar_of(output)):
        _check_free(place, overwrite)
        if place.exists() and (used := model_in(model) or model).exists() and place.samefile(used):
            raise ConfigError(f"--output {place}: it is the model itself, which is kept. Give another name")
    if kind == ONNX:
        for name in ("onnx", "onnxscript", "onnxruntime"):
            needed(name)
    network = load_model(model)
    card: Mapping[str, Any] = network.card
    if said := warning(card, str(model)):
        logger.warning("%s", said)
    # Checked before the work is done: all but the file's own numbers.
    describe(card, model.name, _program(output.name, kind, "0" * 64, _window(network, model), len(card["labels"]), 0.0))
    window = _window(network, model)
    fixed = folded(network).fixed()
    expected = _expected(fixed, window, model)
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output.parent, output.name)
    temporary = neighbour(output)
    try:
        with needing(tensor_bytes(network.state_dict()), output):
            (write_onnx if kind == ONNX else write_torchscript)(fixed, window, temporary)
        difference = _difference(temporary, kind, window, expected)
        content = temporary.read_bytes()
        program = _program(output.name, kind, hashlib.sha256(content).hexdigest(), window, len(card["labels"]), difference)
        told = describe(card, model.name, program)
        replace_file(output, lambda path: path.write_bytes(content))
    finally:
        temporary.unlink(missing_ok=True)
    text = json.dumps(told, indent=1, allow_nan=False) + "\n"
    replace_file(sidecar_of(output), lambda path: path.write_text(text, encoding="utf-8"))
    return told


def checked_kind(output: Path, kind: str | None) -> str:
    """The format that is asked for.

    Raises:
        ConfigError: an unknown one, or another than the file's ending says.
    """
    endings = {suffix: name for name, suffix in SUFFIXES.items()}
    if kind is not None and kind not in SUFFIXES:
        raise ConfigError(f"--format: got {kind!r}, expected {' or '.join(SUFFIXES)}")
    if output.suffix not in endings or (kind is not None and SUFFIXES[kind] != output.suffix):
        wanted = " or ".join(endings) if kind is None else SUFFIXES[kind]
        stem = output.with_suffix(SUFFIXES[kind or ONNX])
        raise ConfigError(f"--output {output}: expected a name that ends with {wanted}. Type: --output {quoted(stem)}")
    return endings[output.suffix]


def _check_free(place: Path, overwrite: bool) -> None:
    if place.is_dir():
        raise ConfigError(f"--output {place}: a folder, expected a file")
    if (place.exists() or place.is_symlink()) and not overwrite:
        raise ConfigError(f"--output: {place} is there already; nothing was written. Give another name, or --overwrite")


def _window(network: HybridDiffusionUNet, model: Path) -> Tensor:
    """(1, C, X, Y[, Z]) noise of the card's window, in [-1, 1].

    Raises:
        ModelFileError: the network cannot take such a window.
    """
    card: Mapping[str, Any] = network.card
    size = card["training"]["patch_size"]
    drawn = torch.rand((1, len(card["channels"]), *size), generator=torch.Generator().manual_seed(0)) * 2 - 1
    try:
        network.check_size(drawn)
    except ValueError as error:
        raise ModelFileError(f"{model}: its card, training.patch_size: {error}") from error
    return drawn


def _expected(fixed: FixedSegmenter, window: Tensor, model: Path) -> Tensor:
    logits: Tensor = fixed(window)
    if not bool(torch.isfinite(logits).all()):
        raise ModelFileError(
            f"{model}: its network gives NaN or Inf; the weights are damaged. Copy the file again from its source"
        )
    return logits


def _difference(path: Path, kind: str, window: Tensor, expected: Tensor) -> float:
    """Largest difference of the written program's logits.

    Raises:
        ModelFileError: an ONNX file that is too large to be read again.
        EnvironmentFault: another shape or other numbers.
    """
    if kind == ONNX and path.stat().st_size > LARGEST_ONNX:
        raise ModelFileError(
            f"the network takes {path.stat().st_size / 1e9:.1f} GB; one ONNX file holds 2 GB. Type: --format torchscript"
        )
    seen = runs(path, kind)(window)
    difference = float((seen - expected).abs().max()) if seen.shape == expected.shape else float("inf")
    if not difference <= LARGEST_DIFFERENCE * max(1.0, float(expected.abs().max())):
        raise EnvironmentFault(
            f"--format {kind}: the written program gives other logits (by {difference:.3g}); nothing was written"
        )
    return difference


def _program(name: str, kind: str, sha256: str, window: Tensor, num_classes: int, difference: float) -> dict[str, Any]:
    shapes = {"input_shape": list(window.shape), "output_shape": [1, num_classes, *window.shape[2:]]}
    told = {"file": name, "format": kind, "sha256": sha256, "input": INPUT, "output": OUTPUT}
    return {**told, **shapes, "largest_difference": difference}
