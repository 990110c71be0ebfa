"""What the page lists: the cases of a prediction or of a prepared data set, with where their files lie. No image is opened."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.cells import number_in, restored_row
from data_prep.datalist import case_of
from data_prep.files import read_datalist, read_dataset
from data_prep.foreign import holds_dicom
from data_prep.free_names import MASKS, PREPARED, free
from data_prep.home import at_home
from data_prep.ignoring import IGNORE
from data_prep.json_io import load_json
from data_prep.known_files import joint_digest, lies_below
from data_prep.label_file import NAME as LABEL_FILE
from data_prep.label_file import plain_name, read_label_file
from data_prep.quoting import quoted
from data_prep.reading import extension, stem
from data_prep.result_files import label_colour
from data_prep.scans import masks_without_row, scan_of_file
from monai_hybrid.dicom_border import SERIES
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.gallery.dicom_cases import DicomCase, Export, dicom_folder, unknown
from monai_hybrid.model_card import read_card
from monai_hybrid.setting_checks import model_in

TABLE = "quality.csv"
DIGEST = "image_digest"
# Columns that are no numbers to show.
PLAIN = ("case_id", "status", "flag", "error", "image", DIGEST, "mask", "model", "model_digest", "made_from", "precision")
WORST_FIRST = "entropy_foreground"
SEVERAL = "its channels are several DICOM series, which this page does not show"
WITHOUT_ROW = "a mask without a row in quality.csv: a run was killed between the two; predict its image again"
SPLITS = ("training", "validation", "testing")
LARGEST_TABLE = 2**26  # bytes
DRAWN = 255  # values of a voxel while it is drawn, and one that says: unknown


@dataclass(frozen=True)
class Label:
    """A structure: class index, value in the files, name, colour."""

    index: int
    value: int
    name: str
    colour: str


@dataclass(frozen=True)
class Case:
    """One case. `note` says why it cannot be shown, "" when it can; `numbers` are the columns of quality, as text.

    `made_from` is the file that a mask comes from, where the page shows another form of it. Of a DICOM series the files of
    `images` and `mask` are there once `dicom.written()` was called.
    """

    case_id: str
    images: tuple[Path, ...] = ()
    mask: Path | None = None
    flag: str = ""
    note: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    patient: str = ""
    dicom: DicomCase | None = None
    made_from: Path | None = None


@dataclass(frozen=True)
class Collection:
    """All that a folder shows.

    Attributes:
        folder: the folder given.
        predicted: whether the masks are predictions; else they are the labels of a data set.
        labels: background first.
        columns: of quality, in the order of the table.
        cases: those to look at first come first.
        channels: names, in the order of the files.
        colour: which colours of a picture are the channels; None: grey.
        model: whose masks they are, where it is known.
    """

    folder: Path
    predicted: bool
    labels: tuple[Label, ...]
    columns: tuple[str, ...]
    cases: tuple[Case, ...]
    channels: tuple[str, ...] = ("image",)
    colour: tuple[str, ...] | None = None
    model: Path | None = None


@dataclass(frozen=True)
class _Run:
    """What the rows of a prediction's table share; attributes as of `Collection`.

    Attributes:
        images: where the images lie, if somebody said so.
        export: where the series of a prediction of DICOM lie.
    """

    folder: Path
    images: Path | None
    export: Export
    labels: tuple[Label, ...]
    channels: tuple[str, ...]
    columns: tuple[str, ...]


def read_collection(folder: Path, images: Path | None = None, model: Path | None = None) -> Collection:
    """Read what `predict` or `build` has left in a folder.

    Args:
        folder: output of `predict`, or a prepared data set.
        images: where the images lie: when they are not where the table says, or when it does not show that it knows them.
            Without it an image outside `folder` is shown only if it is the one that the table has the digest of: a table of
            a stranger may name any file of this machine, and has not read it.
        model: whose masks they are; None: the one that the run names.

    Raises:
        ConfigError: neither of the two.
        DataError, ModelFileError: a damaged table, list or model.
    """
    folder, images = at_home(folder), None if images is None else at_home(images)
    if (folder / TABLE).is_file():
        return _prediction(folder, images, model)
    if (folder / "datalist.json").is_file():
        return _prepared(folder, model)
    if folder.exists() and holds_dicom(folder):
        there, masks = quoted(folder), free(MASKS)
        raise ConfigError(
            f"{folder}: DICOM; the page shows what predict or build made of it. Type: monai-hybrid predict {there} "
            f"--model MODEL --output {masks}, then monai-hybrid view {masks}"
        )
    if (folder / "models").is_dir():  # of a training
        there = quoted(folder)
        raise ConfigError(
            f"{folder}: a training, which has no masks to look at; a page of it: monai-hybrid report {there}; masks, with your "
            f"scans for IMAGES: monai-hybrid predict IMAGES --model {there} --output {free(MASKS)}"
        )
    raise ConfigError(
        f"{folder}: neither {TABLE} nor datalist.json is in it; expected the output of monai-hybrid predict, or a prepared "
        f"data set. Type: monai-hybrid build {quoted(folder)} --output {free(PREPARED)}"
    )


def _prediction(folder: Path, images: Path | None, model: Path | None) -> Collection:
    rows = _rows(folder / TABLE)
    names = [name.removeprefix("volume_") for name in rows[0] if name.startswith("volume_")] if rows else []
    model = model or _model_of_run(folder)
    card = _card(model)
    labels = _labels(folder, names, card)
    channels = tuple(str(name) for name in (card or {}).get("channels", ("image",)))
    columns = tuple(name for name in (rows[0] if rows else ()) if name not in PLAIN and name != "unit")
    export = Export(dicom_folder(_settings_of_run(folder), images), trusted=images is not None)
    run = _Run(folder, images, export, labels, channels, columns)
    cases = [_case(row, run) for row in rows]
    colour = (card or {}).get("colour")
    alone = masks_without_row(folder, rows)
    cases += [Case(stem(mask), note=WITHOUT_ROW, flag=WITHOUT_ROW) for mask in alone]
    ordered = tuple(sorted(cases, key=_urgency))
    return Collection(folder, True, labels, columns, ordered, channels, tuple(colour) if colour else None, model)


def read_table(path: Path) -> list[dict[str, str]]:
    """The table of a prediction run; its columns are its own.

    Raises:
        DataError: no table, or rows of different lengths.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        rows = [restored_row(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a table in UTF-8 ({error}); predict again") from error
    if any(None in row or None in row.values() for row in rows):
        raise DataError(f"{path}: a row has more or fewer cells than the heading; predict again")
    return rows


def _rows(path: Path) -> list[dict[str, str]]:
    if path.stat().st_size > LARGEST_TABLE:
        raise DataError(f"{path}: {path.stat().st_size / 1e6:.0f} MB; expected a table with a row for each case. Predict again")
    rows = read_table(path)
    if rows and not {"case_id", "status", "mask", "image"} <= set(rows[0]):
        raise DataError(f"{path}: no column case_id, status, mask or image; predict again")
    return rows


def _settings_of_run(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    content = load_json(path) if path.is_file() else {}
    settings = content.get("settings") if isinstance(content, dict) else None
    return settings if isinstance(settings, dict) else {}


def _model_of_run(folder: Path) -> Path | None:
    """The model that `run.json` names, when it is still there."""
    named = _settings_of_run(folder).get("model")
    model = _at_home(named) if isinstance(named, str) and named else None
    return model.absolute() if model is not None and _is_file(model) else None


def _card(model: Path | None) -> dict[str, Any] | None:
    if model is None:
        return None
    file = model_in(model) or model
    if not file.is_file():
        raise ModelFileError(f"--model {model}: no such model. Give the folder of a run, or its models/model.pt")
    return read_card(file)


def _labels(folder: Path, names: Sequence[str], card: Mapping[str, Any] | None) -> tuple[Label, ...]:
    """By the file beside the masks, by the model's card; else by the columns of the table, their values counted from 1."""
    told = read_label_file(folder / LABEL_FILE)
    if told and [name for _, name in told][1:] == [plain_name(name) for name in names]:
        return coloured([(0, "background"), *((value, name) for (value, _), name in zip(told[1:], names, strict=True))], folder)
    if card is not None and [str(label["name"]) for label in card["labels"]][1:] == list(names):
        return coloured([(int(label["value"]), str(label["name"])) for label in card["labels"]], folder)
    return coloured([(0, "background"), *enumerate(names, 1)], folder)


def coloured(values: Sequence[tuple[int, str]], folder: Path) -> tuple[Label, ...]:
    """Labels with the colours of all tables and pictures of this project.

    Raises:
        DataError: more labels than can be drawn.
    """
    if len(values) > DRAWN:
        raise DataError(f"{folder}: {len(values)} labels; expected at most {DRAWN}, as many as can be drawn")
    return tuple(Label(index, value, name, label_colour(index)) for index, (value, name) in enumerate(values))


def _case(row: Mapping[str, str], run: _Run) -> Case:
    numbers = {name: row[name] for name in run.columns}
    if row["status"] != "done":
        return Case(row["case_id"], flag=row.get("error") or "not predicted", note="no mask was predicted", numbers=numbers)
    unit = row.get("unit", "")
    numbers |= {name: f"{text} {unit}".strip() for name, text in numbers.items() if name.startswith("volume_")}
    case = Case(row["case_id"], flag=row.get("flag", ""), numbers=numbers)
    mask = inside(run.folder, row["mask"])
    return (_of_series if row["image"].startswith("DICOM ") else _of_files)(case, row, mask, run)


def _of_files(case: Case, row: Mapping[str, str], mask: Path | None, run: _Run) -> Case:
    images, note = _images_of(row, run.folder, run.images, run.channels)
    if mask is None:
        note = note or f"its mask is not in the folder: {row['mask'] or 'none'}"
    elif extension(mask) is None:
        note = note or "its mask is DICOM-SEG, which this page does not show. Predict again with --also-nifti True"
    return replace(case, images=images, mask=mask, note=note)


def _of_series(case: Case, row: Mapping[str, str], seg: Path | None, run: _Run) -> Case:
    """A case of DICOM; its image and mask are made of the series and the DICOM-SEG when they are asked for."""
    case = replace(case, patient=case.case_id.rpartition("_")[0])
    note = _why_no_series(row, seg, run)
    if note or seg is None:
        return replace(case, note=note)
    one = DicomCase(run.export, case.case_id, seg, run.labels, row.get(DIGEST, ""))
    return replace(case, images=(one.image,), mask=one.mask, dicom=one, made_from=seg)


def _why_no_series(row: Mapping[str, str], seg: Path | None, run: _Run) -> str:
    """Why a case of DICOM cannot be shown; "" where it can."""
    if not SERIES.fullmatch(row["case_id"]):  # it is to be the name of a file
        return "no DICOM series can have this name; predict again"
    if seg is None or extension(seg) is not None:
        return f"its DICOM-SEG is not in the folder: {row['mask'] or 'none'}"
    if len(run.channels) > 1:
        return SEVERAL
    if run.export.reason:
        return run.export.reason
    return "" if run.export.trusted or row.get(DIGEST) else unknown(run.export.folder)


def _images_of(
    row: Mapping[str, str], folder: Path, images: Path | None, channels: Sequence[str]
) -> tuple[tuple[Path, ...], str]:
    """The files of a case, or why there are none; the table names the first."""
    text = row["image"]
    named = _at_home(text.replace("\\", "/"))
    places = [named] if named.is_absolute() else [Path.cwd() / named, folder / named, folder.parent / named]
    if images is not None:
        places = [*(place for place in places if lies_below(images, place)), images / named.name]
    file = next((place for place in places if _is_file(place) and extension(place)), None)
    if not text or file is None:
        return (), f"its image is not there: {text or 'none'}. Add --images FOLDER, where it lies now"
    files = scan_of_file(file, channels).files
    if images is not None or all(lies_below(folder, one) for one in files):
        return files, ""
    if (digest := joint_digest(files)) and digest == row.get(DIGEST):
        return files, ""
    return (), unknown(file.parent)


def _at_home(text: str) -> Path:
    """A path, with a home folder for a tilde; the text as it is where it names nobody."""
    try:
        return at_home(text)
    except ConfigError:
        return Path(text)


def _is_file(path: Path) -> bool:
    """Whether there is a file; no where the text can be no path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def inside(folder: Path, name: str) -> Path | None:
    """A file below `folder` by a name from a table; None where it is not there, or where a path or a link leads outwards."""
    if not name or Path(name).is_absolute():
        return None
    path = folder / name
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return path if real.is_file() and real.is_relative_to(folder.resolve()) else None


def _urgency(case: Case) -> tuple[bool, float, str]:
    """Flagged cases first, then the least sure, then by name."""
    return not case.flag, -(number_in(case.numbers.get(WORST_FIRST, "")) or 0.0), case.case_id


def _prepared(folder: Path, model: Path | None) -> Collection:
    lists, about = read_datalist(folder), read_dataset(folder)
    ignore = about.get("ignore_value")  # shown, painted and saved like a class, so that nothing becomes background unasked
    values = [(int(label["value"]), str(label["name"])) for label in about["labels"]]
    labels = coloured([*values, *([(int(ignore), IGNORE)] if ignore is not None else [])], folder)
    cases = []
    for split in SPLITS:
        for entry in lists[split]:
            one = case_of(entry)
            files = (*one.images, one.label) if one.label else one.images
            gone = next((file for file in files if not file.is_file()), None)
            note = "" if gone is None else f"one of its files is not there: {gone}"
            numbers = {"split": split, "patient": one.patient}
            cases.append(Case(one.case_id, one.images, one.label, "", note, numbers, one.patient))
    channels = tuple(str(channel) for channel in about["channels"])
    colour = tuple(about["colour"]) if about.get("colour") else None
    _card(model)  # refuses one that is named and is not there
    return Collection(folder, False, labels, ("split", "patient"), tuple(cases), channels, colour, model)
