"""DICOM files from others: whatever they hold, the answer is a finding in good time and little memory, never a traceback."""

from __future__ import annotations

import json
import locale
import os
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import save, some_pixels, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.dicom import find_series, read_series
from data_prep.dicom.codestream import stream_of
from data_prep.naming import named
from data_prep.volume import ReadError

RUN = CliRunner()
ROOT = Path(__file__).parents[2]
JPEG_2000 = "1.2.840.10008.1.2.4.90"


def codes(raw: Path, *words: str) -> set[str]:
    """Codes of the errors that `check` finds; it must not end otherwise than with 0, 2 or 3."""
    report = raw.parent / "report.json"
    report.unlink(missing_ok=True)
    result = RUN.invoke(app, ["check", str(raw), "--json", str(report), *words])
    assert result.exit_code in (0, 2, 3) and "Traceback" not in result.output, result.output
    assert result.output.isprintable() or all(sign.isprintable() or sign == "\n" for sign in result.output)
    findings = json.loads(report.read_text())["findings"] if report.is_file() else []
    return {finding["code"] for finding in findings if finding["level"] == "error"}


def set_all(**values: Any) -> Callable[[int, Any], None]:
    def change(_: int, dataset: Any) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


BOMBS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "many frames": ({"NumberOfFrames": 2**31 - 1}, {"D007"}),
    "large picture": ({"Rows": 65535, "Columns": 65534}, {"D516"}),
    "large picture, many frames": ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 4096}, {"D007"}),
    "no rows": ({"Rows": 0}, {"D004"}),
    "a few more frames than there are": ({"NumberOfFrames": 7}, {"D520"}),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_header_that_asks_for_what_is_not_there_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    values, wanted = BOMBS[kind]
    write_series(tmp_path / "raw", change=set_all(**values))
    start = time.process_time()
    assert wanted <= codes(tmp_path / "raw")
    assert time.process_time() - start < 5


def test_memory_stays_small_whatever_a_header_promises(tmp_path: Path) -> None:
    write_series(tmp_path / "raw", change=set_all(Rows=30000, Columns=30000, NumberOfFrames=4))
    code = "import sys; from data_prep.cli import app; app(sys.argv[1:])"
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(tmp_path / "raw")], cwd=ROOT, capture_output=True, text=True, preexec_fn=limit
    )
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr


def test_a_code_stream_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw", some_pixels(2, 40, 36), syntax=JPEG_2000)
    file = written.files[0]
    content = file.read_bytes()
    at = content.index(b"\xff\x4f\xff\x51") + 8
    assert stream_of(content[at - 8 :]) == (40, 36, 1, 16)
    file.write_bytes(content[:at] + struct.pack(">II", 60000, 60000) + content[at + 8 :])
    (series,) = find_series(tmp_path / "raw")
    with pytest.raises(ReadError, match="60000 x 60000; expected 36 x 40"):
        read_series(series)
    assert codes(tmp_path / "raw") == {"D004"}


def test_a_deflated_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    file = write_series(tmp_path / "raw", some_pixels(3), syntax="1.2.840.10008.1.2.1.99").files[0]
    content = file.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(pack.compress(bytes(2**24)) for _ in range(20)) + pack.flush()
    file.write_bytes(content[:start] + packed)
    assert codes(tmp_path / "raw") == {"D007"}


def nested(depth: int, defined: bool) -> bytes:
    """Sequences within sequences, (0008,1115) in explicit little endian."""
    inner = b""
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner) if defined else 0xFFFFFFFF) + inner
        item += b"" if defined else b"\xfe\xff\x0d\xe0\0\0\0\0"
        end = b"" if defined else b"\xfe\xff\xdd\xe0\0\0\0\0"
        inner = b"\x08\x00\x15\x11SQ\0\0" + struct.pack("<I", len(item) if defined else 0xFFFFFFFF) + item + end
    return inner


@pytest.mark.parametrize("defined", [True, False], ids=["defined", "undefined"])
def test_deep_sequences_end_in_a_finding(defined: bool, tmp_path: Path) -> None:
    for file in write_series(tmp_path / "raw").files:
        content = file.read_bytes()
        at = content.index(b"\x08\x00\x60\x00CS")
        file.write_bytes(content[:at] + nested(3000, defined) + content[at:])
    assert codes(tmp_path / "raw") <= {"D004"}


