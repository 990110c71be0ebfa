"""The command line only translates: each command is one line that could have been typed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_prep.quoting import quoted
from monai_hybrid import cli

ROOT = Path(__file__).parents[1]
PRETRAIN, ADAPT = (ROOT / "bundles" / name for name in ("hybrid_pretrain", "few_shot_finetune"))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run."""
    commands: list[list[str]] = []

    def record(command: list[str], environment: dict[str, str]) -> int:
        commands.append(command[1:])
        return 3

    monkeypatch.setattr("monai_hybrid.commands.run_child", record)
    return commands


def w(text: str) -> list[str]:
    return text.split()


def bundle(folder: Path, config: str | tuple[str, ...], *rest: str) -> list[str]:
    files = [str(folder / "configs" / name) for name in ([config] if isinstance(config, str) else config)]
    config_file = files[0] if len(files) == 1 else str(files)
    return ["-m", "monai.bundle", "run", "--config_file", config_file, "--bundle_root", str(folder), *rest]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with data sets d, s and u, and models m and b."""
    monkeypatch.chdir(tmp_path)
    for folder in "dsu":
        (tmp_path / folder).mkdir()
    for file in ("m", "b", "x.nii.gz"):
        (tmp_path / file).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["check", "raw", "--json", "f.json"], ["-m", "data_prep", "check", "raw", "--json", "f.json"]),
        (
            ["build", "raw", "--output", "d", "--budget", "gpu", "--val_fraction", "0.2"],
            ["-m", "data_prep", "build", "raw", "--output", "d", "--budget", "gpu", "--val_fraction", "0.2"],
        ),
        (["prepare", "raw", "--output", "d"], ["-m", "data_prep", "build", "raw", "--output", "d"]),
        (["repair", "raw", "--output", "d", "--dry-run"], ["-m", "data_prep", "repair", "raw", "--output", "d", "--dry-run"]),
        (["shift", "a", "b", "--output", "d"], ["-m", "data_prep", "shift", "a", "b", "--output", "d"]),
        (["phantom", "--output", "p", "--dims", "2"], ["-m", "data_prep", "phantom", "--output", "p", "--dims", "2"]),
        (["audit", "b.zip", "--json", "f"], ["-m", "monai_hybrid.audit", "b.zip", "--json", "f"]),
        (["pretrain"], bundle(PRETRAIN, "train.json")),
        (
            ["pretrain", "--augment", "false", "--resume=true", "--objective", "hybrid", "--overwrite"],
            bundle(
                PRETRAIN,
                "train.json",
                *w("--augment False --objective hybrid --resume True --overwrite True"),
            ),
        ),
        (
            ["pretrain", "--data", "d", "--output", "o", "--max-epochs", "2", "--updates_per_epoch=3"],
            bundle(
                PRETRAIN,
                "train.json",
                *w("--dataset_dir d --output_dir o --max_epochs 2 --updates_per_epoch 3"),
            ),
        ),
        (
            ["pretrain", "--train#trainer#max_epochs", "2", "--network-def::channels", "[8,8]"],
            bundle(PRETRAIN, "train.json", "--train#trainer#max_epochs", "2", "--network_def::channels", "[8,8]"),
        ),
        (
            ["pretrain", "--data", "d"],
            bundle(PRETRAIN, "train.json", *w("--dataset_dir d --output_dir runs/hybrid_pretrain_d")),
        ),
        (
            ["pretrain", "--unlabelled_dir", "u"],
            bundle(PRETRAIN, "train.json", *w("--output_dir runs/hybrid_pretrain_u --unlabelled_dir u")),
        ),
        (
            ["adapt", "--data", "d", "--model", "m", "--shots", "1", "--output", "o"],
            bundle(ADAPT, "train.json", *w("--dataset_dir d --pretrained m --output_dir o --shots 1")),
        ),
        (
            ["adapt", "--data", "d", "--model", "scratch", "--output", "o", "--plan-from", "m"],
            bundle(
                ADAPT,
                "train.json",
                *w("--dataset_dir d --pretrained scratch --output_dir o --shots 3 --plan_from m"),
            ),
        ),
        (
            ["adapt", "--data", "d", "--pretrained", "m", "--unlabelled-dir", "u", "--objective", "hybrid"],
            bundle(
                *(
                    ADAPT,
                    "train.json",
                    "--dataset_dir",
                    "d",
                    "--output_dir",
                    "runs/few_shot_finetune_d",
                    "--unlabelled_dir",
                    "u",
                ),
                *("--shots", "3", "--objective", "hybrid", "--pretrained", "m"),
            ),
        ),
        (
            ["distil", "--data", "d", "--model", "m", "--output", "o", "--unlabelled-dir", "u", "--student-width", "8"],
            bundle(
                *(ADAPT, ("train.json", "distil.json"), "--dataset_dir", "d", "--teacher", "m", "--output_dir", "o"),
                *("--unlabelled_dir", "u", "--student_width", "8"),
            ),
        ),
        (
            ["predict", "--overlap", "0.25", "--save_entropy", "x.nii.gz", "--model", "m", "--output", "o"],
            bundle(
                *(ADAPT, "inference.json", "--input", "x.nii.gz", "--model", "m", "--output_dir", "o"),
                *("--overlap", "0.25", "--save_entropy", "True"),
            ),
        ),
        (
            ["evaluate", "--data", "d", "--model", "m", "--output", "o"],
            bundle(ADAPT, "evaluate.json", *w("--dataset_dir d --model m --output_dir o")),
        ),
        (
            ["evaluate", "--data", "d", "--model", "m", "--output", "o", "--source", "s", "--before", "none"],
            bundle(
                ADAPT,
                "evaluate.json",
                *w("--dataset_dir d --model m --output_dir o --source_dir s --pretrained none"),
            ),
        ),
        (["compare", "d", "s", "--seed", "1"], ["-m", "monai_hybrid.evaluation", "d", "s", "--seed", "1"]),
        (
            ["who", "sub-a_ser-b"],
            ["-m", "data_prep", "who", "sub-a_ser-b"],
        ),
        (
            ["slices", "raw", "--output", "s"],
            ["-m", "data_prep", "slices", "raw", "--output", "s"],
        ),
        (
            ["report", "d", "--compare", "before=runs/a", "--title", "B"],
            ["-m", "monai_hybrid.reporting", "d", "--compare", "before=runs/a", "--title", "B"],
        ),
        (
            ["sample", "--model", "m", "--output", "o", "--method", "sde"],
            bundle(PRETRAIN, "sample.json", *w("--model m --output_dir o --method sde")),
        ),
    ],
    ids=lambda value: value[0] if value[0] != "-m" else "",
)
def test_each_command_is_one_line_and_its_exit_code(typed: list[str], expected: list[str], seen: list[list[str]]) -> None:
    result = CliRunner().invoke(cli.app, typed)
    assert seen == [expected]
    assert result.exit_code == 3
    assert "python -m" in result.output


def test_the_line_that_runs_is_of_this_python(seen: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `uv tool install` the `python` of the shell is another one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["check", str(tmp_path)])
    assert f"{quoted(sys.executable)} -m data_prep check " in result.output and len(seen) == 1


def test_every_setting_given_exists(seen: list[list[str]]) -> None:
    from monai_hybrid.bundle.start import check_overrides, known_settings
    from monai_hybrid.runs.command_line import command_line_overrides

    CliRunner().invoke(cli.app, ["adapt", "--data", "d", "--model", "m", "--output", "o", "--unlabelled-dir", "u"])
    words = ["monai/bundle/__main__.py", *seen[0][2:]]
    check_overrides(command_line_overrides(words), known_settings(ADAPT, words))


def refusal(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["monai-hybrid", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ")
    return said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file: {file}. Type: ls {folder}"),
        ("", "{file}, line 1, column 1: Expecting value"),
        ("max_epochs: 3", "{file}, line 1, column 1: Expecting value"),
        ('{"max_epochs": 3, // short\n}', "{file}, line 1, column 19: Expecting property name"),
        ('{"max_epochs": 3,}', "; JSON has no comments, no trailing commas and double quotes only"),
        (b'{"a": "\xff"}', "{file}: not readable as text ("),
    ],
    ids=["G09-missing", "G10-empty", "G10-yaml", "G11-comment", "trailing-comma", "not-utf8"],
)
def test_a_configuration_that_cannot_be_read_is_named(
    content: str | bytes | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seen: list[list[str]],
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "mine.json"
    good.write_text('{"max_epochs": 3}')
    if content is not None:
        bad.write_bytes(content if isinstance(content, bytes) else content.encode())
    for files in (str(bad), f"['{good}', '{bad}']"):
        said = refusal(["pretrain", "--config_file", files], monkeypatch, capsys)
        assert f"--config_file: {message.format(file=bad, folder=tmp_path)}" in said or (message[0] == ";" and message in said)
    assert seen == []
    assert CliRunner().invoke(cli.app, ["pretrain", "--config_file", str(good)]).exit_code == 3 and len(seen) == 1


def test_a_missing_logging_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seen: list[list[str]]
) -> None:
    said = refusal(["pretrain", "--logging_file", str(tmp_path / "logging.conf")], monkeypatch, capsys)
    assert f"--logging_file: no such file: {tmp_path}/logging.conf" in said and seen == []
    given = str(PRETRAIN / "configs/logging.conf")
    CliRunner().invoke(cli.app, ["pretrain", "--logging_file", given])
    assert seen[0][-1] == given


def test_help_comes_without_torch() -> None:
    code = "import sys; from typer.testing import CliRunner; from monai_hybrid.cli import app; "
    code += "r = CliRunner().invoke(app, ['--help']); assert 'adapt' in r.output; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("trained", [True, False])
def test_after_an_adaptation_and_an_evaluation_the_report_is_written(
    trained: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the run that the evaluation belongs to, where its folder lies within one; and never after a failure."""
    commands: list[list[str]] = []
    codes = iter([0, 0, 0, 0, 3])

    def record(command: list[str], environment: dict[str, str]) -> int:
        commands.append(command[1:])
        return next(codes)

    monkeypatch.setattr("monai_hybrid.commands.run_child", record)
    if trained:
        (tmp_path / "logs").mkdir()
        (tmp_path / "logs/history.jsonl").write_text("")
    evaluation = ["evaluate", "--data", "d", "--model", "m", "--output", str(tmp_path / "eval")]
    for words in (["adapt", "--data", "d", "--model", "m", "--output", str(tmp_path)], evaluation):
        assert CliRunner().invoke(cli.app, words).exit_code == 0
    reports = [command[2:] for command in commands if command[1] == "monai_hybrid.reporting"]
    assert reports == [[str(tmp_path)], [str(tmp_path if trained else tmp_path / "eval")]] and len(commands) == 4
    assert CliRunner().invoke(cli.app, evaluation).exit_code == 3 and len(commands) == 5
