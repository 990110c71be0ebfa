"""The command line of `python -m monai.bundle run`, read as MONAI's own parser reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from monai_hybrid.setting_checks import bare


def command_line_overrides(argv: list[str]) -> dict[str, Any]:
    """`--name value`, `--name=value` and the content of `--args_file`, parsed as fire (the parser of monai.bundle) does."""
    overrides = {name: True if text is None else DefaultParseValue(text) for name, text in typed_settings(argv).items()}
    if "args_file" in overrides and Path(str(overrides["args_file"])).is_file():
        from_file = ConfigParser.load_config_file(str(overrides["args_file"]))
        overrides = {**from_file, **overrides}
    return overrides


def config_files(overrides: Mapping[str, Any]) -> list[str]:
    """`--config_file`, which may be one name or a list of them."""
    named = overrides.get("config_file") or []
    return [str(file) for file in (named if isinstance(named, (list, tuple)) else [named])]


def typed_settings(argv: list[str]) -> dict[str, str | None]:
    """Settings of the command line as typed; None where no value follows. `--max-epochs` is `max_epochs`, as in fire."""
    return dict(_pairs(list(argv[2:])))


def _pairs(words: list[str]) -> Iterator[tuple[str, str | None]]:
    while words:
        word = words.pop(0)
        if not _is_flag(word):
            continue
        name, equals, text = word.lstrip("-").partition("=")
        value: str | None = text if equals else None
        if not equals and words and not _is_flag(words[0]):
            value = words.pop(0)
        yield bare(name.lstrip("+")), value


def _is_flag(word: str) -> bool:
    """As fire tells: a word that begins with a hyphen and is no negative number."""
    return word.startswith("--") or re.match("-[a-zA-Z]", word) is not None
