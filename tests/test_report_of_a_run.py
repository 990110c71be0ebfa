"""A report is written when there is something new to show."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from monai_hybrid.commands import REPORT, _has_news


@pytest.mark.parametrize("name", ["logs/history.jsonl", "models/model.pt", "eval/metrics.csv"])
def test_a_run_that_changed_nothing_gets_no_new_report(name: str, tmp_path: Path) -> None:
    old, now = time.time() - 100, time.time()
    for each in (name, REPORT, ".run.lock"):
        path = tmp_path / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (old, old))
    assert not _has_news(tmp_path, now)
    (tmp_path / REPORT).touch()
    (tmp_path / ".run.lock").touch()
    assert not _has_news(tmp_path, now), "neither the page itself nor what is hidden"
    (tmp_path / name).touch()
    assert _has_news(tmp_path, now)
    os.utime(tmp_path / name, (old, old))
    (tmp_path / REPORT).unlink()
    assert _has_news(tmp_path, now), "a run without its page gets one"
