"""The table of a study, from finished arms of this and of the older file format."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.objectives.report import write_report
from monai_hybrid.evaluation.case_table import write_cases

OLD = "case_id,class,dice,label_voxels,pred_voxels\na,LV,0.5,10,10\nb,LV,1.0,0,0\nc,LV,0.0,4,0\n"


def arm(folder: Path) -> Path:
    """What training leaves, and an empty eval folder."""
    for name in ("eval", "logs"):
        (folder / name).mkdir(parents=True)
    (folder / "eval/summary.json").write_text(json.dumps({"training": {"updates": 100}}))
    (folder / "logs/history.jsonl").write_text(
        json.dumps({"mask_loss_by_t": {"clean": 0.1, "0-500": 0.2, "500-1000": None}}) + "\n"
    )
    (folder / "minutes.json").write_text("1.5")
    return folder / "eval"


def test_arms_of_both_formats_stand_in_one_table(tmp_path: Path) -> None:
    (arm(tmp_path / "hybrid") / "dice.csv").write_text(OLD)
    common = {"class": "LV", "nsd": 0.5, "hd95": 2.0, "pred_voxels": 9}
    scores = (("a", 0.8, 10, "ok"), ("b", None, 0, "absent"), ("c", 0.6, 4, "ok"))
    rows = [{**common, "case_id": n, "dice": d, "label_voxels": v, "status": status} for n, d, v, status in scores]
    rows[1] |= {"nsd": None, "hd95": None, "pred_voxels": 0}
    write_cases(rows, arm(tmp_path / "supervised") / "cases.csv")
    lines = write_report(tmp_path).splitlines()
    assert lines[2] == "| hybrid | 100 | 0.250 ± 0.354 | 0.250 | 0.000 | - | - | 1.5 |"  # b is absent in both: not a 1
    assert lines[3].startswith("| supervised | 100 | 0.700 ± 0.141 | 0.700 | 0.600 | 2.00 | -0.450 [-0.600, -0.300]")
    assert lines[3].endswith("| 1.5 |") and "p =" not in lines[3]  # two pairs are too few for a p
    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda word: 1 / 0)
    assert results["hybrid"]["dice"]["LV"]["undefined"] == 1 and results["supervised"]["hd95"]["LV"]["mean"] == 2
    assert (tmp_path / "dice.png").is_file() and (tmp_path / "mask_loss.png").is_file()
