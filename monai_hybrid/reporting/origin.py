"""Where a result comes from: weights taken over, commands, versions, the model's card, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.quoting import quoted
from monai_hybrid.catalogue.naming import name_of
from monai_hybrid.reporting import tables
from monai_hybrid.reporting.inputs import Inputs, Training


def transfer(content: Mapping[str, Any]) -> dict[str, Any]:
    """Share of the weights, counts of tensors, origin of labels and channels."""
    labels = {row["label"]: "new: fresh weights" if row["source"] is None else row["source"] for row in content["labels"]}
    channels = {row["channel"]: _mixture(row["input"]) for row in content["channels"]}
    return {
        "source": content["source"],
        "share": f"{100 * content['share']:.1f} %",
        "percent": round(100 * content["share"], 1),
        "taken": f"{content['taken']:,}".replace(",", " "),
        "parameters": f"{content['parameters']:,}".replace(",", " "),
        "counts": content["counts"],
        "origins": tables.mapping("Where labels and channels come from", ("Here", "In the model file"), {
            **{f"label {name}": origin for name, origin in labels.items()},
            **{f"channel {name}": origin for name, origin in channels.items()},
        }),
        "dropped": content.get("dropped_labels", []),
        "warnings": content.get("warnings", []),
    }  # fmt: skip


def _mixture(weights: Mapping[str, float]) -> str:
    return " + ".join(
        name if weight == 1 else f"{weight:.3g} \N{MULTIPLICATION SIGN} {name}" for name, weight in weights.items()
    )


def runs_made(inputs: Inputs) -> list[dict[str, Any]]:
    """Command, versions and machine of training and evaluation; the report's own command last."""
    found = []
    for name, run in (
        ("Training", inputs.training and inputs.training.run),
        ("Evaluation", inputs.evaluation and inputs.evaluation.run),
        ("Prediction", inputs.prediction),
    ):
        if run:
            found.append({"name": name, "command": run["command"], "table": tables.mapping(name, ("What", "Value"), _run(run))})
    words = [f"monai-hybrid report {quoted(inputs.folder)}"]
    words += [f"--compare {quoted(f'{name}={other.folder}')}" for name, other in inputs.compare.items()]
    words += [f"--suggestions {quoted(inputs.suggested)}"] if inputs.suggested else []
    return [*found, {"name": "This report", "command": " ".join(words), "table": None}]


def _run(run: Mapping[str, Any]) -> dict[str, str]:
    machine = run.get("machine") or {}
    cores = f"{machine['cores']} cores" if machine.get("cores") else ""
    content = {
        "Finished": f"{run.get('ended', '')} ({run.get('seconds', 0):.0f} s)"
        + ("" if run.get("outcome") == "finished" else ", with an error"),
        "Seed": run.get("seed"),
        "Machine": ", ".join(
            str(part) for part in (machine.get("gpu"), machine.get("cpu"), cores, machine.get("system")) if part
        ),
        "Versions": ", ".join(f"{name} {number}" for name, number in (run.get("versions") or {}).items()),
        "Revision": run.get("revision"),
    }
    return {name: str(value) for name, value in content.items() if value not in (None, "")}


def model(card: Mapping[str, Any]) -> tables.Table:
    """What the model file says of itself."""
    training, plan = card.get("training") or {}, card.get("plan") or {}
    content = {
        "Adapted from": name_of(str(training.get("adapted_from") or "")),
        "Distilled from": _teacher(training.get("distilled_from")),
        "Labels": ", ".join(str(label["name"]) for label in card["labels"][1:]),
        "Channels": ", ".join(str(c["name"] if isinstance(c, Mapping) else c) for c in card["channels"]),
        "Objective": training.get("objective"),
        "Weights changed": training.get("trainable"),
        "Safety stop": _stop(training.get("safety_stop")),
        "Spacing": training.get("spacing") or plan.get("spacing"),
        "Patch": training.get("patch_size") or plan.get("patch_size"),
        "Learning rate": training.get("learning_rate"),
        "Batch": training.get("batch_size"),
        "Network": ", ".join(f"{name} {value}" for name, value in card["network"].items()),
        "Created": card.get("created"),
    }
    shown = {name: value for name, value in content.items() if value not in (None, "", [])}
    return tables.mapping("The model", ("What", "Value"), shown)


def _teacher(of: Mapping[str, Any] | None) -> str:
    """The model and the beginning of its digest."""
    return f"{of.get('model')}, weights {str(of.get('sha256'))[:16]}" if of else ""


def _stop(said: Any) -> str:
    """What the safety stop of an adaptation without labels decided, and why; "" of other models."""
    if not isinstance(said, Mapping) or not isinstance(said.get("reasons"), list):
        return ""
    return f"the {said.get('kept')} model is kept: {'; '.join(map(str, said['reasons']))}"


def left_out(inputs: Inputs) -> list[tuple[str, str, str]]:
    """Section, why it is missing, what to type; of predictions or suggestions alone nothing else is expected."""
    if inputs.of_predictions_alone or inputs.of_suggestions_alone:
        return []
    e, t = inputs.evaluation, inputs.training or Training(inputs.folder)
    evaluate, adapt = (
        "monai-hybrid evaluate --data DATA --model MODEL --output FOLDER/eval",
        "monai-hybrid adapt --data DATA --model MODEL",
    )
    wanted = [
        ("scores", e, "there is no cases.csv", evaluate),
        ("comparison with other runs", inputs.compare, "none was named", "monai-hybrid report FOLDER --compare before=OTHER"),
        ("overlay pictures", e and e.slices, "there is no eval/slices", evaluate),
        ("training curves", t.history, "there is no logs/history.jsonl", adapt),
        ("cases used for adaptation", t.shots, "there is no shots.json", adapt),
        ("transfer", t.transfer, "there is no logs/transfer.json", adapt),
        ("shift", e and e.shift, "there is no eval/shift.json", f"{evaluate} --source SOURCE"),
        ("forgetting", e and e.forgetting, "there is no eval/forgetting.json", f"{evaluate} --source SOURCE"),
        (
            "quality of predictions",
            inputs.quality,
            "there is no quality.csv",
            "monai-hybrid predict IMAGES --model MODEL --output FOLDER",
        ),
        ("command and versions of the training", t.run, "there is no logs/run.json", adapt),
        ("command and versions of the evaluation", e and e.run, "there is no eval/run.json", evaluate),
    ]
    none = ("transfer", "cases used for adaptation") if t.distilled else ()  # a student takes over no weights
    return [(name, why, what) for name, there, why, what in wanted if not there and name not in none]
