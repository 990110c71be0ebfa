"""The matrix of 224 faults as a table: id, fault, answer, test, or "missing".

`python -m benchmarks.reliability.matrix [--output FILE]` prints it as Markdown, and writes it with `--output`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.elsewhere import ELSEWHERE
from benchmarks.reliability.faults import ACCEPTED, FAULTS
from data_prep.checks import REGISTRY

BORDER_TEST = "tests/data_prep/test_fault_matrix.py"
MISSING = "missing"
GROUPS = {
    "A": "file integrity",
    "B": "geometry",
    "C": "grey values",
    "D": "labels",
    "E": "pairing",
    "F": "list of the cases",
    "G": "configuration and command line",
    "H": "model files",
    "I": "untrusted code",
    "J": "archives and DICOM",
    "K": "faults while running",
    "L": "honest results",
    "M": "pictures and the plan",
    "N": "names, DICOM-SEG and BIDS",
    "O": "a folder a case",
}


@dataclass(frozen=True)
class Row:
    """One case of the matrix. `test` is a file, or file::function; empty when missing."""

    id: str
    fault: str
    answer: str
    test: str


def rows() -> list[Row]:
    """All 224 cases: the data border's from its registry, the others from the table of pointers."""
    border = {fault.id: [other for other in FAULTS if other.id == fault.id] for fault in FAULTS}
    own = [
        Row(key, "; ".join(fault.title for fault in group), _answers([fault.answer for fault in group]), BORDER_TEST)
        for key, group in border.items()
    ]
    others = [Row(key, fault, _said(key) if test else MISSING, test) for key, fault, test in ELSEWHERE]
    return sorted([*own, *others], key=lambda row: row.id)


def _said(key: str) -> str:
    return "refused unread" if key in ("J01", "J02") else "as tested"


def _answers(codes: Sequence[str]) -> str:
    """The answers of the variants, each once: "D003 error", "accepted"."""
    words = (code if code == ACCEPTED else f"{code} {REGISTRY[code].level}" for code in codes)
    return ", ".join(dict.fromkeys(words))


def markdown(table: Sequence[Row]) -> str:
    """The page docs/reference/fault_matrix.md."""
    return "\n".join([*_head(table), *_groups(table)]) + "\n"


def _head(table: Sequence[Row]) -> Iterator[str]:
    held = sum(bool(row.test) for row in table)
    yield "# The fault matrix"
    yield ""
    yield "Made by `python -m benchmarks.reliability.matrix --output docs/reference/fault_matrix.md` from the tests' registry."
    yield ""
    yield f"**{held} of {len(table)} cases have a test**; {len(table) - held} are missing and say so."
    yield ""
    yield "Groups A to F, M and N (the data border) are made on the spot by `benchmarks/reliability/faults/`, but for D315 and"
    yield "D531 to D538. Each variant is asked of `check` (exit code, one line, file or case named, remedy, JSON with the"
    yield "code), of `build` (the same verdict, nothing"
    yield "written) and of the bundles' `prepare_data`. Some ids hold several near variants; all are tested, and a row counts"
    yield "once. In groups G to L a test is named where one asserts the behaviour; not all of these go through every entry"
    yield "(shell, bundle, Python)."
    yield ""
    yield "What the count does not say:"
    yield ""
    yield "- Group J: archives are never opened. DICOM is read where the extra is installed, and refused with the line that"
    yield "  installs it where it is not. More of its faults: `tests/data_prep/test_dicom_checks.py` and"
    yield "  `tests/data_prep/test_dicom_hostile.py`."
    yield "- G09, G10, G11, G16: a configuration that MONAI itself cannot read is named by `monai-hybrid`; `python -m"
    yield "  monai.bundle run` reads it before any of this project's code, and shows MONAI's traceback."
    yield "- K01, K07: whole trainings, marked slow. K01 kills once and K02 eight times; 20 kills at random moments are"
    yield "  `python -m benchmarks.reliability.kill_resume`, 200 within saves `python -m benchmarks.reliability.torn_files`."
    yield ""
    yield "| group | cases | with a test |"
    yield "|---|---|---|"
    for letter, title in GROUPS.items():
        group = [row for row in table if row.id[0] == letter]
        yield f"| {letter} {title} | {len(group)} | {sum(bool(row.test) for row in group)} |"


def _groups(table: Sequence[Row]) -> Iterator[str]:
    for letter, title in GROUPS.items():
        yield from ("", f"## {letter} {title}", "", "| id | fault | answer | test |", "|---|---|---|---|")
        for row in table:
            if row.id[0] == letter:
                yield f"| {row.id} | {row.fault} | {row.answer} | {f'`{row.test}`' if row.test else ''} |"


def main(arguments: Sequence[str] | None = None, show: Callable[[str], object] = print) -> int:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.matrix", description=__doc__)
    parser.add_argument("--output", "--out", type=Path, help="the Markdown file")
    given = parser.parse_args(arguments)
    text = markdown(rows())
    show(text)
    if given.output is not None:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
