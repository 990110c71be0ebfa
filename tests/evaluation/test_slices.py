"""One slice a case: orientation, place, spacing and file names that a report can rely on."""

from __future__ import annotations

import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from PIL import Image

from monai_hybrid.evaluation import SliceSaver
from monai_hybrid.evaluation.case_table import write_cases
from monai_hybrid.evaluation.slices import case_slice, file_name

# (X, Y, Z) in RAS: patient's right, anterior and superior are at the high ends.
SHAPE = (8, 10, 6)


def volumes(spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), codes: str = "RAS") -> tuple[MetaTensor, ...]:
    """Image, label and prediction with the structure in the right anterior upper corner, stored along `codes`."""
    image, label = np.zeros(SHAPE), np.zeros(SHAPE)
    image[6:, 8:, 4:], label[6:, 8:, 4:] = 100, 2
    label[0, 0, 1] = 1  # a speck elsewhere must not decide the slice
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
    affine = np.diag([*spacing, 1]) @ nib.orientations.inv_ornt_aff(turn, SHAPE)
    turned = [np.ascontiguousarray(nib.apply_orientation(x, turn)) for x in (image, label, label == 2)]
    return tuple(MetaTensor(torch.tensor(x)[None], affine=torch.tensor(affine)) for x in turned)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PSR", "ILA"])
