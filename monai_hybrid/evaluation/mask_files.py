"""Masks that lie in files, of any program or reader: which is whose, what their values mean, and whether they fit the label."""

from __future__ import annotations

import csv
import logging
import math
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_prep.amounts import cells, few, plural
from data_prep.cells import restored_row
from data_prep.errors import DataListError
from data_prep.geometry import corner_distance, is_invertible
from data_prep.ignoring import IGNORE
from data_prep.json_io import load_json
from data_prep.known_files import joint_digest, lies_below
from data_prep.label_file import NAME as LABEL_FILE
from data_prep.label_file import read_label_file
from data_prep.label_names import BACKGROUND, alike_name, is_made_up, parse_names, parse_option, same_only_class
from data_prep.nifti_open import open_nifti
from data_prep.quoting import printable, quoted
from data_prep.reading import NIFTI, extension, stem
from data_prep.voxel_order import TOLERANCE
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.transforms.classes import IGNORE_VALUE, LoadClassesd

logger = logging.getLogger("monai_hybrid.evaluation")
ENDINGS = ("", "_seg", "_mask", "_pred")  # of a mask's name behind its case's
TABLE, NNUNET = "quality.csv", "dataset.json"  # of a prediction of ours, and what nnU-Net leaves beside its masks
DIGEST = "image_digest"  # column of `TABLE`
REFUSE, LEAVE_OUT = "refuse", "leave_out"
LABELS = "labels"  # folder of the corrected labels, beside their dataset.json; nnU-Net's are labelsTr and labelsTs
OPTION = "--mask-labels"
OF_LABELS = (IGNORE_VALUE, "label_values", "class_indices")  # what a case says of its label, and of no mask


@dataclass(frozen=True)
class MaskValues:
    """The values that masks may hold, and the class index of each in the data set; 0 for structures that it does not know."""

    values: tuple[int, ...]
    indices: tuple[int, ...]


def cases_with_masks(
    cases: Sequence[Mapping[str, Any]],
    folder: str | None,
    without_mask: str = REFUSE,
    others: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """The cases with an entry "mask": the file in `folder` that is called like the case, its image or its label.

    `_seg`, `_mask` or `_pred` may follow. In a folder of `predict` its `quality.csv` says whose a mask is. A file belongs to
    one case at most: `a_seg` to the case `a_seg` where there is one, else to `a`; `scan` to none where each image is called so.

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
    place = Path(folder)
    if not place.is_dir():
        raise DataError(f"{printable(folder)}: no such folder; expected masks, a file a case")
    files = _files(place)
    if not files and (place / LABELS).is_dir():
        place = place / LABELS
        files = _files(place)
    listed = _listed(place)
    mask_of = _masks_of(cases, {name: path for name, (path, _) in listed.items()}, files, _owners([*cases, *others]))
    found, missing = [], []
    for case in cases:
        path = mask_of.get(case["case_id"])
        if path is None:
            missing.append(str(case["case_id"]))
        else:
            _refuse_name(path)
            _refuse_label(path, Path(str(case["label"])))
            found.append({**case, "mask": str(path)})
    if missing:
        _tell_missing(place, len(cases), missing, list(dict.fromkeys(map(stem, files))), without_mask)
    _tell_other_images(place, found, listed)
    return found


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


def _files(folder: Path) -> list[Path]:
    """The readable files, by name."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and extension(path) and path.is_file())


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
                f"{printable(case_id)}; keep one: mv {quoted(path)} .."
            )
        found[case_id] = path
    return found


def _owner_of(name: str, owner: Mapping[str, str | None]) -> str | None:
    """The case that a mask of this name belongs to; a whole name says more than one without its ending."""
    plain = _plain(name)
    starts = [plain[: len(plain) - len(end)] for end in ENDINGS if plain.lower().endswith(end)]
    return next((owner[start] for start in starts if start in owner), None)


