"""Partly annotated labels on their way to the loss and to the Dice of a validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.metrics import DiceMetric
from monai.transforms import FgBgToIndicesd, SpatialPadd
from PIL import Image
from torch import Tensor

from data_prep.ignoring import IGNORED
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch
from monai_hybrid.errors import DataError
from monai_hybrid.transforms import AnnotatedIndicesd, DiscreteAnnotatedd, LoadClassesd, PadLabeld

K = 3


def label_of(annotated: slice | None, shape: tuple[int, ...] = (6, 5, 4)) -> Tensor:
    """(1, ...) float32 class index; annotated in some slices of the first axis, None: in all."""
    label = torch.randint(K, (1, *shape), generator=torch.Generator().manual_seed(0)).float()
    if annotated is not None:
        ignored = torch.ones(shape[0], dtype=torch.bool)
        ignored[annotated] = False
        label[:, ignored] = IGNORED
    return label


@pytest.mark.parametrize("shape", [(6, 5, 4), (7, 9)])
def test_patches_are_centred_at_annotated_voxels(shape: tuple[int, ...]) -> None:
    label = label_of(slice(1, 3), shape)
    found = AnnotatedIndicesd("label")({"label": MetaTensor(label), "has_label": 1})
    flat = label.flatten()
    for name, expected in (("fg", flat > 0), ("bg", flat == 0)):
        places = found[f"label_{name}_indices"]
        assert places.tolist() == expected.nonzero().flatten().tolist() and type(places) is Tensor
    assert found["has_label"] == 1


def test_labels_that_are_annotated_everywhere_are_listed_as_monai_does() -> None:
    data = {"label": label_of(None), "has_label": 1}
    ours, theirs = AnnotatedIndicesd("label")(data), FgBgToIndicesd("label")(data)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(torch.as_tensor(ours[key]), torch.as_tensor(theirs[key])) for key in theirs)


def test_a_label_that_resampling_left_empty_is_no_label() -> None:
    found = AnnotatedIndicesd("label")({"label": torch.full((1, 4, 4), float(IGNORED)), "has_label": 1})
    assert found["has_label"] == 0 and len(found["label_bg_indices"]) == 16 and int(found["label"].min()) == 0


def test_a_case_says_which_value_nobody_annotated(tmp_path: Path) -> None:
    values = np.array([[0, 7, 255], [3, 255, 0]], np.uint8)
    Image.fromarray(values).save(tmp_path / "label.png")
    load = LoadClassesd("label", [0, 3, 7], spatial_dims=2)
    found = load({"label": tmp_path / "label.png", "ignore_value": 255})["label"]
    expected = np.array([[0, 2, IGNORED], [1, IGNORED, 0]])
    np.testing.assert_array_equal(np.asarray(found)[0].T, expected)
    with pytest.raises(DataError, match="2 pixels hold values that are not classes, the first is 255"):
        load({"label": tmp_path / "label.png"})


@pytest.mark.parametrize("size", [(7, 9), (6, 5, 4)])
def test_padding_goes_by_the_cases_own_ignore_value(size: tuple[int, ...]) -> None:
    label, wanted = torch.ones((1, *size)), tuple(axis + 3 for axis in size)
    pad = PadLabeld("label", wanted)
    for case, beyond in (({}, 0), ({"ignore_value": None}, 0), ({"ignore_value": 255}, IGNORED)):
        theirs = SpatialPadd("label", wanted, mode="constant", value=beyond)({"label": label})["label"]
        assert torch.equal(torch.as_tensor(pad({"label": label, **case})["label"]), torch.as_tensor(theirs))
        assert int((theirs == beyond).sum()) == theirs.numel() - label.numel()


def test_a_validation_knows_the_annotated_voxels_alone() -> None:
    label = label_of(slice(0, 3))
    logits = torch.randn(K, 6, 5, 4, generator=torch.Generator().manual_seed(1))
    step = DiscreteAnnotatedd(["pred", "label"], argmax=[True, False], to_onehot=K)

    def dice(pred: Tensor, label: Tensor) -> Tensor:
        done = step({"pred": pred, "label": label})
        metric = DiceMetric(include_background=False, reduction="none", ignore_empty=False)
        return metric(done["pred"][None], done["label"][None])

    torch.testing.assert_close(dice(logits, label), dice(logits[:, :3], label[:, :3]))
    assert torch.equal(dice(logits, label_of(None)), dice(logits.clone(), label_of(None)))


def batch_of(label: Tensor) -> dict[str, Any]:
    image = torch.rand(len(label), 1, *label.shape[2:], generator=torch.Generator().manual_seed(0))
    return {"image": image, "label": label, "has_label": torch.ones(len(label))}


def test_a_patch_without_an_annotated_voxel_trains_as_unlabelled() -> None:
    label = torch.stack([label_of(slice(0, 2)), label_of(slice(0, 0)), label_of(slice(3, 6)), label_of(slice(0, 1))])
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(10))(batch_of(label))
    assert target.has_label.tolist() == [True, False, True, True]
    assert target.timesteps[1] > 0 and target.annotated is not None
    assert torch.equal(target.annotated, label != IGNORED) and int(target.label.min()) == 0
    assert torch.equal(target.label[target.annotated], label[target.annotated].long())


def test_a_batch_that_is_annotated_everywhere_carries_no_mask_of_it() -> None:
    label = torch.stack([label_of(None)] * 2)
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(10), "supervised")(batch_of(label))
    assert target.annotated is None and torch.equal(target.label, label.long())
    sparse = torch.stack([label_of(slice(0, 3))] * 2)
    _, target, _, _ = HybridPrepareBatch(NoiseSchedule(10), "two_pass")(batch_of(sparse))
    assert target.annotated is not None and target.annotated.shape[0] == 4
