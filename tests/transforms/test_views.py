"""Two views of a patch: one place and shape, other grey values for the student, nothing more for cases with a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose, RandAdjustContrastd, RandFlipd, SelectItemsd

from monai_hybrid.transforms import StrongForStudentd, two_views

KEYS = ["image", "label", "has_label", "case_id"]


def sample(has_label: int, shape: tuple[int, ...] = (2, 16, 16)) -> dict[str, Any]:
    image = torch.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    return {"image": image, "label": torch.zeros(1, *shape[1:]), "has_label": has_label, "case_id": "a", "more": 1}


def steps() -> list[Any]:
    flip, gamma = RandFlipd(["image", "label"], prob=1.0, spatial_axis=0), RandAdjustContrastd("image", prob=1.0, gamma=(3, 4))
    return [flip, gamma, SelectItemsd(KEYS)]


@pytest.mark.parametrize("has_label", [0, 1])
def test_the_teacher_sees_the_same_place_in_the_grey_values_of_the_scan(has_label: int) -> None:
    given = sample(has_label)
    before = given["image"].clone()
    seen = Compose(two_views(steps(), [16, 16], self_training=True)).set_random_state(0)(given)
    assert set(seen) == {*KEYS, "teacher"}
    assert torch.equal(torch.as_tensor(seen["teacher"]), before.flip(1)) and torch.equal(given["image"], before)
    assert not torch.equal(torch.as_tensor(seen["image"]), before.flip(1))


def test_without_self_training_the_steps_are_those_of_the_configuration() -> None:
    own = steps()
    assert two_views(own, [16, 16]) == own
    assert set(Compose(two_views(own, [16, 16]))(sample(0))) == set(KEYS)


def test_without_augmentation_the_student_alone_is_changed() -> None:
    changed = 0
    for seed in range(8):
        seen = Compose(two_views([SelectItemsd(KEYS)], [16, 16], True)).set_random_state(seed)(sample(0))
        assert torch.equal(seen["teacher"], sample(0)["image"])
        changed += not torch.equal(torch.as_tensor(seen["image"]), seen["teacher"])
    assert changed >= 4


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (1, 8, 8, 8)])
def test_strong_changes_keep_shape_range_and_what_is_cached_and_can_be_replayed(shape: tuple[int, ...]) -> None:
    strong = StrongForStudentd("image", shape[1:])
    for seed in range(6):
        given = sample(0, shape)
        before = given["image"].clone()
        first = torch.as_tensor(strong.set_random_state(seed)(given)["image"])
        assert torch.equal(first, torch.as_tensor(strong.set_random_state(seed)(given)["image"]))
        assert torch.equal(given["image"], before) and first.shape == before.shape and first.dtype == before.dtype
        assert float(first.min()) >= -1 and float(first.max()) <= 1


def test_a_case_with_a_label_is_left_alone() -> None:
    given = sample(1)
    assert all(StrongForStudentd("image", [16, 16]).set_random_state(s)(given)["image"] is given["image"] for s in range(4))
