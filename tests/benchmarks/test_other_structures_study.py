"""A study whose target has other structures than its source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_study import FLAT, runner

from benchmarks.label_efficiency import runner as runner_module
from benchmarks.label_efficiency.study import Study, parse_study
from monai_hybrid.errors import DataError

BUILD = {"spacing": "1,1", "modality": "MRI", "val_fraction": 0.34, "test_fraction": 0.34}
NETWORK = {"channels": [8, 16], "num_res_blocks": [1, 1], "attention_levels": [False, False], "num_head_channels": 8}


def study(**changes: Any) -> Study:
    """One structure at the source, two at the target: a wall around it is new."""
    own = {
        "name": "other_structures",
        "source": {"raw": "source", "build": {**BUILD, "label_names": "1=LV"}},
        "target": {"raw": "target", "pool": ["training", "validation"], "build": {**BUILD, "label_names": "1=wall,2=LV"}},
        "spacing": [1, 1], "patch_size": [16, 16], "network": NETWORK,
        "shots": [1], "learning_rates": [0.001], "arms": ["scratch", "supervised"],
    }  # fmt: skip
    return parse_study({**FLAT, **own, **changes})


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six pictures a domain: a bright disc, at the target with a wall."""
    monkeypatch.setattr(runner_module, "worst_cases", lambda *_: None)
    grid = np.hypot(*np.mgrid[-8:8, -8:8])
    for domain, disc in (("source", 1), ("target", 2)):
        for number in range(6):
            label = np.where(grid < 3 + number % 2, disc, np.where(grid < 6, disc - 1, 0)).astype(np.uint8)
            noise = np.random.default_rng(number).integers(0, 30, label.shape)
            for folder, values in (("images", 80 * label + noise), ("labels", label)):
                (tmp_path / domain / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(tmp_path / domain / folder / f"p{number}.png")
    return tmp_path


def test_the_target_is_scored_on_its_own_structures(raw: Path) -> None:
    """Both of the target's structures have a Dice; the source, which has another list, is not scored after fine-tuning."""
    own = runner(raw, study())
    assert own.work() == 0
    records = runner_module.records.read(raw / "results.jsonl")
    assert {record["arm"] for record in records} == {"scratch", "supervised"}
    for record in records:
        assert all(len(values) == 2 for values in record["dice"].values())
        assert record["source_after"] is None
    (supervised,) = (record for record in records if record["arm"] == "supervised")
    assert supervised["source_before"] is not None


def test_a_structure_of_equal_name_takes_the_weights_of_the_source(raw: Path) -> None:
    """At a rate of nothing the rows of LV stay those of the source. They are the third now, and were the second."""
    own = runner(raw, study(arms={"supervised": {"learning_rate": 0.0}}))
    arm, data = own.study.arms["supervised"], own.data
    source = own.starting_network(arm, 0).state_dict()["out.mask.conv.weight"]
    _, network = own.finetune(arm, 0, 0, 1, 0.0, data.pool[:1], data.pool, data.target_store)
    target = network.state_dict()["out.mask.conv.weight"]
    assert len(source) == 2 and len(target) == 3
    torch.testing.assert_close(target[2], source[1])
    assert not torch.allclose(target[1], source[1], atol=0.01)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shots": [0, 1]}, "shots: 0"),
        ({"learning_rates": [0.001, 0.01]}, "learning_rates: more than one"),
        ({"arms": {"replay": {"like": "supervised", "finetune": {"source_replay": True}}}}, "arm replay: source_replay"),
    ],
)
def test_what_needs_equal_labels_is_refused(raw: Path, changes: dict[str, Any], said: str) -> None:
    """A run without labels, a choice of rates on the source, and replayed masks have no meaning between two lists."""
    with pytest.raises(DataError, match="expected the same for") as told:
        runner(raw, study(**changes))
    assert said in str(told.value)
