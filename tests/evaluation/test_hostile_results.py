"""`compare` and `report` on results that are broken or of strangers: a sentence, or a page where every name is text."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.__main__ import difference_table
from monai_hybrid.evaluation.case_table import write_cases
from monai_hybrid.evaluation.comparison import compare
from monai_hybrid.reporting.inputs import read_history, read_inputs
from monai_hybrid.reporting.report import write_report

ABOUT = '{"dataset": "d", "split": "testing", "unit": "mm", "nsd_tolerance": 2.0}'


def evaluation(folder: Path, about: str = ABOUT, name: str = "liver", dice: float | None = 0.5) -> Path:
    folder.mkdir()
    sizes = {"label_voxels": 9, "pred_voxels": 9, "label_ml": 0.1, "pred_ml": 0.1}
    scores = {"dice": dice, "nsd": 0.5, "hd95": 1.0, "status": "ok"}
    write_cases([{"case_id": case, "class": name, **scores, **sizes} for case in ("a", "b", "c")], folder / "cases.csv")
    (folder / "summary.json").write_text(about)
    return folder


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ("null", "holds a NoneType; expected a JSON object"),
        ("[1]", "holds a list; expected a JSON object"),
        ('"text"', "holds a str; expected a JSON object"),
        ("", "not valid JSON"),
        ('{"nsd_tolerance": NaN}', "NaN"),
        ("[" * 9999 + "]" * 9999, "nested too deeply"),
        ('{"dataset": {"a": [1]}}', r"dataset: \{'a': \[1\]\} in "),
        ('{"nsd_tolerance": "wide"}', "nsd_tolerance: wide in .*; evaluate both models in the same way$"),
        ('{"nsd_tolerance": 3}', "nsd_tolerance: 3 in .* such as with --nsd_tolerance 3$"),
        ('{"unit": "\\u001b[31mmm"}', r"unit: \\x1b\[31mmm in "),
        (f'{{"dataset": "{"x" * 9999}"}}', "dataset: x{80} in "),
    ],
)  # fmt: skip
def test_a_broken_summary_is_a_sentence(about: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        compare(evaluation(tmp_path / "a", about), evaluation(tmp_path / "b"), 10, 0)


@pytest.mark.parametrize("size", [4_000_000, 4_000_001])
def test_the_report_and_the_comparison_take_a_summary_of_the_same_size(size: int, tmp_path: Path) -> None:
    about = f'{ABOUT[:-1]}, "more": "{"x" * (size - len(ABOUT) - 12)}"}}'
    runs = evaluation(tmp_path / "a", about), evaluation(tmp_path / "b")
    assert (runs[0] / "summary.json").stat().st_size == size
    for read in (lambda: compare(*runs, 10, 0), lambda: read_inputs(runs[0])):
        if size == 4_000_000:
            assert read()
        else:
            with pytest.raises(DataError, match=r"a/summary.json: holds 4\.0 MB; expected at most 4 MB, as our runs write it"):
                read()


def test_structures_of_other_spelling_are_compared(tmp_path: Path) -> None:
    runs = evaluation(tmp_path / "a", name="left liver", dice=0.5), evaluation(tmp_path / "b", name="Left-Liver", dice=0.75)
    found = {(d.metric, d.name): d.difference for d in compare(*runs, 10, 0)}
    assert found["dice", "left liver"] == found["dice", "all"] == 0.25
    unnamed = evaluation(tmp_path / "c", name="label_255", dice=0.25)
    assert {d.name for d in compare(runs[0], unnamed, 10, 0)} == {"all", "left liver"}
    with pytest.raises(DataError, match=r"only in .*a: a left liver, b left liver, c left liver; evaluate"):
        compare(runs[0], evaluation(tmp_path / "d", name="spleen"), 10, 0)


def test_a_summary_that_says_less_is_compared(tmp_path: Path) -> None:
    assert compare(evaluation(tmp_path / "a", "{}"), evaluation(tmp_path / "b"), 10, 0)
    (tmp_path / "a/summary.json").unlink()
    with pytest.raises(DataError, match="there is no such file; expected the output_dir"):
        compare(tmp_path / "a", tmp_path / "b", 10, 0)


@pytest.mark.parametrize("dice", [float("nan"), float("inf"), -1.0, 1.5, None])
def test_a_score_that_is_none_is_refused(dice: float | None, tmp_path: Path) -> None:
    runs = evaluation(tmp_path / "a", dice=dice), evaluation(tmp_path / "b")
    for read in (lambda: compare(*runs, 10, 0), lambda: read_inputs(runs[0])):
        with pytest.raises(DataError, match=r"case a, class liver: dice is .*; expected a number from 0 to 1"):
            read()


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    runs = evaluation(tmp_path / "a"), evaluation(tmp_path / "b")
    (runs[0] / "cases.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not a table in UTF-8"):
        compare(*runs, 10, 0)


@pytest.mark.parametrize("name", ["[/red]", "[bold]x", "\x1b[31mx", "<script>alert(1)</script>"])
def test_names_are_text(name: str, tmp_path: Path) -> None:
    runs = evaluation(tmp_path / "[red]", name=name), evaluation(tmp_path / "b", name=name)
    console = Console(file=io.StringIO(), width=200)
    console.print(difference_table(compare(*runs, 10, 0), *runs))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert name.replace("\x1b", "\\x1b") in said and "\x1b" not in said and "[red]" in "".join(said.split())
    assert "<script>alert" not in write_report(runs[0]).read_text()


@pytest.mark.parametrize("line", ['{"epoch": "1"}', '{"epoch": null}', "[" * 9999, "[1]", f'{{"epoch": {"9" * 400}}}'])
def test_a_history_of_another_form_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n')
    with pytest.raises(DataError, match="line 2: not a record of a training"):
        read_history(tmp_path / "history.jsonl")


def test_a_number_beyond_all_others_is_no_traceback(tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "a")
    (folder / "run.json").write_text(f'{{"command": "x", "versions": {{}}, "seconds": 1{"0" * 400}}}')
    with pytest.raises(DataError, match="has another form than this version writes"):
        write_report(folder)
    assert sys.getrecursionlimit() < 9999, "what is nested above is beyond it"
