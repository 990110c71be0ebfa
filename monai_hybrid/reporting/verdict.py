"""What the numbers say, in one sentence, and what a careful reader should hold against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.amounts import few, plural
from monai_hybrid.evaluation.case_table import Row
from monai_hybrid.evaluation.comparison import Difference, compare
from monai_hybrid.evaluation.status import INVENTED, MISSED
from monai_hybrid.evaluation.summary import ALL, within_case
from monai_hybrid.reporting.inputs import Evaluation, Inputs
from monai_hybrid.reporting.shared_flags import said_once

FEW = 5
SLACK_SECONDS = 5
ORDERS = {  # of scans to label, in words
    "random": "a random draw",
    "typical": "of each group of similar scans the one in the middle, the largest group first",
    "spread": "the scan least like all before it first",
    "error": "the scan that the model denoises worst first",
    "entropy": "the scan in whose foreground the model is least sure first",
    "dice": "the scan with the lowest predicted Dice first",
}


@dataclass(frozen=True)
class Comparison:
    """Another run on the same cases: its evaluation, and the difference of the main run's mean Dice to it."""

    name: str
    other: Evaluation
    dice: Difference


def comparisons(inputs: Inputs) -> list[Comparison]:
    """The paired differences, main run minus the other.

    Raises:
        DataError: other cases, labels or settings.
    """
    found = []
    for name, other in inputs.compare.items():
        assert inputs.evaluation is not None
        differences = compare(other.folder, inputs.evaluation.folder)
        found.append(Comparison(name, other, next(d for d in differences if (d.metric, d.name) == ("dice", ALL))))
    return found


def dice_by_case(rows: Sequence[Row], metric: str = "dice") -> dict[str, float]:
    """Mean over the structures of each case that has any; the order of the table."""
    return within_case([row for row in rows if row.get(metric) is not None], metric)


def of_tests(evaluation: Evaluation) -> bool:
    """Whether these are test cases; an older evaluation, which does not say its split, has no others."""
    return evaluation.about.get("split") in (None, "", "testing")


def verdict(inputs: Inputs, against: Sequence[Comparison]) -> str:
    """The result in one sentence, with its numbers and the number of cases."""
    if inputs.of_predictions_alone:
        return predicted_sentence(inputs.quality)
    if inputs.of_suggestions_alone:
        return suggested_sentence(inputs.suggestion or {})
    if inputs.evaluation is None:
        return "This folder holds no evaluation, so nothing can be said about how well the model segments."
    scores = inputs.evaluation.scores["dice"][ALL]
    if scores["mean"] is None:
        return f"None of the {plural(scores['cases'], 'case')} has any of the structures: there is nothing to score."
    unsure = scores["patients"] < FEW
    on = plural(scores["n"], "case") + (
        f" of {plural(scores['patients'], 'patient')}" if scores["patients"] < scores["n"] else ""
    )
    head = f"Mean Dice {scores['mean']:.2f} on {'only ' if unsure else ''}{on} "
    if scores["interval"]:
        head += f"(95 % interval {span(scores['interval'], 2)}{', a rough guide at most' if unsure else ''})"
    else:
        head += "(no interval: one patient has no spread)"
    return ", ".join([head, *(_against(c) for c in against[:1])]) + _structures(scores) + "."


def predicted_sentence(rows: Sequence[Mapping[str, str]]) -> str:
    """How many cases, how many of them to look at."""
    done = [row for row in rows if row.get("status", "done") == "done"]
    flagged = sum(bool(row.get("flag")) for row in done)
    failed = len(rows) - len(done)
    parts = [f"{plural(len(done), 'case')} predicted, {flagged or 'none'} of them flagged"]
    parts += [f"{failed} failed"] if failed else []
    if any(row.get("predicted_dice") for row in done):
        return ", ".join(parts) + ". There are no references, so Dice is not measured: what stands below is predicted."
    return ", ".join(parts) + ". Without references nothing can be said about how well the model segments."


