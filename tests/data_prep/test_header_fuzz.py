"""Broken headers, many of them: never a crash, never more memory than the file can fill."""

from __future__ import annotations

import gzip
import logging
import mmap
import multiprocessing
import os
import resource
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.reliability.tiny import cube, noise, save
from data_prep import reading
from data_prep.cases import Case
from data_prep.checks import REGISTRY
from data_prep.examine import examine_case
from data_prep.volume import Volume

SHAPE = (6, 7, 8)
LIMIT = 2**30  # bytes
FORK = multiprocessing.get_context("fork")
EXTREMES = (0, 1, 127, 128, 255)


def _files(folder: Path) -> list[tuple[Path, int]]:
    """A sound case of each kind of NIfTI: file and size of its header."""
    small, big = noise(SHAPE), noise(SHAPE).astype(">f4")
    first = save(folder / "a.nii", small)
    nib.Nifti2Image(small, np.eye(4)).to_filename(folder / "b.nii")
    nib.Nifti1Image(big, np.eye(4), nib.Nifti1Header(endianness=">")).to_filename(folder / "c.nii")
    packed = save(folder / "d.nii.gz", small)
    return [(first, 348), (folder / "b.nii", 540), (folder / "c.nii", 348), (packed, 348)]


def _mutated(raw: bytes, size: int, random: np.random.Generator) -> bytes:
    """One to eight bytes of the header replaced, half of the time by an extreme value; sometimes the file is cut."""
    broken = bytearray(raw)
    for place in random.integers(0, size, random.integers(1, 9)):
        broken[place] = random.choice(EXTREMES) if random.random() < 0.5 else random.integers(0, 256)
    return bytes(broken[: random.integers(0, len(raw))]) if random.random() < 0.05 else bytes(broken)


def _fuzz(folder: Path, number: int, seed: int) -> dict[str, int]:
    """Examine `number` broken files as image and as label; returns how often each code spoke."""
    random = np.random.default_rng(seed)
    files = [(path, path.read_bytes(), size) for path, size in _files(folder)]
    partner = save(folder / "label.nii", cube(SHAPE))
    counts: dict[str, int] = {}
    for turn in range(number):
        path, raw, size = files[turn % len(files)]
        packed = path.suffix == ".gz"
        broken = _mutated(gzip.decompress(raw) if packed else raw, size, random)
        path.write_bytes(gzip.compress(broken, 1) if packed else broken)
        case = Case("a", (path,), partner) if turn % 2 else Case("a", (partner,), path)
        for finding in examine_case(case)[1]:
            assert finding.code in REGISTRY and finding.remedy and "\n" not in str(finding)
            counts[finding.code] = counts.get(finding.code, 0) + 1
    return counts


def _within_memory(folder: Path, number: int, seed: int) -> dict[str, int]:
    nibabel = logging.getLogger("nibabel.global")
    nibabel.disabled = True  # as the command line does
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy on wild numbers; the findings say it better
            counts = _fuzz(folder, number, seed)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()
        nibabel.disabled = False
    return counts


def test_a_hundred_and_fifty_broken_headers(tmp_path: Path) -> None:
    counts = _within_memory(tmp_path, 150, seed=0)
    assert {"D003", "D006", "D007", "D102", "D401"} <= set(counts)  # the fuzz reaches deep and shallow faults


def _limited(work: Callable[[], dict[str, int]]) -> dict[str, int] | str:
    """What `work` returns, or its error in words, in a process of its own that gets at most `LIMIT` more memory than it has.

    Far quicker than tracing every allocation. `read_volume` would turn a failed allocation into a finding (D007), so that the
    reader below it is wrapped: asking for too much is an error here, even when it is caught later.
    """
    answers = FORK.SimpleQueue()

    def child() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT, used + LIMIT))
        read = reading.read_nifti

        def watched(path: Path, raw: bytes) -> Volume:
            try:
                return read(path, raw)
            except MemoryError as error:
                raise AssertionError(f"asked for more than {LIMIT} bytes") from error

        reading.read_nifti = watched
        logging.getLogger("nibabel.global").disabled = True
        warnings.simplefilter("ignore")
        try:
            answers.put(work())
        except BaseException as error:
            answers.put(repr(error))

    process = FORK.Process(target=child)
    process.start()
    while process.is_alive() and answers.empty():
        process.join(0.05)
    answer: dict[str, int] | str = "the process died" if answers.empty() else answers.get()
    process.join()
    return answer


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux's account of memory")
def test_asking_for_too_much_memory_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(_limited(lambda: _fuzz(tmp_path, 4, seed=0)), dict)

    def greedy(path: Path, raw: bytes) -> Volume:
        try:  # new memory, whatever this process has freed and kept
            mmap.mmap(-1, LIMIT + 1)
        except OSError as error:
            raise MemoryError from error
        raise AssertionError("the limit does not hold")

    monkeypatch.setattr(reading, "read_nifti", greedy)
    assert "asked for more than 1073741824 bytes" in str(_limited(lambda: _fuzz(tmp_path, 4, seed=0)))
    assert _limited(lambda: os._exit(9)) == "the process died"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="needs Linux's account of memory")
def test_twenty_thousand_broken_headers(tmp_path: Path) -> None:
    counts = _limited(lambda: _fuzz(tmp_path, 20_000, seed=1))
    assert isinstance(counts, dict), counts
    assert sum(counts.values()) > 20_000


@pytest.mark.parametrize(
    ("offset", "expected"), [(-(2**62), {"D004"}), (-1, {"D004"}), (0, {"D004"}), (544, set()), (2**62, {"D007"})]
)
def test_a_wild_offset_in_a_packed_nifti2(tmp_path: Path, offset: int, expected: set[str]) -> None:
    image = nib.Nifti2Image(noise(SHAPE), np.eye(4))
    raw = bytearray(image.to_bytes())
    raw[168:176] = offset.to_bytes(8, "little", signed=True)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bytes(raw)))
    codes = {finding.code for finding in examine_case(Case("a", (path,), None))[1] if finding.level == "error"}
    assert codes == expected


def test_the_files_before_mutation_are_sound(tmp_path: Path) -> None:
    label = save(tmp_path / "label.nii", cube(SHAPE))
    for path, _ in _files(tmp_path):
        assert [f for f in examine_case(Case("a", (path,), label))[1] if f.level != "note"] == []
