"""Which files of a folder are scans, and which of them belong together: masks are set aside, channels are joined."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from data_prep.amounts import few
from data_prep.label_affixes import beginnings, of_mask_beside, says_mask, without_image_words
from data_prep.nifti import GZIP_MAGIC
from data_prep.nifti_open import open_nifti
from data_prep.pictures import is_picture
from data_prep.reading import NIFTI, extension, stem

CHANNEL = re.compile(r"(?P<case>.+)_(?P<index>\d{4})")  # of nnU-Net
MADE_HERE = b"by monai_hybrid"  # in the description of every file that prediction writes
TABLE = "quality.csv"  # of prediction; its column mask names the files that it wrote
DICOM = ".dcm"
LABEL_FOLDER = re.compile(
    r"(?:\d(?:st|nd|rd)[_\-]?)?(?:labels?|masks?|segs?|segmentations?|annotations?|gt|ground[\s_\-]?truths?|manual|predictions?)"
    r"(?:tr|ts|val)?\d*",
    re.IGNORECASE,
)
LABEL_WORDS = re.compile(r"label|mask|seg|annot|manual|truth|(?<![a-z])gts?(?![a-z])")
HEAD = 4096  # bytes of a file that the description lies in: NIfTI-1 and 2 have it in the first 540, PNG before the pixels
FEW_VALUES = 16  # colours of a mask beside a picture of the same name
OWN, FOLDER, BESIDE, NAMED = (
    "masks or maps that this tool wrote",
    "in folders of labels",
    "masks beside their image",
    "called masks by their names",
)


@dataclass(frozen=True)
class Scan:
    """One examination: its files in the order of the channels; `name` as if it were one file; `missing` in words, or ""."""

    files: tuple[Path, ...]
    name: Path
    missing: str = ""


@dataclass(frozen=True)
class Scans:
    """The scans among some files, and the others by the reason why they are none."""

    scans: tuple[Scan, ...]
    left_out: Mapping[str, Sequence[Path]] = field(default_factory=dict)

    def said(self) -> str:
        """What was left out and why, in one sentence; "" when nothing was."""
        parts = [f"{len(files)} {why} ({few([path.name for path in files])})" for why, files in self.left_out.items()]
        return f"left out: {'; '.join(parts)}. To take such a file for a scan, give the file itself" if parts else ""


def sort_files(files: Sequence[Path], root: Path, channels: Sequence[str] = ("image",)) -> Scans:
    """Find the scans among image files below `root`.

    Args:
        files: of known formats.
        root: folders below it count, its own name does not.
        channels: names, in the order in which a model takes them.
    """
    reasons: dict[str, list[Path]] = defaultdict(list)
    names = {(path.parent, name) for path in files for name in (stem(path), _case(stem(path)))}
    names |= {(path.parent, name) for path in files for name in without_image_words(stem(path))}
    written = {folder: written_here(folder) for folder in {path.parent for path in files}}
    twins = _masks_of_same_name(files)
    folders = _folders_of_masks(files, root)
    kept: list[Path] = []
    for path in files:
        why = BESIDE if path in twins else _why_not(path, root, names, written[path.parent])
        parts = path.relative_to(root).parts
        why = why or (FOLDER if any(parts[:depth] in folders for depth in range(1, len(parts))) else None)
        (reasons[why] if why else kept).append(path)
    return Scans(tuple(_joined(kept, channels)), dict(reasons))


def scan_of_file(path: Path, channels: Sequence[str]) -> Scan:
    """The scan that a single file is, or belongs to as a channel; taken for a scan whatever it is called."""
    if len(channels) == 1:
        return Scan((path,), path)
    match = CHANNEL.fullmatch(stem(path))
    if match is None:
        files = [other for other in sorted(path.parent.iterdir()) if extension(other)]
        return _by_name(files, channels).get(path, Scan((path,), path))
    beside = [other for other in sorted(path.parent.iterdir()) if extension(other) and _case(stem(other)) == match["case"]]
    joined = (scan for scan in _joined([p for p in beside if CHANNEL.fullmatch(stem(p))], channels) if path in scan.files)
    return next(joined, Scan((path,), path))


def _case(name: str) -> str:
    match = CHANNEL.fullmatch(name)
    return match["case"] if match else name


def _why_not(path: Path, root: Path, names: set[tuple[Path, str]], written: set[str]) -> str | None:
    if path.name in written or is_own(path):
        return OWN
    if any(LABEL_FOLDER.fullmatch(part) for part in path.relative_to(root).parts[:-1]):
        return FOLDER
    if any((path.parent, rest) in names for rest in of_mask_beside(stem(path))):
        return BESIDE
    return NAMED if says_mask(stem(path)) else None


def says_labels(name: str) -> bool:
    """Whether the name of a folder says that it holds masks."""
    return bool(LABEL_FOLDER.fullmatch(name) or LABEL_WORDS.search(name.lower()))


def _folders_of_masks(files: Sequence[Path], root: Path) -> set[tuple[str, ...]]:
    """Folders with a word for masks in their names, whose files are called like images beside them: lung_masks, of imgs.

    One common name says nothing: each patient's folder may have a ct. Each is given by its parts below `root`.
    """
    images: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # place -> folder in it -> names
    masks: dict[tuple[str, ...], set[str]] = defaultdict(set)  # a case may have a folder of its structures
    turned: dict[tuple[str, ...], set[str]] = defaultdict(set)  # a structure one of its cases
    parted: dict[tuple[str, ...], set[str]] = defaultdict(set)  # train/ and test/ may lie in the folders of images and masks
    for path in files:
        *above, _ = path.relative_to(root).parts
        for depth in range(len(above) + 1):
            place, rest = tuple(above[:depth]), above[depth:]
            part = f"{rest[1]}/{stem(path)}" if len(rest) > 1 else stem(path)
            if rest and says_labels(rest[0]):
                folder = (*place, rest[0])
                masks[folder].add(rest[1] if len(rest) > 1 else stem(path))
                turned[folder].add(stem(path))
                parted[folder].add(part)
            elif len(rest) < 3:
                images[place][rest[0] if rest else ""].add(part)
    ways = (masks, turned, parted)
    return {f for f in masks if any(_are_of(own[f], others) for own in ways for others in images[f[:-1]].values())}


def _are_of(masks: Collection[str], images: Collection[str]) -> bool:
    known = {*images, *(beginning for name in images for beginning, _ in beginnings(name))}  # p1 of p1_t1, a channel
    alike = sum(
        any(name in known for name in (mask, *of_mask_beside(mask), *(start for start, _ in beginnings(mask))))
        for mask in masks
    )
    return alike > 1 and 2 * alike >= len(masks)


def _masks_of_same_name(files: Sequence[Path]) -> set[Path]:
    """Pictures of few colours beside one of many that has the same name but for its ending: x.png beside x.jpg."""
    groups: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in files:
        if is_picture(path):
            groups[path.parent, stem(path)].append(path)
    found: set[Path] = set()
    for members in groups.values():
        few = {path for path in members if _has_few_values(path)} if len(members) > 1 else set()
        found |= few if len(few) < len(members) else set()
    return found


def _has_few_values(path: Path) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return _counted(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2**17)  # the same folder is looked at several times, and large pictures take long
def _counted(path: Path, size: int, changed: int) -> bool:
    try:
        from PIL import Image

        with Image.open(path) as picture:
            return picture.getcolors(FEW_VALUES) is not None
    except Exception:  # reading it says what is wrong
        return False


def is_own(path: Path) -> bool:
    """Whether a NIfTI or PNG file says that prediction wrote it."""
    if extension(path) not in (*NIFTI, ".png"):
        return False
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        with gzip.open(path) if packed else path.open("rb") as stream:
            return MADE_HERE in stream.read(HEAD if extension(path) == ".png" else 540)
    except (OSError, EOFError, zlib.error):
        return False  # reading it says what is wrong


def written_here(folder: Path) -> set[str]:
    """Names of the masks that a prediction into this folder states in its table."""
    try:
        text = (folder / TABLE).read_bytes()[: 2**26].decode("utf-8", "replace")
        return {str(row.get("mask") or "").lstrip("'") for row in csv.DictReader(io.StringIO(text))} - {""}
    except (OSError, csv.Error):
        return set()


NO_MASKS = ("_entropy", "_probabilities", "_probseg", "_preview")  # what lies beside masks


def lies_beside_masks(path: Path) -> bool:
    """Whether prediction wrote this file beside a mask, as a preview or a map, so that it is none itself."""
    return stem(path).endswith(NO_MASKS) and is_own(path)


def written_among(images: Sequence[Path]) -> list[Path]:
    """Those of the files of one folder that prediction wrote among the images there: by its table, else by name and content.

    Empty where all are such: somebody has put them there for images.
    """
    written = written_here(images[0].parent) if images else set()
    found = [path for path in images if path.name in written or (_called_ours(stem(path)) and is_own(path))]
    return found if len(found) < len(images) else []


def _called_ours(name: str) -> bool:
    return name.endswith(NO_MASKS) or says_mask(name)


DEEPEST = 4  # folders below the output: of a BIDS derivative sub-*/ses-*/anat


def masks_without_row(folder: Path, rows: Iterable[Mapping[str, str]]) -> list[Path]:
    """Masks that prediction wrote and that no row of its table is about: a run was killed between the two.

    `rows` have "case_id" and "mask". Links are not followed: prediction writes none. Folders with a table of their own are
    another prediction's.
    """
    # A NIfTI beside a DICOM-SEG is of that row, and a row may name another mask than the one of its case.
    known = {name for row in rows for name in (_below(Path(row["mask"])), f"{row['case_id']}_seg")}
    found = (path for path in _files_below(folder) if not stem(path).endswith(NO_MASKS))
    return [path for path in found if _below(path.relative_to(folder)) not in known and _is_own_mask(path)]


def _below(path: Path) -> str:
    """A path without the ending of a mask."""
    name = path.stem if path.suffix.lower() == DICOM else stem(path)
    return path.with_name(name).as_posix() if path.name else ""


def _files_below(folder: Path) -> Iterator[Path]:
    """Files that may be masks, by name; hidden folders are left out."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        deep = len(here.relative_to(folder).parts)
        folders[:] = sorted(
            name for name in folders if deep < DEEPEST and not name.startswith(".") and not (here / name / TABLE).exists()
        )
        for path in (here / name for name in sorted(files)):
            if (extension(path) in (*NIFTI, ".png") or path.suffix.lower() == DICOM) and not path.is_symlink():
                yield path


