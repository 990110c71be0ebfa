"""Which images to predict: a file, a folder, or the test cases of a prepared data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.files import read_datalist
from data_prep.reading import EXTENSIONS, extension
from monai_hybrid.bundle.data import prepare_data
from monai_hybrid.errors import DataError
from monai_hybrid.inferers.native_grid import stem


def cases_to_predict(dataset_dir: str | None, output_dir: str, split: str = "testing", site: str = "A") -> list[dict[str, Any]]:
    """List {"image", "case_id"}.

    Args:
        dataset_dir: one image file; a folder of images; a folder with `datalist.json` or the file itself (its `split`);
            None or "" for the built-in phantom's `split`.
        output_dir: where the phantom is generated when it is asked for.
        split: "training", "validation" or "testing".
        site: scanner of the phantom.

    Raises:
        DataError: nothing there, or two files that would write the same prediction.
    """
    if not dataset_dir:
        return _of_split(prepare_data(None, output_dir, site).folder / "datalist.json", split)
    path = Path(dataset_dir).expanduser()
    if path.is_dir() and (path / "datalist.json").is_file():
        path = path / "datalist.json"
    if path.suffix == ".json" and path.is_file():
        return _of_split(path, split)
    if path.is_file():
        return [{"image": str(path), "case_id": stem(path)}]
    found = sorted(p for p in path.glob("*") if extension(p)) if path.is_dir() else []
    if not found:
        raise DataError(f"{path}: no image found; expected a file or a folder of {', '.join(EXTENSIONS)}")
    names = [stem(p) for p in found]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DataError(f"{path}: several files would give the prediction {twice[0]}: rename one of them")
    return [{"image": str(p), "case_id": n} for p, n in zip(found, names, strict=True)]


def _of_split(datalist: Path, split: str) -> list[dict[str, Any]]:
    cases = read_datalist(datalist).get(split)
    if not cases:
        raise DataError(f"{datalist}: the split {split} holds no case; choose --split training, validation or testing")
    return [{"image": case["image"], "case_id": case["case_id"]} for case in cases]
