"""Whose each mask of a folder is: by its name, or by the table that `predict` leaves beside its masks."""

from __future__ import annotations

import csv
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.amounts import few, plural
from data_prep.cells import restored_row
from data_prep.known_files import joint_digest, lies_below
from data_prep.label_affixes import without_label_words
from data_prep.label_names import BACKGROUND, alike_name
from data_prep.layouts.structure_folders import structure_of
from data_prep.quoting import printable, quoted
from data_prep.reading import stem
from data_prep.structure_names import take_name
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.structure_masks import mask_files, one_segmentation

logger = logging.getLogger("monai_hybrid.evaluation")
TABLE, DIGEST = "quality.csv", "image_digest"  # of a prediction of ours, and a column of it
LABELS = "labels"  # folder of the corrected labels, beside their dataset.json; nnU-Net's are labelsTr and labelsTs
DEEPEST = 4  # folders and file in such a name
REFUSE, LEAVE_OUT = "refuse", "leave_out"


def cases_with_masks(
    cases: Sequence[Mapping[str, Any]],
    folder: str | None,
    without_mask: str = REFUSE,
    others: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The cases with an entry "mask": the file in `folder` that is called like the case, its image or its label.

    A word that says "mask" may stand at its end or beginning, as `build` reads them of labels. In a folder of `predict` its
    `quality.csv` says whose a mask is. A file belongs to one case at most: `a_seg` to the case `a_seg` where there is one, else
    to `a`; `scan` to none where each image is called so. Where there are folders alone, each holds the masks of a case,
    or one segmentation of 3D Slicer; or each is of a structure, with a mask for each case: "mask" is structure -> file then.

    Args:
        cases: with "case_id", "image" and "label".
        folder: of the masks; the files lie in it, or in its `labels/` as those that were corrected in `view`.
        without_mask: "refuse" cases without a mask, or "leave_out" and say so.
        others: further cases of the data set, whose masks may lie there too.

    Raises:
        ConfigError: no folder was given.
        DataError: no such folder, cases without a mask, two files for one case, or a mask is the label itself.
    """
    if not folder:
        raise ConfigError("masks: no folder was given. Type: --masks FOLDER")
    place, there = _masks_in(Path(folder))
    files = _without_images(there, [*cases, *others], place)
    listed = _listed(place)
    owner = _owners([*cases, *others])
    mask_of = _masks_of(cases, {name: path for name, (path, _) in listed.items()}, files, owner)
    by_folder = {} if mask_of else _by_structure(cases, [path for path in files if path.is_dir()], owner)
    found, missing = [], []
    for case in cases:
        own = by_folder.get(case["case_id"]) or mask_of.get(case["case_id"])
        if own is None:
            missing.append(str(case["case_id"]))
            continue
        if isinstance(own, Path) and own.is_dir():
            own = one_segmentation(own, {Path(str(image)).name for image in _images(case)}) or own
        for path in own.values() if isinstance(own, dict) else [own]:
            _refuse_name(path)
            _refuse_label(path, Path(str(case["label"])))
        found.append({**case, "mask": {name: str(path) for name, path in own.items()} if isinstance(own, dict) else str(own)})
    if missing:
        _tell_missing(place, len(cases), missing, list(dict.fromkeys(map(stem, files))), without_mask)
    _tell_other_images(place, found, listed)
    return found


def _masks_in(folder: Path) -> tuple[Path, list[Path]]:
    """Where the masks lie, the folder or its `labels/`; and a file a case, or a folder a case where there are folders alone.

    Raises:
        DataError: no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{printable(str(folder))}: no such folder; expected masks, a file a case")
    place = folder / LABELS if not mask_files(folder) and (folder / LABELS).is_dir() else folder
    files = mask_files(place)
    return place, files or [
        path for path in sorted(place.iterdir()) if path.is_dir() and path.name[0] != "." and mask_files(path)
    ]


def _without_images(files: Sequence[Path], cases: Sequence[Mapping[str, Any]], place: Path) -> list[Path]:
    """Files that are no images of the data set itself, which may lie beside the masks of a second reader.

    Raises:
        DataError: all are.
    """
    images = {os.path.realpath(path) for case in cases for path in _images(case)}  # resolve fails on a loop of links
    kept = [path for path in files if os.path.realpath(path) not in images]
    if files and not kept:
        raise DataError(f"{printable(str(place))}: holds the images of the data set; expected masks, a file a case")
    return kept


def _tell_missing(place: Path, total: int, missing: Sequence[str], there: Sequence[str], without_mask: str) -> None:
    said = (
        f"{printable(str(place))}: no mask of {len(missing)} of {plural(total, 'case')}: {few(list(map(printable, missing)))}"
    )
    if len(missing) == total:
        folders = sorted(path.name for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))
        seen = f"masks of {few(list(map(printable, there)))}" if there else "no image file"
        if folders and not there:
            seen += f", but folders: {few(list(map(printable, folders)))}"
        name = printable(missing[0])
        raise DataError(f"{said}; saw {seen}; expected a file called {name}.nii.gz or {name}_seg.png, say, for each")
    if without_mask != LEAVE_OUT:
        raise DataError(f"{said}. To score the others alone, add --without-mask {LEAVE_OUT}")
    logger.warning("%s; left out", said)


def _refuse_name(mask: Path) -> None:
    """Names of files come from others, and stand in errors and tables."""
    if not mask.name.isprintable():
        raise DataError(f"{printable(str(mask))}: its name holds control characters; rename it: mv {quoted(mask)} NAME")


