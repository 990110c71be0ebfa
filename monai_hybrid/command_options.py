"""Options of `monai-hybrid`, made from what is already written down: the table of settings, and the options of `data_prep`."""

from __future__ import annotations

import difflib
import inspect
import itertools
import json
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from fire.parser import DefaultParseValue
from typer.core import TyperGroup

from data_prep.cli import dashed
from data_prep.dead_links import absent
from data_prep.endings import Command
from data_prep.errors import ConfigError
from data_prep.quoting import quoted
from monai_hybrid.bundle_folders import load_config
from monai_hybrid.setting_checks import (
    SPECIAL,
    bare,
    check_kind,
    check_part,
    check_plain_value,
    check_section,
    idle_in,
    refuse_idle,
    safe_path,
    top,
    unknown,
)
from monai_hybrid.settings import PATH_KINDS, RUN_ARGUMENTS, SETTINGS, Setting, settings_of

WORDS, OTHERS = "monai_hybrid.words", "monai_hybrid.others"  # in typer's context: words as typed, and pairs that are no options
CONTENT, NAMES = "configuration", "names"  # attributes of a bundle's command
PREFIX = "setting_"  # of a setting's parameter, so that none is called like an argument of the command
Pair = tuple[str, str]


class Group(TyperGroup):
    """The commands; a mistyped one is answered with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does it, but that our own sentence refuses an unknown command.

        Raises:
            ConfigError: an unknown command.
        """
        name = args[0] if args else ""
        shown = [known for known, command in self.commands.items() if not command.hidden]
        if name and not name.startswith("-") and self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, shown, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"commands: {', '.join(shown)}"
            raise ConfigError(f"unknown command {name!r}: {hint}")
        return super().resolve_command(ctx, args)


class Words(Command):
    """A command that keeps the words as they were typed, to hand them on."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words, then read them."""
        args = plain_flags(args, self.params)
        ctx.meta[WORDS] = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            raise _own_words(error, self.params) from error


class BundleWords(Words):
    """A command that runs a bundle: its settings are options, and any other name of the configuration may be set as well."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take out what is no option here: `--train#trainer#max_epochs 3`, `--config_file mine.json`."""
        own, others = split_words(plain_flags(args, self.params), self.params)
        ctx.meta[OTHERS] = others
        if not ctx.resilient_parsing and "--help" not in own:
            check_names(dict(others), getattr(self.callback, CONTENT, {}), self.params)
        return super().parse_args(ctx, own)


