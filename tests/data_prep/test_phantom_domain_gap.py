"""Proof that the phantom poses the problem it is for: either site can be learnt, but A does not carry over to B."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    Orientationd,
    RandFlipd,
    RandSpatialCropd,
    ScaleIntensityRangePercentilesd,
    Spacingd,
    SpatialPadd,
)

from data_prep.phantom import generate

Case = dict[str, torch.Tensor]
KEYS = ("image", "label")
PATCH = (32, 32, 32)
UPDATES = 320
BATCH = 8

prepare = Compose(
    [
        LoadImaged(KEYS, image_only=True),
        EnsureChannelFirstd(KEYS),
        Orientationd(KEYS, axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
        Spacingd(KEYS, pixdim=(2.0, 2.0, 2.0), mode=("bilinear", "nearest")),
        ScaleIntensityRangePercentilesd("image", 0.5, 99.5, -1.0, 1.0, clip=True),
        SpatialPadd(KEYS, PATCH),
    ]
)


def load(folder: Path, site: str, seed: int, cases: int) -> list[Case]:
    root = generate(folder / f"{site}_{seed}", cases=cases, site=site, seed=seed)
    names = sorted(path.name for path in (root / "images").iterdir())
    return [prepare({"image": root / "images" / name, "label": root / "labels" / name}) for name in names]


def train(cases: list[Case]) -> UNet:
    torch.manual_seed(0)
    chance = np.random.default_rng(0)
    crop = Compose([RandSpatialCropd(KEYS, PATCH, random_size=False), RandFlipd(KEYS, prob=0.5, spatial_axis=0)])
    crop.set_random_state(0)
    net = UNet(3, 1, 4, channels=(16, 32, 64), strides=(2, 2), num_res_units=1)
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, UPDATES)
    loss_of = DiceCELoss(softmax=True, to_onehot_y=True)
    for _ in range(UPDATES):
        batch = [crop(cases[i]) for i in chance.integers(0, len(cases), BATCH)]
        image, label = (torch.stack([case[key].as_tensor() for case in batch]) for key in KEYS)
        loss = loss_of(net(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


@torch.no_grad()
def mean_dice(net: UNet, cases: list[Case]) -> float:
    """Mean over cases and the three labels."""
    scores = []
    for case in cases:
        logits = sliding_window_inference(case["image"][None].as_tensor(), PATCH, 4, net, overlap=0.5)
        found, truth = logits.argmax(1)[0], case["label"][0].as_tensor()
        for value in (1, 2, 3):
            p, t = found == value, truth == value
            scores.append(float(2 * (p & t).sum() / (p.sum() + t.sum())))
    return float(np.mean(scores))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a network gains little from a second thread, and on busy cores the two wait for each other for minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.timeout(1800)  # about two minutes of one free core, more on a busy machine
def test_each_site_can_be_learnt_but_a_does_not_carry_over_to_b(tmp_path: Path) -> None:
    held_out = {site: load(tmp_path, site, seed=100, cases=12) for site in "AB"}
    from_a, from_b = (train(load(tmp_path, site, seed=0, cases=24)) for site in "AB")
    a_on_a, a_on_b = (mean_dice(from_a, held_out[site]) for site in "AB")
    b_on_b = mean_dice(from_b, held_out["B"])
    print(f"mean foreground Dice: A on A {a_on_a:.3f}, A on B {a_on_b:.3f}, B on B {b_on_b:.3f}")
    assert a_on_a >= 0.80
    assert b_on_b >= 0.75
    assert a_on_a - a_on_b >= 0.15
    assert b_on_b - a_on_b >= 0.15  # what adaptation can win
    assert a_on_b >= 0.2  # and not from nothing
