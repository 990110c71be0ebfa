"""Layouts of raw data sets: one small reader each, all returning a `Source`."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from data_prep.bids import BidsChoice, is_bids
from data_prep.bids.listing import around, has_subjects
from data_prep.cases import Source
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, DataListError, HybridError
from data_prep.foreign import dicom_readable, foreign_kind, foreign_sentence, holds_dicom, links_sentence
from data_prep.layouts import bids, case_folders, dicom, folders, msd, nnunet, pairs, parts
from data_prep.layouts.beside import images_and_masks, listed
from data_prep.layouts.common import image_files, label_folder, names_beside, raw_dataset_json
from data_prep.layouts.parts import PARTS, PATIENTS, SITES
from data_prep.layouts.two_folders import fitting, has_labels_within, the_one
from data_prep.outlines import not_masks
from data_prep.quoting import quoted
from data_prep.reading import extension
from data_prep.slicer_segments import by_segments

READERS = {"msd": msd.read, "nnunet": nnunet.read}
DICOM = "dicom"
BIDS = "bids"
CASES = "cases"
FOLDERS = "folders"
PAIRS = "pairs"
AS_THEY_LIE = (FOLDERS, PAIRS, CASES)
JOINED = (PARTS, SITES, PATIENTS)
LAYOUTS = ("auto", FOLDERS, PAIRS, *READERS, CASES, PARTS, SITES, PATIENTS, DICOM, BIDS)
MOST_SITES = 12  # that are proposed: a folder of many data sets is none itself
COMPANIONS = (".cfg", ".json", ".csv", ".tsv", ".txt", ".md", ".bval", ".bvec", ".raw", ".zraw", ".mrml", ".label")  # no images
OF_WINDOWS = ("thumbs.db", "desktop.ini")  # which it puts into folders of pictures


def read_source(
    root: Path,
    layout: str = "auto",
    labels_dir: str | None = None,
    series: str | None = None,
    accept: Collection[str] = (),
    bids_filter: str | None = None,
    bids_labels: str | None = None,
    label_names: str | Mapping[int, str] | None = None,
    images_dir: str | None = None,
) -> Source:
    """List the cases of a raw data set.

    Args:
        root: its folder; of DICOM also one file.
        layout: "auto", "folders", "pairs", "msd", "nnunet", "cases", "parts", "sites", "patients", "dicom" or "bids".
        labels_dir: another label folder than the layout's own; of BIDS the folder in derivatives/.
        series: which DICOM series are meant; see `data_prep.dicom.choice.choose`.
        accept: codes of judgements that the user overrules, where they say which cases there are.
        bids_filter: of BIDS, which contrasts; see `bids.wanted`.
        bids_labels: of BIDS, which labels.
        label_names: value -> name; of masks of structures in a file each they say which are meant.
        images_dir: of "folders", the folder of images; "." is `root` itself.

    Raises:
        ConfigError: the layout or the label folder does not exist.
        DataError: the folder does not exist, the layout's own description (dataset.json) is damaged, or there is no image.
    """
    images_dir, labels_dir = folder_within(root, images_dir), folder_within(root, labels_dir)
    foreign = foreign_sentence(root) if root.is_file() else None
    if foreign and not (dicom_readable() and foreign_kind(root) == DICOM):
        raise DataListError("D507", f"{root}: {foreign}", str(root))
    if not root.is_dir() and not foreign:
        said = absent(root, f"there is no such folder; expected a folder with images. Type: ls {quoted(root.parent)}")
        raise DataError(f"{root}: {said}")
    if layout not in LAYOUTS:
        raise ConfigError(f"--layout {layout}: unknown; expected one of {', '.join(LAYOUTS)}")
    kind = DICOM if root.is_file() else detect(root, labels_dir, images_dir) if layout == "auto" else layout
    choice = BidsChoice(bids_filter, bids_labels, labels_dir)
    if images_dir is not None and kind not in (FOLDERS, *JOINED):
        raise ConfigError(f"--images-dir {quoted(images_dir)}: {root} has the layout {kind}, not {FOLDERS}; leave it out")
    if choice.given and kind != BIDS:
        raise ConfigError(f"{choice.given}: {root} has the layout {kind}, not bids; leave the option out")
    if kind == DICOM:
        return by_segments(dicom.read(root, labels_dir, series, accept), label_names)
    if series is not None:
        raise ConfigError(f"--series {shlex.quote(series)}: {root} holds no DICOM series. Leave --series out")
    source = _read(kind, root, labels_dir, label_names, images_dir, choice)
    source = by_segments(source, label_names) if kind in (*AS_THEY_LIE, *JOINED) else source
    name = source.name if source.name not in ("", "..") else root.resolve().name  # where . is given
    return replace(source, name=name, ignored=_ignored(source))


def folder_within(root: Path, name: str | None) -> str | None:
    """The name of a folder in `root`: labels of labels/, and of its whole path."""
    if not name:
        return name
    path = Path(name)
    inside = path.is_absolute() and path.is_relative_to(root.absolute())
    return str(path.relative_to(root.absolute()) if inside else path)


def _read(
    kind: str,
    root: Path,
    labels_dir: str | None,
    label_names: str | Mapping[int, str] | None,
    images_dir: str | None,
    choice: BidsChoice,
) -> Source:
    if kind == FOLDERS:
        return folders.read(root, labels_dir, label_names, images_dir)
    if kind in JOINED:
        found = (parts.splits_of if kind == PARTS else parts.sites_of)(root, labels_dir, images_dir)
        if not found:
            others = f"a folder for each {kind.removesuffix('s')}"
            wanted = "train/ and val/ or test/; for others type: --layout sites" if kind == PARTS else others
            raise ConfigError(f"--layout {kind}: {root} has no such parts; expected {wanted}")
        reader = partial(_part, label_names=label_names or names_beside(root, "labels"))
        return parts.read(root, found, reader, kind == PATIENTS)
    if kind == CASES:
        return case_folders.read(root, labels_dir, label_names)
    if kind == PAIRS:
        if labels_dir is not None:
            raise _beside(root, labels_dir)
        return pairs.read(root)
    return bids.read(root, choice) if kind == BIDS else READERS[kind](root, labels_dir)


def _part(place: Path, labels_dir: str | None, images_dir: str | None, label_names: str | Mapping[int, str] | None) -> Source:
    """A part of a data set, of one of the layouts whose files lie as they lie.

    Raises:
        ConfigError: it has another layout, or none.
    """
    kind = detect(place, labels_dir, images_dir)
    if kind not in AS_THEY_LIE:
        raise ConfigError(f"{place}: its layout is {kind}; a part of a data set holds images and masks as files. Give it alone")
    return _read(kind, place, labels_dir, label_names, images_dir, BidsChoice(None, None, None))


def _beside(root: Path, labels_dir: str) -> ConfigError:
    return ConfigError(f"--labels-dir {quoted(labels_dir)}: in {root} masks lie beside their images; leave it out")


def _ignored(source: Source) -> tuple[Path, ...]:
    """Files beside the images that no reader knows: scans in another format would be lost without a word."""
    folders = sorted({image.parent for case in source.cases for image in case.images if image.parent.is_dir()})
    files = (path for folder in folders for path in sorted(folder.iterdir()) if path.is_file() and not extension(path))
    files = (path for path in files if path.name.lower() not in OF_WINDOWS)
    return tuple(path for path in files if not path.name.startswith(".") and path.suffix.lower() not in COMPANIONS)


def detect(root: Path, labels_dir: str | None = None, images_dir: str | None = None) -> str:
    """The layout of a folder: by its dataset.json, else by its sub-folders and the names of its files.

    `labels_dir` and `images_dir` as in `read_source`.

    Raises:
        ConfigError: no layout fits, or several folders of images and masks do.
        DataListError: it holds archives, or DICOM though pydicom is not installed.
    """
    described = raw_dataset_json(root)
    if described is not None:
        return "nnunet" if "channel_names" in described else "msd"
    if is_bids(root):
        return BIDS
    splits = parts.splits_of(root, labels_dir, images_dir)
    if splits and not holds_dicom(root) and _trains(splits):
        return PARTS
    if images_dir is not None or ((root / "images").is_dir() and (image_files(root / "images") or not holds_dicom(root))):
        return FOLDERS
    if dicom_readable() and holds_dicom(root):
        return _dicom_alone(root)
    whole = around(root)
    if whole is not None:
        raise ConfigError(
            f"{root}: no known layout; it is a part of the BIDS data set {quoted(whole)}: give that"
            + (f", with --bids-filter sub={root.name.removeprefix('sub-')}" if root.name.startswith("sub-") else "")
        )
    if case_folders.is_case_folders(root, labels_dir) or (labels_dir and case_folders.is_case_folders(root)):
        return CASES
    nearby = _one_level_off(root)
    if not nearby and not labels_dir and pairs.is_pairs(root):
        return PAIRS
    if not nearby and the_one(root, fitting(root, None, labels_dir)):
        return FOLDERS
    if nearby:
        names = ", ".join(quoted(folder) for folder in nearby[:8])
        joined = "; to take its folders as one data set, a site each, type: --layout sites" if _are_sites(nearby) else ""
        if all(folder.parent == root for folder in nearby) and case_folders.near(root) == nearby:
            joined = f"; to take each folder for a patient, with a folder for each scan, type: --layout patients{joined}"
        raise ConfigError(f"{root}: no known layout{joined}. A folder one level up or down has one. Give it: {names}")
    for part in splits:
        detect(part.place, part.labels_dir, part.images_dir)  # says what is wrong with it
    raise _unknown(root, labels_dir)


def _are_sites(places: Sequence[Path]) -> bool:
    """Whether these few data sets may be read as one."""
    try:
        return 1 < len(places) <= MOST_SITES and all(detect(place) in AS_THEY_LIE for place in places)
    except HybridError:
        return False


def _trains(splits: Sequence[parts.Part]) -> bool:
    """Whether each part to train on holds images and masks: train/ may as well hold images alone, beside train_masks/."""
    try:
        return all(
            detect(part.place, part.labels_dir, part.images_dir) in AS_THEY_LIE for part in splits if part.split == "training"
        )
    except HybridError:
        return False


def _unknown(root: Path, labels_dir: str | None) -> ConfigError | DataError:
    """What to say of a folder of no known layout."""
    foreign = foreign_sentence(root)
    if foreign:
        return DataListError("D507", f"{root}: {foreign}", str(root))
    loose = image_files(root)
    if loose and labels_dir:
        label_folder(root, labels_dir)
        if pairs.is_pairs(root):
            return _beside(root, labels_dir)
    if loose:
        ours = images_and_masks(root).ours
        told = f"What this tool wrote there is taken for masks in labels/ alone: {listed(ours)}. " if ours else ""
        drawn = not_masks(root)
        told += f"{drawn} " if drawn else ""
        return ConfigError(
            f"{root}: no known layout; {len(loose) - len(ours)} images lie directly in it, and no mask that is called like one "
            f"of them. {told}"
            f"Expected p1 and p1_seg, or images/, and labels/ with the same file names: mkdir {_quoted(root, 'images')} "
            f"{_quoted(root, 'labels')}, then move them; or look at one alone: monai-hybrid check {quoted(loose[0])}"
        )
    links = links_sentence(root)
    if links:
        return ConfigError(f"{root}: no known layout; {links}")
    found = sorted(path.name for path in root.iterdir())[:8]
    if has_subjects(root):
        return ConfigError(f"{root}: no known layout; it looks like BIDS without dataset_description.json. Type: --layout bids")
    error = ConfigError if found else DataError  # what is not there is no mistaken setting
    return error(
        f"{root}: no known layout; it holds {', '.join(found) or 'nothing'}. Expected images/ and labels/ (other names: "
        "--images-dir NAME --labels-dir NAME), a dataset.json of the Decathlon (MSD) or of nnU-Net, a folder a case with image "
        "and mask, or BIDS. Type: monai-hybrid build --help"
    )


def _dicom_alone(root: Path) -> str:
    """The layout of a folder that holds DICOM.

    Raises:
        ConfigError: other images lie beside it, so that nobody knows which are meant.
    """
    loose = image_files(root)
    if loose:
        raise ConfigError(
            f"{root}: it holds DICOM, and other images ({extension(loose[0])}). To take the DICOM series: --layout dicom; "
            f"masks go into {_quoted(root, 'labels')}"
        )
    return DICOM


def _quoted(root: Path, name: str) -> str:
    return quoted(root / name)


def _is_data_set(folder: Path) -> bool:
    try:
        own = any((folder / name).is_dir() for name in case_folders.DATA_SETS)
        return own or (folder.is_dir() and not folder.name.startswith(".") and has_labels_within(folder))
    except OSError:  # a folder that nobody has asked for may be closed
        return False


def _one_level_off(root: Path) -> list[Path]:
    """Data sets one level off: the folder above, when its images or one of its cases were given, or those within."""
    above = root.absolute().parent
    for images, labels in (("images", "labels"), ("imagesTr", "labelsTr")):
        if root.absolute().name in (images, labels) and (above / images).is_dir() and (above / labels).is_dir():
            return [root.parent if root.name else above]
    if image_files(root):
        # With masks of their names beside them or in a folder.
        several = pairs.are_several(root) or has_labels_within(root)
        return [] if several else case_folders.near(root)
    named = [p for p in sorted(root.iterdir()) if _is_data_set(p)]
    return named or case_folders.near(root)
