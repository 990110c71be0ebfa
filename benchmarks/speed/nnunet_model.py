"""A trained nnU-Net as its own training leaves it, but with random weights: plans, description of the data set, checkpoint.

PYTHON -m benchmarks.speed.nnunet_model FOLDER DIMENSIONS PATCH SPACING FEATURES...

PYTHON is one that has nnunetv2; nothing of ours is imported. `nnUNetv2_predict_from_modelfolder -m FOLDER -f all` reads it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESAMPLING = "resample_data_or_seg_to_shape"


def plan(dims: int, patch: int, spacing: float, features: list[int]) -> dict[str, Any]:
    """A plan in the form of nnU-Net's planner, its defaults for resampling and normalisation among it."""
    levels = len(features)
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": levels, "features_per_stage": features, "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": [[3] * dims] * levels, "strides": [[1] * dims, *[[2] * dims] * (levels - 1)],
            "n_conv_per_stage": [2] * levels, "n_conv_per_stage_decoder": [2] * (levels - 1), "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }  # fmt: skip
    data = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "made", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": [patch] * dims,
        "median_image_size_in_voxels": [patch] * dims, "spacing": [spacing] * dims, "batch_dice": False,
        "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False], "architecture": architecture,
        "resampling_fn_data": RESAMPLING, "resampling_fn_data_kwargs": data,
        "resampling_fn_seg": RESAMPLING, "resampling_fn_seg_kwargs": {**data, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": RESAMPLING, "resampling_fn_probabilities_kwargs": {**data, "order": 1},
    }  # fmt: skip
    reader = "SimpleITKIO" if dims == 3 else "NaturalImage2DIO"
    statistics = dict.fromkeys(("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0)
    return {
        "dataset_name": "Dataset001_Made", "plans_name": "nnUNetPlans", "image_reader_writer": reader,
        "original_median_spacing_after_transp": [spacing] * 3, "original_median_shape_after_transp": [patch] * 3,
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager", "foreground_intensity_properties_per_channel": {"0": statistics},
        "configurations": {"2d" if dims == 2 else "3d_fullres": configuration},
    }  # fmt: skip


def write(folder: Path, dims: int, patch: int, spacing: float, features: list[int]) -> None:
    """The folder of a training that has ended."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans, ending = plan(dims, patch, spacing, features), ".nii.gz" if dims == 3 else ".png"
    described = {
        "channel_names": {"0": "image"}, "labels": {"background": 0, "inner": 1, "outer": 2}, "numTraining": 1,
        "file_ending": ending,
    }  # fmt: skip
    manager = PlansManager(plans)
    configuration = manager.get_configuration(next(iter(plans["configurations"])))
    torch.manual_seed(0)
    network = nnUNetTrainer.build_network_architecture(manager, configuration, 1, 3, enable_deep_supervision=False)
    checkpoint = {
        "network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": None,
        "init_args": {"configuration": next(iter(plans["configurations"]))},
    }  # fmt: skip
    (folder / "fold_all").mkdir(parents=True)
    torch.save(checkpoint, folder / "fold_all/checkpoint_final.pth")
    for name, content in (("plans", plans), ("dataset", described)):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), [int(word) for word in sys.argv[5:]])
