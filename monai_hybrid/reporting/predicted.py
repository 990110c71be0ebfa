"""What a report says of predictions without references: the table of their quality, flagged cases first, and their pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from data_prep.amounts import amount, few
from data_prep.cells import number_in
from data_prep.fingerprint import small_unit
from data_prep.pictures import is_picture
from monai_hybrid.errors import ConfigError, DataError, HybridError
from monai_hybrid.evaluation.blocks import MOST_VOXELS, averaged, grey, steps, surroundings, thinned
from monai_hybrid.gallery.cases import Case, Collection, read_collection
from monai_hybrid.gallery.thumbnails import thumbnail
from monai_hybrid.gallery.volumes import channel_array, grid_of, mask_indices
from monai_hybrid.reporting.planes import CaseVolume
from monai_hybrid.reporting.tables import COLUMNS_OF_CLASSES, ROWS_SHOWN, Cell, Column, Table

PICTURES, SIDE = 24, 360  # cases with a picture, and the pixels of its longer side
VOLUMES, UNFLAGGED = 12, 3  # cases in three planes; where none is flagged, so many
LARGEST_VOLUME = 2**28  # voxels of a file that is read for them
EMPTY = ("", "-")  # cells that say nothing
HIDDEN = (
    "status",
    "image",
    "image_digest",
    "mask",
    "model",
    "model_digest",
    "made_from",
    "precision",
    "entropy_all",
    "unit",
)  # they stand in quality.csv
OF_STRUCTURES = ("volume_", "predicted_dice_", "predicted_interval_")  # how columns of single structures begin


def collection_of(folder: Path, images: Path | None = None) -> tuple[Collection | None, str]:
    """The cases of a prediction folder, or why they cannot be shown."""
    try:
        return read_collection(folder, images), ""
    except (ConfigError, HybridError) as error:
        return None, str(error)


def pictures(collection: Collection) -> dict[str, Any]:
    """A picture of each of the first cases, flagged ones first: mask on image; and what could not be shown, with the reason."""
    shown: list[dict[str, str]] = []
    missing: dict[str, list[str]] = {}
    for case in collection.cases:
        if len(shown) == PICTURES:
            break
        try:
            if case.note:
                raise DataError(case.note)
            with _at_hand(case):
                content = thumbnail(collection, case, side=SIDE)
            uri = "data:image/png;base64," + base64.b64encode(content).decode()
            shown.append({"case": case.case_id, "flag": case.flag, "picture": uri})
        except (HybridError, MemoryError) as error:
            missing.setdefault(_why(error), []).append(case.case_id)
    done = sum(not case.note for case in collection.cases)
    rest = done - len(shown) - sum(len(cases) for why, cases in missing.items())
    legend = [{"name": label.name, "colour": label.colour} for label in collection.labels if label.index]
    told = [f"{few(cases, 6)}: {why}" for why, cases in missing.items()]
    flat = all(is_picture(case.images[0]) for case in collection.cases if case.images)
    return {"cases": shown, "legend": legend, "missing": told, "rest": max(0, rest), "flat": flat}


@contextmanager
def _at_hand(case: Case) -> Iterator[None]:
    """While the files of a case are looked at. Those of a DICOM series are large, so they are there for one case at a time."""
    if case.dicom is None:
        yield
        return
    try:
        case.dicom.written()
        yield
    finally:
        case.dicom.discard()


def _why(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def volumes(collection: Collection) -> list[CaseVolume]:
    """Flagged volumes for the three planes; where none is flagged, those that the model is least sure of."""
    able = [case for case in collection.cases if not case.note and case.mask is not None]
    flagged = [case for case in able if case.flag]
    found: list[CaseVolume] = []
    for case in (flagged or able[:UNFLAGGED])[:VOLUMES]:
        try:
            with _at_hand(case):
                found += [volume] if (volume := _volume(collection, case)) else []
        except (HybridError, MemoryError):
            continue  # it is named among the pictures
    return found


def _volume(collection: Collection, case: Case) -> CaseVolume | None:
    """A case turned to RAS, cut to its mask and made small; None of a picture."""
    grid = grid_of(case.images[0])
    if len(grid.shape) < 3 or np.prod(grid.shape, dtype=np.int64) > LARGEST_VOLUME:
        return None
    mask = mask_indices(collection, case, case.mask)
    image = grid.for_page(channel_array(case.images[0]))
    turn = nib.io_orientation(grid.shown)
    image, mask = (nib.apply_orientation(array, turn) for array in (image, mask))
    in_mm = any(text.endswith(" ml") for text in case.numbers.values())
    spacing = np.linalg.norm(grid.shown[:3, :3], axis=0)[np.argsort(turn[:, 0])] if in_mm else np.ones(3)
    bounds = np.percentile(np.nan_to_num(image[::2, ::2, ::2].astype(np.float32)), [0.5, 99.5])
    window = surroundings(mask > 0, spacing)
    part = np.asarray(image[window])
    step = steps(part.shape, spacing, MOST_VOXELS)
    x, y, z = (float(length) * by for length, by in zip(spacing, step, strict=True))
    small = grey(averaged(part, step), bounds), np.ascontiguousarray(thinned(mask[window], step))
    reduced, cut, unit = step != (1, 1, 1), part.shape != image.shape, "mm" if in_mm else "voxels"
    return CaseVolume(case.case_id, (case.flag,) if case.flag else (), *small, None, (x, y, z), unit, in_mm, reduced, cut)


def quality(rows: Sequence[Mapping[str, str]]) -> Table:
    """The table of a prediction run, flagged cases first; columns that tell a person nothing are left to the file."""
    rows = sorted(_in_small_units(rows), key=lambda row: (not (row.get("flag") or row.get("error")), _dice(row)))
    names = _shown_columns(rows)
    units = {row.get("unit") or "" for row in rows} - {""}
    unit = f", {units.pop()}" if len(units) == 1 else ""
    shown = [[_plain(row[name], name, first=name == names[0]) for name in names] for row in rows[:ROWS_SHOWN]]
    numbers = [all(isinstance(row[i].value, float) or row[i].text in EMPTY for row in shown) for i in range(len(names))]
    titles = [name.replace("_", " ") + (unit if name.startswith("volume_") else "") for name in names]
    columns = [Column(title, number) for title, number in zip(titles, numbers, strict=True)]
    said = [f"The first {len(shown)} of {len(rows)} cases."] if len(shown) < len(rows) else []
    said += ["All cases and columns are in quality.csv."] if said or len(names) < len(rows[0]) else []
    return Table("Predicted cases", columns, shown, " ".join(said), sortable=True)


def _dice(row: Mapping[str, str]) -> float:
    """Predicted, to begin with the lowest; 1 where none is."""
    number = number_in(row.get("predicted_dice") or "")
    return 1.0 if number is None else number


def _shown_columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Without paths, without what is empty in every row, without volumes where there are many; the case and its flag first."""
    volumes = sum(name.startswith("volume_") for name in rows[0])
    hidden = {*HIDDEN, *(name for name in rows[0] if name.startswith(OF_STRUCTURES) and volumes > COLUMNS_OF_CLASSES)}
    hidden |= {name for name in rows[0] if name.startswith("predicted_dice_") and volumes == 1}  # the mean says it
    hidden -= {"unit"} if len({row.get("unit") or "" for row in rows} - {""}) > 1 else set()
    names = [
        name
        for at, name in enumerate(rows[0])
        if not at or (name not in hidden and any(row[name] not in EMPTY for row in rows))
    ]
    return [*names[:1], *(name for name in names[1:] if name == "flag"), *(name for name in names[1:] if name != "flag")]


def _in_small_units(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Volumes in cubic millimetres where none of the table reaches a tenth of a millilitre; the file keeps ml."""
    named = [name for name in rows[0] if name.startswith("volume_")]
    in_ml = [row for row in rows if row.get("unit") == "ml"]
    largest = max((_amount(row[name]) for row in in_ml for name in named), default=0.0)
    unit, scale = small_unit("ml", largest)
    return [_scaled(row, named, unit, scale) if row.get("unit") == "ml" else dict(row) for row in rows]


def _scaled(row: Mapping[str, str], named: Sequence[str], unit: str, scale: float) -> dict[str, str]:
    numbers = {name: f"{_amount(row[name]) * scale:.6g}" for name in named if _amount(row[name]) > 0}
    return {**row, **numbers, "unit": unit.replace("^", "")}


def _amount(text: str) -> float:
    """The number in a cell; 0 where it holds none."""
    return number_in(text) or 0.0


def _plain(text: str, name: str, first: bool) -> Cell:
    mark = "why" if name in ("flag", "error") and text else ""
    number = number_in(text)
    if number is None:
        return Cell(text, text, mark)
    return Cell(text, text) if first else Cell(amount(number), number)
