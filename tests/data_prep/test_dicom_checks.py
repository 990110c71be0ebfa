"""Each fault of a DICOM series has a code and a remedy, and a near twin without the fault is taken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import AXIAL, CORONAL, PLANTED, SAGITTAL, save, some_pixels, write_enhanced, write_series
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.dicom import find_series, read_series

RUN = CliRunner()
MR_TWO_ECHOES = {"modality": "MR", "intercepts": 0}


def check(*words: str | Path, code: int = 0) -> dict[str, dict[str, Any]]:
    """The first finding of each code that `check` writes; the exit code, no traceback and no identifier are asserted."""
    report = Path(words[0]).parent / "report.json"
    result = RUN.invoke(app, ["check", *map(str, words), "--json", str(report)])
    said = result.stdout + result.stderr + report.read_text()
    assert result.exit_code == code and "Traceback" not in said, said
    assert not any(part.lower() in said.lower() for text in PLANTED.values() for part in text.split("^")), said
    findings = json.loads(report.read_text())["findings"]
    assert all(finding["remedy"] for finding in findings)
    return {finding["code"]: finding for finding in reversed(findings)}


def at(index: int, dataset: Any, heights: list[float]) -> None:
    dataset.ImagePositionPatient = [0, 0, heights[index]]


def echoes(index: int, dataset: Any) -> None:
    dataset.EchoTime, dataset.ImagePositionPatient = [2.5, 7.5][index % 2], [0, 0, 3 * (index // 2)]


def phases(index: int, dataset: Any) -> None:
    dataset.TriggerTime, dataset.ImagePositionPatient = 40 * (index % 5), [0, 0, 3 * (index // 5)]


def b_values(index: int, dataset: Any) -> None:
    dataset.DiffusionBValue, dataset.ImagePositionPatient = [0.0, 800.0][index // 5], [0, 0, 3 * (index % 5)]


def stored_twice(folder: Path) -> None:
    """Two slices at one place that nothing in the header tells apart."""
    write_series(folder, some_pixels(4), change=lambda i, d: at(i, d, [0, 1, 1, 2]))


def without_a_slice(folder: Path) -> None:
    write_series(folder, some_pixels(8)).files[3].unlink()


def cut(folder: Path) -> None:
    file = write_series(folder).files[2]
    file.write_bytes(file.read_bytes()[:-50])


def three_planes(folder: Path, count: int = 1) -> None:
    uid = "1.2.3"
    for name, directions in {"a": AXIAL, "b": SAGITTAL, "c": CORONAL}.items():
        write_series(folder, some_pixels(count), directions=directions, names=name + "{}", series_uid=uid, frame_uid="1.2.9")


def two_sizes(folder: Path) -> None:
    write_series(folder, some_pixels(4), names="a{}", series_uid="1.2.3", frame_uid="1.2.9")
    write_series(folder, some_pixels(4, 20, 16), names="b{}", series_uid="1.2.3", frame_uid="1.2.9", origin=(0, 0, 500))


def colour(index: int, dataset: Any) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 3)


def screen_shot(index: int, dataset: Any) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing


FAULTS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "slice missing": ("D510", "1 slice is missing: from -35.00 to -30.00 mm", without_a_slice),
    "slice missing of four": (
        "D510",
        "1 slice is missing: from 1.00 to 3.00 mm",
        lambda f: write_series(f, some_pixels(3), change=lambda i, d: at(i, d, [0, 1, 3])),
    ),
    "several missing": (
        "D510",
        "3 slices are missing",
        lambda f: write_series(f, some_pixels(6), change=lambda i, d: at(i, d, [0, 1, 3, 4, 7, 8])),
    ),
    "echoes": ("D511", "--series EchoTime=2.5", lambda f: write_series(f, some_pixels(10), change=echoes, **MR_TWO_ECHOES)),
    "phases": ("D511", "--series TriggerTime=0", lambda f: write_series(f, some_pixels(20), change=phases, modality="MR")),
    "b-values": ("D511", "DiffusionBValue=", lambda f: write_series(f, some_pixels(10), change=b_values, modality="MR")),
    "slices stored twice": ("D511", "1 of 4 slices lie where another one lies", stored_twice),
    "unequal steps": (
        "D512",
        "slices are 1.00 to 1.60 mm apart",
        lambda f: write_series(f, change=lambda i, d: at(i, d, [0, 1, 2, 3.4, 5])),
    ),
    "gantry tilt": ("D513", "leans by 14.0 degrees", lambda f: write_series(f, step=(0, 0.6, 2.4))),
    "cut off": ("D516", "it holds 190 bytes of pixels; its header asks for 240", cut),
    "one slice": ("D517", "a volume needs two or more", lambda f: write_series(f, some_pixels(1))),
    "two frames of reference": (
        "D518",
        "in 2 frames of reference",
        lambda f: write_series(f, change=lambda i, d: setattr(d, "FrameOfReferenceUID", f"1.2.{i // 3}")),
    ),
    "two sizes": ("D519", "one of 2 grids in one series; to take it: --series grid=", two_sizes),
    "no place": ("D520", "5 of 5 slices lack ImagePositionPatient", lambda f: write_series(f, ImagePositionPatient=None)),
    "mosaic": (
        "D522",
        "5 of 5 images are mosaics",
        lambda f: write_series(f, ImageType=["X", "PRIMARY", "MOSAIC"]),
    ),
}
LEFT_OUT: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "scout": ("D514", "1 image is called a localiser", lambda f: write_series(f, some_pixels(1), ImageType=["X", "LOCALIZER"])),
    "three planes": ("D514", "3 images in 3 directions", three_planes),
    "called a scout": ("D514", "called a localiser", lambda f: write_series(f, some_pixels(1), SeriesDescription="Fast scout")),
    "colour": ("D515", "5 images are colour (RGB)", lambda f: write_series(f, change=colour)),
    "screen shot": ("D515", "a secondary capture without a place", lambda f: write_series(f, change=screen_shot)),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_named_and_build_writes_nothing(kind: str, tmp_path: Path) -> None:
    code, words, make = FAULTS[kind]
    make(tmp_path / "raw")
    found = check(tmp_path / "raw", code=3)
    assert code in found and found[code]["level"] == "error" and words in found[code]["message"], found
    result = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--output", str(tmp_path / "out")])
    assert result.exit_code == 3 and code in result.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", LEFT_OUT)
def test_what_is_no_volume_is_left_out_with_a_word_and_the_volume_beside_it_is_taken(kind: str, tmp_path: Path) -> None:
    code, words, make = LEFT_OUT[kind]
    make(tmp_path / "raw/other")
    write_series(tmp_path / "raw/volume")
    found = check(tmp_path / "raw")
    assert list(found) == [code] and found[code]["level"] == "note" and words in found[code]["message"], found
    (tmp_path / "alone").mkdir()
    shutil.move(tmp_path / "raw/other", tmp_path / "alone/other")
    assert check(tmp_path / "alone", code=3)["D503"]["message"].startswith("none of its DICOM series is a volume: series 3")


ACCEPTED: dict[str, Callable[[Path], object]] = {
    "sound": write_series,
    "positions rounded to 0.01 mm": lambda f: write_series(f, change=lambda i, d: at(i, d, [0, 0.63, 1.25, 1.88, 2.5])),
    "two slices": lambda f: write_series(f, some_pixels(2)),
    "no frame of reference": lambda f: write_series(f, FrameOfReferenceUID=None),
    "no series number, no description": lambda f: write_series(f, SeriesNumber=None, SeriesDescription=None),
    "a tilt below rounding": lambda f: write_series(f, step=(0, 0.0005, 2.5)),
    "one echo in all": lambda f: write_series(f, modality="MR", intercepts=0, EchoTime="4.6"),
    "enhanced": lambda f: write_enhanced(f / "file"),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_sound_series_is_taken_without_a_word(kind: str, tmp_path: Path) -> None:
    ACCEPTED[kind](tmp_path / "raw")
    assert check(tmp_path / "raw") == {}


def test_an_echo_is_chosen_with_series_and_only_it_is_read(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw", some_pixels(10), change=echoes, **MR_TWO_ECHOES)
    assert check(tmp_path / "raw", "--series", "EchoTime=7.50") == {}
    assert check(tmp_path / "raw", "--series", f"{written.series_uid},echotime=2.5") == {}
    result = RUN.invoke(app, ["check", str(tmp_path / "raw"), "--series", "EchoTime=3"])
    assert result.exit_code == 2 and "EchoTime=2.5" in result.stderr and "no series has this name" in result.stderr
    for series in find_series(tmp_path / "raw"):
        first = 0 if series.part == "EchoTime=2.5" else 1
        np.testing.assert_array_equal(read_series(series)[0], written.expected()[..., first::2])


def test_parts_of_an_enhanced_file_are_told_apart(tmp_path: Path) -> None:
    def two_echoes(dataset: Any) -> None:
        from pydicom.dataset import Dataset

        for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            echo = Dataset()
            echo.EffectiveEchoTime = [2.5, 7.5][index % 2]
            frame.MREchoSequence = [echo]
            frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 3 * (index // 2)]

    written = write_enhanced(tmp_path / "raw/file", some_pixels(10), modality="MR", intercepts=0, change=two_echoes)
    assert "--series EchoTime=" in json.dumps(check(tmp_path / "raw", code=3))
    assert check(tmp_path / "raw", "--series", "EchoTime=7.5") == {}
    second = next(series for series in find_series(tmp_path / "raw") if series.part == "EchoTime=7.5")
    np.testing.assert_array_equal(read_series(second)[0], written.expected()[..., 1::2])


def test_phases_whose_times_differ_a_little_are_told_apart_by_their_rank(tmp_path: Path) -> None:
    def jittered(index: int, dataset: Any) -> None:
        place, phase = divmod(index, 4)
        dataset.TriggerTime, dataset.ImagePositionPatient = 30 * phase + place, [0, 0, 8 * place]

    written = write_series(tmp_path / "raw", some_pixels(12), modality="MR", intercepts=0, change=jittered)
    assert "--series TriggerTime=no." in check(tmp_path / "raw", code=3)["D511"]["message"]
    assert check(tmp_path / "raw", "--series", "TriggerTime=no.3") == {}
    third = next(series for series in find_series(tmp_path / "raw") if series.part == "TriggerTime=no.3")
    np.testing.assert_array_equal(read_series(third)[0], written.expected()[..., 2::4])


def test_echoes_and_phases_together_are_chosen_by_both(tmp_path: Path) -> None:
    def both(index: int, dataset: Any) -> None:
        place, rest = divmod(index, 4)
        dataset.EchoTime, dataset.TemporalPositionIdentifier = [2.5, 7.5][rest // 2], rest % 2 + 1
        dataset.ImagePositionPatient = [0, 0, 8 * place]

    written = write_series(tmp_path / "raw", some_pixels(12), modality="MR", intercepts=0, change=both)
    words = "EchoTime=7.5,TemporalPositionIdentifier=1"
    assert "EchoTime=" in check(tmp_path / "raw", code=3)["D511"]["message"]
    assert "D511" in check(tmp_path / "raw", "--series", "EchoTime=7.5", code=3)
    assert check(tmp_path / "raw", "--series", words) == {}
    one = next(series for series in find_series(tmp_path / "raw") if series.part == words)
    np.testing.assert_array_equal(read_series(one)[0], written.expected()[..., 2::4])


def test_what_is_no_dicom_is_told_by_its_ending_alone(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw")
    for name in (f"{PLANTED['PatientID']}.zip", "readme.txt", "viewer.exe"):
        (tmp_path / "raw" / name).write_bytes(b"PK\x03\x04" + bytes(40))
    (tmp_path / "raw/link").symlink_to(written.files[0].parent.parent)
    found = check(tmp_path / "raw")
    assert list(found) == ["D523", "D524"] or list(found) == ["D524", "D523"], found
    assert found["D523"]["message"] == "left out: 1 (.zip)" and found["D524"]["message"] == "links to folders: 1"


@pytest.mark.parametrize("words", ["{uid}", "7", "t2*", "T2 TSE,9"], ids=["uid", "number", "pattern", "either"])
def test_a_series_is_chosen_by_uid_number_or_description(words: str, tmp_path: Path) -> None:
    wanted = write_series(tmp_path / "raw/a", SeriesNumber=7, SeriesDescription="T2 TSE")
    without_a_slice(tmp_path / "raw/b")
    assert "D510" in check(tmp_path / "raw", code=3)
    assert check(tmp_path / "raw", "--series", words.format(uid=wanted.series_uid)) == {}


def test_judgements_can_be_overruled(tmp_path: Path) -> None:
    for kind in ("one slice", "two frames of reference"):
        code, _, make = FAULTS[kind]
        make(tmp_path / kind)
        found = check(tmp_path / kind, "--accept", code)
        assert found[code]["level"] == "warning"


def test_equal_files_count_once_and_unequal_ones_at_one_place_are_refused(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw")
    (tmp_path / "raw/again").mkdir()
    for file in written.files[:2]:
        shutil.copy(file, tmp_path / "raw/again")
    assert "2 of 7 slices are there twice" in check(tmp_path / "raw")["D525"]["message"]
    copy = tmp_path / "raw/again" / written.files[0].name
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert "D511" in check(tmp_path / "raw", code=3)


def test_series_and_patients_that_lie_mixed_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    first = write_series(tmp_path / "raw", some_pixels(5, seed=1), names="{}", PatientID="PID-73918-XQ1")
    second = write_series(tmp_path / "raw", some_pixels(6, seed=2), names="{}.x", PatientID="PID-73918-XQ2")
    third = write_series(tmp_path / "raw/deep/er", some_pixels(7, seed=3), names="{}.dcm", PatientID="PID-73918-XQ2")
    assert check(tmp_path / "raw") == {}
    found = {series.uid: series for series in find_series(tmp_path / "raw")}
    for written in (first, second, third):
        np.testing.assert_array_equal(read_series(found[written.series_uid])[0], written.expected())


def test_one_file_is_looked_at_alone(tmp_path: Path) -> None:
    written = write_series(tmp_path / "raw")
    assert "D517" in check(written.files[0], code=3)
    assert check(write_enhanced(tmp_path / "enhanced").files[0]) == {}


def test_a_compression_that_nothing_decodes_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEGLSLosslessDecoder

    write_series(tmp_path / "raw", syntax="1.2.840.10008.1.2.4.80")
    assert check(tmp_path / "raw") == {}
    monkeypatch.setattr(type(JPEGLSLosslessDecoder), "is_available", property(lambda self: False))
    found = check(tmp_path / "raw", code=3)
    assert 'pip install "monai-hybrid[dicom]"' in found["D521"]["remedy"], found


def test_a_file_of_other_dicom_kinds_is_no_fault(tmp_path: Path) -> None:
    from pydicom.dataset import Dataset

    write_series(tmp_path / "raw")
    report = Dataset()
    report.SOPClassUID, report.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.3.4"
    save(report, tmp_path / "raw/report")
    (tmp_path / "raw/notes.txt").write_text("x" * 700)
    assert check(tmp_path / "raw") == {}


def frames(wanted: int) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        dataset.NumberOfFrames = wanted

    return change


def described(count: int) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        groups = list(dataset.PerFrameFunctionalGroupsSequence)
        dataset.PerFrameFunctionalGroupsSequence = (groups + groups)[:count]

    return change


def both(count: int) -> Callable[[Any], None]:
    def change(dataset: Any) -> None:
        described(count)(dataset)
        frames(count)(dataset)

    return change


COUNTS: dict[str, tuple[Callable[[Any], None] | None, str, str]] = {
    "fewer frames said than described": (frames(3), "D004", "it describes 6 frames; its header says 3"),
    "no count": (frames(0), "D004", "it describes 6 frames; its header says 1"),
    "more frames described than there are": (described(7), "D004", "it describes 7 frames; its header says 6"),
    "fewer frames described": (described(4), "D520", "2 of 6 slices lack ImagePositionPatient"),
    "a half of the pixels": (both(3), "D004", "its pixel data has 1440 bytes; its header asks for 720 only"),
    "more than the pixels": (both(7), "D516", "it holds 1440 bytes of pixels; its header asks for 1680"),
}


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_frames_that_do_not_add_up_give_no_part_of_a_scan(modality: str, kind: str, tmp_path: Path) -> None:
    change, code, words = COUNTS[kind]
    write_enhanced(tmp_path / "raw/file", some_pixels(6, 12, 10), modality=modality, change=change)
    assert words in check(tmp_path / "raw", code=3)[code]["message"]
    write_enhanced(tmp_path / "sound/file", some_pixels(6, 12, 10), modality=modality)
    assert check(tmp_path / "sound") == {}


def test_values_that_pass_through_a_table_are_refused(tmp_path: Path) -> None:
    def table(_: int, dataset: Any) -> None:
        from pydicom.dataset import Dataset

        entry = Dataset()
        entry.LUTDescriptor, entry.ModalityLUTType, entry.LUTData = [16, 0, 16], "US", bytes(32)
        dataset.ModalityLUTSequence = [entry]

    write_series(tmp_path / "raw", change=table)
    assert "ModalityLUTSequence" in check(tmp_path / "raw", code=3)["D004"]["message"]


def two_patients(folder: Path) -> None:
    """One UID, and two IDs: the slices of one scan, half of them with a mistyped ID."""
    write_series(folder, some_pixels(6), change=lambda index, dataset: setattr(dataset, "PatientID", f"A{index // 3}"))


def test_a_series_of_two_patients_is_no_two_halves_until_it_is_accepted(tmp_path: Path) -> None:
    two_patients(tmp_path / "raw")
    told = check(tmp_path / "raw", code=3)["D527"]
    assert (
        told["message"]
        == "series 3 (CT, 3 slices): 2 patients have a series with this UID; these slices may be only a part of it"
    )
    result = RUN.invoke(app, ["build", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--allow-unlabelled"])
    assert result.exit_code == 3 and "D527" in result.stderr and not (tmp_path / "out").exists()
    found = check(tmp_path / "raw", "--accept", "D527")
    assert list(found) == ["D527"] and found["D527"]["level"] == "warning"
    write_series(tmp_path / "sound/a", PatientID="A0")
    write_series(tmp_path / "sound/b", some_pixels(6), PatientID="A1")
    assert check(tmp_path / "sound") == {}


@pytest.mark.parametrize("folder", ["", "Plantedname"])
def test_a_folder_of_links_alone_is_told_without_their_names(folder: str, tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere")
    (tmp_path / "raw" / folder).mkdir(parents=True)
    (tmp_path / "raw" / folder / "Plantedname_Zelda").symlink_to(tmp_path / "elsewhere")
    result = RUN.invoke(app, ["check", str(tmp_path / "raw")])
    assert result.exit_code == 2 and "it holds a link to a folder, which is not followed" in result.stderr
    assert "Planted" not in result.output + result.stderr
    assert check(tmp_path / "elsewhere") == {}
