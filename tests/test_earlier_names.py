"""Bundles that users copied before still name what they need, and runs that were begun with them still go on."""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest

from monai_hybrid.earlier_names import MOVED, named_as_now
from monai_hybrid.errors import ConfigError
from monai_hybrid.runs.same_run import lasting, refuse_other_settings

COPIES = Path(__file__).parent / "earlier_configs"
BUNDLES = Path(__file__).parents[1] / "bundles"
CONFIGS = sorted(COPIES.glob("*/*.json"))
assert CONFIGS
CALLED = re.compile(r"\bbundle\.(\w+)")


def texts(node: Any) -> Iterator[str]:
    """Every text in a configuration."""
    if isinstance(node, str):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from texts(value)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_name_of_a_bundle_copied_before_is_found(config: Path) -> None:
    found = set(texts(json.loads(config.read_text())))
    targets = {text for text in found if text.startswith("monai_hybrid.")}
    assert not [name for name in targets if not callable(locate(name))]
    bundle = import_module("monai_hybrid.bundle")
    assert not [name for text in found if text[0:1] == "$" for name in CALLED.findall(text) if not hasattr(bundle, name)]


def test_a_name_that_never_was_is_said_as_python_says_it() -> None:
    for room in MOVED:
        with pytest.raises(AttributeError, match=f"module 'monai_hybrid.{room}' has no attribute 'unheard_of'"):
            getattr(import_module(f"monai_hybrid.{room}"), "unheard_of")  # noqa: B009


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_a_run_begun_with_the_names_of_before_goes_on(name: str) -> None:
    saved, now = (
        lasting(json.loads(path.read_text())) for path in (COPIES / name / "train.json", BUNDLES / name / "configs/train.json")
    )
    assert saved != now
    refuse_other_settings(saved, now, Path("update_00000001.pt"))
    with pytest.raises(ConfigError, match="learning_rate"):
        refuse_other_settings({**saved, "learning_rate": "1.0"}, now, Path("update_00000001.pt"))


def test_only_names_that_moved_are_changed() -> None:
    assert named_as_now("$bundle.updates_for(@cases)") == "$few_shot.updates_for(@cases)"
    assert named_as_now("monai_hybrid.networks.make_trainable") == "monai_hybrid.few_shot.make_trainable"
    for kept in ("$bundle.mixed_precision_pays(@device)", "monai_hybrid.networks.HybridDiffusionUNet", "$torch.float16"):
        assert named_as_now(kept) == kept


def test_the_audit_is_still_called_by_its_earlier_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", str(BUNDLES / "hybrid_pretrain")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("monai_hybrid.bundle.audit", run_name="__main__")
    assert ended.value.code == 0
    assert "ours (hybrid_pretrain)" in capsys.readouterr().out
