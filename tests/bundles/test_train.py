"""hybrid_pretrain/train.json, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_runs import BUNDLE, ROOT, TINY, environment, run_bundle
from PIL import Image
from warm import run_code, run_module

from data_prep.files import read_datalist
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.weights import load_weights, read_card

FEW_CASES = """
import runpy
from monai_hybrid.bundle import data

data.PHANTOM_CASES = 6
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
"""
TRAIN = "bundles/hybrid_pretrain/configs/train.json"


def digest(model: Path) -> str:
    """SHA-256 over names and values of all tensors."""
    sha = hashlib.sha256()
    for name, tensor in sorted(load_weights(model).items()):
        sha.update(name.encode() + tensor.numpy().tobytes())
    return sha.hexdigest()


def test_a_run_leaves_weights_card_history_and_pictures(trained: Path) -> None:
    card = read_card(trained / "models/model.safetensors")
    assert card is not None
    assert [label["name"] for label in card["labels"]] == ["background", "cortex", "nucleus", "ventricle"]
    assert card["training"]["objective"] == "hybrid" and card["training"]["updates"] == 2
    assert "2408.03433" in card["citation"][0]
    raw = torch.load(trained / "models/model.pt", weights_only=True)
    assert "out.mask.conv.weight" in raw and raw.keys() == load_weights(trained / "models/model.safetensors").keys()
    record = json.loads((trained / "logs/history.jsonl").read_text().splitlines()[-1])
    assert set(record["val_dice"]) == {"cortex", "nucleus", "ventricle"}
    assert len(record["mask_loss_by_t"]) == 11
    assert Image.open(trained / "logs/pictures.png").size[0] > 200
    assert list((trained / "logs").glob("events.out.tfevents*"))
    run = json.loads((trained / "logs/run.json").read_text())
    assert run["outcome"] == "finished" and f"--output_dir {trained}" in run["command"]


def test_without_a_data_set_the_built_in_phantom_is_used_and_said(tmp_path: Path) -> None:
    (tmp_path / "few_cases.py").write_text(FEW_CASES)  # the phantom is of 36 volumes
    words = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    paths = {**environment(), "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    start = ["run", "--config_file", "configs/train.json", "--output_dir", str(tmp_path)]
    done = run_module("few_cases", [*start, *words], BUNDLE, paths)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "using the built-in phantom, scanner A" in done.stdout
    assert (tmp_path / "data/phantom_A/images").is_dir()
    assert (tmp_path / "models/model.pt").is_file()


@pytest.mark.long
def test_one_seed_gives_identical_weights_with_volumes_on_disk_too_and_another_seed_does_not(
    prepared: Path, trained: Path, tmp_path: Path
) -> None:
    # That the order of Python's sets changes nothing is shown by `test_going_on.py`: a new process, and forks with its weights.
    for seed, more in ((0, {"cache_dir": tmp_path / "volumes"}), (1, {})):
        done = run_bundle(TRAIN, dataset_dir=prepared, output_dir=tmp_path / str(seed), seed=seed, **TINY, **more)
        assert done.returncode == 0, done.stderr[-3000:]
    splits = read_datalist(prepared)
    assert len(list((tmp_path / "volumes").glob("*.pt"))) == len(splits["training"]) + len(splits["validation"])
    assert digest(tmp_path / "0/models/model.pt") == digest(trained / "models/model.pt")
    assert digest(tmp_path / "1/models/model.pt") != digest(trained / "models/model.pt")


def test_a_training_that_saw_no_noise_is_no_denoiser(prepared: Path, tmp_path: Path) -> None:
    done = run_bundle(TRAIN, dataset_dir=prepared, output_dir=tmp_path, clean_fraction=1, **TINY)
    assert done.returncode == 0, done.stderr
    card = read_card(tmp_path / "models/model.safetensors")
    assert card is not None and card["training"]["objective"] == "supervised" and card["training"]["clean_fraction"] == 1
    assert "no image is noised" in done.stdout + done.stderr
    model = tmp_path / "models/model.safetensors"
    drawn = run_bundle("bundles/hybrid_pretrain/configs/sample.json", model=model, output_dir=tmp_path / "pairs")
    assert drawn.returncode == 2 and "without denoising, so it draws no images" in drawn.stderr


@pytest.mark.parametrize("objective", ["supervised", "diffusion", "noisy_supervised", "two_pass"])
def test_each_control_arm_is_one_setting(prepared: Path, tmp_path: Path, objective: str) -> None:
    done = run_bundle(TRAIN, dataset_dir=prepared, output_dir=tmp_path, objective=objective, **TINY)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "logs/history.jsonl").read_text())
    assert ("image" in record) == (objective in ("diffusion", "two_pass"))
    assert ("mask_clean" in record) == (objective != "diffusion")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learnig_rate", "0.1", "unknown setting --learnig_rate: did you mean --learning_rate?"),
        ("amp", "true", "--amp: got 'true', expected True or False"),
        ("objective", "hybird", "objective: got 'hybird', expected one of hybrid, supervised"),
        ("dataset_dir", "/no/such/folder", "dataset_dir: no such folder: /no/such/folder"),
        ("learning_rate", "-0.1", "--learning_rate: got -0.1, expected a number > 0"),
    ],
)
def test_wrong_settings_end_in_one_line_before_training(tmp_path: Path, name: str, value: str, message: str) -> None:
    done = run_bundle(TRAIN, output_dir=tmp_path, **{**TINY, name: value})
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (3 if name == "dataset_dir" else 2)
    assert not (tmp_path / "models").exists()


def test_a_patch_that_does_not_divide_is_refused_before_any_image_is_loaded(prepared: Path, tmp_path: Path) -> None:
    done = run_bundle(TRAIN, dataset_dir=prepared, output_dir=tmp_path, **{**TINY, "patch_size": "[16,16,18]"})
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert "--patch_size: got [16, 16, 18], expected multiples of " in done.stderr and not (tmp_path / "models").exists()


def test_a_raw_folder_of_pictures_trains_with_the_same_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (tmp_path / "raw" / part).mkdir(parents=True)
    for i in range(8):
        mask = np.zeros((40, 48), np.uint8)
        mask[10:22, 8 + i : 24 + i] = 255
        Image.fromarray((mask // 2 + rng.integers(0, 60, mask.shape)).astype(np.uint8)).save(tmp_path / f"raw/images/p{i}.png")
        Image.fromarray(mask).save(tmp_path / f"raw/labels/p{i}.png")
    # patches are larger than the images of 20 x 24 pixels, and the device is given as text
    (tmp_path / "more").mkdir()
    scan = rng.integers(0, 200, mask.shape).astype(np.uint8)
    Image.fromarray(scan).save(tmp_path / "more/unlabelled.png")
    settings = {**TINY, "patch_size": "[32,32]", "spacing": "[2,2]", "device": "cpu"}
    settings["unlabelled_dir"] = tmp_path / "more"
    done = run_bundle(TRAIN, dataset_dir=tmp_path / "raw", output_dir=tmp_path / "out", **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    card = read_card(tmp_path / "out/models/model.safetensors")
    assert card is not None and [label["value"] for label in card["labels"]] == [0, 255]
    assert card["training"]["unlabelled_cases"] == 1
    predict = run_bundle(
        "bundles/hybrid_pretrain/configs/inference.json",
        dataset_dir=tmp_path / "raw/images",
        model=tmp_path / "out/models/model.pt",
        output_dir=tmp_path / "pred",
        device="cpu",
    )
    assert predict.returncode == 0, predict.stderr[-3000:]
    written = np.asarray(Image.open(tmp_path / "pred/p0_seg.png"))
    assert written.shape == (40, 48) and set(np.unique(written)) <= {0, 255}


def test_unlabelled_cases_join_the_image_term(prepared: Path, tmp_path: Path) -> None:
    datalist = json.loads((prepared / "datalist.json").read_text())
    root = prepared.resolve()
    for split in ("training", "validation", "testing"):
        for case in datalist[split]:
            case["image"], case["label"] = (str((root / case[k]).resolve()) for k in ("image", "label"))
    for case in datalist["training"][1:]:
        del case["label"]
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "datalist.json").write_text(json.dumps(datalist))
    for name in ("dataset.json", "plan.json"):
        (mixed / name).write_text((prepared / name).read_text())
    done = run_bundle(TRAIN, dataset_dir=mixed, output_dir=tmp_path / "out", **{**TINY, "batch_size": 4})
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "out/logs/history.jsonl").read_text())["image"] > 0


def without(prepared: Path, folder: Path, *splits: str) -> Path:
    """A copy of the description in which these splits are empty."""
    datalist = json.loads((prepared / "datalist.json").read_text())
    for split in ("training", "validation", "testing"):
        for case in datalist[split]:
            case["image"], case["label"] = (str((prepared / case[k]).resolve()) for k in ("image", "label"))
    folder.mkdir()
    (folder / "datalist.json").write_text(json.dumps({**datalist, **{split: [] for split in splits}}))
    for name in ("dataset.json", "plan.json"):
        (folder / name).write_text((prepared / name).read_text())
    return folder


def test_a_data_set_without_validation_cases_trains(prepared: Path, tmp_path: Path) -> None:
    data = without(prepared, tmp_path / "few", "validation", "testing")
    done = run_bundle(TRAIN, dataset_dir=data, output_dir=tmp_path / "out", **TINY)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "val_dice" not in json.loads((tmp_path / "out/logs/history.jsonl").read_text())


@pytest.mark.parametrize("config", ["evaluate.json", "inference.json"])
def test_an_empty_split_is_said(config: str, prepared: Path, trained: Path, tmp_path: Path) -> None:
    data = without(prepared, tmp_path / "few", "testing")
    settings = {"model": trained / "models/model.pt", "output_dir": tmp_path / "out"}
    done = run_bundle(BUNDLE / "configs" / config, dataset_dir=data, **settings)
    assert done.returncode == 3 and "the split testing" in done.stderr and "Traceback" not in done.stderr


# What `torch.distributed.run --standalone --nproc_per_node 2` starts, without the time that it takes itself.
TWO = """
import os, socket, subprocess, sys
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
both = {**os.environ, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
command = [sys.executable, "-m", "monai.bundle", *sys.argv[1:]]
runs = [subprocess.Popen(command, env={**both, "RANK": str(i), "LOCAL_RANK": str(i)}) for i in range(2)]
sys.exit(max(abs(run.wait()) for run in runs))
"""
BOTH = str([str(ROOT / "bundles/hybrid_pretrain/configs" / name) for name in ("train.json", "multi_gpu_train.json")])


def trained_together(done: subprocess.CompletedProcess[str], out: Path) -> None:
    assert done.returncode == 0, done.stderr[-3000:]
    assert len((out / "logs/history.jsonl").read_text().splitlines()) == 1
    assert not [name for name in load_weights(out / "models/model.pt") if name.startswith("module.")]


def test_two_processes_train_together(prepared: Path, tmp_path: Path) -> None:
    settings = {"dataset_dir": prepared, "output_dir": tmp_path, **TINY}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    trained_together(run_code(TWO, ["run", "--config_file", BOTH, *words], ROOT, environment()), tmp_path)


@pytest.mark.slow
def test_two_processes_of_the_launcher_train_together(prepared: Path, tmp_path: Path) -> None:
    """20 seconds for the launcher and two new processes; the same runs as forks are the test before."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    trained_together(run_bundle(BOTH, ROOT, *launcher, dataset_dir=prepared, output_dir=tmp_path, **TINY), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_the_command_of_the_readme_verbatim(tmp_path: Path) -> None:
    bundle = copy_bundle(tmp_path / "bundles" / BUNDLE.name, BUNDLE.name)  # it writes into the bundle
    words = ["run", "--config_file", str(TRAIN)]
    done = run_module("monai.bundle", words, tmp_path, environment(), timeout=1800)  # 500 updates, ten minutes on one thread
    assert done.returncode == 0, done.stderr[-3000:]
    assert (bundle / "models/model.safetensors").is_file()


def test_a_run_of_so_many_updates_has_so_many(prepared: Path, tmp_path: Path) -> None:
    updates = 3
    length = {**{name: value for name, value in TINY.items() if name != "max_epochs"}, "updates": updates, "progress_bar": True}
    done = run_bundle(TRAIN, dataset_dir=prepared, output_dir=tmp_path, **length, log_interval=1)
    assert done.returncode == 0, done.stderr[-3000:]
    card = read_card(tmp_path / "models/model.safetensors")
    assert card is not None and card["training"]["updates"] == updates
    assert "update 1/3" in done.stdout + done.stderr and "epoch 2/2" in done.stdout + done.stderr
    history = [json.loads(line) for line in (tmp_path / "logs/history.jsonl").read_text().splitlines()]
    assert [record["updates"] for record in history] == [2, 3] and all(record["val_dice"] for record in history)


def test_two_lengths_are_refused(tmp_path: Path) -> None:
    done = run_bundle(TRAIN, output_dir=tmp_path / "run", **TINY, updates=3)
    assert done.returncode == 2 and "each says how long the training is; give one of them" in done.stderr
    assert not (tmp_path / "run").exists()
