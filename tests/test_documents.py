"""The documents hold together: links, their anchors, the README's length and the commands that it names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import typer.main

from monai_hybrid.cli import app

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<!runpip )monai-hybrid (.*?)(?=`|$|#)", re.MULTILINE)


def documents() -> list[Path]:
    """Every tracked Markdown file; without git, every one outside hidden and built folders."""
    try:
        listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        return [p for p in ROOT.glob("**/*.md") if not p.relative_to(ROOT).parts[0].startswith((".", "build"))]


def anchors(text: str) -> set[str]:
    """Anchors as GitHub makes them: lower case, punctuation dropped, spaces to hyphens, repeats numbered."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", FENCE.sub("", text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        base = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        name, n = base, 0
        while name in found:
            n += 1
            name = f"{base}-{n}"
        found.add(name)
    return found


def broken_links(path: Path) -> list[str]:
    """Relative links of one document whose file or anchor is not there."""
    broken = []
    for link in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            broken.append(link)
    return broken


def unknown_words(text: str) -> list[str]:
    """Commands and options behind `monai-hybrid` in a text that the command line does not have."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    unknown = []
    for line in COMMAND.findall(text):
        words = line.split()
        if not words or words[0].startswith("-"):
            continue
        name = words[0].strip(".,;:")
        if name not in commands:
            if name.islower() and name.isalpha() and len(words) > 1:
                unknown.append(f"monai-hybrid {name}")
            continue
        known = {o for p in commands[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        unknown += [
            f"{name} {w}"
            for w in words
            if w.startswith("--") and w.split("=")[0].rstrip(".,;:)").replace("_", "-") not in known
        ]
    return unknown


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_anchors_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_options_of_the_documents_exist(path: Path) -> None:
    assert unknown_words(path.read_text(encoding="utf-8")) == []


PAGES = [path for path in documents() if not {"notes", "benchmarks"} & set(path.relative_to(ROOT).parts)]


def commented_lines(text: str) -> list[str]:
    """Lines to paste with a comment: of blocks of commands all, of transcripts those behind a prompt."""
    found = []
    for kind, block in re.findall(r"^```(bash|sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        prompts = any(line.startswith("$ ") for line in block.splitlines())
        typed = [line for line in block.splitlines() if kind == "bash" or not prompts or line.startswith("$ ")]
        found += [line for line in typed if re.search(r"(^|\s)# ", line)]
    return found


@pytest.mark.parametrize("path", documents(), ids=lambda p: str(p.relative_to(ROOT)))
def test_lines_to_paste_hold_no_comment(path: Path) -> None:
    """An interactive zsh knows no comments: it takes their words for arguments, and runs what stands in backticks."""
    assert not commented_lines(path.read_text(encoding="utf-8"))


def test_a_comment_behind_a_command_is_seen() -> None:
    page = "```bash\nrun a \\\n  --b 1    # why\n# above\nrun c\n```\n```\n$ show # it\n(1) [x]   #  12, 1 Label\n```\n"
    assert commented_lines(page) == ["  --b 1    # why", "# above", "$ show # it"]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_an_extra_is_installed_as_the_package_was(path: Path) -> None:
    """The package is on no index: a name alone is right only where it is installed already."""
    text = path.read_text(encoding="utf-8")
    assert 'pip install "monai-hybrid[' not in text or "install.md" in text or path.name in ("install.md", "CHANGELOG.md")
    assert not re.search(r"pip install .*(?<![/\w\"-])monai-hybrid(?![\w\[-])", text)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_a_broken_link_anchor_and_option_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text(
        "# One thing, two\n[a](b.md) [b](#one-thing-two) [c](#three) [d](https://x.org/y) [e](a.md#one-thing-two)\n"
    )
    assert broken_links(page) == ["b.md", "#three"]
    assert unknown_words("`monai-hybrid adapt --shots 3 --shotz 3`\nmonai-hybrid fly --high\n") == [
        "adapt --shotz",
        "monai-hybrid fly",
    ]
