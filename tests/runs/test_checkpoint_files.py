"""Checkpoint files: whole or absent, without code, and a full disk leaves the last one as it was."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_hybrid.errors import EnvironmentFault, ModelFileError
from monai_hybrid.runs.checkpoint import checkpoints, load_newest, remove_leftovers, save_checkpoint


def state(update: int, **more: Any) -> dict[str, Any]:
    return {"update": update, "weights": torch.arange(5.0), "names": ["a", None, 1.5], **more}


def test_what_is_saved_is_what_is_loaded_and_two_are_kept(tmp_path: Path) -> None:
    for update in (3, 10, 7, 12):
        save_checkpoint(state(update), tmp_path)
    assert [p.name for p in checkpoints(tmp_path)] == ["update_00000012.pt", "update_00000010.pt"]
    found = load_newest(tmp_path)
    assert found is not None and found[1]["update"] == 12 and torch.equal(found[1]["weights"], torch.arange(5.0))
    assert load_newest(tmp_path / "empty") is None


def test_the_newest_is_that_of_the_most_updates_whatever_the_clock_says(tmp_path: Path) -> None:
    for update in (1, 2):
        save_checkpoint(state(update), tmp_path)
    os.utime(checkpoints(tmp_path)[0], (1, 1))  # the clock was set back between the two
    save_checkpoint(state(3), tmp_path)
    os.utime(checkpoints(tmp_path)[0], (0, 0))
    assert [p.name for p in checkpoints(tmp_path)] == ["update_00000003.pt", "update_00000002.pt"]
    assert (load_newest(tmp_path) or [None, {}])[1]["update"] == 3


def test_a_damaged_one_is_passed_over_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for update in (1, 2):
        save_checkpoint(state(update), tmp_path)
    newest = checkpoints(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:500])
    found = load_newest(tmp_path)
    assert found is not None and found[1]["update"] == 1
    assert "update_00000002.pt: not readable" in caplog.text
    checkpoints(tmp_path)[1].write_bytes(b"")
    with pytest.raises(ModelFileError, match="none of its 2 checkpoints can be read; begin anew with --overwrite True"):
        load_newest(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "marker",)

    torch.save({"update": 1, "format": 1, "x": Touch()}, tmp_path / "update_00000001.pt")
    with pytest.raises(ModelFileError, match="none of its 1 checkpoints can be read"):
        load_newest(tmp_path)
    assert not (tmp_path / "marker").exists()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    torch.save({"update": 1, "format": 2}, tmp_path / "update_00000001.pt")
    with pytest.raises(ModelFileError, match=r"checkpoint format 2, expected 1; update monai_hybrid"):
        load_newest(tmp_path)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk: the write fails half-way, in the same place."""
    save_checkpoint(state(1), tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        save_checkpoint(state(2), tmp_path)
        with pytest.raises(OSError, match="File too large") as caught:
            save_checkpoint(state(3, more=torch.zeros(1_000_000)), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG and str(caught.value.filename) == str(tmp_path / "update_00000003.pt")
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["update_00000001.pt", "update_00000002.pt"]
    assert (load_newest(tmp_path) or [None, {}])[1]["update"] == 2


def test_leftovers_of_a_killed_save_are_removed(tmp_path: Path) -> None:
    path = save_checkpoint(state(1), tmp_path)
    leftover = tmp_path / ".update_00000002.pt.123.tmp"
    leftover.write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_without_memory_no_checkpoint_is_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice for damaged ones is to begin anew, and there is nothing wrong with these."""
    save_checkpoint(state(1), tmp_path)

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(EnvironmentFault, match=r"update_00000001\.pt: not enough memory to read it"):
        load_newest(tmp_path)
