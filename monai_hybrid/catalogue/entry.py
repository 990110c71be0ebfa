"""A model of the package as a person looks for it: what its card and the file about it say, joined."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import ModelFileError
from data_prep.quoting import quoted
from monai_hybrid.catalogue.about import about_of
from monai_hybrid.catalogue.folder import UNIVERSAL, names, weights_file
from monai_hybrid.model_card import check_complete, read_card

logger = logging.getLogger("monai_hybrid.models")


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
        ModelFileError: other bytes than the list of checksums says; its card or the file about it is missing or wrong.
    """
    try:
        file = weights_file(name)
    except OSError as error:
        raise ModelFileError(
            f"{error.filename}: cannot be read ({error.strerror}). Type: ls -l {quoted(error.filename)}"
        ) from error
    card = read_card(file)
    if card is None:
        raise ModelFileError(f"{file}: no card found. Type: python -m benchmarks.models.pack --help")
    check_complete(str(file), card)
    return Entry(name, file, card, about_of(name))


def entries() -> list[Entry]:
    """All sound models, by name. A damaged one is said in a warning, and hinders no other.

    Raises:
        ModelFileError: all are damaged.
    """
    sound, faults = _examined(names())
    for name, fault in faults.items():
        logger.warning("model %s is left out: %s", name, fault)
    if faults and not sound:
        raise next(iter(faults.values()))
    return sound


def rows() -> list[dict[str, Any]]:
    """What the table of models says: `Entry.row` of each, and {"name", "error"} of one that cannot be used."""
    sound, faults = _examined(names())
    found = [one.row() for one in sound] + [{"name": name, "error": str(fault)} for name, fault in faults.items()]
    return sorted(found, key=lambda row: str(row["name"]))


def _examined(wanted: Iterable[str]) -> tuple[list[Entry], dict[str, ModelFileError]]:
    sound, faults = [], {}
    for name in wanted:
        try:
            sound.append(entry(name))
        except ModelFileError as fault:
            faults[name] = fault
    return sound, faults


def universal(dims: int) -> str | None:
    """Name of the universal model of 2 or 3 dimensions; None where there is none.

    Raises:
        ModelFileError: there is none, and a damaged one may have been it.
    """
    sound, faults = _examined([name for name in names() if name.startswith(UNIVERSAL)])
    found = next((one.name for one in sound if one.universal and one.dims == dims), None)
    if found is None and faults:
        raise next(iter(faults.values()))
    return found
