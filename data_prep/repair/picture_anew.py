"""Pictures of a form that is not read, written in one that is, as the user states; the pixels stay where they were stored."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image, ImageSequence

from data_prep.colour import RGB
from data_prep.opened_picture import opened
from data_prep.pictures import FORMATS, LARGEST_VALUE, LOSSY, ORIENTATION, is_deep, png_mask
from data_prep.reading import stem
from data_prep.repair.copies import Copy
from data_prep.repair.fixes import Judgement
from data_prep.repair.ome import DESCRIPTION
from data_prep.repair.stated import CHANNELS, FIRST, Stated
from data_prep.roles import read_image, read_label
from data_prep.volume import Array, ReadError

MIDDLE = 127  # of 8 bits
NEAR = 64  # what JPEG adds to a mask near a border, or to its colours, is less
SMOOTH = 0.5  # share of the bright pixels that may lie between the two values: the border of a mask that was smoothed
_WITHOUT_COLOUR = ("1", "L", "LA", "I;16", "I")
_CODES = {"transparent": "D020", "pages": "D021", "colour_space": "D022"}
_SIZES = {  # in what OME and ImageJ write into the first page
    "slices": r'SizeZ="(\d+)"|^slices=(\d+)',
    "channels": r'SizeC="(\d+)"|^channels=(\d+)',
    "times": r'SizeT="(\d+)"|^frames=(\d+)',
}


def picture_anew(path: Path, is_label: bool, said: Stated) -> list[Copy]:
    """The copies of one picture; none where it needs none, or where the user stated nothing of what it has.

    Raises:
        Judgement: what is stated does not fit the picture.
        ReadError: it is no picture that can be read.
    """
    if not (said.pictures or said.pages):
        return []
    kind = _kind(path, is_label)
    if kind == "pages" and said.pages:
        return _of_pages(path, is_label, said)
    if not said.pictures:
        return []
    if is_label and path.suffix.lower() in LOSSY:
        return _two_values(path, said)
    if is_label or kind not in ("transparent", "colour_space"):
        return []
    return [_opaque_rgb(path, kind)]


def _opaque_rgb(path: Path, kind: str) -> Copy:
    """An image without alpha, in grey or in red, green and blue.

    Raises:
        Judgement: its colours would lose bits, or have no conversion.
    """
    with opened(raw := path.read_bytes()) as picture:
        if is_deep(raw, picture):
            raise Judgement("its colours have 16 bits, of which a copy here would keep 8; export it opaque")
        try:
            array = _grey(picture) if picture.mode in _WITHOUT_COLOUR else np.asarray(picture.convert("RGB"))
        except ValueError as error:
            raise Judgement(f"{error}; export it in red, green and blue") from error
        turn = picture.getexif().get(ORIENTATION, 1)  # after loading: Pillow turns TIFF itself
        what = "made opaque" if kind == "transparent" else f"from {picture.mode} to red, green and blue"
    return Copy(f"{stem(path)}.png", _png(Image.fromarray(array), turn), _CODES[kind], what)


def _kind(path: Path, is_label: bool) -> str:
    """Why a picture is not read; "" where it is."""
    try:
        read_label(path) if is_label else read_image(path, RGB)
    except ReadError as error:
        return error.kind
    return ""


def _grey(picture: Image.Image) -> Array:
    array = np.asarray(picture)
    return array[..., 0] if array.ndim == 3 else array


def _png(picture: Image.Image, turn: object = 1) -> bytes:
    """A picture as PNG, with the EXIF orientation of its source and nothing else of its EXIF, which may name a person."""
    stream, exif = io.BytesIO(), Image.Exif()
    if isinstance(turn, int) and 2 <= turn <= 8:
        exif[ORIENTATION] = turn
    picture.save(stream, format="PNG", **({"exif": exif} if exif else {}))
    return stream.getvalue()


def _two_values(path: Path, said: Stated) -> list[Copy]:
    """A mask in JPEG as PNG of 0 and 255.

    Raises:
        Judgement: it has colours, other values than two, or none that is bright.
    """
    with opened(path.read_bytes()) as picture:
        turn = picture.getexif().get(ORIENTATION, 1)
        colours = np.asarray(picture.convert("RGB")).astype(np.int16)
    if (spread := int((colours.max(-1) - colours.min(-1)).max(initial=0))) >= NEAR:
        raise Judgement(f"the mask has colours: red, green and blue differ by up to {spread}; expected black and white")
    grey = np.rint(colours.mean(-1)).astype(np.int16)
    high, bright = int(grey.max(initial=0)), int((grey > MIDDLE).sum())
    if 0 < high <= MIDDLE:
        raise Judgement(f"its highest value is {high}, so that 255 stands for no class; export it as PNG")
    between = int(((grey >= NEAR) & (grey <= 255 - NEAR)).sum())
    if between > SMOOTH * bright:
        raise Judgement(f"{between} of its {grey.size} pixels lie far from 0 and 255, so that it has more values than two")
    low, white = (said.values.get(value, value) for value in (0, 255))
    mask = np.where(grey > MIDDLE, white, low)
    if not 0 <= mask.min() <= mask.max() <= LARGEST_VALUE:
        raise Judgement(f"--map gives values {low} and {white}; PNG holds 0 to {LARGEST_VALUE}")
    what = f"values up to {MIDDLE} to {low}, others to {white}; {between} pixels lay far from both"
    code = "D025" if len(np.unique(grey)) <= 2 else "D029"
    return [Copy(f"{stem(path)}.png", _png(png_mask(mask.T), turn), code, what)]


def _of_pages(path: Path, is_label: bool, said: Stated) -> list[Copy]:
    with opened(path.read_bytes()) as picture:
        _refuse_other_pages(picture, said.pages or "")
        pages = [page for _, page in zip(range(1 if said.pages == FIRST else 10**6), _pages(picture, is_label), strict=False)]
    if said.pages == FIRST:
        end = ".tif" if FORMATS[path.suffix.lower()] == "TIFF" else ".png"
        name = path.name if end == ".tif" else f"{stem(path)}{end}"
        return [Copy(name, _as_file(pages[0], end), "D021", "the first of its pages")]
    if len({page.shape for page in pages}) > 1:
        raise Judgement(f"its pages have several sizes: {pages[0].shape[1::-1]} and others; expected one")
    if pages[0].ndim > 2:
        raise Judgement("its pages have colours; expected one value a pixel")
    if said.pages == CHANNELS and is_label:
        raise Judgement(f"a mask of {len(pages)} pages; expected one page with the number of a class in each pixel")
    if said.pages == CHANNELS:
        ends = said.channels if len(said.channels) == len(pages) else [f"{number:04}" for number in range(len(pages))]
        return [
            Copy(f"{stem(path)}_{ends[at]}.tif", _as_file(page, ".tif"), "D021", f"page {at + 1} of {len(pages)}")
            for at, page in enumerate(pages)
        ]
    volume = np.stack(pages, -1).swapaxes(0, 1)  # (H, W) a page to (W, H, Z), the axes of pictures here
    what = f"its {len(pages)} pages to a volume {volume.shape} of voxels of {said.voxel_size} mm"
    return [Copy(f"{stem(path)}.nii.gz", _nifti(volume, said.voxel_size or (1, 1, 1)), "D021", what)]


def _refuse_other_pages(picture: Image.Image, pages: str) -> None:
    """Hold the statement to what the file says of itself.

    Raises:
        Judgement: the file has pages of another kind too.
    """
    text = str(getattr(picture, "tag_v2", {}).get(DESCRIPTION, ""))
    found = {name: re.search(expression, text, re.MULTILINE) for name, expression in _SIZES.items()}
    sizes = {name: int(next(filter(None, match.groups()))) for name, match in found.items() if match}
    others = [f"{size} {name}" for name, size in sizes.items() if size > 1 and name != pages]
    if others and pages != FIRST:
        raise Judgement(f"its own description says {', '.join(others)}; expected {pages} alone. Export it so")


def _pages(picture: Image.Image, is_label: bool) -> Iterator[Array]:
    for page in ImageSequence.Iterator(picture):
        array = np.asarray(page if page.mode != "P" or is_label else page.convert("RGB"))
        yield array.astype(np.uint8 if array.dtype == bool else array.dtype.newbyteorder("="))


def _as_file(page: Array, end: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, format=FORMATS[end])
    return stream.getvalue()


def _nifti(volume: Array, voxel_size: tuple[float, ...]) -> bytes:
    """(X, Y, Z) as NIfTI, packed; nothing is known of the patient, so axes are those of the file."""
    image = nib.Nifti1Image(volume, np.diag([*voxel_size, 1.0]))
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), mtime=0)
