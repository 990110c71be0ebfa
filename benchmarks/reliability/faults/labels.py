"""Group D: labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, broken, on_label
from benchmarks.reliability.tiny import NAMES, SHAPE, affine, cube, edit_header, save


def _with(value: float, dtype: str) -> Callable[[Path], object]:
    array = cube().astype(dtype)
    array[0, 0, 1] = value
    return lambda path: save(path, array)


def _soft(path: Path) -> None:
    ramp = np.linspace(0, 1, cube().size, dtype=np.float32).reshape(SHAPE)
    save(path, ramp)


def _sides(left: int, right: int) -> Callable[[Path], object]:
    """Two blocks 15 mm apart along x (to the patient's right), with these values."""
    array = np.zeros((20, 9, 10), np.uint8)
    array[1:4, 2:5, 2:5], array[16:19, 2:5, 2:5] = left, right

    def change(root: Path) -> None:
        for index, name in enumerate(NAMES):
            image = np.random.default_rng(index).integers(0, 99, array.shape).astype(np.int16)
            save(root / "images" / f"{name}.nii.gz", image, affine())
            save(root / "labels" / f"{name}.nii.gz", array, affine())

    return change


def _everywhere(value: int) -> Callable[[Path], object]:
    return lambda root: [save(root / "labels" / f"{name}.nii.gz", cube(value=value)) for name in NAMES]


def _two_large(path: Path) -> None:
    """Two atlas identifiers that differ in less than a float32 can hold."""
    label = cube().astype(np.uint32) * 312782628
    label[6:, 6:, 6:] = 312782632
    save(path, label)


def _slices(annotated: Sequence[int]) -> Callable[[Path], object]:
    """255 but in these slices of the last axis."""
    label = np.full(SHAPE, 255, np.uint8)
    label[..., list(annotated)] = cube()[..., list(annotated)]
    return lambda path: save(path, label)


def _full(path: Path) -> None:
    save(path, cube(value=255))


SPARSE = {"ignore_label": "255"}
ONE = {"label_names": "1=organ"}
TWO = {"label_names": "1=left kidney,2=right kidney"}
PLACE = r"first at voxel \(0, 0, 1\) = \(0\.0, 0\.0, 1\.0\) mm"

FAULTS = [
    Fault("D01", "only background", "D305", on_label(lambda p: save(p, np.zeros(SHAPE, np.uint8))), message="background"),
    Fault("D02", "value 7 not declared", "D304", on_label(_with(7, "u1")), message=f"values 7 .*{PLACE}", options=ONE),
    Fault("D03", "value -1", "D303", on_label(_with(-1, "i2")), message=f"negative values -1 .*{PLACE}"),
    Fault("D04", "value 0.5", "D302", on_label(_with(0.5, "f4")), message=f"0.5.*{PLACE}"),
    Fault("D05", "NaN", "D301", on_label(_with(np.nan, "f4")), message=PLACE),
    Fault("D06", "whole numbers stored as floats", "D307", on_label(lambda p: save(p, cube().astype(np.float32)))),
    Fault(
        "D06", "large values stored as float32", "D317", on_label(_with(312782628, "f4")), message="312782624 stored as float32"
    ),
    Fault("D06", "value beyond 2^53", "D316", on_label(_with(2**53 + 2, "i8")), message="up to 9007199254740994"),
    Fault("D06", "values that one float32 stands for", ACCEPTED, on_label(_two_large)),
    Fault("D07", "scale factor 0.5", "D302", on_label(lambda p: edit_header(p, scl_slope=0.5)), message="scales by 0.5"),
    Fault("D08", "one-hot, 4D", "D308", on_label(lambda p: save(p, np.stack([1 - cube(), cube()], -1)))),
    Fault("D09", "probability map", "D302", on_label(_soft), message="not whole numbers"),
    Fault("D10", "coded 0 and 255", ACCEPTED, broken(_everywhere(255))),
    Fault("D11", "values 0 and 5", ACCEPTED, broken(_everywhere(5)), options={"label_names": "5=organ"}),
    Fault("D12", "class of one voxel", "D312", on_label(_with(2, "u1")), message=f"value 2, .*{PLACE}"),
    Fault(
        "D13",
        "declared class in no label",
        "D309",
        broken(lambda root: None),
        names="data set",
        message="'tumour'",
        options={"label_names": "1=organ,2=tumour"},
    ),
    Fault("D14", "left and right exchanged", "D313", broken(_sides(2, 1)), message="15.0 mm to the right", options=TWO),
    Fault("D14", "left and right as named", ACCEPTED, broken(_sides(1, 2)), options=TWO),
    Fault("D15", "nobody annotated a voxel", "D319", on_label(_slices(())), message="all 720 voxels hold", options=SPARSE),
    Fault("D15", "a few slices annotated", ACCEPTED, on_label(_slices((2, 5))), options=SPARSE),
    Fault(
        "D16",
        "ignore value is a class",
        "D320",
        broken(lambda root: None),
        names="data set",
        message="the class 'organ'",
        options={**ONE, "ignore_label": "1"},
    ),
    Fault(
        "D17",
        "ignore value in no label",
        "D321",
        broken(lambda root: None),
        names="data set",
        message="255 is in none of the 3",
        options=SPARSE,
    ),
    Fault("D18", "255 beside 1 fills most", "D322", on_label(_slices((2, 5))), message="fills .* of the label"),
    Fault("D18", "255 left out", ACCEPTED, on_label(_slices((2, 5))), options=SPARSE),
    Fault(
        "D19", "255 in one mask, 1 in the others", "D323", on_label(_full), message="1 mask holds 255 alone.*a class of its own"
    ),
    Fault("D19", "two classes, one of them rare", ACCEPTED, on_label(lambda p: save(p, cube(value=2)))),
    Fault("D19", "255 and 1, both named", ACCEPTED, on_label(_full), options={"label_names": "1=organ,255=tumour"}),
]
