"""The plan of the house names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACE = re.compile(r"`((?:monai_hybrid|data_prep|bundles|benchmarks|tests|docs)/[\w/.]+)`")


@pytest.mark.parametrize("page", ["docs/architecture.md", "SECURITY.md", "docs/results/README.md"])
def test_every_file_that_is_named_exists(page: str) -> None:
    missing = [name for name in PLACE.findall((ROOT / page).read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert not missing, missing


def test_the_walks_name_the_files_of_both_ends() -> None:
    named = set(PLACE.findall((ROOT / "docs/architecture.md").read_text(encoding="utf-8")))
    assert {"data_prep/reading.py", "monai_hybrid/inferers/native_grid.py", "monai_hybrid/losses/hybrid.py"} <= named
