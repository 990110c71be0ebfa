"""A folder as prediction leaves it, of images of many kinds; no model has seen them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from data_prep.cells import harmless_row
from data_prep.known_files import file_digest
from data_prep.label_file import write_label_file
from data_prep.on_grid import mask_file
from data_prep.volume import Array

SHAPE = (20, 16, 12)
NAMES = {"LV": 3, "RV": 7}  # values with gaps
DESCRIBED = b"segmentation by monai_hybrid"


def affines() -> dict[str, Array]:
    """RAS, LPS, and oblique with axes exchanged, in mm."""
    ras = np.array([[1.5, 0, 0, -12], [0, 1.5, 0, -9], [0, 0, 2, 4], [0, 0, 0, 1.0]])
    lps = np.array([[-1.5, 0, 0, 12], [0, -1.5, 0, 9], [0, 0, 2, -4], [0, 0, 0, 1.0]])
    a, b = np.deg2rad(25), np.deg2rad(-15)
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    exchanged = np.array([[0, 0, 2], [-1.5, 0, 0], [0, 1.5, 0]])
    oblique = np.eye(4)
    oblique[:3, :3] = turn_z @ turn_x @ exchanged
    oblique[:3, 3] = (3, -7, 11)
    return {"ras": ras, "lps": lps, "oblique": oblique}


def scan(shape: Sequence[int], seed: int = 0) -> Array:
    """A bright ball in noise, int16."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
    ball = ((grid - 0.15) ** 2).sum(0) < 0.3
    noise = np.random.default_rng(seed).normal(0, 25, tuple(shape))
    return np.asarray(100 + 300 * ball + noise).astype(np.int16)


def mask_like(shape: Sequence[int]) -> Array:
    """Values of `NAMES`: a ball, and a corner of it."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"))
    ball = ((grid - 0.15) ** 2).sum(0) < 0.25
    return np.where(ball, np.where(grid[0] < 0, 3, 7), 0).astype(np.uint8)


def write_volume(path: Path, array: Array, affine: Array) -> Path:
    """NIfTI with both forms, codes 1 and 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=1)
    nib.save(image, path)
    return path


def predicted(folder: Path, images: dict[str, Path], names: dict[str, int] = NAMES, **columns: dict[str, Any]) -> Path:
    """Masks of these images, quality.csv and labels.txt, as prediction writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (case, image) in enumerate(images.items()):
        shape = shape_of(image)
        mask = mask_like(shape)
        content, path = mask_file(mask, image, folder / f"{case}_seg", affine_of(image), DESCRIBED)
        path.write_bytes(content)
        row = {"case_id": case, "status": "done", "flag": "", "error": "", "unit": "ml"}
        row |= {f"volume_{name}": f"{(mask == value).sum() * 0.0045:.4g}" for name, value in names.items()}
        row |= {"entropy_foreground": f"{0.1 + 0.01 * number:.3g}", "entropy_all": "0.02", "denoising_error": "0.1"}
        row |= {"precision": "float32", "image": str(image), "mask": path.name, "made_from": "0"}
        row["image_digest"] = file_digest(image)
        rows.append(row | {column: values[case] for column, values in columns.items() if case in values})
    with (folder / "quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(harmless_row(row) for row in rows)
    write_label_file(folder, [(0, "background", "#000000"), *((value, name, "#E69F00") for name, value in names.items())])
    return folder


def shape_of(image: Path) -> tuple[int, ...]:
    """Spatial, without an axis of length 1."""
    if image.suffix in (".png", ".jpg"):
        with Image.open(image) as picture:
            return picture.size
    return tuple(size for size in nib.load(image).shape[:3] if size > 1)


def affine_of(image: Path) -> Array:
    """Of NIfTI; identity for pictures."""
    return np.eye(4) if image.suffix in (".png", ".jpg") else np.asarray(nib.load(image).affine)


def volumes(folder: Path) -> dict[str, Path]:
    """One image for each of `affines`."""
    return {name: write_volume(folder / f"{name}.nii.gz", scan(SHAPE), affine) for name, affine in affines().items()}


def pictures(folder: Path) -> dict[str, Path]:
    """A grey PNG, a colour JPEG, and a volume of one slice along its second axis."""
    folder.mkdir(parents=True, exist_ok=True)
    grey = np.clip(scan((40, 30)) / 2, 0, 255).astype(np.uint8)
    Image.fromarray(grey.T).save(folder / "grey.png")
    colour = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    Image.fromarray(np.ascontiguousarray(colour.swapaxes(0, 1))).save(folder / "colour.jpg", quality=95)
    write_volume(folder / "flat.nii.gz", scan((24, 18))[:, None, :], affines()["lps"])
    return {"grey": folder / "grey.png", "colour": folder / "colour.jpg", "flat": folder / "flat.nii.gz"}
