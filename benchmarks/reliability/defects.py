"""39 defective data sets and 2 sound ones: does `check` stop each, name the file, and say what to type?

`python -m benchmarks.reliability.defects [--output FOLDER]` prints the table as Markdown; with `--output` it also writes
defects.json and defects.md.
The peers' answers are those measured on sets of the same defects with MONAI 1.6.1 (load chain, and Auto3DSeg's
DataAnalyzer), nnU-Net 2.8.1 (`verify_dataset_integrity`), TorchIO 1.2.1 and MIST 2.3.0 (`--verify`); they are not run here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.faults import ACCEPTED, FAULTS
from benchmarks.reliability.tiny import sound
from data_prep.build import build
from data_prep.check import check
from data_prep.errors import DataError
from data_prep.this_python import python

PEERS = ("MONAI 1.6.1", "Auto3DSeg", "nnU-Net 2.8.1", "TorchIO 1.2.1", "MIST 2.3.0")
NAMED = (6, 6, 17, 8, 21)  # of 39: how often the peer's message names the file or case
WORDS = {"s": "silent", "S": "stop", "w": "warning", "h": "hangs"}


@dataclass(frozen=True)
class Defect:
    """One data set. `peers` has a letter for each of `PEERS`; `fault` is the id and title in the fault matrix."""

    number: int
    title: str
    fault: tuple[str, str] | None
    peers: str


DEFECTS = [
    Defect(0, "control: sound", None, "sssss"),
    Defect(1, "NaN in the image", ("C01", "NaN"), "sssss"),
    Defect(2, "Inf in the image", ("C02", "Inf"), "sssss"),
    Defect(3, "constant image", ("C03", "constant image"), "sssSs"),
    Defect(4, "label only background", ("D01", "only background"), "sssss"),
    Defect(5, "label value 7, not declared", ("D02", "value 7 not declared"), "ssSsS"),
    Defect(6, "label value 0.5", ("D04", "value 0.5"), "ssSss"),
    Defect(7, "label value -1", ("D03", "value -1"), "ssSsS"),
    Defect(8, "NaN in the label", ("D05", "NaN"), "sssss"),
    Defect(9, "shapes differ", ("E03", "shapes differ"), "ssSSS"),
    Defect(10, "origins 15 mm apart", ("E05", "origin 15 mm away"), "sswSS"),
    Defect(11, "left-right flip between image and label", ("E06", "left-right flip"), "sswSS"),
    Defect(12, "spacings differ", ("E04", "spacings differ"), "ssSSS"),
    Defect(13, "4D image", ("B12", "4D image"), "sSSsS"),
    Defect(14, "2D image", ("B10", "2D image among 3D"), "SSSSS"),
    Defect(15, "sheared affine", ("B08", "sheared affine"), "ssssS"),
    Defect(16, "neither sform nor qform", ("B01", "neither sform nor qform"), "sssss"),
    Defect(17, "sform and qform disagree", ("B02", "forms disagree: spacing"), "sssss"),
    Defect(18, "zero voxel size", ("B03", "voxel size zero"), "sssss"),
    Defect(19, "singular sform", ("B06", "singular affine"), "sssSS"),
    Defect(20, "NaN in the sform", ("B07", "NaN in the affine"), "sswSS"),
    Defect(21, ".nii.gz cut in half", ("A03", "cut in the middle, gz"), "SSsss"),
    Defect(22, "gzip checksum wrong", ("A05", "gzip checksum wrong"), "ssssS"),
    Defect(23, "text (Git LFS pointer)", ("A08", "Git LFS pointer"), "SSSSS"),
    Defect(24, "empty file", ("A01", "empty file"), "SSSSS"),
    Defect(25, "header says 30000^3", ("B18", "header asks for 30000^3 voxels"), "SSSSS"),
    Defect(26, "9 GB gzip bomb", ("B18", "gzip bomb of 9 GiB"), "SShSS"),
    Defect(27, "ids equal but for case", ("E11", "ids equal but for case"), "sssss"),
    Defect(28, "same file twice", ("E10", "same file twice"), "sssss"),
    Defect(29, "control: non-ASCII name with a space", None, "sssss"),
    Defect(30, "label missing", ("E01", "label missing"), "SSSSS"),
    Defect(31, "image missing", ("E02", "image missing"), "SSSSS"),
    Defect(32, "label with scale factor 0.5", ("D07", "scale factor 0.5"), "ssSss"),
    Defect(33, "RGB voxels", ("C07", "RGB voxels"), "SSSSs"),
    Defect(34, "complex voxels", ("C08", "complex voxels"), "sssSs"),
    Defect(35, "folder in place of a file", ("A10", "folder in place of a file"), "SSSSS"),
    Defect(36, "dangling link", ("A11", "dangling link"), "SSSSS"),
    Defect(37, "one voxel of 3e38", ("C05", "value 3e38"), "sssss"),
    Defect(38, "400 mm voxels", ("B16", "voxels of 400 mm"), "SssSs"),
    Defect(39, "image and label exchanged", ("E07", "image and label exchanged"), "ssSsS"),
    Defect(40, "one slice thick", ("B11", "one slice thick"), "sssss"),
]


@dataclass(frozen=True)
class Answer:
    """What `check` and `build` said to one data set; `code` is empty for a sound set that both accept."""

    defect: Defect
    stopped: bool
    built: bool
    code: str
    named: bool
    line: str
    seconds: float


def make(defect: Defect, folder: Path) -> tuple[Path, dict[str, str], str, str]:
    """Build the data set; returns its path, the options it is checked with, the expected code and what must be named."""
    if defect.fault is None:
        names = ("case_a", "case_b") if defect.number == 0 else ("Müller links", "case_b")
        return sound(folder / "raw", names), {}, ACCEPTED, ""
    fault = next(fault for fault in FAULTS if (fault.id, fault.title) == defect.fault)
    return fault.make(folder), dict(fault.options), fault.answer, fault.names


def ask(defect: Defect) -> Answer:
    """Make one data set in a temporary folder, check it, and try to build it."""
    with tempfile.TemporaryDirectory() as name:
        path, options, code, names = make(defect, Path(name) / "set")
        start = time.perf_counter()
        errors = [finding for finding in check(path, **options) if finding.level == "error"]  # type: ignore[arg-type]
        seconds = time.perf_counter() - start
        found = next((finding for finding in errors if finding.code == code), errors[0] if errors else None)
        line = str(found).replace(str(path), "DATA").replace(f"{python()} -c", "python -c") if found else ""
        named = found is not None and names in found.file + found.case and bool(found.remedy)
        return Answer(
            defect, bool(errors), _builds(path, Path(name) / "out", options), found.code if found else "", named, line, seconds
        )


def _builds(path: Path, out: Path, options: dict[str, str]) -> bool:
    """True when `build` makes the three files; False when it refuses and leaves nothing."""
    try:
        build(path, out, **options)
    except DataError:
        if out.exists():
            raise
        return False
    return True


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Counts over the 39 defects, and over the two controls."""
    defects = [answer for answer in answers if answer.defect.fault]
    controls = [answer for answer in answers if not answer.defect.fault]
    peers = {
        name: {
            "stopped": sum(answer.defect.peers[index] == "S" for answer in defects),
            "warned": sum(answer.defect.peers[index] == "w" for answer in defects),
            "hung": sum(answer.defect.peers[index] == "h" for answer in defects),
            "named": NAMED[index],
        }
        for index, name in enumerate(PEERS)
    }
    return {
        "defects": len(defects),
        "stopped_by_check": sum(answer.stopped for answer in defects),
        "stopped_by_build": sum(not answer.built for answer in defects),
        "named_with_remedy": sum(answer.named for answer in defects),
        "controls_accepted": sum(answer.built and not answer.stopped for answer in controls),
        "controls": len(controls),
        "slowest_seconds": round(max(answer.seconds for answer in answers), 2),
        "peers": peers,
    }


