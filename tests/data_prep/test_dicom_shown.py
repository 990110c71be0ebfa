"""What of a header others may read: numbers and words of the standard; free text only with --keep-names, and by `who`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import some_pixels, write_series
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.dicom import find_series, read_series
from data_prep.dicom.names import case_name, without_identifiers
from data_prep.naming import named

RUN = CliRunner()
SECRET = "李四 18Apr61"


def agents(index: int, dataset: Any) -> None:
    dataset.ContrastBolusAgent, dataset.ImagePositionPatient = [SECRET, "none"][index % 2], [0, 0, 3 * (index // 2)]


def test_a_description_is_shown_with_keep_names_alone_and_chooses_all_the_same(tmp_path: Path) -> None:
    write_series(tmp_path / "raw", SeriesDescription=SECRET, SeriesNumber=4, SpecificCharacterSet="ISO_IR 192")
    (series,) = find_series(tmp_path / "raw")
    assert series.title == "series 4 (CT, 5 slices)"
    with named(keep=True):
        assert series.title == f"series 4 '{SECRET}' (CT, 5 slices)"
    wrong = RUN.invoke(app, ["check", str(tmp_path / "raw"), "--series", "T2*"])
    assert wrong.exit_code == 2 and "Their descriptions are shown with --keep-names" in wrong.stderr
    assert SECRET not in wrong.output
    assert RUN.invoke(app, ["check", str(tmp_path / "raw"), "--series", "李*"]).exit_code == 0


def test_who_tells_the_description(tmp_path: Path) -> None:
    write_series(tmp_path / "raw", SeriesDescription=f"{SECRET}\x1b[2J", SpecificCharacterSet="ISO_IR 192")
    with named():
        case = case_name(find_series(tmp_path / "raw")[0])
    told = RUN.invoke(app, ["who", case]).stdout
    assert f"description: {SECRET}\\x1b[2J" in told and "\x1b" not in told


def test_parts_that_free_text_tells_apart_have_numbers(tmp_path: Path) -> None:
    written = write_series(
        tmp_path / "raw", some_pixels(10), modality="MR", intercepts=0, change=agents, SpecificCharacterSet="ISO_IR 192"
    )
    told = RUN.invoke(app, ["check", str(tmp_path / "raw")])
    assert told.exit_code == 3 and "--series ContrastBolusAgent=no.1" in told.stdout and SECRET not in told.output
    second = next(one for one in find_series(tmp_path / "raw") if one.shown_part == "ContrastBolusAgent=no.2")
    assert second.part == f"ContrastBolusAgent={SECRET}"  # "none" comes first
    np.testing.assert_array_equal(read_series(second)[0], written.expected()[..., ::2])
    for words in ("ContrastBolusAgent=no.2", f"ContrastBolusAgent={SECRET}"):
        assert RUN.invoke(app, ["check", str(tmp_path / "raw"), "--series", words]).exit_code == 0
    kept = RUN.invoke(app, ["check", str(tmp_path / "raw"), "--keep-names"])
    assert SECRET in kept.stdout


def test_image_types_of_the_standard_are_words_to_type(tmp_path: Path) -> None:
    def kinds(index: int, dataset: Any) -> None:
        dataset.ImageType, dataset.ImagePositionPatient = ["ORIGINAL", "PRIMARY", "MP"[index % 2]], [0, 0, 3 * (index // 2)]

    write_series(tmp_path / "raw", some_pixels(10), modality="MR", change=kinds)
    parts = {one.shown_part for one in find_series(tmp_path / "raw")}
    assert parts == {"ImageType=ORIGINAL\\PRIMARY\\M", "ImageType=ORIGINAL\\PRIMARY\\P"}


@pytest.mark.parametrize(
    "text, identifiers, shown",
    [
        ("liver of Mueller", ["Müller^Jörg"], "liver of ***"),
        ("liver of MÜLLER", ["Muller"], "liver of ***"),
        ("Lüdenscheidt, liver", ["Müller-Lüdenscheidt^A"], "***, liver"),
        ("肝 李四", ["李^四"], "肝 ***"),
        ("born 18.04.61", ["19610418"], "born ***"),
        ("liver left", ["Li^Bo"], "liver left"),
        ("liver", ["LIVER-001"], "liver"),
        ("liver", [], "liver"),
        ("liver 3", ["^".join("abcdefgh" * 20)], "liver 3"),
    ],
)
def test_names_of_segments_lose_what_names_the_patient(text: str, identifiers: list[str], shown: str) -> None:
    assert without_identifiers(text, identifiers) == shown
