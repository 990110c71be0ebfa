"""A model of one hospital's labels starts the training on another's, with one setting."""

from __future__ import annotations

import json
from pathlib import Path

from bundle_runs import TINY, run_bundle

TRAIN = "bundles/hybrid_pretrain/configs/train.json"
OTHER = {"cortex": "Nucleus", "nucleus": "vent", "ventricle": "lesion"}


def test_pretrained_weights_follow_the_names_of_the_labels(prepared: Path, trained: Path, tmp_path: Path) -> None:
    """The second data set has the same cases, with nucleus in another row, ventricle renamed and cortex gone."""
    other = renamed(prepared, tmp_path / "other")
    settings = {**TINY, "updates_per_epoch": 1, "dataset_dir": other, "output_dir": tmp_path / "out"}
    done = run_bundle(TRAIN, pretrained=trained, label_map="{'vent': 'ventricle', 'lesion': None}", **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads((tmp_path / "out/logs/transfer.json").read_text())
    assert report["source"] == str(trained / "models/model.safetensors"), "the model of the run's folder"
    assert [(row["label"], row["source"], row["row"]) for row in report["labels"]] == [
        ("background", "background", 0),
        ("Nucleus", "nucleus", 2),
        ("vent", "ventricle", 3),
        ("lesion", None, None),
    ]
    assert report["counts"]["adapted"] == 2 and report["dropped_labels"] == ["cortex"] and report["share"] > 0.99
    assert (tmp_path / "out/logs/transfer.txt").read_text().strip() in done.stdout
    assert (tmp_path / "out/models/model.pt").is_file()


def test_a_foreign_model_ends_in_one_line_before_training(prepared: Path, trained: Path, tmp_path: Path) -> None:
    wider = tmp_path / "wider"
    plan = json.loads((renamed(prepared, wider) / "plan.json").read_text())
    plan["network"]["channels"] = [16, 32, 96]
    (wider / "plan.json").write_text(json.dumps(plan))
    settings = {**TINY, "dataset_dir": wider, "output_dir": tmp_path / "out"}
    done = run_bundle(TRAIN, pretrained=trained / "models/model.safetensors", **settings)
    assert done.returncode == 4 and "Traceback" not in done.stderr
    assert "tensors of the body have another shape: " in done.stderr and "--allow_partial True" in done.stderr
    assert not (tmp_path / "out/models").exists()


def renamed(prepared: Path, folder: Path) -> Path:
    """The prepared data set with other label names, its paths made absolute."""
    folder.mkdir()
    datalist, dataset = (json.loads((prepared / name).read_text()) for name in ("datalist.json", "dataset.json"))
    for split in ("training", "validation", "testing"):
        for case in datalist[split]:
            case["image"], case["label"] = (str((prepared.resolve() / case[key]).resolve()) for key in ("image", "label"))
    for label in dataset["labels"][1:]:
        label["name"] = OTHER[label["name"]]
    (folder / "datalist.json").write_text(json.dumps(datalist))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    (folder / "plan.json").write_text((prepared / "plan.json").read_text())
    return folder