def _is_own_mask(path: Path) -> bool:
    from data_prep.dicom.seg_write import is_own_seg

    return is_own_seg(path) if path.suffix.lower() == DICOM else is_own(path)


def _joined(files: Sequence[Path], channels: Sequence[str]) -> Iterator[Scan]:
    """Files as scans, in the order of `files`; those of one case as its channels, by their numbers or by their names."""
    named = _by_name(files, channels)
    rest = [path for path in files if path not in named]
    numbered = {scan.files[0]: scan for scan in _joined_by_number(rest, channels)}
    for path in files:
        if path in named:
            if path == named[path].files[0]:
                yield named[path]
        elif path in numbered:
            yield numbered[path]


def _by_name(files: Sequence[Path], channels: Sequence[str]) -> dict[Path, Scan]:
    """File -> its scan, where files end with the names of the channels: x_t1, x_flair, or t1 and flair in a folder each.

    Nothing where no case has all channels, so that names mean nothing.
    """
    if len(channels) < 2 or len({name.casefold() for name in channels}) < len(channels):
        return {}
    words = "|".join(re.escape(name) for name in sorted(channels, key=len, reverse=True))
    end = re.compile(rf"(?:(?P<case>.+?)[\s_.\-]+)?(?P<channel>{words})", re.IGNORECASE)
    order = [name.casefold() for name in channels]
    groups: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    for path in files:
        if match := end.fullmatch(stem(path)):
            groups[path.parent, match["case"] or ""].setdefault(order.index(match["channel"].casefold()), path)
    if not any(len(group) == len(channels) for group in groups.values()):
        return {}
    scans = {key: _named_scan(key[1], group, channels) for key, group in groups.items()}
    return {path: scans[key] for key, group in groups.items() for path in group.values()}


