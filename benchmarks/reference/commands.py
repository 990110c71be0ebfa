"""The page of commands: what `monai-hybrid COMMAND --help` says, without the settings, which have their own page."""

from __future__ import annotations

from typing import Any

from benchmarks.reference.markdown import code, shown_commands, table
from benchmarks.reference.settings import CONFIGS
from monai_hybrid.cli_app import EXAMPLES
from monai_hybrid.command_options import PREFIX

INTRO = """# Commands

`monai-hybrid COMMAND --help` shows this, and the settings too. Options may be typed with hyphens or underscores.
Exit codes: [their page](exit_codes.md).
"""


def page() -> str:
    """The page docs/reference/commands.md."""
    index = [[f"[{name}](#{name})", _sentence(command)] for name, command in shown_commands()]
    head = INTRO + "\n" + table(["command", "what it does"], index) + "\n"
    return head + "".join(_section(name, command) for name, command in shown_commands())


def _sentence(command: Any) -> str:
    return str(command.help).split("\n\n")[0]


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.name.startswith(PREFIX) and not p.hidden]
    words = [_argument(p) if p.required else f"[{_argument(p)}]" for p in arguments]
    words += [f"{p.opts[0]} {_metavar(p)}" for p in options if p.required]
    parts = [f"## {name}", str(command.help), f"```text\nmonai-hybrid {' '.join([name, *words, '[OPTIONS]'])}\n```"]
    rows = [[code(_argument(p)), "", p.help or ""] for p in arguments]
    rows += [[code(", ".join(_spellings(p))), _default(p), p.help or ""] for p in options]
    parts.append(table(["word", "default", "meaning"], rows))
    if name in CONFIGS:
        parts.append(f"And [its settings](settings.md#{name}).")
    examples = (command.epilog or "").partition(EXAMPLES)[2]
    parts.append("```bash\n" + "\n".join(line.strip() for line in examples.strip().splitlines()) + "\n```")
    return "\n" + "\n\n".join(parts) + "\n"


def _argument(param: Any) -> str:
    return str(param.metavar or param.name.upper()).strip("[]")


def _metavar(param: Any) -> str:
    return str(param.metavar or "TEXT")


def _spellings(param: Any) -> list[str]:
    """--output FOLDER; --browser and --no-browser; one that takes no value alone."""
    names = [*param.opts, *param.secondary_opts]
    return names if param.is_flag or param.metavar is None else [f"{names[0]} {param.metavar}", *names[1:]]


def _default(param: Any) -> str:
    if param.required:
        return "needed"
    return "" if param.default is None or param.is_flag else code(str(param.default))
