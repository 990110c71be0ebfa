"""Files and lines of each room of the package, and lines of the configurations, at one or more revisions of this repository.

    python -m benchmarks.house [REVISION ...] [--setting NAME]

Prints one table in Markdown; a revision is anything that git knows. Files are read from git, none from the disk.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from pathlib import PurePosixPath

PACKAGE, BUNDLES = "monai_hybrid", "bundles"
TOP = "the package's own folder"
CONFIGS = ("train.json", "evaluate.json", "inference.json")


def lines_at(revision: str) -> dict[str, int]:
    """Lines of each file of the package and of the bundles' configurations."""
    found = _git("grep", "-c", "", revision, "--", f"{PACKAGE}/*.py", f"{BUNDLES}/*/configs/*.json").splitlines()
    named = (line.removeprefix(f"{revision}:").rsplit(":", 1) for line in found)
    return {name: int(count) for name, count in named}


def rooms(lines: dict[str, int]) -> tuple[Counter[str], Counter[str]]:
    """(files, lines) of each room."""
    files: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for name, count in lines.items():
        parts = PurePosixPath(name).parts
        if parts[0] == PACKAGE:
            room = parts[1] if len(parts) > 2 else TOP
            files[room] += 1
            sums[room] += count
    return files, sums


def places_of(setting: str, revision: str) -> int:
    """Files of the package that spell a setting's name as data."""
    done = subprocess.run(
        ["git", "grep", "-l", f'"{setting}"', revision, "--", f"{PACKAGE}/*.py"], capture_output=True, text=True, check=False
    )
    return len(done.stdout.splitlines())


def table(revisions: list[str], setting: str) -> str:
    """The whole table: one column a revision."""
    lines = [lines_at(revision) for revision in revisions]
    counted = [rooms(of) for of in lines]
    rows = [["", *revisions], ["---", *["---:"] * len(revisions)]]
    for room in sorted({name for files, _ in counted for name in files}):
        rows.append([f"`{room}`" if room != TOP else room, *(_room(files[room], sums[room]) for files, sums in counted)])
    rows.append(["all", *(_room(sum(files.values()), sum(sums.values())) for files, sums in counted)])
    for name in sorted({name for of in lines for name in of if name.endswith(CONFIGS) and "multi_gpu" not in name}):
        rows.append([f"`{name}`", *(str(of.get(name, 0)) for of in lines)])
    rows.append([f'files of the package with "{setting}"', *(str(places_of(setting, revision)) for revision in revisions)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _room(files: int, lines: int) -> str:
    return f"{files} files, {lines:,} lines" if files else ""


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", default=["HEAD"])
    parser.add_argument("--setting", default="cache_dir", help="whose places are counted")
    args = parser.parse_args()
    print(table(args.revisions, args.setting))


if __name__ == "__main__":
    main()
