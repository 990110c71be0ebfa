"""`monai-hybrid distil`, as a user runs it: a student of phantom A's model, used like any other model."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_runs import TINY
from command_line import printed
from PIL import Image

import monai_hybrid
from data_prep.build import build
from monai_hybrid.exporting import export_model
from monai_hybrid.weights import checksum, load_weights, read_card

SHORT = {name: TINY[name] for name in ("max_epochs", "updates_per_epoch", "batch_size", "progress_bar")}


def words(**settings: object) -> list[object]:
    return [word for name, value in {**SHORT, **settings}.items() for word in (f"--{name}", value)]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory, prepared: Path, trained: Path) -> Path:
    """The output folder of a very short distillation: three labelled patients, the rest without labels, two drawn images."""
    folder = tmp_path_factory.mktemp("student")
    given = ["--data", prepared, "--model", trained, "--output", folder, "--student-width", 8, "--sampled-pairs", 2]
    printed("distil", *given, *words(shots=3))
    return folder


@pytest.mark.long
def test_the_card_names_the_teacher(student: Path, trained: Path) -> None:
    card = read_card(student / "models/model.safetensors")
    assert card is not None
    training, teacher = card["training"], trained / "models/model.safetensors"
    assert training["objective"] == "distilled" and training["sampled_pairs"] == 2
    assert training["distilled_from"] == {"model": str(teacher), "sha256": checksum(load_weights(teacher))}
    assert card["network"]["stem"] == "space_to_depth" and card["network"]["channels"] == [8, 16, 16]
    assert training["unlabelled_cases"] > 0 and training["spacing"] == [4, 4, 4], "the plan is the teacher's"
    assert "Distilled from" in (student / "report.html").read_text()
    assert len(list((student / "data/sampled").glob("*_image.nii.gz"))) == 2


@pytest.mark.long
def test_it_segments_without_a_denoising_error(student: Path, prepared: Path, tmp_path: Path) -> None:
    printed("predict", prepared, "--model", student, "--output", tmp_path)
    with (tmp_path / "quality.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows and all(row["status"] == "done" and row["denoising_error"] == "-" for row in rows)


@pytest.mark.long
def test_it_draws_no_pairs(student: Path, tmp_path: Path) -> None:
    said = printed("sample", "--model", student, "--output", tmp_path / "pairs", expected=2)
    assert "sample: " in said and "was distilled, and never saw noise or learnt to denoise" in said


@pytest.mark.long
def test_it_is_exported(student: Path, tmp_path: Path) -> None:
    told = export_model(student / "models/model.safetensors", tmp_path / "small.ts")
    assert told["inference"]["window"] == [16, 16, 16] and (tmp_path / "small.ts").is_file()


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(prepared: Path, trained: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    given = ["--data", prepared, "--model", trained, "--student-width", 8, "--sampled-pairs", 2, *words(shots=3, max_epochs=2)]
    printed("distil", *given, "--output", whole)
    shutil.copytree(whole, parts)
    shutil.rmtree(parts / "models")
    (parts / "checkpoints/update_00000004.pt").unlink()  # as if it had been stopped after the first epoch
    shutil.rmtree(parts / "data/sampled")  # drawn anew, after the checkpoint was asked
    printed("distil", *given, "--output", parts, "--resume", "True")
    one, other = (checksum(load_weights(folder / "models/model.pt")) for folder in (whole, parts))
    assert one == other
    more = ["--data", prepared, "--model", whole, "--output", tmp_path / "more", "--objective", "hybrid"]
    said = printed("adapt", *more, *words(shots=1), expected=2)
    assert "--objective hybrid: " in said and "was distilled" in said and not (tmp_path / "more/models").exists()


@pytest.mark.long
def test_a_refined_student_predicts_and_is_exported(prepared: Path, trained: Path, tmp_path: Path) -> None:
    given = ["--data", prepared, "--model", trained, "--student-width", 8, "--student-grid", "refined", *words()]
    printed("distil", *given, "--output", tmp_path / "small")
    card = read_card(tmp_path / "small/models/model.safetensors")
    assert card is not None and (card["network"]["stem"], card["network"]["refinement"]) == ("space_to_depth", 8)
    assert load_weights(tmp_path / "small/models/model.pt")["out.refine.rows.conv.weight"].any(), "it has learnt"
    printed("predict", prepared, "--model", tmp_path / "small", "--output", tmp_path / "masks")
    for kind in ("ts", "onnx"):
        export_model(tmp_path / "small/models/model.safetensors", tmp_path / f"small.{kind}")


@pytest.mark.slow
def test_in_python_and_on_colour_pictures(tmp_path: Path) -> None:
    for seed in range(6):
        rgb, mask = np.random.default_rng(seed).integers(0, 120, (32, 32, 3)).astype(np.uint8), np.zeros((32, 32), np.uint8)
        mask[6:14, 4:12] = 1
        rgb[mask > 0] = (250, 200, 160)
        for name, array in (("images", rgb), ("labels", mask)):
            (tmp_path / "raw" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / f"raw/{name}/case{seed}.png")
    build(tmp_path / "raw", tmp_path / "data", budget="cpu")
    short = {**SHORT, "patch_size": [32, 32]}
    source = monai_hybrid.pretrain(tmp_path / "data", tmp_path / "source", picture_interval=0, **short)
    small = monai_hybrid.distil(tmp_path / "data", source, tmp_path / "small", sampled_pairs=2, **short)
    network = monai_hybrid.load_model(small)
    assert network.stem == "space_to_depth" and network(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)
    rows = monai_hybrid.predict(tmp_path / "raw/images", small / "models/model.safetensors", tmp_path / "masks")
    assert len(rows) == 6 and all(row["status"] == "done" for row in rows)
