"""One run for one folder, and nothing of an earlier run is overwritten without being asked."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from warm import run_code

from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.runs.checkpoint import checkpoints, save_checkpoint
from monai_hybrid.runs.run_folder import claim_run, lock, release, run_settings

HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1]); lock.acquire(); print("held", flush=True); time.sleep(60)
"""
CONFIG = {"learning_rate": 0.1, "max_epochs": 3, "train": {"handlers": [{"_target_": "A"}, {"_target_": "B", "x": 1}]}}


@pytest.fixture
def folder(tmp_path: Path):  # type: ignore[no-untyped-def]
    yield tmp_path / "run"
    release(tmp_path / "run")


def argv(tmp_path: Path, *words: str) -> list[str]:
    """A command line of `python -m monai.bundle run`."""
    (tmp_path / "train.json").write_text(json.dumps(CONFIG))
    return ["/python/site-packages/monai/bundle/__main__.py", "run", "--config_file", str(tmp_path / "train.json"), *words]


def earlier_run(folder: Path, words: list[str], update: int = 4) -> None:
    state = {"update": update, "epoch_length": 4, "max_epochs": 3, "settings": run_settings(words)}
    save_checkpoint(state, folder / "checkpoints")
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs/history.jsonl").write_text('{"epoch": 1, "updates": 4}\n')


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (4, "holds an unfinished run (update 4 of 12); --resume True goes on, --overwrite True begins anew, or give another"),
        (
            12,
            "holds a finished run (update 12 of 12); --resume True with more --updates or --max_epochs goes on, --overwrite",
        ),
    ],
)
def test_an_earlier_run_is_not_overwritten_unasked(update: int, message: str, folder: Path, tmp_path: Path) -> None:
    words = argv(tmp_path)
    claim_run(str(folder), argv=words)  # an empty folder needs no word
    earlier_run(folder, words, update)
    with pytest.raises(ConfigError, match=re.escape(message)):
        claim_run(str(folder), argv=words)
    assert len(checkpoints(folder / "checkpoints")) == 1
    claim_run(str(folder), resume=True, argv=words)
    assert len(checkpoints(folder / "checkpoints")) == 1 and (folder / "logs/history.jsonl").is_file()
    claim_run(str(folder), overwrite=True, argv=words)
    assert not (folder / "checkpoints").exists() and not (folder / "logs/history.jsonl").exists()


def test_a_model_without_checkpoints_is_not_overwritten_either(folder: Path, tmp_path: Path) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "models/model.safetensors").write_bytes(b"weights")
    with pytest.raises(ConfigError, match=r"holds models/model\.safetensors of an earlier run; --overwrite True replaces it"):
        claim_run(str(folder), argv=argv(tmp_path))
    with pytest.raises(ConfigError, match=r"holds models/model\.safetensors of an earlier run"):
        claim_run(str(folder), resume=True, argv=argv(tmp_path))
    claim_run(str(folder), overwrite=True, argv=argv(tmp_path))
    assert (folder / "models/model.safetensors").read_bytes() == b"weights", "until the new run saves"


def test_an_application_replaces_its_own_runs(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    earlier_run(folder, argv(tmp_path))
    with caplog.at_level(logging.WARNING):
        claim_run(str(folder), argv=["monailabel"])
    assert "replacing the run that is there" in caplog.text and checkpoints(folder / "checkpoints") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--learning_rate", "0.2"], "learning_rate: 0.1 -> 0.2 (saved -> now)"),
        (["--train#handlers#1#x", "2"], "train#handlers#1#x: 1 -> 2"),
        (["--batch_size", "3"], "batch_size: absent -> 3"),
    ],
)
def test_going_on_with_other_settings_is_refused_at_once(words: list[str], message: str, folder: Path, tmp_path: Path) -> None:
    earlier_run(folder, argv(tmp_path))
    with pytest.raises(ConfigError, match=re.escape(message)):
        claim_run(str(folder), resume=True, argv=argv(tmp_path, *words))
    free = ["--max_epochs", "9", "--output_dir", "x", "--num_workers", "2", "--resume", "True", "--log_interval", "1"]
    claim_run(str(folder), resume=True, argv=argv(tmp_path, *free))


def test_both_wishes_at_once_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume and overwrite: both are True; give one of them"):
        claim_run(str(folder), resume=True, overwrite=True, argv=argv(tmp_path))


def test_a_second_process_is_told_who_runs_here_and_a_killed_one_leaves_no_lock(folder: Path) -> None:
    folder.mkdir()
    seen = {"pid": 4711, "host": "ward7", "since": "2026-01-02 03:04:05"}
    (folder / ".run.json").write_text(json.dumps(seen))
    command = [sys.executable, "-c", HOLD, str(folder / ".run.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentFault, match=r"another run is writing here \(process 4711 on ward7, since 2026-01-02"):
            lock(folder)
        (folder / ".run.json").write_text("torn")
        with pytest.raises(EnvironmentFault, match=r"another run is writing here \(an unknown process\)"):
            lock(folder)
        other.kill()
    lock(folder)
    lock(folder)  # the same process may ask again
    assert json.loads((folder / ".run.json").read_text())["pid"] == os.getpid()


def test_leftovers_of_a_killed_save_are_removed(folder: Path, tmp_path: Path) -> None:
    for part in ("checkpoints", "models", "logs"):
        (folder / part).mkdir(parents=True)
        (folder / part / ".x.1.tmp").write_bytes(b"half")
    claim_run(str(folder), argv=argv(tmp_path))
    assert list(folder.glob("*/.*.tmp")) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"file/run: cannot be written: Not a directory; give another --output_dir"):
        claim_run(str(tmp_path / "file/run"), argv=["python"])


def test_only_rank_0_claims(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    claim_run(str(folder), argv=["python"])
    assert not folder.exists()


def test_a_run_that_ended_leaves_nothing_hidden_and_the_next_holds_the_folder(folder: Path, tmp_path: Path) -> None:
    for _ in range(2):
        lock(folder)
        assert (folder / ".run.lock").is_file() and (folder / ".run.json").is_file()
        release(folder)
        assert list(folder.iterdir()) == []
    code = (
        f"from monai_hybrid.runs.run_folder import lock; from pathlib import Path; lock(Path({str(folder)!r})); print('held')"
    )
    done = run_code(code, [], tmp_path, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr
    assert list(folder.iterdir()) == []


def test_files_of_others_below_checkpoints_are_kept(folder: Path, tmp_path: Path) -> None:
    earlier_run(folder, argv(tmp_path))
    for name in ("best.pt", "update_mine.pt", ".notes.tmp"):
        (folder / "checkpoints" / name).write_bytes(b"mine")
    claim_run(str(folder), overwrite=True, argv=argv(tmp_path))
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [".notes.tmp", "best.pt", "update_mine.pt"]


def test_a_model_of_somebody_else_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "models/model.pt").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"holds models/model\.pt of an earlier run; --overwrite True replaces it"):
        claim_run(str(folder), argv=argv(tmp_path))
    assert (folder / "models/model.pt").read_bytes() == b"mine"
