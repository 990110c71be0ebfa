"""What the random steps of a sample cost: both forms draw the same, and the table says the shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import monai.transforms
import torch

from benchmarks.speed.augmentation import MAPS, REST, _timed, in_turn, text
from monai_hybrid import transforms

TRAIN = Path(__file__).parents[2] / "bundles/few_shot_finetune/configs/train.json"


def plain(step: dict[str, Any]) -> dict[str, Any]:
    """Settings without expressions, so that the step can be made here."""
    return {name: value for name, value in step.items() if name not in ("_target_", "_disabled_")}


def test_the_configured_maps_have_monais_own_beside_them() -> None:
    configured = json.loads(TRAIN.read_text())["train"]["random_transforms"]
    theirs = in_turn(configured)
    names = [step["_target_"].rpartition(".")[2] for step in theirs]
    assert names[:4] == ["RandCropByPosNegLabeld", "RandAffined", "Rand2DElasticd", "Rand3DElasticd"]
    assert len(theirs) == len(configured) - 1 and theirs[4:] == configured[5:]
    ours, own = (next(s for s in steps if s["_target_"].endswith("3DElasticd")) for steps in (configured, theirs))
    one = transforms.Draw3DElasticd(**{**plain(ours), "prob": 1.0})
    other = monai.transforms.Rand3DElasticd(**{**plain(own), "prob": 1.0})
    sample = {"image": torch.rand(1, 12, 10, 8), "label": torch.zeros(1, 12, 10, 8)}
    took = _timed([one], dict(sample), seed=3) | _timed([other], dict(sample), seed=3)
    assert set(took) == {MAPS} and one.rand_3d_elastic.sigma == other.rand_3d_elastic.sigma


def test_the_table_says_the_share_of_the_random_steps() -> None:
    about = {"update": 70.0, "batch_size": 10, "patch_size": [8, 6], "processor": "a processor"}
    told = text([{"name": "joined", MAPS: 1.0, REST: 2.0, **about}, {"name": "in turn", MAPS: 5.0, REST: 2.0, **about}])
    assert told.splitlines()[2:4] == ["| joined | 1.0 | 2.0 | 30% |", "| in turn | 5.0 | 2.0 | 50% |"]
    assert told.endswith("10 samples of 8 x 6; the network takes 70 ms. a processor.")
