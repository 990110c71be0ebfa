"""MHA, MHD, NRRD and NHDR come from others: their headers reach no other file, no memory but their own, and checksums count."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.reading import read_volume
from data_prep.volume import ReadError
from monai_hybrid.errors import DataError
from monai_hybrid.transforms import CaseReader

pytest.importorskip("SimpleITK", reason="SimpleITK is not installed")
VOXELS = np.random.default_rng(0).integers(1, 100, (7, 6, 5)).astype(np.uint8)
RAW = VOXELS.T.tobytes()
META = "ObjectType = Image\nNDims = 3\nBinaryData = True\nElementSpacing = 2 1 1\nDimSize = 7 6 5\nElementType = MET_UCHAR\n"
NRRD = "NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 7 6 5\n"
PACKED = "CompressedData = True\n"
TOO_LARGE = "its header asks for .* GiB"


def written(path: Path, header: str, data: bytes = b"") -> Path:
    path.write_bytes(header.encode() + data)
    return path


def meta(folder: Path, more: str = "", data: bytes = RAW, where: str = "LOCAL", name: str = "a.mha") -> Path:
    return written(folder / name, f"{META}{more}ElementDataFile = {where}\n", data)


def nrrd(folder: Path, more: str = "encoding: raw\n", data: bytes = RAW, name: str = "a.nrrd") -> Path:
    return written(folder / name, f"{NRRD}{more}\n", data)


def refused(path: Path, kind: str, message: str) -> None:
    with pytest.raises(ReadError, match=message) as told:
        read_volume(path)
    assert told.value.kind == kind
    with pytest.raises(DataError, match=r"cannot be read as an image"):
        CaseReader().get_data([str(path)])


def accepted(path: Path) -> None:
    np.testing.assert_array_equal(read_volume(path).array, VOXELS)
    np.testing.assert_array_equal(CaseReader().get_data([str(path)])[0], VOXELS)


def test_sound_files_of_every_packing_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(RAW)
    (tmp_path / "a.zraw").write_bytes(zlib.compress(RAW))
    text = " ".join(str(value) for value in RAW).encode()
    for path in (
        meta(tmp_path),
        meta(tmp_path, PACKED, zlib.compress(RAW)),
        meta(tmp_path, f"{PACKED}CompressedDataSize = {len(zlib.compress(RAW))}\n", zlib.compress(RAW) + bytes(9)),
        written(
            tmp_path / "c.mha",
            META.replace("BinaryData = True", "Comment = x") + "some key[0] = a = b\nElementDataFile = LOCAL\n",
            RAW,
        ),
        written(tmp_path / "d.mha", META.replace("True", "False") + "ElementDataFile = LOCAL\n", text + b"\n"),
        meta(tmp_path, data=b"", where="a.raw", name="a.mhd"),
        meta(tmp_path, PACKED, b"", "a.zraw", "b.mhd"),
        nrrd(tmp_path),
        nrrd(tmp_path, "encoding: gzip\n", gzip.compress(RAW)),
        nrrd(tmp_path, "encoding: ascii\n", text),
        nrrd(tmp_path, "# remark\nkey with spaces:=a: b = c\nencoding: raw\n"),
        nrrd(tmp_path, "encoding: raw\ndata file: a.raw\n", b"", "a.nhdr"),
    ):
        accepted(path)


PLACES = ["/etc/passwd", "../a.raw", "LIST", "LIST 2", "a%02d.raw 1 2 1", "/dev/zero"]


@pytest.mark.parametrize("where", PLACES)
def test_a_header_that_names_another_file_is_refused(where: str, tmp_path: Path) -> None:
    for path in (
        meta(tmp_path, where=where),
        meta(tmp_path, where=where, name="a.mhd"),
        nrrd(tmp_path, f"encoding: raw\ndata file: {where}\n"),
        nrrd(tmp_path, f"encoding: raw\nDATAFILE: {where}\n", name="a.nhdr"),
        nrrd(tmp_path, f"encoding: raw\ndata file:={where}\n"),
    ):
        refused(path, "elsewhere", "its voxels lie in .*; expected them in the file itself, or in one beside it")


def test_an_attached_format_has_no_data_file_even_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(RAW)
    refused(meta(tmp_path, where="a.raw"), "elsewhere", "its voxels lie in 'a.raw'")
    refused(nrrd(tmp_path, "encoding: raw\ndata file: a.raw\n"), "elsewhere", "its voxels lie in 'a.raw'")
    accepted(meta(tmp_path, where="a.raw", name="a.mhd"))


def test_a_data_file_is_a_regular_file_of_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(RAW)
    (folder / "out.raw").symlink_to(tmp_path / "secret.raw")
    (folder / "in.raw").symlink_to("plain.raw")
    (folder / "plain.raw").write_bytes(RAW)
    os.mkfifo(folder / "pipe.raw")
    (folder / "short.raw").write_bytes(RAW[:-1])
    refused(meta(folder, where="out.raw", name="a.mhd"), "elsewhere", "is a link out of the folder")
    refused(
        meta(folder, where="pipe.raw", name="a.mhd"), "missing", "its data file 'pipe.raw': it is a folder or a special file"
    )
    refused(meta(folder, where="gone.raw", name="a.mhd"), "missing", "its data file 'gone.raw': there is no such file")
    refused(meta(folder, where="short.raw", name="a.mhd"), "truncated", "209 bytes of voxels; its header asks for 210")
    accepted(meta(folder, where="in.raw", name="a.mhd"))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (META.replace("7 6 5", "70000 60000 50000"), TOO_LARGE),
        (META + "ElementNumberOfChannels = 900000000\n", TOO_LARGE),
        (META.replace("7 6 5", "2000 200 200"), "it holds 210 bytes of voxels; its header asks for 80000000"),
        (META + "DimSize = 7 6 4\n", "DimSize is there twice"),
        (META + "dimsize = 7 6 4\n", "dimsize is there twice"),
        (META + "Offset = 0 0 0 ElementDataFile = /etc/passwd\n", "Offset holds more than its value"),
        (META + "Offset = 0 0\n", "offset has 2 numbers; expected 3"),
        (META.replace("7 6 5", "7 6 -5"), "'-5'; expected a whole number from 1"),
        (META + f"Comment = {'x' * 5000}\n", "no end of a line within 4096 bytes"),
        (META + "".join(f"Key{i} = {'x' * 4000}\n" for i in range(20)), "longer than 65536 bytes"),
        (META + "HeaderSize = 5\n", "HeaderSize = 5; expected none"),
        (META.replace("UCHAR", "VOID"), "ElementType is 'VOID'"),
        ("no header\n", "is not of the form KEY = VALUE"),
    ],
)
def test_a_header_is_held_to_its_size_before_anything_is_allocated(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        read_volume(written(tmp_path / "a.mha", f"{header}ElementDataFile = LOCAL\n", RAW))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (NRRD.replace("7 6 5", "70000 60000 50000") + "encoding: raw\n", TOO_LARGE),
        (NRRD.replace("7 6 5", "700 60 50") + "encoding: raw\n", "its header asks for 2100000"),
        (NRRD + "sizes: 7 6 4\nencoding: raw\n", "there twice"),
        (NRRD + "encoding: raw\nbyte skip: 3\n", "it skips lines or bytes"),
        (NRRD + "encoding: hex\n", "encoding is 'hex'; expected one of raw, gz"),
        (NRRD, "encoding is missing"),
        (NRRD.replace("unsigned char", "block") + "encoding: raw\n", "type is 'block'"),
    ],
)
def test_nrrd_headers_likewise(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=message):
        read_volume(written(tmp_path / "a.nrrd", f"{header}\n", RAW))


def test_any_changed_bit_of_packed_voxels_is_noticed(tmp_path: Path) -> None:
    """SimpleITK gives other voxels and no word when two bits of a compressed MHA have changed."""
    for pack, make, more in (
        (zlib.compress, meta, PACKED),
        (gzip.compress, nrrd, "encoding: gzip\n"),
        (bz2.compress, nrrd, "encoding: bzip2\n"),
    ):
        packed, unnoticed = pack(RAW), 0
        for place in range(12, len(packed), 7):
            damaged = packed[:place] + bytes([packed[place] ^ 16]) + packed[place + 1 :]
            try:  # a bit that pads the last byte may change: the voxels are the same then
                np.testing.assert_array_equal(read_volume(make(tmp_path, more, damaged)).array, VOXELS)
                unnoticed += 1
            except ReadError as told:
                assert told.kind in ("damaged", "truncated"), told
        assert unnoticed <= 1
        refused(make(tmp_path, more, packed[:-3]), "truncated", "its packed data stop before their end")
        refused(make(tmp_path, more, packed + b"more"), "damaged", "4 bytes follow the end of the packed data")
        refused(
            make(tmp_path, more, pack(bytes(10**6))), "damaged", "it unpacks to more than the 210 bytes its header asks for"
        )
    parts = gzip.compress(RAW[:50]) + gzip.compress(RAW[50:])
    refused(nrrd(tmp_path, "encoding: gzip\n", parts[:-5]), "truncated", "stop before their end")


def test_a_png_with_a_wrong_checksum_in_any_chunk_is_damaged(tmp_path: Path) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("Comment", "twelve bytes")
    Image.fromarray(VOXELS[..., 0]).save(tmp_path / "a.png", pnginfo=told)
    whole = (tmp_path / "a.png").read_bytes()
    assert read_volume(tmp_path / "a.png").array.shape == (6, 7)
    for word in (b"twelve", b"IDAT", b"IEND", b"IHDR"):
        place = whole.index(word) + 5
        (tmp_path / "a.png").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ReadError) as seen:
            read_volume(tmp_path / "a.png")
        assert seen.value.kind in ("damaged", "not_an_image"), word


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.png", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"])
def test_no_pipe_and_no_device_is_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    for target in ("pipe", "/dev/zero", "/dev/stdin"):
        (tmp_path / f"{target[-4:]}_{name}").symlink_to(target)
    for path in tmp_path.glob(f"*{name}"):
        with pytest.raises(ReadError, match=r"special file|empty|0 bytes|not there"):
            read_volume(path)


def test_check_names_a_pipe_in_every_place_and_ends(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        meta(tmp_path / folder, where="/etc/passwd")
        os.mkfifo(tmp_path / folder / "b.mha")
    os.mkfifo(tmp_path / "dataset.json")
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 3 and "special file" in result.output + result.stderr
    (tmp_path / "dataset.json").unlink()
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 3 and {"D030", "D001"} <= set(result.output.replace(":", " ").split()), result.output


def test_a_sparse_file_larger_than_memory_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.nii").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(ReadError, match=r"it holds 8192\.0 GiB; the limit is"):
        read_volume(tmp_path / "a.nii")


def test_two_headers_alike_over_other_voxels_are_two_images(tmp_path: Path) -> None:
    for name, data in (("one", RAW), ("two", RAW[::-1])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.raw").write_bytes(data)
    one, two = (read_volume(meta(tmp_path / name, data=b"", where="a.raw", name="a.mhd")) for name in ("one", "two"))
    assert one.digest != two.digest


@pytest.mark.parametrize("key", ["elementdatafile", "ElementDatafile", "ELEMENTDATAFILE"])
def test_a_field_in_other_capitals_is_a_remark_to_the_library_and_refused(key: str, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(400))
    for where in ("/etc/passwd", "secret.raw"):
        data = f"ElementDataFile = {where}\n".encode() + RAW
        path = written(tmp_path / "a.mha", f"{META}{key} = LOCAL\n", data)
        refused(path, "not_an_image", f"the field '{key}'; expected the spelling ElementDataFile")
    refused(meta(tmp_path, "headersize = 0\n"), "not_an_image", "expected the spelling HeaderSize")


def test_what_the_library_could_not_unpack_is_no_voxels(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).integers(0, 2000, (12, 11, 10)).astype(np.int16)
    packed = zlib.compress(voxels.T.tobytes())
    header = "ObjectType = Image\nNDims = 3\nDimSize = 12 11 10\nElementType = MET_SHORT\nCompressedData = True\n"
    end = "ElementDataFile = LOCAL\n"
    path = written(tmp_path / "a.mha", f"{header}Remark = {len(packed)}\n{end}", packed)
    refused(path, "damaged", "SimpleITK reads other voxels than the file holds; MHA needs its CompressedDataSize")
    for order, turned in (("False", voxels), ("True", voxels.byteswap())):
        packed = zlib.compress(turned.T.tobytes())
        more = f"BinaryData = True\nBinaryDataByteOrderMSB = {order}\nCompressedDataSize = {len(packed)}\n"
        sound = written(tmp_path / f"{order}.mha", f"{header}{more}{end}", packed)
        np.testing.assert_array_equal(read_volume(sound).array, voxels)


def test_a_lone_carriage_return_ends_no_header(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nrrd", f"{NRRD}encoding: raw\n\r\r\n", RAW)
    refused(path, "not_an_image", "control characters")
    accepted(written(tmp_path / "b.nrrd", f"{NRRD}encoding: raw\n\n".replace("\n", "\r\n"), RAW))
