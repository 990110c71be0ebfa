"""`NAME.json`: what is known of a model beyond its card. A file is input, and is held to `about.schema.json`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from data_prep.errors import DataListError, ModelFileError
from data_prep.json_io import load_json
from monai_hybrid.catalogue.folder import folder
from monai_hybrid.model_card import against_schema

LARGEST = 1_000_000  # bytes


def about_of(name: str) -> dict[str, Any]:
    """The file about a model of the package.

    Raises:
        ModelFileError: missing, no JSON, or not as the schema says.
    """
    return read_about(folder() / f"{name}.json")


def read_about(file: Path) -> dict[str, Any]:
    """A file about a model, checked; see `about.schema.json` for its parts.

    Raises:
        ModelFileError: missing, too large, no JSON, or not as the schema says.
    """
    if file.is_file() and file.stat().st_size > LARGEST:
        raise ModelFileError(f"{file}: {file.stat().st_size} bytes, expected at most {LARGEST}; copy it again from its source")
    try:
        content = load_json(file)
    except DataListError as error:
        raise ModelFileError(f"{file}: {str(error).split(': ', 1)[-1]}") from error
    for problem in problems(content):
        raise ModelFileError(f"{file}: {problem}; copy it again from its source")
    if content["name"] != file.stem:
        raise ModelFileError(f"{file}: name: saw {content['name']!r}; expected {file.stem!r}, as the file is called")
    about: dict[str, Any] = content
    return about


def problems(content: Any) -> list[str]:
    """What of a content is not as the schema says: where, what was seen, what was expected."""
    found = sorted(_validator().iter_errors(content), key=lambda error: list(map(str, error.absolute_path)))
    return list(map(against_schema, found))


@cache
def _validator() -> Draft202012Validator:
    file = Path(__file__).with_name("about.schema.json")
    return Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))