def test_an_axial_slice_has_anterior_up_and_the_right_on_the_viewers_left(codes: str) -> None:
    found = case_slice(*volumes((1, 1.25, 1.5), codes), in_mm=True)
    assert {name: (a.dtype, a.shape) for name, a in found.items()} == {
        "image": (np.uint8, (10, 8)), "reference": (np.uint8, (10, 8)), "prediction": (np.uint8, (10, 8)),
        "spacing": (np.float32, (2,)), "unit": (np.dtype("<U2"), ()), "edges": (np.dtype("<U1"), ()),
    }  # fmt: skip
    corner = np.zeros((10, 8))
    corner[:2, :2] = 1
    np.testing.assert_array_equal(found["image"], 255 * corner)
    np.testing.assert_array_equal(found["reference"], 2 * corner)
    np.testing.assert_array_equal(found["prediction"], corner)
    np.testing.assert_allclose(found["spacing"], [1.25, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("spacing", "shape", "rows_columns"),
    [((3, 1, 1.2), (6, 10), (1.2, 1)), ((1, 4, 1.2), (6, 8), (1.2, 1)), ((1, 1.4, 1), (10, 8), (1.4, 1))],
    ids=["sagittal", "coronal", "axial, not thick enough"],
)
def test_thick_slices_are_shown_in_their_own_plane(spacing: tuple, shape: tuple, rows_columns: tuple) -> None:
    for codes in ("RAS", "PIL"):
        found = case_slice(*volumes(spacing, codes), in_mm=True, oriented=True)
        assert found["image"].shape == shape
        assert str(found["edges"]) == ("APSI" if spacing[0] == 3 else "RLSI" if spacing[1] == 4 else "RLAP")
        np.testing.assert_allclose(found["spacing"], rows_columns, rtol=1e-6)
        # superior (or anterior) is up; the right (coronal, axial) or anterior (sagittal) on the left
        assert found["reference"][:2, :2].tolist() == [[2, 2], [2, 2]] and (found["reference"] == 2).sum() == 4


def test_without_reference_the_prediction_and_then_the_middle_decides() -> None:
    image, label, pred = volumes()
    assert case_slice(image, label * 0, pred, in_mm=True)["prediction"].sum() == 4
    ramp = MetaTensor(torch.arange(6.0).expand(1, *SHAPE).clone(), affine=label.affine)
    assert set(np.unique(case_slice(ramp, label * 0, pred * 0, in_mm=True)["image"])) == {round(255 * 3 / 5)}


def test_a_picture_stays_as_in_the_file_and_states_no_mm() -> None:
    label = torch.zeros(1, 5, 3)
    label[0, 4, 0] = 1
    found = case_slice(torch.rand(1, 5, 3), label, label, in_mm=False)
    assert found["reference"].tolist() == [[0, 0, 0, 0, 1], [0] * 5, [0] * 5]
    assert found["spacing"].tolist() == [1, 1] and str(found["unit"]) == "pixels"
    constant = case_slice(torch.ones(1, 5, 3), label, label, in_mm=False)
    assert constant["image"].max() == 0


def test_colours_of_eight_bits_are_shown_as_they_are_and_others_are_stretched() -> None:
    mask, colours = torch.zeros(1, 5, 3), torch.randint(40, 90, (3, 5, 3)).float()
    shown = case_slice(colours, mask, mask, in_mm=False, coloured=True)["image"]
    np.testing.assert_array_equal(shown, colours.numpy().transpose(2, 1, 0))
    stretched = case_slice(colours * 257, mask, mask, in_mm=False, coloured=True)["image"]
    assert stretched.min() == 0 and stretched.max() == 255


def test_names_are_safe_and_stay_apart() -> None:
    assert file_name("IXI012-HH-1211_L") == "IXI012-HH-1211_L.npz"
    odd = [file_name(name) for name in ("a b", "a:b", "..", "ä")]
    assert len(set(odd)) == 4 and all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-.") for name in odd)
    assert odd[0].startswith("a_b-") and not odd[2].startswith(".")


def run(saver: SliceSaver, folder: Path, ids: list[str]) -> None:
    """As MONAI's evaluator: batches of one decollated item; the image is a file, and what the network saw is smaller."""
    grey, label = np.arange(12, dtype=np.uint8).reshape(3, 4), torch.ones(1, 4, 3)
    Image.fromarray(grey).save(folder / "image.png")
    seen = MetaTensor(torch.zeros(1, 2, 2), meta={"filename_or_obj": str(folder / "image.png")})
    engine = Engine(lambda engine, batch: [{"pred": label, "label": label} for _ in batch])
    saver.attach(engine)
    engine.run([[{"case_id": name, "image": seen}] for name in ids])


def test_the_image_comes_from_its_file_and_old_slices_go(tmp_path: Path) -> None:
    saver = SliceSaver(str(tmp_path / "eval"), 2, "pixels", limit=2)
    run(saver, tmp_path, ["old"])
    run(saver, tmp_path, ["a", "b c", "beyond the limit"])
    names = sorted(path.name for path in (tmp_path / "eval/slices").iterdir())
    assert names == sorted(["a.npz", file_name("b c")])
    with np.load(tmp_path / "eval/slices/a.npz") as found:
        assert sorted(found) == ["edges", "image", "prediction", "reference", "spacing", "unit"]
        assert found["image"].shape == (3, 4) and (np.diff(found["image"].astype(int).ravel()) >= 0).all()
        assert found["image"].min() == 0 and found["image"].max() == 255


def test_the_best_median_and_worst_case_are_kept_wherever_they_stand(tmp_path: Path) -> None:
    """Of hundreds of slices the report shows three; they need not be among the first."""
    ids = [f"case{number}" for number in range(9)]
    dice = dict(zip(ids, (0.5, 0.4, 0.6, 0.7, 0.3, 0.9, 0.2, 0.1, 0.8), strict=True))
    (tmp_path / "eval").mkdir()
    about = {"patient": "p", "class": "LV", "nsd": 1.0, "hd95": 0.0, "label_voxels": 1, "pred_voxels": 1, "status": "ok"}
    write_cases([{"case_id": name, "dice": dice[name], **about} for name in ids], tmp_path / "eval/cases.csv")
    run(SliceSaver(str(tmp_path / "eval"), 2, "pixels", limit=2), tmp_path, ids)
    assert sorted(path.stem for path in (tmp_path / "eval/slices").iterdir()) == ["case0", "case1", "case5", "case7"]


def test_more_classes_than_a_byte_holds_are_said_not_saved(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="monai_hybrid.evaluation"):
        run(SliceSaver(str(tmp_path / "eval"), 257, "pixels"), tmp_path, ["a"])
    assert not (tmp_path / "eval").exists() and "no slices: class indices above 255" in caplog.text
    run(SliceSaver(str(tmp_path / "eval"), 256, "pixels"), tmp_path, ["a"])
    assert (tmp_path / "eval/slices/a.npz").is_file()
