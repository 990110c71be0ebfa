"""README, tutorials and how-tos are read by newcomers: short sentences, no bracket in a bracket."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = [ROOT / "docs" / name for name in ("tutorials", "how-to", "models")]
PAGES = ["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/index.md", "docs/results/README.md", "docs/results/gallery.md"]
PAGES += [f"docs/explanation/{name}.md" for name in ("how_we_know", "method", "speed", "times")]
PAGES += [f"docs/reference/{name}.md" for name in ("evaluation", "exit_codes", "names", "pictures", "python")]
PAGES += [f"bundles/{name}/docs/README.md" for name in ("few_shot_finetune", "hybrid_pretrain")]
PAGES += sorted(page.relative_to(ROOT).as_posix() for folder in FOLDERS for page in folder.glob("*.md"))
MEAN, LONGEST = 18, 30  # words
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def sentences(text: str) -> list[str]:
    """Sentences of prose: no code blocks, tables and headings; links as their words, marked code as one. An item ends one."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", FENCE.sub("\n\n", text))
    lines = ["" if re.match(r"\s*(\||#)", line) else re.sub(r"^\s*(- |\d+\. )", "\n\n", line) for line in text.splitlines()]
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(lines))
    plain = re.sub(r"`[^`]*`", "CODE", plain).replace("*", "")
    found = []
    for paragraph in re.split(r"\n\s*\n", plain):
        found += re.split(r"(?<=[.?!])\s+", " ".join(paragraph.split()))
    return [one for one in found if one]


def words(sentence: str) -> int:
    """Words of a sentence; a number and a piece of code are one each."""
    return len(re.findall(r"\w[\w.,'/-]*", sentence))


@pytest.mark.parametrize("page", PAGES)
def test_sentences_are_short(page: str) -> None:
    lengths = {one: words(one) for one in sentences((ROOT / page).read_text(encoding="utf-8"))}
    assert {one: n for one, n in lengths.items() if n > LONGEST} == {}
    assert sum(lengths.values()) / len(lengths) <= MEAN


@pytest.mark.parametrize("page", PAGES)
def test_no_bracket_is_in_a_bracket(page: str) -> None:
    found = [one for one in sentences((ROOT / page).read_text(encoding="utf-8")) if re.search(r"\([^()]*\(", one)]
    assert found == []


def test_code_tables_headings_and_links_do_not_count() -> None:
    page = "# A heading\n\nTwo words. [Three more words](x.md).\n\n| a | b |\n\n```\ncode here\n```\n"
    page += "- One `a b c` item\n- Two: more words. nnU-Net has two\n"
    assert sentences(page) == ["Two words.", "Three more words.", "One CODE item", "Two: more words.", "nnU-Net has two"]
    assert [words(one) for one in sentences(page)] == [2, 3, 3, 3, 3]
