"""`quality.csv`: one row a case, written after every case, and the memory of what is finished."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.atomic import replace_file
from data_prep.cells import harmless, restored, restored_row
from data_prep.disk import needing
from data_prep.free_names import free
from data_prep.pointers import pointer_sentence
from data_prep.quoting import quoted
from data_prep.result_files import refuse_other
from data_prep.scans import masks_without_row
from monai_hybrid.catalogue.naming import model_path, name_of
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault, ModelFileError
from monai_hybrid.prediction.earlier import EXTRAS, Extras, told, with_extras
from monai_hybrid.prediction.flags import flag_rows

NOTHING = "-"
ADAPTED, ORIGINAL = "adapted", "original"  # weights of a mask, in the column test_time
LATER = "image_digest"  # a column that tables of earlier versions lack
TEST_TIME = "test_time"
MODEL, WEIGHTS = "model", "model_digest"  # columns: whose mask it is
LACKING = (LATER, "predicted_", TEST_TIME, MODEL)  # how columns begin that older rows may lack
logger = logging.getLogger("monai_hybrid.predict")
DIGITS = 16  # of hashes
ROW = 16_384  # bytes that a row may take: two paths, and a number a label


class QualityTable:
    """The rows of `quality.csv` under `folder`.

    Columns: case_id; status (done, failed); flag (why to look at it, empty when nothing is odd); error; unit; volume_<label>
    in that unit; entropy_foreground, entropy_all in [0, 1]; denoising_error; precision (as set, or as chosen for the image);
    image; image_digest (by which `report` and `view` know the file again); mask; model (as given) and model_digest (hash of its
    weights); made_from (hash of model, image, settings).
    Of a model whose card has "quality" also predicted_dice (mean over the structures found), predicted_dice_<label> and
    predicted_interval_<label>. With updates on each image also test_time: "adapted" or "original", the weights of the mask.

    Args:
        folder: where masks and the table go.
        labels: of the model's card: {"name", "value", "index"}, background first.
        model: the weights file, or a name of the package's models; its content counts for what is finished.
        settings: what else makes a prediction another one.
        overwrite: redo finished cases.
        quality: of the model's card; without one there are no predicted columns.
        test_time: whether there is a column of that name.
    """

    def __init__(
        self,
        folder: str,
        labels: Sequence[Mapping[str, Any]],
        model: str,
        settings: Mapping[str, Any] | None = None,
        overwrite: bool = False,
        quality: Mapping[str, Any] | None = None,
        test_time: bool = False,
    ) -> None:
        self.test_time = test_time
        self.predicts = bool((quality or {}).get("dice"))
        self.path = Path(folder) / "quality.csv"
        self.named, self.digest = name_of(str(model)), ""
        self.structures = [str(label["name"]) for label in labels][1:]
        self.model, self.overwrite = Path(model_path(model)), overwrite
        self.settings = {name: value for name, value in (settings or {}).items() if value is not None}
        self.rows: dict[str, dict[str, Any]] = {}
        self.earlier: dict[str, dict[str, Any]] = {}  # of masks that are there already
        self._lines: dict[str, str] = {}  # of rows, as they stand in the file: all but one are the same after a case
        self.extras = frozenset(name for name in EXTRAS if self.settings.get(name))
        self._bases: dict[Extras, str] = {}  # hash of weights and settings, by what lies beside the masks
        self._ways: dict[str, Extras] = {}  # of the case last asked for: the hashes that its row may have, and what they mean
        self._room: Path | None = None

    @property
    def columns(self) -> list[str]:
        """In the order of the file."""
        volumes = [f"volume_{name}" for name in self.structures]
        of = [f"predicted_{what}_{name}" for name in self.structures for what in ("dice", "interval")]
        predicted = ["predicted_dice", *of] if self.predicts else []
        which = [TEST_TIME] if self.test_time else []
        tail = ["entropy_foreground", "entropy_all", "denoising_error", "precision", "image", LATER, "mask"]
        return ["case_id", "status", "flag", "error", "unit", *volumes, *predicted, *which, *tail, MODEL, WEIGHTS, "made_from"]

    def open(self) -> None:
        """Read the model's hash and what an earlier run left.

        Raises:
            ConfigError: a table of somebody else's is there, or masks of another model that are not to be replaced.
            ModelFileError: no such model.
            EnvironmentFault: the folder cannot be written.
        """
        if not self.model.is_file():
            raise ModelFileError(f"{self.model}: no such model file")
        weights = file_hash(self.model)
        self.digest = weights[:DIGITS]
        self._bases = {extras: _basis(weights, settings) for extras, settings in with_extras(self.settings).items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_bytes().decode("utf-8", "replace") if self.path.is_file() else ""
            text = text.replace("\0", "\ufffd")  # of a torn file; csv of Python 3.10 reads no NUL
        except OSError as error:
            raise EnvironmentFault(f"{self.path}: cannot be used ({error.strerror}); choose another --output_dir") from error
        refuse_other(self.path)
        rows = csv.DictReader(io.StringIO(text))
        self.test_time |= TEST_TIME in (rows.fieldnames or ())  # rows of a run that asked for it keep what they say
        names = {restored(name) for name in rows.fieldnames or ()}
        lacking = set(self.columns) ^ names
        earlier = {row["case_id"]: {**dict.fromkeys(lacking, ""), **row} for row in map(restored_row, rows)}
        self._refuse_another_model(list(earlier.values()), {name for name in names if name.startswith("volume_")})
        self.earlier = {name: row for name, row in earlier.items() if self._mask_is_there(row)}
        ours = all(name in self.columns and name.startswith(LACKING) for name in lacking)
        self.rows = earlier if ours else {}
        self._lines.clear()

    def _refuse_another_model(self, rows: Sequence[Mapping[str, Any]], volumes: set[str]) -> None:
        """One folder holds the masks of one model, or a person takes one's masks for the other's.

        Rows of earlier versions name no model: theirs is another one if its structures are.
        """
        named = volumes == {f"volume_{name}" for name in self.structures}
        there = [row for row in rows if row["status"] == "done" or self._mask_is_there(row)]
        apart = [row for row in there if self._is_of_another(row) or not named]
        if not apart or self.overwrite:
            return
        theirs = f"{apart[0].get(MODEL)} ({apart[0].get(WEIGHTS)})" if apart[0].get(WEIGHTS) else "other structures"
        raise ConfigError(
            f"{self.path.parent}: {len(apart)} masks in it, such as that of {apart[0]['case_id']}, are of another model: "
            f"{theirs}; now given is {self.named} ({self.digest}). Type: --output_dir {quoted(free(self.path.parent))}, "
            "or --overwrite True to predict these images anew"
        )

    def _is_of_another(self, row: Mapping[str, Any]) -> bool:
        return row.get(WEIGHTS, "") not in ("", self.digest)

    @property
    def own(self) -> list[dict[str, Any]]:
        """Rows of this model, and those of earlier versions, which name none."""
        return [row for row in self.rows.values() if not self._is_of_another(row)]

    def made_from(self, case: Mapping[str, Any]) -> str:
        """Hash of everything that the prediction of a case depends on.

        Raises:
            DataError: the image cannot be read.
        """
        assert self._bases, "open() comes first"
        names = files_of(case)
        try:
            images = "".join(file_hash(Path(name)) for name in names)
        except OSError as error:
            elsewhere = next((name for name in names if pointer_sentence(Path(name))), None)
            if elsewhere is not None:
                said = pointer_sentence(Path(elsewhere))
                raise DataError(f"{elsewhere}: {said}. Type: datalad get {quoted(elsewhere)}") from error
            raise DataError(f"{names[0]}: cannot be read ({error.strerror}); copy it again from its origin") from error
        self._ways = {_joined(basis, images): extras for extras, basis in self._bases.items()}
        return _joined(self._bases[self.extras], images)

    def is_done(self, case_id: str, made_from: str) -> bool:
        """Whether an earlier run made this mask from the same model, image and settings, and the mask is still there.

        Of what lies beside the masks the earlier run may have written more.
        """
        if not self._may_stay(case_id):
            return False
        made = self._made_with(case_id, made_from)
        return made is not None and made >= self.extras

    def said(self, case_id: str, made_from: str) -> str:
        """A sentence about the mask that an earlier run made in another way, and what comes of that; "" where there is none."""
        if not self._may_stay(case_id) or self.rows[case_id]["made_from"] == made_from:
            return ""
        return told(self._made_with(case_id, made_from), self.extras, self.path.parent, self.settings)

    def fitting(self, case_id: str, made_from: str) -> Extras:
        """What lies beside a mask that this run makes anew: of `EXTRAS` its own, and those of an earlier run of the kind."""
        made = self._made_with(case_id, made_from) if self._may_stay(case_id) else None
        return self.extras | (made or frozenset())

    def made_with(self, made_from: str, extras: Extras) -> str:
        """`made_from` of the case last asked for, with these extras beside its mask."""
        return next((way for way, of in self._ways.items() if of == extras), made_from)

    def _made_with(self, case_id: str, made_from: str) -> Extras | None:
        """What the run that made a mask wrote beside it; None of another image or other settings."""
        before = self.rows[case_id]["made_from"]
        ways = self._ways if made_from in self._ways else {made_from: self.extras}
        return ways.get(before)

    def _may_stay(self, case_id: str) -> bool:
        row = self.rows.get(case_id)
        return not self.overwrite and row is not None and row["status"] == "done" and self._mask_is_there(row)

    def _mask_is_there(self, row: Mapping[str, Any]) -> bool:
        return bool(row["mask"]) and (self.path.parent / row["mask"]).is_file()

    def add(self, case_id: str, **values: Any) -> None:
        """Set the row of a case and write the file."""
        self._lines.pop(case_id, None)
        whose = {MODEL: self.named, WEIGHTS: self.digest}
        cells = {name: _text(value) for name, value in values.items()}
        self.rows[case_id] = {**dict.fromkeys(self.columns, ""), "case_id": case_id, **whose, **cells}
        self.write()

    def add_failure(self, case_id: str, reason: str) -> None:
        """Set the row of a case that got no mask. Where an earlier one lies in the folder, the row says so, and whose it is."""
        values: dict[str, Any] = {"status": "failed", "error": reason}
        before = self.earlier.get(case_id)
        if before is not None:
            whose = {name: before.get(name, "") for name in ("mask", MODEL, WEIGHTS)}
            by = f" by {whose[MODEL]}" if whose[MODEL] else ""
            values |= {**whose, "error": f"{reason}. The mask {whose['mask']} is an earlier one{by}"}
        self.add(case_id, **values)

    def seen(self, case_id: str, digest: str) -> None:
        """The image of a case that an earlier run has finished is here, with the same content."""
        if case_id in self.rows:
            self.rows[case_id] |= {LATER: digest, MODEL: self.named, WEIGHTS: self.digest}
            self._lines.pop(case_id, None)

    def finish(self) -> list[str]:
        """Add the flags that need all cases, write the file, and give the ids of flagged cases; say what rows lack."""
        flag_rows(self.own)
        self._lines.clear()
        self.write()
        self._tell_of_gaps()
        return [case_id for case_id, row in self.rows.items() if row["flag"] and row["status"] == "done"]

    def _tell_of_gaps(self) -> None:
        old = [case_id for case_id, row in self.rows.items() if row["status"] == "done" and self._lacks_prediction(row)]
        if old:
            logger.warning(
                "%s: no predicted Dice for %d of %d masks, which are older than it, such as %s; predict their images again "
                "with --overwrite True",
                *(self.path, len(old), len(self.rows), old[0]),
            )
        apart = [case_id for case_id, row in self.rows.items() if self._is_of_another(row)]
        if apart:
            logger.warning(
                "%s: %d masks are of another model still, such as that of %s (column %s): predict their images too",
                *(self.path, len(apart), apart[0], MODEL),
            )
        alone = masks_without_row(self.path.parent, self.rows.values())
        if alone:
            logger.warning(
                "%s: a mask without a row in %s, so a run was killed between the two; predict its image again (%d such)",
                *(alone[0], self.path.name, len(alone)),
            )

    def _lacks_prediction(self, row: Mapping[str, Any]) -> bool:
        return self.predicts and row.get("predicted_dice", "") == ""

    def write(self) -> None:
        """Write all rows in one step."""
        content = self._content()
        with needing(len(content), self.path):
            if self._room is None:
                replace_file(self.path, lambda path: path.write_bytes(content))
                return
            with self._room.open("r+b") as handle:
                handle.write(content)
                handle.truncate()
                handle.flush()
                os.fsync(handle.fileno())
            self._room.replace(self.path)
            self._room = None

    def reserve(self) -> None:
        """Take the room of the table with one more row, before a mask is written: then no mask is without its row.

        Raises:
            OSError: the disk is full, or the folder cannot be written; nothing is kept then.
        """
        size = len(self._content()) + ROW
        self._room = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with needing(size, self.path), self._room.open("wb") as handle:
                handle.write(bytes(size))
                handle.flush()
                os.fsync(handle.fileno())
        except OSError:
            self.free()
            raise

    def free(self) -> None:
        """Give the reserved room back."""
        if self._room is not None:
            self._room.unlink(missing_ok=True)
            self._room = None

    def _content(self) -> bytes:
        for case_id in self.rows.keys() - self._lines.keys():
            self._lines[case_id] = _line(harmless(self.rows[case_id].get(name, "")) for name in self.columns)
        head = _line(harmless(name) for name in self.columns)
        return "".join([head, *(self._lines[case_id] for case_id in sorted(self.rows))]).encode("utf-8", "backslashreplace")


def _basis(weights: str, settings: Mapping[str, Any]) -> str:
    return hashlib.sha256((weights + json.dumps(settings, sort_keys=True, default=str)).encode()).hexdigest()


def _joined(basis: str, images: str) -> str:
    return hashlib.sha256((basis + images).encode()).hexdigest()[:DIGITS]


def _line(cells: Iterable[Any]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue()


def files_of(case: Mapping[str, Any]) -> list[str]:
    """The files of a case, of its first channel first: of series of DICOM theirs."""
    several = case.get("channels") or [case["series"]] if "series" in case else []
    given = [str(file) for series in several for file in series.files] or case["image"]
    return [given] if isinstance(given, str) else list(given)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while part := handle.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def _text(value: Any) -> Any:
    if value is None:
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else value
