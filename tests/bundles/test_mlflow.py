"""MONAI's own `--tracking mlflow` on training, adaptation, evaluation and prediction: curves, scores and configuration arrive.

MLflow needs packages of its own: the environment's Python is given in MLFLOW_PYTHON; nothing is installed here.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import ROOT, TINY, environment

PYTHON = os.environ.get("MLFLOW_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="MLFLOW_PYTHON names no Python with mlflow; see docs/how-to/mlflow.md"),
]
ASK = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient("sqlite:///" + sys.argv[1] + "/mlruns.db")
found = client.search_runs([one.experiment_id for one in client.search_experiments()])
print(json.dumps([{
    "name": run.info.run_name, "status": run.info.status, "metrics": run.data.metrics,
    "losses": [m.value for m in client.get_metric_history(run.info.run_id, "train_loss")],
    "files": [file.path for file in client.list_artifacts(run.info.run_id)],
} for run in found]))
"""


def python(*words: object, cwd: Path = ROOT) -> str:
    given = {**environment(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [PYTHON, "-W", "ignore", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def run(config: str, **settings: object) -> None:
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    python("-m", "monai.bundle", "run", "--config_file", f"bundles/{config}", "--tracking", "mlflow", *words)


def tracked(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(python("-c", ASK, folder)))


def test_monais_own_command_tracks_every_configuration(prepared: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    run("hybrid_pretrain/configs/train.json", dataset_dir=prepared, output_dir=source, **TINY)
    (first,) = tracked(source)
    structures = {"val_dice_cortex", "val_dice_nucleus", "val_dice_ventricle"}
    assert first["status"] == "FINISHED" and len(first["losses"]) == 2
    assert structures | {"val_mean_dice", "train_loss", "lr_group_0"} == first["metrics"].keys()

    model = source / "models/model.pt"
    few = {"pretrained": model, "shots": 3, "stopping": "leave_one_out", **TINY, "patch_size": "[16,16,16]"}
    config = target / "logs/config.json"
    run(
        "few_shot_finetune/configs/train.json",
        dataset_dir=prepared, output_dir=target, run_name="three", save_execute_config=config, **few,
    )  # fmt: skip
    (tuned,) = tracked(target)
    assert tuned["name"] == "three" and tuned["files"] == ["config.json"] and len(tuned["losses"]) == 2  # no fold's

    use = {"model": target / "models/model.pt", "dataset_dir": prepared}
    run("few_shot_finetune/configs/evaluate.json", output_dir=tmp_path / "eval", **use)
    (scored,) = tracked(tmp_path / "eval")
    summary = json.loads((tmp_path / "eval/summary.json").read_text())
    assert scored["metrics"]["val_mean_dice"] == pytest.approx(summary["dice"]["all"]["mean"])
    assert structures | {"val_mean_dice"} == scored["metrics"].keys()

    run("few_shot_finetune/configs/inference.json", output_dir=tmp_path / "masks", **use)
    (used,) = tracked(tmp_path / "masks")
    assert used["metrics"] == {"cases_done": len(list((tmp_path / "masks").glob("*_seg.nii.gz")))}


def test_the_command_line_keeps_the_store_in_the_runs_folder_and_a_refused_run_leaves_nothing(
    prepared: Path, tmp_path: Path
) -> None:
    start = ["-c", "from monai_hybrid.cli import main; main()", "pretrain", "--data", prepared, "--output", tmp_path / "run"]
    short = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    words = [*start, *short, "--tracking", "mlflow"]
    python(*words)
    (first,) = tracked(tmp_path / "run")
    assert first["files"] == ["config.json"]
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*") if file.is_file()}
    with pytest.raises(AssertionError, match="holds a finished run"):
        python(*words)
    after = {file: file.stat().st_mtime_ns for file in (tmp_path / "run").rglob("*") if file.is_file()}
    moved = {file.name for file in after if after[file] != before.get(file)}
    assert moved <= {".run.lock", ".run.json"}