def test_a_flood_of_items_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = write_series(tmp_path / "raw").files[0]
    content = file.read_bytes()
    at = content.index(b"\x08\x00\x60\x00CS")
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 500_000
    file.write_bytes(content[:at] + b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + items + content[at:])
    assert "D007" in codes(tmp_path / "raw")


def test_a_value_longer_than_its_file_is_damage(tmp_path: Path) -> None:
    file = write_series(tmp_path / "raw").files[0]
    content = file.read_bytes()
    at = content.index(b"\x10\x00\x10\x00PN") + 4
    file.write_bytes(content[:at] + b"UT\0\0" + struct.pack("<I", 0xFFFFFFF0) + content[at + 4 :])
    assert "D003" in codes(tmp_path / "raw")


def test_links_pipes_and_devices_are_left_alone(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw/a")
    (tmp_path / "raw/a/circle").symlink_to(tmp_path / "raw")
    (tmp_path / "raw/a/gone").symlink_to(tmp_path / "nothing")
    (tmp_path / "raw/a/zero").symlink_to("/dev/zero")
    (tmp_path / "raw/a/mem").symlink_to("/proc/self/mem")
    os.mkfifo(tmp_path / "raw/a/pipe")
    assert codes(tmp_path / "raw") == set()
    (series,) = find_series(tmp_path / "raw")
    assert series.files == written.files


def test_names_and_texts_with_control_characters_are_shown_as_escapes(tmp_path: Path) -> None:
    name = "s\x1b[31m\n\u202ex"
    write_series(tmp_path / "raw" / name, some_pixels(1), SeriesDescription="a\x1b[2Jb", SeriesNumber=None, names=name + "{}")
    assert codes(tmp_path / "raw") == {"D517"}
    assert codes(tmp_path / "raw", "--series", "nothing\x1b[2J") == set()


def test_uids_that_are_paths_lead_nowhere(tmp_path: Path) -> None:
    import nibabel as nib

    written = write_series(tmp_path / "raw", some_pixels(9), SeriesInstanceUID="../../../evil", StudyInstanceUID="/etc")
    (tmp_path / "raw/labels").mkdir()
    mask = (written.pixels > 500).astype(np.uint8).transpose(2, 1, 0)
    nib.Nifti1Image(mask, written.affine).to_filename(tmp_path / "raw/labels/raw.nii.gz")
    result = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "deep/out"), "--test-fraction", "0"])
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "raw"]
    assert not list(tmp_path.rglob("*evil*"))


GEOMETRY = {
    "no orientation": {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
    "not a number": {"ImagePositionPatient": ["nan", "0", "1"]},
    "infinite": {"PixelSpacing": ["inf", "1"]},
    "no spacing": {"PixelSpacing": ["0", "0"]},
    "negative spacing": {"PixelSpacing": ["-1", "1"]},
    "skew": {"ImageOrientationPatient": [1, 0, 0, 0.9, 0.4, 0]},
    "too few": {"ImagePositionPatient": [0, 0]},
}


@pytest.mark.parametrize("kind", GEOMETRY)
def test_geometry_that_is_none_is_refused(kind: str, tmp_path: Path) -> None:
    import pydicom

    with pydicom.config.disable_value_validation():
        write_series(tmp_path / "raw", change=set_all(**GEOMETRY[kind]))
    assert codes(tmp_path / "raw") == {"D520"}


NUMBERS = {
    "words as spacing": (b"0.5\\0.75", b"one\\0.75", "D520"),
    "words as slope": (b"\x28\x00\x53\x10DS\x02\x001 ", b"\x28\x00\x53\x10DS\x02\x00ab", "D004"),
    "no number as slope": (b"\x28\x00\x53\x10DS\x02\x001 ", b"\x28\x00\x53\x10DS\x04\x00nan ", "D004"),
    "an endless slope": (b"\x28\x00\x53\x10DS\x02\x001 ", b"\x28\x00\x53\x10DS\x06\x001e400 ", "D004"),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_that_are_none_are_refused(kind: str, tmp_path: Path) -> None:
    old, new, code = NUMBERS[kind]
    for file in write_series(tmp_path / "raw").files:
        assert old in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(old, new))
    assert codes(tmp_path / "raw") == {code}


BEYOND: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "a slope without measure": ({"RescaleSlope": "1e30"}, {"D004"}, "its RescaleSlope is not a possible number"),
    "an intercept without measure": ({"RescaleIntercept": "-1e300"}, {"D004"}, "its RescaleIntercept is not a possible number"),
    "a spacing without measure": ({"PixelSpacing": ["1e300", "1e300"]}, {"D520"}, "lack PixelSpacing"),
    "a spacing of nothing": ({"PixelSpacing": ["1e-300", "1e-300"]}, {"D520"}, "lack a usable orientation and spacing"),
    "a place without measure": ({"ImagePositionPatient": ["1e300", "0", "0"]}, {"D520"}, "lack ImagePositionPatient"),
    "no bits": ({"BitsStored": 0}, {"D004"}, "BitsStored 0 and HighBit"),
    "more bits than the word has": ({"BitsStored": 17, "HighBit": 16}, {"D004"}, "BitsStored 17 and HighBit 16, of 16 bits"),
    "bits at the high end": ({"BitsStored": 12, "HighBit": 15}, {"D004"}, "BitsStored 12 and HighBit 15, of 16 bits"),
    "a word of no bits": ({"BitsAllocated": 0}, {"D004"}, "its header gives BitsAllocated 0"),
}