def _own_words(error: Exception, params: Sequence[Any]) -> Exception:
    """Typer's complaint about an unknown option in our words; other errors as they are."""
    name = getattr(error, "option_name", None)
    if type(error).__name__ != "NoSuchOption" or not isinstance(name, str):
        return error
    if not name.startswith("--"):
        return ConfigError(f"unknown option {name}; a path that begins with - is written with ./ before it")
    if argument := misnamed_argument(name, params):
        return ConfigError(f"unknown option {name}: {argument}")
    options = [word for param in params for word in param.opts if word.startswith("--")]
    near = difflib.get_close_matches(name.replace("_", "-"), options, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"options: {', '.join(sorted(options))}"
    return ConfigError(f"unknown option {name}: {hint}")


# Options that people type for "where the files are", where a command takes the path as a plain word.
FOLDER_WORDS = ("data", "input", "images", "source", "folder", "dataset", "dataset_dir", "data_dir", "target")


def misnamed_argument(name: str, params: Sequence[Any]) -> str:
    """What to say of `--data X` where a command takes X as a plain word; empty where it is something else."""
    arguments = [param.name for param in params if param.param_type_name == "argument"]
    if not arguments or name.lstrip("-").replace("-", "_") not in FOLDER_WORDS:
        return ""
    return f"{' and '.join(map(str.upper, arguments))}: give the path as a plain word, without {name}"


def plain_flags(args: Sequence[str], params: Sequence[Any]) -> list[str]:
    """Words in which `--overwrite True` is `--overwrite`, and `--overwrite False` nothing, where the option takes no value."""
    flags = {option for param in params if getattr(param, "is_flag", False) for option in param.opts}
    words: list[str] = []
    for word in args:
        if _is_bool(word) and words and words[-1].startswith("--") and "--" + dashed(words[-1][2:]) in flags:
            if word.lower() == "false":
                words.pop()
        else:
            words.append(word)
    return words


def split_words(args: Sequence[str], params: Sequence[Any]) -> tuple[list[str], list[Pair]]:
    """Words that are options and arguments of a command, and pairs of all other names and their values, in order."""
    options = {option: param for param in params for option in param.opts}
    arguments = any(param.param_type_name == "argument" for param in params)
    own: list[str] = []
    others: list[Pair] = []
    words = list(args)
    while words:
        word = words.pop(0)
        if not word.startswith("--") or word == "--":
            own.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        name = bare(name.lstrip("+"))
        param = options.get("--" + dashed(name))
        at_option = not words or words[0].startswith("--")  # what follows is no value
        if param is None and name != "help":
            others.append((name, value if equals else "True" if at_option else words.pop(0)))
        elif param is None or equals or getattr(param, "is_flag", False):
            own.append(word)
        elif _is_flag_setting(name) and (at_option or (arguments and not _is_bool(words[0]))):
            own.append(f"{word}=True")
        else:
            own += [word, *words[:1]]
            del words[:1]
    return own, others


def _is_bool(word: str) -> bool:
    return word.lower() in ("true", "false")


def _is_flag_setting(name: str) -> bool:
    return name in SETTINGS and SETTINGS[name].kind == "flag"


def forwards(function: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the arguments and options of another program's function; the words themselves are handed on."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def forward(context: typer.Context, **_: Any) -> None:
            command(context.meta[WORDS])

        hints = typing.get_type_hints(function, include_extras=True)
        parameters = [p.replace(annotation=hints[name]) for name, p in inspect.signature(function).parameters.items()]
        return _with_signature(forward, [_context(), *parameters])

    return decorate


def with_settings(
    bundle: str, config: str | Sequence[str], named: Mapping[str, str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting of a configuration.

    Args:
        bundle, config: whose settings; of several configurations the later ones replace entries of the first.
        named: settings that the command has under names of its own: {"dataset_dir": "--data"}.

    The command is called with its own arguments, and `settings`: {name: text} of all that was given.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        content = load_config(bundle, config)
        known = settings_of(bundle, config)
        rows = [setting for name, setting in known.items() if name in content and name not in {*named, *idle_in(content)}]

        @wraps(command)
        def run(context: typer.Context, **given: Any) -> None:
            values = {s.name: given.pop(PREFIX + s.name, None) for s in rows}
            chosen = {name: text for name, text in values.items() if text is not None}
            others = dict(context.meta[OTHERS])
            check_values({**chosen, **others}, content)
            command(settings={**_worded(chosen), **_worded(others)}, **given)

        setattr(run, CONTENT, content)
        setattr(run, NAMES, dict(named))
        hints = typing.get_type_hints(command, include_extras=True)
        signature = inspect.signature(command).parameters
        own = [p.replace(annotation=hints[name]) for name, p in signature.items() if name != "settings"]
        return _with_signature(run, [_context(), *own, *(_parameter(s, content[s.name]) for s in rows)])

    return decorate


def _context() -> inspect.Parameter:
    return inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)


def _parameter(setting: Setting, default: Any) -> inspect.Parameter:
    complete = (lambda: list(setting.words)) if setting.words else None
    option = typer.Option(
        setting.option,
        help=setting.meaning + f" [default: {default_text(setting, default)}]",
        metavar=setting.metavar,
        autocompletion=complete,
        show_default=False,
    )
    return inspect.Parameter(
        PREFIX + setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[typing.Optional[str], option],  # noqa: UP045
    )


def default_text(setting: Setting, default: Any) -> str:
    """The default as a person reads it."""
    if isinstance(default, str) and default.startswith(("$", "@", "%")):
        return setting.default or "computed"
    if default is None:
        return setting.default or "none"
    return json.dumps(default) if isinstance(default, (list, dict)) else str(default)


def _with_signature(function: Callable[..., None], parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """Typer reads a command's options from its signature."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    del function.__wrapped__  # type: ignore[attr-defined]
    return function


def _worded(pairs: Mapping[str, str]) -> dict[str, str]:
    """Values as monai.bundle needs them: `true` as `True`, a path called 1e5 as ./1e5."""
    return {name: _path_or_text(name, value) for name, value in pairs.items()}


def capital(text: str) -> str:
    """`true` as `True`: monai.bundle takes the small ones for text, and text is true."""
    return text.capitalize() if text in ("true", "false") else text


def _path_or_text(name: str, text: str) -> str:
    setting = SETTINGS.get(name)
    is_path = setting is not None and setting.kind in PATH_KINDS and text not in setting.words
    return safe_path(text) if is_path and (text != "None" or Path(text).exists()) else capital(text)


def check_names(given: Mapping[str, str], config: Mapping[str, Any], params: Sequence[Any] = ()) -> None:
    """Refuse names that no configuration has, before MONAI is imported. Files named with --config_file count as well.

    Args:
        given: name and text of what is no option.
        config: the configuration that runs.
        params: the command's own, for the hint.

    Raises:
        ConfigError: with the nearest name; a file that cannot be read.
    """
    files = list(named_files(given))
    more = [_json(file) for name, file in files if name in ("config_file", "args_file") and file.suffix == ".json"]
    if any(file.suffix != ".json" for name, file in files if name == "config_file"):
        return  # YAML: left to the run
    known = {key for content in [*more, config] for key in content}
    options = [word.strip("-").replace("-", "_") for param in params for word in param.opts if word.startswith("--")]
    refuse_idle(given, config)
    for first in map(top, given):
        if first not in known:
            _refuse_name(first, known, options, params)


def _refuse_name(name: str, known: Collection[str], options: Sequence[str], params: Sequence[Any]) -> None:
    """Raises: ConfigError: a name that the configuration does not have, unless it is one of MONAI's `run`."""
    if name == "resume" and "overwrite" in known:
        raise ConfigError("--resume: finished cases are kept without it; type the same command and leave it out")
    if name in SETTINGS:
        raise ConfigError(f"--{name} is a setting of another command, and would do nothing in this run; leave it out")
    if argument := misnamed_argument(f"--{name}", params):
        raise ConfigError(f"unknown option --{name}: {argument}")
    if name not in RUN_ARGUMENTS:
        raise ConfigError(unknown(name, [*known, *options]))


def check_values(given: Mapping[str, str], config: Mapping[str, Any]) -> None:
    """Refuse values that no run can use, before MONAI is imported.

    Raises:
        ConfigError: with what was expected.
    """
    for name, text in given.items():
        if name in config and name in SETTINGS:
            typed = _path_or_text(name, text)
            value = DefaultParseValue(typed)
            check_kind(name, value, config[name], typed)
            check_plain_value(name, value)
    if not {"config_file", "args_file"} & given.keys():  # which may have parts of their own
        values = {name: DefaultParseValue(capital(text)) for name, text in given.items()}
        for name, value in values.items():
            if name in config:
                check_section(name, value, config[name])
            elif top(name) in config:
                check_part(name, value, config, values)


def named_files(given: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """The files that MONAI reads before any of our code runs, each with its argument.

    Raises:
        ConfigError: missing, or no JSON, with line and column.
    """
    for name in ("config_file", "args_file", "meta_file", "logging_file"):
        for file in given.get(name, "").strip("[]").split(",") if name in given else ():
            path = Path(file.strip(" '\""))
            _check_file(f"--{name}", path)
            yield name, path


def _check_file(name: str, file: Path) -> None:
    if file.exists() and not file.is_file():
        raise ConfigError(f"{name} {file}: {'a folder, expected a file' if file.is_dir() else SPECIAL}")
    if not file.is_file():
        raise ConfigError(f"{name}: {absent(file, f'no such file: {file}. Type: ls {quoted(file.parent)}')}")
    if file.suffix == ".json":
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            hint = "; JSON has no comments, no trailing commas and double quotes only"
            raise ConfigError(f"{name}: {file}, line {error.lineno}, column {error.colno}: {error.msg}{hint}") from error
        except (UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{name}: {file}: not readable as text ({error}); expected JSON in UTF-8") from error


def _json(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def as_words(settings: Mapping[str, str]) -> list[str]:
    """--name value --name value"""
    return list(itertools.chain.from_iterable((f"--{name}", value) for name, value in settings.items()))
