"""Whether the built site is whole: every link, picture and script of its pages leads to a file of it.

    python tests/site_links.py build/site

The site's own builder looks at links between pages alone. Addresses elsewhere are not fetched; those that a page would load
by itself (scripts, styles, pictures) are refused.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "src"), ("iframe", "src")}


class Page(HTMLParser):
    """What one page points to: (tag, attribute, address), and its own anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str, str]] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep addresses and anchors."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.addresses.append((tag, name, value))
            if name in ("id", "name") and value:
                self.anchors.add(value)


def broken(site: Path) -> list[str]:
    """Sentences about what leads nowhere, and what would be loaded from elsewhere."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    said = []
    for path, page in pages.items():
        if path.name == "404.html":  # served at any depth, so its addresses begin at the root of a server
            continue
        for tag, name, address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                said += [f"{path.name}: loads {address}"] if (tag, name) in LOADED and parts.scheme != "data" else []
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                said.append(f"{path.relative_to(site.resolve())}: {address} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                said.append(f"{path.relative_to(site.resolve())}: {address} has no such anchor")
    return said


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]))
    print("\n".join(found) or f"{sys.argv[1]}: every link leads somewhere")
    sys.exit(bool(found))
