"""The files of an evaluation: what is missed, invented or absent stays visible in every number."""

from __future__ import annotations

import json
import logging
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from made_cases import NAMES, box, evaluate, with_spacing
from monai.data import MetaTensor
from monai.metrics import HausdorffDistanceMetric
from torch import Tensor

from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.evaluation import EvaluationReport
from monai_hybrid.evaluation.case_table import COLUMNS, read_cases
from monai_hybrid.evaluation.metrics import score_case
from monai_hybrid.evaluation.report import shown
from monai_hybrid.evaluation.summary import summarize

SHAPE = (16, 16, 16)
DIAGONAL = 16 * math.sqrt(3)


def organ(*classes: int) -> Tensor:
    """(1, X, Y, Z) with a box of 4^3 for each class named."""
    values = torch.zeros(SHAPE, dtype=torch.int64)
    for index in classes:
        values[box(SHAPE, (1, 1, 7 * index - 6), (4, 4, 4))] = index
    return values[None]


CASES = {
    "both": (organ(1, 2), organ(1, 2)),
    "spleen_missed": (organ(1), organ(1, 2)),
    "spleen_invented": (organ(1, 2), organ(1)),
    "no_spleen": (organ(1), organ(1)),
    "nothing": (organ(), organ()),
}


def summary_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return content


def test_one_missed_structure_of_ten_shows(tmp_path: Path) -> None:
    """Nine perfect cases and a miss: MONAI's mean HD95 is 0, as for ten perfect ones; ours is a tenth of the diagonal."""
    cases = {f"case_{i}": (organ(1), organ(1)) for i in range(9)} | {"missed": (organ(), organ(1))}
    evaluate(tmp_path, cases, names=NAMES[:2])
    metric = HausdorffDistanceMetric(include_background=False, percentile=95)
    for pred, label in cases.values():
        metric(*(torch.nn.functional.one_hot(x, 2).movedim(-1, 1).float() for x in (pred, label)))
    assert metric.aggregate().item() == 0
    summary = summary_of(tmp_path)
    assert summary["hd95"]["liver"]["mean"] == pytest.approx(DIAGONAL / 10)
    assert summary["hd95"]["liver"]["mean_ok"] == 0
    assert summary["dice"]["liver"]["mean"] == summary["nsd"]["liver"]["mean"] == 0.9
    assert summary["dice"]["liver"]["min"] == 0 and summary["dice"]["liver"]["median"] == 1
    counts = {key: summary["hd95"]["liver"][key] for key in ("cases", "n", "undefined", "missed", "invented")}
    assert counts == {"cases": 10, "n": 10, "undefined": 0, "missed": 1, "invented": 0}


def test_missed_invented_and_absent_are_told_apart(tmp_path: Path) -> None:
    evaluate(tmp_path, CASES)
    rows = {(row["case_id"], row["class"]): row for row in read_cases(tmp_path)}
    spleen = {case: rows[case, "spleen"] for case in CASES}
    assert [row["status"] for row in spleen.values()] == ["ok", "missed", "invented", "absent", "absent"]
    assert [row["dice"] for row in spleen.values()] == [row["nsd"] for row in spleen.values()] == [1, 0, 0, None, None]
    assert spleen["spleen_invented"]["hd95"] == spleen["spleen_missed"]["hd95"] == pytest.approx(DIAGONAL, abs=1e-5)
    dice = summary_of(tmp_path)["dice"]
    assert dice["spleen"]["mean"] == pytest.approx(1 / 3) and dice["spleen"]["mean_ok"] == 1
    assert {k: dice["spleen"][k] for k in ("cases", "n", "undefined", "missed", "invented")} == {
        "cases": 5, "n": 3, "undefined": 2, "missed": 1, "invented": 1,
    }  # fmt: skip
    # all: 1, (1 + 0) / 2, (1 + 0) / 2, 1 (liver only); "nothing" has no class at all.
    assert dice["all"]["mean"] == pytest.approx(3 / 4)
    assert (dice["all"]["cases"], dice["all"]["n"], dice["all"]["undefined"], dice["all"]["missed"]) == (5, 4, 1, 1)


