"""Labels from their file to class indices without a detour through float32, which merges whole numbers above 2^24."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.transforms import LoadImage, MapTransform

from data_prep.amounts import cells, few
from data_prep.flat import flattened
from data_prep.ignoring import IGNORED
from data_prep.pictures import is_picture
from data_prep.reading import read_volume
from data_prep.voxel_order import order_of, order_of_volumes
from monai_hybrid.errors import DataError
from monai_hybrid.transforms.reader import CaseReader

Array = np.ndarray[Any, Any]
IGNORE_VALUE = "ignore_value"  # entry of a case


class LoadClassesd(MapTransform):
    """Load labels as class indices, (1, X, Y[, Z]) float32, in the voxel order of their image.

    The user's values are compared as the file holds them, integers as integers. A label whose voxels are stored in another
    order than its image's, at the same place in the world, is turned to the image's order, voxel for voxel. A case with
    entries "label_values" and "class_indices" of its own (one of another data set) is read by those. Where a case has an
    "ignore_value", nobody annotated the voxels of this value: they become -1.

    Args:
        keys: labels, a path each.
        label_values: the user's own value of each class.
        class_indices: what each value becomes; None: its place in `label_values`.
        image_key: of an image that was loaded before; where it is missing the order stays.
        spatial_dims: of the network, see `CaseReader`.
        allow_missing_keys: cases without a label pass.

    Raises:
        DataError: a label holds another value, with file, value and number of voxels; or it cannot be read.
    """

    def __init__(
        self,
        keys: Any,
        label_values: Sequence[int],
        class_indices: Sequence[int] | None = None,
        image_key: str = "image",
        spatial_dims: int | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.values = [int(value) for value in label_values]
        self.indices = list(range(len(self.values))) if class_indices is None else [int(index) for index in class_indices]
        self.image_key, self.spatial_dims = image_key, spatial_dims
        self.load = LoadImage(reader=CaseReader, ensure_channel_first=True, image_only=True)
        self.remedy = "Type: monai-hybrid check FOLDER"  # of other values
        self.others_too = False  # other values are background

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace each path by its class indices."""
        d = dict(data)
        values, indices = d.get("label_values", self.values), d.get("class_indices", self.indices)
        if d.get(IGNORE_VALUE) is not None:
            values, indices = [*values, int(d[IGNORE_VALUE])], [*indices, IGNORED]
        for key in self.key_iterator(d):
            reader = _ClassReader(values, indices, d.get(self.image_key), self.spatial_dims, self.remedy)
            reader.others_too = self.others_too
            d[key] = self.load(d[key], reader=reader)
        return d


class _ClassReader(CaseReader):
    """Reads a label in the voxel order of `image`, with class indices for values."""

    def __init__(
        self, values: Sequence[int], indices: Sequence[int], image: Any, spatial_dims: int | None, remedy: str
    ) -> None:
        super().__init__(spatial_dims=spatial_dims, is_label=True)
        self.values, self.indices, self.image, self.remedy = values, indices, image, remedy
        self.others_too = False

    def get_data(self, img: Sequence[str]) -> tuple[Array, dict[str, Any]]:
        array, meta = super().get_data(img)
        array, meta = self._flat_in_order(array, meta, img) if self.flat else _in_order_of(self.image, array, meta)
        return to_classes(array, self.values, self.indices, ", ".join(img), self.remedy, self.others_too), meta

    def _flat_in_order(self, array: Array, meta: dict[str, Any], img: Sequence[str]) -> tuple[Array, dict[str, Any]]:
        """A 2D label in the order of its image; the files say where they lie, the metadata of a picture do not."""
        name = self.image.meta.get("filename_or_obj") if isinstance(self.image, MetaTensor) else None
        if name is None or is_picture(Path(img[0])) or is_picture(Path(name)):
            return array, meta
        image, label = (flattened(read_volume(Path(path))) for path in (name, img[0]))
        order = order_of_volumes(image, label) if image.spatial_dims == label.spatial_dims == 2 else None
        if order is None:
            return array, meta
        affine = np.array(self.image.meta["original_affine"], dtype=np.float64)  # one grid: the label lies as its image does
        turned = {"affine": affine, "original_affine": affine.copy(), "spatial_shape": np.asarray(image.shape)}
        return np.ascontiguousarray(order.array(array)), {**meta, **turned}


def _in_order_of(image: Any, array: Array, meta: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
    own, shape = meta.get("original_affine"), meta.get("spatial_shape")
    if not isinstance(image, MetaTensor) or own is None or shape is None or np.shape(own) != (4, 4):
        return array, meta
    other, wanted = image.meta.get("original_affine"), image.meta.get("spatial_shape")
    if other is None or wanted is None or np.shape(other) != (4, 4):
        return array, meta
    sizes = [tuple(int(size) for size in np.asarray(of).ravel()) for of in (wanted, shape)]
    order = order_of(np.asarray(other, dtype=np.float64), sizes[0], np.asarray(own, dtype=np.float64), sizes[1])
    if order is None:
        return array, meta
    affine = order.affine(np.asarray(own, dtype=np.float64), sizes[1])
    turned = {"affine": affine, "original_affine": affine.copy(), "spatial_shape": np.asarray(sizes[0])}
    return np.ascontiguousarray(order.array(array)), {**meta, **turned}


def to_classes(
    array: Array,
    values: Sequence[int],
    indices: Sequence[int],
    name: str,
    remedy: str = "Type: monai-hybrid check FOLDER",
    others_too: bool = False,
) -> Array:
    """The class index of each voxel, float32, same shape.

    Args:
        array: label values, integers of any type, or floats that hold whole numbers.
        values: the known ones.
        indices: what each becomes.
        name: of the file, for the message.
        remedy: what to type, for the message.
        others_too: other whole numbers from 0 are background.

    Raises:
        DataError: `array` holds another value.
    """
    result = np.zeros(array.shape, np.float32)
    known = np.zeros(array.shape, bool)
    for value, index in zip(values, indices, strict=True):
        if _fits(value, array.dtype):
            here = array == array.dtype.type(value)
            result[here] = index
            known |= here
    if others_too and array.dtype.kind in "iuf":
        known |= (array >= 0) & (array == np.floor(array))
    if not known.all():
        other = array[~known]
        first = int(other[0]) if other.dtype.kind == "b" else other[0]
        raise DataError(
            f"{name}: {other.size} {cells(array.ndim)} hold values that are not classes, the first is {first!s}; expected "
            f"{few(values, 8)}. {remedy}"
        )
    return result


def _fits(value: int, dtype: np.dtype[Any]) -> bool:
    """Whether a file of this type can hold the value at all."""
    if dtype.kind in "iu":
        return bool(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max)
    return dtype.kind != "b" or value in (0, 1)
