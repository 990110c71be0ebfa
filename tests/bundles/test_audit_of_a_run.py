"""A bundle in whose own folder a training and a prediction have run is still ours; what somebody adds to it is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bundle_runs import BUNDLE, run_bundle

from monai_hybrid.audit.__main__ import audit
from monai_hybrid.bundle_copy import copy_bundle


@pytest.mark.long
def test_what_a_real_run_leaves_is_recognised(trained: Path, prepared: Path, tmp_path: Path) -> None:
    bundle = copy_bundle(tmp_path / "bundle", BUNDLE.name)
    shutil.copytree(trained, bundle, dirs_exist_ok=True)
    settings = {"model": bundle / "models/model.pt", "dataset_dir": prepared, "output_dir": bundle / "eval"}
    done = run_bundle(bundle / "configs/evaluate.json", bundle_root=bundle, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    verdict = audit(bundle)
    assert verdict.like == BUNDLE.name and verdict.findings == [] and verdict.others > 8, verdict.findings
    history = bundle / "logs/history.jsonl"
    history.write_text(history.read_text() + json.dumps({"epoch": 9, "run": ["$print(1)"]}) + "\n")
    (bundle / "eval/slices/hub.py").write_text("print(1)")
    assert {finding.file for finding in audit(bundle).findings} == {"logs/history.jsonl", "eval/slices/hub.py"}
