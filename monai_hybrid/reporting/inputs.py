"""What a report is made of: the files that a training and an evaluation have left, read strictly, each of them optional."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.home import at_home
from data_prep.known_files import file_digest, lies_below
from data_prep.quoting import quoted
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.case_table import Row, check_rows, read_cases
from monai_hybrid.evaluation.record import read_record
from monai_hybrid.evaluation.summary import MODEL_DIGEST, summarize
from monai_hybrid.gallery.cases import read_table
from monai_hybrid.model_card import read_card
from monai_hybrid.setting_checks import is_number

EVALUATION_FOLDERS = ("eval", "evaluation", ".")
SUGGESTION, SUGGESTED = "suggestion.json", ("model", "order", "suggested", "scans")
LISTED = {  # its lists, and what each entry has
    "suggested": frozenset[str](),
    "labelled": frozenset[str](),
    "scans": frozenset({"case_id", "label_next", "entropy_foreground", "denoising_error"}),
    "failed": frozenset({"case_id", "why"}),
}
CASE_FILES = ("cases.csv", "dice.csv")


@dataclass(frozen=True)
class Evaluation:
    """An output folder of evaluate.json.

    Attributes:
        folder: where it lies.
        rows: of `cases.csv`, one a case and class.
        about: `summary.json`; empty when there is none.
        scores: metric -> class or "all" -> statistics, computed from `rows`.
        shift, forgetting, run, trust: contents of the files of these names; None when they are not there.
    """

    folder: Path
    rows: list[Row]
    about: dict[str, Any]
    scores: dict[str, dict[str, dict[str, Any]]]
    shift: dict[str, Any] | None = None
    forgetting: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    trust: dict[str, Any] | None = None

    @property
    def unit(self) -> str:
        """Of distances; "" when no summary tells."""
        return str(self.about.get("unit", ""))

    @property
    def scored(self) -> str:
        """What the scores are of."""
        return "these masks" if self.about.get("masks") else "this model"

    @property
    def classes(self) -> list[str]:
        """Structures in the order of their class index, from 1."""
        return list(dict.fromkeys(row["class"] for row in self.rows))

    @property
    def slices(self) -> dict[str, Path]:
        """File name -> picture slice; the folder's own names only, whatever a case is called."""
        found = sorted((self.folder / "slices").glob("*.npz"))
        return {path.name: path for path in found if lies_below(self.folder, path)}


@dataclass(frozen=True)
class Training:
    """An output folder of train.json; what is not there is None or empty.

    Attributes:
        folder: where it lies.
        history: records of the last run in `history.jsonl`, one an epoch.
        transfer, shots, run, card: contents of the files; the card is that of the model.
        pictures: path of `pictures.png`.
    """

    folder: Path
    history: list[dict[str, Any]] = field(default_factory=list)
    transfer: dict[str, Any] | None = None
    shots: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    card: dict[str, Any] | None = None
    pictures: Path | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing of a training was found."""
        return not (self.history or self.transfer or self.shots or self.run or self.card or self.pictures)

    @property
    def distilled(self) -> bool:
        """Whether the model learned from another one, in the place of an adaptation."""
        return bool(((self.card or {}).get("training") or {}).get("distilled_from"))


@dataclass(frozen=True)
class Inputs:
    """Everything that one report shows: `compare` maps the name of another run to its evaluation.

    `predicted` is the folder of the masks that `quality` tells of, `prediction` the record of its run, `trust` what
    lies beside them; `suggestion` is what `suggest` left,
    in the folder `suggested` where one was named.
    """

    folder: Path
    evaluation: Evaluation | None
    training: Training | None
    compare: dict[str, Evaluation]
    quality: list[dict[str, str]]
    predicted: Path | None = None
    prediction: dict[str, Any] | None = None
    trust: dict[str, Any] | None = None
    suggestion: dict[str, Any] | None = None
    suggested: Path | None = None

    @property
    def of_predictions_alone(self) -> bool:
        """Whether there is neither an evaluation nor a training."""
        return bool(self.quality) and self.evaluation is None and self.training is None

    @property
    def of_suggestions_alone(self) -> bool:
        """Whether there are only scans to label next."""
        return self.suggestion is not None and not self.quality and self.evaluation is None and self.training is None


def read_inputs(folder: Path, compare: Sequence[str] = (), suggestions: Path | None = None) -> Inputs:
    """Read a training folder, an evaluation folder or a prediction folder, and the evaluations to compare with.

    Args:
        folder: output folder of a run.
        compare: "NAME=FOLDER" each.
        suggestions: output folder of `suggest`; None: `folder` itself, where `suggestion.json` lies in it.

    Raises:
        ConfigError: `compare` without name or folder, or a name that is there twice.
        DataError: no such folder, nothing to report in it, or a damaged file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected the output_dir of a training or an evaluation")
    folders = _named(compare)
    evaluation = find_evaluation(folder)
    training = read_training(folder)
    if training.empty and evaluation is not None:
        training = _training_of(evaluation) or training
    predicted = next((place for place in (folder, folder / "predictions") if (place / "quality.csv").is_file()), None)
    quality = read_table(predicted / "quality.csv") if predicted else []
    suggestion = _suggestion(folder, suggestions)
    if evaluation is None and training.empty and not quality and suggestion is None:
        raise DataError(
            f"{folder}: nothing to report: no cases.csv, no logs/history.jsonl, no models/model.safetensors, no quality.csv, "
            "no suggestion.json; "
            "give the output_dir of `monai-hybrid adapt` or `monai-hybrid evaluate`"
        )
    others = {name: _compared(name, other) for name, other in folders.items()}
    if others and evaluation is None:
        raise DataError(f"{folder}: no cases.csv to compare with {', '.join(others)}; type: monai-hybrid evaluate")
    record, trust = (read_record(predicted / name) if predicted else None for name in ("run.json", "trust.json"))
    of_run = None if training.empty else training
    return Inputs(folder, evaluation, of_run, others, quality, predicted, record, trust, suggestion, suggestions)


