"""TIFF files made to keep a reader busy: pages without end, pages that are none; and JPEG of passes without end."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.reading import read_volume
from data_prep.volume import ReadError

TAGS = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 4), (279, 16)]  # 4 x 4, grey


def tiff(folder: Path, directories: list[list[tuple[int, int]]], last: int = 0) -> Path:
    """A TIFF of so many directories one after the other; `last` is where the last one leads."""
    raw = bytearray(struct.pack("<2sHI16x", b"II", 42, 24))
    for number, tags in enumerate(directories):
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        following = len(raw) + 6 + len(entries) if number < len(directories) - 1 else last
        raw += struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)
    path = folder / "a.tif"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(("values", "said"), [(5, "a file for each channel, CASE_0000.tif"), (1, "8 or 16 bits")])
def test_a_tiff_of_another_form_is_told_as_that(values: int, said: str, tmp_path: Path) -> None:
    """Five channels in one page, or a photometric interpretation that nobody knows; not "it is no TIFF"."""
    changed = {277: values, 262: 1 if values == 5 else 9999}
    path = tiff(tmp_path, [[(tag, changed.get(tag, value)) for tag, value in TAGS]])
    with pytest.raises(
        ReadError, match=f"it is a TIFF with {values} values of 8 bits a pixel, which is not read; expected {said}"
    ) as told:
        read_volume(path)
    assert told.value.kind == "voxel_type"


def test_one_page_is_read_and_two_are_counted(tmp_path: Path) -> None:
    assert read_volume(tiff(tmp_path, [TAGS])).array.shape == (4, 4)
    for last in (0, 24):
        with pytest.raises(ReadError, match="it holds 2 pictures"):
            read_volume(tiff(tmp_path, [TAGS] * 2, last))
    picture = Image.fromarray(np.zeros((4, 4), np.uint8))
    raw = io.BytesIO()
    picture.save(raw, "TIFF", save_all=True, append_images=[picture] * 2)
    (tmp_path / "b.tif").write_bytes(raw.getvalue())
    with pytest.raises(ReadError, match="it holds 3 pictures"):
        read_volume(tmp_path / "b.tif")


def test_pages_are_counted_up_to_a_thousand(tmp_path: Path) -> None:
    path = tiff(tmp_path, [TAGS] * 30_000)
    start = time.process_time()
    with pytest.raises(ReadError, match="it holds 1000 or more pictures"):
        read_volume(path)
    assert time.process_time() - start < 5


def test_a_page_without_a_size_is_damage(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="the TIFF reader reports: Missing dimensions") as told:
        read_volume(tiff(tmp_path, [TAGS, []]))
    assert told.value.kind == "damaged"


def test_a_jpeg_of_passes_without_end_is_refused(tmp_path: Path) -> None:
    raw = io.BytesIO()
    Image.new("L", (32, 32)).save(raw, "JPEG", progressive=True)
    (tmp_path / "a.jpg").write_bytes(raw.getvalue())
    assert read_volume(tmp_path / "a.jpg").array.shape == (32, 32)
    last = raw.getvalue()[raw.getvalue().rindex(b"\xff\xda") : -2]
    (tmp_path / "a.jpg").write_bytes(raw.getvalue()[:-2] + last * 2000 + b"\xff\xd9")
    with pytest.raises(ReadError, match=r"it asks for 20[0-9]{2} passes; expected at most 1000"):
        read_volume(tmp_path / "a.jpg")
