"""Classes are matched by name, never by position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monai_hybrid.bundle import values_by_name
from monai_hybrid.errors import DataError, ModelFileError


def labels(**values: int) -> dict[str, Any]:
    return {"labels": [{"name": name, "value": value, "index": i} for i, (name, value) in enumerate(values.items())]}


CARD = labels(background=0, LV=1, RV=2)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (labels(background=0, LV=1, RV=2), [0, 1, 2]),
        (labels(background=0, RV=1, LV=2), [0, 2, 1]),
        (labels(background=0, RV=85, LV=170), [0, 170, 85]),
    ],
)
def test_the_order_may_differ(dataset: dict[str, Any], expected: list[int]) -> None:
    assert values_by_name(CARD, dataset, "model.pt") == expected


@pytest.mark.parametrize(
    "dataset", [labels(background=0, LV=1), labels(background=0, LV=1, RV=2, MYO=3), labels(background=0, LV=1, rv=2)]
)
def test_other_names_are_refused(dataset: dict[str, Any], tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    with pytest.raises(ModelFileError, match=r"model.pt: no such model file"):
        values_by_name(CARD, dataset, str(model))
    model.touch()
    given = ", ".join(label["name"] for label in dataset["labels"])
    with pytest.raises(DataError, match=f"labels are {given}; .*model.pt was trained on background, LV, RV. Use"):
        values_by_name(CARD, dataset, str(model))


@pytest.mark.parametrize("value", [1, 255])
@pytest.mark.parametrize(("trained", "given"), [("label_1", "label_255"), ("vessel", "label_255"), ("label_1", "vessel")])
def test_the_only_class_is_the_only_class(trained: str, given: str, value: int) -> None:
    assert values_by_name(labels(background=0, **{trained: 1}), labels(background=0, **{given: value}), "m.pt") == [0, value]


def test_two_given_names_are_two_structures(tmp_path: Path) -> None:
    model = tmp_path / "model.pt"
    model.touch()
    with pytest.raises(DataError, match=r"labels are background, tumour; .*was trained on background, vessel"):
        values_by_name(labels(background=0, vessel=1), labels(background=0, tumour=1), str(model))
    with pytest.raises(DataError, match=r"labels are background, label_1, label_2"):
        values_by_name(labels(background=0, label_3=3), labels(background=0, label_1=1, label_2=2), str(model))


@pytest.mark.parametrize(
    ("trained", "given", "told"),
    [("vessel", "label_255", True), ("label_1", "vessel", True), ("label_1", "label_255", False), ("vessel", "vessel", False)],
)
def test_names_that_differ_are_told_in_one_line(trained: str, given: str, told: bool, caplog: pytest.LogCaptureFixture) -> None:
    values_by_name(labels(background=0, **{trained: 1}), labels(background=0, **{given: 1}), "m.pt")
    line = f"labels: {given} of the data set is taken for {trained} of the model, because each is the only class."
    assert [line in message for message in caplog.messages] == [True] * told


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"spatial_dims": 2}, "images are 2D; m.pt was trained on 3D images. Use a 2D model"),
        (
            {"channels": ["T1"]},
            r"images have 1 channel \(T1\); m.pt was trained on 2 channels \(T1, T2\). Use a model of these",
        ),
        ({"channels": ["FLAIR", "T1"]}, None),
        ({"channels": ["red", "green", "blue"], "colour": ["red", "green", "blue"]}, None),
        ({}, None),
    ],
    ids=["flat", "one of two", "other names", "colours", "alike"],
)
def test_images_that_the_network_cannot_take_are_refused(more: dict[str, Any], said: str | None) -> None:
    card = {**labels(background=0, LV=1), "spatial_dims": 3, "channels": ["T1", "T2"]}
    dataset = {**labels(background=0, LV=7), "spatial_dims": 3, "channels": ["T1", "T2"], **more}
    if said is None:
        assert values_by_name(card, dataset, "m.pt") == [0, 7]
        return
    with pytest.raises(DataError, match=said):
        values_by_name(card, dataset, "m.pt")
