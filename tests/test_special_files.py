"""Pipes, devices, folders and empty files in the place of every file that a user names: one sentence, and never a wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
from command_line import said
from typer.testing import CliRunner

from data_prep import cli as data_prep
from data_prep.errors import HybridError
from data_prep.phantom import generate
from monai_hybrid.audit.__main__ import main as audit
from monai_hybrid.model_card import read_card
from monai_hybrid.reporting.report import write_report
from monai_hybrid.weights import load_weights

SECONDS = 60


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of such files; a test that waits for one of them is ended, and fails."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it waited for a pipe")

    for name in ("pipe.json", "pipe.pt", "pipe.safetensors", "pipe.nii.gz", "pipe.zip", "pipe.csv"):
        os.mkfifo(tmp_path / name)
        (tmp_path / name.replace("pipe", "empty")).write_bytes(b"x")
        (tmp_path / name.replace("pipe", "folder")).mkdir()
        (tmp_path / name.replace("pipe", "device")).symlink_to("/dev/zero")
    (tmp_path / "m.pt").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("monai_hybrid.commands.run_child", lambda *_: 0)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield tmp_path
    signal.alarm(0)


# A line for each option that takes a file or a folder; {} stands for the file.
LINES = {
    "predict {}.nii.gz --model m.pt --output o": "IMAGES {}.nii.gz",
    "predict . --model {}.pt --output o": "--model {}.pt",
    "predict . --model {}.safetensors --output o": "--model {}.safetensors",
    "predict . --model m.pt --output {}.json": "--output {}.json",
    "predict . --model m.pt --output o --config_file {}.json": "--config_file {}.json",
    "predict . --model m.pt --output o --args_file {}.json": "--args_file {}.json",
    "evaluate --data {}.json --model m.pt --output o": "--data {}.json",
    "evaluate --data . --model {}.pt --output o": "--model {}.pt",
    "evaluate --data . --model m.pt --output o --source {}.json": "--source {}.json",
    "evaluate --data . --model m.pt --output o --before {}.pt": "--before {}.pt",
    "adapt --data {}.json --model m.pt": "--data {}.json",
    "adapt --data . --model {}.pt": "--model {}.pt",
    "adapt --data . --model scratch --plan-from {}.safetensors": "--plan-from {}.safetensors",
    "pretrain --data {}.json": "--data {}.json",
    "pretrain --unlabelled-dir {}.nii.gz": "--unlabelled-dir {}.nii.gz",
    "pretrain --logging_file {}.json": "--logging_file {}.json",
    "sample --model {}.pt --output o": "--model {}.pt",
    "export --model {}.pt --output x.onnx": "--model {}.pt",
    "bundle copy new --model {}.pt": "--model {}.pt",
    "report {}.json": "FOLDER {}.json",
    "compare {}.csv {}.csv": "A {}.csv",
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("line", LINES)
def test_a_special_file_is_named_before_anything_runs(
    line: str, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = said(line.replace("{}", kind).split(), monkeypatch, capsys)
    assert code in (2, 3, 4) and told.startswith(f"error: {LINES[line].replace('{}', kind)}: a pipe, a device or another")
    assert told.count("\n") == 1


PREP = {
    "check {}.json": "{}.json: a pipe, a device or another special file",
    "check {}.nii.gz": "{}.nii.gz: a pipe, a device or another special file",
    "build {}.json --output o": "{}.json: a pipe, a device or another special file",
    "build raw --output {}.json": "--output {}.json: it is a file; expected a folder",
    "build raw --output o --splits {}.json": "{}.json: a folder or a special file; expected a JSON file",
    "repair {}.json --output o": "{}.json: a pipe, a device or another special file",
    "shift {}.json {}.json": "{}.json: a pipe, a device or another special file",
    "check raw --json {}.json": "{}.json: a pipe, a device or another special file",
    "phantom --output {}.json": "{}.json exists and is not an empty folder",
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("line", PREP)
def test_data_prep_does_so_too(line: str, kind: str, place: Path) -> None:
    generate(place / "raw", cases=3, dims=2)
    done = CliRunner().invoke(data_prep.app, line.replace("{}", kind).split())
    assert done.exit_code in (2, 3), done.output
    assert PREP[line].replace("{}", kind) in done.stderr and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_files_beside_the_images_are_not_waited_for_either(kind: str, place: Path) -> None:
    raw = generate(place / "raw", cases=3, dims=2)
    for name in ("cases.csv", "participants.tsv", "labels.json", "dataset.json", "splits.json", "dataset_description.json"):
        (raw / name).unlink(missing_ok=True)
        (place / f"{kind}.json").rename(raw / name)
        done = CliRunner().invoke(data_prep.app, ["check", "raw"])
        assert "Traceback" not in done.output + done.stderr and done.exit_code in (0, 2, 3)
        (raw / name).rename(place / f"{kind}.json")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "empty"])
def test_a_model_or_bundle_that_is_none_is_an_error_of_ours(kind: str, place: Path) -> None:
    for suffix in ("pt", "safetensors"):
        with pytest.raises(HybridError):
            load_weights(place / f"{kind}.{suffix}")
        try:
            assert read_card(place / f"{kind}.{suffix}") is None
        except HybridError as error:
            assert kind in str(error)
    assert audit([str(place / f"{kind}.zip")]) == (3 if kind in ("pipe", "device") else 2)
    with pytest.raises(HybridError):
        write_report(place / f"{kind}.json")


@pytest.mark.parametrize("kind", ["folder", "empty"])
@pytest.mark.parametrize("line", ["check {}.json", "check {}.nii.gz", "build raw --output o --splits {}.json"])
def test_a_folder_or_an_empty_file_is_one_sentence(line: str, kind: str, place: Path) -> None:
    generate(place / "raw", cases=3, dims=2)
    done = CliRunner().invoke(data_prep.app, line.replace("{}", kind).split())
    assert done.exit_code in (2, 3) and "Traceback" not in done.output + done.stderr and kind in done.output + done.stderr
