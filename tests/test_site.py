"""The documentation site: every page is in its navigation, and the check of the built pages sees what is broken."""

from __future__ import annotations

import re
from pathlib import Path

from site_links import broken

ROOT = Path(__file__).parent.parent


def test_every_page_is_in_the_navigation_once() -> None:
    named = re.findall(r'"([^"]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(pages)


def test_the_first_page_names_every_page() -> None:
    docs = ROOT / "docs"
    linked = set(re.findall(r"\]\(([^)#\s]+\.md)", (docs / "index.md").read_text(encoding="utf-8")))
    assert linked == {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - {"index.md"}


def test_pages_link_to_pages_of_the_site_alone() -> None:
    docs = ROOT / "docs"
    left = [
        f"{page.relative_to(docs)}: {link}"
        for page in docs.rglob("*.md")
        for link in re.findall(r"\]\(([^)#\s:]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).resolve().is_relative_to(docs.resolve())
    ]
    assert left == [], "a file outside docs/ is no page of the site, and stops `make site`"


def test_links_of_a_whole_site_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "style.css").write_text("")
    (tmp_path / "index.html").write_text('<link href="style.css"><a href="a/#two">x</a> <a href="https://x.org">y</a>')
    (tmp_path / "a/index.html").write_text('<h1 id="two">2</h1><a href="..">up</a><a href="#two">here</a>')
    assert broken(tmp_path) == []


def test_dead_links_anchors_and_what_is_loaded_from_elsewhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<a href="b.html"></a><img src="no.png"><a href="#x"></a><script src="//x.org/y.js">')
    assert broken(tmp_path) == [
        "index.html: b.html is not there",
        "index.html: no.png is not there",
        "index.html: #x has no such anchor",
        "index.html: loads //x.org/y.js",
    ]
