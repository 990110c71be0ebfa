"""Group O: a folder a case, masks of one structure each, masks beside images, segments by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault
from benchmarks.reliability.tiny import SHAPE, affine, cube, noise, save

ORGANS = ("liver", "spleen")
CONTRASTS = ("t1", "t2")
ONE = {"label_names": "1=liver"}


def _mask(organ: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2 + 3 * organ : 5 + 3 * organ, 2:5, 2:5] = 1
    return mask


def _of_organs(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Three cases with a CT and two masks each, then the change, which gets the folder of the first."""

    def make(folder: Path) -> Path:
        for index, name in enumerate("abc"):
            save(folder / f"ds/case_{name}/ct.nii.gz", noise(seed=index))
            for place, organ in enumerate(ORGANS):
                save(folder / f"ds/case_{name}/segmentations/{organ}.nii.gz", _mask(place))
        change(folder / "ds/case_a")
        return folder / "ds"

    return make


def _of_contrasts(change: Callable[[Path], object], apart: bool = True) -> Callable[[Path], Path]:
    """Three cases with two contrasts and a mask each, then the change, which gets the folder of the first, or that of all."""

    def make(folder: Path) -> Path:
        def place(name: str) -> Path:
            return folder / f"ds/case_{name}" if apart else folder / "ds"

        for index, name in enumerate("abc"):
            for channel, contrast in enumerate(CONTRASTS):
                save(place(name) / f"case_{name}_{contrast}.nii.gz", noise(seed=10 * index + channel))
            save(place(name) / f"case_{name}_seg.nii.gz", cube())
        change(place("a"))
        return folder / "ds"

    return make


def _spleen(array: np.ndarray, matrix: np.ndarray | None = None) -> Callable[[Path], Path]:
    def change(case: Path) -> object:
        return save(case / "segmentations/spleen.nii.gz", array, affine() if matrix is None else matrix)

    return _of_organs(change)


def _nameless(folder: Path) -> Path:
    for index, name in enumerate("abc"):
        save(folder / f"ds/case_{name}/scan.nii.gz", noise(seed=index))
        for place in (0, 1):
            save(folder / f"ds/case_{name}/masks/{name}{place}.nii.gz", _mask(place))
    return folder / "ds"


def _two_masks(folder: Path) -> None:
    save(folder / "case_a_mask.nii.gz", cube())


def _two_segments_of_a_name(folder: Path) -> Path:
    """3D Slicer lets a user give two segments one name."""
    fields = "".join(f"Segment{n}_Name:=liver\nSegment{n}_LabelValue:={n + 1}\nSegment{n}_Layer:=0\n" for n in (0, 1))
    for index, name in enumerate("abc"):
        save(folder / f"ds/images/case_{name}.nii.gz", noise(seed=index))
        sizes = " ".join(map(str, SHAPE))
        header = f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: {sizes}\nencoding: raw\n{fields}\n"
        label = folder / f"ds/labels/case_{name}.seg.nrrd"
        label.parent.mkdir(exist_ok=True)
        label.write_bytes(header.encode() + _mask(0).tobytes())
    return folder / "ds"


def _parts(channel: str) -> Callable[[Path], Path]:
    """train/ and test/ of two contrasts and a mask beside them; the second contrast of test/ is `channel`."""

    def make(folder: Path) -> Path:
        for place, (part, second) in enumerate((("train", "t2"), ("test", channel))):
            for index, name in enumerate("abc"):
                case = folder / f"ds/{part}/case_{part}{name}"
                for at, contrast in enumerate(("t1", second)):
                    save(case.with_name(f"{case.name}_{contrast}.nii.gz"), noise(seed=20 * place + 2 * index + at))
                save(case.with_name(f"{case.name}_seg.nii.gz"), cube())
        return folder / "ds"

    return make


FAULTS = [
    Fault("O01", "masks whose names say nothing", "D550", _nameless, "ds", "no structure can be told by them"),
    Fault(
        "O02", "a case without a channel", "D551", _of_contrasts(lambda case: (case / "case_a_t2.nii.gz").unlink()), "case_a"
    ),
    Fault("O02", "a folder without an image", "D551", _of_organs(lambda case: (case / "ct.nii.gz").unlink()), "case_a"),
    Fault("O03", "structures that overlap", "D552", _spleen(_mask(0)), "case_a", "'liver' and 'spleen' share 27 voxels"),
    Fault("O03", "one of them chosen", ACCEPTED, _spleen(_mask(0)), options=ONE),
    Fault("O04", "mask of several values", "D553", _spleen(_mask(1) * 2 + _mask(0)), "case_a", "has the values 0, 1, 2"),
    Fault("O04", "mask on another grid", "D553", _spleen(_mask(1), affine((1, 1, 3))), "case_a", "mm away from liver"),
    Fault(
        "O05",
        "a case without a structure",
        "D554",
        _of_organs(lambda case: (case / "segmentations/spleen.nii.gz").unlink()),
        "case_a",
        "no mask of spleen",
    ),
    Fault("O06", "two masks beside an image", "D550", _of_contrasts(_two_masks, apart=False), "ds", "case_a has 2 masks"),
    Fault("O06", "channels beside their masks", ACCEPTED, _of_contrasts(lambda folder: folder, apart=False)),
    Fault(
        "O07",
        "a channel missing beside its mask",
        "D551",
        _of_contrasts(lambda f: (f / "case_a_t2.nii.gz").unlink(), apart=False),
        "case_a",
    ),
    Fault("O09", "train/ and test/ of other channels", "D550", _parts("flair"), "ds", "parts have other channels"),
    Fault("O09", "train/ and test/ alike", ACCEPTED, _parts("t2")),
    Fault("O08", "two segments of one name", "D550", _two_segments_of_a_name, "ds", "two segments are called 'liver'"),
]
