"""`report.html`: one file that opens anywhere, without a network, and says how far its result can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, UndefinedError

from data_prep.amounts import plural
from data_prep.json_io import write_atomically
from data_prep.known_files import lies_below
from data_prep.naming import keep_key_out
from data_prep.result_files import REPORT, label_colour, refuse_other
from monai_hybrid import __version__
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import file_name
from monai_hybrid.evaluation.chosen import best_median_worst
from monai_hybrid.evaluation.status import ABSENT
from monai_hybrid.evaluation.summary import ALL
from monai_hybrid.gallery.cases import Collection
from monai_hybrid.reporting import origin, predicted, suggested, tables, trust
from monai_hybrid.reporting.curves import curves, paired
from monai_hybrid.reporting.inputs import Evaluation, Inputs, Training, read_inputs
from monai_hybrid.reporting.overlays import cropped, panels, picture_uri, read_slice, reduced
from monai_hybrid.reporting.planes import of_evaluation, planes
from monai_hybrid.reporting.shared_flags import collection_without, rows_without, shared_flags
from monai_hybrid.reporting.verdict import (
    Comparison,
    cautions,
    comparisons,
    dice_by_case,
    of_tests,
    signed,
    signed_span,
    span,
    verdict,
)

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
# NiiVue: its script, its font and its worker come from the page itself.
PLANES_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:; "
    "connect-src blob: data:; worker-src blob:; font-src data:"
)


def write_report(
    folder: Path, compare: Sequence[str] = (), output: Path | None = None, title: str = "", viewer: bool = True,
    images: Path | None = None, suggestions: Path | None = None,
) -> Path:  # fmt: skip
    """Write the report of a training, an evaluation or a prediction folder.

    Args:
        folder: output folder of a run.
        compare: other evaluations of the same cases, "NAME=FOLDER" each.
        output: the file; None: `report.html` in `folder`.
        title: heading; "": made from the data set's name.
        viewer: show volumes in three planes; False: a small page of slices alone.
        images: where the images of a prediction lie, see `read_collection`.
        suggestions: output folder of `suggest`, see `read_inputs`.

    Returns:
        Where it was written, whole.

    Raises:
        DataError, ModelFileError: missing or damaged files.
        ConfigError: a wrong `compare`, a file that is no report is there, or the key to pseudonyms lies in `folder`.
        EnvironmentFault: the file cannot be written.
    """
    path = output or folder / "report.html"
    if output is None:
        keep_key_out(folder)
    refuse_other(path, REPORT)
    write_atomically(path, render(read_inputs(folder, compare, suggestions), title, viewer, images).encode(), REPORT)
    return path


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("monai_hybrid.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def render(inputs: Inputs, title: str = "", viewer: bool = True, images: Path | None = None) -> str:
    """The page. Every text from a file is escaped.

    Raises:
        DataError: a damaged picture or slice; files of another form than this version writes.
    """
    try:
        return _template().render(page(inputs, title, viewer, images))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, UndefinedError) as error:
        what = f"{type(error).__name__}: {error}"  # JSON of another form
        raise DataError(
            f"{inputs.folder}: a file in it has another form than this version writes ({what}); run the step that made it again"
        ) from error


def page(inputs: Inputs, title: str, viewer: bool = True, images: Path | None = None) -> dict[str, Any]:
    """Everything the template shows; a section that is None is left out."""
    against = comparisons(inputs)
    collection, why_not = predicted.collection_of(inputs.predicted, images) if inputs.predicted else (None, "")
    shared = shared_flags(inputs.quality)
    collection, quality = collection_without(collection, shared), rows_without(inputs.quality, shared)
    shown: dict[str, Any] = {
        "title": title or _title(inputs),
        "facts": _facts(inputs),
        "verdict": verdict(inputs, against),
        "cautions": cautions(inputs, against),
        **_of_evaluation(inputs.evaluation, against),
        "planes": _planes(inputs.evaluation, collection) if viewer else None,
        **_of_training(inputs.training),
        "quality": predicted.quality(quality) if quality else None,
        "predicted": predicted.pictures(collection) if collection else None,
        "not_shown": why_not,
        "suggestions": suggested.suggestions(inputs.suggestion, quality) if inputs.suggestion else None,
        "runs_made": origin.runs_made(inputs),
        "left_out": origin.left_out(inputs),
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "css": _text("report.css"),
        "js": _text("report.js"),
        "planes_js": _text("planes.js"),
    }
    policy = PLANES_POLICY if shown["planes"] else POLICY
    return {**shown, "policy": policy, "sections": _sections(shown)}


def _of_evaluation(evaluation: Evaluation | None, against: Sequence[Comparison]) -> dict[str, Any]:
    """The sections about scores."""
    names = ("structures", "runs", "paired", "pictures", "cases", "shift", "forgetting", "trust", "meaning")
    if evaluation is None:
        return {"tiles": [], **dict.fromkeys(names)}
    shift, forgetting = evaluation.shift, evaluation.forgetting
    return {
        "tiles": _tiles(evaluation, against),
        "structures": tables.structures(evaluation),
        "runs": tables.runs(evaluation.scored, evaluation, against) if against else None,
        "paired": paired(evaluation.scored, evaluation, against) if against else None,
        "pictures": _pictures(evaluation) if evaluation.slices else None,
        "cases": tables.cases(evaluation),
        "shift": {**shift, "picture": _shift_picture(evaluation)} if shift is not None else None,
        "forgetting": {"table": tables.forgetting(forgetting), **forgetting} if forgetting is not None else None,
        "trust": trust.of_evaluation(evaluation.trust) if evaluation.trust else None,
        "meaning": {
            "tolerance": evaluation.about.get("nsd_tolerance"),
            "reason": evaluation.about.get("nsd_tolerance_reason"),
            "unit": evaluation.unit or "the files' unit",
        },
    }


def _of_training(training: Training | None) -> dict[str, Any]:
    """The sections about how the model was made."""
    if training is None:
        return dict.fromkeys(("curves", "training_pictures", "shots", "distilled", "transfer", "model"))
    return {
        "curves": curves(training.history) if training.history else None,
        "training_pictures": picture_uri(training.pictures) if training.pictures else None,
        "shots": training.shots,
        "distilled": training.distilled,
        "transfer": origin.transfer(training.transfer) if training.transfer is not None else None,
        "model": origin.model(training.card) if training.card else None,
    }


def _sections(shown: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Anchor, name, and whether the section is there: the links under the verdict."""
    names = {
        "predicted": "Predictions", "structures": "Scores", "runs": "Runs", "suggestions": "Label next",
        "planes": "Planes", "pictures": "Pictures", "cases": "Cases",
        "curves": "Training",
        "shots": "Cases used", "transfer": "Transfer", "shift": "Shift", "forgetting": "Forgetting", "quality": "Quality",
        "trust": "Trust", "runs_made": "Commands", "meaning": "Meaning",
    }  # fmt: skip
    anchors = {"curves": "training", "runs_made": "made"}
    return [(anchors.get(key, key), name, bool(shown[key])) for key, name in names.items()]