def _suggestion(folder: Path, named: Path | None) -> dict[str, Any] | None:
    """What `suggest` left in a named folder, else in the run's own.

    Raises:
        DataError: the named folder has none, or the file is damaged.
    """
    path = (named or folder) / SUGGESTION
    content = read_record(path)
    if content is not None:
        _check_suggestion(content, path)
    elif named is not None:
        raise DataError(
            f"--suggestions {named}: no {SUGGESTION} there. Type: monai-hybrid suggest --data SCANS --model MODEL "
            f"--output {quoted(named)}"
        )
    return content


def _check_suggestion(content: Mapping[str, Any], path: Path) -> None:
    """Raises: DataError: an entry is missing, or has another form."""
    expected = "expected what monai-hybrid suggest --output FOLDER writes"
    if missing := [key for key in SUGGESTED if key not in content]:
        raise DataError(f"{path}: lacks {', '.join(missing)}; {expected}")
    if not isinstance(content["order"], str):
        raise DataError(f"{path}: order is no word; {expected}")
    for key, inside in LISTED.items():
        listed = content.get(key) or []
        if not isinstance(listed, list) or any(inside and not (isinstance(x, dict) and inside <= x.keys()) for x in listed):
            told = f", each with {', '.join(sorted(inside))}" if inside else ""
            raise DataError(f"{path}: {key} is no list{told}; {expected}")


def _named(compare: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for words in compare:
        name, _, folder = words.partition("=")
        if not name.strip() or not folder.strip():
            raise ConfigError(f"--compare: got {words!r}, expected NAME=FOLDER, such as before=runs/before/eval")
        if name in found:
            raise ConfigError(f"--compare: the name {name!r} is there twice; give each run its own name")
        found[name] = at_home(folder)
    return found


def _compared(name: str, folder: Path) -> Evaluation:
    evaluation = find_evaluation(folder) if folder.is_dir() else None
    if evaluation is None:
        raise DataError(f"--compare {name}: no cases.csv in {folder}; expected the output of monai-hybrid evaluate")
    return evaluation


def find_evaluation(folder: Path) -> Evaluation | None:
    """The evaluation in `folder/eval`, `folder/evaluation` or `folder` itself; None when there is none."""
    for name in EVALUATION_FOLDERS:
        if any((folder / name / file).is_file() for file in CASE_FILES):
            return read_evaluation(folder / name)
    return None


def read_evaluation(folder: Path) -> Evaluation:
    """Read `cases.csv` and what lies beside it.

    Raises:
        DataError: a damaged file, or a table without a case.
    """
    rows = read_cases(folder)
    check_rows(rows, folder / "cases.csv")
    names = ("summary", "shift", "forgetting", "run", "trust")
    about, shift, forgetting, run, trust = (read_record(folder / f"{name}.json") for name in names)
    return Evaluation(folder, rows, about or {}, summarize(rows), shift, forgetting, run, trust)


def read_training(folder: Path) -> Training:
    """Read what a training has left in `folder`; all of it may be missing.

    Raises:
        DataError, ModelFileError: a damaged file.
    """
    logs = folder / "logs"
    shots = next((found for place in (folder, logs) if (found := read_record(place / "shots.json")) is not None), None)
    pictures = logs / "pictures.png"
    return Training(
        folder,
        read_history(logs / "history.jsonl"),
        read_record(logs / "transfer.json"),
        shots,
        read_record(logs / "run.json"),
        read_card(folder / "models/model.safetensors"),
        pictures if pictures.is_file() and lies_below(folder, pictures) else None,
    )


def _training_of(evaluation: Evaluation) -> Training | None:
    """The training whose model was evaluated, when it is still where it was and this evaluation knows the model."""
    model = Path(str(evaluation.about.get("model") or ""))
    if model.parent.name != "models" or not model.is_file():
        return None
    if not lies_below(model.parent.parent, evaluation.folder) and file_digest(model) != evaluation.about.get(MODEL_DIGEST):
        return None
    training = read_training(model.parent.parent)
    return None if training.empty else training


def read_history(path: Path) -> list[dict[str, Any]]:
    """The records of the last run in `history.jsonl`: a second run into the same folder writes on, from epoch 1 again.

    Raises:
        DataError: a line that is no record.
    """
    if not path.is_file():
        return []
    records: list[dict[str, Any]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file in UTF-8; train again, or move it away") from error
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            epoch = record["epoch"]
            if not is_number(epoch):
                raise ValueError(f"epoch {epoch!r}")
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not a record of a training; delete that line") from error
        if records and epoch <= records[-1]["epoch"]:
            records.clear()
        records.append(record)
    return records
