"""Is this still the same run? Settings, plan and cases of a checkpoint against those of now, differences named."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from data_prep.amounts import few
from data_prep.known_files import edges
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.losses.objectives import Objective
from monai_hybrid.runs.earlier_steps import COUNTED, as_now
from monai_hybrid.settings import FREE
from monai_hybrid.weights import checksum, load_weights

# Beside the settings that may change: what a run does around its training, not what it trains.
SECTIONS = frozenset({"imports", "initialize", "run", "finalize", "writer", "card"})
# Handlers that only watch and write: what they are told changes no weight.
WATCHERS = ("Progress", "CaseProgress", "WeightsSaver", "TrainingPictures", "TrainingLog", "ListedOutput", "NamedScores")
FOLLOWERS = ("TeachingRamp", "LastUpdate")  # handlers told nothing that a setting does not say already
SHOWN = 8
START = "pretrained"
ABSENT = "absent"
CLEAN_SHARE = "of the labelled samples"  # what `clean_fraction` is a share of; before this was saved, of the whole batch
logger = logging.getLogger("monai_hybrid.checkpoint")


def flat(tree: Any, name: str = "") -> dict[str, str]:
    """A tree of dicts as {"a#b": value as JSON}; lists of plain values are one value."""
    if isinstance(tree, Mapping):
        return {k: v for key, sub in tree.items() for k, v in flat(sub, f"{name}#{key}" if name else str(key)).items()}
    if isinstance(tree, list) and any(isinstance(item, Mapping) for item in tree):
        return flat(dict(enumerate(tree)), name)
    return {name: json.dumps(tree, default=str)}


def lasting(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that make a run what it is: a configuration, flat, without the names that may change."""
    kept = {name: value for name, value in config.items() if name not in FREE | SECTIONS and not name.startswith("_")}
    return {name: value for name, value in flat(kept).items() if not name.rsplit("#", 1)[-1].startswith("_desc_")}


def without_watchers(settings: Mapping[str, str]) -> dict[str, str]:
    """Flat settings without those of handlers that only watch, so that a newer version may tell more and still go on."""
    end = "#_target_"
    apart = [
        name.removesuffix(end) + "#"
        for name, value in settings.items()
        if name.endswith(end) and "handlers#" in name and value.strip('"').rsplit(".", 1)[-1] in (*WATCHERS, *FOLLOWERS)
    ]
    return {
        name: value
        for name, value in settings.items()
        if not name.startswith(tuple(apart)) and not (name.endswith("handlers") and value == "[]")
    }


