"""`quality.csv`: one row a case, written after every case, and the memory of what is finished."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_hybrid.errors import DataError, EnvironmentFault, ModelFileError
from monai_hybrid.prediction.flags import flag_rows
from monai_hybrid.weights import replace_file

NOTHING = "-"


class QualityTable:
    """The rows of `quality.csv` under `folder`.

    Columns: case_id; status (done, failed); flag (why to look at it, empty when nothing is odd); error; unit; volume_<label>
    in that unit; entropy_foreground, entropy_all in [0, 1]; denoising_error; precision (as set, or as chosen for the image);
    image; mask; made_from (hash of model, image, settings).

    Args:
        folder: where masks and the table go.
        labels: of the model's card: {"name", "value", "index"}, background first.
        model: the weights file; its content counts for what is finished.
        settings: what else makes a prediction another one.
        overwrite: redo finished cases.
    """

    def __init__(
        self,
        folder: str,
        labels: Sequence[Mapping[str, Any]],
        model: str,
        settings: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(folder) / "quality.csv"
        self.structures = [str(label["name"]) for label in labels][1:]
        self.model, self.settings, self.overwrite = Path(model), dict(settings or {}), overwrite
        self.rows: dict[str, dict[str, Any]] = {}
        self._basis: str | None = None

    @property
    def columns(self) -> list[str]:
        """In the order of the file."""
        volumes = [f"volume_{name}" for name in self.structures]
        tail = ["entropy_foreground", "entropy_all", "denoising_error", "precision", "image", "mask", "made_from"]
        return ["case_id", "status", "flag", "error", "unit", *volumes, *tail]

    def open(self) -> None:
        """Read the model's hash and what an earlier run left.

        Raises:
            ModelFileError: no such model.
            EnvironmentFault: the folder cannot be written.
        """
        if not self.model.is_file():
            raise ModelFileError(f"{self.model}: no such model file")
        settings = json.dumps(self.settings, sort_keys=True, default=str)
        self._basis = hashlib.sha256((file_hash(self.model) + settings).encode()).hexdigest()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            text = self.path.read_bytes().decode("utf-8", "replace") if self.path.is_file() else ""
        except OSError as error:
            raise EnvironmentFault(f"{self.path}: cannot be used ({error.strerror}); choose another --output_dir") from error
        rows = csv.DictReader(io.StringIO(text))
        self.rows = {row["case_id"]: row for row in rows} if set(self.columns) == set(rows.fieldnames or ()) else {}

    def made_from(self, case: Mapping[str, Any]) -> str:
        """Hash of everything that the prediction of a case depends on.

        Raises:
            DataError: the image cannot be read.
        """
        assert self._basis is not None, "open() comes first"
        names = [case["image"]] if isinstance(case["image"], str) else list(case["image"])
        try:
            parts = [self._basis, *[file_hash(Path(name)) for name in names]]
        except OSError as error:
            raise DataError(f"{names[0]}: cannot be read ({error.strerror}); copy it again from its origin") from error
        return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]

    def is_done(self, case_id: str, made_from: str) -> bool:
        """Whether an earlier run made this mask from the same model, image and settings, and the mask is still there."""
        row = self.rows.get(case_id)
        if self.overwrite or row is None or row["status"] != "done" or row["made_from"] != made_from:
            return False
        return bool(row["mask"]) and (self.path.parent / row["mask"]).is_file()

    def add(self, case_id: str, **values: Any) -> None:
        """Set the row of a case and write the file."""
        self.rows[case_id] = {**dict.fromkeys(self.columns, ""), "case_id": case_id, **{k: _text(v) for k, v in values.items()}}
        self.write()

    def finish(self) -> list[str]:
        """Add the flags that need all cases, write the file, and give the ids of flagged cases."""
        flag_rows(list(self.rows.values()))
        self.write()
        return [case_id for case_id, row in self.rows.items() if row["flag"] and row["status"] == "done"]

    def write(self) -> None:
        """Write all rows in one step."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(self.rows[case_id] for case_id in sorted(self.rows))
        replace_file(self.path, lambda path: path.write_bytes(text.getvalue().encode("utf-8")))


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
