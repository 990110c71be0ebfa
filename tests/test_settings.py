"""One table of settings: the configurations have no plain setting that is not in it, and nothing in it is in none of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import ConfigError
from monai_hybrid.setting_checks import check_kind, check_plain_value
from monai_hybrid.settings import FREE, PATH_KINDS, PLAIN_KINDS, RANGES, SETTINGS, settings_of

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p for p in ROOT.glob("bundles/*/configs/*.json") if p.name != "metadata.json")


def content(config: Path) -> dict[str, Any]:
    return json.loads(config.read_text())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: f"{p.parents[1].name}-{p.stem}")
def test_every_plain_top_level_value_is_a_setting_and_its_default_is_accepted(config: Path) -> None:
    for name, value in content(config).items():
        plain = not isinstance(value, (dict, list)) and not str(value).startswith("$") and "#" not in name
        if plain and name != "_desc_" and not str(value).startswith("@"):
            assert name in SETTINGS, name
        if name in SETTINGS:
            check_kind(name, value, value)
            check_plain_value(name, value)


def test_every_setting_is_in_a_configuration_and_of_a_known_kind() -> None:
    names = {name for config in CONFIGS for name in content(config)}
    assert set(SETTINGS) <= names
    for setting in SETTINGS.values():
        assert setting.kind in {*RANGES, *PATH_KINDS, *PLAIN_KINDS} and setting.meaning
        assert setting.kind != "word" or setting.words


@pytest.mark.parametrize(
    ("name", "module", "attribute"),
    [
        ("objective", "monai_hybrid.losses.objectives", "OBJECTIVES"),
        ("noise_schedule", "monai_hybrid.diffusion.noising", "SCHEDULES"),
        ("prediction_type", "monai_hybrid.diffusion.noising", "PREDICTION_TYPES"),
        ("trainable", "monai_hybrid.few_shot.tuning", "TRAINABLE"),
        ("stopping", "monai_hybrid.few_shot.stopping", "STOPPING"),
    ],
)
def test_the_words_are_those_of_the_code(name: str, module: str, attribute: str) -> None:
    import importlib

    assert sorted(SETTINGS[name].words) == sorted(getattr(importlib.import_module(module), attribute))


def test_what_may_change_on_resume_is_what_always_could() -> None:
    always = (
        "backend bundle_root cache_dir cache_rate checkpoint_interval dataset_dir device log_interval max_epochs num_workers "
        "output_dir overwrite picture_interval progress_bar resume updates verbose"
    )
    assert " ".join(sorted(FREE)) == always


def test_the_help_says_what_a_setting_is_in_its_own_configuration() -> None:
    pretrain = settings_of("hybrid_pretrain", "train.json")
    assert pretrain["pretrained"].default == "none" and "auto" not in pretrain["pretrained"].words  # it is refused there
    assert "labelled patient" not in pretrain["updates"].default
    before = settings_of("few_shot_finetune", ("evaluate.json", "masks.json"))["pretrained"]
    assert before.default == "the one that the model names" and before.kind == "model"
    assert settings_of("few_shot_finetune", "train.json") == SETTINGS


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_the_documents_name_no_setting_that_is_not_there(bundle: str) -> None:
    rows = [line for line in (ROOT / "bundles" / bundle / "docs/README.md").read_text().splitlines() if line.startswith("| `")]
    named = [name.strip(" `") for line in rows for name in line.split("|")[1].split(",")]
    statuses = {"ok", "missed", "invented", "absent"}
    assert {name for name in named if name not in statuses} <= set(SETTINGS)


def test_the_table_and_its_checks_import_neither_torch_nor_monai() -> None:
    code = "import sys; from monai_hybrid import cli, results_folder, setting_checks, settings; "
    code += "print([m for m in ('torch', 'monai', 'numpy', 'nibabel') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_colours_are_checked_before_anything_starts() -> None:
    for value in ("grey", "green", ("red", "green"), ["blue"]):
        check_plain_value("colour", value)
    with pytest.raises(ConfigError, match="--colour violet: expected some of red, green, blue"):
        check_plain_value("colour", "violet")