def _refuse_label(mask: Path, label: Path) -> None:
    """A folder of labels that is given for one of masks would score 1 everywhere."""
    if label.exists() and mask.samefile(label):
        raise DataError(
            f"{printable(str(mask))}: is the label that the masks are held against; expected a folder with masks of another "
            "program or reader"
        )


def _masks_of(
    cases: Sequence[Mapping[str, Any]], listed: Mapping[str, Path], files: Sequence[Path], owner: Mapping[str, str | None]
) -> dict[str, Path]:
    """Case -> its mask.

    Raises:
        DataError: two files for one case.
    """
    wanted = {str(case["case_id"]) for case in cases}
    found = {case_id: path for case_id, path in listed.items() if case_id in wanted}
    sure, taken = set(found), set(found.values())
    for path in files:
        case_id = None if path in taken else _owner_of(stem(path), owner)
        if case_id is None or case_id not in wanted - sure:
            continue
        if case_id in found:
            raise DataError(
                f"{printable(str(found[case_id]))} and {printable(path.name)} could both be the mask of "
                f"{printable(case_id)}; keep one: mv -n {quoted(path)} .."
            )
        found[case_id] = path
    return found


def _by_structure(
    cases: Sequence[Mapping[str, Any]], folders: Sequence[Path], owner: Mapping[str, str | None]
) -> dict[str, dict[str, Path]]:
    """Case -> structure -> its mask, of folders that are called like structures: masks/liver/p1.nii.gz.

    Raises:
        DataError: two folders of one structure, or two files for one case in one of them.
    """
    found: dict[str, dict[str, Path]] = {}
    known: dict[str, Path] = {}
    for folder in folders:
        name = structure_of(folder)
        own = _masks_of(cases, {}, mask_files(folder), owner)
        if not own or alike_name(name) == BACKGROUND:
            continue
        take_name(name, folder, known, folder.parent)
        for case_id, path in own.items():
            found.setdefault(case_id, {})[name] = path
    return found


def _owner_of(name: str, owner: Mapping[str, str | None]) -> str | None:
    """The case that a mask of this name belongs to; a whole name says more than one without the word that says "mask"."""
    plain = _plain(name)
    named = (rest for rest in without_label_words(plain) if not plain.removeprefix(rest).strip(" _.-").isdigit())
    return next((owner[rest] for rest in (plain, *named) if rest in owner), None)


def _owners(cases: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Name -> its case. Names of cases come first, then those of files; None where files of several cases have the name."""
    ids = {_plain(str(case["case_id"])): str(case["case_id"]) for case in cases}
    of_files: dict[str, str | None] = {}
    for case in cases:
        paths = [str(path) for path in (case.get("label"), _images(case)[0]) if path]
        files = [*(stem(Path(path)) for path in paths), *_with_folders(Path(_images(case)[0]))]
        names = [_plain(name) for name in (str(case["case_id"]), *files)]
        for name in {*names, *(name.removesuffix("_0000") for name in names)}:  # nnU-Net's number of the channel
            of_files[name] = case["case_id"] if of_files.get(name, case["case_id"]) == case["case_id"] else None
    return {**of_files, **ids}


def _with_folders(path: Path) -> Iterator[str]:
    """What `predict` calls the mask of an image that shares its name with those in other folders: s0001__ct."""
    parts = (*path.absolute().parent.parts[1:], stem(path))
    yield from ("__".join(parts[-count:]) for count in range(2, min(DEEPEST, len(parts)) + 1))


def _plain(name: str) -> str:
    """The name with composed letters: macOS writes an umlaut as two signs."""
    return unicodedata.normalize("NFC", name)


def _listed(folder: Path) -> dict[str, tuple[Path, str]]:
    """Case -> mask and digest of its image, as the table of a prediction says; {} without one."""
    if not (folder / TABLE).is_file():
        return {}
    try:
        with (folder / TABLE).open(newline="", encoding="utf-8") as file:
            rows = [restored_row(row) for row in csv.DictReader(file)]
        named = [(row["case_id"], folder / row["mask"]) for row in rows if row.get("mask")]
    except (UnicodeDecodeError, csv.Error, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{printable(str(folder / TABLE))}: not a table of predict ({type(error).__name__}); move it away"
        ) from error
    inside = [(case_id, path) for case_id, path in named if lies_below(folder, path) and _is_file(path)]
    for names in ([case_id for case_id, _ in inside], [str(path) for _, path in inside]):
        if twice := next((name for name, count in Counter(names).items() if count > 1), None):
            raise DataError(
                f"{printable(str(folder / TABLE))}: names {printable(twice)} more than once; expected a case a mask; "
                "move the table away"
            )
    digests = {row["case_id"]: row.get(DIGEST) or "" for row in rows}
    return {case_id: (path, digests[case_id]) for case_id, path in inside}


def _tell_other_images(place: Path, cases: Sequence[Mapping[str, Any]], listed: Mapping[str, tuple[Path, str]]) -> None:
    """Cases of two hospitals may have the same names; a copy of an image that was mended is another file, too."""
    seen = {str(case["case_id"]): listed.get(case["case_id"], (place, ""))[1] for case in cases}
    own = {str(case["case_id"]): joint_digest([Path(str(image)) for image in _images(case)]) for case in cases}
    if other := [printable(case_id) for case_id, digest in seen.items() if digest and own[case_id] not in ("", digest)]:
        logger.warning(
            "%s: the masks of %s were made of other image files than those of the data set; see that they belong to it",
            printable(str(place)), few(other),
        )  # fmt: skip


def _images(case: Mapping[str, Any]) -> Sequence[Any]:
    return case["image"] if isinstance(case["image"], (list, tuple)) else [case["image"]]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False
