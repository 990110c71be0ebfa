"""The start of a bundle run: mistyped settings are refused, errors end in one sentence."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser
from warm import run_code

import monai_hybrid
from monai_hybrid.bundle.start import (
    check_overrides,
    is_bundle_command,
    known_settings,
    one_line_errors,
    start,
)
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault, HybridError, ModelFileError, TrainingFault
from monai_hybrid.runs.command_line import command_line_overrides
from monai_hybrid.runs.machine_faults import own_error
from monai_hybrid.runs.run_folder import run_settings

ARGV0 = "/python/site-packages/monai/bundle/__main__.py"
KNOWN = {
    "max_epochs": 10,
    "learning_rate": 0.001,
    "augment": True,
    "objective": "hybrid",
    "dataset_dir": None,
    "patch_size": "$@data.plan['patch_size']",
    "train": {"trainer": {"max_epochs": "@max_epochs"}},
    "imports": ["$import os"],
    "_desc_": "a bundle",
}


@pytest.fixture
def bundle_root(tmp_path: Path) -> Path:
    (tmp_path / "bundle" / "configs").mkdir(parents=True)
    (tmp_path / "bundle" / "configs" / "train.json").write_text(json.dumps(KNOWN))
    (tmp_path / "bundle" / "configs" / "evaluate.json").write_text(json.dumps({"split": "testing", "max_epochs": 99}))
    (tmp_path / "bundle" / "configs" / "metadata.json").write_text(json.dumps({"version": "0.1.0"}))
    return tmp_path / "bundle"


def argv(*words: str) -> list[str]:
    return [ARGV0, "run", *words]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max_epochs", "3"], {"max_epochs": 3}),
        (["--max_epochs=3", "--learning_rate", "1e-4"], {"max_epochs": 3, "learning_rate": 1e-4}),
        (["--augment", "False"], {"augment": False}),
        (["--augment", "false"], {"augment": "false"}),
        (["--augment"], {"augment": True}),
        (["--augment", "--max_epochs", "2"], {"augment": True, "max_epochs": 2}),
        (["--patch_size", "[16,16]"], {"patch_size": [16, 16]}),
        (["--shift", "-5"], {"shift": -5}),
        (["--dataset_dir", "/data/my set"], {"dataset_dir": "/data/my set"}),
        (["--train#trainer#max_epochs", "2"], {"train#trainer#max_epochs": 2}),
        (["training", "--max_epochs", "3"], {"max_epochs": 3}),
        (["--dataset_dir", "a=b"], {"dataset_dir": "a=b"}),
        ([], {}),
    ],
)
def test_the_command_line_is_read_as_fire_reads_it(words: list[str], expected: dict[str, Any]) -> None:
    assert command_line_overrides(argv(*words)) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"max_epochs": 5, "objective": "diffusion"}'), ("a.yaml", "max_epochs: 5\nobjective: diffusion\n")],
)
def test_the_args_file_counts_and_the_command_line_wins(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    read = command_line_overrides(argv("--args_file", str(tmp_path / name), "--max_epochs", "7"))
    assert read == {"max_epochs": 7, "objective": "diffusion", "args_file": str(tmp_path / name)}


def test_a_misspelt_name_in_the_args_file_is_refused(tmp_path: Path, bundle_root: Path) -> None:
    for name, wrong in (("max_epoch", True), ("max_epochs", False)):
        (tmp_path / "args.json").write_text(json.dumps({name: 3}))
        words = argv("--args_file", str(tmp_path / "args.json"))
        if wrong:
            with pytest.raises(ConfigError, match=r"unknown setting --max_epoch: did you mean --max_epochs\?"):
                check_overrides(command_line_overrides(words), known_settings(bundle_root, words))
        else:
            check_overrides(command_line_overrides(words), known_settings(bundle_root, words))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_epoch": 3}, r"unknown setting --max_epoch: did you mean --max_epochs\?"),
        ({"learningrate": 3}, r"unknown setting --learningrate: did you mean --learning_rate\?"),
        ({"max-epochs": 3}, r"unknown setting --max-epochs: did you mean --max_epochs\?"),
        ({"tarin#trainer#max_epochs": 3}, r"unknown setting --tarin: did you mean --train\?"),
        ({"zzz": 3}, "unknown setting --zzz: known settings: augment, dataset_dir, learning_rate, .*patch_size, train$"),
        ({"augment": "true"}, r"--augment: got 'true', expected True or False \(with a capital letter\)"),
        ({"augment": 1}, "--augment: got 1, expected True or False"),
        ({"max_epochs": "ten"}, "--max_epochs: got 'ten', expected a number such as 10"),
        ({"max_epochs": True}, "--max_epochs: got True, expected a number such as 10"),
        ({"max_epochs": 2.5}, "--max_epochs: got 2.5, expected a whole number such as 10"),
        ({"learning_rate": "1e-4x"}, "--learning_rate: got '1e-4x', expected a number such as 0.001"),
        ({"objective": "hybrid", "max_epoch": 1}, r"unknown setting --max_epoch: did you mean --max_epochs\?"),
    ],
)  # fmt: skip
def test_mistyped_settings_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_overrides(overrides, KNOWN)


SECTIONS = {
    "card": {"interval": 1, "settings": {"seed": "@seed"}},
    "optimizer": {"_target_": "torch.optim.AdamW", "fused": True},
    "train": {"handlers": [{"_target_": "A"}, {"_target_": "B", "max_norm": 1.0}], "network": "@network"},
    "train#teacher": "@teacher",  # of a configuration that replaces a part
}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"card": 5}, "--card: got 5, but card is a section of the configuration; give a part, as --card#interval VALUE"),
        ({"card": None}, "--card: got None, but card is a section"),
        ({"optimizer": 5}, "--optimizer: got 5, but optimizer is a section .* as --optimizer#fused VALUE"),
        ({"card#settings": 5}, "--card#settings: got 5, but card#settings is a section"),
        ({"train#handlers": 5}, "--train#handlers: got 5, but .* as --train#handlers#0 VALUE"),
        ({"card#x": 1}, "--card#x: card has no part x; it has interval, settings"),
        ({"card::intervall": 1}, r"--card::intervall: card has no part intervall; did you mean --card#interval\?"),
        ({"card#interval": 0}, "--card#interval: got 0, expected a whole number >= 1"),
        ({"card#interval": "often"}, "--card#interval: got 'often', expected a number such as 1"),
        ({"optimizer#fused": "false"}, "--optimizer#fused: got 'false', expected True or False"),
        ({"card#interval#x": 1}, "--card#interval#x: card#interval is a value, and no parts"),
        ({"train#handlers#2#x": 1}, "--train#handlers#2#x: train#handlers is 2 parts, 0 to 1"),
        ({"train#handler#0": 1}, r"--train#handler#0: train has no part handler; did you mean --train#handlers\?"),
    ],
)  # fmt: skip
def test_parts_of_sections_that_are_not_there_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_overrides(overrides, SECTIONS)


@pytest.mark.parametrize(
    "overrides",
    [
        {"card#interval": 3, "card::interval": 4},
        {"card#settings#note": "mine", "optimizer#betas": [0.9, 0.95]},
        {"optimizer": None, "card": "@mine"},
        {"train#handlers#1#max_norm": 2.0, "train#handlers#-1#max_norm": 2.0, "train#handlers": "$[]"},
        {"train#mine": "$1", "optimizer#lr": "@train#mine"},
        {"card": {"interval": 2}, "card#x": 1},
        {"train#teacher#weight": 2},
    ],
)
def test_parts_of_sections_are_set_and_targets_get_arguments(overrides: dict[str, Any]) -> None:
    check_overrides(overrides, SECTIONS)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"max_epochs": 3, "learning_rate": 1, "augment": False},
        {"max_epochs": 3.0},
        {"learning_rate": 1e-4},
        {"objective": "diffusion"},
        {"dataset_dir": "/data"},
        {"patch_size": [16, 16]},
        {"train#trainer#max_epochs": 3},
        {"train::trainer::max_epochs": 3},
        {"max_epochs": "$2 * 5", "augment": "@other", "learning_rate": "%other.json::rate"},
        {"config_file": "configs/train.json", "meta_file": "m.json", "logging_file": "l.conf", "run_id": "run", "debug": True},
        {"tracking": "mlflow", "args_file": "a.json", "init_id": "i", "final_id": "f", "workflow_type": "train"},
    ],
)
def test_right_settings_are_accepted(overrides: dict[str, Any]) -> None:
    check_overrides(overrides, KNOWN)


def test_known_are_the_names_of_the_configs_on_the_command_line_or_of_the_whole_bundle(
    bundle_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps({"my_setting": 1}))
    train = str(bundle_root / "configs" / "train.json")
    known = known_settings(bundle_root, argv("--config_file", train))
    assert KNOWN.keys() == known.keys() and "version" not in known
    named = argv("--config_file", f"['{train}','{tmp_path / 'mine.json'}']")
    assert known_settings(bundle_root, named).keys() == known.keys() | {"my_setting"}
    assert known_settings(bundle_root, argv()).keys() == known.keys() | {"split"}


def test_a_setting_of_another_config_would_do_nothing_and_is_refused(bundle_root: Path) -> None:
    train = str(bundle_root / "configs" / "train.json")
    told = r"--split is a setting of evaluate.json, and would do nothing in this run; leave it out"
    for name in ("split", "split#deeper"):
        with pytest.raises(ConfigError, match=told):
            start(str(bundle_root), argv("--config_file", train, f"--{name}", "training"))
    start(str(bundle_root), argv("--config_file", train, "--objective", "hybrid"))


def test_of_two_configurations_the_later_wins_and_it_is_said(
    bundle_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    train, mine = bundle_root / "configs/train.json", tmp_path / "mine.json"
    mine.write_text(json.dumps({"max_epochs": 3, "augment": True, "patch_size": [8, 8], "_desc_": "mine"}))
    words = argv("--config_file", f"['{train}','{mine}']")
    with warnings.catch_warnings(), caplog.at_level(logging.INFO):
        start(str(bundle_root), argv("--config_file", str(train)))
        assert caplog.text == ""
        start(str(bundle_root), words)
    assert caplog.messages == [f"max_epochs: 3 from {mine}, not 10 from {train}: the later file counts"]
    settings = run_settings([*words, "--augment", "False"])
    assert settings["patch_size"] == "[8, 8]" and settings["augment"] == "false"
    parser = ConfigParser()
    parser.read_config([str(train), str(mine)])
    assert parser["max_epochs"] == 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([ARGV0, "run"], True),
        ([ARGV0, "run_workflow", "--max_epochs", "1"], True),
        ([ARGV0, "verify_metadata"], False),
        ([ARGV0], False),
        (["/usr/bin/pytest", "run"], False),
        ([""], False),
        ([], False),
    ],
)
def test_only_bundle_commands_are_checked(words: list[str], expected: bool) -> None:
    assert is_bundle_command(words) == expected


def test_start_checks_the_command_line(bundle_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    with warnings.catch_warnings():
        with pytest.raises(ConfigError, match=r"unknown setting --objectiv: did you mean --objective\?"):
            start(str(bundle_root), argv("--objectiv", "hybrid"))
        start(str(bundle_root), argv("--objective", "hybrid"))
        start(str(bundle_root), ["/usr/bin/pytest", "run", "--objectiv", "hybrid"])
        monkeypatch.setattr(sys, "argv", argv("--objectiv", "hybrid"))
        with pytest.raises(ConfigError, match="unknown setting --objectiv"):
            start(str(bundle_root))


def chained(*errors: BaseException, context: bool = False) -> BaseException:
    """The last error, caused by (or raised while handling) the one before it, and so on."""
    for before, after in itertools.pairwise(errors):
        if context:
            after.__context__ = before
        else:
            after.__cause__ = before
    return errors[-1]


@pytest.mark.parametrize("context", [False, True])
def test_our_error_is_found_along_the_chain(context: bool) -> None:
    own = DataError("the data")
    assert own_error(own) is own
    assert own_error(chained(ValueError("low"), own, RuntimeError("a"), RuntimeError("b"), context=context)) is own
    last = ConfigError("nearer")
    assert own_error(chained(own, RuntimeError("a"), last, RuntimeError("b"), context=context)) is last
    assert own_error(chained(ValueError("low"), RuntimeError("a"), context=context)) is None
    assert own_error(None) is None


def python(code: str) -> subprocess.CompletedProcess[str]:
    root = Path(monai_hybrid.__file__).parents[1]
    script = "import sys\nfrom monai_hybrid.bundle.start import one_line_errors\nfrom monai_hybrid.errors import *\n" + code
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return run_code(script, [], root, environment)


def test_our_error_ends_the_process_in_one_sentence() -> None:
    own = python(
        "one_line_errors()\n"
        "try:\n    raise DataError('what, where')\n"
        "except Exception as error:\n    raise RuntimeError('MONAI wraps it') from error"
    )
    assert own.returncode == 3
    assert own.stderr == "\nerror: what, where\n" and own.stdout == ""


def test_our_error_is_shown_when_torch_distributed_has_wrapped_the_hook(tmp_path: Path) -> None:
    own = python(
        "import torch.distributed as dist\n"
        "one_line_errors()\n"
        f"dist.init_process_group('gloo', init_method='file://{tmp_path}/meet', rank=0, world_size=1)\n"
        "raise DataError('what, where')"
    )
    assert own.returncode == 3
    assert own.stderr.endswith("\nerror: what, where\n")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the hook that was there before gets to show."""
    seen: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: seen.append(error))
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    return seen


