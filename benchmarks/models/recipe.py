"""A recipe: what a model of the package is trained on, how, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from monai_hybrid.errors import ConfigError
from monai_hybrid.settings import SYNTHETIC

RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Target:
    """A data set that the model is adapted to, for its scores.

    Attributes:
        title: for the tables.
        raw: folder below the data root.
        build: options of `monai_hybrid.build`.
    """

    title: str
    raw: str
    build: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A model of the package.

    Attributes:
        name: of the model.
        title, use: what it is, and for what.
        universal: trained on random shapes.
        source: a word of `pretrain --data`, or the folder of a raw data set below the data root.
        build: options of `monai_hybrid.build` for it.
        settings: of `monai_hybrid.pretrain`.
        seed: of the training.
        licence, data, known_failures, citation: as in the file about the model.
        targets: see `Target`.
    """

    name: str
    title: str
    use: str
    universal: bool
    source: str
    settings: dict[str, Any]
    seed: int
    licence: dict[str, str]
    data: list[dict[str, str]]
    known_failures: list[str]
    build: dict[str, Any] = field(default_factory=dict)
    citation: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    @property
    def drawn(self) -> bool:
        """Whether its data are random shapes."""
        return self.source in SYNTHETIC

    def options(self) -> list[str]:
        """The settings as words of a command line."""
        pairs = {**self.settings, "seed": self.seed}
        return [word for name, value in pairs.items() for word in (f"--{name.replace('_', '-')}", _quoted(value))]

    def command(self) -> str:
        """The line that trains it."""
        data = self.source if self.drawn else "PREPARED"
        return " ".join(["monai-hybrid pretrain --data", data, f"--output runs/{self.name}", *self.options()])


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) and "[" in value else str(value)


def load_recipe(name: str) -> Recipe:
    """The recipe of a model.

    Raises:
        ConfigError: no such recipe, or a key that recipes do not have.
    """
    file = RECIPES / f"{name}.yaml"
    known = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"{name}: no such recipe; expected one of {', '.join(known)}")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    strange = set(content) - {entry.name for entry in fields(Recipe)} | ({"name"} & set(content))
    if strange:
        raise ConfigError(f"{file}: unknown keys {', '.join(sorted(strange))}")
    targets = [Target(**target) for target in content.pop("targets", [])]
    return Recipe(name=name, targets=targets, **content)
