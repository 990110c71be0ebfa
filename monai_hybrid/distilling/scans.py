"""Scans without labels that a student learns from: the target's own, a folder of them, and images that the teacher draws."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from data_prep.reading import NIFTI, extension, stem
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.bundle.model import network_of
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.distilling.teacher import card_of, named_teacher
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.unlabelled import files_of, scans_of_target
from monai_hybrid.losses.objectives import denoises
from monai_hybrid.processes import wait_for_all
from monai_hybrid.runs.ask_first import ask_before_drawing
from monai_hybrid.runs.checkpoint import checkpoints

STEPS, BATCH = 20, 4  # of the sampler; fewer steps where the schedule has no more
logger = logging.getLogger("monai_hybrid.distilling")


def scans_beside(
    data: PreparedData, labelled: Sequence[dict[str, Any]], folder: str | None, output_dir: str
) -> list[dict[str, Any]]:
    """The target's training images and those of `folder` that are not among `labelled`, as cases without "label".

    Raises:
        DataError: as `few_shot.unlabelled_cases`.
    """
    taken = {files_of(case) for case in labelled}
    cases = [case for case in scans_of_target(data, folder, output_dir) if files_of(case) not in taken]
    if cases:
        logger.info("%d images without labels", len(cases))
    return cases


def sampled_cases(
    teacher: str,
    number: int,
    output_dir: str,
    device: str | torch.device = "cpu",
    seed: int = 0,
    rank: int = 0,
    others: Sequence[Mapping[str, Any]] | None = None,
    plan: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Images that the teacher draws itself, as cases without "label"; those that an earlier start drew are taken again.

    Args:
        teacher: model file of a hybrid pretraining.
        number: of images; 0 for none.
        output_dir: they are written below `data/sampled/`.
        device, seed: of the sampler.
        rank: only rank 0 draws; the others wait for it.
        others, plan: the other cases of the training, and its plan: a run that goes on is held to its checkpoint by them
            before it draws. None: it is not.

    Raises:
        ConfigError: the teacher has no trained denoiser.
        ConfigError, DataError: a run that goes on is another than that of its checkpoint.
    """
    if not number:
        return []
    card, folder = card_of(teacher), Path(output_dir) / "data/sampled"
    check_denoises(teacher, card, f"--sampled_pairs {number}")
    goes_on = bool(checkpoints(Path(output_dir) / "checkpoints"))  # with these images, which its checkpoint is held to
    drawn = _drawn(folder, number, seed, None if goes_on else teacher)
    if goes_on and not drawn and others is not None and plan is not None:
        ask_before_drawing(output_dir, others, plan, teacher, [_case_id(i) for i in range(number)])
    if rank == 0 and not drawn:
        training = card["training"]
        schedule = NoiseSchedule(training["num_timesteps"], training["noise_schedule"])
        sampler = PairSampler(network_of(card).to(device), teacher, card, schedule, str(folder), to_train=True)
        sampler.run(number, min(STEPS, schedule.num_timesteps), "ode", seed, BATCH)
    wait_for_all()
    return [_case(folder, i, card) for i in range(number)]


def check_denoises(teacher: str, card: dict[str, Any], asked: str) -> None:
    """Refuse a model whose image channels were not trained.

    Raises:
        ConfigError: with another way.
    """
    if not denoises(card):
        raise ConfigError(
            f"{asked}: {teacher} was not trained to denoise, so it draws no images. Draw them from the model before it: "
            "monai-hybrid sample --model SOURCE --output pairs, and give --unlabelled-dir pairs"
        )


def _drawn(folder: Path, number: int, seed: int, teacher: str | None) -> bool:
    """Whether an earlier start drew as many with the same seed and, unless None, in the same way with the same teacher."""
    try:
        about = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
        same = teacher is None or (bool(about.get("to_train")) and about.get("sha256") == named_teacher(teacher)["sha256"])
        return len(about["agreement"]) == number and about["seed"] == seed and same
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _case_id(number: int) -> str:
    return f"sampled_{number:03d}"


def _case(folder: Path, number: int, card: dict[str, Any]) -> dict[str, Any]:
    """The files of one drawn image, in the order of the channels; pictures are those of an earlier version."""
    name, case_id = f"sample_{number:03d}_image", _case_id(number)
    found = sorted(path for path in folder.glob(f"{name}*") if extension(path))
    found = [path for path in found if extension(path) in NIFTI] or found
    if len(found) > 1:  # a file a channel
        by_name = {stem(path).removeprefix(f"{name}_"): path for path in found}
        found = [by_name[channel] for channel in card["channels"]]
    files = [str(path) for path in found]
    return {"image": files if len(files) > 1 else files[0], "case_id": case_id, "patient": case_id, "site": "sampled"}
