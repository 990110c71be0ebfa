"""The plan of the house names files that are there, and its rooms import each other in one direction."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/architecture.md"
PLACE = re.compile(r"`((?:monai_hybrid|data_prep|bundles|benchmarks|tests|docs)/[\w/.]+)`")


@pytest.mark.parametrize("page", ["docs/architecture.md", "SECURITY.md", "docs/results/README.md"])
def test_every_file_that_is_named_exists(page: str) -> None:
    missing = [name for name in PLACE.findall((ROOT / page).read_text(encoding="utf-8")) if not (ROOT / name).exists()]
    assert not missing, missing


def test_the_walks_name_the_files_of_both_ends() -> None:
    named = set(PLACE.findall(PAGE.read_text(encoding="utf-8")))
    assert {"data_prep/reading.py", "monai_hybrid/inferers/native_grid.py", "monai_hybrid/losses/hybrid.py"} <= named


def test_every_module_that_is_named_by_its_file_alone_exists() -> None:
    there = {file.name for room in ("monai_hybrid", "data_prep", "benchmarks", "tests") for file in (ROOT / room).rglob("*.py")}
    named = re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 100 and not set(named) - there - {"setup.py"}


def test_every_package_is_named() -> None:
    page = PAGE.read_text(encoding="utf-8")
    packages = [file.parent.name for room in ("monai_hybrid", "data_prep") for file in (ROOT / room).rglob("*/__init__.py")]
    assert not [name for name in packages if not re.search(rf"`(?:\w+/)*{name}(?:/|`)", page)]


def test_the_page_gives_the_levels() -> None:
    line = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"`{LEVELS[0][0]}`"))
    assert [set(re.findall(r"`(\w+)`", level)) for level in line.split("→")] == [set(level) for level in LEVELS]


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


def modules_of(file: Path) -> Iterator[str]:
    """Modules that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imports_of(file: Path) -> Iterator[str]:
    """Rooms of the package that a file imports."""
    for module in modules_of(file):
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


def test_data_prep_imports_no_other_room() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in (ROOT / "data_prep").rglob("*.py")
        for module in modules_of(file)
        if module.split(".")[0] in ("torch", "monai", "monai_hybrid", "benchmarks")
    ]
    assert not wrong, wrong


def test_the_packages_import_no_benchmark() -> None:
    files = [
        file for file in PACKAGE.rglob("*.py") if any(m.split(".")[0] in ("benchmarks", "tests") for m in modules_of(file))
    ]
    assert not files
