"""The arithmetic of the report, on made results with known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.label_efficiency.forest import KINDS, Pair, difference_figure
from benchmarks.label_efficiency.report import (
    contrasts,
    curve,
    fill,
    forest_pairs,
    longest_pair,
    markdown,
    overview,
    runs,
    signed,
    summarise,
    write_report,
)
from benchmarks.label_efficiency.statistics import Scores, difference, interval, labels_needed, tabulate
from monai_hybrid.errors import DataError

PATIENTS = {f"{p}{s}": p for p in "abcdefgh" for s in range(2)}
BASE = {"hybrid": {0: 0.5, 1: 0.7, 3: 0.8}, "supervised": {0: 0.4, 1: 0.6, 3: 0.7, 10: 0.9}, "scratch": {1: 0.2, 3: 0.3},
        "nnunet_scratch": {1: 0.3, 3: 0.5}}  # fmt: skip


def made(folder: Path, base: dict[str, dict[int, float]] = BASE) -> Path:
    """Two draws and two seeds; the two slices of a patient lie 0.05 on either side of its score."""
    folder.mkdir()
    lines: list[dict[str, Any]] = []
    for arm, points in base.items():
        for shots, score in points.items():
            for draw, seed in [(0, 0), (0, 1), (1, 0), (1, 1)] if shots else [(0, 0), (0, 1)]:
                shift = 0.01 * (draw - 0.5) + 0.002 * (seed - 0.5) if shots else 0.0
                dice = {c: [score + shift + (0.05 if c[1] == "0" else -0.05)] for c in PATIENTS}
                lines.append({"arm": arm, "seed": seed, "draw": draw, "shots": shots, "dice": dice, "source_before": None,
                              "source_after": 0.5, "seconds": 2.0, "updates": 3})  # fmt: skip
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "patients.json").write_text(json.dumps(PATIENTS))
    study = {"name": folder.name, "title": "Made up", "arms": {name: {} for name in [*base, "nnunet_supervised"]}}
    (folder / "study.json").write_text(json.dumps(study))
    return folder


def test_tables_of_known_results(tmp_path: Path) -> None:
    made(tmp_path / "one")
    text = write_report(tmp_path, tmp_path / "docs")
    assert "| hybrid | 0.500 [0.500, 0.500] | 0.700 [0.694, 0.706] | 0.800 [0.794, 0.806] | - |" in text
    assert "| scratch | - | 0.200" in text and "| nnunet_supervised | not run | not run | not run | not run |" in text
    assert (
        "| 3 | hybrid | supervised | best other own arm, better of supervised and diffusion "
        "| +0.100 | [+0.100, +0.100] | 0.0078 | 4 |" in text
    )
    assert "| 3 | hybrid | nnunet_scratch | peer | +0.300 | [+0.300, +0.300] | 0.0078 | 4 |" in text
    # 0.8 lies half-way between 0.7 at 3 and 0.9 at 10 labels: sqrt(30) labels.
    assert "Labels saved: hybrid reaches 0.800 with 3 labels; supervised needs 5.5 (factor 1.83)." in text
    report = json.loads((tmp_path / "report.json").read_text())["one"]
    assert report["labels_saved"]["needed"] == pytest.approx({"supervised": 30**0.5, "scratch": None, "nnunet_scratch": None})
    assert len(report["runs"]) == 40 and "dice" not in report["runs"][0]
    for file in ("notes/label_efficiency.md", "data/label_efficiency.json", "pictures/label_efficiency.png"):
        assert (tmp_path / "docs" / file).is_file()
    assert text in (tmp_path / "docs/notes/label_efficiency.md").read_text()


def test_two_arms_are_set_against_each_other_where_both_were_run(tmp_path: Path) -> None:
    made(tmp_path / "one")
    rows = contrasts(tmp_path, [["supervised", "scratch"]]).splitlines()[2:]
    assert rows == [
        "| one | 1 | supervised | scratch | +0.400 | [+0.400, +0.400] | 4 |",
        "| one | 3 | supervised | scratch | +0.400 | [+0.400, +0.400] | 4 |",
    ]
    with pytest.raises(DataError, match=r"--minus supervised nnunet_supervised: .* has no runs of both"):
        contrasts(tmp_path, [["supervised", "nnunet_supervised"]])


def test_each_run_has_the_mean_of_its_patients(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {1: 0.7}})
    told = runs(tmp_path)
    assert [(run["draw"], run["seed"], run["dice"]) for run in told] == [
        (0, 0, 0.694),
        (0, 1, 0.696),
        (1, 0, 0.704),
        (1, 1, 0.706),
    ]
    assert {run["cases"] for run in told} == {16}


def test_never_reached_is_said(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {3: 0.8}, "supervised": {1: 0.5, 3: 0.6, 10: 0.7}})
    assert "no other own arm reaches that with any number tried (factor above 3.3)" in write_report(tmp_path)
    made(tmp_path / "two", {"hybrid": {3: 0.8}, "supervised": {1: 0.5, 3: 0.6}})
    assert write_report(tmp_path).count("Labels saved") == 1  # of three labels against three nothing can be said


def test_an_ablation_has_a_row_with_its_difference(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {3: 0.8}, "hybrid_ce": {3: 0.82}, "supervised": {3: 0.6}})
    text = markdown(summarise(tmp_path / "one"))
    assert "| 3 | hybrid | hybrid_ce | ablation | -0.020 |" in text and "| 3 | hybrid | supervised | best other own arm" in text


def test_an_ablation_is_set_against_the_arm_it_changes(tmp_path: Path) -> None:
    arms = {
        "hybrid": 0.8,
        "hybrid_9": 0.85,
        "supervised_9": 0.7,
        "hybrid_9_small_t": 0.83,
        "two_pass_long": 0.6,
        "hybrid_long": 0.9,
    }
    study = made(tmp_path / "one", {name: {3: score} for name, score in arms.items()}) / "study.json"
    content = json.loads(study.read_text())
    content["arms"]["hybrid_9_small_t"] = {"like": "hybrid_9"}
    study.write_text(json.dumps(content))
    text = markdown(summarise(tmp_path / "one"))
    assert "| 3 | hybrid_9 | hybrid_9_small_t | ablation | +0.020 |" in text and "| 3 | hybrid | hybrid_9_small_t" not in text
    assert "| 3 | hybrid_long | two_pass_long | other own arm | +0.300 |" in text


def test_an_arm_that_reads_target_scans_is_set_against_the_references(tmp_path: Path) -> None:
    base = {"hybrid": {3: 0.8}, "hybrid_target_images": {3: 0.85}, "supervised": {3: 0.6}, "diffusion": {3: 0.5}}
    made(tmp_path / "one", base)
    text = markdown(summarise(tmp_path / "one"))
    assert "| 3 | hybrid_target_images | supervised | better of supervised and diffusion | +0.250 |" in text


def test_a_pair_of_one_change_is_set_against_each_other(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {3: 0.8}, "supervised": {3: 0.6}, "hybrid_long": {3: 0.85}, "supervised_long": {3: 0.75}})
    assert "| 3 | hybrid_long | supervised_long | counterpart | +0.100 |" in markdown(summarise(tmp_path / "one"))
    summary = summarise(tmp_path / "one")
    assert longest_pair(summary) == ("hybrid_long", "supervised_long")
    assert curve(summary, "hybrid_long", "hybrid_longest").points[0][:2] == (3, pytest.approx(0.85))


def test_the_second_figure_shows_the_pairs_that_change_both_alike(tmp_path: Path) -> None:
    ends = ("", "_9", "_9_long", "_best_long", "_labels_10")
    pairs = {f"{arm}{end}": {0: 0.5, 3: 0.6} for arm in ("hybrid", "supervised") for end in ends}
    made(tmp_path / "one", {**pairs, "hybrid_same_rate": {3: 0.7}, "hybrid_target_images": {3: 0.7}, "diffusion": {3: 0.1}})
    write_report(tmp_path, tmp_path / "docs")
    shown = forest_pairs(summarise(tmp_path / "one"))
    assert {pair.kind for pair in shown} == set(KINDS) and {pair.shots for pair in shown} == {3}
    assert Image.open(tmp_path / "docs/pictures/label_efficiency_differences.png").size[0] > 500


def test_the_overview_has_a_line_a_study_and_kind_and_marks_what_is_told_from_zero(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {1: 0.7, 3: 0.6}, "supervised": {1: 0.6, 3: 0.6}, "hybrid_same_rate": {1: 0.5}})
    made(tmp_path / "ablations_one", {"hybrid": {1: 0.7}, "supervised": {1: 0.6}})
    (tmp_path / "docs/notes").mkdir(parents=True)
    (tmp_path / "docs/notes/label_efficiency.md").write_text("# Story\n\n<!-- overview -->\n<!-- /overview -->\n\nand so on\n")
    write_report(tmp_path, tmp_path / "docs")
    shown = (tmp_path / "docs/notes/label_efficiency.md").read_text().split("<!-- /overview -->")[0].splitlines()[4:]
    assert [line.strip("| ").split(" | ") for line in shown[1:]] == [
        ["Made up", "as the studies began", "**+0.100 [+0.100, +0.100]**", "0.000 [0.000, 0.000]", "4"],
        ["at supervised's learning rate", "**-0.100 [-0.100, -0.100]**", "-", "4"],
    ], shown


@pytest.mark.parametrize(("number", "text"), [(0.0004, "0.000"), (-0.0004, "0.000"), (0.0006, "+0.001"), (-0.25, "-0.250")])
def test_what_rounds_to_nothing_has_no_sign(number: float, text: str) -> None:
    assert signed(number) == text


def test_nothing_to_set_against_each_other_makes_no_overview(tmp_path: Path) -> None:
    made(tmp_path / "one", {"hybrid": {1: 0.7}, "diffusion": {1: 0.6}})
    assert overview({"one": summarise(tmp_path / "one")}) == ""


def test_arms_that_ask_another_question_are_not_the_longest(tmp_path: Path) -> None:
    ends = ("_9", "_long", "_labels_10", "_best_long", "_long_9")
    arms = [f"{arm}{end}" for end in ends for arm in ("hybrid", "supervised")]
    made(tmp_path / "one", {arm: {3: 0.8} for arm in arms})
    assert longest_pair(summarise(tmp_path / "one")) == ("hybrid_long", "supervised_long")


def test_what_changes_hybrid_alone_is_set_against_supervised_and_longer_arms_against_the_peer(tmp_path: Path) -> None:
    base = {"hybrid_same_rate": {3: 0.85}, "supervised": {3: 0.6}, "supervised_9": {3: 0.7}, "hybrid_target_images_9": {3: 0.9}}
    made(tmp_path / "one", {"hybrid": {3: 0.8}, **base, "hybrid_9_long": {3: 0.9}, "nnunet_scratch_long": {3: 0.5}})
    text = markdown(summarise(tmp_path / "one"))
    assert "| 3 | hybrid_same_rate | supervised | counterpart | +0.250 |" in text
    assert "| 3 | hybrid_target_images_9 | supervised_9 | counterpart | +0.200 |" in text
    assert "| 3 | hybrid_9_long | nnunet_scratch_long | peer | +0.400 |" in text
    assert longest_pair(summarise(tmp_path / "one")) == ()


def test_no_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no results\.jsonl in it or in its folders; expected the --output_dir"):
        write_report(tmp_path)


def test_a_page_keeps_what_stands_around_the_tables() -> None:
    page = "# Title\n\n<!-- a -->\nold\n<!-- /a -->\n\nlast words\n"
    filled = fill(page, {"a": r"new \1", "b": "more"})
    assert filled == "# Title\n\n<!-- a -->\nnew \\1\n<!-- /a -->\n\nlast words\n\n<!-- b -->\nmore\n<!-- /b -->\n"
    assert fill(filled, {"a": r"new \1", "b": "more"}) == filled


def test_differences_use_the_runs_that_both_arms_have() -> None:
    a = np.full((2, 2, 8), 0.8)
    b = np.full((2, 2, 8), 0.7)
    b[0, 1], a[1, 1] = np.nan, 5.0  # a's odd run has a partner; the missing one of b has none
    d = difference(Scores(a, 4), Scores(b, 3))
    assert d is not None and d.runs == 3 and d.mean == pytest.approx((0.1 + 0.1 + 4.3) / 3)
    assert difference(Scores(np.full((1, 1, 2), np.nan), 0), Scores(np.ones((1, 1, 2)), 1)) is None


def test_the_interval_knows_of_draws_and_of_patients() -> None:
    rng = np.random.default_rng(0)
    by_draw = np.broadcast_to(rng.normal(size=(6, 1, 1)), (6, 1, 500))
    by_patient = np.broadcast_to(rng.normal(size=(1, 1, 24)), (50, 1, 24))
    for values, n in ((by_draw, 6), (by_patient, 24)):
        low, high = interval(np.array(values)) or (0.0, 0.0)
        spread = np.unique(values).std() / n**0.5
        assert 2.8 * spread < high - low < 4.6 * spread  # about 2 x 1.96 standard errors, however long the other axis
    assert interval(np.ones((1, 1, 1))) is None and interval(np.full((2, 1, 3), np.nan)) is None
    holes = np.full((3, 2, 4), np.nan)
    holes[0, 0] = [0.1, 0.2, 0.3, 0.4]
    assert (interval(holes) or (0,))[0] >= 0.1  # draws that were not run widen nothing and hide nothing


def test_labels_needed() -> None:
    curve = {0: 0.9, 1: 0.5, 2: 0.6, 8: 0.8}
    assert labels_needed(curve, 0.4) == 1 and labels_needed(curve, 0.6) == pytest.approx(2)
    assert labels_needed(curve, 0.7) == pytest.approx(4) and labels_needed(curve, 0.81) is None


def test_scores_are_means_of_a_patient() -> None:
    record = {"arm": "x", "shots": 1, "draw": 1, "seed": 0, "dice": {"a0": [0.2, 0.4], "a1": [0.6, 0.8], "b0": [1.0, 0.0]}}
    scores = tabulate([record], {"a0": "a", "a1": "a", "b0": "b"})["x", 1]
    assert scores.values.shape == (2, 1, 2) and scores.values[1, 0].tolist() == [0.5, 0.5] and scores.runs == 1
    assert np.isnan(scores.values[0]).all() and scores.mean == 0.5


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_the_legend_of_the_differences_stays_within_the_picture(panels: int, tmp_path: Path) -> None:
    pairs = [Pair(kind, 1, 0.01, (0.0, 0.02), 4) for kind in KINDS]
    difference_figure({f"study {i}": pairs for i in range(panels)}, tmp_path / "figure.png")
    picture = np.asarray(Image.open(tmp_path / "figure.png").convert("L"))
    legend = picture[-picture.shape[0] // 5 :]
    assert (legend < 128).any() and (legend[:, :4] == 255).all() and (legend[:, -4:] == 255).all()
