"""A folder a case: its image or its channels, and a mask beside them or a mask for each structure in a folder within.

s0001/ct.nii.gz, s0001/segmentations/liver.nii.gz, ...                    (TotalSegmentator)
case_00000/imaging.nii.gz, case_00000/segmentation.nii.gz                 (KiTS)
BraTS_001/BraTS_001_t1.nii.gz, ..._flair.nii.gz, BraTS_001_seg.nii.gz     (BraTS)
patient001/patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz, ...   (ACDC)
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.amounts import few
from data_prep.cases import Case, Source, SourceFault
from data_prep.errors import DataListError
from data_prep.label_affixes import says_mask, without_label_words
from data_prep.layouts.common import image_files, modality_of, names_beside
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import LABEL_FOLDER, OWN, sort_files
from data_prep.structures import Joined, absent, many, names_of, table_of

SEPARATORS = re.compile(r"[\s_.\-]+")
OF_CT, OF_MR = {"CT"}, {"MR", "MRI", "MRT"}


@dataclass(frozen=True)
class _Folder:
    """What lies in the folder of a case. `structures`: masks in a folder within, by name."""

    path: Path
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    structures: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class _Found:
    """A case: its images by channel, and its mask or its masks of structures."""

    case_id: str
    patient: str
    folder: Path
    images: Mapping[str, Path]
    mask: Path | None = None
    structures: Mapping[str, Path] = field(default_factory=dict)


def is_case_folders(root: Path) -> bool:
    """Whether each folder here may be a case: at least one holds an image and a mask, and none is a folder of labels alone."""
    if image_files(root):
        return False
    within = _folders(root)
    if any(LABEL_FOLDER.fullmatch(folder.name) for folder in within):
        return False
    return any(one.images and (one.masks or one.structures) for one in (_look(folder, choose=False) for folder in within))


def read(root: Path, labels_dir: str | None = None, label_names: str | Mapping[int, str] | None = None) -> Source:
    """List the cases of a data set in which each has a folder.

    Args:
        root: holds the folders.
        labels_dir: the folder of masks in each of them, where its name does not say so.
        label_names: which masks of structures are meant, and their values; all of them by default, in the order of their names.

    Raises:
        ConfigError: structures that are not there are asked for.
        DataListError: it cannot be told which files are images, masks or channels.
    """
    looked = [_look(folder, labels_dir) for folder in _folders(root)]
    faults = [SourceFault("D551", why, one.path.name, one.path) for one in looked if (why := _no_case(one))]
    found = [case for one in looked if not _no_case(one) for case in _cases_of(one)]
    if not found:
        raise DataListError("D503", f"{root}: no folder in it holds an image. Type: ls {quoted(root)}", str(root))
    channels = _channels(found)
    whole = [case for case in found if set(channels) <= set(case.images)]
    faults += [
        SourceFault("D551", _lacking(case, channels), case.case_id, case.folder)
        for case in found
        if not set(channels) <= set(case.images)
    ]
    structures = {case.case_id: case.structures for case in whole if case.structures}
    table = table_of(structures, label_names, root)
    faults += absent(structures, table)
    cases = tuple(
        Case(
            case.case_id,
            tuple(case.images[name] for name in channels),
            _place(case) if case.structures else case.mask,
            patient=case.patient,
        )
        for case in whole
    )
    return Source(
        root,
        "cases",
        root.resolve().name,
        cases,
        names_of(table) or names_beside(root, labels_dir or "labels"),
        channels if len(channels) > 1 else ("image",),
        _modality(whole, channels),
        notes=tuple(_notes(looked, whole, channels, table, label_names)),
        faults=tuple(faults),
        volumes={_place(case): Joined(_place(case), case.structures, table) for case in whole if case.structures},
        table_of_names=bool(table) and label_names is None,
    )


def _folders(root: Path) -> list[Path]:
    return [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _look(folder: Path, labels_dir: str | None = None, choose: bool = True) -> _Folder:
    """With `choose` several folders of masks beside an image are an error."""
    files = image_files(folder)
    sorted_files = sort_files(files, folder)
    ours = set(sorted_files.left_out.get(OWN, ()))
    images = {path for scan in sorted_files.scans for path in scan.files}
    masks = tuple(path for path in files if path not in images and path not in ours)
    own = tuple(path for path in files if path in images)
    return _Folder(folder, own, masks, _structures(folder, labels_dir, choose and bool(own)))


def _structures(folder: Path, labels_dir: str | None, choose: bool) -> dict[str, Path]:
    """Masks in the folder of labels within a case's folder, by name."""
    within = [path for path in _folders(folder) if path.name == labels_dir or LABEL_FOLDER.fullmatch(path.name)]
    chosen = [path for path in within if path.name == labels_dir] if labels_dir else within
    if labels_dir and not chosen:
        return {}
    holding = [(path, files) for path in chosen if (files := image_files(path))]
    if choose and len(holding) > 1:
        names = ", ".join(path.name for path, _ in holding)
        raise DataListError(
            "D550", f"{folder}: several folders of masks: {names}. Choose one: --labels-dir {quoted(holding[0][0].name)}"
        )
    return {_structure(path, folder): path for _, files in holding for path in files}


