"""Two runs, case by case; and the command that prints it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import torch
from made_cases import evaluate
from torch import Tensor
from warm import run_module

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation import __main__ as command
from monai_hybrid.evaluation import compare
from monai_hybrid.evaluation.__main__ import main
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.evaluation.comparison import Difference

ABOUT = {"dataset": "made", "split": "testing"}
Cases = dict[str, tuple[Tensor, Tensor]]


def noisy(flip: float, n: int = 8) -> Cases:
    """The same labels each time; predictions with a share of voxels drawn anew."""
    cases = {}
    for i in range(n):
        generator = torch.Generator().manual_seed(i)
        label = torch.zeros(1, 10, 10, 10, dtype=torch.int64)
        label[:, 2:8, 2:8, 1:5], label[:, 2:8, 2:8, 6:9] = 1, 2
        noise = torch.randint(0, 3, label.shape, generator=generator)
        pred = torch.where(torch.rand(label.shape, generator=generator) < flip * (1 + i / n), noise, label)
        cases[f"case_{i}"] = (pred, label)
    return cases


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    evaluate(tmp_path / "a", noisy(0.4), about={**ABOUT, "model": "a.pt"})
    evaluate(tmp_path / "b", noisy(0.1), about={**ABOUT, "model": "b.pt"})
    return tmp_path / "a", tmp_path / "b"


def one(found: list[Difference], metric: str, name: str) -> Difference:
    return next(d for d in found if (d.metric, d.name) == (metric, name))


def test_differences_are_those_of_the_tables(runs: tuple[Path, Path]) -> None:
    found = compare(*runs)
    assert [(d.metric, d.name) for d in found] == [(m, c) for m in ("dice", "nsd", "hd95") for c in ("all", "liver", "spleen")]
    a, b = ([row["dice"] for row in read_cases(run) if row["class"] == "liver"] for run in runs)
    liver = one(found, "dice", "liver")
    assert liver.n == 8 and liver.difference == pytest.approx(np.mean(b) - np.mean(a)) and liver.difference > 0
    assert (liver.mean_a, liver.mean_b) == (pytest.approx(np.mean(a)), pytest.approx(np.mean(b)))
    assert liver.interval is not None and liver.interval[0] <= liver.difference <= liver.interval[1]
    assert liver.test.p == pytest.approx(scipy.stats.wilcoxon(b, a).pvalue)
    everything = [[row["dice"] for row in read_cases(run)] for run in runs]
    by_case = [np.reshape(values, (8, 2)).mean(1) for values in everything]
    assert one(found, "dice", "all").difference == pytest.approx((by_case[1] - by_case[0]).mean())


def test_patients_are_the_unit_of_interval_and_test(tmp_path: Path) -> None:
    """Sixteen cases of eight patients: p is that of eight means, and three patients get none, however many cases they have."""
    cases = {name: noisy(flip, n=16) for name, flip in (("a", 0.4), ("b", 0.1))}
    for number, expected in ((8, None), (3, "no p: 3 of 3 pairs differ, 6 needed")):
        patients = {f"case_{i}": f"p{i % number}" for i in range(16)}
        for name, made in cases.items():
            evaluate(tmp_path / name, made, about=ABOUT, patients=patients)
        liver = one(compare(tmp_path / "a", tmp_path / "b"), "dice", "liver")
        assert (liver.n, liver.patients, liver.test.pairs) == (16, number, number)
        if expected:
            assert liver.test.p is None and liver.test.note == expected
            continue
        a, b = ([row["dice"] for row in read_cases(tmp_path / x) if row["class"] == "liver"] for x in "ab")
        means = [np.reshape(values, (2, 8)).mean(0) for values in (a, b)]
        assert liver.test.p == pytest.approx(scipy.stats.wilcoxon(means[1], means[0]).pvalue)
        assert liver.difference == pytest.approx(np.mean(b) - np.mean(a))


def test_a_table_without_patients_takes_them_from_the_other(tmp_path: Path) -> None:
    patients = {f"case_{i}": f"p{i % 4}" for i in range(8)}
    evaluate(tmp_path / "a", noisy(0.4), about=ABOUT)
    evaluate(tmp_path / "b", noisy(0.1), about=ABOUT, patients=patients)
    for pair in (("a", "b"), ("b", "a")):
        assert one(compare(*(tmp_path / x for x in pair)), "dice", "liver").patients == 4


def test_exchanged_runs_change_the_sign_only(runs: tuple[Path, Path]) -> None:
    for there, back in zip(compare(*runs), compare(*reversed(runs)), strict=True):
        assert back.difference == pytest.approx(-there.difference) and back.test.p == there.test.p


def test_a_run_against_itself_has_no_difference_and_no_p(runs: tuple[Path, Path]) -> None:
    for d in compare(runs[0], runs[0]):
        assert d.difference == 0 and d.interval == (0, 0) and d.test.p is None


def test_an_invention_stays_in_the_comparison(tmp_path: Path) -> None:
    """The label has no spleen in case_0; A invents one. Dropping the pair would forgive it."""
    good, bad = noisy(0.1), noisy(0.1)
    label = good["case_0"][1].clone()
    label[label == 2] = 0
    good["case_0"], bad["case_0"] = (label, label), (bad["case_0"][0], label)
    evaluate(tmp_path / "a", bad, about=ABOUT)
    evaluate(tmp_path / "b", good, about=ABOUT)
    d = one(compare(tmp_path / "a", tmp_path / "b"), "dice", "spleen")
    assert d.n == 8 and d.difference == pytest.approx(1 / 8)
    distance = one(compare(tmp_path / "a", tmp_path / "b"), "hd95", "spleen")
    assert distance.difference == pytest.approx(-10 * 3**0.5 / 8)
    evaluate(tmp_path / "a", good, about=ABOUT)
    assert one(compare(tmp_path / "a", tmp_path / "b"), "dice", "spleen").n == 7


def test_other_cases_labels_and_settings_are_refused(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    evaluate(tmp_path / "c", noisy(0.1, n=7), about=ABOUT)
    with pytest.raises(DataError, match=r"only in .*a: case_7 liver, case_7 spleen; evaluate both models on the same cases"):
        compare(runs[0], tmp_path / "c")
    other = {k: (p, y * (y != 2)) for k, (p, y) in noisy(0.1).items()}
    evaluate(tmp_path / "c", other, about=ABOUT)
    with pytest.raises(DataError, match="the label differs in case_0 spleen, case_1 spleen, case_2 spleen and 5 more"):
        compare(runs[0], tmp_path / "c")
    evaluate(tmp_path / "c", noisy(0.1), about=ABOUT, nsd_tolerance=1.0)
    with pytest.raises(
        DataError,
        match=r"nsd_tolerance: 2.0 in .*a, 1.0 in .*c; evaluate both models in the same way, such as with --nsd_tolerance 2",
    ):
        compare(runs[0], tmp_path / "c")
    evaluate(tmp_path / "c", noisy(0.1), about=ABOUT)
    assert compare(runs[0], tmp_path / "c")


def test_a_folder_without_an_evaluation_is_refused(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=r"none: no cases.csv; expected the output of monai-hybrid evaluate$"):
        compare(runs[0], tmp_path / "none")
    shutil.copytree(runs[0], tmp_path / "my run/eval")
    with pytest.raises(DataError) as told:  # the run whose scores lie in it
        compare(runs[0], tmp_path / "my run")
    assert shlex.split(str(told.value).partition("Give ")[2]) == [str(tmp_path / "my run/eval")]
    (tmp_path / "d").mkdir()
    for text, message in (
        ("case_id,class\na,b\n", "not a table of evaluate.json"),
        ("case_id,class,dice,label_voxels,pred_voxels\na,b,x,1,1\n", "not a table of evaluate.json"),
        ("case_id,class,dice,label_voxels,pred_voxels\na,b,1,1,1\na,b,1,1,1\n", "case a, class b appears twice"),
    ):
        (tmp_path / "d/cases.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            compare(tmp_path / "d", tmp_path / "d")


def test_an_older_table_of_dice_alone_is_read_by_the_new_policy(tmp_path: Path) -> None:
    rows = ["a,liver,0.5,10,10", "b,liver,1.0,0,0", "c,liver,0.0,0,4", "d,liver,0.0,4,0"]
    (tmp_path / "dice.csv").write_text("case_id,class,dice,label_voxels,pred_voxels\n" + "\n".join(rows) + "\n")
    (tmp_path / "summary.json").write_text(json.dumps({"dice": {}}))
    assert [(row["status"], row["dice"]) for row in read_cases(tmp_path)] == [
        ("ok", 0.5), ("absent", None), ("invented", 0), ("missed", 0),
    ]  # fmt: skip
    assert [(d.metric, d.name, d.n) for d in compare(tmp_path, tmp_path)] == [("dice", "all", 3), ("dice", "liver", 3)]


def test_the_command_prints_every_difference(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(sys, "argv", ["evaluation", *map(str, runs)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    printed = capsys.readouterr().out
    for d in compare(*runs):
        digits = 2 if d.metric == "hd95" else 3
        assert f"{d.difference:+.{digits}f}" in printed
    assert "of HD95 less" in " ".join(printed.split()) and "not corrected" in printed


def test_the_command_ends_its_errors_in_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = run_module("monai_hybrid.evaluation", [str(tmp_path), str(tmp_path)], tmp_path, environment)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: {tmp_path}: no cases.csv") and done.stderr.count("\n") == 1


def test_the_table_is_readable_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = SimpleNamespace(p=None, note="no p: 0 of 2 pairs differ, 6 needed")
    rows = [
        SimpleNamespace(
            metric=m,
            name="ventricle",
            n=2,
            patients=2,
            mean_a=24.1,
            mean_b=23.0,
            difference=-1.1,
            interval=(-1.5, 2.0),
            test=test,
        )
        for m in ("dice", "nsd", "hd95")
    ]
    monkeypatch.setattr(command, "compare", lambda *_: rows)
    monkeypatch.setenv("COLUMNS", "80")
    command.print_comparison(Path("a"), Path("b"))
    shown = capsys.readouterr().out
    assert "…" not in shown and shown.count("ventricle") == 6 and "-1.500 to +2.000" in shown
    assert "no p: 0 of 2 pairs differ, 6 needed: Dice of ventricle, NSD of ventricle, HD95 of ventricle" in shown