def _named_scan(case: str, group: Mapping[int, Path], channels: Sequence[str]) -> Scan:
    """The name is that of the folder where the files are called like the channels alone."""
    first = group[min(group)]
    end = first.name[len(stem(first)) :]
    absent = [channels[index] for index in range(len(channels)) if index not in group]
    held = ", ".join(group[index].name for index in sorted(group))
    words = f"{first.parent}: no {', no '.join(absent)} beside {held}; the model takes {', '.join(channels)}"
    name = first.with_name(case + end) if case else first.with_name(first.parent.name + end)
    return Scan(tuple(group[index] for index in sorted(group)), name, words if absent else "")


def _joined_by_number(files: Sequence[Path], channels: Sequence[str]) -> Iterator[Scan]:
    """Files as scans, in the order of `files`; those of one case as its channels, by the numbers of nnU-Net."""
    groups: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    numbers = {path: int(match["index"]) for path in files if (match := CHANNEL.fullmatch(stem(path)))}
    whole = {path for path in numbers if len(channels) == 1 or _holds_channels(path)}
    for path in numbers:
        if path not in whole:
            groups[path.parent, _case(stem(path))].setdefault(numbers[path], path)
    only_first = set(numbers.values()) <= {0}  # else 0000, 0001, ... of whole files are numbers of cases
    done: set[tuple[Path, str]] = set()
    for path in files:
        key = (path.parent, _case(stem(path)))
        group = groups.get(key, {})
        if path in whole and only_first:
            yield Scan((path,), path.with_name(key[1] + path.name[len(stem(path)) :]))
        elif path not in group.values():
            yield Scan((path,), path)
        elif key not in done:
            done.add(key)
            yield _scan(key[1], group, channels)


