"""What an earlier run into the same folder left: whether its masks can stay, what to say, and what fits no mask any more."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from data_prep.result_files import is_ours
from data_prep.scans import is_own
from monai_hybrid.prediction.bids_derivative import sidecar_of
from monai_hybrid.prediction.statistics import forget
from monai_hybrid.results_folder import is_bundle_command
from monai_hybrid.runs.command_line import command_line_overrides
from monai_hybrid.runs.manifest import settings_of

# What is written beside the masks and changes none of them, and how the table's settings say that it is not asked for.
EXTRAS: Mapping[str, Any] = {
    "statistics": None, "preview": None, "also_nifti": None, "save_probabilities": False, "save_entropy": False,
}  # fmt: skip
BESIDE = {"preview": "_preview.png", "save_entropy": "_entropy.nii.gz", "save_probabilities": "_probabilities.nii.gz"}
# Beside `_dseg.nii.gz` of a BIDS derivative.
DERIVED = {"save_entropy": "_entropy.nii.gz", "save_probabilities": "_probseg.nii.gz"}
MASK = "_dseg.nii.gz"
Extras = frozenset[str]


def with_extras(settings: Mapping[str, Any]) -> dict[Extras, dict[str, Any]]:
    """The settings of a prediction with every choice of `EXTRAS`; those of now are among them as they are."""
    known = {}
    for chosen in itertools.product((False, True), repeat=len(EXTRAS)):
        names = frozenset(itertools.compress(EXTRAS, chosen))
        changed = {name: name in names for name in EXTRAS if bool(settings.get(name)) != (name in names)}
        values = {**settings, **{name: True if on else EXTRAS[name] for name, on in changed.items()}}
        known[names] = {name: value for name, value in values.items() if value is not None}
    return known


def told(made: Extras | None, asked: Extras, folder: Path, settings: Collection[str]) -> str:
    """A sentence about finished masks that were made in another way.

    Args:
        made: what lies beside them; None where they follow from other settings or images.
        asked: what is asked for now.
        folder: of the masks, with the `run.json` of the last run.
        settings: names of those that a mask follows from.
    """
    if made is not None and made >= asked:
        return f"finished masks stay, with what {_options(made - asked)} of an earlier run left beside them"
    if made is not None:
        why, kept = f"{_options(asked - made)} was not given when they were made", made - asked
        less = f"; what {_options(kept)} left of them stays" if kept else ""
    else:
        why, less = (
            _differences(folder, set(settings) - set(EXTRAS)),
            "; what lies beside their old masks is deleted, unless asked for again",
        )
    return f"finished images are predicted anew, because {why}{less}"


def _differences(folder: Path, names: Collection[str]) -> str:
    """Which settings the last run into this folder was given, and this one was not, or has others of."""
    now = command_line_overrides(sys.argv) if is_bundle_command(sys.argv) else {}
    before = settings_of(folder / "run.json")
    given = ({name: str(of[name]) for name in names if name in of} for of in (before, now))
    was, is_now = given
    apart = sorted(name for name in was.keys() | is_now.keys() if was.get(name) != is_now.get(name))
    said = [f"--{name} was {was.get(name, 'not given')} and is {is_now.get(name, 'not given')}" for name in apart]
    return ", ".join(said) if said else "their masks follow from other images or settings"


def _options(names: Collection[str]) -> str:
    return " and ".join(f"--{name} True" for name in EXTRAS if name in names)


def remove_outdated(folder: Path, output: Mapping[str, Any], fitting: Collection[str]) -> None:
    """After a mask was written: delete what lies beside it and is of another mask of the case, our own files alone.

    Args:
        folder: of the prediction.
        output: of the case: "case_id", "pred_file", and files of this run under "<key>_file" and "<key>_nifti".
        fitting: what fits the new mask: of `EXTRAS` those that this run writes, and those of an earlier run that made it alike.
    """
    case_id, mask = str(output["case_id"]), Path(str(output.get("pred_file", "")))
    new = {Path(str(file)) for key, file in output.items() if str(key).endswith(("_file", "_nifti"))}
    beside = [folder / f"{case_id}{end}" for name, end in BESIDE.items() if name not in fitting]
    if mask.name.endswith(MASK):
        stem = mask.name.removesuffix(MASK)
        beside += [mask.with_name(stem + end) for name, end in DERIVED.items() if name not in fitting]
    if mask.suffix == ".dcm" and "also_nifti" not in fitting:
        beside.append(mask.with_suffix(".nii.gz"))
    for path in set(beside) - new:
        if path.is_file() and is_own(path):
            path.unlink()
            if is_ours(sidecar := sidecar_of(path)):
                sidecar.unlink()
    if "statistics" not in fitting:
        forget(folder, case_id)
