"""The parts of a distillation: student, teacher, scans and loss."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from monai_hybrid.bundle.model import network_of
from monai_hybrid.bundle.preprocessing import image_transforms
from monai_hybrid.bundle.sample import PairSampler
from monai_hybrid.bundle_folders import bundle_folder, load_config
from monai_hybrid.commands import DISTILLING
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.distilled_models import refuse_distilled, refuse_to_denoise
from monai_hybrid.distilling import DistilLoss, DistilPrepareBatch, Teacher, named_teacher, sampled_cases, scans, student_of
from monai_hybrid.distilling.scans import _case
from monai_hybrid.distilling.student import student_network
from monai_hybrid.errors import ConfigError, HybridError, ModelFileError
from monai_hybrid.inferers import segmenter
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.runs.checkpoint import save_checkpoint
from monai_hybrid.runs.same_run import describe_cases, flat
from monai_hybrid.weights import checksum, load_weights, make_card, read_card, save_weights

PLAIN = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "norm_num_groups": 8}
LABELS = [{"index": i, "value": i, "name": name} for i, name in enumerate(("background", "Left ventricle", "wall"))]


PERCENTILES = {"method": "percentiles", "lower": 0.5, "upper": 99.5, "range": [-1, 1]}


def made_teacher(
    folder: Path, dims: int = 2, channels: tuple[str, ...] = ("image",), scaling: Any = PERCENTILES, **training: Any
) -> Path:
    """A small network of random weights with a card."""
    torch.manual_seed(0)
    shape = {"spatial_dims": dims, "in_channels": len(channels), "num_classes": 3, "num_head_channels": 8}
    network = HybridDiffusionUNet(**PLAIN, **shape)
    dataset = {"spatial_dims": dims, "channels": list(channels), "labels": LABELS, "name": "made"}
    plan = {"normalization": scaling, "batch_size": 4}
    told = {"objective": "hybrid", "patch_size": [12] * dims, "spacing": [1.5] * dims}
    told |= {"prediction_type": "v", "noise_schedule": "cosine", "num_timesteps": 1000, **training}
    save_weights(network.state_dict(), folder, make_card({**PLAIN, **shape}, dataset, plan, told))
    return folder / "model.safetensors"


def made_data(dims: int = 2, channels: tuple[str, ...] = ("image",), names: tuple[str, ...] = ()) -> Any:
    labels = [{**label, "name": name} for label, name in zip(LABELS, names, strict=True)] if names else LABELS
    dataset = {"channels": list(channels), "labels": labels}
    return SimpleNamespace(dataset=dataset, plan={"spatial_dims": dims}, num_classes=3, folder=Path("target"))


@pytest.mark.parametrize(
    ("teacher", "levels"),
    [
        ({"channels": [16, 32, 64]}, 3),
        ({"channels": [16, 32, 64, 64]}, 3),
        ({"channels": [32, 64, 128, 256, 256]}, 4),
        ({"channels": [64, 128, 128, 128], "stem": "space_to_depth"}, 4),
    ],
)
def test_the_student_halves_as_often_as_its_teacher(teacher: dict[str, Any], levels: int) -> None:
    network = student_network(teacher, 16)
    assert network["channels"] == [16, *[32] * (levels - 1)] and network["stem"] == "space_to_depth"
    assert all(len(network[name]) == levels for name in ("num_res_blocks", "attention_levels"))


def test_a_student_on_the_full_grid_halves_as_often(tmp_path: Path) -> None:
    network = student_network({"channels": [16, 32, 64, 64]}, 16, "full")
    assert network["channels"] == [16, 32, 32, 32] and network["stem"] == "plain"
    data = made_data(2, names=("background", "left_Ventricle", "wall"))
    half, full = (student_of(str(made_teacher(tmp_path)), data, 16, grid) for grid in ("half", "full"))
    assert full.plan["network"]["stem"] == "plain" and half.plan["network"]["stem"] == "space_to_depth"
    made = HybridDiffusionUNet(**full.network)
    patch = full.plan["patch_size"]
    assert made(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)


@pytest.mark.parametrize(("dims", "width"), [(2, 8), (3, 16), (2, 24)])
def test_a_student_has_its_teachers_plan_and_a_patch_that_it_can_halve(dims: int, width: int, tmp_path: Path) -> None:
    found = student_of(
        str(made_teacher(tmp_path, dims)), made_data(dims, names=("background", "left_Ventricle", "wall")), width
    )
    assert found.plan["patch_size"] == [16] * dims and found.plan["spacing"] == [1.5] * dims
    assert found.plan["network"] == student_network(PLAIN, width)
    logits = HybridDiffusionUNet(**found.network)(torch.zeros(1, 1, *[16] * dims))
    assert logits.shape == (1, 3, *[16] * dims)


@pytest.mark.parametrize(
    ("data", "width", "message"),
    [
        (made_data(), 12, "--student_width: got 12, expected a multiple of 8, such as --student_width 16"),
        (made_data(3), 16, "a 2D model, but target is 3D"),
        (made_data(names=("background", "wall", "Left ventricle")), 16, "it knows the labels .* but target has"),
        (made_data(channels=("T1", "T2")), 16, r"it knows the channels \['image'\].*monai-hybrid adapt --data target"),
    ],
)
def test_what_does_not_fit_is_refused(data: Any, width: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        student_of(str(made_teacher(tmp_path)), data, width)


def test_a_teacher_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model was given\. Give --teacher runs/adapted"):
        student_of(None, made_data(), 16)
    with pytest.raises(ModelFileError, match="no such model file"):
        student_of(str(tmp_path / "gone.pt"), made_data(), 16)


def test_one_channel_may_be_called_otherwise(tmp_path: Path) -> None:
    assert student_of(str(made_teacher(tmp_path)), made_data(channels=("T1w",)), 16).network["in_channels"] == 1


def test_a_teacher_gives_the_probabilities_of_its_model(tmp_path: Path) -> None:
    path = str(made_teacher(tmp_path))
    x = torch.rand(2, 1, 12, 12) * 2 - 1
    teacher = Teacher(path)
    expected = teacher.segmenter.network(x).softmax(1)
    assert torch.allclose(teacher(x), expected, atol=1e-5) and not teacher(x).requires_grad
    assert named_teacher(path) == {"model": path, "sha256": checksum(teacher.segmenter.network.state_dict())}


def test_every_patch_is_clean_and_brings_the_teachers_probabilities(tmp_path: Path) -> None:
    teacher = Teacher(str(made_teacher(tmp_path)))
    image, label = torch.rand(2, 1, 12, 12), torch.zeros(2, 1, 12, 12)
    prepare = DistilPrepareBatch(NoiseSchedule(1000), teacher)
    x, target, _, words = prepare({"image": image, "label": label, "has_label": torch.tensor([1, 0])}, "cpu")
    assert torch.equal(x, image) and target.timesteps.tolist() == [0, 0] and words["timesteps"].tolist() == [0, 0]
    assert torch.equal(target.probabilities, teacher(image)) and target.has_label.tolist() == [True, False]


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_the_loss_is_the_teachers_and_a_share_of_the_labels(weight: float, tmp_path: Path) -> None:
    teacher = Teacher(str(made_teacher(tmp_path)))
    image, label = torch.rand(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    prepare, loss = DistilPrepareBatch(NoiseSchedule(1000), teacher), DistilLoss(NoiseSchedule(1000), 1, weight)
    _, target, _, _ = prepare({"image": image, "label": label, "has_label": torch.tensor([1])}, "cpu")
    prediction = torch.zeros(1, 4, 4, 4, requires_grad=True)  # one image channel, three equal logits
    p = target.probabilities
    cut = [1 - (2 * (p[0, k] / 3).sum() + 1e-5) / (p[0, k].sum() + 16 / 3 + 1e-5) for k in range(3)]
    of_label = math.log(3) + (2 + (1 - (2 * 16 / 3 + 1e-5) / (16 + 16 / 3 + 1e-5))) / 3
    value = loss(prediction, target)
    assert value.item() == pytest.approx(math.log(3) + float(sum(cut)) / 3 + weight * of_label, abs=1e-4)
    value.backward()
    assert prediction.grad is not None and prediction.grad[:, 1:].abs().sum() > 0


def test_only_a_model_that_denoises_draws_images(tmp_path: Path) -> None:
    supervised = str(made_teacher(tmp_path / "supervised", objective="supervised"))
    assert sampled_cases(supervised, 0, str(tmp_path)) == []
    with pytest.raises(ConfigError, match=r"--sampled_pairs 2: .* was not trained to denoise.*--unlabelled-dir pairs"):
        sampled_cases(supervised, 2, str(tmp_path))


def test_drawn_images_are_cases_and_are_not_drawn_twice(tmp_path: Path) -> None:
    path = str(made_teacher(tmp_path / "model", channels=("T2", "T1")))
    cases = sampled_cases(path, 2, str(tmp_path))
    files = cases[1]["image"]
    names = ["sample_001_image_T2.nii.gz", "sample_001_image_T1.nii.gz"]
    assert [Path(file).name for file in files] == names and "label" not in cases[0]
    before = Path(files[0]).stat().st_mtime_ns
    assert sampled_cases(path, 2, str(tmp_path)) == cases and Path(files[0]).stat().st_mtime_ns == before
    drawn = Path(files[0]).read_bytes()
    others = {name: weight + torch.randn(weight.shape) for name, weight in load_weights(path).items()}
    save_weights(others, tmp_path / "model", read_card(path) or {})  # another model at the same place
    (tmp_path / "checkpoints").mkdir()
    checkpoint = tmp_path / "checkpoints/update_00000001.pt"
    checkpoint.touch()
    sampled_cases(path, 2, str(tmp_path))
    assert Path(files[0]).read_bytes() == drawn, "a run that goes on has its images"
    checkpoint.unlink()
    sampled_cases(path, 2, str(tmp_path))
    assert Path(files[0]).read_bytes() != drawn


@pytest.mark.parametrize(("dims", "channels"), [(2, ("HU",)), (2, ("a", "b", "c")), (3, ("HU",)), (3, ("a", "b"))])
def test_a_drawn_image_is_read_as_it_was_drawn(
    dims: int, channels: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the grid of the network, and in the unit of its window."""
    window = {"method": "window", "lower": -160.0, "upper": 240.0, "range": [-1, 1]}
    path = str(made_teacher(tmp_path / "model", dims, channels, window))
    drawn, draw = [], PairSampler._draw
    monkeypatch.setattr(PairSampler, "_draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    case = sampled_cases(path, 1, str(tmp_path))[0]
    read = image_transforms(read_card(path) or {}, [1.5] * dims)(case)["image"]
    torch.testing.assert_close(read.as_tensor(), drawn[0][0][0].clip(-1, 1), rtol=0, atol=1e-4)


def test_a_short_schedule_has_as_many_steps_as_noise_levels(tmp_path: Path) -> None:
    path = str(made_teacher(tmp_path / "model", num_timesteps=6))
    assert Path(sampled_cases(path, 1, str(tmp_path))[0]["image"]).is_file()
    card = read_card(path) or {}
    sampler = PairSampler(network_of(card), path, card, NoiseSchedule(6), str(tmp_path / "pairs"))
    with pytest.raises(ConfigError, match=r"num_inference_steps: got 7, expected at most 6.*Type: --num_inference_steps 6"):
        sampler.run(1, 7, "ode", 0, 1)
    sampler.run(1, 6, "ode", 0, 1)


def test_pictures_of_an_earlier_version_are_drawn_anew_unless_the_run_goes_on_with_them(tmp_path: Path) -> None:
    path, folder = str(made_teacher(tmp_path / "model")), tmp_path / "data/sampled"
    sampled_cases(path, 1, str(tmp_path))
    (folder / "sample_000_image.nii.gz").rename(folder / "sample_000_image.png")
    about = json.loads((folder / "samples.json").read_text())
    (folder / "samples.json").write_text(json.dumps({**about, "to_train": False}))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/update_00000001.pt").touch()
    assert sampled_cases(path, 1, str(tmp_path))[0]["image"].endswith("image.png")
    (tmp_path / "checkpoints/update_00000001.pt").unlink()
    assert sampled_cases(path, 1, str(tmp_path))[0]["image"].endswith("image.nii.gz")


def test_other_processes_wait_for_the_one_that_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, met = str(made_teacher(tmp_path / "model")), []

    def meet() -> None:
        met.append(len(met))
        if len(met) == 1:
            sampled_cases(path, 1, str(tmp_path), rank=0)

    monkeypatch.setattr(scans, "wait_for_all", meet)
    assert Path(sampled_cases(path, 1, str(tmp_path), rank=1)[0]["image"]).is_file() and len(met) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [("", None), ("case", "gone: a; new: b"), ("plan", r"plan#spacing: \[1\] -> \[2\]"), ("model", "made with another model")],
)
def test_a_run_that_may_not_go_on_draws_nothing(
    change: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(made_teacher(tmp_path / "model"))
    drawn = [["sampled_000", "digest"], ["sampled_001", "digest"]]
    state = {"cases": [*describe_cases([{"case_id": "a"}]), *drawn], "plan": flat({"spacing": [1]})}
    save_checkpoint({"update": 1, **state, "model": checksum(load_weights(path))}, tmp_path / "checkpoints")
    if change == "model":
        weights = {name: weight + 1 for name, weight in load_weights(path).items()}
        save_weights(weights, tmp_path / "model", read_card(path) or {})
    asked: list[int] = []
    monkeypatch.setattr(scans, "PairSampler", lambda *_, **__: SimpleNamespace(run=lambda number, *_: asked.append(number)))
    monkeypatch.setattr(scans, "_case", lambda *_: {})
    others, plan = [{"case_id": "b" if change == "case" else "a"}], {"spacing": [2 if change == "plan" else 1]}
    with pytest.raises(HybridError, match=told) if told else nullcontext():
        sampled_cases(path, 2, str(tmp_path), others=others, plan=plan)
    assert asked == ([] if told else [2])


def test_a_drawn_volume_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "sample_003_image.nii.gz").touch()
    (tmp_path / "sample_003_mask.nii.gz").touch()
    assert _case(tmp_path, 3, {"channels": ["a", "b"]})["image"] == str(tmp_path / "sample_003_image.nii.gz")


