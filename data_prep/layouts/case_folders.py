"""A folder a case: its image or its channels, and a mask beside them or a mask for each structure in a folder within.

s0001/ct.nii.gz, s0001/segmentations/liver.nii.gz, ...                    (TotalSegmentator)
case_00000/imaging.nii.gz, case_00000/segmentation.nii.gz                 (KiTS)
BraTS_001/BraTS_001_t1.nii.gz, ..._flair.nii.gz, BraTS_001_seg.nii.gz     (BraTS)
patient001/patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz, ...   (ACDC)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from data_prep.amounts import few, plural
from data_prep.cases import Case, Source, SourceFault
from data_prep.errors import ConfigError, DataListError
from data_prep.label_affixes import SEPARATORS, says_mask, without_label_words
from data_prep.layouts.beside import images_and_masks, pairs
from data_prep.layouts.channels import Images, usual_channels
from data_prep.layouts.common import described, folders_in, image_files, modality_of, split_of
from data_prep.layouts.loose_channels import WORD
from data_prep.layouts.structure_labels import StructureLabels, structure_labels
from data_prep.layouts.two_folders import has_labels_within
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import LABEL_FOLDER
from data_prep.spelling import in_one_spelling
from data_prep.structure_names import by_name, whole_labels

DATA_SETS = ("images", "imagesTr")  # within folders that are data sets of their own
CONTRAST = re.compile(rf"(?<![A-Za-z0-9]){WORD}(?![A-Za-z0-9])", re.IGNORECASE)
OF_CASES = "a folder a case"  # how a note begins
OF_CT, OF_MR = {"CT"}, {"MR", "MRI", "MRT"}


@dataclass(frozen=True)
class _Folder:
    """What lies in the folder of a case: images, masks beside them, and masks in a folder `within`."""

    path: Path
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    within: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A case: its images by channel, and its mask or its masks of structures. `whole`: its only mask may be all its label."""

    case_id: str
    patient: str
    folder: Path
    images: Images
    mask: Path | None = None
    structures: Mapping[str, Path] = field(default_factory=dict)
    whole: bool = False


def is_case_folders(root: Path, labels_dir: str | None = None) -> bool:
    """Whether each folder here may be a case: at least one holds an image and a mask, none is of labels alone or a data set."""
    if image_files(root):
        return False
    within = folders_in(root)
    if any(LABEL_FOLDER.fullmatch(path.name) or any((path / name).is_dir() for name in DATA_SETS) for path in within):
        return False
    looked = [_look(path, labels_dir, choose=False) for path in within]
    if any(len(one.images) > 1 and one.within and has_labels_within(one.path) for one in looked):
        return False
    return any(one.images and (one.masks or one.within) for one in looked)


def near(root: Path) -> list[Path]:
    """Data sets of case folders one level off: the folder above, where one case of several was given, or those within."""
    try:
        if not image_files(root):
            return [path for path in folders_in(root) if is_case_folders(path)]
        above = root.absolute().parent
        others = (path for path in folders_in(above) if path.name != root.absolute().name)
        among = _is_case(root) and not image_files(above) and any(_is_case(path) for path in others)
        return [root.parent if root.name else above] if among else []
    except OSError:  # a folder that nobody has asked for may be closed
        return []


def _is_case(folder: Path) -> bool:
    """Whether a folder holds an image and its masks."""
    one = _look(folder, choose=False)
    return bool(one.images and (one.within or len(one.masks) == 1))


def read(root: Path, labels_dir: str | None = None, label_names: str | Mapping[int, str] | None = None) -> Source:
    """List the cases of a data set in which each has a folder.

    Args:
        root: holds the folders.
        labels_dir: the folder of masks in each of them, where its name does not say so.
        label_names: which masks of structures are meant, and their values; all of them by default, in the order of their names.

    Raises:
        ConfigError: structures, or a folder of masks, that are not there are asked for.
        DataListError: it cannot be told which files are images, masks or channels.
    """
    looked = [_look(folder, labels_dir) for folder in folders_in(root)]
    if labels_dir and not any(one.path.joinpath(labels_dir).is_dir() for one in looked):
        raise ConfigError(f"--labels-dir {quoted(labels_dir)}: no folder in {root} holds one of this name. Leave it out")
    paired = any(_is_paired(one) for one in looked)
    found = [case for one in looked if one.images for case in _cases_of(one, paired)]
    if not found:
        raise DataListError("D503", f"{root}: no folder in it holds an image. Type: ls {quoted(root)}", str(root))
    found = _with_roles(_in_one_spelling(found), root)
    channels = _channels(found)
    whole = [case for case in found if case.images.keys() >= set(channels)]
    labels = _labels(whole, root, labels_dir or "labels", label_names)
    return Source(
        root,
        "cases",
        root.resolve().name,
        tuple(_case(case, channels) for case in whole),
        labels.label_names,
        channels if len(channels) > 1 else ("image",),
        _modality(whole, channels),
        notes=(*_notes(looked, whole, channels), *labels.notes),
        faults=(*_incomplete(looked, found, channels), *labels.faults),
        volumes=labels.volumes,
        table_of_names=labels.table_of_names,
    )