def _owners(cases: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """Name -> its case. Names of cases come first, then those of files; None where files of several cases have the name."""
    ids = {_plain(str(case["case_id"])): str(case["case_id"]) for case in cases}
    of_files: dict[str, str | None] = {}
    for case in cases:
        paths = [str(path) for path in (case.get("label"), _images(case)[0]) if path]
        names = [_plain(name) for name in (str(case["case_id"]), *(stem(Path(path)) for path in paths))]
        for name in {*names, *(name.removesuffix("_0000") for name in names)}:  # nnU-Net's number of the channel
            of_files[name] = case["case_id"] if of_files.get(name, case["case_id"]) == case["case_id"] else None
    return {**of_files, **ids}


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


def mask_values(folder: str | None, stated: str | None, labels: Sequence[Mapping[str, Any]]) -> MaskValues:
    """What the values of the masks mean in the data set.

    Names decide where there are any: `stated`, `labels.txt` as `predict` writes it, or `dataset.json` as nnU-Net leaves it.
    Case, spaces, hyphens and underscores do not count. A structure that the data set does not know is background. Without
    names the values are the data set's own.

    Args:
        folder: of the masks.
        stated: "1=LV,2=RV"; None: what lies beside the masks.
        labels: of the data set, {"index", "value", "name"} each, background first.

    Raises:
        ConfigError: `stated` has another form, or names nothing that the data set has.
        DataError: the same of a file, or it is damaged.
    """
    own = MaskValues(tuple(int(label["value"]) for label in labels), tuple(int(label["index"]) for label in labels))
    names, where = _names(folder, stated)
    others = {value: name for value, name in (names or {}).items() if value}
    known = {alike_name(str(label["name"])): int(label["index"]) for label in labels}
    ordered = [str(label["name"]) for label in labels]
    if not others or (not stated and all(map(is_made_up, others.values()))):
        return own
    if len(others) == 1 and same_only_class(ordered, [BACKGROUND, *others.values()]):
        return MaskValues((0, *others), (0, 1))
    found = {value: known.get(alike_name(name), 0) for value, name in others.items()}
    if not any(found.values()):
        seen = f"{where}: names {few(list(map(printable, others.values())), 6)}; the data set has {few(ordered[1:], 6)}"
        example = ",".join(f"{value}={printable(name)}" for value, name in enumerate(ordered[1:4], 1))
        raise (ConfigError if stated else DataError)(f'{seen}. Type: {OPTION} "{example}"')
    if strange := [name for value, name in others.items() if not found[value]]:
        logger.warning("%s: %s: not in the data set; counted as background", where, few(list(map(printable, strange)), 6))
    if absent := [name for index, name in enumerate(ordered) if index and index not in found.values()]:
        logger.warning("%s: no value for %s: counted as missed", where, few(absent, 6))
    return MaskValues((0, *found), (0, *found.values()))


def _names(folder: str | None, stated: str | None) -> tuple[dict[int, str] | None, str]:
    """Value -> name, and where it says so."""
    if stated:
        return parse_option(stated, OPTION), OPTION
    place = Path(folder or "")
    if (named := read_label_file(place / LABEL_FILE)) is not None:
        return dict(named), str(place / LABEL_FILE)
    file = (
        place.absolute().parent / NNUNET if place.name.startswith(LABELS) and not (place / NNUNET).is_file() else place / NNUNET
    )
    if not file.is_file():
        return None, ""
    content: Any = load_json(file)
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict):
        return None, ""
    where = printable(str(file))
    if any(isinstance(value, list) for value in labels.values()):
        logger.warning(
            "%s: its structures are regions; the values are taken for the data set's own, else give %s", where, OPTION
        )
        return None, ""
    try:
        return parse_names({name: value for name, value in labels.items() if name != IGNORE}, where), where
    except DataListError as error:
        raise DataError(f'{error}. Or say what the values mean: {OPTION} "1=NAME,2=NAME"') from error


class LoadMasksd(LoadClassesd):
    """Load masks as class indices, (1, X, Y[, Z]) float32, in the voxel order of their image, on the label's grid.

    Args:
        keys: masks, a path each.
        values: which they may hold, and what each means.
        label_key: of the label, loaded before.
        spatial_dims: of the data set.

    Raises:
        DataError: a mask holds another value, cannot be read, or lies on another grid than its label.
    """

    def __init__(self, keys: Any, values: MaskValues, label_key: str = "label", spatial_dims: int | None = None) -> None:
        super().__init__(keys, values.values, values.indices, spatial_dims=spatial_dims)
        self.label_key = label_key
        self.remedy = f'Say what all of them mean, also of structures to leave aside: {OPTION} "1=NAME,2=OTHER"'

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each path; nothing of a mask is "not annotated", whatever value the labels have for that."""
        files = {key: str(data[key]) for key in self.key_iterator(dict(data))}
        for name in files.values():
            _hold_to_size(name, tuple(data[self.label_key].shape[1:]))
        loaded = super().__call__({key: value for key, value in data.items() if key not in OF_LABELS})
        for key, name in files.items():
            _hold_to(loaded[key], data[self.label_key], name)
        return {**data, **{key: loaded[key] for key in files}}


def _hold_to_size(name: str, expected: tuple[int, ...]) -> None:
    """Refuse a volume of another size before its voxels are read: a small packed file may fill the memory."""
    if extension(Path(name)) not in NIFTI:
        return
    try:
        shape = tuple(int(size) for size in open_nifti(name).shape)
    except Exception:  # nibabel has many; who reads it says what is wrong
        return
    if math.prod(shape) != math.prod(expected):
        channels = math.prod(shape[len(expected) :]) if shape[: len(expected)] == expected else 1
        _refuse_size(name, shape, expected, channels)


def _refuse_size(name: str, seen: Sequence[int], expected: Sequence[int], channels: int) -> None:
    if channels != 1:
        raise DataError(f"{name}: {channels} channels or volumes; expected a single one, with a value for each structure")
    sizes = [" x ".join(map(str, shape)) for shape in (seen, expected)]
    raise DataError(
        f"{name}: {sizes[0]} {cells(len(seen))}, the label has {sizes[1]}; expected a mask on the grid of its image"
    )


def _hold_to(mask: Any, label: Any, name: str) -> None:
    """Refuse a mask on another grid than the label's."""
    if mask.shape != label.shape:
        _refuse_size(name, mask.shape[1:], label.shape[1:], mask.shape[0])
    affines = [np.asarray(x.affine, dtype=np.float64) for x in (label, mask) if hasattr(x, "affine")]
    if len(affines) < 2 or not all(map(is_invertible, affines)) or mask.ndim < 4:
        return
    distance = corner_distance(affines[0], affines[1], tuple(mask.shape[1:]))
    tolerance = TOLERANCE * float(np.linalg.norm(affines[0][:3, :3], axis=0).min())
    if distance > tolerance:
        raise DataError(
            f"{name}: lies {distance:.3g} mm away from its label; tolerance {tolerance:.3g} mm; "
            "expected a mask on the grid of its image"
        )


def mask_and_label(batch: Mapping[str, Any], device: Any = None, non_blocking: bool = False, **_: Any) -> tuple[Tensor, Tensor]:
    """What an evaluator takes for its input and its target: the mask, which is its own prediction, and the label."""
    mask, label = (torch.as_tensor(batch[key]).to(device, non_blocking=non_blocking) for key in ("mask", "label"))
    return mask, label
