"""Group M: pictures, and what the plan does with small structures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.reliability.faults.registry import ACCEPTED, Fault
from benchmarks.reliability.tiny import save

SIZE = (12, 20)  # rows, columns
UPSIDE_DOWN = 3  # of EXIF's tag
ORIENTATION = 0x0112


def _colours(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def _mask(value: int = 1) -> Any:
    label = np.zeros(SIZE, np.uint8)
    label[3:8, 5:12] = value
    return label


def _pictures(change: Callable[[Path, Path], object]) -> Callable[[Path], Path]:
    """Three colour pictures with masks; the change gets the image and the mask of case_a."""

    def make(folder: Path) -> Path:
        for index, name in enumerate(("case_a", "case_b", "case_c")):
            for part, array in (("images", _colours(index)), ("labels", _mask())):
                path = folder / "raw" / part / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
        change(folder / "raw/images/case_a.png", folder / "raw/labels/case_a.png")
        return folder / "raw"

    return make


def _transparent(image: Path, _: Path) -> None:
    Image.fromarray(np.dstack([_colours(0), np.full(SIZE, 9, np.uint8)])).save(image)


def _pages(image: Path, _: Path) -> None:
    pages = [Image.fromarray(_colours(seed)) for seed in (0, 7)]
    pages[0].save(image.with_suffix(".tif"), save_all=True, append_images=pages[1:])
    image.unlink()


def _inks(image: Path, _: Path) -> None:
    Image.fromarray(_colours(0)).convert("CMYK").save(image.with_suffix(".tif"))
    image.unlink()


def _jpeg(_: Path, mask: Path) -> None:
    Image.fromarray(_mask(255)).save(mask.with_suffix(".jpg"))
    mask.unlink()


def _large_value(_: Path, mask: Path) -> None:
    Image.fromarray(_mask().astype(np.int32) * 70000).save(mask.with_suffix(".tif"))
    mask.unlink()


def _coloured(_: Path, mask: Path) -> None:
    Image.fromarray(np.dstack([_mask(255), _mask(0), _mask(0)])).save(mask)


def _turned(image: Path, _: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = UPSIDE_DOWN
    Image.fromarray(_colours(0)).save(image, exif=exif)


def _grey_model(folder: Path) -> Path:
    """A colour picture in a prepared list of grey ones."""
    from data_prep.build import build

    root = _pictures(lambda *_: None)(folder)
    for path in (root / "images").iterdir():
        Image.open(path).convert("L").save(path)
    build(root, folder / "prepared")
    Image.fromarray(_colours(0)).save(root / "images/case_a.png")
    return folder / "prepared"


def _beyond(greys: tuple[float, float]) -> Callable[[Path], Path]:
    """Noise around 100 and two cubes of 2^3 voxels: 0.12 % of the voxels together."""

    def make(folder: Path) -> Path:
        for index, name in enumerate(("case_a", "case_b", "case_c")):
            grey = np.random.default_rng(index).normal(100, 15, (24, 24, 24)).astype(np.float32)
            label = np.zeros(grey.shape, np.uint8)
            label[4:6, 4:6, 4:6], label[14:16, 14:16, 14:16] = 1, 2
            grey[label == 1], grey[label == 2] = greys
            save(folder / "raw/images" / f"{name}.nii.gz", grey)
            save(folder / "raw/labels" / f"{name}.nii.gz", label)
        return folder / "raw"

    return make


FAULTS = [
    Fault("M01", "transparent pixels", "D020", _pictures(_transparent), message="240 of its 240 pixels"),
    Fault("M02", "several pages", "D021", _pictures(_pages)),
    Fault("M03", "printer's inks", "D022", _pictures(_inks)),
    Fault("M04", "colour where grey is expected", "D023", _grey_model),
    Fault("M05", "grey among colours", "D024", _pictures(lambda image, _: Image.open(image).convert("L").save(image))),
    Fault("M06", "mask as JPEG", "D029", _pictures(_jpeg), message="a mask stored as JPEG"),
    Fault("M07", "label value above 65535", "D026", _pictures(_large_value), message="label value 70000"),
    Fault("M08", "mask in colours", "D027", _pictures(_coloured), message="a mask of 2 colours"),
    Fault("M09", "image turned by EXIF, mask not", "D028", _pictures(_turned), message="the EXIF orientation"),
    Fault("M10", "structures beyond the percentiles", "D314", _beyond((500, 900)), "data set", "lies beyond the percentiles"),
    Fault("M10", "structures within them", ACCEPTED, _beyond((120, 80))),
]