def _case(case: _Found, channels: Sequence[str]) -> Case:
    label = _place(case) if case.structures else case.mask
    return Case(case.case_id, tuple(case.images[name] for name in channels), label, patient=case.patient)


def _incomplete(looked: Sequence[_Folder], found: Sequence[_Found], channels: Sequence[str]) -> Iterator[SourceFault]:
    """Folders that hold no case, and cases that lack a channel."""
    for one in looked:
        if why := _no_case(one):
            yield SourceFault("D551", why, one.path.name, one.path)
    for case in found:
        if not case.images.keys() >= set(channels):
            yield SourceFault("D551", _lacking(case, channels), case.case_id, case.folder)


def _labels(
    cases: Sequence[_Found], root: Path, labels_dir: str, label_names: str | Mapping[int, str] | None
) -> StructureLabels:
    """Of the masks of structures; without them the names are those of a file beside the cases, or of a description there."""
    several = [case for case in cases if case.structures]
    joined = structure_labels(
        {case.case_id: case.structures for case in several},
        {case.case_id: _place(case) for case in several},
        root,
        labels_dir,
        label_names,
        {case.case_id: case.folder for case in several},
    )
    if joined.label_names:
        return joined
    told, said = described(root, ".")
    return replace(joined, label_names=told, notes=(*joined.notes, *said), table_of_names=told is not None)


def _look(folder: Path, labels_dir: str | None = None, choose: bool = True) -> _Folder:
    """With `choose` several folders of masks beside an image are an error."""
    found = images_and_masks(folder)
    return _Folder(folder, found.images, found.masks, _within(folder, labels_dir, choose and bool(found.images)))


def _within(folder: Path, labels_dir: str | None, choose: bool) -> tuple[Path, ...]:
    """Masks in the folder of labels within a case's folder."""
    within = [path for path in folders_in(folder) if path.name == labels_dir or LABEL_FOLDER.fullmatch(path.name)]
    chosen = [path for path in within if path.name == labels_dir] if labels_dir else within
    holding = [(path, files) for path in chosen if (files := image_files(path))]
    if choose and len(holding) > 1:
        names = ", ".join(path.name for path, _ in holding)
        raise DataListError(
            "D550", f"{folder}: several folders of masks: {names}. Choose one: --labels-dir {quoted(holding[0][0].name)}"
        )
    return tuple(path for _, files in holding for path in files)


def _no_case(one: _Folder) -> str:
    if one.images:
        return ""
    return "it holds masks and no image" if one.masks or one.within else "it holds no image"


def _cases_of(one: _Folder, paired: bool) -> Iterator[_Found]:
    """The cases in a folder: one, or one for each image that has a mask of its name.

    `paired`: there are folders with several such pairs, so that a pair is a case wherever it lies.

    Raises:
        DataListError: it cannot be told which files belong together.
    """
    own = {} if one.within else pairs(one.images, one.masks)
    if not own:
        structures = by_name(one.within or one.masks, one.path.name, one.path)
        whole = len(structures) == 1 and (not one.within or _is_plain(next(iter(structures.items())), one))
        yield _Found(one.path.name, "", one.path, _by_channel(one), None, structures, whole)
        return
    _refuse_unclear(one, own, paired)
    if len(one.images) == 1:
        yield _Found(one.path.name, "", one.path, _by_channel(one), None, by_name(one.masks, one.path.name, one.path), True)
        return
    for mask, image in own.items():
        name = stem(image)
        case = name if name.startswith(one.path.name) else f"{one.path.name}_{name}"
        patient = "" if split_of(one.path.name) else one.path.name
        yield _Found(case, patient, one.path, {"image": image}, mask)


def _is_paired(one: _Folder) -> bool:
    """Whether there are several masks, and each has an image of its own."""
    own = pairs(one.images, one.masks)
    return len(one.masks) == len(own) == len(set(own.values())) > 1 and not one.within


def _refuse_unclear(one: _Folder, own: Mapping[Path, Path], paired: bool) -> None:
    there = (
        f"{one.path}: {plural(len(one.masks), 'mask')} ({few([path.name for path in one.masks])}) and "
        f"{plural(len(one.images), 'image')} ({few([path.name for path in one.images])})"
    )
    if len(one.masks) > 1 and not _is_paired(one):
        alone = [mask.name for mask in one.masks if mask not in own]
        said = f"; no image is called like {few(alone)}" if alone else ""
        raise DataListError("D550", f"{there}: which belong together cannot be told by their names{said}")
    if len(one.masks) == 1 and len(one.images) > 1 and not paired:
        raise DataListError(
            "D550",
            f"{there}: the mask is called like one of the images, so that these may be channels or cases. "
            "For channels call it seg; else take the images without a mask away",
        )


