"""A model of the package as a person looks for it: what its card and the file about it say, joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import ModelFileError
from monai_hybrid.catalogue.about import about_of
from monai_hybrid.catalogue.folder import UNIVERSAL, folder, names
from monai_hybrid.model_card import check_complete, read_card


@dataclass(frozen=True)
class Entry:
    """One model.

    Attributes:
        name: what `--model` takes.
        file: the weights.
        card: inside them.
        about: the content of `NAME.json`.
    """

    name: str
    file: Path
    card: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def universal(self) -> bool:
        """Trained on random shapes: a start for any organ, no segmenter of one."""
        return bool(self.about["universal"])

    @property
    def dims(self) -> int:
        """2 or 3."""
        return int(self.card["spatial_dims"])

    @property
    def structures(self) -> list[str]:
        """Names of the classes without background."""
        return [str(label["name"]) for label in self.card["labels"]][1:]

    @property
    def modality(self) -> str:
        """Of the training images; "any" of a universal model."""
        return "any" if self.universal else str(self.card.get("modality") or "unknown")

    @property
    def spacing(self) -> list[float] | None:
        """Of the network's grid in mm, or in pixels where pictures state none; None of a universal model."""
        return None if self.universal else [float(edge) for edge in self.card["training"]["spacing"]]

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.file.stat().st_size

    def row(self) -> dict[str, Any]:
        """What the table of models says, as plain values."""
        return {
            "name": self.name,
            "structures": [] if self.universal else self.structures,
            "universal": self.universal,
            "modality": self.modality,
            "dimensions": self.dims,
            "spacing": self.spacing,
            "licence": self.about["licence"]["weights"],
            "bytes": self.size,
        }


def entry(name: str) -> Entry:
    """A model of the package.

    Raises:
        ModelFileError: its card or the file about it is missing or wrong.
    """
    file = folder() / f"{name}.safetensors"
    card = read_card(file)
    if card is None:
        raise ModelFileError(f"{file}: no card found. Type: python -m benchmarks.models.pack --help")
    check_complete(str(file), card)
    return Entry(name, file, card, about_of(name))


def entries(dims: int | None = None) -> list[Entry]:
    """All models, or those of 2 or 3 dimensions, in the order of their names."""
    found = [entry(name) for name in names()]
    return [one for one in found if dims in (None, one.dims)]


def universal(dims: int) -> str | None:
    """Name of the universal model of 2 or 3 dimensions; None where there is none."""
    found = [entry(name) for name in names() if name.startswith(UNIVERSAL)]
    return next((one.name for one in found if one.universal and one.dims == dims), None)
