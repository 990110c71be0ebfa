"""A run of 0.1 goes on: its training steps are known to give the same numbers as those of now; any other steps are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monai_hybrid.errors import ConfigError
from monai_hybrid.runs.earlier_steps import RANDOM_STEPS, SAME, SAME_DRAWS, digest_of_steps
from monai_hybrid.runs.same_run import lasting, refuse_other_settings

BUNDLES = Path(__file__).parents[2] / "bundles"


def of_now(name: str) -> dict[str, Any]:
    return dict(json.loads((BUNDLES / name / "configs/train.json").read_text()))


def of_0_1(name: str) -> dict[str, Any]:
    """The steps as 0.1 had them: image and label in one step, values mapped last."""
    config = of_now(name)
    steps = config["train"]["deterministic_transforms"]
    load, classes, complete, *others = steps
    assert (classes["_target_"], complete["_target_"]) == (
        "monai_hybrid.transforms.LoadClassesd",
        "monai_hybrid.transforms.CompleteLabeld",
    )
    load = {**load, "keys": ["image", "label"], "reader": "monai_hybrid.transforms.CaseReader", "allow_missing_keys": True}
    mapped = {
        "_target_": "MapLabelValued",
        "keys": "label",
        "orig_labels": "$@data.label_values",
        "target_labels": "$list(range(@num_classes))",
        "dtype": "$torch.float32",
    }
    for later in ("source_replay", "replay_share", "match_appearance", "replayed_cases"):
        config.pop(later, None)
    config["unlabelled_cases"].pop("to_look_at", None)
    config["train"].pop("appearance", None)
    config["train"].get("sampler", {}).pop("replay_share", None)
    if name == "few_shot_finetune":
        config["train"]["preprocessing"]["transforms"] = "$@train#deterministic_transforms + @train#random_transforms"
        config["train"]["dataset"]["data"] = "$@cases + @unlabelled_cases"
    pad = next(step for step in others if step["_target_"] == "SpatialPadd")
    at = others.index(pad)
    both = {**pad, "keys": ["image", "label"], "mode": ["edge", "constant"]}
    others = [*others[:at], both, {**others[at + 2], "_target_": "FgBgToIndicesd"}, *others[at + 3 :]]
    config["validate"]["postprocessing"]["_target_"] = "AsDiscreted"
    others = [{key: value for key, value in step.items() if key != "resampling"} for step in others]
    config["train"]["deterministic_transforms"] = [load, complete, mapped, *others]
    return config


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_run_of_an_earlier_version_goes_on(name: str) -> None:
    saved, now = lasting(of_0_1(name)), lasting(of_now(name))
    assert (digest_of_steps(saved), digest_of_steps(now)) in SAME, "the steps changed: do they still give the same numbers?"
    refuse_other_settings(saved, now, Path("update_00000001.pt"))
    with pytest.raises(ConfigError, match="made with other settings"):
        refuse_other_settings(now, saved, Path("update_00000001.pt"))  # not the other way round


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_run_that_padded_by_the_targets_ignore_value_goes_on(name: str) -> None:
    config = of_now(name)
    steps = config["train"]["deterministic_transforms"]
    at = next(i for i, step in enumerate(steps) if step["_target_"].endswith("PadLabeld"))
    steps[at] |= {"_target_": "SpatialPadd", "mode": "constant", "value": "$@data.outside"}
    refuse_other_settings(lasting(config), lasting(of_now(name)), Path("update_00000001.pt"))


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_run_of_a_kept_configuration_goes_on(name: str) -> None:
    kept = Path(__file__).parents[1] / "earlier_configs" / name / "train.json"
    refuse_other_settings(lasting(json.loads(kept.read_text())), lasting(of_now(name)), Path("update_00000001.pt"))


def test_the_random_steps_of_now_draw_what_those_of_the_kept_configuration_drew() -> None:
    """If this fails, the random steps changed: do they still draw the same maps?"""
    kept = json.loads((Path(__file__).parents[1] / "earlier_configs/few_shot_finetune/train.json").read_text())
    saved, now = lasting(kept), lasting(of_now("few_shot_finetune"))
    assert (digest_of_steps(saved, RANDOM_STEPS), digest_of_steps(now, RANDOM_STEPS)) in SAME_DRAWS
    with pytest.raises(ConfigError, match="made with other settings"):
        refuse_other_settings({**saved, "train#random_transforms#1#prob": "0.5"}, now, Path("update_00000001.pt"))


def test_steps_of_the_users_own_are_another_run() -> None:
    saved, now = lasting(of_0_1("hybrid_pretrain")), lasting(of_now("hybrid_pretrain"))
    own = {**saved, "train#deterministic_transforms#2#dtype": '"$torch.float16"'}
    with pytest.raises(ConfigError, match="made with other settings"):
        refuse_other_settings(own, now, Path("update_00000001.pt"))
    with pytest.raises(ConfigError, match="learning_rate"):
        refuse_other_settings({**saved, "learning_rate": "1.0"}, now, Path("update_00000001.pt"))


def test_a_run_from_before_folds_were_kept_goes_on() -> None:
    now = lasting(of_now("few_shot_finetune"))
    saved = {name: value for name, value in now.items() if name != "keep_folds"}
    refuse_other_settings(saved, now, Path("update_00000001.pt"))
    with pytest.raises(ConfigError, match="keep_folds"):
        refuse_other_settings(saved, {**now, "keep_folds": "true"}, Path("update_00000001.pt"))


def test_a_run_of_before_goes_on_without_what_came_later_and_not_with_it() -> None:
    saved, now = lasting(of_0_1("few_shot_finetune")), lasting(of_now("few_shot_finetune"))
    assert "source_replay" not in saved and "source_replay" in now
    changed = {**now, "match_appearance": '"histogram"'}
    with pytest.raises(ConfigError, match=r'with other settings: match_appearance: "none" -> "histogram" \(saved'):
        refuse_other_settings(saved, changed, Path("update_00000001.pt"))


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_run_whose_updates_were_batches_is_refused_with_several_of_them(name: str) -> None:
    """With one batch an update it goes on: the test above."""
    kept = json.loads((Path(__file__).parents[1] / "earlier_configs" / name / "train.json").read_text())
    saved, now = (lasting({**config, "accumulation_steps": 2}) for config in (kept, of_now(name)))
    with pytest.raises(ConfigError, match=r"updates were single batches.*now 2 batches are one update.*another --output_dir"):
        refuse_other_settings(saved, now, Path("update_00000001.pt"))
    refuse_other_settings(now, now, Path("update_00000001.pt"))


def test_a_run_of_when_every_start_had_one_rate_goes_on_and_one_of_another_rate_is_refused() -> None:
    now = lasting(of_now("few_shot_finetune"))
    refuse_other_settings(now | {"learning_rate": "0.0003"}, now, Path("checkpoint.pt"))
    with pytest.raises(ConfigError, match=r"learning_rate: 0\.001 -> "):
        refuse_other_settings(now | {"learning_rate": "0.001"}, now, Path("checkpoint.pt"))


@pytest.mark.parametrize("overlay", [None, "synthetic.json"])
def test_a_pretraining_from_before_domains_goes_on_without_them_and_not_with_them(overlay: str | None) -> None:
    """If this fails, the random steps changed: do they still draw the same?"""
    now = of_now("hybrid_pretrain")
    if overlay:
        over = json.loads((BUNDLES / "hybrid_pretrain/configs" / overlay).read_text())
        now["train"]["random_transforms"][0] = over["train#random_transforms#0"]
    before = json.loads(json.dumps(now))
    del before["domain_label"], before["network_def"]["num_domains"], before["unlabelled_cases"]["domain_label"]
    del before["validate"]["segmenter"]["domain"]
    sizes = "spatial_dims=@spatial_dims, in_channels=@num_channels, num_classes=@num_classes"
    before["network_args"] = f"$dict(@data.plan['network'], {sizes})"
    *others, name, select = before["train"]["random_transforms"]
    assert name["_target_"].endswith("NameDomaind")
    select["keys"] = "$['image', 'label', 'has_label', 'case_id'] + ['warp'] * @augment"
    before["train"]["random_transforms"] = [*others, select]
    refuse_other_settings(lasting(before), lasting(now), Path("update_00000001.pt"))
    with pytest.raises(ConfigError, match=r"domain_label: false -> true"):
        refuse_other_settings(lasting(before), lasting({**now, "domain_label": True}), Path("update_00000001.pt"))


def test_an_adaptation_from_before_domains_goes_on() -> None:
    now = of_now("few_shot_finetune")
    before = json.loads(json.dumps(now))
    del before["network_def"]["num_domains"]
    *others, name, select = before["train"]["random_transforms"]
    assert name["_target_"].endswith("NameDomaind")
    select["keys"] = ["image", "label", "has_label", "case_id"]
    before["train"]["random_transforms"] = [*others, select]
    refuse_other_settings(lasting(before), lasting(now), Path("update_00000001.pt"))