def suggested_sentence(content: Mapping[str, Any]) -> str:
    """Which scans to label next, of how many, and how they were chosen."""
    chosen, scans = list(map(str, content["suggested"])), content["scans"]
    how = ORDERS.get(content["order"], str(content["order"]))
    return f"To label next: {few(chosen, 6)}, of {plural(len(scans), 'scan')} without a label ({how})."


def _against(of: Comparison) -> str:
    d = of.dice
    run = f"the run “{of.name}” ({d.mean_a:.2f}; "
    by = f"{abs(d.difference):.2f} {'higher' if d.difference > 0 else 'lower'} than {run}"
    if d.interval is None:
        return f"{by}a single pair)"
    if d.interval[0] <= 0 <= d.interval[1]:
        return f"not clearly different from {run}difference {signed(d.difference, 2)}, {signed_span(d.interval)})"
    return f"{by}{signed_span(d.interval)} of the difference)"


def _structures(scores: Mapping[str, Any]) -> str:
    missed, invented = scores["missed"], scores["invented"]
    if not missed and not invented:
        return "; no structure was missed or invented"
    told = [f"{count} {what}" for count, what in ((missed, MISSED), (invented, INVENTED)) if count]
    return "; " + " and ".join(told) + f" structure{'s' if missed + invented > 1 else ''}"


def cautions(inputs: Inputs, against: Sequence[Comparison]) -> list[str]:
    """What speaks against trusting the numbers, the gravest first."""
    told: list[str] = []
    evaluation = inputs.evaluation
    if evaluation is not None:
        told += _of_learned(inputs, evaluation)
        told += _of_structures(evaluation.rows) + _of_size(evaluation) + _of_files(inputs, evaluation)
        told += [sentence for c in against for sentence in _of_comparison(c, evaluation.scored)]
        told += _of_forgetting(evaluation) + _of_shift(evaluation)
    runs = {"training": inputs.training and inputs.training.run, "evaluation": evaluation and evaluation.run}
    for what, run in {**runs, "prediction": inputs.prediction}.items():
        if run and run.get("outcome") == "failed":
            told.append(f"The last {what} run in this folder ended with an error: its files may be of an unfinished run.")
    told += [*said_once(inputs.quality), *strange_batch(inputs.trust)]
    told += [f"Transfer: {text}" for text in ((inputs.training and inputs.training.transfer) or {}).get("warnings", [])]
    return told


def strange_batch(trust: Mapping[str, Any] | None) -> list[str]:
    """What `trust.json` says of masks that are strange as a whole."""
    said = str(((trust or {}).get("batch") or {}).get("said") or "")
    return [f"{said[:1].upper()}{said[1:]}."] if said else []


def _of_structures(rows: Sequence[Row], shown: int = 6) -> list[str]:
    told = []
    for status, what in ((MISSED, "Missed entirely"), (INVENTED, "Invented (not in the reference)")):
        names = [f"{row['class']} in {row['case_id']}" for row in rows if row["status"] == status]
        told += [f"{what}: {few(names, shown)}."] * bool(names)
    return told


def _of_learned(inputs: Inputs, evaluation: Evaluation) -> list[str]:
    """Cases of the training: known where the run says which it learnt from, else possible."""
    if evaluation.about.get("masks"):
        return []
    shots = (inputs.training and inputs.training.shots) or {}
    learned = set(map(str, shots["cases"])) if isinstance(shots.get("cases"), list) else set()
    scored = {str(row["case_id"]) for row in evaluation.rows}
    if known := scored & learned:
        of = f"{len(known)} of the {plural(len(scored), 'case')}" if len(known) < len(scored) else "all of these cases"
        return [f"The model learnt from {of}: their scores say nothing of new patients."]
    if evaluation.about.get("split") in ("training", "all"):
        return [
            "Cases of the split training are among these. Where the model learnt from them, scores say nothing of new patients."
        ]
    return []


