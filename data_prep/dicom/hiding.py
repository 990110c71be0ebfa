"""Findings about a folder of DICOM without the names of what lies in it: an export names folders and files after patients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.cases import Source
from data_prep.checks.registry import Finding
from data_prep.naming import naming
from data_prep.quoting import quoted
from data_prep.reading import stem

KNOWN = ("splits.json", "split.json", "cases.csv", "participants.tsv", "participants.csv", "labels.json", "labels")
SHORTEST = 3


def mask_files(raw: Source) -> list[Path]:
    """The label files of a source, with and without an image."""
    return [*raw.orphans, *(case.label for case in raw.cases if case.label is not None)]


def hidden(findings: Iterable[Finding], files: Sequence[Path] = ()) -> tuple[Finding, ...]:
    """The findings with pseudonyms in the place of paths below the folder that the user typed.

    Args:
        findings: of a folder of DICOM; of others, and with --keep-names, they come back as they are.
        files: masks and lists whose names messages may quote.
    """
    names, told = naming(), tuple(findings)
    if names.keep or not names.roots:
        return told
    words: dict[str, str] = {}
    for path in {*files, *(Path(finding.file) for finding in told if finding.file)}:
        words |= dict(_words(path))
    if not words:
        return tuple(_findable(one) for one in told)
    either = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))

    def shown(text: str) -> str:
        return either.sub(lambda match: words[match[0]], text)

    return tuple(
        _findable(
            replace(one, file=shown(one.file), message=shown(one.message), remedy=shown(one.remedy), case=shown(one.case))
        )
        for one in told
    )


def _findable(finding: Finding) -> Finding:
    """With the command that tells what a pseudonym stands for, where the remedy names one as a path to type."""
    place = quoted(finding.file)
    if Path(finding.file).name not in naming().given or place not in finding.remedy or f"who {place}" in finding.remedy:
        return finding
    return replace(finding, remedy=f"{finding.remedy}; its real path: monai-hybrid who {place}")


def _words(path: Path) -> Iterator[tuple[str, str]]:
    """What texts may call a path below a root, and the pseudonym for it; nothing for any other path."""
    names = naming()
    if path.name in KNOWN or path.name in names.given:
        return
    shown = names.path(path)
    if shown == path:
        return
    yield str(path), str(shown)
    yield quoted(path), quoted(shown)
    yield from ((word, shown.name) for word in (path.name, stem(path)) if len(word) >= SHORTEST)
    root = next(root for root in names.roots.values() if path.is_relative_to(root))
    for folder in path.relative_to(root).parents:
        if folder.name and len(folder.name) >= SHORTEST and folder.name not in KNOWN:
            yield folder.name, names.path(root / folder).name
