"""Write the reference pages.

    python -m benchmarks.reference --output docs/reference

A test holds that the committed pages are what this writes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.reference import commands, exit_codes, files, python, settings

COMMAND = "python -m benchmarks.reference --output docs/reference"
PAGES = {
    "settings.md": settings.page,
    "commands.md": commands.page,
    "exit_codes.md": exit_codes.page,
    "files.md": files.page,
    "python.md": python.page,
}


def text_of(name: str) -> str:
    """A page as it is committed."""
    title, _, rest = PAGES[name]().partition("\n")
    return f"{title}\n\nMade from the code by `{COMMAND}`.\n{rest.rstrip()}\n"


def main() -> None:
    """Write all pages into the folder that is named."""
    parser = argparse.ArgumentParser(description="Write the pages of docs/reference that are made from the code.")
    parser.add_argument("--output", "--out", type=Path, required=True, help="folder for the pages")
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for name in PAGES:
        (folder / name).write_text(text_of(name), encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
