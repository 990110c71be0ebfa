"""Settings by the names that the user typed: `monai-hybrid adapt --output X` starts a run that knows `output_dir` alone."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from monai_hybrid.settings import SETTINGS

KNOWN = "|".join(name for name in SETTINGS if "_" in name)
UNDERSCORED = re.compile(rf"(?<![\w/.-])--(?:{KNOWN})(?![\w-])|(?<=unknown setting )--\w+")
OPTIONS = "MONAI_HYBRID_OPTIONS"  # {setting: option}, for the process that a command starts


def environment(options: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment of a run.

    Args:
        options: setting -> the option, argument or keyword that the command has for it.
    """
    return {OPTIONS: json.dumps(dict(options))} if options else {}


def as_typed(text: str) -> str:
    """A message with `--output_dir` as the command calls it; as it is in a run that no command has started."""
    try:
        options = json.loads(os.environ.get(OPTIONS, "{}"))
    except ValueError:
        return text
    for setting, option in options.items() if isinstance(options, dict) else ():
        text = re.sub(rf"--{re.escape(setting)}(?![\w-])", str(option).replace("\\", ""), text)
    of_a_command = isinstance(options, dict) and any(str(option).startswith("--") for option in options.values())
    return as_in_help(text) if of_a_command else text


def as_in_help(text: str) -> str:
    """A message with `--label-map` for `--label_map`, as the help of a command has it; both are taken."""
    return UNDERSCORED.sub(lambda found: found[0].replace("_", "-"), text)
