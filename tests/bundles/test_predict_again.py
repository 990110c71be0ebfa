"""A second prediction into the same folder: masks that can stay do, and nothing beside a new mask is of an old one."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from prediction_runs import predict, threshold_model, visible

from monai_hybrid.prediction import earlier
from monai_hybrid.prediction.earlier import remove_outdated, told, with_extras
from monai_hybrid.prediction.statistics import forget

MASK = "a_seg.nii.gz"


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "in").mkdir()
    values = np.random.default_rng(0).integers(0, 900, (12, 12, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([-2.0, -1.0, 1.5, 1.0])), tmp_path / "in/a.nii.gz")
    return threshold_model(tmp_path / "model") | {
        "input": tmp_path / "in", "output_dir": tmp_path / "out", "denoising_score": False,
    }  # fmt: skip


def test_masks_stay_where_less_is_asked_for_and_lose_what_fits_them_no_more(
    given: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    assert predict(**given, statistics=True, preview=True) is None
    whole = visible(out)
    before = (out / MASK).stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "monai_hybrid.predict"):
        assert predict(**given) is None
    assert (out / MASK).stat().st_mtime_ns == before and visible(out) == whole
    assert "finished masks stay, with what --statistics True and --preview True of an earlier run left" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO, "monai_hybrid.predict"):
        assert predict(**given, save_entropy=True) is None
    said = "finished images are predicted anew, because --save_entropy True was not given when they were made; "
    assert said + "what --statistics True and --preview True left of them stays" in caplog.text
    assert visible(out) == sorted([*whole, "a_entropy.nii.gz"])
    caplog.clear()
    before = (out / MASK).stat().st_mtime_ns
    assert predict(**given, statistics=True, save_entropy=True) is None
    assert (out / MASK).stat().st_mtime_ns == before, "all of it is there"
    caplog.clear()
    with caplog.at_level(logging.INFO, "monai_hybrid.predict"):
        assert predict(**given, overlap=0.25) is None
    assert caplog.text.count("finished images are predicted anew") == 1
    assert visible(out) == [MASK, "quality.csv"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "monai_hybrid.predict"):
        assert predict(**given, overlap=0.25) is None
    assert "finished masks" not in caplog.text and "anew" not in caplog.text, "the same command says nothing of it"


def test_every_choice_of_what_lies_beside_is_known_as_it_would_be_asked_for() -> None:
    now = {"overlap": 0.5, "preview": True, "save_entropy": False, "save_probabilities": False}
    known = with_extras(now)
    assert known[frozenset({"preview"})] == now
    assert known[frozenset()] == {"overlap": 0.5, "save_entropy": False, "save_probabilities": False}
    assert known[frozenset({"save_entropy", "statistics"})] == {**known[frozenset()], "save_entropy": True, "statistics": True}
    assert len(known) == 32


def test_a_setting_that_differs_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"command": "c", "versions": {"monai_hybrid": "1"}, "settings": {"overlap": "0.25", "device": "cpu"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    asked = frozenset({"preview"})
    monkeypatch.setattr(earlier.sys, "argv", ["bundle/__main__.py", "run", "--overlap", "0.5", "--preview", "True"])
    said = told(None, asked, tmp_path, {"overlap", "preview"})
    assert said.startswith("finished images are predicted anew, because --overlap was 0.25 and is 0.5; ")
    monkeypatch.setattr(earlier.sys, "argv", ["bundle/__main__.py", "run", "--overlap", "0.25"])
    assert "because their masks follow from other images or settings" in told(None, asked, tmp_path, {"overlap", "preview"})


def test_files_of_others_and_of_other_cases_stay(tmp_path: Path) -> None:
    (tmp_path / "a_preview.png").write_bytes(b"a picture of somebody's")
    cases = {name: {"unit": "ml", "structures": {"grey": {"voxels": 1}}} for name in "ab"}
    content = {"written_by": "monai_hybrid", "channels": ["image"], "cases": cases}
    (tmp_path / "statistics.json").write_text(json.dumps(content))
    (tmp_path / "statistics.csv").write_text("case_id,structure,voxels\na,grey,1\nb,grey,1\n")
    remove_outdated(tmp_path, {"case_id": "a", "pred_file": str(tmp_path / MASK)}, {"statistics"})
    assert (tmp_path / "a_preview.png").is_file() and ",grey" in (tmp_path / "statistics.csv").read_text()
    remove_outdated(tmp_path, {"case_id": "a", "pred_file": str(tmp_path / MASK)}, set())
    assert (tmp_path / "statistics.csv").read_text().splitlines() == ["case_id,structure,voxels", "b,grey,1"]
    forget(tmp_path, "b")
    assert visible(tmp_path) == ["a_preview.png"], "a table of no case is none"