@pytest.mark.parametrize("kind", BEYOND)
def test_numbers_of_a_size_that_none_has_are_named_by_their_tag(kind: str, tmp_path: Path) -> None:
    import pydicom

    values, wanted, words = BEYOND[kind]
    with pydicom.config.disable_value_validation():
        write_series(tmp_path / "raw", change=set_all(**values))
    assert codes(tmp_path / "raw") == wanted
    assert words in (tmp_path / "report.json").read_text()


def test_a_count_beyond_all_measure_is_named(tmp_path: Path) -> None:
    file = write_series(tmp_path / "raw", NumberOfFrames=1).files[0]
    content = file.read_bytes()
    at = content.index(b"\x28\x00\x08\x00IS")
    file.write_bytes(content[:at] + b"\x28\x00\x08\x00IS" + struct.pack("<H", 200) + b"9" * 200 + content[at + 10 :])
    assert "D004" in codes(tmp_path / "raw")
    assert "its NumberOfFrames is not a possible whole number" in (tmp_path / "report.json").read_text()


@pytest.mark.parametrize("slope, intercept", [(2.0**29, 7.0), (-(2.0**29), -(2.0**29)), (1e-9, 0.5)])
def test_the_largest_and_smallest_numbers_that_are_taken_give_the_values_exactly(
    slope: float, intercept: float, tmp_path: Path
) -> None:
    written = write_series(tmp_path / "raw", slopes=slope, intercepts=intercept)
    (series,) = find_series(tmp_path / "raw")
    np.testing.assert_allclose(read_series(series)[0], written.expected(), rtol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_what_lies_above_the_stored_bits_is_no_value(signed: bool, tmp_path: Path) -> None:
    """Twelve bits of a word, as old scanners write them: above lie overlays, and no sign."""
    low, high = (-2048, 2048) if signed else (0, 4096)
    true = np.random.default_rng(0).integers(low, high, (3, 8, 6))
    words = ((true & 0xFFF) | (np.random.default_rng(1).integers(0, 16, true.shape) << 12)).astype(np.uint16)
    write_series(tmp_path / "raw", words.view(np.int16 if signed else np.uint16), intercepts=0, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_series(find_series(tmp_path / "raw")[0])[0], true.transpose(2, 1, 0))


def one_file(folder: Path) -> bytes:
    written = write_series(folder, some_pixels(2))
    return written.files[0].read_bytes()


def test_an_element_of_a_kind_that_there_is_not_is_told(tmp_path: Path) -> None:
    """The kind of the SOP class ends in a zero byte, and the file before its value: pydicom raises when asked for it."""
    content = bytearray(one_file(tmp_path / "first"))
    content[385] = 0
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.dcm").write_bytes(content[:388])
    assert find_series(tmp_path / "raw") == []
    assert codes(tmp_path / "raw")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6), end=st.integers(0, 3000))
