"""Names and values of settings that no run can use, refused in one sentence; needs neither torch nor MONAI, so it is quick."""

from __future__ import annotations

import difflib
import errno
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue

from data_prep.dead_links import absent, dead_link, refuse_dead_link
from data_prep.errors import ConfigError, DataError, EnvironmentFault, HybridError, ModelFileError, said_by_system
from data_prep.free_names import free
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.catalogue.naming import is_name, no_such_model, what_else
from monai_hybrid.cut_off import said_of_cut_off
from monai_hybrid.settings import PARTS, PATH_KINDS, RANGES, SETTINGS, Setting

KIND = "a pipe, a device or another special file"
SPECIAL = f"{KIND}, expected a file"
EXAMPLES = {"voxels": "[64,64,64]", "mm": "[1.5,1,1]"}
EXAMPLE_MODEL = "runs/source/models/model.safetensors"
EXPRESSION = ("$", "@", "%")
IDLE = "_idle_"  # in a configuration that replaces parts of another: the settings of that one which do nothing then
SECTIONS = ("imports", "initialize", "run", "finalize")


def is_expression(value: Any) -> bool:
    """Whether MONAI evaluates the text instead of taking it as it is."""
    return isinstance(value, str) and value.startswith(EXPRESSION)


def bare(name: str) -> str:
    """A name as the configurations spell it, `max-epochs` as `max_epochs`; ids with # or :: keep their deeper parts."""
    top, mark, rest = re.match(r"([^#:]*)(#|::|)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return top.replace("-", "_") + mark + rest


def top(name: str) -> str:
    """The first part of an id: `train` of `train#trainer#max_epochs`."""
    return name.replace("#", "::").split("::")[0]


def unknown(name: str, known: Iterable[str]) -> str:
    """What to say about a name that no configuration has."""
    settings = [k for k in dict.fromkeys(known) if not k.startswith("_") and k not in SECTIONS]
    near = difflib.get_close_matches(name.replace("-", "_"), settings, n=1, cutoff=0.6)
    hint = f"did you mean --{near[0]}?" if near else f"known settings: {', '.join(sorted(settings))}"
    return f"unknown setting --{name}: {hint}"


def idle_in(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that a configuration has and does not use."""
    return tuple(config.get(IDLE, ()))


def refuse_idle(given: Iterable[str], config: Mapping[str, Any]) -> None:
    """Refuse settings that would do nothing, and nobody would notice.

    Raises:
        ConfigError: with the first.
    """
    found = next((name for name in map(top, given) if name in idle_in(config)), None)
    if found:
        raise ConfigError(f"--{found} would do nothing in this run; leave it out")


def check_kind(name: str, value: Any, default: Any, typed: str | None = None) -> None:
    """Refuse a value of another kind than the setting's.

    Args:
        name: a top-level setting.
        value: as fire parses it.
        default: in the configuration.
        typed: as it was typed, where that is known: 1e5, which fire makes a number.

    Raises:
        ConfigError: with what was expected.
    """
    setting = SETTINGS.get(name)
    if setting is not None and setting.kind in PATH_KINDS:
        check_path(setting.name, value, typed)
        return
    if is_expression(value):
        return
    # fire leaves true and false as strings, and the string 'false' counts as true.
    lower_case = isinstance(value, str) and value.lower() in ("true", "false")
    flag = isinstance(default, bool) or (setting is not None and setting.kind == "flag")
    if lower_case or (flag and value is not None and not isinstance(value, bool)):
        raise ConfigError(f"--{name}: got {value!r}, expected True or False (with a capital letter)")
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ConfigError(f"--{name}: got {value!r}, expected a number such as {default}")
        if isinstance(default, int) and isinstance(value, float) and not value.is_integer():
            raise ConfigError(f"--{name}: got {value!r}, expected a whole number such as {default}")


def check_section(name: str, value: Any, default: Any) -> None:
    """Refuse a value that cannot stand for a section or a list of sections; None switches one with a `_target_` off.

    Raises:
        ConfigError: with how a value inside it is given.
    """
    if isinstance(default, list) and any(isinstance(part, Mapping) for part in default):
        fits = isinstance(value, (list, tuple))
    elif isinstance(default, Mapping):
        fits = isinstance(value, Mapping) or (value is None and "_target_" in default)
    else:
        return
    if not fits and not is_expression(value):
        one = next((str(part) for part in default if not str(part).startswith("_")), "PART") if len(default) else "PART"
        inside = f"{name}#0" if isinstance(default, list) else f"{name}#{one}"
        raise ConfigError(
            f"--{name}: got {value!r}, but {name} is a section of the configuration; give a part, as --{inside} VALUE"
        )


def check_part(name: str, value: Any, known: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse a part of a section (`card#interval`) that is not there or is of another kind; arguments may be added to a target.

    Args:
        name: with # or :: between its parts.
        value: as fire parses it.
        known: the configuration, unevaluated.
        given: all overrides; a new part that one of them refers to is let through.

    Raises:
        ConfigError: with the nearest name.
    """
    *above, last = name.replace("#", "::").split("::")
    full = "#".join([*above, last])
    if above[0] in given or any("#" in other and f"{full}#".startswith(f"{other}#") for other in known):
        return  # in a section that was given anew, or in a part that a later configuration replaces
    here: Any = known
    for depth, part in enumerate(above):
        here = _part_of(here, part, "#".join(above[:depth]), name)
    path = "#".join(above)
    if isinstance(here, Mapping) and last not in here:
        plain = len(above) == 1 and "_target_" not in here
        if plain and not any(f"@{path}#{last}" in str(other) for other in given.values()):
            _part_of(here, last, path, name)
        return
    default = _part_of(here, last, path, name)
    check_section(name, value, default)
    if isinstance(default, (bool, int, float)):
        check_kind(name, value, default)
    check_plain_value(full, value)


def _part_of(section: Any, part: str, path: str, name: str) -> Any:
    if isinstance(section, Mapping) and part in section:
        return section[part]
    if isinstance(section, list) and re.fullmatch(r"-?\d+", part) and -len(section) <= int(part) < len(section):
        return section[int(part)]
    if isinstance(section, Mapping):
        names = [str(key) for key in section if not str(key).startswith("_")]
        near = difflib.get_close_matches(part, names, n=1, cutoff=0.6)
        hint = f"did you mean --{path}#{near[0]}?" if near else f"it has {', '.join(names)}"
        raise ConfigError(f"--{name}: {path} has no part {part}; {hint}")
    has = f"{len(section)} parts, 0 to {len(section) - 1}" if isinstance(section, list) else "a value, and no parts"
    raise ConfigError(f"--{name}: {path} is {has}; expected a name as in the configuration, such as --card#interval")


def check_path(name: str, value: Any, typed: str | None, shown: str | None = None) -> None:
    """A folder called 1e5, None or a,b: fire and MONAI make something else of these names.

    Args:
        name: the setting.
        value: as fire parses it.
        typed: as it was typed; None where no value followed, or where that is not known.
        shown: the option, where it has another name.

    Raises:
        ConfigError: with what to type.
    """
    name, text = (shown or f"--{name}").lstrip("-"), value if typed is None else typed
    if value is True and typed is None:
        raise ConfigError(f"--{name}: no path follows; a name that begins with - is written ./-NAME")
    if value == "" and typed == "":
        raise ConfigError(f"--{name}: the path is empty; give one, or leave --{name} out")
    if isinstance(text, str) and "#" in text and not is_expression(value):
        raise ConfigError(f"--{name}: got {text!r}, but MONAI reads # as a separator; rename the folder or link to it")
    if value is None and (typed is None or not Path(typed).exists()):
        return
    if isinstance(value, str) and value == text and not (is_expression(value) and Path(value).exists()):
        return
    kind = "an expression" if is_expression(value) else f"the {type(value).__name__} {value!r}"
    raise ConfigError(f"--{name}: got {kind}, expected a path; write ./{text}")


def safe_path(text: str) -> str:
    """A path that means itself to fire and MONAI: `1e5` as `./1e5`, a tilde as the home folder; most are as they were.

    Raises:
        ConfigError: the home folder of nobody.
    """
    text = str(at_home(text)) if text.startswith("~") else text
    plain = DefaultParseValue(text) == text and not text.startswith((*EXPRESSION, "-"))
    return text if plain or Path(text).is_absolute() else f"./{text}"


def check_plain_value(name: str, value: Any) -> None:
    """Refuse a number outside its range, a size that is none, a word that is not known; None and expressions are let through.

    Raises:
        ConfigError: with what was expected.
    """
    setting = SETTINGS.get(name) or PARTS.get(name)
    if setting is None or value is None or is_expression(value):
        return
    if setting.kind in RANGES:
        words, inside = RANGES[setting.kind]
        if not (is_number(value) and inside(value)):
            raise ConfigError(f"--{name}: got {value!r}, expected {words}")
    if setting.kind in EXAMPLES:
        _check_size(setting, value)
    if setting.kind == "word" and str(value) not in setting.words:
        near = difflib.get_close_matches(str(value), setting.words, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"--{name}: got {value!r}, expected one of {', '.join(setting.words)}{hint}")
    if setting.kind == "timesteps" and not _are_timesteps(value):
        raise ConfigError(f'--{name}: got {value!r}, expected whole numbers >= 0, such as --{name} "[0,10,20]"')
    if setting.kind == "colours":
        from data_prep.colour import parse_colour  # here, because it brings numpy

        parse_colour(value, f"--{name}")
    if setting.kind == "device" and not (isinstance(value, str) and re.fullmatch(r"[a-z]+(:\d+)?", value)):
        raise ConfigError(f"--{name}: got {value!r}, expected cpu, cuda or cuda:0")


def is_number(value: Any) -> bool:
    """Finite, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _check_size(setting: Setting, value: Any) -> None:
    whole = setting.kind == "voxels"
    what = "whole numbers of voxels" if whole else "distances in mm"
    edges: Sequence[Any] = value if isinstance(value, (list, tuple)) and len(value) in (2, 3) else [None]
    if not all(is_number(edge) and edge > 0 and (not whole or isinstance(edge, int)) for edge in edges):
        example = f'--{setting.name} "{EXAMPLES[setting.kind]}"'
        raise ConfigError(f"--{setting.name}: got {value!r}, expected 2 or 3 {what} > 0, such as {example}")


def _are_timesteps(value: Any) -> bool:
    many = isinstance(value, (list, tuple)) and len(value) > 0
    return many and all(isinstance(t, int) and not isinstance(t, bool) and t >= 0 for t in value)


def check_there(name: str, path: str, shown: str | None = None) -> None:
    """Refuse a file or folder that is not there, before anything heavy starts.

    Args:
        name: a setting; only its kind counts.
        path: as typed; of a model also the name of one that comes with the package.
        shown: the option's name, where it is another.

    Raises:
        ConfigError: a place for results that is no folder.
        ModelFileError: a model.
        DataError: a data set or an image.
        EnvironmentFault: it may be there, but cannot be read.
    """
    setting, place = SETTINGS[name], at_home(path)
    option = shown or f"--{name}"
    if setting.kind == "place":
        _check_place(path, place, option)
    if setting.kind in ("place", "text") or path in setting.words or is_expression(path):
        return
    is_model = setting.kind in ("file", "model")
    if is_model and is_name(path):
        return
    error: type[HybridError] = ModelFileError if is_model else DataError
    if not _exists(place, option):
        raise error(f"{option} {path}: {_why_absent(setting.kind, path, place)}")
    if not place.is_dir() and not place.is_file():  # opening a pipe would wait without end
        raise error(f"{option} {path}: {SPECIAL}")
    if is_model:
        _check_model(path, place, option)
    if setting.kind == "file" and place.is_dir():
        raise error(f"{option} {path}: a folder, expected a file: {_advised_model(place)}")
    if setting.kind == "folder" and not place.is_dir():
        raise error(f"{option} {path}: a file, expected a folder")


def _check_place(path: str, place: Path, option: str) -> None:
    """Raises: ConfigError: what is there is no folder, or a link that leads nowhere."""
    if _exists(place, option) and not place.is_dir():
        raise ConfigError(f"{option} {path}: {'a file' if place.is_file() else KIND}, expected a folder")
    if not is_expression(path):
        refuse_dead_link(place, option)


def _why_absent(kind: str, path: str, place: Path) -> str:
    """What is said of a file or folder that is not there, and what to type."""
    if dead_link(place):
        return absent(place, "")
    if kind in ("file", "model") and (said := no_such_model(path)):
        return said
    what = {
        "file": "no such model file",
        "model": "no model file with a card: no such file or folder",
        "folder": "no such folder",
    }.get(kind, "no such file or folder")
    return f"{what}. {_advice(place)}"


def _check_model(path: str, place: Path, option: str) -> None:
    """Raises: ModelFileError: a file of another kind, or one that was cut off."""
    if place.is_file() and (kind := what_else(path)):
        raise ModelFileError(f"{option} {path}: no model file but {kind}; expected .pt or .safetensors, or the folder of a run")
    file = model_in(place) if place.is_dir() else place
    if file is not None and (said := said_of_cut_off(file)):
        raise ModelFileError(f"{option} {path if file == place else file}: {said}")


def _exists(place: Path, option: str) -> bool:
    """Whether it is there.

    Raises:
        EnvironmentFault: the system does not say, or lets nobody read it.
    """
    try:
        is_folder = stat.S_ISDIR(place.stat().st_mode)
        if not os.access(place, os.R_OK | (os.X_OK if is_folder else 0)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
    except PermissionError as error:
        raise EnvironmentFault(f"{option} {said_by_system(error)}") from error
    except (OSError, ValueError):  # a name that is too long, or no name
        return False
    return True


def _advice(place: Path) -> str:
    """The name beside it that is nearly the same, or where to look."""
    folder = place.parent
    if any(sign in place.name for sign in "*?") and folder.is_dir():
        return f"Patterns are not read; give the folder: {quoted(folder)}"
    try:
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    except OSError:
        names = []
    near = difflib.get_close_matches(place.name, names, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {folder / near[0]}?"
    if folder == Path():
        return f"The folder where you are, {Path.cwd()}, holds no such name"
    return f"{folder} holds no such name" if folder.is_dir() else f"There is no folder {folder} either"


def model_in(folder: Path) -> Path | None:
    """The model of a run, by the run's folder or its `models/`; None where there is none."""
    names = ("models/model.safetensors", "models/model.pt", "model.safetensors", "model.pt")
    try:
        return next((folder / name for name in names if (folder / name).is_file()), None)
    except OSError:  # a name that is too long
        return None


def _advised_model(folder: Path) -> str:
    inside = model_in(folder)
    return f"give {inside}" if inside else "models/model.pt or models/model.safetensors of a training run"


def which_model(data_option: str, data: str, model_option: str) -> str:
    """The sentence for an adaptation that has data and no model."""
    return (
        f"{data_option} {data}: no model to adapt was given. Give {model_option} {EXAMPLE_MODEL}, as a pretraining on data "
        f"like yours writes it, a name of monai-hybrid models, or {model_option} scratch to start from nothing. "
        f"To make one without data: monai-hybrid pretrain --data synthetic --output {free('runs/shapes')} "
        "(synthetic-2d for pictures)"
    )
