"""Lines are counted as git has them, by room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.house.__main__ import table


def test_rooms_and_configurations_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "monai_hybrid/__init__.py": "",
        "monai_hybrid/settings.py": 'NAME = "shots"\n',
        "monai_hybrid/runs/resume.py": "a = 1\nb = 2\n",
        "monai_hybrid/runs/notes.txt": "not counted\n",
        "bundles/one/configs/train.json": "{\n}\n",
        "bundles/one/configs/multi_gpu_train.json": "{}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert table(["HEAD"], "shots").splitlines()[2:] == [
        "| `runs` | 1 files, 2 lines |",
        "| the package's own folder | 1 files, 1 lines |",
        "| all | 2 files, 3 lines |",
        "| `bundles/one/configs/train.json` | 2 |",
        '| files of the package with "shots" | 1 |',
    ]