def test_damaged_bytes_never_end_in_a_traceback(flips: list[tuple[int, int]], end: int, tmp_path: Path) -> None:
    if not (tmp_path / "sound").exists():
        (tmp_path / "sound").write_bytes(one_file(tmp_path / "first"))
    content = bytearray((tmp_path / "sound").read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    (tmp_path / "raw").mkdir(exist_ok=True)
    (tmp_path / "raw/a.dcm").write_bytes(content[: max(1, end)] if end < len(content) else content)
    for series in find_series(tmp_path / "raw"):
        try:
            read_series(series)
        except ReadError as fault:
            assert "Planted" not in fault.seen
    codes(tmp_path / "raw")


def test_two_files_that_claim_different_patients_in_one_series_are_no_one_series(tmp_path: Path) -> None:
    def other(index: int, dataset: Any) -> None:
        dataset.PatientID = f"A{index // 3}"

    write_series(tmp_path / "raw", some_pixels(6), change=other)
    assert [len(series.planes) for series in find_series(tmp_path / "raw")] == [3, 3]


@pytest.mark.parametrize("share", [0.999, 0.8, 0.4])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", JPEG_2000])
def test_packed_pixels_that_stop_early_are_named_by_their_file(syntax: str, share: float, tmp_path: Path) -> None:
    files = write_series(tmp_path / "raw", some_pixels(3, 40, 36), syntax=syntax).files
    content = files[1].read_bytes()
    files[1].write_bytes(content[: int(share * len(content))])
    with named(keep=True):
        (series,) = find_series(tmp_path / "raw")
    assert [(one.code, one.message) for one in series.problems] == [("D516", "IM0001: it stops within its compressed pixels")]
    files[1].write_bytes(content)
    assert codes(tmp_path / "raw") == set()


JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"


def lossless_jpeg(folder: Path) -> None:
    """Pack the files of a folder as JPEG lossless, with SimpleITK: pydicom has no encoder."""
    import pydicom

    itk = pytest.importorskip("SimpleITK")
    before = locale.setlocale(locale.LC_ALL)
    for file in sorted(folder.iterdir()):
        writer = itk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.SetFileName(str(file.with_suffix(".packed.dcm")))
        writer.Execute(itk.ReadImage(str(file)))
        packed, dataset = pydicom.dcmread(file.with_suffix(".packed.dcm")), pydicom.dcmread(file)
        file.with_suffix(".packed.dcm").unlink()
        assert packed.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
        dataset.file_meta.TransferSyntaxUID, dataset["PixelData"] = packed.file_meta.TransferSyntaxUID, packed["PixelData"]
        dataset.save_as(file)
    locale.setlocale(locale.LC_ALL, before)  # writing has set it to "C", in which later tests read ASCII alone


@pytest.mark.parametrize("share", [0.99, 0.5, 0.1])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", JPEG_2000, JPEG_LOSSLESS])
def test_a_stream_that_stops_early_within_a_whole_item_gives_no_voxels(syntax: str, share: float, tmp_path: Path) -> None:
    import pydicom
    from pydicom.encaps import encapsulate, get_frame

    pixels = some_pixels(3, 64, 60)
    files = write_series(
        tmp_path / "raw", pixels, intercepts=0, **({} if syntax == JPEG_LOSSLESS else {"syntax": syntax})
    ).files
    if syntax == JPEG_LOSSLESS:
        lossless_jpeg(tmp_path / "raw")
    np.testing.assert_array_equal(read_series(find_series(tmp_path / "raw")[0])[0], pixels.transpose(2, 1, 0))
    dataset = pydicom.dcmread(files[1])
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: int(share * len(frame))]])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(files[1])
    assert codes(tmp_path / "raw") == {"D004"}


def test_packed_values_of_more_bits_or_colours_than_the_header_says_are_refused(tmp_path: Path) -> None:
    import pydicom

    file = write_series(tmp_path / "raw", some_pixels(2, 40, 36), syntax=JPEG_2000).files[0]
    dataset = pydicom.dcmread(file)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.save_as(file)
    assert codes(tmp_path / "raw") == {"D004"}
    assert (
        "a compressed pixel has 1 values of 16 bits; the header says 1 values of 8 bits"
        in (tmp_path / "report.json").read_text()
    )


def test_a_report_without_pixels_and_without_end_is_no_image(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.4"
    file = save(report, tmp_path / "raw/report.dcm")
    file.write_bytes(file.read_bytes() + nested(3000, False))
    write_series(tmp_path / "raw/scan")
    assert codes(tmp_path / "raw") == set()