def markdown(answers: Sequence[Answer]) -> str:
    """The page docs/reference/defects.md."""
    return "\n".join([*_head(summary(answers)), *_rows(answers), *_sums(summary(answers)), *_lines(answers)]) + "\n"


def _head(counts: dict[str, Any]) -> Iterator[str]:
    yield "# 39 defective data sets"
    yield ""
    yield "Made by `python -m benchmarks.reliability.defects --output docs/reference`. Each defect sits in one of a few cases."
    yield "*Stop*: `python -m data_prep check` exits with 3 and `build` writes nothing. The peers' answers were measured"
    yield "on sets of the same defects with MONAI 1.6.1 (its usual load chain), Auto3DSeg's DataAnalyzer (MONAI 1.6.1),"
    yield "nnU-Net 2.8.1 (`verify_dataset_integrity`), TorchIO 1.2.1 and MIST 2.3.0 (`--verify`); quoted here, not run again."
    yield ""
    yield (
        f"**{counts['stopped_by_check']} of {counts['defects']} stopped by `check`, {counts['stopped_by_build']} by `build`, "
        f"{counts['named_with_remedy']} with the file or case named and a remedy; {counts['controls_accepted']} of "
        f"{counts['controls']} controls accepted.**"
    )
    yield ""


def _rows(answers: Sequence[Answer]) -> Iterator[str]:
    yield f"| # | data set | here | {' | '.join(PEERS)} |"
    yield "|---|---|---|" + "---|" * len(PEERS)
    for answer in answers:
        here = f"stop, {answer.code}" if answer.stopped else "accepted"
        sound_set = answer.defect.fault is None
        peers = ["accepted" if sound_set else WORDS[letter] for letter in answer.defect.peers]
        yield f"| {answer.defect.number or ''} | {answer.defect.title} | {here} | {' | '.join(peers)} |"


