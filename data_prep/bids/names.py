"""Names of BIDS files: `sub-01_ses-a_acq-mprage_T1w.nii.gz` as entities and a suffix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.reading import NIFTI, extension, stem

_PAIR = re.compile(r"([a-z]+)-([A-Za-z0-9]+)")
_WORD = re.compile(r"[A-Za-z0-9]+")
SCAN = ("sub", "ses", "run")  # say which scan; all other entities say which contrast
LABELS = ("dseg", "mask", "seg")
# Suffixes of series over time, directions or echoes: four axes, of which no mask is made here.
SERIES = (
    "bold",
    "cbv",
    "dwi",
    "asl",
    "m0scan",
    "epi",
    "phase1",
    "phase2",
    "phasediff",
    "magnitude1",
    "magnitude2",
    "meg",
    "eeg",
)


@dataclass(frozen=True)
class BidsFile:
    """One NIfTI file. `entities` in the order of its name; `of` the contrast named before the suffix of a label, as in
    `sub-1_T2w_label-cord_seg`; `datatype` the folder, such as anat."""

    path: Path
    entities: Mapping[str, str]
    suffix: str
    of: str = ""
    datatype: str = ""

    @property
    def subject(self) -> str:
        """ "sub-01"."""
        return f"sub-{self.entities['sub']}"

    @property
    def scan(self) -> tuple[str, str]:
        """Subject and session; "" for no session."""
        return self.entities["sub"], self.entities.get("ses", "")

    @property
    def run(self) -> str:
        """Number of the run without leading zeros; "" for none."""
        return plain(self.entities.get("run", ""))

    @property
    def contrast(self) -> str:
        """The name without what says which scan it is: `acq-mprage_T1w`."""
        return "_".join([*(f"{key}-{value}" for key, value in self.entities.items() if key not in SCAN), self.suffix])

    def value(self, key: str) -> str:
        """The value of an entity, of suffix or of datatype; "" for none."""
        return {"suffix": self.suffix, "datatype": self.datatype}.get(key) or self.entities.get(key, "")


def plain(value: str) -> str:
    """Numbers without leading zeros: run-01 and run-1 are one."""
    return str(int(value)) if value.isdecimal() and value.isascii() and len(value) < 10 else value


def parse(path: Path, datatype: str = "", label: bool = False) -> BidsFile | str:
    """What a name says, or a sentence on why it says nothing.

    Args:
        path: of the file; its subject must be that of its folder.
        datatype: the folder that it lies in.
        label: a word before the suffix is allowed, see `BidsFile.of`.
    """
    *parts, suffix = stem(path).split("_")
    entities: dict[str, str] = {}
    of = ""
    for part in parts:
        match = _PAIR.fullmatch(part)
        if match is None and label and _WORD.fullmatch(part) and not of and entities:
            of = part
        elif match is None:
            return f"{part[:60]!r} in its name is no key-value of letters and digits, such as acq-mprage"
        elif match[1] in entities:
            return f"its name gives {match[1]} twice; expected once"
        else:
            entities[match[1]] = match[2]
    if next(iter(entities), "") != "sub":
        return "its name does not begin with sub-LABEL_"
    if not _WORD.fullmatch(suffix) or extension(path) not in NIFTI:
        return f"its name ends in {suffix[:60]!r}; expected a suffix such as T1w"
    return _beside_its_folders(path, entities) or BidsFile(path, entities, suffix, of, datatype)


def parse_words(words: Sequence[str]) -> dict[str, str] | None:
    """Entities from `acq-mprage`, `run-1`, ...; None where a word is none."""
    matches = [_PAIR.fullmatch(word) for word in words if word]
    return {match[1]: match[2] for match in matches if match} if all(matches) else None


def _beside_its_folders(path: Path, entities: Mapping[str, str]) -> str:
    """A sentence where the folders name another subject or session than the file; "" where they agree."""
    for key in ("sub", "ses"):
        folder = next((part for part in reversed(path.parts[:-1]) if part.startswith(f"{key}-")), None)
        if folder is not None and folder != f"{key}-{entities.get(key, '')}":
            said = f"{key}-{entities[key]}" if key in entities else f"no {key}"
            return f"its name says {said}, its folder {folder}"
    return ""
