"""`statistics.csv` and `.json`: size and mean intensity of each structure of each case, as TotalSegmentator gives them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from data_prep.atomic import replace_file
from data_prep.cells import harmless, harmless_row
from data_prep.disk import needing
from data_prep.result_files import TOOL, is_ours, refuse_other
from monai_hybrid.prediction.file_image import FileImage

Array = npt.NDArray[Any]
CSV, JSON = "statistics.csv", "statistics.json"
SIZES = {"ml": ("volume_mm3", "volume_ml"), "mm2": ("area_mm2",)}  # by the unit of `quality.csv`; others are counted alone


class CaseStatistics:
    """Keeps the sizes and mean intensities of all cases of an output folder, and writes both files after each.

    Args:
        output_dir: where they go; cases of an earlier run stay.
        labels: of the model's card: {"name", "value", "index"}, background first.
        channels: names, in the order of the model.
        image: how files are read.
    """

    def __init__(self, output_dir: str, labels: Sequence[Mapping[str, Any]], channels: Sequence[Any], image: FileImage) -> None:
        self.folder, self.image = Path(output_dir), image
        self.structures = [str(label["name"]) for label in labels][1:]
        self.channels = [str(channel["name"] if isinstance(channel, Mapping) else channel) for channel in channels]

    def __call__(self, output: dict[str, Any], voxel: float, unit: str) -> None:
        """Add a case.

        Args:
            output: {"case_id", "pred"}: (1, X, Y[, Z]) class index on the file's grid, with the file in its metadata.
            voxel: its size in `unit`.
            unit: "ml", "mm2", "voxels" or "pixels".

        Raises:
            ConfigError: a file of somebody else's has the name of ours.
            OSError: it cannot be written.
        """
        index = torch.as_tensor(output["pred"])[0].cpu().numpy()
        rows = structure_rows(index, self.image.channels(output), self.structures, self.channels, voxel, unit)
        cases = {**self.read(), str(output["case_id"]): {"unit": unit, "structures": rows}}
        for path, content in ((self.folder / JSON, _json(cases, self.channels)), (self.folder / CSV, _csv(cases))):
            refuse_other(path)
            _write(path, content)

    def read(self) -> dict[str, Any]:
        """The cases of an earlier run into this folder; {} where there is none, or one of another model's structures."""
        path = self.folder / JSON
        if not path.is_file() or not is_ours(path):
            return {}
        cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
        same = isinstance(cases, dict) and all(list(case.get("structures", {})) == self.structures for case in cases.values())
        return cases if same else {}


def forget(folder: Path, case_id: str) -> None:
    """Drop a case whose mask is another one by now; files without a case go."""
    files = folder / JSON, folder / CSV
    if not all(path.is_file() and is_ours(path) for path in files):
        return
    content = json.loads(files[0].read_text(encoding="utf-8"))
    cases = content["cases"]
    if not isinstance(cases, dict) or not all(isinstance(case.get("structures"), dict) for case in cases.values()):
        return
    if cases.pop(case_id, None) is None:
        return
    for path, text in zip(files, (_json(cases, content["channels"]), _csv(cases)), strict=True):
        if cases:
            _write(path, text)
        else:
            path.unlink()


def _write(path: Path, content: bytes) -> None:
    with needing(len(content), path):
        replace_file(path, lambda part: part.write_bytes(content))


def structure_rows(
    index: Array, channels: Array, structures: Sequence[str], names: Sequence[str], voxel: float, unit: str
) -> dict[str, dict[str, Any]]:
    """Structure -> {"voxels" or "pixels", the columns of `SIZES`, "mean_<channel>"}; the mean of an empty structure is None.

    Args:
        index: class index (X, Y[, Z]).
        channels: the image as in its file, (C, X, Y[, Z]).
        structures: names of classes 1...
        names: of the channels.
        voxel, unit: size of a voxel, and of what.
    """
    flat = index.ravel().astype(np.int64)
    counts = np.bincount(flat, minlength=len(structures) + 1)
    sums = [np.bincount(flat, weights=channel.ravel(), minlength=len(structures) + 1) for channel in channels]
    counted = "pixels" if index.ndim == 2 else "voxels"
    rows: dict[str, dict[str, Any]] = {}
    for number, structure in enumerate(structures, 1):
        size = float(counts[number]) * voxel
        sizes = {"ml": (size * 1000, size), "mm2": (size,)}.get(unit, ())
        row: dict[str, Any] = {counted: int(counts[number])}
        row |= {name: _digits(value) for name, value in zip(SIZES.get(unit, ()), sizes, strict=True)}
        for name, total in zip(names, sums, strict=False):
            row[f"mean_{name}"] = _digits(total[number] / counts[number]) if counts[number] else None
        rows[structure] = row
    return rows


def _digits(value: float) -> float | None:
    """Seven digits; None of what is no number, which JSON cannot hold."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def _json(cases: Mapping[str, Any], channels: Sequence[str]) -> bytes:
    content = {"written_by": TOOL, "channels": channels, "cases": {case: cases[case] for case in sorted(cases)}}
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def _csv(cases: Mapping[str, Any]) -> bytes:
    """A row a case and structure; what is not known is an empty cell."""
    rows = [
        {"case_id": case, "structure": structure, **row}
        for case in sorted(cases)
        for structure, row in cases[case]["structures"].items()
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [harmless(name) for name in columns], restval="")
    writer.writeheader()
    writer.writerows(harmless_row(row) for row in rows)
    return text.getvalue().encode("utf-8")
