"""The handler that scores each case of an evaluation and writes `cases.csv` and `summary.json`."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.data import MetaTensor
from torch import Tensor

from data_prep.amounts import plural
from data_prep.atomic import remove_leftovers, replace_file
from data_prep.known_files import file_digest
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.case_table import Row, write_cases
from monai_hybrid.evaluation.metrics import score_case, voxel_spacing
from monai_hybrid.evaluation.named_scores import score_name
from monai_hybrid.evaluation.sharing import gather_rows
from monai_hybrid.evaluation.statistics import LEVEL, RESAMPLES, SEED
from monai_hybrid.evaluation.status import METRICS
from monai_hybrid.evaluation.summary import ALL, MODEL_DIGEST, partly_annotated, summarize
from monai_hybrid.processes import rank_and_number
from monai_hybrid.screen import write_log

logger = logging.getLogger("monai_hybrid.evaluation")
POLICY = (
    "missed or invented structure: Dice 0, NSD 0, HD95 the image's diagonal; "
    "absent from label and prediction: undefined, not in any mean"
)
PARTLY = (
    "Dice over the annotated voxels; no NSD and no HD95, since a mask that is known in part has no surface; voxels and volumes "
    "(label_voxels, label_ml, pred_voxels, pred_ml) are those of the annotated voxels alone"
)
ML_PER_MM3 = 1e-3


class EvaluationReport:
    """Score "pred" against "label" (both (1, X, Y[, Z]) class index, decollated) and report per case and class.

    Args:
        folder: where `cases.csv` and `summary.json` go.
        class_names: all K names, background first.
        nsd_tolerance: in `unit`; surfaces no farther apart than this agree.
        unit: "mm", with the spacing read from the prediction's affine; anything else ("pixels", "voxels"): 1 a voxel.
        about: what was evaluated (model, data set, split); copied into the summary.

    Raises:
        ConfigError: a tolerance that is negative or not finite.
    """

    def __init__(
        self, folder: str, class_names: Sequence[str], nsd_tolerance: float, unit: str, about: Mapping[str, Any]
    ) -> None:
        if not (math.isfinite(nsd_tolerance) and nsd_tolerance >= 0):
            raise ConfigError(f"nsd_tolerance: got {nsd_tolerance}, expected a length in {unit}, 0 or more")
        self.folder, self.class_names, self.about = Path(folder), list(class_names), dict(about)
        self.nsd_tolerance, self.unit = float(nsd_tolerance), unit
        self.rows: list[Row] = []

    def attach(self, engine: Engine) -> None:
        """Collect after each batch, write at the end."""
        engine.add_event_handler(Events.STARTED, lambda: self.rows.clear())
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        # An evaluation is one epoch, at whose end trackers read the metrics.
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.write)

    def collect(self, engine: Engine) -> None:
        """One row a class for each decollated item of the batch.

        Raises:
            DataError: a prediction that is NaN or on another grid; with the name of the case.
        """
        for item, case in zip(engine.state.output, engine.state.batch, strict=True):
            try:
                self.rows += self.score(case["case_id"], item["pred"], item["label"], case.get("patient"))
            except DataError as error:
                raise DataError(f"case {case['case_id']}: {error}") from error

    def score(self, case_id: str, pred: Tensor, label: Tensor, patient: str | None = None) -> list[Row]:
        """The rows of one case; without a patient it is one of its own.

        Lengths in `unit`; volumes in ml, empty where the files state no mm or the image is 2D.
        """
        spacing = self._spacing(pred)
        scores = score_case(pred.cpu(), label.cpu(), len(self.class_names), spacing, self.nsd_tolerance)
        ml = math.prod(spacing) * ML_PER_MM3 if self.unit == "mm" and len(spacing) == 3 else None
        rows = []
        for name, score in zip(self.class_names[1:], scores, strict=True):
            row: Row = {"case_id": case_id, "patient": patient or case_id, "class": name, **asdict(score)}
            row |= {metric: None if row[metric] is None else round(row[metric], 6) for metric in METRICS}
            row |= {f"{who}_ml": None if ml is None else _significant(row[f"{who}_voxels"] * ml) for who in ("label", "pred")}
            rows.append(row)
        return rows

    def _spacing(self, pred: Tensor) -> tuple[float, ...]:
        dims = pred.ndim - 1
        if self.unit != "mm":
            return (1.0,) * dims
        if not isinstance(pred, MetaTensor):
            raise DataError("the prediction has lost its affine, so lengths in mm are unknown")
        return voxel_spacing(torch.as_tensor(pred.affine), dims)

    def write(self, engine: Engine) -> None:
        """Gather the cases of all processes; rank 0 writes both files and logs a line a class."""
        self.rows = gather_rows(self.rows)
        if rank_and_number()[0] > 0:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_log(self.folder)
        remove_leftovers(self.folder)
        write_cases(self.rows, self.folder / "cases.csv")
        summary = self._summary()
        engine.state.metrics |= _published(summary.get("dice", {}))
        text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
        replace_file(self.folder / "summary.json", lambda path: path.write_text(text, encoding="utf-8"))
        if reason := self.about.get("nsd_tolerance_reason"):
            logger.info("NSD tolerance %g %s: %s", self.nsd_tolerance, self.unit, reason)
        for name in shown(summary.get("dice", {})):
            logger.info("%s", self.line(name, {metric: summary[metric][name] for metric in METRICS}))

    def _summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        summary = {
            **self.about,
            **_model_digest(self.about),
            "unit": self.unit,
            "nsd_tolerance": self.nsd_tolerance,
            "policy": POLICY,
            "interval": {"method": "percentile bootstrap over patients", "level": LEVEL, "resamples": RESAMPLES, "seed": SEED},
            "cases": len({row["case_id"] for row in self.rows}),
            "patients": len({row["patient"] for row in self.rows}),
            **summarize(self.rows),
        }
        if partial := partly_annotated(self.rows):
            summary["partly_annotated"] = {"cases": len(partial), "policy": PARTLY}
        return summary

    def line(self, name: str, of: Mapping[str, Mapping[str, Any]]) -> str:
        """All means of one class with what is not in them."""
        dice, nsd = (_with_interval(of[metric], 3) for metric in ("dice", "nsd"))
        hd95 = _with_interval(of["hd95"], 2, f" {self.unit}")
        d = of["dice"]
        return (
            f"{name}: Dice {dice}, NSD at {self.nsd_tolerance:g} {self.unit} {nsd}, HD95 {hd95}; "
            f"{d['n']} of {d['cases']} cases ({plural(d['patients'], 'patient')}) in the mean, "
            f"{d['undefined']} undefined, {d['missed']} missed, {d['invented']} invented"
        )


def _published(dice: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Mean Dice by the names that applications which run this evaluator read: MONAI FL, trackers."""
    means = {name: of["mean"] for name, of in dice.items() if of["mean"] is not None}
    if not means:
        return {}
    return {"val_mean_dice": means.pop(ALL), **{score_name(name): value for name, value in means.items()}}


def shown(of: Mapping[str, Any]) -> list[str]:
    """The rows that say something each: of a single structure "all" would say the same again."""
    return [name for name in of if name != ALL or len(of) != 2]


def _model_digest(about: Mapping[str, Any]) -> dict[str, str]:
    """By which a report knows the model's file again."""
    digest = file_digest(Path(str(about.get("model") or "")))
    return {MODEL_DIGEST: digest} if digest else {}


def _significant(value: float) -> float:
    """Six digits of a volume, however small: a lesion of a mouse holds 1e-5 ml."""
    return float(f"{value:.6g}")


def _with_interval(of: Mapping[str, Any], digits: int, unit: str = "") -> str:
    if of["mean"] is None:
        return "undefined"
    if of["interval"] is None:
        return f"{of['mean']:.{digits}f}{unit}"
    return f"{of['mean']:.{digits}f} [{of['interval'][0]:.{digits}f}, {of['interval'][1]:.{digits}f}]{unit}"
