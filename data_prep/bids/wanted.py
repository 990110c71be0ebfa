"""What `--bids-filter` and `--bids-labels` ask for: `suffix=T1w,acq=mprage`; `suffix=T1w+FLAIR` for two channels."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.bids.names import BidsFile, plain
from data_prep.errors import ConfigError

NONE = "none"  # as a value: the entity is not in the name
EXAMPLE = '"suffix=T1w,acq=mprage"'
# Of the BIDS specification, short and long.
LONG = {
    "subject": "sub", "session": "ses", "sample": "sample", "task": "task", "tracksys": "tracksys", "acquisition": "acq",
    "ceagent": "ce", "tracer": "trc", "stain": "stain", "reconstruction": "rec", "direction": "dir", "run": "run",
    "modality": "mod", "echo": "echo", "flip": "flip", "inversion": "inv", "mtransfer": "mt", "part": "part",
    "processing": "proc", "hemisphere": "hemi", "space": "space", "split": "split", "recording": "recording", "chunk": "chunk",
    "atlas": "atlas", "segmentation": "seg", "resolution": "res", "density": "den", "label": "label", "description": "desc",
    "suffix": "suffix", "datatype": "datatype",
}  # fmt: skip
KEYS = tuple(LONG.values())


@dataclass(frozen=True)
class Wanted:
    """What the files of one channel, or a label, must say: key -> the values that are taken."""

    pairs: Mapping[str, tuple[str, ...]]

    def fits(self, file: BidsFile) -> bool:
        """Whether a file is asked for."""
        return all((plain(file.value(key)) or NONE) in values for key, values in self.pairs.items())


@dataclass(frozen=True)
class BidsChoice:
    """The options of a BIDS data set as they were typed; None where not given."""

    images: str | None = None
    labels: str | None = None
    folder: str | None = None  # of labels

    @property
    def given(self) -> str:
        """The first option that only BIDS has; "" when there is none."""
        return "--bids-filter" if self.images is not None else "--bids-labels" if self.labels is not None else ""


def channels_wanted(text: str) -> tuple[Wanted, ...]:
    """One `Wanted` a channel: parts between semicolons, and each value of `suffix`, in their order.

    Raises:
        ConfigError: another form, or a key that no BIDS name has.
    """
    found = [one for part in text.split(";") if part.strip() for one in _each_suffix(_pairs(part, "--bids-filter"))]
    if not found:
        raise ConfigError(f"--bids-filter: it is empty. Type: --bids-filter {EXAMPLE}")
    return tuple(found)


def label_wanted(text: str | None) -> Wanted:
    """What --bids-labels asks for; everything when it is not given.

    Raises:
        ConfigError: another form, or a key that no BIDS name has.
    """
    return Wanted({} if text is None else _pairs(text, "--bids-labels"))


def _each_suffix(pairs: Mapping[str, tuple[str, ...]]) -> list[Wanted]:
    suffixes = pairs.get("suffix")
    return [Wanted({**pairs, "suffix": (one,)}) for one in suffixes] if suffixes else [Wanted(pairs)]


def _pairs(text: str, option: str) -> dict[str, tuple[str, ...]]:
    """Key -> values from `a=1,b=2+3`; a key given twice, and a word without key after one, add to the values."""
    pairs: dict[str, list[str]] = {}
    key = ""
    for word in (word.strip() for word in text.split(",") if word.strip()):
        name, equals, value = word.partition("=")
        key = _key(name.strip(), text, option) if equals else key or "suffix"
        values = re.split(r"[+|]", value if equals else name)
        if not all(re.fullmatch(r"[A-Za-z0-9]+", _bare(key, one)) for one in values):
            raise ConfigError(f"{option} {text!r}: {word!r} is not key=value in letters and digits. Type: {option} {EXAMPLE}")
        pairs.setdefault(key, []).extend(plain(_bare(key, one)) for one in values)
    return {name: tuple(dict.fromkeys(values)) for name, values in pairs.items()}


def _bare(key: str, value: str) -> str:
    return value.strip().removeprefix(f"{key}-")


def _key(name: str, text: str, option: str) -> str:
    found = LONG.get(name.lower(), name.lower())
    if found not in KEYS:
        raise ConfigError(f"{option} {text!r}: {name!r} is not part of a BIDS name; expected one of {', '.join(KEYS)}")
    return found


def filter_for(file: BidsFile, others: Sequence[BidsFile]) -> str:
    """The shortest `--bids-filter` that takes the contrast of `file` and none of the others."""
    differing = [other for other in others if other.contrast != file.contrast]
    keys = {key for other in differing if other.suffix == file.suffix for key in (*other.entities, *file.entities)}
    free = [key for key in KEYS if key in keys and key not in ("sub", "ses", "run")]
    for size in range(len(free) + 1):
        for chosen in itertools.combinations(free, size):
            pairs = {"suffix": file.suffix, **{key: file.value(key) or NONE for key in chosen}}
            one = Wanted({key: (plain(value),) for key, value in pairs.items()})
            if not any(one.fits(other) for other in differing):
                return ",".join(f"{key}={value}" for key, value in pairs.items())
    return f"suffix={file.suffix}"


def below(root: Path, folder: Path) -> str:
    """A path as it is shown: relative to the data set where it lies in it."""
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else str(folder)
