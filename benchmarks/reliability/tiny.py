"""Tiny sound data sets, and the tools to break them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

SHAPE = (8, 9, 10)
UNIT = np.eye(4)
NAMES = ("case_a", "case_b", "case_c")
# Hundreds of faults are made of the same few files: their bytes, and the texts of a prepared folder with HERE for its place.
WRITTEN: dict[tuple[Any, ...], bytes] = {}
DESCRIBED: dict[tuple[str, ...], dict[str, str]] = {}
HERE = "\0"


def noise(shape: Sequence[int] = SHAPE, seed: int = 0, low: int = 0, high: int = 1000) -> np.ndarray:
    """Grey values (shape), int16, other ones for every seed."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int16)


def cube(shape: Sequence[int] = SHAPE, value: int = 1) -> np.ndarray:
    """A label (shape), uint8, with a block of one value."""
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(2, 5) for _ in shape)] = value
    return label


def affine(scale: Sequence[float] = (1, 1, 1), shift: Sequence[float] = (0, 0, 0), shear: float = 0.0) -> np.ndarray:
    """4 x 4, voxel index -> mm, RAS; `shear` leans the second axis towards the first."""
    matrix = np.diag([*scale, 1.0]).astype(np.float64)
    matrix[:3, 3] = shift
    matrix[0, 1] = shear
    return matrix


def save(path: Path, array: np.ndarray, grid: np.ndarray = UNIT, qform: np.ndarray | None = None) -> Path:
    """Write a NIfTI file with both forms set; `qform` differs from the sform only when given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = array.dtype.str, array.shape, grid.dtype.str, path.name[path.name.find(".") :]
    key = (*kind, array.tobytes(), grid.tobytes(), None if qform is None else qform.tobytes())
    if key in WRITTEN:
        path.write_bytes(WRITTEN[key])
        return path
    image = nib.Nifti1Image(array, grid, dtype=array.dtype)
    image.set_sform(grid, 1)
    image.set_qform(grid if qform is None else qform, 1)
    image.to_filename(path)
    if array.nbytes < 2**16:
        WRITTEN[key] = path.read_bytes()
    return path


def sound(root: Path, names: Sequence[str] = NAMES) -> Path:
    """images/ and labels/ with one sound case for each name; returns the folder."""
    for index, name in enumerate(names):
        save(root / "images" / f"{name}.nii.gz", noise(seed=index))
        save(root / "labels" / f"{name}.nii.gz", cube())
    return root


def decathlon(root: Path, images: Sequence[np.ndarray], modality: str) -> Path:
    """An MSD data set of these images (X, Y, Z)."""
    names = [f"case_{letter}" for letter in "abcdefgh"[: len(images)]]
    for name, image in zip(names, images, strict=True):
        save(root / "imagesTr" / f"{name}.nii.gz", image)
        save(root / "labelsTr" / f"{name}.nii.gz", cube(image.shape))
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    labels = {"0": "background", "1": "organ"}
    write_json(root / "dataset.json", {"modality": {"0": modality}, "labels": labels, "training": entries})
    return root


def nnunet(root: Path, names: Sequence[str] = ("case_a", "case_b", "case_c", "case_d", "case_e")) -> Path:
    """An nnU-Net raw data set of two channels of different brightness."""
    for index, name in enumerate(names):
        save(root / "imagesTr" / f"{name}_0000.nii.gz", noise(seed=index, high=100))
        save(root / "imagesTr" / f"{name}_0001.nii.gz", noise(seed=index + 100, low=1000, high=2000))
        save(root / "labelsTr" / f"{name}.nii.gz", cube())
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "organ": 1}}
    write_json(root / "dataset.json", content | {"numTraining": len(names), "file_ending": ".nii.gz"})
    return root


def prepared(root: Path, names: Sequence[str] = ("case_a", "case_b", "case_c", "case_d")) -> Path:
    """A sound data set in root/raw, described in root/prepared; returns the latter."""
    from data_prep.build import build

    raw, folder = sound(root / "raw", names), root / "prepared"
    if (known := tuple(names)) in DESCRIBED:
        folder.mkdir()
        for name, text in DESCRIBED[known].items():
            (folder / name).write_text(text.replace(HERE, str(raw)), encoding="utf-8")
        return folder
    build(raw, folder, val_fraction=0.25, test_fraction=0.25)
    DESCRIBED[known] = {path.name: path.read_text(encoding="utf-8").replace(str(raw), HERE) for path in folder.iterdir()}
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_json(path: Path, change: Callable[[Any], object]) -> Path:
    """Change the content of a JSON file in place; returns its folder."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write_json(path, content)
    return path.parent


def plain(path: Path) -> Path:
    """Replace NAME.nii.gz by an uncompressed NAME.nii."""
    target = path.with_name(path.name.removesuffix(".gz"))
    target.write_bytes(gzip.decompress(path.read_bytes()))
    path.unlink()
    return target


def edit_bytes(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file's bytes."""
    path.write_bytes(change(path.read_bytes()))


def edit_header(path: Path, **fields: object) -> None:
    """Change header fields of a .nii.gz, past nibabel's own repairs."""
    raw = gzip.decompress(path.read_bytes())
    header = nib.Nifti1Header(raw[:348], check=False)
    for key, value in fields.items():
        header[key] = value
    path.write_bytes(gzip.compress(header.binaryblock + raw[348:]))


def bomb(path: Path, megabytes: int) -> None:
    """A small .nii.gz whose header honestly asks for, and whose stream unpacks to, that many MiB of zeros."""
    size = 2**20
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((1024, 1024, megabytes))
    header["vox_offset"] = 352
    packer = zlib.compressobj(9, wbits=-15)
    head = packer.compress(header.binaryblock + bytes(4)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + head + block * megabytes
    path.write_bytes(body + packer.flush() + bytes(8))
