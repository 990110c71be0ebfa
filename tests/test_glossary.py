"""Words that our tables, files and commands print stand in the glossary; their lists are the code's own."""

from __future__ import annotations

import re
from pathlib import Path

from data_prep.result_files import CASES_ALL, QUALITY_ALL
from monai_hybrid.losses.objectives import OBJECTIVES
from monai_hybrid.reporting.curves import TERMS

PAGE = Path(__file__).parent.parent / "docs/reference/glossary.md"
STATUSES = {"ok", "missed", "invented", "absent", "done", "failed"}
PRINTED = {"source", "target", "shot", "arm", "plan", "card", "budget", "ceiling", "draw", "source replay", "clean share"}
PRINTED |= {"window", "rod", "room", "val_dice", "val_mean_dice", "mask_loss_by_t", "forgetting", "shift", "flag", "phantom"}
FIELD = {"Dice", "NSD", "HD95", "EMA", "affine", "spacing", "RAS", "DDIM"}
WORDS = set(CASES_ALL | QUALITY_ALL | OBJECTIVES.keys() | TERMS.keys() | STATUSES | PRINTED | FIELD)


def entries() -> list[list[str]]:
    """Tables of the page as lists of first cells, without code marks."""
    tables = PAGE.read_text(encoding="utf-8").split("| --- | --- |\n")[1:]
    return [[row.split("|")[1].strip().strip("`") for row in re.findall(r"^\|.*$", table, re.MULTILINE)] for table in tables]


def test_every_printed_word_stands_in_the_glossary() -> None:
    known = {word for table in entries() for word in table}
    assert sorted(WORDS - known) == []


def test_each_meaning_is_one_or_two_short_sentences() -> None:
    rows = [row.split("|")[2].strip() for row in re.findall(r"^\| .*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)]
    meanings = [m for m in rows if m not in ("meaning", "---")]
    assert len(meanings) > 80
    long = [m for m in meanings if len(m.split()) > 34]
    assert long == []
