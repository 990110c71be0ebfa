"""PNG, JPEG, TIFF, BMP and GIF from bytes, exactly as stored: no bit is dropped, no colour mixed, no page left out unsaid."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from data_prep.errors import EnvironmentFault
from data_prep.opened_picture import opened
from data_prep.png_chunks import check_chunks
from data_prep.volume import Array, ReadError, Volume

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".gif": "GIF",
}  # fmt: skip
EIGHT_BITS = ("BMP", "GIF")
PICTURES = tuple(FORMATS)
LOSSY = (".jpg", ".jpeg")
LARGEST_VALUE = 65535  # of PNG, in which the masks of pictures are written
ORIENTATION, BITS_PER_SAMPLE, SAMPLES_PER_PIXEL = 0x0112, 258, 277  # tags of EXIF and of TIFF
MANY_PAGES = 1000
MANY_SCANS = 1000  # of a JPEG, each a pass over all its pixels; real ones have about ten
OPAQUE = {"uint8": 255, "uint16": 65535}
_GREY = {"1": "bool", "L": "uint8", "I;16": "uint16", "I;16L": "uint16", "I;16B": "uint16", "I": "int32", "F": "float32"}
_SPACES = {"CMYK": "the four inks of a printer (CMYK)", "LAB": "the colour space LAB", "YCbCr": "the colour space YCbCr"}


def is_picture(path: Path) -> bool:
    """Whether the name ends as a picture's."""
    return path.suffix.lower() in FORMATS


def read_picture(path: Path, raw: bytes) -> Volume:
    """Read one picture, turned as its EXIF orientation says.

    Returns:
        Volume of two axes, (W, H) for grey values or indices, (W, H, 3) for red, green and blue; an opaque alpha is left out. A
        picture with a colour table has `palette`.

    Raises:
        ReadError: it is no such picture, is damaged, holds several pages, is transparent, or is of another colour space.
        EnvironmentFault: colours of 16 bits need SimpleITK, which is not installed.
    """
    wanted = FORMATS[path.suffix.lower()]
    try:
        with opened(raw) as picture:
            _check_kind(picture, wanted)
        if wanted == "PNG":
            check_chunks(raw)  # the other formats have no checksums
        scans = raw.count(b"\xff\xda") if wanted == "JPEG" else 0
        if scans > MANY_SCANS:
            raise ReadError("damaged", f"it asks for {scans} passes; expected at most {MANY_SCANS}")
        with opened(raw) as picture:
            stored = _stored(path, raw, picture)
    except UnidentifiedImageError as error:
        if wanted == "TIFF" and (form := _form_of_tiff(raw)):
            raise ReadError("voxel_type", form) from error
        raise ReadError("not_an_image", f"it is not a {wanted} picture") from error
    except Image.DecompressionBombError as error:
        raise ReadError("too_large", str(error)) from error
    except (ReadError, EnvironmentFault, MemoryError):
        raise
    except Exception as error:  # Pillow has no one error class for what is damaged
        raise ReadError("damaged", f"the {wanted} reader reports: {error}") from error
    array, pixel_type, palette, turn = stored
    # (H, W) -> (W, H), as MONAI's PILReader does
    digest = hashlib.sha256(raw).hexdigest()
    return Volume(path, array.swapaxes(0, 1), None, pixel_type, digest, dims=2, palette=palette, turn=turn)


def _form_of_tiff(raw: bytes) -> str:
    """What a TIFF holds that Pillow does not open; "" where it has no sound header."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(raw[:8])
        stream = io.BytesIO(raw)
        stream.seek(tags.next)
        tags.load(stream)
        values, bits = tags.get(SAMPLES_PER_PIXEL, 1), tags.get(BITS_PER_SAMPLE, (1,))
    except Exception:  # whatever is wrong with it, it is no TIFF
        return ""
    told = (
        f"it is a TIFF with {values} values of {max(bits) if isinstance(bits, tuple) else bits} bits a pixel, which is not read"
    )
    files = "a file for each channel, CASE_0000.tif, CASE_0001.tif and so on"
    return f"{told}; expected {files if values not in (1, 3, 4) else '8 or 16 bits'}"


def _check_kind(picture: Image.Image, wanted: str) -> None:
    kind = {"MPO": "JPEG"}.get(str(picture.format), picture.format)  # a camera's JPEG with previews behind the picture
    if kind != wanted:
        raise ReadError("not_an_image", f"it is not a {wanted} picture; its content is {kind}")
    pages = _pages(picture) if kind == "TIFF" else int(getattr(picture, "n_frames", 1))
    if pages > 1 and kind != "JPEG":
        told = f"{pages} or more" if pages == MANY_PAGES else pages
        raise ReadError("pages", f"it holds {told} pictures (pages or frames); expected one a file")


def _pages(picture: Image.Image) -> int:
    """Pages of a TIFF, at most `MANY_PAGES`: Pillow's own count takes the square of their number, which may be a million."""
    try:
        for number in range(1, MANY_PAGES):
            picture.seek(number)
    except EOFError:
        return number
    return MANY_PAGES


