"""Every result file that the program gives a name of its own, and how one is known to be ours: only such a one is replaced.

A file of the user's may have any name, `summary.json` or `dseg.tsv` too. What a file says decides, never its name alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.amounts import few
from data_prep.errors import ConfigError
from data_prep.quoting import quoted

TOOL = "monai_hybrid"  # as derivatives and pictures name the program that made them
LARGEST = 2**28  # bytes of a file that is read to know it
ABOUT = "ABOUT.txt"
HEAD = 4096  # where pictures and volumes say who made them
GZIP_MAGIC = b"\x1f\x8b"
MADE_BY = f"by {TOOL}"  # in files of a prediction
MADE_WITH = f"made with {TOOL}"  # in pictures and volumes that are no masks; masks say "by"
# Colours of Okabe and Ito: of labels in reports, and in a derivative's table of labels.
PALETTE = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
QUALITY = ("case_id", "status", "mask", "made_from")  # columns that each version of the table has
QUALITY_ALL = {
    *QUALITY,
    "flag",
    "error",
    "unit",
    "entropy_foreground",
    "entropy_all",
    "denoising_error",
    "precision",
    "test_time",
    "image",
    "image_digest",
    "model",
    "model_digest",
}
PREDICTED = ("volume_", "predicted_")  # how columns of single structures begin
STATISTICS = {"case_id", "structure", "voxels", "pixels", "volume_mm3", "volume_ml", "area_mm2"}
CASES = ("case_id", "class", "dice", "label_voxels", "pred_voxels")
CASES_ALL = {*CASES, "patient", "nsd", "hd95", "label_ml", "pred_ml", "status"}
SUGGESTION_COLUMNS = ("label_next", "case_id", "entropy_foreground", "denoising_error", "predicted_dice", "image")
EARLIER_SUGGESTION = tuple(name for name in SUGGESTION_COLUMNS if name != "predicted_dice")
Known = Callable[[Path], bool]


@dataclass(frozen=True)
class ResultFile:
    """A file that some commands write.

    Attributes:
        name: its name, or a pattern of names.
        ours: whether a regular file of that name was written by the program.
        by: what writes it: a command of data_prep, the configuration of a bundle, or "report".
        place: folder below the output folder.
    """

    name: str
    ours: Known
    by: tuple[str, ...]
    place: str = ""


def _content(path: Path, head: int | None = None) -> bytes:
    """All bytes, or the first ones; none of a file that is too large or cannot be read."""
    try:
        if head is None and path.stat().st_size > LARGEST:
            return b""
        with path.open("rb") as stream:
            return stream.read(-1 if head is None else head)
    except OSError:
        return b""


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_content(path).decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def says(*keys: str, **values: str) -> Known:
    """JSON objects with all of these keys, and texts that begin so."""

    def known(path: Path) -> bool:
        content = _json(path)
        return content.keys() >= set(keys) and all(str(content.get(k, "")).startswith(v) for k, v in values.items())

    return known


def has_columns(needed: Iterable[str], others: set[str], prefix: str | tuple[str, ...] = "\0") -> Known:
    """CSV tables with the needed columns, and no others than the known ones and those of a prefix."""

    def known(path: Path) -> bool:
        try:
            first = next(csv.reader(io.StringIO(_content(path, 65536).decode("utf-8", "replace"))), [])
        except csv.Error:  # Python 3.10 reads no NUL
            return False
        names = {name.lstrip("'") for name in first}
        return names >= set(needed) and all(name in others or name.startswith(prefix) for name in names)

    return known


def anything(path: Path) -> bool:
    """Every file: for those who have asked already whether it may be replaced, by a rule of their own."""
    return True


def begins(expression: bytes) -> Known:
    """Files whose first bytes fit an expression."""
    return lambda path: re.match(expression, _content(path, HEAD), re.DOTALL) is not None


def marked_or_beside(name: str) -> Known:
    """Pictures and volumes that say who made them; those of earlier versions do not, but their record lies beside them."""

    def known(path: Path) -> bool:
        record = path.with_name(name)
        return _marked(path) or (record.is_file() and is_ours(record))

    return known


def _marked(path: Path) -> bool:
    content = _content(path, HEAD)
    if content.startswith(GZIP_MAGIC):
        try:
            with gzip.open(path) as stream:
                content = stream.read(HEAD)
        except (OSError, EOFError, zlib.error):
            return False
    return MADE_WITH.encode() in content


def _is_run_record(path: Path) -> bool:
    content = _json(path)
    versions = content.get("versions")
    return "command" in content and isinstance(versions, dict) and TOOL in versions


def _is_shots(path: Path) -> bool:
    content = _json(path)
    return "seed" in content and all(isinstance(content.get(key), list) for key in ("patients", "cases"))


def _is_slices(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as file:
            return {"image.npy", "reference.npy", "prediction.npy"} <= set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _is_history(path: Path) -> bool:
    try:
        first = json.loads(_content(path, 2**20).split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.keys() >= {"epoch", "updates"}


def label_colour(index: int) -> str:
    """Of a label in tables and pictures: black for the background, 0."""
    return PALETTE[(index - 1) % len(PALETTE)] if index else "#000000"


def _is_label_table(path: Path) -> bool:
    """A derivative's table of labels: our columns, and our colours in their order. A table of the user's has others."""
    rows = [line.split("\t") for line in _content(path).decode("utf-8", "replace").splitlines()]
    colours = [row[2] if len(row) == 3 else "" for row in rows[1:]]
    expected = [label_colour(index) for index in range(max(1, len(colours)))]
    return rows[:1] == [["index", "name", "color"]] and colours == expected


def _is_preview(path: Path) -> bool:
    return f"preview {MADE_BY}".encode() in _content(path, HEAD)


_report = begins(rb".*?<meta name=\"generator\" content=\"monai_hybrid")
TRAIN, EVALUATE, PREDICT, SAMPLE = "train.json", "evaluate.json", "inference.json", "sample.json"
RUNS = (TRAIN, EVALUATE, PREDICT, SAMPLE)
RESULTS = (
    ResultFile("datalist.json", says("format_version", "name", "training", "validation", "testing"), ("build",)),
    ResultFile("dataset.json", says("format_version", "spatial_dims", "channels", "labels"), ("build",)),
    ResultFile("plan.json", says("format_version", "spatial_dims", "spacing", "patch_size"), ("build",)),
    ResultFile("shift.json", says("source", "target", "summary", "findings"), ("shift", EVALUATE)),
    ResultFile("shift.png", marked_or_beside("shift.json"), ("shift", EVALUATE)),
    ResultFile("nearest.json", says("target", "models"), ("nearest",)),
    ResultFile("suggestion.json", says("model", "order", "suggested", "scans"), ("suggest",)),
    ResultFile("suggestion.csv", has_columns(EARLIER_SUGGESTION, set(SUGGESTION_COLUMNS)), ("suggest",)),
    ResultFile("run.json", _is_run_record, RUNS[1:]),
    ResultFile("run.json", _is_run_record, (TRAIN,), "logs"),
    ResultFile("history.jsonl", _is_history, (TRAIN,), "logs"),
    ResultFile("pictures.png", marked_or_beside("history.jsonl"), (TRAIN,), "logs"),
    ResultFile("transfer.json", says("format_version", "source", "share", "taken"), (TRAIN,), "logs"),
    ResultFile("transfer.txt", begins(rb"weights from "), (TRAIN,), "logs"),
    ResultFile("shots.json", _is_shots, (TRAIN,)),
    ResultFile("leave_one_out.json", says("epochs", "updates", "dice", "patients"), (TRAIN,), "logs"),
    ResultFile("leave_one_out_part.json", says("of", "folds"), (TRAIN,), "logs"),
    ResultFile("fold_*.safetensors", begins(rb".{8}\{\"__metadata__\":\{.{0,300}left_out"), (TRAIN,), "logs/folds"),
    ResultFile("safety_stop.json", says("kept", "reasons", "scans", "cases"), (TRAIN,), "logs"),
    ResultFile("cases.csv", has_columns(CASES, CASES_ALL), (EVALUATE,)),
    ResultFile("summary.json", says("unit", "nsd_tolerance", "policy", "cases"), (EVALUATE,)),
    ResultFile("forgetting.json", says("source", "metric", "classes", "mean"), (EVALUATE,)),
    ResultFile("*.npz", _is_slices, (EVALUATE,), "slices"),
    ResultFile("*.npz", _is_slices, (EVALUATE,), "volumes"),
    ResultFile("quality.csv", has_columns(QUALITY, QUALITY_ALL, PREDICTED), (PREDICT,)),
    ResultFile("trust.json", says("format_version", "trust"), (PREDICT, EVALUATE)),
    ResultFile("statistics.csv", has_columns(("case_id", "structure"), STATISTICS, "mean_"), (PREDICT,)),
    ResultFile("statistics.json", says("channels", "cases", written_by=TOOL), (PREDICT,)),
    ResultFile("*_preview.png", _is_preview, (PREDICT,)),
    ResultFile("labels.txt", begins(rb"# ITK-SNAP label description, written by monai_hybrid"), ()),
    ResultFile("dseg.tsv", _is_label_table, ("bids",)),
    ResultFile("dseg.json", says(Description=f"Segmentation by {TOOL}"), ("bids",)),
    ResultFile("*_dseg.json", says("Sources", Description=f"Segmentation by {TOOL}"), ()),
    ResultFile("*_probseg.json", says("Sources", Description="Probability of each label"), ()),
    ResultFile("samples.json", says("method", "num_inference_steps", "agreement"), (SAMPLE,)),
    ResultFile("contact_sheet.png", marked_or_beside("samples.json"), (SAMPLE,)),
    ResultFile("sample_[0-9][0-9][0-9]_*", marked_or_beside("samples.json"), (SAMPLE,)),
    ResultFile("report.html", _report, ("report",)),
)
# Of a run before its first result, and of a bundle whose folder takes the results of its demonstration.
SIGNS = ("logs/log.txt", "checkpoints", "models/model.pt", "models/model.safetensors", "configs/metadata.json")
logger = logging.getLogger("data_prep.results")
# Files that a user names, by what they hold.
FINDINGS, REPORT, VERDICT = says("format_version", "path", "counts", "findings"), _report, says("like", "findings", "settings")


def is_ours(path: Path) -> bool:
    """Whether the program wrote this file, by its content; of a name that the program does not give, no."""
    return any(fnmatchcase(path.name, one.name) and one.ours(path) for one in RESULTS)


def refuse_other(path: Path, ours: Known | None = None) -> None:
    """Keep a file that is not ours.

    Args:
        path: about to be replaced.
        ours: how such a file is known, where the user chose its name; None: by its name, if that is one of ours.

    Raises:
        ConfigError: there is something at this place that the program did not write.
    """
    known = [ours] if ours is not None else [one.ours for one in RESULTS if fnmatchcase(path.name, one.name)]
    if not known or not (path.exists() or path.is_symlink()):
        return
    if not path.is_file():
        raise ConfigError(f"{path}: {kind_of(path)}, expected a file or nothing. {_remedy(path)}")
    if path.stat().st_size and not any(one(path) for one in known):
        raise ConfigError(f"{path}: is there already, was not written by monai-hybrid, and is kept. {_remedy(path)}")


def written_by(folder: Path, *by: str) -> Iterator[tuple[Path, Known]]:
    """What lies in an output folder under the names of results, and how each is known to be ours."""
    for one in RESULTS:
        place = folder / one.place
        if set(by) & set(one.by) and place.is_dir():
            yield from ((path, one.ours) for path in sorted(place.glob(one.name)))


def refuse_others(folder: Path, *by: str) -> None:
    """Before any work: refuse an output folder in which a result would replace a file of somebody else.

    A folder that holds nothing of ours is taken, and what lies there is told once.

    Raises:
        ConfigError: see `refuse_other`.
    """
    for path, _ in written_by(folder, *by):
        refuse_other(path)
    _tell(folder)


@cache
def _tell(folder: Path) -> None:
    if said := of_others(folder):
        logger.warning("%s", said)


def of_others(folder: Path) -> str:
    """What to say of a results folder in which another program, or a person, keeps files; "" for one of ours or none."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:  # not there, or told by whoever writes into it
        return ""
    if not names or any((folder / name).exists() for name in SIGNS) or _holds_results(folder):
        return ""
    there = few(names, between=", ")
    return f"{folder}: holds {there}, not written by monai-hybrid. What is there stays, and results are added beside it"


