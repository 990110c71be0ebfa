"""The command line, as a user types it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_prep.checks import REGISTRY
from data_prep.cli import app
from data_prep.summary import _data_rows, names_note

RUN = CliRunner()


def test_help_is_fast_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom data_prep.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'monai', 'numpy', 'nibabel', 'SimpleITK'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert time.perf_counter() - start < 5  # about 0.2 s; the bound allows for a busy machine
    for command in ("build", "check", "phantom"):
        assert command in done.stdout


def test_no_torch_in_a_whole_build(nifti_set, tmp_path):
    code = (
        "import sys\nfrom data_prep.build import build\n"
        f"build({str(nifti_set())!r}, {str(tmp_path / 'out')!r})\nassert not {{'torch', 'monai'}} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("asked", "said"), [([], True), (["--test-fraction", "0", "--val-fraction", "0"], False)])
def test_that_nobody_is_held_out_is_said_where_nobody_asked_for_it(asked, said, nifti_set, tmp_path):
    result = RUN.invoke(app, ["build", str(nifti_set()), "--output", str(tmp_path / "out"), *asked])
    assert result.exit_code == 0 and "training 3, validation 0, testing 0" in result.output
    assert ("none is held out" in result.output) is said


def test_build_prints_the_next_command(nifti_set, tmp_path):
    fractions = ["--val-fraction", "0.3", "--test-fraction", "0.3"]
    result = RUN.invoke(
        app, ["build", str(nifti_set()), "--output", str(tmp_path / "out"), "--label-names", "1=LV", *fractions]
    )
    assert result.exit_code == 0, result.output
    assert "monai-hybrid pretrain --data" in result.output and "has no name" not in result.output
    assert "training 1, validation 1, testing 1" in result.output and "LV: in 3 cases" in result.output
    assert "monai-hybrid adapt --data" in result.output and "none is held out" not in result.output


def test_build_keeps_three_labelled_patients_for_training(nifti_set, tmp_path):
    result = RUN.invoke(app, ["build", str(nifti_set()), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "note: label_1 has no name. " in result.output and "--label-names '1=NAME'" in result.output
    assert "training 3, validation 0, testing 0" in result.output and "all labelled patients train (3)" in result.output


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({1: "LV", 2: "RV"}, ""),
        ({3: "label_3"}, "note: label_3 has no name. To keep it in models and tables, build again with --label-names '3=NAME'"),
        (
            {3: "label_3", 7: "label_7"},
            "note: label_3, label_7 have no names. To keep them in models and tables, build again with "
            "--label-names '3=NAME_3,7=NAME_7'",
        ),
        (
            {1: "RV wall", 3: "label_3"},
            "note: label_3 has no name. To keep it in models and tables, build again with --label-names '1=RV wall,3=NAME'",
        ),
        (
            {value: f"label_{value}" for value in range(1, 10)},
            "note: label_1, label_2, label_3 and 6 more have no names. To keep them in models and tables, build again with "
            "--label-names '1=NAME_1,2=NAME_2,...', with all 9 values",
        ),
    ],
)
def test_names_are_asked_for_all_values_at_once(named, said):
    """A line that names some of them would be refused: every value needs a name."""
    assert names_note([{"value": value, "name": name} for value, name in named.items()]) == said


@pytest.mark.parametrize(("values", "shown", "left"), [(20, 20, 0), (21, 21, 0), (22, 20, 2)])
def test_of_many_labels_the_first_are_printed(values: int, shown: int, left: int) -> None:
    """A hundred rows pushed the warnings off the screen."""
    names = {f"organ_{value}": 1 for value in range(1, values + 1)}
    labels = [{"index": 0, "value": 0, "name": "background"}]
    labels += [{"index": at, "value": at, "name": name} for at, name in enumerate(names, 1)]
    facts = {
        "spacing": {"median": [1, 1]}, "spacing_known": False, "shape": {"median": [8, 8]}, "orientations": {},
        "foreground_volume": {name: {"min": 1, "max": 2} for name in names}, "foreground_volume_unit": "pixels",
        "label_cases": names,
    }  # fmt: skip
    dataset = {"fingerprint": facts, "channels": ["image"], "cases": [], "labels": labels}
    rows = _data_rows({split: [] for split in ("training", "validation", "testing")}, dataset)
    assert sum(key.startswith("label ") for key, _ in rows) == shown
    assert [key for key, _ in rows if "more labels" in key] == ([f"{left} more labels"] if left else [])


def test_check_exit_codes_and_json(nifti_set, tmp_path):
    root = nifti_set()
    assert RUN.invoke(app, ["check", str(root)]).exit_code == 0
    assert RUN.invoke(app, ["check", str(tmp_path / "nowhere")]).exit_code == 3
    (root / "images" / "a.nii.gz").write_bytes(b"")
    result = RUN.invoke(app, ["check", str(root), "--json", str(tmp_path / "report.json")])
    assert result.exit_code == 3 and "D002 error" in result.output and "1 error," in result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert report["findings"][0]["code"] == "D002" and report["findings"][0]["file"].endswith("a.nii.gz")
    printed = RUN.invoke(app, ["check", str(root), "--json", "-"])
    assert json.loads(printed.output) == report


def test_errors_are_a_few_lines_without_traceback(nifti_set, tmp_path):
    root = nifti_set()
    (root / "images" / "a.nii.gz").write_bytes(b"")
    result = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert result.exit_code == 3 and "Traceback" not in result.output
    assert "errors in the data: 1; nothing was written" in result.stderr and "D002" in result.stderr
    shown = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), "--debug"])
    assert shown.exception is not None and type(shown.exception).__name__ == "DataError"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--spacing", "a,b"], "--spacing 'a,b': expected numbers"),
        (["--spacing", "2"], "expected 2 or 3 numbers"),
        (["--budget", "tpu"], "--budget tpu: unknown"),
        (["--label-names", "LV"], "--label-names"),
        (["--layout", "nrrd"], "--layout nrrd: unknown"),
        (["--folds", "0"], "--folds 0: expected 1 or more"),
        (["--val-fraction", "-0.1"], "--val-fraction -0.1"),
        (["--patient-regex", "("], "not a regular expression"),
    ],
)
def test_bad_arguments_exit_2_and_write_nothing(nifti_set, tmp_path, arguments, message):
    result = RUN.invoke(app, ["build", str(nifti_set()), "--output", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2 and message in result.stderr
    assert not (tmp_path / "out").exists()


def test_codes_lists_every_check():
    result = RUN.invoke(app, ["codes"])
    assert result.exit_code == 0 and all(f"| {code} |" in result.output for code in REGISTRY)


def test_what_to_type_next_can_be_typed_whatever_the_folder_is_called(tmp_path: Path) -> None:
    raw, out = tmp_path / "it's $HOME", tmp_path / "a; b"
    made = CliRunner().invoke(app, ["phantom", "--output", str(raw), "--dims", "2", "--cases", "3"])
    line = made.output.split("Next: ", 1)[1].strip()
    assert shlex.split(line) == ["monai-hybrid", "build", str(raw), "--output", f"{raw}_prepared"]
    built = CliRunner().invoke(app, ["build", str(raw), "--output", str(out), "--val_fraction", "0", "--test-fraction", "0"])
    lines = [line for line in built.output.splitlines() if line.startswith("monai-hybrid ")]
    assert [shlex.split(line)[:4] for line in lines] == [["monai-hybrid", w, "--data", str(out)] for w in ("adapt", "pretrain")]
    assert all("--output" in line for line in lines)
    assert "label_1 has no name" not in built.output


def test_options_have_one_spelling_with_either_stroke(tmp_path: Path) -> None:
    for dash, underscore in (("--val-fraction", "--val_fraction"), ("--patient-regex", "--patient_regex")):
        said = [
            CliRunner().invoke(app, ["build", "nowhere", "--output", "o", word, "0.5"]).output for word in (dash, underscore)
        ]
        assert said[0] == said[1] and "No such option" not in said[0]
    assert "No such option" in CliRunner().invoke(app, ["build", "nowhere", "--output", "o", "--val_fractoin", "0.5"]).output