def _sums(counts: dict[str, Any]) -> Iterator[str]:
    peers = [
        f"{p['stopped']} / {p['warned']} / {p['named']}" + (" (1 hangs)" if p["hung"] else "") for p in counts["peers"].values()
    ]
    here = f"{counts['stopped_by_check']} / 0 / {counts['named_with_remedy']}"
    yield f"| | **stopped / warned / named, of {counts['defects']}** | **{here}** | {' | '.join(peers)} |"
    yield ""


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    yield "## What is said"
    yield ""
    for answer in answers:
        if answer.stopped:
            yield f"{answer.defect.number}. `{answer.line.replace('`', chr(39))}`"


def as_json(answers: Sequence[Answer]) -> dict[str, Any]:
    """The content of defects.json."""
    rows = [
        {
            "number": answer.defect.number,
            "data_set": answer.defect.title,
            "stopped_by_check": answer.stopped,
            "stopped_by_build": not answer.built,
            "code": answer.code,
            "named_with_remedy": answer.named,
            "message": answer.line,
            "peers": dict(zip(PEERS, (WORDS[letter] for letter in answer.defect.peers), strict=True)),
        }
        for answer in answers
    ]
    return {"summary": summary(answers), "data_sets": rows}


def main(arguments: Sequence[str] | None = None, show: Callable[[str], object] = print) -> int:
    """Print the table; exit 1 unless all defects are stopped and all controls accepted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.defects", description=__doc__)
    parser.add_argument("--output", "--out", type=Path, help="folder for defects.json and defects.md")
    given = parser.parse_args(arguments)
    answers = [ask(defect) for defect in DEFECTS]
    show(markdown(answers))
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        (given.output / "defects.md").write_text(markdown(answers), encoding="utf-8")
        (given.output / "defects.json").write_text(
            json.dumps(as_json(answers), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    counts = summary(answers)
    whole = counts["stopped_by_check"] == counts["stopped_by_build"] == counts["named_with_remedy"] == counts["defects"]
    return 0 if whole and counts["controls_accepted"] == counts["controls"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