def _of_size(evaluation: Evaluation) -> list[str]:
    scores = evaluation.scores["dice"]
    who = "test patient" if of_tests(evaluation) else "patient"
    # Patients, not cases: slices of one heart are no independent evidence.
    n = scores[ALL]["patients"]
    told = []
    if n < FEW:
        why = (
            "a single patient says nothing about the next one"
            if n == 1
            else "the interval is a rough guide at most, and too narrow"
        )
        told.append(f"Only {plural(n, who)}: {why}. Label at least {FEW} for a first estimate, 20 for a firm one.")
    elif n < 20:
        told.append(f"{n} {who}s: bootstrap intervals from fewer than about 20 are somewhat too narrow.")
    rare = [f"{name} ({of['n']} of {of['cases']})" for name, of in scores.items() if name != ALL and of["undefined"]]
    if rare:
        told.append(f"Not every case has every structure; its scores rest on fewer cases: {', '.join(rare)}.")
    return told


def _of_files(inputs: Inputs, evaluation: Evaluation) -> list[str]:
    """Evaluations that may belong to another model or to an older state of it."""
    told = []
    stated = (evaluation.about.get("dice") or {}).get(ALL, {}).get("mean")
    own = evaluation.scores["dice"][ALL]["mean"]
    if stated is not None and own is not None and abs(stated - own) > 1e-5:
        told.append(
            f"summary.json states a mean Dice of {stated:.3f}, but cases.csv gives {own:.3f}: this report uses cases.csv."
        )
    model = Path(str(evaluation.about.get("model") or ""))
    if not model.is_file():
        return told
    if inputs.training is None:
        unknown = model.parent.name == "models"
        return [
            *told,
            "The training of the model is left out: this evaluation does not know the file of today.",
        ] * unknown or told
    if inputs.training.folder.resolve() not in model.resolve().parents:
        return [*told, f"The evaluation is of another model ({model}) than the training shown here."]
    table = next((f for f in (evaluation.folder / "cases.csv", evaluation.folder / "dice.csv") if f.is_file()), None)
    if table is not None and model.stat().st_mtime > table.stat().st_mtime + SLACK_SECONDS:
        told.append(
            "The model file is newer than the evaluation: the numbers may be those of an earlier model. Evaluate again."
        )
    return told


def _of_comparison(of: Comparison, scored: str) -> list[str]:
    d, verb = of.dice, "are" if scored.startswith("these") else "is"
    if d.interval is not None and d.interval[1] < 0:
        return [
            f"{scored.capitalize()} {verb} worse than {of.name}: {signed(d.difference, 2)} Dice, {signed_span(d.interval)}."
        ]
    return []


def _of_forgetting(evaluation: Evaluation) -> list[str]:
    mean = (evaluation.forgetting or {}).get("mean") or {}
    interval = mean.get("interval")
    if (
        isinstance(mean.get("difference"), (int, float))
        and isinstance(interval, list)
        and interval[1] is not None
        and interval[1] < 0
    ):
        return [
            f"On the source data the model is worse than before: {signed(mean['difference'], 2)} Dice, {signed_span(interval)}."
        ]
    return []


def _of_shift(evaluation: Evaluation) -> list[str]:
    findings = (evaluation.shift or {}).get("findings") or []
    count = sum(f.get("level") == "warning" for f in findings)
    return [f"The target differs from the source in {plural(count, 'respect')} that may matter; see the shift."] * bool(count)


def span(interval: Sequence[float], digits: int) -> str:
    """ "0.71 to 0.85"."""
    return f"{interval[0]:.{digits}f} to {interval[1]:.{digits}f}"


def signed(value: float, digits: int) -> str:
    """With a sign, the minus as typography has it."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed_span(interval: Sequence[float]) -> str:
    """ "95 % interval −0.02 to +0.10"."""
    return f"95 % interval {signed(interval[0], 2)} to {signed(interval[1], 2)}"
