"""Masks that lie in files, of any program or reader: what their values mean, and whether they fit the label."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data_prep.amounts import cells, few
from data_prep.errors import DataListError
from data_prep.geometry import corner_distance, is_invertible
from data_prep.ignoring import IGNORE
from data_prep.json_io import load_json
from data_prep.label_file import NAME as LABEL_FILE
from data_prep.label_file import read_label_file
from data_prep.label_names import (
    BACKGROUND,
    OTHERS,
    alike_name,
    is_made_up,
    parse_names,
    parse_option,
    same_only_class,
    without_others,
)
from data_prep.nifti_open import open_nifti
from data_prep.quoting import printable
from data_prep.reading import NIFTI, extension
from data_prep.voxel_order import TOLERANCE
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation.mask_owners import LABELS
from monai_hybrid.evaluation.structure_masks import by_segments_file, follows_segments, joined_file, structure_masks
from monai_hybrid.transforms.classes import IGNORE_VALUE, LoadClassesd

logger = logging.getLogger("monai_hybrid.evaluation")
NNUNET = "dataset.json"  # what nnU-Net leaves beside its masks
OPTION = "--mask-labels"
OF_LABELS = (IGNORE_VALUE, "label_values", "class_indices")  # what a case says of its label, and of no mask


@dataclass(frozen=True)
class MaskValues:
    """The values that masks may hold, and the class index of each in the data set; 0 for structures that it does not know.

    With `others_too` all other values are background. `structures` are the values of the names, as `alike_name` gives them, for
    masks of one structure each.
    """

    values: tuple[int, ...]
    indices: tuple[int, ...]
    others_too: bool = False
    structures: Mapping[str, int] = field(default_factory=dict, compare=False)


def mask_values(folder: str | None, stated: str | None, labels: Sequence[Mapping[str, Any]]) -> MaskValues:
    """What the values of the masks mean in the data set.

    Names decide where there are any: `stated`, `labels.txt` as `predict` writes it, or `dataset.json` as nnU-Net leaves it.
    Case, spaces, hyphens and underscores do not count. A structure that the data set does not know is background. Without
    names the values are the data set's own.

    Args:
        folder: of the masks.
        stated: "1=LV,2=RV"; with "others=background" masks may hold further values; None: what lies beside the masks.
        labels: of the data set, {"index", "value", "name"} each, background first.

    Raises:
        ConfigError: `stated` has another form, or names nothing that the data set has.
        DataError: the same of a file, or it is damaged.
    """
    stated, others_too = without_others(stated or "")
    if others_too and not stated:
        raise ConfigError(f'{OPTION}: names no structure. Type: {OPTION} "1={printable(str(labels[-1]["name"]))},{OTHERS}"')
    names, where = _names(folder, stated)
    named = {value: name for value, name in (names or {}).items() if value}
    if not named or (not stated and all(map(is_made_up, named.values()))):
        return _own_values(labels)
    structures = {alike_name(name): value for value, name in named.items()}
    ordered = [str(label["name"]) for label in labels]
    if len(named) == 1 and same_only_class(ordered, [BACKGROUND, *named.values()]):
        return MaskValues((0, *named), (0, 1), others_too, structures)
    known = {alike_name(str(label["name"])): int(label["index"]) for label in labels}
    indices = {value: known.get(alike_name(name), 0) for value, name in named.items()}
    if not any(indices.values()):
        seen = f"{where}: names {few(list(map(printable, named.values())), 6)}; the data set has {few(ordered[1:], 6)}"
        example = ",".join(f"{value}={printable(name)}" for value, name in enumerate(ordered[1:4], 1))
        raise (ConfigError if stated else DataError)(f'{seen}. Type: {OPTION} "{example}"')
    if strange := [name for value, name in named.items() if not indices[value]]:
        logger.warning("%s: %s: not in the data set; counted as background", where, few(list(map(printable, strange)), 6))
    if absent := [name for index, name in enumerate(ordered) if index and index not in indices.values()]:
        logger.warning("%s: no value for %s: counted as missed", where, few(absent, 6))
    return MaskValues((0, *indices), (0, *indices.values()), others_too, structures)


def _own_values(labels: Sequence[Mapping[str, Any]]) -> MaskValues:
    """The values of the data set itself."""
    return MaskValues(
        tuple(int(label["value"]) for label in labels),
        tuple(int(label["index"]) for label in labels),
        structures={alike_name(str(label["name"])): int(label["value"]) for label in labels[1:]},
    )


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
        keys: masks, a path each; a folder holds a mask for each structure, called like it. Or structure -> path of its mask.
        values: which they may hold, and what each means.
        label_key: of the label, loaded before.
        spatial_dims: of the data set.

    Raises:
        DataError: a mask holds another value, cannot be read, or lies on another grid than its label.
    """

    def __init__(self, keys: Any, values: MaskValues, label_key: str = "label", spatial_dims: int | None = None) -> None:
        super().__init__(keys, values.values, values.indices, spatial_dims=spatial_dims)
        self.label_key = label_key
        self.others_too, self.structures = values.others_too, values.structures
        self.remedy = f'Say what they mean: {OPTION} "1=NAME,{OTHERS}"'

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each path; nothing of a mask is "not annotated", whatever value the labels have for that."""
        with TemporaryDirectory() as place:
            masks = {key: data[key] for key in self.key_iterator(dict(data))}
            named = {key: str(_folder_of(mask)) for key, mask in masks.items()}
            files = {key: self._one_file(mask, Path(place), data) for key, mask in masks.items()}
            for name in files.values():
                _hold_to_size(name, tuple(data[self.label_key].shape[1:]))
            others = {key: value for key, value in data.items() if key not in OF_LABELS}
            loaded = super().__call__({**others, **files})
        for key, name in named.items():
            _hold_to(loaded[key], data[self.label_key], name)
        return {**data, **{key: loaded[key] for key in files}}

    def _one_file(self, mask: Any, place: Path, data: Mapping[Hashable, Any]) -> str:
        """The mask, or the label that masks of structures, or segments of 3D Slicer, are together."""
        where = _folder_of(mask)
        if where.is_file() and follows_segments(where, self.structures):
            drawn_on = getattr(data[self.label_key], "meta", {}).get("filename_or_obj")  # 3D Slicer may have cropped it
            return str(by_segments_file(where, self.structures, place, drawn_on and Path(drawn_on)))
        if not where.is_dir():
            return str(where)
        named = {name: Path(path) for name, path in mask.items()} if isinstance(mask, Mapping) else None
        found = structure_masks(where, self.structures, named)
        for path in found.values():
            _hold_to_size(str(path), tuple(data[self.label_key].shape[1:]))
        return str(joined_file(where, found, self.structures, place))


def _folder_of(mask: Any) -> Path:
    """The path of a mask; of masks in a folder for each structure where these folders lie."""
    return Path(next(iter(mask.values()))).parent.parent if isinstance(mask, Mapping) else Path(str(mask))


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
    """What an evaluator takes for its input and its target: the mask, which is its own prediction, and the label.

    Both are (B, 1, X, Y[, Z]) class indices.
    """
    mask, label = (torch.as_tensor(batch[key]).to(device, non_blocking=non_blocking) for key in ("mask", "label"))
    return mask, label
