"""Which images of a BIDS data set are the scans: one contrast, or several as channels; never guessed between two."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.amounts import few, plural
from data_prep.bids.listing import Listing
from data_prep.bids.names import LABELS, SCAN, SERIES, BidsFile
from data_prep.bids.wanted import NONE, Wanted, channels_wanted, filter_for
from data_prep.errors import DataListError

SHOWN = 8
NOT_SCANS = (*LABELS, "probseg", "defacemask", "roi")


@dataclass(frozen=True)
class Scanned:
    """One scan: its files by channel, None where the contrast is missing."""

    files: tuple[BidsFile | None, ...]
    case_id: str

    @property
    def there(self) -> tuple[BidsFile, ...]:
        """The files that exist."""
        return tuple(file for file in self.files if file is not None)


@dataclass(frozen=True)
class Chosen:
    """All scans, complete or not, the names of the channels, and sessions that hold none of these contrasts."""

    scans: tuple[Scanned, ...]
    channels: tuple[str, ...]
    without: tuple[str, ...] = ()


def choose(root: Path, listing: Listing, text: str | None, expected: Sequence[str] = ()) -> Chosen:
    """Group the images of a data set into scans.

    Args:
        root: for messages.
        listing: its files.
        text: of --bids-filter; None: the only contrast that there is.
        expected: names of a model's channels, taken without --bids-filter where they name contrasts.

    Raises:
        ConfigError: the filter cannot be read.
        DataListError: D540 no contrast or several fit; D546 only series over time, or microscopy.
    """
    images = [file for file in listing.files if file.suffix not in NOT_SCANS]
    still = [file for file in images if file.suffix not in SERIES]
    candidates = [file for file in still if file.datatype in ("anat", "")] or [f for f in still if f.datatype != "func"]
    if text is None and expected and set(expected) <= {file.suffix for file in candidates}:
        text = "suffix=" + "+".join(expected)
    wanted = channels_wanted(text) if text is not None else ()
    _refuse_series(root, listing, images, still if text is not None else candidates, wanted)
    taken = still if wanted else candidates
    wanted = wanted or (_only(root, candidates),)
    scans, without = _grouped(root, taken, wanted)
    if not scans:
        raise DataListError("D540", f"{root}: no image fits --bids-filter {text!r}; {_there(candidates)}", str(root))
    return Chosen(tuple(scans), _channel_names(wanted, scans), tuple(without))


def _refuse_series(
    root: Path, listing: Listing, images: Sequence[BidsFile], still: Sequence[BidsFile], wanted: Sequence[Wanted]
) -> None:
    for one in wanted:
        asked = [file for file in images if file.suffix in SERIES and one.fits(file)]
        if asked and not any(one.fits(file) for file in still):
            first = asked[0].path
            message = (
                f"{first}: {asked[0].suffix} is a series of volumes (4D), and {len(asked)} such files are asked for; one "
                f"volume a scan is segmented here; {_there(still)}"
            )
            raise DataListError("D546", message, str(first))
    if not still and not wanted:
        series = Counter(file.suffix for file in images)
        held = ", ".join(f"{suffix} ({plural(number, 'file')})" for suffix, number in sorted(series.items()))
        what = f"{held}: series of volumes (4D)" if held else _nothing(listing)
        raise DataListError("D546", f"{root}: no image to segment; the data set holds {what}", str(root))


def _nothing(listing: Listing) -> str:
    """What a data set without images holds."""
    if listing.microscopy:
        return "microscopy, which is not read"
    return "labels alone; give the data set that they belong to" if listing.files else "no NIfTI file below sub-*"


def _only(root: Path, candidates: Sequence[BidsFile]) -> Wanted:
    """The one suffix that all images have."""
    if len({file.suffix for file in candidates}) > 1:
        raise DataListError("D540", f"{root}: several contrasts, and none was chosen; {_there(candidates)}", str(root))
    return Wanted({"suffix": (candidates[0].suffix,)})


def _there(candidates: Sequence[BidsFile]) -> str:
    """The contrasts that there are, and what to type for the first of them."""
    if not candidates:
        return "no other image is there"
    alone = _alone(candidates)
    names = {id(file): file.suffix if file.suffix in alone else file.contrast for file in candidates}
    numbers = Counter(names.values())
    shown = few([f"{name} ({plural(number, 'file')})" for name, number in numbers.most_common()], SHOWN)
    first = next(file for file in candidates if names[id(file)] == numbers.most_common(1)[0][0])
    pairs = f"suffix={first.suffix}" if first.suffix in alone else filter_for(first, candidates)
    suffixes = list(dict.fromkeys(file.suffix for file in candidates))[:2]
    several = f'; for two channels: --bids-filter "suffix={"+".join(suffixes)}"' if len(suffixes) > 1 else ""
    return f'there are {shown}. Type: --bids-filter "{pairs}"{several}'


def _alone(candidates: Sequence[BidsFile]) -> set[str]:
    """Suffixes that no scan has twice: they need no further entity to be chosen."""
    numbers = Counter((file.scan, file.run, file.suffix) for file in candidates)
    return {file.suffix for file in candidates} - {suffix for (_, _, suffix), number in numbers.items() if number > 1}


def _grouped(root: Path, images: Sequence[BidsFile], wanted: Sequence[Wanted]) -> tuple[list[Scanned], list[str]]:
    sessions: dict[tuple[str, str], list[BidsFile]] = defaultdict(list)
    for file in images:
        sessions[file.scan].append(file)
    scans: list[Scanned] = []
    without: list[str] = []
    for (subject, session), files in sessions.items():
        name = f"sub-{subject}" + (f"_ses-{session}" if session else "")
        channels = [[file for file in files if one.fits(file)] for one in wanted]
        if not any(channels):
            without.append(name)
            continue
        scans += [_scan(root, name, part, images) for part in _by_run(channels)]
    return scans, without


def _by_run(channels: Sequence[Sequence[BidsFile]]) -> list[list[list[BidsFile]]]:
    """The files of a session as one scan; as one for each run where a contrast has several."""
    runs = {file.run for files in channels for file in files}
    if all(len(files) <= 1 for files in channels) or len(runs) == 1:
        return [[list(files) for files in channels]]
    ordered = sorted(runs, key=lambda run: (len(run), run))
    return [[[file for file in files if file.run == run] for files in channels] for run in ordered]


def _scan(root: Path, name: str, channels: Sequence[Sequence[BidsFile]], images: Sequence[BidsFile]) -> Scanned:
    twice = next((files for files in channels if len(files) > 1), None)
    if twice:
        alike = [file for file in images if file.suffix == twice[0].suffix]
        held = f"{name} holds {len(twice)} images that fit: {', '.join(file.path.name for file in twice[:4])}"
        same = len({file.contrast for file in twice}) == 1
        said = "move one away" if same else _there(alike)
        raise DataListError("D540", f"{root}: {held}; {said}", str(twice[0].path))
    files = tuple(part[0] if part else None for part in channels)
    runs: Mapping[str, None] = dict.fromkeys(file.entities.get("run", "") for file in files if file is not None)
    run = next(iter(runs)) if len(runs) == 1 else ""
    return Scanned(files, f"{name}_run-{run}" if run else name)


def _channel_names(wanted: Sequence[Wanted], scans: Sequence[Scanned]) -> tuple[str, ...]:
    """Suffixes; with the entities that were asked for where two channels have one suffix."""
    found = [next((file for scan in scans if (file := scan.files[i])), None) for i in range(len(wanted))]
    short = [file.suffix if file else "image" for file in found]
    if len(set(short)) == len(short):
        return tuple(short)
    return tuple("_".join([*_asked(one), name]) for one, name in zip(wanted, short, strict=True))


def _asked(one: Wanted) -> list[str]:
    own = {key: values for key, values in one.pairs.items() if key not in (*SCAN, "suffix", "datatype")}
    return [f"{key}-{values[0]}" for key, values in own.items() if values != (NONE,)]
