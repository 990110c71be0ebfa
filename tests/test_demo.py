"""`make demo`: every step runs, and the numbers are those of a network that has learnt something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.demo import FULL, SHORT, Story, steps_of

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_three_labels_of_scanner_b_beat_the_model_of_a_and_training_from_scratch(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "monai_hybrid.demo", "--output_dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    before, scratch, adapted = (
        json.loads((tmp_path / name / "eval/summary.json").read_text())["dice"]["all"]["mean"]
        for name in ("pretrained", "scratch", "adapted")
    )
    assert adapted > 0.5 and adapted > before + 0.05 and adapted > scratch
    for file in ("report.html", "prediction.png", "samples/contact_sheet.png", "adapted/models/model.safetensors"):
        assert (tmp_path / file).is_file()
    assert (tmp_path / "adapted/eval/forgetting.json").is_file()


def test_outside_the_repository_the_demo_runs_the_bundles_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [step.words for step in steps_of(SHORT, tmp_path)[0] if "monai.bundle" in step.words]
    assert len(runs) == 8
    for words in runs:
        folder = Path(words[words.index("--bundle_root") + 1])
        config = Path(words[words.index("--config_file") + 1])
        assert folder == bundle_folder(folder.name) and config.parent == folder / "configs" and config.is_file()
    monkeypatch.chdir(ROOT)
    assert not any("--bundle_root" in step.words for step in steps_of(SHORT, tmp_path)[0])


def test_adapted_and_scratch_have_equal_labels_and_updates_and_every_command_is_told(tmp_path: Path) -> None:
    for story in (SHORT, FULL):
        steps, runs = steps_of(story, tmp_path)
        tuned = [step.words for step in steps if "bundles/few_shot_finetune/configs/train.json" in step.words]
        assert len(tuned) == 2
        for setting in ("--shots", "--updates", "--dataset_dir"):
            first, second = (words[words.index(setting) + 1] for words in tuned)
            assert first == second
        assert list(runs) == ["before", "scratch", "adapted"]
        assert steps[-1].title == "the report" and len(steps) == 13


def test_the_short_story_is_short(tmp_path: Path) -> None:
    def seconds(story: Story) -> float:
        return sum(step.seconds for step in steps_of(story, tmp_path)[0])

    assert seconds(SHORT) < 420  # with two cores without AVX-512; ten minutes are promised
    assert seconds(FULL) > 3 * seconds(SHORT)