def _structure(mask: Path, folder: Path) -> str:
    """The name of the structure in the name of its mask: without the case and without a word that says "mask"."""
    name = stem(mask)
    for case in (folder.name, *without_label_words(folder.name)):
        name = re.sub(rf"^{re.escape(case)}{SEPARATORS.pattern}", "", name)
    return next((rest for rest in without_label_words(name) if says_mask(name) and rest), name)


def _no_case(one: _Folder) -> str:
    if one.images:
        return ""
    return "it holds masks and no image" if one.masks or one.structures else "it holds no image"


def _cases_of(one: _Folder) -> Iterator[_Found]:
    """The cases in a folder: one, or one for each image that has a mask of its name."""
    if one.structures and len(one.structures) == 1 and not one.masks:
        (name, path), *_ = one.structures.items()
        if _is_plain(name, path, one):
            yield _Found(one.path.name, "", one.path, _by_channel(one), path)
            return
    if one.structures:
        yield _Found(one.path.name, "", one.path, _by_channel(one), None, one.structures)
        return
    if len(one.masks) <= 1:
        yield _Found(one.path.name, "", one.path, _by_channel(one), one.masks[0] if one.masks else None)
        return
    own = {stem(path): path for path in one.images}
    pairs = {mask: own[name] for mask in one.masks for name in without_label_words(stem(mask)) if name in own}
    if len(pairs) == len(one.masks) == len(set(pairs.values())):
        for mask, image in pairs.items():
            name = stem(image)
            case = name if name.startswith(one.path.name) else f"{one.path.name}_{name}"
            yield _Found(case, one.path.name, one.path, {"image": image}, mask)
    else:
        names = {_structure(mask, one.path): mask for mask in one.masks}
        if len(names) < len(one.masks) or pairs:
            raise DataListError(
                "D550",
                f"{one.path}: {len(one.masks)} masks ({few([path.name for path in one.masks])}) and {len(one.images)} images "
                f"({few([path.name for path in one.images])}): which belong together cannot be told by their names",
            )
        yield _Found(one.path.name, "", one.path, _by_channel(one), None, names)


def _is_plain(name: str, path: Path, one: _Folder) -> bool:
    """Whether the only file in a folder of masks is called like the case, its image or "mask", and so is its whole label."""
    known = {one.path.name, *(stem(image) for image in one.images)}
    return (
        stem(path) in known
        or name in known
        or says_mask(stem(path))
        or any(n in known for n in without_label_words(stem(path)))
    )


def _by_channel(one: _Folder) -> dict[str, Path]:
    """Images by what their names add to those of the case: t1, flair; "image" where there is one."""
    if len(one.images) == 1:
        return {"image": one.images[0]}
    names = [stem(path) for path in one.images]
    common = _common_beginning(names)
    cut = max((match.end() for match in SEPARATORS.finditer(common)), default=0)
    return dict(zip((name[cut:] for name in names), one.images, strict=True))


def _common_beginning(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]


def _channels(found: Sequence[_Found]) -> tuple[str, ...]:
    """The channels that most cases have, in the order of their names."""
    sets = Counter(frozenset(case.images) for case in found)
    most = max(sets, key=lambda names: (sets[names], -len(names)))
    if len(most) > 1 and sets[most] == 1 and len(found) > 1:
        some = found[0]
        raise DataListError(
            "D550",
            f"{some.folder}: {len(some.images)} images ({few([path.name for path in some.images.values()])}), and other names "
            "in each other folder: whether they are channels or cases cannot be told. Give channels the same ending in each "
            "folder, such as _t1 and _flair; give cases a folder each",
        )
    return tuple(sorted(most))


def _lacking(case: _Found, channels: Sequence[str]) -> str:
    absent = [name for name in channels if name not in case.images]
    return f"no {', no '.join(absent)}; it holds {few([path.name for path in case.images.values()])}"


def _place(case: _Found) -> Path:
    """What stands for the masks of a case: their folder, or the case's where they lie beside the image."""
    return next(iter(case.structures.values())).parent if case.structures else case.folder


def _modality(cases: Sequence[_Found], channels: Sequence[str]) -> str | None:
    if len(channels) > 1:
        return modality_of(tuple(channels))
    words = {word.upper() for case in cases for word in SEPARATORS.split(stem(case.images[channels[0]]))[-1:]}
    return "CT" if words == OF_CT else "MRI" if words <= OF_MR and words else modality_of(tuple(words))


def _notes(
    looked: Sequence[_Folder], cases: Sequence[_Found], channels: Sequence[str], table: Mapping[str, int], stated: object
) -> Iterator[str]:
    said = f"a folder a case: {len(cases)} cases"
    yield said + (f", channels: {', '.join(channels)}" if len(channels) > 1 else "")
    used = {path for case in cases for path in case.images.values()}
    others = [path for one in looked for path in one.images if path not in used and any(c.folder == one.path for c in cases)]
    if others:
        yield f"images without a mask of their name, left out: {len(others)} ({few([path.name for path in others])})"
    yield from many(table, stated)