def _is_plain(named: tuple[str, Path], one: _Folder) -> bool:
    """Whether the only file in a folder of masks is called like the case, its image or "mask", and so is its whole label."""
    name, path = named
    known = {one.path.name, *(stem(image) for image in one.images)}
    return (
        stem(path) in known
        or name in known
        or says_mask(stem(path))
        or any(n in known for n in without_label_words(stem(path)))
    )


def _with_roles(found: Sequence[_Found], root: Path) -> list[_Found]:
    """Each case with one mask as its whole label, or with masks of structures; see `whole_labels`."""
    structures = in_one_spelling({case.case_id: case.structures for case in found if case.structures})
    labels = whole_labels(structures, [case.case_id for case in found if case.whole and case.structures], root)
    return [
        replace(case, mask=labels[case.case_id], structures={})
        if case.case_id in labels
        else replace(case, structures=structures.get(case.case_id, {}))
        for case in found
    ]


def _by_channel(one: _Folder) -> dict[str, Path]:
    """Images by what their names add to those of the case: t1, flair; "image" where there is one."""
    if len(one.images) == 1:
        return {"image": one.images[0]}
    names = [stem(path) for path in one.images]
    common = _common_beginning(names)
    ends = [match.end() for match in SEPARATORS.finditer(common)]
    own = re.match(re.escape(one.path.name) + SEPARATORS.pattern, common)
    contrast = (
        CONTRAST.search(common, own.end()) if own else None
    )  # of p1_t1_pre, p1_t1_post: not cut off, since p2 may have t2
    cut = max((end for end in ends if contrast is None or end <= contrast.start()), default=0)
    return dict(zip((name[cut:] for name in names), one.images, strict=True))


def _in_one_spelling(found: Sequence[_Found]) -> list[_Found]:
    """Channels that are told apart by upper and lower case alone are one."""
    images = in_one_spelling({at: case.images for at, case in enumerate(found)}, str.casefold)
    return [replace(case, images=images[at]) for at, case in enumerate(found)]


def _common_beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _channels(found: Sequence[_Found]) -> tuple[str, ...]:
    """The channels that most cases have, in the order of their names."""
    most, times = usual_channels([case.images for case in found])
    if len(most) > 1 and times == 1 and len(found) > 1:
        some = found[0]
        raise DataListError(
            "D550",
            f"{some.folder}: {len(some.images)} images ({few([path.name for path in some.images.values()])}), and other names "
            "in each other folder: whether they are channels or cases cannot be told. Give channels the same ending in each "
            "folder, such as _t1 and _flair; give cases a folder each",
        )
    return tuple(sorted(most))


def _lacking(case: _Found, channels: Sequence[str]) -> str:
    if len(channels) == 1:
        return f"{len(case.images)} images, of which none is the one that other folders have: {few(list(case.images))}"
    there = {name for name in channels for path in case.images.values() if _says_channel(stem(path), name)}
    missing = [name for name in channels if name not in case.images and name not in there]
    return f"no {', no '.join(missing)}; it holds {few([path.name for path in case.images.values()])}"


def _says_channel(name: str, channel: str) -> bool:
    """Whether the only image of a case, which no other tells its name, ends like a channel of the others."""
    return bool(re.search(rf"(?:^|{SEPARATORS.pattern}){re.escape(channel)}$", name, re.IGNORECASE))


def _place(case: _Found) -> Path:
    """What stands for the masks of a case: their folder, or the case's where they lie beside the image."""
    return next(iter(case.structures.values())).parent if case.structures else case.folder


def _modality(cases: Sequence[_Found], channels: Sequence[str]) -> str | None:
    if len(channels) > 1:
        return modality_of(tuple(channels))
    words = {word.upper() for case in cases for word in SEPARATORS.split(stem(case.images[channels[0]]))[-1:]}
    return "CT" if words == OF_CT else "MRI" if words <= OF_MR and words else modality_of(tuple(words))


def _notes(looked: Sequence[_Folder], cases: Sequence[_Found], channels: Sequence[str]) -> Iterator[str]:
    said = f"{OF_CASES}: {plural(len(cases), 'case')}"
    yield said + (f", channels: {', '.join(channels)}" if len(channels) > 1 else "")
    used = {path for case in cases for path in case.images.values()}
    others = [path for one in looked for path in one.images if path not in used and any(c.folder == one.path for c in cases)]
    if others:
        yield f"images without a mask of their name, left out: {len(others)} ({few([path.name for path in others])})"
    yield from _beside(looked)


def _beside(looked: Iterable[_Folder]) -> Iterator[str]:
    """Masks beside an image whose folder has others within."""
    if beside := [mask for one in looked if one.within and one.images for mask in one.masks]:
        within = next(one.within[0].parent.name for one in looked if one.within and one.images and one.masks)
        yield f"masks beside an image that has others in {within}/, left out: {len(beside)} ({few([m.name for m in beside])})"