@pytest.mark.parametrize(
    ("kind", "code"), [(ConfigError, 2), (DataError, 3), (ModelFileError, 4), (EnvironmentFault, 5), (TrainingFault, 1)]
)
def test_each_kind_of_error_has_its_exit_code(
    kind: type[HybridError], code: int, shown: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    error = kind("a")
    one_line_errors()
    with pytest.raises(SystemExit, match=f"^{code}$"):
        sys.excepthook(type(error), error, None)
    assert capsys.readouterr().err == "\nerror: a\n" and shown == []


@pytest.mark.parametrize(("error", "asked_for"), [(ValueError("a bug"), False), (ConfigError("a"), True)])
def test_a_traceback_is_shown_for_foreign_errors_and_when_asked_for(
    error: Exception, asked_for: bool, shown: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    one_line_errors(show_traceback=asked_for)
    sys.excepthook(type(error), error, None)
    assert shown == [error] and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [(2024, "--output_dir: got the int 2024, expected a path; write ./2024"), ("runs/site#1", "MONAI reads # as a separator")],
)
def test_paths_that_would_become_something_else_are_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_overrides({"output_dir": value}, {"output_dir": "@bundle_root"})
    check_overrides({"output_dir": "./2024"}, {"output_dir": "@bundle_root"})


def test_a_run_keeps_its_memory_and_a_parsed_configuration_leaves_the_process_alone(
    bundle_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    module = sys.modules[start.__module__]
    monkeypatch.setattr(module, "keep_memory", lambda: kept.append(True))
    monkeypatch.setattr(module, "record_run", lambda *_: None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    start(str(bundle_root), argv())  # somebody else's process
    monkeypatch.setattr(sys, "argv", ["pytest"])
    start(str(bundle_root))
    assert kept == []
    monkeypatch.setattr(sys, "argv", argv())
    start(str(bundle_root))
    assert kept == [True]
