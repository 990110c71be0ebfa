"""The page of codes is the one that the checks give."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from data_prep.cli import app

PAGE = Path(__file__).parents[2] / "docs/reference/checks.md"


def test_the_page_of_codes_is_up_to_date() -> None:
    table = CliRunner().invoke(app, ["codes"]).stdout.strip()
    assert table.startswith("| code") and table in PAGE.read_text(encoding="utf-8"), "type: python -m data_prep codes"