def test_the_summary_is_a_recomputation_from_the_table(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = {f"c{i}": tuple(torch.randint(0, 3, (1, 6, 6, 6), generator=generator) for _ in range(2)) for i in range(7)}
    cases = {name: (pred, label * (name != "c3")) for name, (pred, label) in pairs.items()}
    evaluate(tmp_path, cases, about={"model": "m.pt", "dataset": "made", "split": "testing", "training": None})
    rows, summary = read_cases(tmp_path), summary_of(tmp_path)
    assert {key: summary[key] for key in ("dice", "nsd", "hd95")} == json.loads(json.dumps(summarize(rows)))
    for metric in ("dice", "nsd", "hd95"):
        values = [row[metric] for row in rows if row["class"] == "spleen"]
        of = summary[metric]["spleen"]
        assert of["mean"] == pytest.approx(statistics.fmean(values)) and of["sd"] == pytest.approx(statistics.stdev(values))
        assert of["interval"][0] <= of["mean"] <= of["interval"][1]
    assert summary["dataset"] == "made" and summary["unit"] == "voxels" and summary["nsd_tolerance"] == 2
    assert (tmp_path / "cases.csv").read_text().splitlines()[0] == ",".join(COLUMNS) and set(rows[0]) == set(COLUMNS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cases.csv", "summary.json"]


def test_the_interval_is_over_patients_and_both_are_counted(tmp_path: Path) -> None:
    """Five slices of each of four patients, one of whom is always missed."""
    patients = {f"p{i}_{k}": f"p{i}" for i in range(4) for k in range(5)}
    cases = {name: (organ(1) if patient != "p3" else organ(), organ(1)) for name, patient in patients.items()}
    evaluate(tmp_path / "a", cases, names=NAMES[:2], patients=patients)
    evaluate(tmp_path / "b", cases, names=NAMES[:2])
    by_patient, by_case = summary_of(tmp_path / "a"), summary_of(tmp_path / "b")
    assert {row["patient"] for row in read_cases(tmp_path / "a")} == {"p0", "p1", "p2", "p3"}
    assert all(row["patient"] == row["case_id"] for row in read_cases(tmp_path / "b"))
    assert (by_patient["cases"], by_patient["patients"], by_case["cases"], by_case["patients"]) == (20, 4, 20, 20)
    assert by_patient["dice"]["liver"]["mean"] == by_case["dice"]["liver"]["mean"] == 0.75
    assert (by_patient["dice"]["all"]["n"], by_patient["dice"]["all"]["patients"]) == (20, 4)
    assert by_patient["dice"]["liver"]["interval"] == [0.25, 1.0]
    assert by_case["dice"]["liver"]["interval"][0] >= 0.5
    assert by_patient["interval"]["method"] == "percentile bootstrap over patients"


def test_every_row_is_the_score_of_its_case(tmp_path: Path) -> None:
    evaluate(tmp_path, CASES)
    for row in read_cases(tmp_path):
        pred, label = CASES[row["case_id"]]
        score = score_case(pred, label, 3, (1, 1, 1), 2.0)[NAMES.index(row["class"]) - 1]
        assert (row["status"], row["label_voxels"], row["pred_voxels"]) == (score.status, score.label_voxels, score.pred_voxels)
        assert (row["dice"], row["nsd"]) == (score.dice, score.nsd)
        assert row["hd95"] == pytest.approx(score.hd95, abs=1e-5)


def test_millimetres_and_millilitres_come_from_the_affine(tmp_path: Path) -> None:
    spacing = (0.5, 1.0, 3.0)
    label, pred = organ(1), organ(1).roll(1, dims=3)
    evaluate(tmp_path, {"a": (with_spacing(pred, spacing), with_spacing(label, spacing))}, unit="mm", nsd_tolerance=1.0)
    row = read_cases(tmp_path)[0]
    assert row["hd95"] == pytest.approx(3.0) and row["label_ml"] == row["pred_ml"] == pytest.approx(64 * 1.5 / 1000)
    assert summary_of(tmp_path)["unit"] == "mm"
    evaluate(tmp_path, {"a": (with_spacing(pred, spacing), with_spacing(label, spacing))}, unit="voxels", nsd_tolerance=1.0)
    row = read_cases(tmp_path)[0]
    assert row["hd95"] == 1 and row["label_ml"] is None


def test_a_plane_has_millimetres_but_no_volume(tmp_path: Path) -> None:
    plane = with_spacing(organ(1)[..., 2], (0.5, 2.0))
    evaluate(tmp_path, {"a": (plane, plane)}, unit="mm")
    assert read_cases(tmp_path)[0]["label_ml"] is None and read_cases(tmp_path)[0]["label_voxels"] == 16


def test_a_lost_affine_is_refused_and_only_where_it_matters(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="case both: the prediction has lost its affine, so lengths in mm are unknown"):
        evaluate(tmp_path, CASES, unit="mm")
    evaluate(tmp_path, CASES, unit="voxels")
    evaluate(tmp_path, {k: (MetaTensor(p), y) for k, (p, y) in CASES.items()}, unit="mm")


def test_nan_names_its_case_and_writes_nothing(tmp_path: Path) -> None:
    bad = organ(1).float()
    bad[0, 3, 3, 3] = math.nan
    with pytest.raises(DataError, match="case bad: the prediction holds NaN or Inf"):
        evaluate(tmp_path, {"good": (organ(1).float(), organ(1)), "bad": (bad, organ(1))})
    assert list(tmp_path.iterdir()) == []
    evaluate(tmp_path, {"good": (organ(1).float(), organ(1))})


def test_the_log_says_what_is_not_in_the_mean(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="monai_hybrid.evaluation"):
        evaluate(tmp_path, CASES)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("monai_hybrid")]
    assert [line.split(":")[0] for line in lines] == ["all", "liver", "spleen"]
    interval = summary_of(tmp_path)["dice"]["spleen"]["interval"]
    assert f"spleen: Dice 0.333 [{interval[0]:.3f}, {interval[1]:.3f}], NSD at 2 voxels 0.333" in lines[2]
    assert lines[2].endswith("3 of 5 cases (3 patients) in the mean, 2 undefined, 1 missed, 1 invented")


@pytest.mark.parametrize(("rows", "expected"), [(["all", "liver"], ["liver"]), (["all", "liver", "spleen"], None), ([], None)])
def test_of_one_structure_there_is_one_row(rows: list[str], expected: list[str] | None) -> None:
    assert shown({row: {} for row in rows}) == (rows if expected is None else expected)


def test_a_class_that_no_case_has_is_undefined(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="monai_hybrid.evaluation"):
        evaluate(tmp_path, {"a": (organ(1), organ(1))})
    of = summary_of(tmp_path)["dice"]["spleen"]
    assert (of["mean"], of["interval"], of["sd"], of["n"], of["undefined"]) == (None, None, None, 0, 1)
    assert "spleen: Dice undefined, NSD at 2 voxels undefined, HD95 undefined; 0 of 1 cases (0 patients)" in caplog.text
    assert summary_of(tmp_path)["dice"]["liver"]["sd"] is None  # one case has no spread


def test_a_second_run_starts_anew_and_the_batch_size_does_not_matter(tmp_path: Path) -> None:
    written = []
    for batch_size in (1, 3):
        evaluate(tmp_path, CASES, batch_size)
        written.append((tmp_path / "cases.csv").read_bytes())
    assert written[0] == written[1]
    report = evaluate(tmp_path, {"both": CASES["both"]})
    assert {row["case_id"] for row in report.rows} == {"both"}


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_no_length_is_refused(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(ConfigError, match=rf"nsd_tolerance: got {tolerance}, expected a length in mm, 0 or more"):
        EvaluationReport(str(tmp_path), NAMES, tolerance, "mm", {})
    EvaluationReport(str(tmp_path), NAMES, 0, "mm", {})


def test_the_page_shows_the_numbers_of_the_example() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/evaluation.md").read_text(encoding="utf-8")
    assert f"| HD95 | 0.0 | {DIAGONAL / 10:.2f} voxels (16 sqrt(3) / 10) | 0.0 |" in page
    assert "-k one_missed_structure_of_ten" in page and "`" + ", ".join(COLUMNS) + "`" in page
