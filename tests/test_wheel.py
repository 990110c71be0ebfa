"""What goes into the wheel. That it works: `make wheel`, which is tests/wheel_smoke.py."""

from __future__ import annotations

import fnmatch
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def distribution(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that setup.py gives setuptools."""
    setuptools = pytest.importorskip("setuptools")
    given: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return given


def test_every_file_of_the_bundles_that_is_kept_is_part_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    given = distribution(monkeypatch)
    assert given["package_dir"] == {"monai_hybrid._bundles": "bundles"}
    patterns = given["package_data"]["monai_hybrid._bundles"]
    bundles = ROOT / "bundles"
    kept = [bundles / b / part for b in ("hybrid_pretrain", "few_shot_finetune") for part in ("configs", "docs")]
    files = [file for folder in kept for file in folder.iterdir()] + list(bundles.glob("*/LICENSE"))
    assert len(files) > 15
    for file in files:
        name = file.relative_to(bundles).as_posix()
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
    written = "hybrid_pretrain/models/model.pt", "hybrid_pretrain/eval/cases.csv", "hybrid_pretrain/data/x/datalist.json"
    for name in written:
        assert not any(fnmatch.fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns), name


def test_every_package_and_every_file_of_its_data_is_part_of_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    given = distribution(monkeypatch)
    for package in ("data_prep", "monai_hybrid"):
        folders = {".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / package).rglob("__init__.py")}
        assert folders <= set(given["packages"])
        data = [p for p in (ROOT / package).rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")]
        for file in data:
            name = file.relative_to(ROOT / package).as_posix()
            assert any(fnmatch.fnmatch(name, pattern) for pattern in given["package_data"][package]), name
