"""Group E: files that do not belong together."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, broken, on_image, on_label
from benchmarks.reliability.tiny import affine, cube, edit_json, nnunet, noise, prepared, save, sound


def _moved(amount: float, scale: tuple[float, float, float] = (1, 1, 1)) -> Callable[[Path], object]:
    return lambda path: save(path, cube(), affine(scale, (amount, 0, 0)))


def _swapped(grey: np.ndarray) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        save(root / "images" / "case_a.nii.gz", cube())
        save(root / "labels" / "case_a.nii.gz", grey)

    return change


def _channels_exchanged(folder: Path) -> Path:
    first, second = (folder / "imagesTr" / f"case_a_000{index}.nii.gz" for index in (0, 1))
    nnunet(folder)
    other = first.rename(first.with_name("other"))
    second.rename(first)
    other.rename(second)
    return folder


def _channel_missing(folder: Path) -> Path:
    (nnunet(folder) / "imagesTr" / "case_a_0001.nii.gz").unlink()
    return folder


def _listed(change: Callable[[Any], object]) -> Callable[[Path], Path]:
    return lambda folder: edit_json(prepared(folder) / "datalist.json", change)


def _one_patient(content: Any) -> None:
    content["testing"][0]["patient"] = content["training"][0]["patient"]


def _test_in_training(content: Any) -> None:
    content["testing"][0]["image"] = content["training"][0]["image"]


def _forms(root: Path) -> None:
    """One name in two Unicode forms: letter with accent, and letter followed by accent."""
    sound(root, [unicodedata.normalize(form, "case_\u00e9") for form in ("NFC", "NFD")])


def _turned(path: Path) -> None:
    """The label's voxels stored the other way round, each at its place."""
    save(path, cube()[::-1, ::-1], affine((-1, -1, 1), (7, 8, 0)))


def _cut_out(path: Path) -> None:
    """A box around the structure, as programs save it to spare room."""
    save(path, cube()[1:6, 1:6, 2:8], affine(shift=(1, 1, 2)))


def _unpacked(root: Path) -> None:
    (root / "images" / "case_a.nii.gz").unlink()
    save(root / "images" / "case_a.nii", noise(seed=1).astype(np.float32))


def _moved_copy(root: Path) -> None:
    for folder, array in (("images", noise(seed=1)), ("labels", cube())):
        save(root / folder / "case_a.nii.gz", array, affine(shift=(0, 0, 40)))


def _visits(root: Path) -> None:
    """Numbers that may be scans of one patient."""
    shutil.rmtree(root)
    sound(root, [f"case_{patient}_{scan:03d}" for patient in (11, 12, 13) for scan in (1, 2)])


def _resized(thickness: Sequence[float]) -> Callable[[Path], Path]:
    """A case for each slice thickness, the first of them case_a; 1 mm in plane, or what 1 mm is measured as."""

    def make(folder: Path) -> Path:
        for index, (name, edge) in enumerate(zip("abcdef", thickness, strict=True)):
            grid = affine((1 + 0.01 * (edge > 1) * index, 1, edge))
            save(folder / "images" / f"case_{name}.nii.gz", noise(seed=index), grid)
            save(folder / "labels" / f"case_{name}.nii.gz", cube(), grid)
        return folder

    return make


def _copied(root: Path) -> None:
    shutil.copy(root / "images" / "case_b.nii.gz", root / "images" / "case_a.nii.gz")


FAULTS = [
    Fault("E01", "label missing", "D403", on_label(Path.unlink)),
    Fault("E02", "image missing", "D404", on_image(Path.unlink)),
    Fault("E03", "shapes differ", "D401", on_label(lambda p: save(p, cube((8, 9, 11)))), message=r"\(8, 9, 11\)"),
    Fault("E04", "spacings differ", "D402", on_label(_moved(0, (1, 1, 1.5))), message="mm away"),
    Fault("E05", "origin at 1.1 x the tolerance", "D402", on_label(_moved(0.11)), message="0.11 mm away.*tolerance 0.1 mm"),
    Fault("E05", "origin at 0.9 x the tolerance", ACCEPTED, on_label(_moved(0.09))),
    Fault("E05", "origin 15 mm away", "D402", on_label(_moved(15)), message="15 mm away"),
    Fault("E06", "left-right flip", "D402", on_label(_moved(0, (-1, 1, 1))), message="mm away"),
    Fault("E06", "other voxel order, same place", ACCEPTED, on_label(_turned)),
    Fault("E07", "image and label exchanged", "D306", broken(_swapped(noise(seed=9))), message="at most 256"),
    Fault("E07", "exchanged, 8-bit image", "D410", broken(_swapped(noise(seed=9, high=200).astype(np.uint8)))),
    Fault("E07", "mask for an image", "D207", on_image(lambda p: save(p, cube() + cube(value=2))), message="0, 3 are"),
    Fault("E07", "image of 17 grey values", ACCEPTED, on_image(lambda p: save(p, noise(seed=9, high=17)))),
    Fault("E08", "channels exchanged", "D411", _channels_exchanged, message=r"order \[1, 0\]"),
    Fault("E08", "channels in order", ACCEPTED, nnunet),
    Fault("E09", "channel missing", "D503", _channel_missing, message="case case_a: channels 0000"),
    Fault("E10", "same file twice", "D405", broken(_copied), names="case_"),
    Fault("E10", "same voxels, unpacked and as floats", "D405", broken(_unpacked), names="case_"),
    Fault("E10", "same voxels at another place", "D413", broken(_moved_copy), names="case_", message="another header"),
    Fault("E11", "ids equal but for case", "D406", broken(lambda root: sound(root, ["Case_A"])), names="ase_"),
    Fault("E11", "ids equal but for Unicode form", "D406", broken(_forms), names="case_"),
    Fault("E12", "a patient in training and testing", "D407", _listed(_one_patient), names="case_", message="testing"),
    Fault("E12", "names like several scans of a patient", "D414", broken(_visits), names="case_11", message="--patient-regex"),
    Fault("E13", "a test image in training", "D405", _listed(_test_in_training), names="case_", message="training"),
    Fault("E14", "label half a voxel off", "D402", on_label(_moved(0.5)), message="0.5 mm away"),
    Fault("E15", "size of image and label lost alike", "D415", _resized([1] + 5 * [5]), message="1 x 1 x 1 mm; 5 of 6 .* 5 mm"),
    Fault("E15", "sizes of two scanners", ACCEPTED, _resized([1, 1, 1, 5, 5, 5])),
    Fault("E16", "a label cut out of the grid", "D401", on_label(_cut_out), message="the label is cut out of that grid"),
]
