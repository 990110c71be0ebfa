"""A corrected mask becomes a label: on its image's grid, with a sidecar that says whose it is, in a list that `check` reads.

The list is a dataset.json of nnU-Net that names its cases, so images stay where they are.
"""

from __future__ import annotations

import csv
import io
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from data_prep.cells import harmless
from data_prep.datalist import portable
from data_prep.errors import ConfigError, DataError, EnvironmentFault, HybridError
from data_prep.free_names import ADAPTED, free
from data_prep.json_io import dump_json, load_json, write_atomically
from data_prep.nifti_open import open_nifti
from data_prep.on_grid import mask_file, smallest_integer
from data_prep.patient_table import NAME as PATIENTS
from data_prep.patient_table import read_table
from data_prep.pictures import is_picture
from data_prep.quoting import quoted
from data_prep.reading import NIFTI, extension
from data_prep.result_files import TOOL, Known, anything, has_columns, refuse_other, says
from data_prep.splits import FEW_PATIENTS
from data_prep.volume import Array
from monai_hybrid import __version__
from monai_hybrid.gallery.cases import Case, Collection, inside
from monai_hybrid.gallery.volumes import grid_of, mask_indices

LABELS, LIST = "labels", "dataset.json"
DESCRIBED = b"label corrected with monai_hybrid view"  # not the mark of predictions, which may be written over
LONGEST_NAME = 150  # bytes; while a file is written, its name is longer
LOCK = ".view.lock"
PATIENT = 10.0  # seconds for another page to end its saving
COLUMNS = ("file", "patient")
# What is known as ours. A label is replaced when the person at the page says so.
OUR_SIDECAR, OUR_LIST = says("label", "image", written_by=TOOL), says("dataset", "labels", written_by=TOOL)
OUR_PATIENTS = has_columns(COLUMNS, set(COLUMNS))
_writing = threading.Lock()


class TakenError(HybridError):
    """A label of this case is there already, and nobody has said that it may be replaced."""

    exit_code = 3


@dataclass(frozen=True)
class Saved:
    """What was written: the label, its sidecar, and how many voxels differ from the mask that was corrected."""

    label: Path
    sidecar: Path
    changed: int


def label_path(folder: Path, case: Case) -> Path:
    """Where the label of a case lies or will lie, below the folder of labels.

    Raises:
        DataError: the name of the case is no file name, or the folder of labels is a link.
    """
    name = case.case_id
    long = len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME
    if not name or long or name.startswith(".") or any(sign in name for sign in "/\\\0:"):
        raise DataError(f"case {name[:60]!r}: this cannot be the name of a file. Rename its image and predict again")
    labels = folder / LABELS
    if labels.exists() and not labels.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{labels}: a link to another folder; expected a folder. Give another folder with --labels")
    return labels / (name + (".png" if is_picture(case.images[0]) else ".nii.gz"))


def saved_label(folder: Path, case: Case) -> Path | None:
    """The label that was saved for a case; None where there is none."""
    if case.note:
        return None
    try:
        path = label_path(folder, case)
    except DataError:
        return None
    return inside(folder, path.relative_to(folder).as_posix()) if folder.is_dir() else None


def unpacked(packed: bytes, size: int) -> bytes:
    """The bytes of a gzip stream of exactly `size`, never more in memory.

    Raises:
        DataError: damaged, or another number of bytes.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise DataError(f"the drawing did not arrive whole ({error}); save it again") from error
    if len(content) != size or not stream.eof:
        raise DataError(f"the drawing has {len(content)} values or more, expected {size}; open the case again")
    return content


def save_label(collection: Collection, case: Case, folder: Path, drawing: bytes, who: str = "", replace: bool = False) -> Saved:
    """Write a label, its sidecar and the list.

    Args:
        collection, case: what was corrected.
        folder: for `labels/` and the list; made when missing.
        drawing: class index of each voxel, as `volumes.mask_indices` orders them, first axis fastest.
        who: name of who corrected it; "" for none.
        replace: whether a label that is there may be replaced.

    Raises:
        TakenError: there is one, and `replace` is not said; nothing is written.
        DataError: the drawing does not fit the image, the list is of other labels, or a file that the page did not write is in
            the place of the list, of the sidecar or of the table of patients; nothing is written.
        EnvironmentFault: no space, no right.
    """
    grid = grid_of(case.images[0])
    index = np.frombuffer(drawing, np.uint8)
    if index.size != np.prod(grid.size) or int(index.max(initial=0)) >= len(collection.labels):
        raise DataError(f"case {case.case_id}: the drawing does not fit its image {grid.size}; open the case again")
    index = index.reshape(grid.size, order="F")
    values = np.asarray([label.value for label in collection.labels])
    mask = grid.of_page(values[index].astype(_type_of(case, values)))
    content, path = mask_file(mask, case.images[0], label_path(folder, case).with_name(case.case_id), grid.affine, DESCRIBED)
    changed = int((index != mask_indices(collection, case, case.mask)).sum())
    sidecar = path.with_name(case.case_id + ".json")
    with _alone(folder):
        listed = _list(folder, collection)
        if path.exists() and not replace:
            raise TakenError(f"{path}: is there already; nothing was written")
        _keep_other(sidecar, OUR_SIDECAR)
        if case.patient:
            _keep_other(folder / PATIENTS, OUR_PATIENTS)
        fresh = not path.exists()
        write_atomically(path, content, anything)
        try:
            dump_json(_origin(collection, case, path, who, changed), sidecar, OUR_SIDECAR)
            _patients(folder, case)
            listed["dataset"][case.case_id] = _entry(case, path, folder)
            listed["numTraining"] = len(listed["dataset"])
            dump_json(listed, folder / LIST, OUR_LIST)
        except BaseException:
            if fresh:  # no label without its place in the list
                path.unlink(missing_ok=True)
                sidecar.unlink(missing_ok=True)
            raise
    return Saved(path, sidecar, changed)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One page saves at a time, of all that are open: each reads the list, adds its label and writes it again.

    Raises:
        EnvironmentFault: another one does not end, or the folder cannot be written.
    """
    lock = FileLock(folder / LOCK)
    with _writing:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=PATIENT)
        except Timeout as error:
            raise EnvironmentFault(f"{folder}: another page is saving here; close it, and save again") from error
        except (OSError, NotImplementedError) as error:
            told = getattr(error, "strerror", None) or error
            raise EnvironmentFault(f"{folder}: cannot be written: {told}. Give another folder with --labels") from error
        try:
            yield
        finally:
            lock.release()