def _scan(case: str, group: Mapping[int, Path], channels: Sequence[str]) -> Scan:
    first = group[min(group)]
    end = first.name[len(stem(first)) :]
    files = tuple(group[index] for index in sorted(group))
    if max(group) >= len(channels):
        seen = f"{len(group)} files numbered {min(group):04d} to {max(group):04d}"
        words = f"{first.parent / case}: {seen}; the model takes {len(channels)} channels, 0000 to {len(channels) - 1:04d}"
        hint = "leave the others out, or, if the numbers tell cases apart, end each name with the number of its channel"
        return Scan(files, first.with_name(case + end), f"{words}: {hint}")
    absent = [f"{channels[index]} ({case}_{index:04d}{end})" for index in range(len(channels)) if index not in group]
    words = f"{first.parent / case}: the model takes {len(channels)} channels, and these are missing: {', '.join(absent)}"
    return Scan(files, first.with_name(case + end), words if absent else "")


def _holds_channels(path: Path) -> bool:
    """Whether one file holds several channels itself: a picture of colours, a NIfTI file of four axes."""
    try:
        if is_picture(path):
            from PIL import Image

            with Image.open(path) as picture:
                return len(picture.getbands()) > 2
        shape: tuple[int, ...] = tuple(open_nifti(path).shape) if extension(path) in NIFTI else ()
    except Exception:  # reading it says what is wrong
        return False
    return len(shape) > 3 and shape[3] > 1
