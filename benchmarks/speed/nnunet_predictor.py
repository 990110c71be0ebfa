"""nnU-Net's own sliding windows (`nnUNetPredictor`, nnunetv2 2.8), on any network, without mirroring."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed.networks import NotInstalled

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def make_predictor(network: nn.Module, roi: Sequence[int], num_classes: int, device: torch.device) -> Any:
    """A predictor as `nnUNetv2_predict --disable_tta` makes one: steps of half a window, Gaussian weights.

    Raises:
        NotInstalled: nnunetv2 is not there.
    """
    for name in FOLDERS:
        os.environ.setdefault(name, os.devnull)  # else the import warns of each
    try:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.label_handling.label_handling import LabelManager
    except ImportError as error:
        raise NotInstalled("pip install nnunetv2") from error
    with contextlib.redirect_stdout(sys.stderr):  # it says on the CPU that it runs on the CPU
        predictor = nnUNetPredictor(use_mirroring=False, device=device, allow_tqdm=False)
    predictor.network = network
    predictor.configuration_manager = SimpleNamespace(patch_size=tuple(roi))
    labels = {"background": 0, **{f"label_{k}": k for k in range(1, num_classes)}}
    predictor.label_manager = LabelManager(labels, regions_class_order=None)
    return predictor


def nnunet_labels(predictor: Any, x: Tensor) -> Tensor:
    """(1, C, X, Y, Z) image -> (X, Y, Z) uint8 classes, by its own arg max."""
    logits = predictor.predict_sliding_window_return_logits(x[0])
    return torch.as_tensor(predictor.label_manager.convert_logits_to_segmentation(logits.cpu())).to(torch.uint8)
