"""A study in which the network is told which scans are the target's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_study import flat, runner

from benchmarks.label_efficiency import runner as runner_module
from benchmarks.label_efficiency import training
from monai_hybrid.errors import ConfigError
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import read_card

PLAIN = {"like": "hybrid", "learning_rate": 0.01, "pretrain": {"unlabelled_target": True, "source_labels": 0.5}}
TOLD = {"like": "plain", "learning_rate": 0.01, "pretrain": {"domain_label": True}}


def test_source_and_target_are_told_apart_throughout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, bool, int]] = set()
    asked: set[int] = set()
    real, plain = training.Resumed, HybridDiffusionUNet.forward

    def watched(self: Any, x: Any, timesteps: Any = None, return_noise: bool = False, class_labels: Any = None) -> Any:
        if self.num_class_embeds and not self.training and class_labels is None:
            asked.add(self.domain)
        return plain(self, x, timesteps, return_noise, class_labels)

    def kept(stream: Any) -> Any:
        for batch in stream:
            for i, name in enumerate(batch["case_id"]):
                domain = int(batch["domain"][i]) if "domain" in batch else -1
                seen.add((name, bool(batch["has_label"][i]), domain))
        return real(stream)

    monkeypatch.setattr(training, "Resumed", kept)
    monkeypatch.setattr(runner_module, "worst_cases", lambda *_: None)
    monkeypatch.setattr(HybridDiffusionUNet, "forward", watched)
    arms = {"plain": PLAIN, "told": TOLD, "replay": {**TOLD, "like": "told", "finetune": {"source_replay": True}}}
    study = flat(arms=arms, shots=[0, 1], pretrain={"updates": 12, "curve": 1, "batch_size": 4, "labelled_share": 0.3},
                 finetune={"updates": 6, "batch_size": 2})  # fmt: skip
    whole = runner(tmp_path, study)
    assert whole.work() == 0
    source = {case["case_id"] for case in whole.data.pretraining}
    target = {case["case_id"] for case in whole.data.pool}
    domains = {(case in source, has_label, domain) for case, has_label, domain in seen}
    assert domains == {
        (True, True, -1), (True, False, -1), (False, False, -1), (False, True, -1),  # plain
        (True, True, 0), (True, False, 0), (False, False, 1), (False, True, 1),
    }  # fmt: skip
    assert asked == {0, 1} and not source & target
    cards = [read_card(path) or {} for path in tmp_path.glob("pretrained/*/model.safetensors")]
    assert sorted(card["network"].get("num_domains", 0) for card in cards) == [0, 2]


@pytest.mark.parametrize(
    "arm",
    [
        {"like": "hybrid", "pretrain": {"domain_label": True}},
        {"like": "pixel_head", "pretrain": {"domain_label": True, "unlabelled_target": True}},
        {"like": "hybrid", "zero_shot": False, "pretrain": {"domain_label": True, "unlabelled_target": True, "shapes": True}},
    ],
)
def test_arms_without_two_domains_are_refused(arm: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"arm a: domain_label: expected kind hybrid_unet, and unlabelled_target: true"):
        flat(arms={"a": arm})
