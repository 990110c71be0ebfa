"""DICOM-SEG and its codes, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import CORONAL, SAGITTAL, Directions, oblique, write_series
from seg_files import complaints, voxels

import data_prep
from data_prep.build import build
from data_prep.dicom import find_series
from data_prep.dicom.codes import (
    ABNORMALITIES,
    CODES_SCHEMA,
    DEFAULT,
    GROUPS,
    OTHER_WORDS,
    SIDES,
    STRUCTURES,
    Code,
    segment_code,
)
from data_prep.dicom.seg_write import Algorithm, is_own_seg, write_seg
from data_prep.errors import DataError
from data_prep.files import read_dataset
from monai_hybrid.weights import make_card

pytest.importorskip("highdicom")
LIVER = [("liver", segment_code("liver"))]
MADE = Algorithm("monai_hybrid", "1.2.3", "abc")


def test_every_code_of_the_table_is_one_of_dicoms_own() -> None:
    from pydicom.sr._concepts_dict import concepts

    known = {(code, meaning.lower()) for keyword in concepts["SCT"].values() for code, (meaning, _) in keyword.items()}
    for category, group in GROUPS:
        assert (category[0], category[1].lower()) in known
        for name, (value, meaning) in group.items():
            assert (value, meaning.lower()) in known, (name, value, meaning)
    assert all((value, side) in known for side, value in SIDES.items())
    names = {name for _, group in GROUPS for name in group}
    assert set(OTHER_WORDS.values()) <= names and not names & set(OTHER_WORDS)


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("Liver", "Liver", None),
        ("kidney_left", "Kidney", "Left"),
        ("right-kidney", "Kidney", "Right"),
        ("left ventricle", "Left ventricle", None),
        ("LEFT_ATRIUM", "Left atrium", None),
        ("gall bladder", "Gallbladder", None),
        ("tumour", "Neoplasm", None),
    ],
)
def test_names_in_any_spelling(name: str, meaning: str, side: str | None) -> None:
    found = segment_code(name)
    assert found.known and found.type.meaning == meaning and (found.side.meaning if found.side else None) == side
    assert found.category.meaning == ("Morphologically Abnormal Structure" if name == "tumour" else "Anatomical Structure")
    assert set(ABNORMALITIES).isdisjoint(STRUCTURES)


@pytest.mark.parametrize("name", ["LV", "class 3", "left", "", "肝"])
def test_an_unknown_name_has_the_stated_default(name: str) -> None:
    assert segment_code(name) == DEFAULT and not DEFAULT.known
    assert DEFAULT.category == DEFAULT.type == Code("85756007", "Tissue", "SCT")


def test_a_code_of_the_users_goes_before_the_table() -> None:
    own = {"liver": {"value": "1", "scheme": "99X", "meaning": "Mine", "category": {"value": "85756007", "meaning": "Tissue"}}}
    found = segment_code("liver", own)
    assert (found.type, found.category) == (Code("1", "Mine", "99X"), Code("85756007", "Tissue"))
    assert segment_code("spleen", own) == segment_code("spleen")


def test_codes_of_dataset_json_are_held_to_their_schema_and_reach_the_card(nifti_set: Any) -> None:
    root: Path = nifti_set()
    build(root, root)
    schema = json.loads((Path(data_prep.__file__).parent / "schemas/dataset.schema.json").read_text())
    assert schema["properties"]["codes"] == CODES_SCHEMA
    content = json.loads((root / "dataset.json").read_text())
    content["codes"] = {"liver": {"value": "10200004", "scheme": "SCT", "meaning": "Liver"}}
    (root / "dataset.json").write_text(json.dumps(content))
    assert make_card({}, read_dataset(root), {}, {})["codes"] == content["codes"]
    content["codes"]["liver"]["value"] = 10200004
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"\$.codes.liver.value: saw 10200004; expected a code of 1 to 16 letters and digits"):
        read_dataset(root)


@pytest.mark.parametrize("directions", [((1, 0, 0), (0, 1, 0)), SAGITTAL, CORONAL, oblique(35)])
def test_simpleitk_finds_the_segment_where_it_lies(directions: Directions, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    source = write_series(tmp_path / "in", directions=directions, order=[4, 2, 0, 1, 3])
    (series,) = find_series(tmp_path / "in")
    mask = np.zeros(series.shape, np.uint8)
    mask[2, 3, 1], mask[2:5, 4, 2], mask[7, 1:9, 3] = 1, 1, 1
    write_seg(mask, series, LIVER, MADE, tmp_path / "x.dcm")
    image = sitk.ReadImage(str(tmp_path / "x.dcm"))
    found = {
        tuple(np.round(image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]]), 3))
        for index in np.argwhere(sitk.GetArrayFromImage(image))
    }
    places = np.argwhere(mask) @ source.affine[:3, :3].T + source.affine[:3, 3]
    assert {tuple(np.round(place * [-1, -1, 1], 3)) for place in places} == found
    np.testing.assert_array_equal(voxels(tmp_path / "x.dcm", series.shape, source.affine), mask)
    assert complaints(tmp_path / "x.dcm") == [] and is_own_seg(tmp_path / "x.dcm") and not is_own_seg(source.files[0])


def test_more_segments_than_a_byte_holds_and_long_names(tmp_path: Path) -> None:
    source = write_series(tmp_path / "in")
    (series,) = find_series(tmp_path / "in")
    mask = np.arange(np.prod(series.shape)).reshape(series.shape) % 301
    write_seg(mask, series, [(f"a\\b {'n' * 99} é肝 {i}", DEFAULT) for i in range(300)], MADE, tmp_path / "x.dcm")
    np.testing.assert_array_equal(voxels(tmp_path / "x.dcm", series.shape, source.affine), mask)
    assert complaints(tmp_path / "x.dcm") == []


def test_a_mask_of_another_grid_or_label_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "in")
    (series,) = find_series(tmp_path / "in")
    with pytest.raises(DataError, match=r"the mask has the grid \(12, 10, 5\), expected the series', \(10, 12, 5\)"):
        write_seg(np.zeros((12, 10, 5), int), series, LIVER, MADE, tmp_path / "x.dcm")
    with pytest.raises(DataError, match="the mask holds 2, expected 0 to 1"):
        write_seg(np.full(series.shape, 2), series, LIVER, MADE, tmp_path / "x.dcm")
    assert not (tmp_path / "x.dcm").exists()
    assert write_seg(np.ones(series.shape, int), series, LIVER, MADE, tmp_path / "x.dcm").is_file()
