"""One fault of the matrix, as data: how to make it, and what the toolkit must answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reliability.tiny import sound

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Fault:
    """One variant of one case of the matrix.

    Attributes:
        id: of the matrix, a letter for the group and two digits.
        title: what is wrong, in a few words.
        answer: the code of the check that must speak, or "accepted".
        make: builds the data set in an empty folder; returns the path to check.
        names: what the finding must name, a file or a case.
        message: what it must say, as a regular expression.
        options: of `check` and `build`.
    """

    id: str
    title: str
    answer: str
    make: Callable[[Path], Path]
    names: str = "case_a"
    message: str = "."
    options: Mapping[str, str] = field(default_factory=dict)


def broken(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A maker: a sound data set of three cases, then the change, which gets the folder."""

    def make(folder: Path) -> Path:
        root = sound(folder / "raw")
        change(root)
        return root

    return make


def on_image(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A maker that changes the image of case_a."""
    return broken(lambda root: change(root / "images" / "case_a.nii.gz"))


def on_label(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A maker that changes the label of case_a."""
    return broken(lambda root: change(root / "labels" / "case_a.nii.gz"))


def on_both(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A maker that changes image and label of case_a in the same way."""
    return broken(lambda root: [change(root / name / "case_a.nii.gz") for name in ("images", "labels")])