def describe_cases(cases: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """[case_id, digest of its files] in order. Paths do not count: a data set may move."""
    return [[str(case.get("case_id", i)), _digest(case)] for i, case in enumerate(cases)]


def _digest(case: Mapping[str, Any]) -> str:
    """Of name, size, first and last 64 KiB of each file: seconds even for a large data set."""
    sha = hashlib.sha256()
    for key in ("image", "label"):
        files = case.get(key, [])
        for file in files if isinstance(files, (list, tuple)) else [files]:
            sha.update(key.encode())
            if isinstance(file, (str, Path)) and Path(file).is_file():
                sha.update(edges(Path(file)))
    return sha.hexdigest()[:16]


def refuse_other_settings(saved: Mapping[str, str], now: Mapping[str, str], where: Path) -> None:
    """Compare settings, or plans, as `lasting` and `flat` give them.

    Raises:
        ConfigError: with each difference as "name: saved -> now".
    """
    if COUNTED in saved and COUNTED not in now and saved.get("accumulation_steps", "1") != "1":
        raise ConfigError(
            f"resume: {where} is of a version whose updates were single batches, whatever --accumulation_steps said; now "
            f"{saved['accumulation_steps']} batches are one update. Give another --output_dir for a new run"
        )
    now = without_watchers(now)
    saved = as_now(without_watchers(saved), now)
    names = sorted(n for n in saved.keys() | now.keys() if saved.get(n) != now.get(n))
    if names:
        told = few([f"{n}: {saved.get(n, ABSENT)} -> {now.get(n, ABSENT)}" for n in names], SHOWN, "; ")
        raise ConfigError(
            f"resume: {where} was made with other settings: {told} (saved -> now). "
            "Give the saved values, or another --output_dir for a new run"
        )


def moved_model(state: Mapping[str, Any], now: Mapping[str, str]) -> dict[str, str]:
    """Saved settings, with the path of now where the model there has the weights of then, as after a new installation.

    Args:
        state: the checkpoint.
        now: settings of now, as `lasting` gives them.
    """
    saved: dict[str, str] = dict(state["settings"])
    if state.get("model") is None or saved.get(START) == now.get(START, "null"):
        return saved
    path = json.loads(now.get(START, "null"))
    with suppress(ModelFileError, OSError):
        if isinstance(path, str) and checksum(load_weights(path)) == state["model"]:
            saved[START] = now[START]
    return saved


def refuse_other_cases(saved: Sequence[Sequence[str]], now: Sequence[Sequence[str]], where: Path) -> None:
    """Compare the training cases as `describe_cases` gives them.

    Raises:
        DataError: with the cases that are gone, new, changed, or the order that is another.
    """
    was, is_now = ({case[0]: case[1] for case in cases} for cases in (saved, now))
    told = [
        f"{what} {few(names, SHOWN)}"
        for what, names in (
            ("gone:", [n for n in was if n not in is_now]),
            ("new:", [n for n in is_now if n not in was]),
            ("with other files:", [n for n in was if n in is_now and was[n] != is_now[n]]),
        )
        if names
    ]
    if not told and [s[0] for s in saved] != [n[0] for n in now]:
        told = ["the same cases in another order"]
    if told:
        raise DataError(
            f"resume: {where} was trained on {len(saved)} cases, the data list now has {len(now)}: {'; '.join(told)}. "
            "Restore the data list, or give another --output_dir for a new run"
        )


def refuse_another_model(saved: str | None, now: str | None, file: str, where: Path) -> None:
    """Compare the weights of the model that a run starts from or learns from; a path may hold another file by now.

    Args:
        saved: its checksum in the checkpoint (`weights.checksum`); None in one of an earlier version.
        now: of today.
        file: the model.
        where: the checkpoint.

    Raises:
        ConfigError: they differ.
    """
    if saved is not None and saved != now:
        raise ConfigError(
            f"resume: {where} was made with another model: the weights in {file} are others by now (sha256 {saved[:12]} -> "
            f"{str(now)[:12]}). Put that model back, or give another --output_dir for a new run"
        )


def refuse_another_run(
    state: Mapping[str, Any],
    path: Path,
    cases: Sequence[Sequence[str]],
    plan: Mapping[str, str],
    model: tuple[str, str | None] | None = None,
) -> None:
    """Compare what a checkpoint says of its run with the run of now, but for the settings.

    Args:
        state, path: the checkpoint.
        cases, plan: of now, as `describe_cases` and `flat` give them.
        model: file that the run starts from or learns from, and the checksum of its weights; None: none.

    Raises:
        ConfigError, DataError: they differ.
    """
    refuse_other_cases(state["cases"], cases, path)  # first: other data may have brought another model with them
    if model:
        refuse_another_model(state.get("model"), model[1], model[0], path)
    refuse_other_settings(_named("plan", state["plan"]), _named("plan", plan), path)


def _named(name: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"{name}#{key}": value for key, value in values.items()}


def tell_of_another_draw(saved: str | None, objective: Objective, cases: Sequence[Mapping[str, Any]], where: Path) -> None:
    """Warn when the updates before the checkpoint drew clean inputs by another law, which shows where images have no label.

    Args:
        saved: the checkpoint's `CLEAN_SHARE`; None in one that is older than the word.
        objective: of the run; only one that mixes clean and noisy labelled samples knows the difference.
        cases: the training cases, some perhaps without "label".
        where: the checkpoint.
    """
    mixes = not objective.two_pass and 0 < objective.clean_fraction < 1
    if saved != CLEAN_SHARE and mixes and any("label" not in case for case in cases):
        logger.warning(
            "%s: made when clean_fraction was a share of the whole batch; from here on it is one %s, so the end is not the one "
            "that the older version would have reached. For one law throughout: another --output_dir, without --resume",
            *(where, CLEAN_SHARE),
        )