TEACHER = {"model": "runs/adapted/models/model.safetensors", "sha256": "0" * 64}


def test_what_needs_noise_is_refused_in_a_sentence(tmp_path: Path) -> None:
    student = str(made_teacher(tmp_path / "a", objective="distilled", distilled_from=TEACHER))
    card = {"training": {"objective": "distilled", "distilled_from": TEACHER}}
    said = "never saw noise or learnt to denoise; give the model that it was distilled from, runs/adapted/models"
    with pytest.raises(ConfigError, match=said):
        refuse_distilled(card, student, "sample")
    for given in (student, str(tmp_path / "a")):
        with pytest.raises(ConfigError, match=said):
            refuse_to_denoise(given, "hybrid")
    with pytest.raises(ConfigError, match=r"--timesteps \[0, 10\]: the model was distilled"):
        segmenter(HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8), timesteps=(0, 10), card=card)


def test_what_needs_none_is_not(tmp_path: Path) -> None:
    student = str(made_teacher(tmp_path / "a", objective="distilled", distilled_from=TEACHER))
    refuse_to_denoise(student, "supervised")
    refuse_to_denoise(None, "hybrid")
    refuse_to_denoise("scratch", "hybrid")
    refuse_to_denoise(str(made_teacher(tmp_path / "b")), "hybrid")
    refuse_distilled({"training": {"objective": "hybrid"}}, "m", "sample")


def test_the_configuration_replaces_what_it_means() -> None:
    train, distil = (load_config("few_shot_finetune", name) for name in ("train.json", "distil.json"))
    parser = ConfigParser()
    parser.read_config([str(bundle_folder("few_shot_finetune") / "configs" / name) for name in DISTILLING])
    parser["rank"] = 0
    handlers = {h["_target_"].rsplit(".", 1)[-1]: i for i, h in enumerate(parser["train"]["handlers"])}
    assert parser.get_parsed_content(f"train#handlers#{handlers['TrainingPictures']}#_disabled_") is True
    assert parser["train#handlers"][handlers["WeightsSaver"]]["settings"] == "@card::settings"
    assert parser["card"]["settings"]["objective"] == "distilled"
    assert set(distil["_idle_"]) <= set(train) and set(distil["_idle_"]) & set(distil) == {"picture_interval"}  # off, for good
