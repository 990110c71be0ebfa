"""What `build` can be told, in one place, with every default shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from data_prep.accepting import parse_codes
from data_prep.colour import Colour, chosen_colour
from data_prep.errors import ConfigError
from data_prep.quoting import quoted

# Those that `check` takes too.
OF_CHECK = (
    "layout", "images_dir", "labels_dir", "bids_filter", "bids_labels", "label_names", "allow_unlabelled", "accept", "channels",
    "grey", "patient_regex", "series", "ignore_label", "keep_names",
)  # fmt: skip


OPTION = re.compile(r"--([a-z][a-z-]*)")
READING = ("layout", "images_dir", "labels_dir", "bids_filter", "bids_labels")  # those of `build` that `repair` has too


def as_typed(options: Mapping[str, Any]) -> str:
    """Options as they are typed, with a blank before each: {"ignore_label": 255} -> ` --ignore-label 255`."""
    named = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return "".join(f" {name}" if value is True else f" {name} {_word(value)}" for name, value in named.items())


def reading_words(options: Mapping[str, Any]) -> str:
    """Those of some options that say how a data set is read, as they are typed."""
    return as_typed({name: options[name] for name in READING if options.get(name) not in (None, "auto")})


def building_words(options: Mapping[str, Any], remedy: str) -> str:
    """All options of `build` among some, as they are typed before `remedy`, which adds others and comes last.

    What the remedy says itself is left to it; the codes of --accept are joined there by `also_accepted`. A mapping of names
    comes from Python and is not typed.
    """
    defaults = {field.name: field.default for field in fields(BuildOptions)}
    named = set(OPTION.findall(remedy))
    given = {name: options[name] for name, default in defaults.items() if options.get(name) not in (None, default)}
    return as_typed(
        {name: v for name, v in given.items() if name.replace("_", "-") not in named and not isinstance(v, Mapping)}
    )


def also_accepted(remedy: str, options: Mapping[str, Any]) -> str:
    """The remedy, with the codes that were accepted before in front of those that it names."""
    given = options.get("accept")
    return remedy.replace("--accept ", f"--accept {given},") if given else remedy


def _word(value: Any) -> str:
    return quoted(value) if isinstance(value, Path) else shlex.quote(str(value))


@dataclass(frozen=True)
class BuildOptions:
    """Settings of `build`; each is an option of the command line of the same name."""

    layout: str = "auto"
    images_dir: str | None = None
    labels_dir: str | None = None
    bids_filter: str | None = None
    bids_labels: str | None = None
    label_names: str | Mapping[int, str] | None = None
    name: str | None = None
    site: str | None = None
    modality: str | None = None
    splits: str | Path | None = None
    patient_regex: str | None = None
    val_fraction: float | None = None  # the default depends on the number of patients, see splits.py
    test_fraction: float | None = None
    folds: int = 5
    seed: int = 0
    budget: str = "cpu"
    spacing: str | tuple[float, ...] | None = None
    allow_unlabelled: bool = False
    n4: bool = False
    accept: str | None = None
    channels: str | None = None
    grey: bool = False
    series: str | None = None
    ignore_label: int | None = None
    keep_names: bool = False
    jobs: int = 1

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> BuildOptions:
        """Options from keyword arguments; None means the default.

        Raises:
            ConfigError: an unknown option.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise ConfigError(f"build: unknown option {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
        return cls(**{key: value for key, value in given.items() if value is not None})

    @property
    def typed_at_check(self) -> str:
        """What `check` must be told to see the same data set; a mapping of names comes from Python and is not typed."""
        given = {name: value for name, value in self.given.items() if name in OF_CHECK}
        defaults = {field.name: field.default for field in fields(self)}
        return as_typed({name: v for name, v in given.items() if v != defaults[name] and not isinstance(v, Mapping)})

    @property
    def given(self) -> dict[str, Any]:
        """Every setting by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def accepted(self) -> frozenset[str]:
        """The codes of --accept.

        Raises:
            ConfigError: a code that does not exist or cannot be accepted.
        """
        return parse_codes(self.accept)

    @property
    def colour(self) -> Colour:
        """What --channels and --grey ask for, None when neither is given.

        Raises:
            ConfigError: both are given, or a name is unknown.
        """
        return chosen_colour(self.channels, self.grey)

    @property
    def target_spacing(self) -> tuple[float, ...] | None:
        """--spacing as numbers, None when not given.

        Raises:
            ConfigError: not a list of numbers.
        """
        if not isinstance(self.spacing, str):
            return None if self.spacing is None else tuple(float(edge) for edge in self.spacing)
        try:
            return tuple(float(edge) for edge in self.spacing.split(","))
        except ValueError as error:
            raise ConfigError(f'--spacing {self.spacing!r}: expected numbers. Type: --spacing "2,2,2"') from error
