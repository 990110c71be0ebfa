"""The plan of the house names files that are there, and its rooms import each other in one direction."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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


# From the bottom up: a room imports rooms before it, none beside or after it.
LEVELS = (
    ("catalogue", "diffusion", "transforms"),
    ("losses", "networks", "evaluation", "gallery", "quality"),
    ("inferers", "reporting"),
    ("engines",),
    ("runs",),
    ("bundle", "prediction"),
    ("nearest",),
    ("few_shot", "audit", "exporting", "suggesting", "viewing", "calibrating"),
    ("distilling",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
PACKAGE = ROOT / "monai_hybrid"


def imports_of(file: Path) -> Iterator[str]:
    """Rooms of the package that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            first, *rest = module.split(".")
            if first == "monai_hybrid" and rest and rest[0] in LEVEL:
                yield rest[0]


def test_every_room_has_a_level() -> None:
    assert {file.parent.name for file in PACKAGE.glob("*/__init__.py")} - {"_bundles"} == set(LEVEL)


def test_rooms_import_in_one_direction() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {other}"
        for room, level in LEVEL.items()
        for file in (PACKAGE / room).rglob("*.py")
        for other in imports_of(file)
        if other != room and LEVEL[other] >= level
    ]
    assert not wrong, wrong