def _text(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def _title(inputs: Inputs) -> str:
    if inputs.evaluation and inputs.evaluation.about.get("dataset"):
        return f"Segmentation of {inputs.evaluation.about['dataset']}"
    if inputs.training and inputs.training.card and inputs.training.card.get("source"):
        return f"Model for {inputs.training.card['source']}"
    if inputs.of_predictions_alone:
        return f"Predictions in {inputs.folder.resolve().name}"
    if inputs.of_suggestions_alone:
        return "Scans to label next"
    return "Segmentation report" if inputs.evaluation or inputs.training else "Quality of predictions"


def _facts(inputs: Inputs) -> dict[str, str]:
    """The line under the title."""
    found: dict[str, str] = {}
    if evaluation := inputs.evaluation:
        told = {"Data set": "dataset", "Masks": "masks", "Split": "split"}
        about = {name: evaluation.about.get(key) for name, key in told.items()}
        found |= {name: str(value) for name, value in about.items() if value}
        found["Test cases" if of_tests(evaluation) else "Cases"] = str(evaluation.scores["dice"][ALL]["cases"])
        found["Structures"] = str(len(evaluation.classes))
    shots = inputs.training.shots if inputs.training else None
    if inputs.of_predictions_alone:
        done = [row for row in inputs.quality if row.get("status", "done") == "done"]
        found |= {"Cases": str(len(inputs.quality)), "Flagged": str(sum(bool(row.get("flag")) for row in done))}
    if shots and isinstance(shots.get("cases"), list):
        number, patients = len(shots["cases"]), shots.get("patients")
        how = "Distilled with" if inputs.training and inputs.training.distilled else "Adapted with"
        found[how] = plural(number, "labelled case")
        if isinstance(patients, list) and len(patients) < number:
            found[how] += f" of {plural(len(patients), 'patient')}"
    run = (inputs.evaluation and inputs.evaluation.run) or (inputs.training and inputs.training.run) or inputs.prediction
    if run and run.get("ended"):
        found["Run on"] = str(run["ended"])[:10]
    return found


def _tiles(evaluation: Evaluation, against: Sequence[Comparison]) -> list[dict[str, str]]:
    """The few numbers to look at first."""
    scores = evaluation.scores["dice"][ALL]
    if scores["mean"] is None:
        return []
    by_case = dice_by_case(evaluation.rows)
    worst = min(by_case, key=lambda case: (by_case[case], case))
    interval = f"95 % interval {span(scores['interval'], 2)}" if scores["interval"] else "one case: no interval"
    tiles = [{"name": "Mean Dice", "value": f"{scores['mean']:.2f}", "note": interval}]
    for c in against[:2]:
        note = signed_span(c.dice.interval) if c.dice.interval else "a single pair"
        tiles.append(
            {
                "name": f"Against {c.name}",
                "value": signed(c.dice.difference, 2),
                "note": f"{note}; {c.name}: {c.dice.mean_a:.2f}",
            }
        )
    tiles.append({"name": "Worst case", "value": f"{by_case[worst]:.2f}", "note": worst})
    there = sum(row["status"] != ABSENT for row in evaluation.rows)
    lost = f"of {plural(there, 'structure')} in {plural(scores['cases'], 'case')}"
    tiles.append({"name": "Missed / invented", "value": f"{scores['missed']} / {scores['invented']}", "note": lost})
    return tiles


def _pictures(evaluation: Evaluation) -> dict[str, Any]:
    """Best, median and worst case: panels, scores, the legend; cases without a slice are named."""
    by_case, slices = dice_by_case(evaluation.rows), evaluation.slices
    chosen = best_median_worst(by_case) if by_case else {}
    unit = evaluation.unit if evaluation.unit in ("mm", "pixels", "voxels") else "mm"
    shown, any_cropped = [], False
    for index, (case, roles) in enumerate(chosen.items()):
        if file_name(case) not in slices:
            continue
        part, cut = cropped(read_slice(slices[file_name(case)]))
        any_cropped |= cut
        drawn = panels(reduced(part), f"scan{index}", case, evaluation.classes, unit)
        rows = [row for row in evaluation.rows if row["case_id"] == case]
        scores = [row["class"] + " " + (row["status"] if row["status"] != "ok" else f"{row['dice']:.2f}") for row in rows]
        shown.append(
            {"role": " and ".join(roles), "case": case, "dice": f"{by_case[case]:.2f}", "scores": scores, "panels": drawn}
        )
    legend = [{"name": name, "colour": label_colour(i)} for i, name in enumerate(evaluation.classes, 1)]
    missing = [case for case in chosen if file_name(case) not in slices]
    flat = evaluation.unit == "pixels"
    return {"cases": shown, "legend": legend, "missing": missing, "cropped": any_cropped, "flat": flat}


def _planes(evaluation: Evaluation | None, collection: Collection | None) -> dict[str, Any] | None:
    """Best, median, worst and flagged cases for the viewer; of predictions alone the flagged ones; None without a volume."""
    lead = "The best, the median and the worst case by mean Dice, then cases with a missed or invented structure."
    shown = planes(of_evaluation(evaluation), evaluation.classes) if evaluation else None
    if shown is None and collection is not None:
        lead = "The cases to look at first: flagged ones, else those that the model is least sure of."
        shown = planes(predicted.volumes(collection), [label.name for label in collection.labels][1:])
    return None if shown is None else {**shown, "lead": lead}


def _shift_picture(evaluation: Evaluation) -> str | None:
    """The figure that shift.json names; by its last name only, so that no other folder is read."""
    name = Path(str((evaluation.shift or {}).get("figure") or "")).name
    if not name:
        return None
    path = evaluation.folder / name
    if not path.is_file() or not lies_below(evaluation.folder, path):
        raise DataError(f"{path}: named in shift.json, but not there; evaluate again")
    return picture_uri(path)
