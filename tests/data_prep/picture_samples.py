"""Tiny pictures of every kind, and data sets of them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def colours(size: tuple[int, int] = (20, 12), seed: int = 0, kind: type = np.uint8) -> np.ndarray:
    """(H, W, 3) of a picture of `size` (width, height)."""
    return np.random.default_rng(seed).integers(0, np.iinfo(kind).max + 1, (size[1], size[0], 3)).astype(kind)


def grey_of(rgb: np.ndarray) -> np.ndarray:
    """The middle colour as grey value."""
    return np.ascontiguousarray(rgb[..., 1])


def png_bytes(pixels: np.ndarray, kind: int) -> bytes:
    """A PNG of 8 or 16 bits, written by hand: no common library writes all forms. `kind` is the colour type of the header."""
    depth = 8 * pixels.dtype.itemsize
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def disc(size: tuple[int, int] = (20, 12), value: int = 1) -> np.ndarray:
    """A mask (H, W) with one block."""
    mask = np.zeros(size[::-1], np.uint8 if value < 256 else np.uint16)
    mask[3:8, 5:12] = value
    return mask


def picture_set(
    root: Path, count: int = 4, suffix: str = ".png", size: tuple[int, int] = (20, 12), value: int = 1, grey: bool = False
) -> Path:
    """images/ in colour (or grey) and labels/ as PNG; the block is red, so that it can be learned."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        rgb = colours(size, i) // 2
        rgb[disc(size) > 0] = (250, 40, 60)
        name = "abcdefgh"[i]
        Image.fromarray(grey_of(rgb) if grey else rgb).save(root / "images" / f"{name}{suffix}")
        Image.fromarray(disc(size, value)).save(root / "labels" / f"{name}.png")
    return root
