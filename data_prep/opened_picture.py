"""How pictures are opened: from memory, as one of the formats that are read here, and large ones without a warning."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

from PIL import Image

KINDS = ("PNG", "JPEG", "TIFF", "BMP", "GIF")


def opened(raw: bytes, kinds: Sequence[str] = KINDS) -> Image.Image:
    """A picture that is not loaded yet, for `with`.

    Of a file on disk that a tag turns by a quarter, Pillow 13 mixes up the rows of uncompressed TIFF.

    Raises:
        UnidentifiedImageError: it is of none of these kinds.
        Image.DecompressionBombError: it asks for more pixels than Pillow allows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a whole slide is large and no attack
        return Image.open(io.BytesIO(raw), formats=list(kinds))
