"""The three JSON files that the bundles read: datalist.json, dataset.json, plan.json, each held to its schema."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.atomic import remove_leftovers
from data_prep.dataset_rules import dataset_problems
from data_prep.dead_links import absent
from data_prep.errors import DataListError
from data_prep.json_io import dump_json, load_json
from data_prep.network_rules import plan_problems
from data_prep.quoting import quoted

KINDS = ("datalist", "dataset", "plan")
_LISTS = ("training", "validation", "testing")


def _remedy(folder: Path) -> str:
    return f"Type: monai-hybrid build SOURCE --output {quoted(folder)}"


def read_datalist(path: str | Path) -> dict[str, Any]:
    """datalist.json with absolute paths, resolved relative to the file; `path` may be the folder that holds it.

    Raises:
        DataListError: missing, not JSON, or against its schema.
    """
    file = _file(path, "datalist")
    content = _read(file, "datalist")
    for entry in (entry for split in _LISTS for entry in content[split]):
        for key in {"image", "label"} & set(entry):
            entry[key] = _absolute(entry[key], file.parent)
    return content


def read_dataset(path: str | Path) -> dict[str, Any]:
    """dataset.json; `path` may be the folder that holds it.

    Raises:
        DataListError: missing, not JSON, against its schema, or with labels or colours that contradict each other.
    """
    file = _file(path, "dataset")
    dataset = _read(file, "dataset")
    if problem := next(dataset_problems(dataset), None):
        raise DataListError("D502", f"{file}: $.{problem}. {_remedy(file.parent)}", str(file))
    return dataset


def read_plan(path: str | Path) -> dict[str, Any]:
    """plan.json; `path` may be the folder that holds it.

    Raises:
        DataListError: missing, not JSON, against its schema, or of numbers that contradict each other.
    """
    file = _file(path, "plan")
    plan = _read(file, "plan")
    if problem := next(plan_problems(plan), None):
        raise DataListError("D502", f"{file}: $.{problem}. {_remedy(file.parent)}", str(file))
    return plan


def write_all(folder: Path, contents: Mapping[str, Any]) -> None:
    """Check all three contents (keys: datalist, dataset, plan), then write each file in one step.

    Raises:
        DataListError: a content is against its schema; nothing is written.
        EnvironmentFault: no space or no right.
    """
    for kind in KINDS:
        validate(contents[kind], kind, folder / f"{kind}.json")
    remove_leftovers(folder)
    for kind in reversed(KINDS):  # the data list last: its presence says that the others are there
        dump_json(contents[kind], folder / f"{kind}.json")


def validate(content: Any, kind: str, path: Path) -> None:
    """Hold a content to the schema of its kind.

    Raises:
        DataListError: with file, JSON path, what was seen and what was expected.
    """
    errors = sorted(_validator(kind).iter_errors(content), key=lambda error: error.json_path)
    if errors:
        error = errors[0]
        seen = json.dumps(error.instance, ensure_ascii=False, default=str)
        seen = seen if len(seen) <= 80 else f"{seen[:80]}..."
        message = f"{path}: {error.json_path}: saw {seen}; expected {_expected(error)}. {_remedy(path.parent)}"
        raise DataListError("D502", message, str(path))


def _expected(error: Any) -> str:
    """What the schema wants, in words: its own description if it has one, else the rule that was broken."""
    described = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator in ("required", "additionalProperties", "const", "enum"):
        return f"otherwise: {error.message}" if error.validator[0] in "ra" else f"{error.validator} {error.validator_value!r}"
    return f"{described}" if described else f"{error.validator} {error.validator_value!r}"


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads((Path(__file__).parent / "schemas" / f"{kind}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def _file(path: str | Path, kind: str) -> Path:
    path = Path(path)
    return path / f"{kind}.json" if path.is_dir() else path


def _read(path: Path, kind: str) -> dict[str, Any]:
    if not path.is_file():
        said = absent(path, f"there is no such file; expected {kind}.json. {_remedy(path.parent)}")
        raise DataListError("D501", f"{path}: {said}", str(path))
    content = load_json(path)
    validate(content, kind, path)
    return dict(content)


def _absolute(paths: str | list[str], base: Path) -> str | list[str]:
    if isinstance(paths, list):
        return [str(_absolute(path, base)) for path in paths]
    return os.path.abspath(base / paths)  # noqa: PTH100 (resolve would follow links)
