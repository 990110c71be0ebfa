"""Which images to predict: a file, a folder, a data list, or the test cases of a prepared data set."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.bids import is_bids
from data_prep.files import read_datalist
from data_prep.foreign import foreign_sentence, links_sentence
from data_prep.free_names import MASKS, free
from data_prep.home import at_home
from data_prep.quoting import quoted
from data_prep.reading import EXTENSIONS, extension, stem
from data_prep.scans import Scan, scan_of_file, sort_files
from monai_hybrid.bids_scans import bids_cases
from monai_hybrid.bundle.data import ALL, SPLITS, prepare_data
from monai_hybrid.dicom_border import dicom_cases, is_dicom, refuse_series_words
from monai_hybrid.errors import ConfigError, DataError

IMAGE_FOLDERS = ("imagesTs", "images", "imagesTr")  # of a raw data set; the first that is there
logger = logging.getLogger("monai_hybrid.data")


def cases_to_predict(
    dataset_dir: str | None,
    output_dir: str,
    split: str = "testing",
    site: str = "A",
    leave_out: str | None = None,
    channels: Sequence[str] = ("image",),
    bids_filter: str | None = None,
    series: Any = None,
) -> list[dict[str, Any]]:
    """List {"image", "case_id"}; each case_id once, so that no prediction overwrites another.

    A folder without images that holds DICOM gives its series; see `dicom_border.dicom_cases`. Else
    `image` is a path, or a list of one for each channel. Where some of these are missing, "missing" says so. Masks are no
    scans: those that prediction wrote, those in folders of labels, and those that are called so.

    Args:
        dataset_dir: one image file; a folder of images, with its subfolders (or its `imagesTs/` or `images/` alone where it has
            one); a folder with `datalist.json` or the file itself (its `split`); None or "" for the phantom's `split`.
        output_dir: where the phantom is generated when it is asked for.
        split: "training", "validation", "testing", or "all".
        site: scanner of the phantom.
        leave_out: a folder, often inside the other, whose files are predictions.
        channels: names of the model's channels, in its order.
        bids_filter: of a BIDS data set, which contrasts; its cases have a "place" in a derivative.
        series: which DICOM series are meant; None: all.

    Raises:
        ConfigError: `series` fits nothing, or the folder is a training.
        DataError: nothing there.
    """
    path = at_home(dataset_dir) if dataset_dir else Path()
    if dataset_dir:
        _refuse_training(path)
    if dataset_dir and _is_dicom(path, leave_out, channels):
        return dicom_cases(path, Path(leave_out or output_dir), _series_words(series), channels)
    refuse_series_words(series, path)
    if not dataset_dir:
        return _of_split(prepare_data(None, output_dir, site).folder / "datalist.json", split)
    if path.is_dir() and (path / "datalist.json").is_file():
        path = path / "datalist.json"
    if path.suffix == ".json" and path.is_file():
        return _of_split(path, split)
    if path.is_dir() and is_bids(path):
        return bids_cases(path, leave_out, channels, bids_filter)
    if bids_filter is not None:
        raise ConfigError(
            f"--bids-filter: {path} is not a BIDS data set, which has dataset_description.json and sub-*; leave it out"
        )
    if path.is_file():
        return _listed([scan_of_file(path, channels)], path.parent)
    return _of_folder(path, leave_out, channels)


def _refuse_training(path: Path) -> None:
    if all((path / part).is_dir() for part in ("models", "logs")):
        raise ConfigError(
            f"{path}: a training, whose pictures are no scans. With your scans for IMAGES: monai-hybrid predict IMAGES --model "
            f"{quoted(path)} --output {free(MASKS)}"
        )


def _of_folder(path: Path, leave_out: str | None, channels: Sequence[str]) -> list[dict[str, Any]]:
    """The scans among the images of a folder; what is none of them is said.

    Raises:
        DataError: there is no image, or none of them is a scan.
    """
    root, images = images_under(path, leave_out) if path.is_dir() else (path, [])
    found = sort_files(images, root, channels)
    if found.left_out:
        logger.warning("%s: %s", root, found.said())
    if images and not found.scans:
        raise DataError(f"{root}: no scan found; {found.said()}: --input {quoted(images[0])}")
    if not images:
        foreign = foreign_sentence(path)
        if foreign:
            raise DataError(f"{path}: {foreign}")
        links = links_sentence(path)
        if links:
            raise DataError(f"{path}: no image found; {links}")
        raise DataError(
            f"{path}: no image found; expected a file or a folder of {', '.join(EXTENSIONS)}, or a datalist.json. "
            f"Type: ls {quoted(path if path.is_dir() else path.parent)}"
        )
    return _listed(found.scans, path)


def _is_dicom(path: Path, leave_out: str | None, channels: Sequence[str]) -> bool:
    """Whether DICOM series are meant: a file of one, or a folder that holds some and no scan of another format."""
    if not is_dicom(path) or (path / "datalist.json").is_file():
        return False
    root, images = images_under(path, leave_out) if path.is_dir() else (path, [])
    if not sort_files(images, root, channels).scans:
        return True
    logger.warning("%s: holds both DICOM and other images, and is skipped; give the folder of its series", path)
    return False


def _series_words(series: Any) -> str | None:
    """As it was typed: fire makes a number of 3 and a list of 3,4."""
    several = series if isinstance(series, (list, tuple)) else [series]
    return None if series is None else ",".join(str(word) for word in several)


def _listed(scans: Sequence[Scan], root: Path) -> list[dict[str, Any]]:
    names = unique_names([scan.name.relative_to(root) for scan in scans])
    cases = []
    for scan, name in zip(scans, names, strict=True):
        files = [str(file) for file in scan.files]
        case: dict[str, Any] = {"image": files if len(files) > 1 else files[0], "case_id": name}
        cases.append(case | ({"missing": scan.missing} if scan.missing else {}))
    return cases


def images_under(folder: Path, leave_out: str | None, parts: Sequence[str] = IMAGE_FOLDERS) -> tuple[Path, list[Path]]:
    """The first of `parts` that the folder has, else itself, and all image files in it and below, but for `leave_out`."""
    root = next((folder / name for name in parts if (folder / name).is_dir()), folder)
    apart = at_home(leave_out).resolve() if leave_out else None
    there = [p for p in root.rglob("*") if p.is_file() or (p.is_symlink() and not p.exists())]  # reading tells of the latter
    files = sorted(p for p in there if not any(part[0] == "." for part in p.relative_to(root).parts))
    inside = apart is not None and apart != root.resolve() and apart.is_relative_to(root.resolve())
    files = [
        p for p in files if not inside or apart not in Path(os.path.realpath(p)).parents
    ]  # resolve fails on a loop of links
    images = [p for p in files if extension(p)]
    if images and len(images) < len(files):
        logger.info("%s: %d images; %d files of other kinds are left alone", root, len(images), len(files) - len(images))
    return root, images


def unique_names(files: list[Path]) -> list[str]:
    """A name for each file: its stem; where several share it, with the folders before it, and if need be the suffix after it.

    `a/x.nii.gz`, `b/x.nii.gz`, `b/x.nii` -> `a__x`, `b__x_nii_gz`, `b__x_nii`.
    """
    names = [stem(file) for file in files]
    for longer in (_with_folders, _with_suffix, _with_number):
        count = Counter(name.lower() for name in names)  # some file systems do not tell X from x
        names = [longer(f, n, i) if count[n.lower()] > 1 else n for i, (f, n) in enumerate(zip(files, names, strict=True))]
    return names


def _with_folders(file: Path, name: str, _: int) -> str:
    return "__".join([*file.parts[:-1], name])


def _with_suffix(file: Path, name: str, _: int) -> str:
    return name + file.name[len(stem(file)) :].replace(".", "_")


def _with_number(file: Path, name: str, index: int) -> str:
    return f"{name}_{index + 1}"


def _of_split(datalist: Path, split: str) -> list[dict[str, Any]]:
    lists = read_datalist(datalist)
    cases = [case for name in (SPLITS if split == ALL else (split,)) for case in lists.get(name) or ()]
    if not cases:
        raise DataError(f"{datalist}: the split {split} holds no case; choose --split {', '.join(SPLITS)} or {ALL}")
    return [{"image": case["image"], "case_id": case["case_id"]} for case in cases]
