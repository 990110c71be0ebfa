"""One tiny data set and one very short training for all bundle tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_runs import TINY, run_bundle

from data_prep.build import build
from data_prep.phantom import generate


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve volumes of phantom scanner A, described."""
    folder = tmp_path_factory.mktemp("phantom")
    generate(folder / "raw", cases=12, site="A", seed=0)
    build(folder / "raw", folder / "prepared", budget="cpu")
    return folder / "prepared"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    """The output folder of a very short training."""
    out = tmp_path_factory.mktemp("run")
    settings = {**TINY, "picture_interval": 1}
    done = run_bundle("bundles/hybrid_pretrain/configs/train.json", dataset_dir=prepared, output_dir=out, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    return out
