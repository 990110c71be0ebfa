"""One tiny data set and one very short training for all bundle tests, whichever pytest process asks first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from bundle_runs import TINY, run_bundle
from filelock import FileLock
from small_plan import with_small_network

from data_prep.build import build
from data_prep.phantom import generate


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the workers of pytest-xdist share; `make` fills it, once. Tests read it and write nothing into it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        made = folder.with_name(f"{name}.made")
        if not made.is_file():
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve volumes of phantom scanner A, described; the plan's network is a small one."""

    def make(folder: Path) -> None:
        generate(folder / "raw", cases=12, site="A", seed=0)
        build(folder / "raw", folder / "prepared", budget="cpu")
        with_small_network(folder / "prepared")

    return made_once(tmp_path_factory, "phantom", make) / "prepared"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    """The output folder of a very short training."""

    def make(folder: Path) -> None:
        settings = {**TINY, "picture_interval": 1}
        done = run_bundle("bundles/hybrid_pretrain/configs/train.json", dataset_dir=prepared, output_dir=folder, **settings)
        assert done.returncode == 0, done.stderr[-3000:]

    return made_once(tmp_path_factory, "trained", make)
