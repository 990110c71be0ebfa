"""The lines that tell how far a prediction is: few of them, and always the last."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from data_prep.slices import line
from monai_hybrid.dicom_border import dicom_cases
from monai_hybrid.errors import DataError
from monai_hybrid.prediction.cases import PredictionDataset, inspect
from monai_hybrid.prediction.engine import Predictor
from monai_hybrid.prediction.reasons import by_reason


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ([("a", "in/a.png: it is 2D.")], ["a: in/a.png: it is 2D."]),
        ([("a", "a.png: 2 x 3 pixels"), ("b", "b.png: 7 x 9 pixels")], ["2 cases (a, b): a.png: 2 x 3 pixels"]),
        ([("a", "x: cut"), ("b", "in/b.nii: 2D"), ("c", "in/c.nii: 2D")], ["2 cases (b, c): in/b.nii: 2D", "a: x: cut"]),
        ([(f"c{number}", "D109 error: no") for number in range(9)], ["9 cases (c0, c1, c2 and 6 more): D109 error: no"]),
        ([(x, x * 2) for x in "abcdefg"], ["a: aa", "b: bb", "c: cc", "d: dd", "e: ee", "and 2 cases for other reasons"]),
        ([], []),
    ],
    ids=["one", "all alike", "most alike", "many", "none alike", "none"],
)
def test_each_reason_is_told_once_with_its_cases(reasons: list[tuple[str, str]], said: list[str]) -> None:
    assert by_reason(reasons) == said


def test_a_failure_like_an_earlier_one_is_told_as_that(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.__new__(Predictor)
    predictor.counts, predictor.bar = {"done": 0, "skipped": 0, "failed": 0}, None
    predictor.state = SimpleNamespace(metrics={}, epoch_length=4)
    table: Any = SimpleNamespace(add_failure=lambda *_: None)
    predictor.table, predictor.reasons, predictor.kinds = table, [], {}
    remedy = ". For several channels use another layout"
    for case, why in (("a", "D109 error: a.nii: 4 axes"), ("b", "D109 error: b.nii: 5 axes"), ("c", "D003 error: c.nii: cut")):
        predictor._failed(case, why + remedy)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "1/4 a: failed: D109 error: a.nii: 4 axes",
        "2/4 b: failed: as a",
        "3/4 c: failed: D003 error: c.nii: cut",
    ]
    assert by_reason(predictor.reasons)[0] == f"2 cases (a, b): D109 error: a.nii: 4 axes{remedy}"


def test_the_last_line_is_no_tick(caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.__new__(Predictor)
    predictor.counts, predictor.bar = {"done": 0, "skipped": 0, "failed": 0}, None
    predictor.state = SimpleNamespace(metrics={}, epoch_length=3)
    with caplog.at_level("INFO", logger="monai_hybrid.predict"):
        for case, what in (("a", "done"), ("b", "skipped"), ("c", "done")):
            predictor._told(case, what, "1.0 s")
    assert [record.getMessage() for record in caplog.records][-1] == "3/3 c: done: 1.0 s"
    assert [getattr(record, "tick", False) for record in caplog.records] == [True, True, False]


def test_other_axes_are_told_before_channels(tmp_path: Path) -> None:
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(8, 12)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"that is 2D; the model was trained on 3D images: use a 2D model"):
        inspect(str(tmp_path / "a.png"), channels=2, dims=3)


def test_a_2d_model_says_how_volumes_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "p1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), np.eye(4)), file)
    with pytest.raises(DataError) as refused:
        inspect(str(file), channels=1, dims=2)
    assert str(refused.value).endswith(f"use a 3D model, or cut the volumes into slices: {line(tmp_path)}")
    with pytest.raises(DataError) as refused:
        inspect(str(file), channels=1, dims=2, scans="my export")
    assert str(refused.value).endswith(f"cut the volumes into slices: {line('my export')}")


def test_a_2d_model_says_how_dicom_series_are_cut(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    from dicom_files import write_series

    write_series(tmp_path / "export/a")
    table: Any = SimpleNamespace(
        made_from=lambda case: "", said=lambda *_: {}, is_done=lambda *_: False, fitting=lambda *_: [], model="m",
        made_with=lambda *_: "",
    )  # fmt: skip
    cases = dicom_cases(tmp_path / "export", tmp_path / "masks")
    card = {"labels": [{"value": 1}], "channels": ["image"], "spatial_dims": 2}
    failure = PredictionDataset(cases, lambda case: case, table, card)[0]["failure"]
    assert failure.endswith(f"use a 3D model, or cut the volumes into slices: {line(tmp_path / 'export')}")


@pytest.mark.parametrize("of_user", [True, False])
def test_a_scan_that_a_repair_can_mend_comes_with_its_folder(
    of_user: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so for files that stand for series of DICOM, which nobody can type."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    values = np.random.default_rng(0).normal(size=(8, 9, 10, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "scans/a.nii.gz")
    (tmp_path / "scans/b.nii.gz").write_bytes(gzip.decompress((tmp_path / "scans/a.nii.gz").read_bytes()))
    for name in ("a.nii.gz", "b.nii.gz"):
        with pytest.raises(DataError) as raised:
            inspect(str(Path("scans") / name), 1, 3, scans=None if of_user else "export")
        typed = "repair scans --output scans_repaired" if of_user else "repair FOLDER --output OUT"
        assert typed in str(raised.value)
