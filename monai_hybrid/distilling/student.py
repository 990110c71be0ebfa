"""The student: the network of the house with a few channels, most of it at half resolution, with the plan of its teacher."""

from __future__ import annotations

import math
from typing import Any

from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.distilling.teacher import card_of, check_fits
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.starting_point import StartingPoint
from monai_hybrid.networks.subpixel import FACTOR

GROUPS = 8
STEMS = {"half": "space_to_depth", "refined": "space_to_depth", "full": "plain"}  # grid that the student works on -> stem
REFINEMENT = 8  # features of the thin layer that a refined student has on the full grid
FEWEST_LEVELS = 3  # with two, the attention of the middle block sees too many positions


def student_of(teacher: str | None, data: PreparedData, width: int, grid: str = "refined") -> StartingPoint:
    """What a student starts from: the teacher's file and plan, and a network of its own.

    Args:
        teacher: a model file, the folder of a run, or the name of a model of the package.
        data: the prepared data set; its channels and labels must be the teacher's.
        width: channels of the student's first level, a multiple of 8.
        grid: "half", "refined" or "full": see `student_network`.

    Raises:
        ConfigError: no teacher, a width that does not fit, or a teacher of other labels or channels.
        ModelFileError: no such file, no card, or one that says too little.
    """
    if not teacher:
        raise ConfigError(
            "distil: no model was given. Give --teacher runs/adapted/models/model.safetensors, the model whose masks are learnt"
        )
    if width % GROUPS:
        raise ConfigError(f"--student_width: got {width}, expected a multiple of {GROUPS}, such as --student_width 16")
    path = model_file(teacher)
    card = card_of(path)
    check_fits(path, card, data)
    network = student_network(card["network"], width, grid)
    divisor = FACTOR ** (len(network["channels"]) - (network["stem"] == STEMS["full"]))
    patch = [-(-edge // divisor) * divisor for edge in card["training"]["patch_size"]]
    plan = {**card["plan"], "patch_size": patch, "spacing": card["training"]["spacing"], "network": dict(network)}
    shape = {
        "spatial_dims": card["spatial_dims"],
        "in_channels": len(data.dataset["channels"]),
        "num_classes": data.num_classes,
    }
    return StartingPoint(path, {**network, **shape}, plan)


def student_network(teacher: dict[str, Any], width: int, grid: str = "refined") -> dict[str, Any]:
    """The student beside a network: as many halvings, the first by space to depth, `width` channels and then twice as many.

    Args:
        teacher: arguments of its `HybridDiffusionUNet`, as on a card.
        width: channels of the first level.
        grid: "half", that of the first level; "refined", the same with a thin layer on the full grid after it; or "full",
            where the first level works on each voxel, for several times the products.
    """
    halvings = len(teacher["channels"]) - 1 + (teacher.get("stem", "plain") != "plain")
    levels = max(FEWEST_LEVELS, halvings + (grid == "full"))
    return {
        "channels": [width] + [2 * width] * (levels - 1),
        "num_res_blocks": [1] * levels,
        "attention_levels": [False] * levels,
        "norm_num_groups": GROUPS,
        "num_head_channels": math.gcd(16, 2 * width),
        "stem": STEMS[grid],
        "refinement": REFINEMENT if grid == "refined" else 0,
    }
