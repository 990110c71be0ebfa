"""forgetting.json against the two tables it is made from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from made_cases import evaluate
from torch import Tensor

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.forgetting import write_forgetting

PATIENTS = {f"case_{i}": f"p{i // 2}" for i in range(8)}


def cases(flip: float, spleen: bool = True) -> dict[str, tuple[Tensor, Tensor]]:
    """Eight cases; predictions with a share of voxels drawn anew."""
    made = {}
    for i, name in enumerate(PATIENTS):
        generator = torch.Generator().manual_seed(i)
        label = torch.zeros(1, 10, 10, 10, dtype=torch.int64)
        label[:, 2:8, 2:8, 1:5], label[:, 2:8, 2:8, 6:9] = 1, 2 * spleen
        noise = torch.randint(0, 3, label.shape, generator=generator)
        made[name] = (torch.where(torch.rand(label.shape, generator=generator) < flip, noise, label), label)
    return made


def means(folder: Path, name: str) -> float:
    return float(np.mean([row["dice"] for row in read_cases(folder) if row["class"] == name]))


@pytest.mark.parametrize(
    ("after", "verdict"), [(0.5, "it has forgotten."), (0.05, "it has gained there too."), (0.2, "no clear change.")]
)
def test_the_entries_are_those_of_the_tables(after: float, verdict: str, tmp_path: Path) -> None:
    evaluate(tmp_path / "source_before", cases(0.2), patients=PATIENTS)
    evaluate(tmp_path / "source_after", cases(after), patients=PATIENTS)
    write_forgetting(tmp_path, "made", True, ["kidney"])
    content = json.loads((tmp_path / "forgetting.json").read_text())
    assert (content["source"], content["metric"], content["cases"], content["patients"]) == ("made", "dice", 8, 4)
    assert list(content["classes"]) == ["liver", "spleen"] and content["not_compared"] == ["kidney"]
    for name, of in content["classes"].items():
        before, new = (means(tmp_path / x, name) for x in ("source_before", "source_after"))
        assert (of["before"], of["after"], of["difference"]) == pytest.approx((before, new, new - before))
        assert of["interval"][0] <= of["difference"] <= of["interval"][1]
    both = [of["difference"] for of in content["classes"].values()]
    assert content["mean"]["difference"] == pytest.approx(np.mean(both))
    assert content["sentence"].endswith(verdict) and "made, 8 cases of 4 patients" in content["sentence"]


def test_without_the_model_before_there_is_no_difference(tmp_path: Path) -> None:
    evaluate(tmp_path / "source_before", cases(0.2), patients=PATIENTS)  # of an earlier run: must not be read
    evaluate(tmp_path / "source_after", cases(0.2), patients=PATIENTS)
    content = write_forgetting(tmp_path, "made", False, [])
    assert content["classes"]["liver"] == {
        "before": None, "after": pytest.approx(means(tmp_path / "source_after", "liver")), "difference": None, "interval": None,
    }  # fmt: skip
    assert "the model before adaptation was not at hand" in content["sentence"]


def test_a_structure_that_no_case_has_stays_with_nulls(tmp_path: Path) -> None:
    for when in ("source_before", "source_after"):
        perfect = {name: (label, label) for name, (_, label) in cases(0, spleen=False).items()}
        evaluate(tmp_path / when, perfect, patients=PATIENTS)
    content = write_forgetting(tmp_path, "made", True, [])
    assert set(content["classes"]["spleen"].values()) == {None}
    assert content["mean"] == {"before": 1, "after": 1, "difference": 0, "interval": [0, 0]}


def test_one_patient_says_nothing_about_others(tmp_path: Path) -> None:
    for when, flip in (("source_before", 0.1), ("source_after", 0.4)):
        evaluate(tmp_path / when, cases(flip), patients=dict.fromkeys(PATIENTS, "p"))
    content = write_forgetting(tmp_path, "made", True, [])
    assert content["mean"]["interval"] is None and "8 cases of 1 patient (-" in content["sentence"]
    assert content["sentence"].endswith("one patient says nothing about others.")


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    evaluate(tmp_path / "source_after", cases(0.2))
    with pytest.raises(DataError, match=r"source_before: no cases.csv"):
        write_forgetting(tmp_path, "made", True, [])
    assert not (tmp_path / "forgetting.json").exists()
