"""The data border's part of the fault matrix: groups A to F and M to O, each case as data, made on the spot."""

from benchmarks.reliability.faults import bids, case_folders, datalist, files, geometry, intensities, labels, pairing, pictures
from benchmarks.reliability.faults.registry import ACCEPTED, Fault

FAULTS: list[Fault] = [
    *files.FAULTS,
    *geometry.FAULTS,
    *intensities.FAULTS,
    *labels.FAULTS,
    *pairing.FAULTS,
    *datalist.FAULTS,
    *pictures.FAULTS,
    *bids.FAULTS,
    *case_folders.FAULTS,
]

__all__ = ["ACCEPTED", "FAULTS", "Fault"]
