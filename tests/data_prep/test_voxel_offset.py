"""Where a single-file NIfTI says that its voxels begin."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability.tiny import noise, save
from data_prep.reading import read_volume
from data_prep.volume import ReadError

SHAPE = (6, 7, 8)


def with_offset(folder: Path, offset: float, padding: int = 0) -> Path:
    """A sound file but for the number at byte 108, with bytes put in before its voxels."""
    path = save(folder / "a.nii", noise(SHAPE))
    raw = bytearray(path.read_bytes())
    raw[108:112] = struct.pack("<f", offset)
    path.write_bytes(bytes(raw[:352]) + bytes(padding) + bytes(raw[352:]))
    return path


@pytest.mark.parametrize("offset", [0, 16, 348])
def test_voxels_within_the_header_are_refused(tmp_path: Path, offset: int) -> None:
    with pytest.raises(ReadError, match=f"voxels begin at byte {offset}; expected 352 or more"):
        read_volume(with_offset(tmp_path, offset))


@pytest.mark.parametrize(("offset", "padding"), [(352, 0), (368, 16)])
def test_voxels_behind_the_header_are_read(tmp_path: Path, offset: int, padding: int) -> None:
    assert np.array_equal(read_volume(with_offset(tmp_path, offset, padding)).array, noise(SHAPE))
