"""Study files: what they may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_study import TINY, tiny

from benchmarks.label_efficiency.__main__ import main
from benchmarks.label_efficiency.appearance import CURVES, remap
from benchmarks.label_efficiency.data import prepare
from benchmarks.label_efficiency.study import STUDIES, Domain, load_study, parse_study
from monai_hybrid.errors import ConfigError, DataError


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_studies_in_the_folder_are_whole(path: Path) -> None:
    study = load_study(path.stem)
    compared = {"hybrid", "universal"} & set(study.arms)
    alone = all(arm.alone for arm in study.arms.values())  # without labels nothing is drawn but scans and batches, by the seed
    assert study.name == path.stem and (study.seeds >= 5 if alone else compared and study.draws >= 5 and study.seeds >= 2)
    assert study.tuning["appearance"] != study.target.appearance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": []}, "arm: unknown; expected"),
        ({"arms": ["hybird"]}, "arm hybird: like 'hybird': unknown; expected one of scratch"),
        ({"arms": {"a": {"like": "hybrid", "pretrain": {"lambda": 1}}}}, "arm a: pretrain: lambda: not a setting of bundles"),
        ({"arms": {"a": {"like": "hybrid", "kind": "unet"}}}, "arm a: kind 'unet': expected one of hybrid_unet"),
        ({"finetune": {"updates": 2, "seed": 3}}, "finetune: seed: not a setting of .* that a study may change"),
        ({"pretrain": {"curve": 3}}, "pretrain: updates is missing"),
        ({"pretrain": {"updates": 3, "keep": "first"}}, "pretrain: keep: 'first': expected last or best"),
        ({"target": {**TINY["target"], "appearance": "pink"}}, "target: appearance 'pink': expected one of none"),
        ({"target": {**TINY["target"], "appearance": "gamma"}}, "appearance 'gamma' is the target's"),
        (
            {"arms": {"a": {"like": "hybrid", "model": "x"}}},
            "arm a: model: expected kind hybrid_unet, and no settings of a pre",
        ),
        ({"arms": {"a": {"like": "nnunet_scratch", "model": "x"}}}, "arm a: model: expected kind hybrid_unet"),
        ({"source": {"folder": "x"}}, "source: folder: unknown"),
    ],
)
def test_a_wrong_entry_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny(**changes)


def test_a_missing_entry_is_refused_and_the_whole_accepted() -> None:
    with pytest.raises(ConfigError, match="study: target is missing"):
        parse_study({k: v for k, v in TINY.items() if k != "target"})
    assert parse_study(TINY).name == "tiny"


def test_arms_build_on_each_other() -> None:
    study = tiny(
        arms={"hybrid": {}, "a": {"like": "hybrid", "pretrain": {"lambda_mask": 0.1}}, "b": {"like": "a", "timesteps": [0, 5]}}
    )
    a, b = study.arms["a"], study.arms["b"]
    assert a.pretrain == {"objective": "hybrid", "lambda_mask": 0.1} == b.pretrain and b.tune_as == "a"
    assert study.pretrain_settings(a)["updates"] == 3 and study.pretrain_settings(a)["lambda_mask"] == 0.1
    assert tiny(arms={"a": {"like": "hybrid"}}).arms["a"].tune_as == ""  # hybrid is not in this study
    own = tiny(arms={"hybrid": {}, "fast": {"like": "hybrid", "learning_rate": 0.003}}).arms["fast"]
    assert (own.learning_rate, own.tune_as) == (0.003, "")  # a rate of its own is held


def test_updates_follow_the_number_of_labels() -> None:
    study = tiny(arms={"hybrid": {}, "long": {"like": "hybrid", "finetune": {"updates": 7}}})
    assert [study.finetune_updates(n) for n in (1, 2, 3, 10)] == [2, 2, 3, 3]
    assert study.finetune_settings(study.arms["long"], 1)["updates"] == 7
    assert study.finetune_settings(study.arms["hybrid"], 3) == {"updates": 3, "batch_size": 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--study", "nothing"], "error: --study nothing: no such study or file; expected one of ablations_cardiac"),
        (["--study", "phantom", "--arms", "hybird"], "error: --arms hybird: unknown; study phantom has scratch"),
        (["--study", "phantom", "--shots", "4"], "error: --shots 4: study phantom has 0, 1, 3, 5, 10"),
    ],
)
def test_the_command_line_refuses_in_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(message) and err.count("\n") == 1


def test_raw_data_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--study", "contrast", "--data_root", str(tmp_path), "--output_dir", str(tmp_path / "out")]
    assert main(words) == 3
    assert f"{tmp_path / 'hippocampus_msd'}: no such folder; give the folder" in capsys.readouterr().err


def test_splits_by_names_of_images(tmp_path: Path) -> None:
    """One raw folder is two domains: pictures in colour of eyes that are well, and of eyes that are ill."""
    for folder in ("images", "labels"):
        (tmp_path / "eyes" / folder).mkdir(parents=True)
    drawn = np.random.default_rng(0)
    for name in ("01_h", "02_h", "03_h", "01_ill"):
        mask = np.zeros((24, 24), np.uint8)
        mask[8:14, 8:14] = 1
        Image.fromarray(drawn.integers(0, 99, (24, 24, 3), dtype=np.uint8) + mask[..., None] * 99).save(
            tmp_path / "eyes/images" / f"{name}.png"
        )
        Image.fromarray(mask).save(tmp_path / "eyes/labels" / f"{name}.png")
    splits = {"train": ["0[12]_h.png"], "test": ["03_*.png"]}
    domain = Domain("eyes", build={"label_names": "1=vessel", "splits": splits, "patient_regex": "each", "modality": "fundus"})
    data = prepare(domain, tmp_path, tmp_path / "study" / "source", "cpu")
    assert [case["case_id"] for case in data.training] == ["01_h", "02_h"] and len(data.dataset["channels"]) == 3
    assert [case["case_id"] for case in data.testing] == ["03_h"]
    wrong = Domain("eyes", build={"splits": {"train": ["0?_g.png"]}})
    with pytest.raises(DataError, match=r"no image is called 0\?_g\.png, which the study's train expects"):
        prepare(wrong, tmp_path, tmp_path / "study" / "wrong", "cpu")


def test_a_part_of_a_study() -> None:
    part = tiny().only(["hybrid"], [1], 1, None)
    assert list(part.arms) == ["hybrid"] and part.shots == (1,) and part.draws == 1 == part.seeds


def test_curves_keep_the_range_and_do_what_they_say() -> None:
    image = torch.linspace(-1, 1, 21).reshape(1, 3, 7)
    for name in CURVES:
        mapped = remap(image, name)
        assert mapped.shape == image.shape and mapped.dtype == torch.float32 and mapped.abs().max() <= 1
    assert torch.allclose(remap(image, "inverted"), -image, atol=1e-6) and remap(image, "none") is image
    u = (remap(torch.tensor([-0.6, 0.0, 0.5]), "t2_like") + 1) / 2  # u = 0.2, 0.5, 0.75: fluid, grey, white matter
    assert np.allclose(u, [1.0, 0.6, 0.3], atol=1e-6)
    gamma = remap(image, "gamma").flatten()
    assert bool((gamma.diff() > 0).all())
