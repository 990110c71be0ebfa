"""The last line of a command: what to type next, with the paths at hand."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from data_prep.free_names import ADAPTED, MASKS, SOURCE, free
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.setting_checks import model_in

# Of a clone.
HOW_TO = Path(__file__).parents[1] / "docs/how-to"
# Words in these lines that stand for something which nobody has named yet.
STANDS_FOR = {
    "IMAGES": "your scans",
    "TARGET": "your data set",
    "DATA": "a data set with labels",
    "OTHER": "another evaluation",
    "SCAN": "your scan",
    "SCANS": "the files of your scan, one a channel,",
    "run_exported.py": "docs/how-to/run_exported.py of the repository",
    "run_exported_pictures.py": "docs/how-to/run_exported_pictures.py of the repository, with run_exported.py beside it,",
}


def as_next(line: str) -> str:
    """The last line of a command: `Next: LINE`, or `Next, with your scans for IMAGES: LINE`; "" for an empty line."""
    words = shlex.split(line)
    named = " and ".join(f"{meaning} for {word}" for word, meaning in STANDS_FOR.items() if word in words)
    return f"Next{f', with {named}' if named else ''}: {line}" if line else ""


def after_pretrain(folder: str) -> str:
    """Adapt the model of a run."""
    return f"monai-hybrid adapt --data TARGET --model {quoted(folder)} --shots 3 --output {free(ADAPTED)}"


def after_adapt(folder: str, data: str | None) -> str:
    """Score the adapted model, on the data that it was adapted to; use it, where nobody is held out to score it on."""
    if data and not _has_test_cases(at_home(data), at_home(folder)):
        return after_evaluate(folder)
    run, given = quoted(folder), quoted(data) if data else "DATA"
    return f"monai-hybrid evaluate --data {given} --model {run} --output {quoted(folder.rstrip('/') + '/eval')}"


def _has_test_cases(data: Path, run: Path) -> bool:
    """Whether a data set holds labelled test cases: a prepared one, or a raw one that the run has prepared below itself."""
    places = (data / "datalist.json", run / "data" / data.resolve().name / "datalist.json")
    try:
        lists = json.loads(next((place for place in places if place.is_file()), places[0]).read_text(encoding="utf-8"))
        return any("label" in case for case in lists["testing"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def after_evaluate(model: str) -> str:
    """Use the model."""
    return f"monai-hybrid predict IMAGES --model {quoted(model)} --output {free(MASKS)}"


def after_masks(folder: str) -> str:
    """Set the scores of masks against those of a model."""
    return f"monai-hybrid compare {quoted(folder)} OTHER"


def after_suggest(data: str, model: str) -> str:
    """Masks of all scans that were looked at, to correct those that were chosen; of a prepared data set its training cases."""
    split = " --split training" if (Path(data) / "datalist.json").is_file() else ""
    return f"monai-hybrid predict {quoted(data)} --model {quoted(model)}{split} --output {free(MASKS)}"


def after_predict(folder: str) -> str:
    """Look at the masks."""
    return f"monai-hybrid view {quoted(folder)}"


def after_export(file: str) -> str:
    """Use the exported file; the program for it lies in the documentation, which an installed package does not have."""
    flat, several = _takes(Path(f"{file}.json"))
    program, mask = ("run_exported_pictures.py", "mask.png") if flat else ("run_exported.py", "mask.nii.gz")
    here = HOW_TO / program
    return f"python {quoted(here) if here.is_file() else program} {quoted(file)} {mask} {'SCANS' if several else 'SCAN'}"


def _takes(sidecar: Path) -> tuple[bool, bool]:
    """Whether an exported model takes pictures, windows (1, C, X, Y), and whether a scan is several files, one a channel."""
    try:
        told = json.loads(sidecar.read_text(encoding="utf-8"))
        return len(told["model"]["input_shape"]) == 4, len(told.get("channels", [])) > 1 and not told.get("colour")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False, False


def after_report(folder: str) -> str:
    """What the run of a report is good for: masks are looked at, a model is scored and used, an evaluation is compared."""
    place = at_home(folder)
    if (place / "quality.csv").is_file():
        return after_predict(folder)
    if model_in(place) is None:
        return f"monai-hybrid compare {quoted(folder)} OTHER" if (place / "cases.csv").is_file() else ""
    if not (place / "shots.json").is_file():
        return after_pretrain(folder)
    return after_evaluate(folder) if (place / "eval/cases.csv").is_file() else after_adapt(folder, None)


def no_model(command: str) -> str:
    """What to say where `--model` was left out: which command makes one."""
    return (
        f"{command}: no model was given. Give --model runs/adapted, the folder of a run of monai-hybrid adapt or pretrain. "
        f"To make one: monai-hybrid pretrain --data DATA --output {free(SOURCE)}"
    )
