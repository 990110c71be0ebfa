"""What a person mistypes, and names of folders that fire or MONAI would read as something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import said
from typer.testing import CliRunner
from warm import run_module

from monai_hybrid import __version__, cli, cli_results, one_command
from monai_hybrid.settings import SETTINGS, settings_of

ROOT = Path(__file__).parents[1]
COMMANDS = tuple("check build repair shift phantom pretrain adapt distil predict evaluate compare report audit sample".split())  # noqa: SIM905


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run, from an empty working directory."""
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []

    def record(command: list[str], environment: dict[str, str]) -> int:
        seen.append(command[1:])
        return 0

    monkeypatch.setattr("monai_hybrid.commands.run_child", record)
    return seen


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("adpat", 2, "unknown command 'adpat': did you mean adapt?"),
        ("zzz", 2, "unknown command 'zzz': commands: check, build,"),
        ("pretrain --max-epoch 3", 2, "unknown setting --max-epoch: did you mean --max-epochs?"),
        ("pretrain --max_epoch=3", 2, "unknown setting --max-epoch: did you mean --max-epochs?"),
        ("predict x --modle m --output o", 2, "unknown setting --modle: did you mean --model?"),
        ("evaluate --data . --model m --output o --max-epochs 3", 2, "--max-epochs is a setting of another command"),
        ("predict . --model m --output o --resume", 2, "--resume: finished cases are kept without it"),
        (f"predict . --model {'a' * 5000} --output o", 4, ": no such model file."),
        ("pretrain --objective hybird", 2, "--objective: got 'hybird', expected one of hybrid,"),
        ("pretrain --objective hybird", 2, "did you mean hybrid?"),
        ("pretrain --max_epochs 0", 2, "--max-epochs: got 0, expected a whole number >= 1"),
        ("pretrain --learning-rate fast", 2, "--learning-rate: got 'fast', expected a number such as 0.001"),
        ("pretrain --patch-size 32", 2, "--patch-size: got 32, expected 2 or 3 whole numbers of voxels > 0"),
        ("pretrain --augment maybe", 2, "--augment: got 'maybe', expected True or False"),
        ("pretrain --device gpu!", 2, "--device: got 'gpu!', expected cpu, cuda or cuda:0"),
        ("predict . --model . --output o --timesteps 3", 2, "--timesteps: got 3, expected whole numbers >= 0, such as"),
        ("build raw --output o --val-fractoin 1", 2, "unknown option --val-fractoin: did you mean --val-fraction?"),
        ("build --data raw --output o", 2, "unknown option --data: SOURCE: give the path as a plain word, without --data"),
        ("predict --data raw --model m --output o", 2, "--data: IMAGES: give the path as a plain word, without --data"),
        ("adapt target", 2, "target: a word without an option. A data set is given as --data target"),
        ("check my scans", 2, "scans: more than the command takes. A path that holds spaces needs quotes"),
        ("build nowhere --output o --debgu", 2, "unknown option --debgu: did you mean --debug?"),
        ("build raw", 2, "Missing option '--output'. Type: monai-hybrid build --help"),
        ("build -x --output o", 2, "unknown option -x; a path that begins with - is written with ./ before it"),
        ("phantom --output o --cases many", 2, "Invalid value for '--cases'"),
        ("adapt --data .", 2, "--data .: no model to adapt was given. Give --model runs/source/models/model.safetensors"),
        ("adapt --dataset_dir .", 2, "--data .: no model to adapt was given."),
        ("adapt --data nope --model scratch", 3, "--data nope: no such folder. The folder where you are, /"),
        ("adapt --data . --model nope.pt", 4, "--model nope.pt: no model file with a card: no such file or folder."),
        ("evaluate --data . --model nope.pt --output o", 4, "--model nope.pt: no such model file."),
        ("evaluate --data . --model . --output o", 4, "--model .: a folder, expected a file"),
        ("predict nope.nii.gz --model nope.pt --output o", 3, "IMAGES nope.nii.gz: no such file or folder."),
        ("report nope", 3, "FOLDER nope: no such folder."),
        ("compare . nope", 3, "B nope: no such folder."),
        ("pretrain --pretrained nope.pt", 4, "--pretrained nope.pt: no model file with a card: no such file or folder."),
        ("pretrain --card 5", 2, "--card: got 5, but card is a section of the configuration; give a part, as --card#interval"),
        ("adapt --data . --model scratch --card#interval 0", 2, "--card#interval: got 0, expected a whole number >= 1"),
        ("pretrain --card#intervall 2", 2, "--card#intervall: card has no part intervall; did you mean --card#interval?"),
        ("pretrain --train#nothing#x 1", 2, "--train#nothing#x: train has no part nothing; it has deterministic_transforms"),
        ("pretrain --data= --output o", 2, "--data: the path is empty; give one, or leave --data out"),
        ("pretrain --data a#b --output o", 2, "--data: got 'a#b', but MONAI reads # as a separator"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_runs(
    words: str,
    code: int,
    message: str,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = said(words.split(), monkeypatch, capsys)
    assert found[0] == code and message in found[1] and found[1].startswith("error: ") and found[1].count("\n") == 1
    assert commands == []


@pytest.mark.parametrize(
    ("images", "code", "message"),
    [
        ("a/x.png a/y.png", 2, "error: a/y.png: more than one file. Give the folder that holds them: a. Type:"),
        ("a/*.png", 3, "error: IMAGES a/*.png: no such file or folder. Patterns are not read; give the folder: a\n"),
        ("b/*.png", 3, "error: IMAGES b/*.png: no such file or folder. There is no folder b either\n"),
    ],
)
def test_a_pattern_of_files_is_told_that_the_folder_is_given(
    images: str, code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    for name in "xy":
        Path(f"a/{name}.png").write_bytes(b"")
    found = said(["predict", *images.split(), "--model", "m.pt", "--output", "o"], monkeypatch, capsys)
    assert found[0] == code and found[1].startswith(message)


FLAGS = [name for name, setting in SETTINGS.items() if setting.kind == "flag"]


@pytest.mark.parametrize("name", FLAGS)
def test_a_yes_or_no_setting_without_a_value_means_yes(name: str, commands: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(b"x")
    (tmp_path / "target").mkdir()
    lines = {
        "pretrain": ["pretrain"],
        "adapt": ["adapt", "--data", "target", "--model", "m.pt"],
        "predict": ["predict", "target", "--model", "m.pt", "--output", "o"],
        "evaluate": ["evaluate", "--data", "target", "--model", "m.pt", "--output", "o"],
        "sample": ["sample", "--model", "m.pt", "--output", "o"],
    }
    taken = 0
    for command, words in lines.items():
        if name not in cli_settings(command):
            continue
        taken += 1
        for option in (f"--{name}", "--" + name.replace("_", "-")):
            for line in ([*words, option], [words[0], option, *words[1:]], [*words, option, "--device", "cpu"]):
                commands.clear()
                assert CliRunner().invoke(cli.app, line, catch_exceptions=False).exit_code == 0, line
                run = commands[0]
                assert run[run.index(f"--{name}") + 1] == "True", line
    assert taken


def cli_settings(command: str) -> set[str]:
    import typer

    found = typer.main.get_command(cli.app).commands[command]  # type: ignore[attr-defined]
    return {word.strip("-").replace("-", "_") for param in found.params for word in param.opts}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("repair target --out new --dry-run True", ["repair", "target", "--out", "new", "--dry-run"]),
        ("repair target --out new --dry_run false --link", ["repair", "target", "--out", "new", "--link"]),
        ("export --model m.pt --out m.onnx --overwrite True", ["--model", "m.pt", "--out", "m.onnx", "--overwrite"]),
    ],
)
def test_an_option_without_a_value_takes_yes_and_no_as_well(
    line: str, expected: list[str], commands: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / "m.pt").write_bytes(b"x")
    assert CliRunner().invoke(cli.app, line.split(), catch_exceptions=False).exit_code == 0
    assert commands[0][2:] == expected


@pytest.mark.parametrize("option", ["--out", "--output", "--out="])
@pytest.mark.parametrize(
    "line", ["pretrain", "predict . --model m.pt", "evaluate --data . --model m.pt", "sample --model m.pt"]
)
def test_out_is_output_in_every_command_that_runs_a_bundle(
    line: str, option: str, commands: list[list[str]], tmp_path: Path
) -> None:
    (tmp_path / "m.pt").write_bytes(b"x")
    words = [f"{option}place"] if option.endswith("=") else [option, "place"]
    assert CliRunner().invoke(cli.app, [*line.split(), *words], catch_exceptions=False).exit_code == 0
    assert commands[0][commands[0].index("--output_dir") + 1] == "place"


OTHERS = {
    "build raw": "data_prep.build.build",
    "repair raw": "data_prep.repair.repair",
    "shift a b": "data_prep.shift.shift",
    "phantom": "data_prep.phantom.generate",
}


@pytest.mark.parametrize("line", OTHERS)
def test_so_it_is_in_data_prep(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_prep import cli as prep

    seen: list[object] = []

    def stop(*given: object, **_: object) -> None:
        seen.extend(given)
        raise RuntimeError

    monkeypatch.setattr(OTHERS[line], stop)
    for option in ("--out", "--output"):
        seen.clear()
        CliRunner().invoke(prep.app, [*line.split(), option, "place"])
        assert Path("place") in seen
        assert "--out " not in CliRunner().invoke(prep.app, [line.split()[0], "--help"]).output


@pytest.mark.parametrize("module", ["exporting", "reporting"])
def test_and_in_the_programs_of_one_command(module: str) -> None:
    words = {"exporting": ["--model", "none.pt"], "reporting": ["nowhere"]}[module]
    done = run_module(f"monai_hybrid.{module}", [*words, "--out", "x.onnx"], ROOT, {**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode in (3, 4) and "No such option" not in done.stderr


def test_the_name_that_was_meant_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models/model.pt").write_bytes(b"x")
    assert "Did you mean prepared?" in said(["pretrain", "--data", "perpared"], monkeypatch, capsys)[1]
    words = ["evaluate", "--data", "prepared", "--model", "prepared", "--output", "o"]
    assert "--model prepared: a folder, expected a file: models/model.pt or" in said(words, monkeypatch, capsys)[1]


@pytest.mark.parametrize("words", ["adpat", "pretrain --max-epoch 3", "pretrain --objective hybird", "sample --model no"])
def test_a_mistake_is_told_before_monai_is_imported_and_in_two_seconds(words: str, tmp_path: Path) -> None:
    code = (
        "import sys, time; from monai_hybrid import cli\n"
        f"sys.argv = ['monai-hybrid', *{words.split()!r}, *(['--output', 'o'] if 'sample' in {words!r} else [])]\n"
        "try: cli.main()\n"
        "except SystemExit as s: print(s.code, time.process_time() < 2, [m for m in ('torch', 'monai') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.stdout.strip() in ("2 True []", "4 True []"), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "name",
    ["1e5", "None", "a,b", "-x", "two words", "it's", '"q"', "ü", "$HOME", "@x", "%y", "2024", "[a]", "{a}", "true", "..."],
)
def test_a_folder_of_any_name_is_that_folder(name: str, tmp_path: Path, commands: list[list[str]]) -> None:
    from monai_hybrid.bundle.start import check_overrides, known_settings
    from monai_hybrid.runs.command_line import command_line_overrides, typed_settings

    folder, model = tmp_path / name, tmp_path / f"{name}.pt"
    folder.mkdir()
    model.write_bytes(b"x")
    words = [
        "adapt",
        "--data",
        name,
        "--model",
        f"{name}.pt",
        f"--output={name}/o",
        "--unlabelled-dir",
        name,
        "--cache_dir",
        name,
    ]
    assert CliRunner().invoke(cli.app, words).exit_code == 0
    argv = ["monai/bundle/__main__.py", *commands[0][2:]]
    given = command_line_overrides(argv)
    for setting in ("dataset_dir", "unlabelled_dir", "cache_dir"):
        assert isinstance(given[setting], str) and (tmp_path / given[setting]).samefile(folder)
        assert not given[setting].startswith(("$", "@", "%", "-"))
    assert (tmp_path / given["pretrained"]).samefile(model)
    assert (tmp_path / given["output_dir"]).parent.samefile(folder)
    check_overrides(given, known_settings(ROOT / "bundles/few_shot_finetune", argv), typed_settings(argv))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (["--dataset_dir", "1e5"], "got the float 100000.0, expected a path; write ./1e5"),
        (["--dataset_dir", "a,b"], "got the tuple ('a', 'b'), expected a path; write ./a,b"),
        (["--dataset_dir", "None"], "got the NoneType None, expected a path; write ./None"),
        (["--dataset_dir", "$HOME"], "got an expression, expected a path; write ./$HOME"),
        (["--dataset_dir", "@x"], "got an expression, expected a path; write ./@x"),
        (["--dataset_dir", "a#b"], "got 'a#b', but MONAI reads # as a separator"),
        (["--dataset_dir", "--resume", "True"], "no path follows; a name that begins with - is written ./-NAME"),
        (["--dataset_dir", ""], "the path is empty; give one, or leave --dataset_dir out"),
        (["--dataset-dir", "2024"], "got the int 2024, expected a path; write ./2024"),
    ],
)
def test_in_monais_own_line_such_a_name_gets_the_right_advice(setting: list[str], message: str, tmp_path: Path) -> None:
    from monai_hybrid.bundle.start import check_overrides
    from monai_hybrid.errors import ConfigError
    from monai_hybrid.runs.command_line import command_line_overrides, typed_settings

    for name in ("None", "$HOME", "@x"):
        (tmp_path / name).mkdir()
    argv = ["monai/bundle/__main__.py", "run", *setting]
    known = {"dataset_dir": None, "resume": False}
    with pytest.raises(ConfigError) as told:
        check_overrides(command_line_overrides(argv), known, typed_settings(argv))
    assert message in str(told.value)
    for right in (["--dataset_dir", "./1e5"], ["--dataset-dir", "/data/a,b"], ["--dataset_dir", "$str('x')"]):
        argv = ["monai/bundle/__main__.py", "run", *right]
        check_overrides(command_line_overrides(argv), known, typed_settings(argv))


def test_none_means_no_path_where_no_folder_is_called_so() -> None:
    from monai_hybrid.setting_checks import check_kind

    check_kind("dataset_dir", None, None, "None")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_shows_two_examples(name: str) -> None:
    output = CliRunner().invoke(cli.app, [name, "--help"], prog_name="monai-hybrid").output
    assert output.count(f"monai-hybrid {name} ") >= 3  # usage and two examples


@pytest.mark.parametrize(
    ("name", "bundle", "config"),
    [
        ("pretrain", "hybrid_pretrain", "train.json"),
        ("adapt", "few_shot_finetune", "train.json"),
        ("predict", "few_shot_finetune", "inference.json"),
        ("evaluate", "few_shot_finetune", "evaluate.json"),
        ("sample", "hybrid_pretrain", "sample.json"),
    ],
)
def test_the_help_shows_every_setting_of_its_configuration(name: str, bundle: str, config: str) -> None:
    from monai_hybrid.bundle_folders import load_config

    output = " ".join(CliRunner().invoke(cli.app, [name, "--help"]).output.split())
    content = load_config(bundle, config)
    named = {"dataset_dir", "output_dir", "bundle_root", "model", "input", "source_dir"}
    named |= {"pretrained"} if name == "evaluate" else set()
    for setting in (s for n, s in settings_of(bundle, config).items() if n in content and n not in named):
        assert f" {setting.option} " in output and (setting.meaning in output or setting.name == "unlabelled_dir")
    for alias in {"pretrain": ["--data", "--output"], "evaluate": ["--data", "--model", "--source", "--before"]}.get(name, []):
        assert f" {alias} " in output


def test_the_version_and_completion(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["monai-hybrid", "--version"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0 and capsys.readouterr().out == f"monai-hybrid {__version__}\n"
    environment = {"_MONAI_HYBRID_COMPLETE": "complete_bash", "COMP_WORDS": "monai-hybrid adapt --max-ep", "COMP_CWORD": "2"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        patch.setattr(sys, "argv", ["monai-hybrid"])
        with pytest.raises(SystemExit):
            cli.main()
    assert capsys.readouterr().out.split() == ["--max-epochs"]


def test_prepare_is_build_and_is_not_listed(commands: list[list[str]]) -> None:
    output = CliRunner().invoke(cli.app, ["--help"], prog_name="monai-hybrid").output
    assert "  build " in output and "  prepare " not in output
    assert CliRunner().invoke(cli.app, ["prepare", "raw", "--output", "o"]).exit_code == 0
    assert commands == [["-m", "data_prep", "build", "raw", "--output", "o"]]


@pytest.mark.parametrize(
    ("command", "module", "function"),
    [("report", "reporting.command", "report"), ("compare", "evaluation.__main__", "print_comparison")],
)
def test_options_that_are_handed_on_exist_there(command: str, module: str, function: str) -> None:
    import importlib
    import inspect

    there = inspect.signature(getattr(importlib.import_module(f"monai_hybrid.{module}"), function)).parameters
    here = inspect.signature(getattr(cli_results, command)).parameters
    assert len(here) - 1 == len(there) and {n for n in here if n not in ("context", "a", "b")} <= set(there)


def test_a_file_that_the_system_does_not_give_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(**_: Any) -> None:
        raise PermissionError(13, "Permission denied", "a b/cases.csv")

    def command() -> None:
        closed()

    monkeypatch.setattr(cli, "app", closed)
    monkeypatch.setattr("sys.argv", ["view"])
    monkeypatch.chdir(tmp_path)
    Path("a b").mkdir()
    Path("a b/cases.csv").write_text("")
    for program in (cli.main, lambda: one_command.run(command, "view")):
        with pytest.raises(SystemExit) as ended:
            program()
        assert ended.value.code == 5
        sentence = "error: a b/cases.csv: the system says: Permission denied. Type: ls -l 'a b/cases.csv'"
        assert capsys.readouterr().err == f"{sentence}\n"
