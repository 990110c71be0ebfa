"""What `check` of a folder of DICOM costs: seconds of one core and memory.

`python -m benchmarks.dicom [--files 5000] [--slices 200] [--size 512] [--folder DIR] [--out FILE]` writes series of CT, checks
them in a process of its own, prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LIMIT_SECONDS, LIMIT_MB = 60.0, 500.0  # of 5,000 files
CHILD = """
import resource, sys
from data_prep.cli import app
try:
    app(sys.argv[1:], prog_name="data_prep")
except SystemExit as end:
    code = end.code
used = resource.getrusage(resource.RUSAGE_SELF)
kilobytes = used.ru_maxrss  # on Linux that of the parent counts too, until a process has its own memory
try:
    lines = open("/proc/self/status").read().splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
except (OSError, StopIteration):
    pass
print(f"\\n{used.ru_utime + used.ru_stime} {kilobytes} {code}", file=sys.stderr)
"""


def write_files(folder: Path, files: int, slices: int, size: int) -> int:
    """Write so many slices, `slices` a series, each series a patient; (size, size) int16 each. Returns the number of series."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    draw = np.random.default_rng(0)
    series = 0
    for start in range(0, files, slices):
        uids = [generate_uid() for _ in range(3)]
        base = draw.integers(-1000, 1000, (size, size)).astype(np.int16)
        for index in range(min(slices, files - start)):
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = generate_uid(), ExplicitVRLittleEndian
            one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
            one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
            one.SeriesInstanceUID, one.StudyInstanceUID, one.FrameOfReferenceUID = uids
            one.PatientID, one.PatientName, one.Modality, one.InstanceNumber = f"B{series}", f"Bench^{series}", "CT", index
            one.Rows = one.Columns = size
            one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
            one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
            one.ImageOrientationPatient, one.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.75, 0.75]
            one.ImagePositionPatient, one.SliceThickness = [-190, -190, 1.5 * index], 1.5
            one.RescaleSlope, one.RescaleIntercept = 1, -24
            one.PixelData = (base + np.int16(index)).tobytes()
            path = folder / f"{series:04d}" / f"{draw.integers(2**40):012x}"
            path.parent.mkdir(exist_ok=True)
            one.save_as(path, enforce_file_format=True)
        series += 1
    return series


def measure(folder: Path) -> dict[str, Any]:
    """`check` of a folder in a process of its own: seconds of the processor, largest memory in MB, and the exit code."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-c", CHILD, "check", str(folder)]
    done = subprocess.run(words, env={**os.environ, **threads}, capture_output=True, text=True, check=False)
    seconds, memory, code = done.stderr.strip().splitlines()[-1].split()
    return {"seconds": float(seconds), "memory_mb": int(memory) / 1024, "exit_code": int(code)}


def main(arguments: Sequence[str] | None = None, show: Callable[[str], object] = print) -> int:
    """Write, measure, print; exit code 1 when 5,000 files or fewer take more than the limits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dicom", description=__doc__)
    parser.add_argument("--files", type=int, default=5000, help="number of slices in all")
    parser.add_argument("--slices", type=int, default=200, help="slices a series")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--folder", type=Path, help="where to write (files are removed again); default: the temporary folder")
    parser.add_argument("--out", type=Path, help="the JSON file")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        series = write_files(folder, given.files, given.slices, given.size)
        result = {"files": given.files, "series": series, "size": given.size, **measure(folder)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show("| files | series | slice | seconds of one core | memory (MB) |\n|---|---|---|---|---|")
    size = f"{given.size} x {given.size}"
    show(f"| {given.files} | {series} | {size} | {result['seconds']:.1f} | {result['memory_mb']:.0f} |")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    within = result["seconds"] < LIMIT_SECONDS and result["memory_mb"] < LIMIT_MB
    return 0 if result["exit_code"] == 0 and (within or given.files > 5000) else 1


if __name__ == "__main__":
    raise SystemExit(main())
