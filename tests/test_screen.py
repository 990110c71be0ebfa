"""The screen of a run is for a person, the log file has every line, and neither ends a run."""

from __future__ import annotations

import io
import logging
import logging.handlers
from collections.abc import Iterator
from logging.config import fileConfig
from pathlib import Path

import pytest

from monai_hybrid.screen import BAR, NAME, TICK, LogFile, Screen, take_over, write_log

ROOT = Path(__file__).parents[1]
BUNDLES = ["hybrid_pretrain", "few_shot_finetune"]


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """As in a new process, whatever earlier tests of this one have set; all as it was, after each test."""
    made = [log for log in logging.Logger.manager.loggerDict.values() if isinstance(log, logging.Logger)]
    before = [(log, log.level, log.propagate, log.disabled, log.handlers[:]) for log in (logging.getLogger(), *made)]
    limit = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    for log in made:
        log.setLevel(logging.NOTSET)
        log.propagate, log.disabled, log.handlers[:] = True, False, []
    yield
    logging.disable(limit)
    for log, level, propagate, disabled, handlers in before:
        for handler in set(log.handlers) - set(handlers):
            handler.close()
        log.setLevel(level)
        log.propagate, log.disabled, log.handlers[:] = propagate, disabled, handlers


def say() -> None:
    logging.getLogger("monai.bundle.scripts").info("--- input summary of monai.bundle.scripts.run ---")
    logging.getLogger("ignite.engine.engine.SupervisedTrainer").info("Engine run resuming from iteration 0")
    logging.getLogger("ignite.engine.engine.SupervisedTrainer").error("Engine run is terminating due to exception")
    logging.getLogger("monai_hybrid.training").info("epoch 1/2  loss 0.5")
    for update in (10, 20, 30):
        logging.getLogger("monai_hybrid.training").info("update %d", update, extra=TICK)
    logging.getLogger("monai_hybrid.predict").info("1/6 a: done", extra={**TICK, BAR: True})
    logging.getLogger("monai.transforms").warning("something is odd")


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_person_reads_little_and_the_file_has_all(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger().handlers.clear()
    fileConfig(ROOT / "bundles" / bundle / "configs/logging.conf", disable_existing_loggers=False)
    logging.getLogger("monai.bundle.workflows").info("Setting logging properties")
    assert capsys.readouterr().out == ""
    take_over()
    say()
    assert capsys.readouterr().out == "epoch 1/2  loss 0.5\nupdate 10\nwarning: something is odd\n"
    assert list(tmp_path.iterdir()) == []  # a run that is refused leaves no file
    write_log(tmp_path)
    logging.getLogger("monai_hybrid.run").info("later")
    text = (tmp_path / "logs" / NAME).read_text()
    for line in ("Setting logging", "input summary", "resuming", "terminating", "update 20", "update 30", "a: done", "later"):
        assert text.count(line) == 1
    assert " - monai_hybrid.training - INFO - epoch 1/2" in text


def test_verbose_shows_all_with_names(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()
    fileConfig(ROOT / "bundles/hybrid_pretrain/configs/logging.conf", disable_existing_loggers=False)
    logging.getLogger("monai.bundle.workflows").info("Setting logging properties")
    take_over(verbose=True)
    say()
    said = capsys.readouterr().out
    assert " - monai.bundle.workflows - INFO - Setting logging" in said and "resuming from iteration 0" in said
    assert "update 20" in said and "update 30" in said


def test_lines_that_count_come_every_half_minute(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    log, screen, now = logging.Logger("monai_hybrid.x"), Screen(), [0.0]
    monkeypatch.setattr("monai_hybrid.screen.time.monotonic", lambda: now[0])
    log.addHandler(screen)
    for second in range(0, 100, 10):
        now[0] = second
        log.info("%d", second, extra=TICK)
    assert capsys.readouterr().out.split() == ["0", "30", "60", "90"]


def test_another_logging_configuration_stays(capsys: pytest.CaptureFixture[str]) -> None:
    root, stream = logging.getLogger(), io.StringIO()
    root.handlers[:] = [logging.StreamHandler(stream)]
    root.setLevel(logging.INFO)
    take_over()
    say()
    assert "resuming" in stream.getvalue() and capsys.readouterr().out == ""


def test_without_the_run_the_lines_come_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()
    fileConfig(ROOT / "bundles/hybrid_pretrain/configs/logging.conf", disable_existing_loggers=False)
    logging.getLogger("x").info("kept")
    logging.getLogger().handlers[0].close()
    assert "kept" in capsys.readouterr().out


def test_other_processes_of_a_run_are_silent_but_for_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    logging.getLogger().handlers.clear()
    fileConfig(ROOT / "bundles/hybrid_pretrain/configs/logging.conf", disable_existing_loggers=False)
    take_over()
    say()
    write_log(tmp_path)
    assert capsys.readouterr().out == "warning: something is odd\n" and list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_the_log_and_not_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full, log = LogFile(), logging.Logger("x")
    log.addHandler(full)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / NAME).symlink_to("/dev/full")
    log.info("one")
    full.write_to(tmp_path / "logs")
    log.info("two")
    said = capsys.readouterr().err
    assert said.count("cannot be written any more") == 1 and "Traceback" not in said
    refused = LogFile()
    refused.write_to(tmp_path / "logs" / NAME / "no folder")
    assert "warning: " in capsys.readouterr().err
