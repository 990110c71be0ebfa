"""`<case_id>_preview.png`: the mask on its image, three planes of a volume or the picture, for a look without a viewer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from data_prep.atomic import replace_file
from data_prep.disk import needing
from data_prep.pictures import is_picture
from data_prep.result_files import MADE_BY, refuse_other
from monai_hybrid.evaluation.blocks import grey
from monai_hybrid.evaluation.slices import EDGES, upright
from monai_hybrid.gallery.painting import in_proportion, painted
from monai_hybrid.prediction.file_image import FileImage
from monai_hybrid.reporting.figures import LABEL_COLOURS

Array = npt.NDArray[Any]
HEIGHT = 360  # pixels of the longest side
ENDING = "_preview.png"


class CasePreview:
    """Writes the preview of each case. It holds no text but the letters of the planes: no name, whatever the image is.

    Args:
        output_dir: where they go.
        image: how files are read.
    """

    def __init__(self, output_dir: str, image: FileImage) -> None:
        self.folder, self.image = Path(output_dir), image

    def __call__(self, output: dict[str, Any], voxel: float, unit: str) -> None:
        """Write the preview of a case; its path is added as "preview_file".

        Args:
            output: {"case_id", "pred"}: (1, X, Y[, Z]) class index on the file's grid, with the file in its metadata.
            voxel, unit: as in `CaseStatistics`; letters are drawn where the unit is "ml".

        Raises:
            ConfigError: a file of somebody else's has its name.
            OSError: it cannot be written.
        """
        index = torch.as_tensor(output["pred"])[0].cpu().numpy().astype(np.int64)
        channels, meta = self.image.channels(output), output["pred"].meta
        affine = np.asarray(meta.get("original_affine", np.eye(4)), float)
        if index.ndim == 2:
            shown = colours(channels, self.image.coloured)
            spacing = np.linalg.norm(affine[:3, :2], axis=0) if unit == "mm2" else np.ones(2)
            picture = drawn(shown, index.T, (float(spacing[1]), float(spacing[0])))
        else:
            oriented = unit == "ml" and not is_picture(Path(str(meta["filename_or_obj"])))
            picture = planes(channels[0], index, affine if unit == "ml" else np.eye(4), oriented)
        path = self.folder / f"{output['case_id']}{ENDING}"
        refuse_other(path)
        content = as_png(picture)
        with needing(len(content), path):
            replace_file(path, lambda part: part.write_bytes(content))
        output["preview_file"] = str(path)


def colours(channels: Array, coloured: bool) -> Array:
    """A picture (H, W, 3) uint8: in colour where the three channels are colours, else its first channel in grey."""
    if coloured and len(channels) == 3:
        whole = 1 < channels.max() <= 255 and channels.min() >= 0
        return grey(channels.transpose(2, 1, 0), (0, 255) if whole else np.percentile(channels, [0.5, 99.5]))
    shown = grey(channels[0].T, np.percentile(channels[0], [0.5, 99.5]))
    return np.repeat(shown[..., None], 3, axis=2)


def planes(image: Array, index: Array, affine: Array, oriented: bool) -> Image.Image:
    """Axial, coronal and sagittal plane through the largest part of the mask, side by side.

    Args:
        image, index: (X, Y, Z) in the order of the file.
        affine: of the file, or identity where no lengths are known.
        oriented: draw the letters at the edges.
    """
    turn = nib.io_orientation(affine)
    image, index = (nib.apply_orientation(array, turn) for array in (image, index))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    bounds = np.percentile(image, [0.5, 99.5])
    longest, shown = float((np.asarray(index.shape) * spacing).max()), []
    for axis in (2, 1, 0):
        at = largest(index, axis)
        rows_columns = np.delete(spacing, axis)[::-1]
        scan = np.repeat(grey(upright(image, axis, at), bounds)[..., None], 3, axis=2)
        plane = drawn(scan, upright(index, axis, at), (float(rows_columns[0]), float(rows_columns[1])), longest)
        shown.append(lettered(plane, EDGES[axis]) if oriented else plane)
    sheet = Image.new("RGB", (sum(plane.width for plane in shown) + 4 * (len(shown) - 1), max(plane.height for plane in shown)))
    left = 0
    for plane in shown:
        sheet.paste(plane, (left, (sheet.height - plane.height) // 2))
        left += plane.width + 4
    return sheet


def largest(index: Array, axis: int) -> int:
    """The slice along `axis` with most of a mask (X, Y, Z) of class indices; the middle one of an empty mask."""
    areas = (index > 0).sum(axis=tuple(other for other in range(3) if other != axis))
    return int(areas.argmax()) if areas.any() else index.shape[axis] // 2


def drawn(scan: Array, index: Array, spacing: tuple[float, float], longest: float = 0.0) -> Image.Image:
    """A picture (H, W, 3) with its labels (H, W), in true proportions; `longest` or its longer side is `HEIGHT` pixels."""
    return painted(scan, index, LABEL_COLOURS, in_proportion(index.shape, spacing, HEIGHT, longest))


def lettered(plane: Image.Image, edges: Sequence[str]) -> Image.Image:
    """With letters at the left, right, upper and lower edge."""
    draw, (width, height) = ImageDraw.Draw(plane), plane.size
    for place, anchor, letter in zip(((3, height // 2), (width - 3, height // 2), (width // 2, 2), (width // 2, height - 3)),
                                     ("lm", "rm", "ma", "md"), edges, strict=True):  # fmt: skip
        draw.text(place, letter, fill="white", stroke_fill="black", stroke_width=1, anchor=anchor, font_size=13)
    return plane


def as_png(picture: Image.Image) -> bytes:
    """PNG that says what wrote it, so that it is never taken for an image to segment."""
    told, content = PngInfo(), io.BytesIO()
    told.add_text("Description", f"preview {MADE_BY}")
    picture.save(content, "PNG", pnginfo=told)
    return content.getvalue()
