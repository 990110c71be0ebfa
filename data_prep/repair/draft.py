"""A NIfTI file opened for correction: header and voxels as stored, nothing interpreted, nothing written."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np

from data_prep.nifti import GZIP_MAGIC, read_nifti
from data_prep.nifti_open import says_gzip
from data_prep.volume import Array, Volume

_KINDS = {348: nib.Nifti1Image, 540: nib.Nifti2Image}


@dataclass
class Draft:
    """One file under repair.

    Attributes:
        path: of the source, never written.
        is_label: labels may be rounded and mapped, images may not.
        volume: as the reader sees it before any repair, scale factor applied.
        header: of the copy; changed by the repairs.
        body: the bytes after the header, extensions included; kept bit for bit unless `array` is set.
        partner: the image of this label, None for an image.
        like: the file whose voxel order this one should have: a label's image, a channel's first channel.
        values: label value -> label value, from `--map`.
        array: new voxels, when they change.
        done: what was corrected, by code.
    """

    path: Path
    is_label: bool
    volume: Volume
    header: nib.Nifti1Header
    body: bytes
    partner: Volume | None = None
    like: Volume | None = None
    values: Mapping[int, int] = field(default_factory=dict)
    array: Array | None = None
    done: dict[str, str] = field(default_factory=dict)

    @property
    def voxels(self) -> Array:
        """The voxels of the copy so far."""
        return self.volume.array if self.array is None else self.array


def open_draft(
    path: Path,
    partner: Volume | None = None,
    values: Mapping[int, int] | None = None,
    like: Volume | None = None,
    data: bytes | None = None,
) -> Draft:
    """Read a NIfTI file, whatever its name says about compression; a label is given its image as `partner`, a second channel
    the first one as `like`. `data` are bytes in the place of those of the file.

    Raises:
        ReadError: it is no sound NIfTI file even so.
    """
    raw = path.read_bytes() if data is None else data
    packed = raw[:2] == GZIP_MAGIC
    wrong_name = packed != says_gzip(path)
    volume = read_nifti(path.with_name("a.nii.gz" if packed else "a.nii") if wrong_name else path, raw)
    plain = gzip.decompress(raw) if packed else raw
    size = 348 if 348 in (int.from_bytes(plain[:4], "little"), int.from_bytes(plain[:4], "big")) else 540
    header = _KINDS[size].header_class(plain[:size], check=False)
    draft = Draft(path, partner is not None, volume, header, plain[size:], partner, partner or like, values or {})
    if wrong_name:
        draft.done["D005"] = "unpacked, as its name says" if packed else "packed, as its name says"
    return draft


def corrected(draft: Draft) -> bytes:
    """The bytes of the corrected file, packed when its name says so."""
    plain = draft.header.binaryblock + draft.body if draft.array is None else _with_new_voxels(draft)
    return gzip.compress(plain, mtime=0) if says_gzip(draft.path) else plain


def _with_new_voxels(draft: Draft) -> bytes:
    array = np.asarray(draft.array)
    draft.header.set_data_dtype(array.dtype)
    draft.header["scl_slope"], draft.header["scl_inter"] = np.nan, np.nan  # none
    image = _KINDS[int(draft.header["sizeof_hdr"])](array, None, draft.header)
    return bytes(image.to_bytes())