def _type_of(case: Case, values: Array) -> Any:
    """The integer type of the mask that was corrected, where it holds all values; else the smallest."""
    if case.mask is not None and extension(case.mask) in NIFTI:
        kind = open_nifti(case.mask).get_data_dtype()
        if kind.kind in "iu" and np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return kind.newbyteorder("=")
    return smallest_integer([int(value) for value in values])


def _list(folder: Path, collection: Collection) -> dict[str, Any]:
    """The list as it is, or a new one.

    Raises:
        DataError: the folder's dataset.json is of other labels, or of something else.
    """
    names = {label.name: label.value for label in collection.labels}
    names = {"background": 0, **{name: value for name, value in names.items() if value}}
    path = folder / LIST
    if not path.is_file():
        return {
            "name": folder.absolute().name,
            "channel_names": {str(index): name for index, name in enumerate(collection.channels)},
            "labels": names,
            "numTraining": 0,
            "file_ending": ".nii.gz",
            "dataset": {},
            "written_by": f"{TOOL} {__version__}",
        }
    content = load_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("dataset"), dict) or content.get("labels") != names:
        raise DataError(f"{path}: was written with other labels than {', '.join(names)}. Give another folder with --labels")
    _keep_other(path, OUR_LIST)
    return content


def _keep_other(path: Path, ours: Known) -> None:
    """Refuse to replace a file that the page did not write.

    Raises:
        DataError: one is there.
    """
    try:
        refuse_other(path, ours)
    except ConfigError as error:
        raise DataError(f"{path}: was not written by this page, and is kept. Give another folder with --labels") from error


def _entry(case: Case, label: Path, folder: Path) -> dict[str, Any]:
    return {"images": [portable(image, folder) for image in case.images], "label": portable(label, folder)}


def _origin(collection: Collection, case: Case, label: Path, who: str, changed: int) -> dict[str, Any]:
    return {
        "label": label.name,
        "image": [str(image.absolute()) for image in case.images],
        "corrected_from": None if case.mask is None else str((case.made_from or case.mask).absolute()),
        "model": None if collection.model is None else str(collection.model.absolute()),
        "corrected_by": " ".join(who.split())[:LONGEST_NAME] or None,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "changed_voxels": changed,
        "labels": {str(label.value): label.name for label in collection.labels},
        "written_by": f"{TOOL} {__version__}",
    }


def _patients(folder: Path, case: Case) -> None:
    """The patient of the case in cases.csv, where the data set names one."""
    if not case.patient:
        return
    known = {**read_table(folder).patients, case.case_id: case.patient}
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(name), harmless(patient)] for name, patient in sorted(known.items()))
    write_atomically(folder / PATIENTS, text.getvalue().encode("utf-8"), OUR_PATIENTS)


def adapt_line(collection: Collection, folder: Path, saved: int) -> str:
    """What to type to use the labels: adapt, after a build where the channels are not those that a picture has by itself, or
    where there are so many labels that some would be held out."""
    model = "MODEL" if collection.model is None else quoted(_run_of(collection.model))
    data, first, options = quoted(folder), "", []
    if collection.colour and len(collection.colour) < 3:
        options.append("--grey" if collection.colour == ("grey",) else f"--channels {','.join(collection.colour)}")
    if saved >= FEW_PATIENTS:
        options.append("--val-fraction 0 --test-fraction 0")
    if options:
        prepared = quoted(free(f"{folder}_prepared"))
        first, data = f"monai-hybrid build {data} --out {prepared} {' '.join(options)} && ", prepared
    return f"{first}monai-hybrid adapt --data {data} --model {model} --shots {max(saved, 1)} --output {free(ADAPTED)}"


def _run_of(model: Path) -> Path:
    """A model as one types it: the folder of its run."""
    return model.parent.parent if model.parent.name == "models" else model


def facts(folder: Path, case: Case) -> Mapping[str, Any] | None:
    """What the sidecar of a saved label says; None where there is none."""
    path = label_path(folder, case).with_name(case.case_id + ".json")
    content = load_json(path) if path.is_file() else None
    return content if isinstance(content, dict) else None
