"""Volumes for the three planes of a report: their axes, their part, their size, and which of them are kept."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from monai_hybrid.evaluation import SliceSaver
from monai_hybrid.evaluation.blocks import averaged, steps, surroundings, thinned
from monai_hybrid.evaluation.case_table import write_cases
from monai_hybrid.evaluation.chosen import best_median_worst, worth_seeing
from monai_hybrid.evaluation.small_volumes import small_volume

SHAPE = (8, 10, 6)


def stored(codes: str) -> tuple[MetaTensor, ...]:
    """Image, label and prediction with a structure in the right anterior upper corner, stored along `codes`; 1 x 1.5 x 2 mm."""
    image, label = np.zeros(SHAPE), np.zeros(SHAPE)
    image[6:, 8:, 4:], label[6:, 8:, 4:] = 100, 2
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
    affine = torch.tensor(np.diag([1, 1.5, 2, 1]) @ nib.orientations.inv_ornt_aff(turn, SHAPE))
    turned = [np.ascontiguousarray(nib.apply_orientation(array, turn)) for array in (image, label, label == 2)]
    return tuple(MetaTensor(torch.tensor(array)[None], affine=affine) for array in turned)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR"])
def test_a_volume_is_turned_to_ras_and_cut_to_the_masks(codes: str) -> None:
    found = small_volume(*stored(codes), in_mm=True, oriented=True)
    assert found["image"].dtype == found["reference"].dtype == found["prediction"].dtype == np.uint8
    assert found["reference"][-2:, -2:, -2:].tolist() == np.full((2, 2, 2), 2).tolist() and found["reference"].sum() == 16
    np.testing.assert_array_equal(found["prediction"], found["reference"] == 2)
    np.testing.assert_allclose(found["spacing"], [1, 1.5, 2])
    # Half of the longest side, 15 mm, stays: 8 of 8, 5 of 10, 4 of 6 voxels.
    assert found["image"].shape == (8, 5, 4) and bool(found["cut"]) and str(found["unit"]) == "mm"


def test_without_mm_a_voxel_is_the_unit_and_without_masks_all_is_kept() -> None:
    image, label, _ = stored("RAS")
    found = small_volume(image, label * 0, label * 0, in_mm=False, oriented=False)
    assert found["image"].shape == SHAPE and not found["cut"] and not found["oriented"]
    assert found["spacing"].tolist() == [1, 1, 1] and str(found["unit"]) == "voxels"
    assert surroundings(np.zeros(SHAPE, bool), (1, 1, 1)) == (slice(None),) * 3


def test_the_shortest_voxels_grow_first_and_labels_are_not_averaged() -> None:
    assert steps((100, 100, 20), (1, 1, 5), 200_000) == (1, 1, 1)
    assert steps((100, 100, 20), (1, 1, 5), 50_000) == (2, 2, 1)
    mask = np.arange(5)[:, None, None] * np.ones((5, 1, 1), int)
    assert thinned(mask, (2, 1, 1)).ravel().tolist() == [1, 3, 4]
    assert averaged(mask.astype(float), (2, 1, 1)).ravel().tolist() == [0.5, 2.5, 4]


def rows(**dice: float) -> list[dict[str, object]]:
    sizes = {"label_voxels": 5, "nsd": 1.0, "hd95": 0.0, "label_ml": None, "pred_ml": None, "class": "liver"}
    found = {"ok": {"pred_voxels": 5, "status": "ok"}, "missed": {"pred_voxels": 0, "status": "missed"}}
    return [{"case_id": case, "dice": value, **sizes, **found["ok" if value else "missed"]} for case, value in dice.items()]


def test_best_median_worst_and_the_missed_are_worth_seeing() -> None:
    assert worth_seeing(rows(a=0.9, b=0.8, c=0.7, d=0.6, e=0.0, f=0.0)) == {
        "a": ["best"], "d": ["median"], "e": ["worst", "liver missed"], "f": ["liver missed"],
    }  # fmt: skip
    assert best_median_worst({"a": 0.5, "b": 0.7}) == {"b": ["best"], "a": ["worst"]}
    assert len(worth_seeing(rows(**{f"c{n:02}": 0.0 for n in range(50)}))) == 30


def test_the_volumes_kept_are_those_of_the_table(tmp_path: Path) -> None:
    image, label, pred = stored("RAS")
    nib.save(nib.Nifti1Image(image[0].numpy().astype(np.float32), image.affine.numpy()), tmp_path / "image.nii.gz")
    seen = MetaTensor(torch.zeros(1, 2, 2, 2), meta={"filename_or_obj": str(tmp_path / "image.nii.gz")})
    engine = Engine(lambda engine, batch: [{"pred": pred, "label": label} for _ in batch])
    SliceSaver(str(tmp_path / "eval"), 3, "mm", spatial_dims=3).attach(engine)
    (tmp_path / "eval/volumes").mkdir(parents=True)
    (tmp_path / "eval/volumes/notes.npz").write_bytes(b"of the user")
    write_cases(rows(a=0.9, b=0.8, c=0.7, d=0.6), tmp_path / "eval/cases.csv")
    for _ in range(2):
        engine.run([[{"case_id": case, "image": seen}] for case in "abcd"])
        assert sorted(path.name for path in (tmp_path / "eval/volumes").iterdir()) == ["a.npz", "c.npz", "d.npz", "notes.npz"]
    with np.load(tmp_path / "eval/volumes/a.npz") as found:
        assert bool(found["oriented"]) and found["image"].max() == 255 and str(found["unit"]) == "mm"
    with np.load(tmp_path / "eval/slices/a.npz") as found:
        assert str(found["edges"]) == "RLAP"