def _holds_results(folder: Path) -> bool:
    return any(one.ours(path) for one in RESULTS for path in (folder / one.place).glob(one.name) if path.is_file())


def take_folder(folder: Path, what: str, new: bool = False) -> None:
    """Make a folder of images that the program writes, or take it again; its ABOUT.txt says whose it is, also after a kill.

    Args:
        folder: in a prepared data set.
        what: is written there, in words.
        new: no version wrote there without that text, so that a data list beside it says nothing.

    Raises:
        ConfigError: it holds files, and neither that text nor a data list of ours beside it.
    """
    about, said = folder / ABOUT, f"{what}, {MADE_WITH}. A new build replaces these files.\n"
    there = folder.is_dir() and any(folder.iterdir())
    ours = about.is_file() and MADE_WITH.encode() in _content(about, HEAD)
    if (there or folder.is_file()) and not ours and (new or not is_ours(folder.parent / "datalist.json")):
        raise ConfigError(f"{folder}: is there already, was not written by monai-hybrid, and is kept. {_remedy(folder)}")
    folder.mkdir(parents=True, exist_ok=True)
    about.write_text(said, encoding="utf-8")


def kind_of(path: Path) -> str:
    """What is there in the place of a regular file."""
    if path.is_dir():
        return "a folder"
    if path.is_symlink() and not path.exists():
        return "a link to nothing"
    return "a pipe, a device or another special file"


def _remedy(path: Path) -> str:
    return f"Type: mv {quoted(path)} {quoted(f'{path}.kept')}, or give another --output"
