"""What a spacing lets a mask keep: said by `build`, minded by the plan, warned of below 0.9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prep_samples import PSR, noise, read_json, save
from typer.testing import CliRunner

from data_prep.cases import Case
from data_prep.ceiling import Ceiling, ClassCeiling, Masks
from data_prep.cli import app
from data_prep.finer import respecting
from data_prep.patches import Budget, Room

RUN = CliRunner()
SIZE = 208  # at 4 x 4 a patch of the CPU budget holds the whole picture


def vessels(step: int, width: int) -> np.ndarray:
    """A picture with lines of `width` pixels every `step`, 255 where a vessel is."""
    label = np.zeros((SIZE, SIZE), np.uint8)
    label[(np.arange(SIZE) % step) < width] = 255
    return label


def pictures(folder: Path, label: np.ndarray, cases: int = 4) -> Path:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for i in range(cases):
        grey = np.random.default_rng(i).integers(0, 255, label.shape).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"images/p{i}.png")
        Image.fromarray(np.roll(label, i, axis=0)).save(folder / f"labels/p{i}.png")
    return folder


def built(source: Path, out: Path, *words: str) -> tuple[str, dict[str, Any]]:
    done = RUN.invoke(app, ["build", str(source), "--output", str(out), *words])
    assert done.exit_code == 0, done.output + done.stderr
    return " ".join(done.output.split()), read_json(out / "plan.json")


def test_thin_lines_get_a_finer_plan_and_a_sentence(tmp_path: Path) -> None:
    said, plan = built(pictures(tmp_path / "set", vessels(12, 3)), tmp_path / "out")
    assert max(plan["spacing"]) < 2.1, "without a look at the masks it is 2.17"
    (of,) = plan["ceiling"]["classes"].values()
    assert plan["ceiling"]["spacing"] == plan["spacing"] and of["mean"] >= 0.9 and of["lost"] == 0
    assert any("instead of 2.17 x 2.17: there a mask taken to the spacing 2.17 x 2.17" in reason for reason in plan["reasons"])
    assert "D315" not in said and f"Dice {of['mean']:.2f} on average" in said


def test_a_coarse_spacing_that_was_asked_for_stays_and_warns(tmp_path: Path) -> None:
    source = pictures(tmp_path / "set", vessels(12, 2))
    said, plan = built(source, tmp_path / "out", "--spacing", "4,4")
    assert plan["spacing"] == [4, 4]
    advised = plan["ceiling"]["finer"]
    assert "D315 warning" in said and f'--spacing "{advised["spacing"][0]:g},{advised["spacing"][1]:g}" keeps 0.9' in said
    assert "plan.json" in said and "Build again with a finer --spacing" in said
    text = ",".join(f"{edge:g}" for edge in advised["spacing"])
    said, plan = built(source, tmp_path / "again", "--spacing", text)
    assert "D315" not in said and min(of["mean"] for of in plan["ceiling"]["classes"].values()) == advised["mean"] >= 0.9
    assert f"--model auto --shots 4 --spacing '[{text}]' --output runs/adapted" in said, "a model brings its own spacing"


def test_solid_structures_keep_their_plan_without_a_warning(tmp_path: Path) -> None:
    label = np.zeros((SIZE, SIZE), np.uint8)
    label[40:140, 60:150] = 255
    said, plan = built(pictures(tmp_path / "set", label), tmp_path / "out")
    assert plan["spacing"] == [2.17, 2.17] and plan["patch_size"] == [96, 96] and "D315" not in said
    assert "finer" not in plan["ceiling"]


def test_lesions_of_one_voxel_that_vanish_are_counted(tmp_path: Path) -> None:
    for i in range(5):
        label = np.zeros((12, 10, 8), np.uint8)
        label[2:8, 2:8, 2:6] = 1
        label[10, 2 * i, 4] = 2
        save(tmp_path / f"images/c{i}.nii.gz", noise((12, 10, 8), i))
        save(tmp_path / f"labels/c{i}.nii.gz", label)
    words = ("--spacing", "2,2,2", "--label-names", "1=organ,2=lesion", "--val-fraction", "0", "--test-fraction", "0")
    said, plan = built(tmp_path, tmp_path / "out", *words)
    assert plan["ceiling"]["classes"]["lesion"]["lost"] == 5 and plan["ceiling"]["classes"]["organ"]["lost"] == 0
    assert (
        "nothing is left in 5 of 5 cases" in said.replace("│ │ │ ", "") and "nothing is left of lesion in 5 of 5 cases" in said
    )


def test_axes_of_the_file_are_brought_to_those_of_the_plan(tmp_path: Path) -> None:
    """A file stored P, S, R with edges 1, 2, 3: the plan counts in R, A, S, so the spacing 3, 1, 2 changes nothing."""
    label = (np.random.default_rng(0).random((6, 7, 8)) > 0.5).astype(np.uint8)
    path = save(tmp_path / "a.nii.gz", label, PSR)
    masks = Masks([Case("a", (path,), path, split="training")], {1: "x"})
    assert masks((3, 1, 2)).lowest == 1 and masks((1, 2, 3)).lowest < 1


def test_only_training_masks_count_and_not_more_than_twenty(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", np.ones((4, 4, 4), np.uint8))
    cases = [Case(f"{i}", (path,), path if i % 2 else None, split="training" if i < 60 else "testing") for i in range(80)]
    found = Masks(cases, {1: "x"})((1, 1, 1))
    assert found.cases == 20 and found.classes == (ClassCeiling("x", 1.0, 1.0, found.classes[0].worst_case, 0, 20),)


def test_the_budget_keeps_a_quarter_of_each_axis() -> None:
    """What is good is too fine for the budget: the finest that it allows is taken, and the good one is named."""
    limits = Budget((8, 8), 1, 2, 16 * 16, 16 * 16, 4.0, 8)
    room = Room((128.0, 128.0), (1.0, 1.0), limits)

    def masks(spacing: Any) -> Ceiling:
        kept = 1 - 0.1 * (spacing[0] - 1)
        return Ceiling(tuple(spacing), 1, (ClassCeiling("x", kept, kept, "a", 0, 1),))

    chosen, entry, reasons = respecting(masks, (4.0, 4.0), False, room)
    assert chosen == (2.0, 2.0) and masks(chosen).is_good and "finer" not in entry and len(reasons) == 2
    tight = Room((256.0, 256.0), (1.0, 1.0), limits)
    chosen, entry, _ = respecting(masks, (6.0, 6.0), False, tight)
    assert chosen == (4.0, 4.0) and entry["finer"] == {"spacing": [2.0, 2.0], "mean": masks((2.0, 2.0)).lowest}
    assert respecting(masks, (1.5, 1.5), False, room)[0] == (1.5, 1.5)


@pytest.mark.parametrize(("mean", "lost", "good"), [(0.9, 0, True), (0.899, 0, False), (0.95, 2, False), (0.95, 1, True)])
def test_what_is_good(mean: float, lost: int, good: bool) -> None:
    one = ClassCeiling("x", mean, 0.0, "a", lost, 10)
    assert one.is_good == good and Ceiling.of(Ceiling((1.0, 1.0), 3, (one,)).as_dict()).is_good == good