def _stored(path: Path, raw: bytes, picture: Image.Image) -> tuple[Array, str, Array | None, int]:
    """Of a picture that is open but not loaded: the upright pixels (H, W[, 3]), their type, the colour table (256, 4) RGBA, and
    the orientation that was applied."""
    deep, said = is_deep(raw, picture), _orientation(picture)
    picture.load()
    turn = _orientation(picture)  # Pillow turns TIFF itself, and then says 1
    if deep:
        array = _read_deep(path, raw, picture)
        if picture.format == "TIFF" and said != 1:
            raise ReadError("voxel_type", "it is turned by a tag and has colours of 16 bits, which are not read together")
        return turned(_opaque(array, picture), turn), str(array.dtype), None, said
    if picture.mode == "P" and picture.format == "GIF":
        return _by_colour(np.asarray(picture), _table(picture)), "uint8", None, said
    if picture.mode == "P":
        return turned(np.asarray(picture), turn), "palette", _table(picture), said
    if picture.mode in _GREY:
        return turned(_opaque(np.asarray(picture), picture), turn), _GREY[picture.mode], None, said
    if picture.mode in ("RGB", "RGBA", "LA"):
        return turned(_opaque(np.asarray(picture), picture), turn), "uint8", None, said
    told = _SPACES.get(picture.mode, f"the form {picture.mode}")
    raise ReadError("colour_space", f"its colours are in {told}; expected grey values, or red, green and blue")


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or no such number."""
    code = picture.getexif().get(ORIENTATION, 1)
    return code if isinstance(code, int) and 1 <= code <= 8 else 1


def is_deep(raw: bytes, picture: Image.Image) -> bool:
    """Whether Pillow would drop the lower half of its 16 bits: it does so for all but grey pictures, without a word."""
    if picture.format == "PNG":
        depth, kind = raw[24], raw[25]  # of the header chunk, which comes first
        return depth == 16 and kind != 0
    if picture.format == "TIFF":
        bits = getattr(picture, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
        bits = bits if isinstance(bits, tuple) else (bits,)
        return len(bits) > 1 and max(bits) > 8
    return False


def _read_deep(path: Path, raw: bytes, picture: Image.Image) -> Array:
    """(H, W, C) uint16 by SimpleITK, which keeps all bits."""
    from data_prep.itk import simple_itk

    if picture.format == "PNG" and raw[25] == 4:
        raise ReadError("voxel_type", "it has grey values of 16 bits with an alpha channel, which no reader here gives exactly")
    sitk = simple_itk()
    try:
        array: Array = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO=f"{picture.format}ImageIO"))
    except RuntimeError as error:
        raise ReadError("damaged", f"SimpleITK reports: {str(error).strip().splitlines()[-1]}") from error
    if array.ndim != 3 or array.dtype != np.uint16 or array.shape[:2] != picture.size[::-1]:
        raise ReadError("voxel_type", f"it was read as {array.dtype} {array.shape}; expected colours of 16 bits")
    return array


def _opaque(array: Array, picture: Image.Image) -> Array:
    """The pixels without alpha.

    Raises:
        ReadError: a pixel is not opaque.
    """
    key = picture.info.get("transparency")
    if array.ndim == 3 and array.shape[2] in (2, 4):
        hidden = array[..., -1] != OPAQUE[str(array.dtype)]
        array = array[..., :3] if array.shape[2] == 4 else array[..., 0]
    elif key is not None and not isinstance(key, bytes):
        hidden = (array == np.asarray(key)).all(-1) if array.ndim == 3 else array == key
    else:
        return array
    if hidden.any():
        raise ReadError("transparent", f"{int(hidden.sum())} of its {hidden.size} pixels are transparent")
    return array


def _table(picture: Image.Image) -> Array:
    """Colours of the indices 0 to 255, (256, 4) uint8 RGBA; black where the table is shorter."""
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = 255
    colours = np.asarray(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    table[: len(colours), :3] = colours
    key: Any = picture.info.get("transparency")
    if isinstance(key, bytes):
        table[: len(key), 3] = np.frombuffer(key, np.uint8)
    elif key is not None:
        table[int(key), 3] = 0
    return table


def _by_colour(indices: Array, table: Array) -> Array:
    """What the indices of a GIF show: grey values where all colours in use are grey, else (H, W, 3).

    Each program numbers the colours of a GIF as it likes, so that an index says nothing.

    Raises:
        ReadError: a pixel is not opaque.
    """
    used = table[np.unique(indices)]
    hidden = table[indices][..., 3] < OPAQUE["uint8"]
    if hidden.any():
        raise ReadError("transparent", f"{int(hidden.sum())} of its {hidden.size} pixels are transparent")
    grey = bool((used[:, :3] == used[:, :1]).all())
    return table[indices][..., 0] if grey else table[indices][..., :3]


def turned(array: Array, code: int) -> Array:
    """A picture (H, W[, C]) turned upright, by its EXIF orientation from 1 (upright) to 8; other codes say nothing."""
    if code in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if code in (2, 3, 6, 7):
        array = array[:, ::-1]
    if code in (3, 4, 7, 8):
        array = array[::-1]
    return array


def png_mask(mask: Array) -> Image.Image:
    """A mask (W, H) of whole numbers from 0 as a picture that PNG can hold: 8 bits a pixel, 16 where they are needed.

    Raises:
        ValueError: a value below 0 or above `LARGEST_VALUE`.
    """
    low, high = int(mask.min(initial=0)), int(mask.max(initial=0))
    if low < 0 or high > LARGEST_VALUE:
        raise ValueError(f"label values {low} to {high}; PNG holds 0 to {LARGEST_VALUE}")
    return Image.fromarray(np.ascontiguousarray(mask.T.astype(np.uint8 if high <= 255 else np.uint16)))
