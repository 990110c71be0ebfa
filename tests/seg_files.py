"""DICOM-SEG as others see it: the validator of dicom3tools, and the voxels by the places that the frames state."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest


def voxels(seg: Path, shape: tuple[int, ...], affine: Any) -> Any:
    """Segment numbers on a grid (X, Y, Z) with `affine` voxel -> RAS mm, from the header of each frame alone."""
    dataset = pydicom.dcmread(seg)
    frames = np.atleast_3d(dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    directions = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    spacing = [float(one) for one in shared.PixelMeasuresSequence[0].PixelSpacing]
    found = np.zeros(shape, int)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        named = (group if "SegmentIdentificationSequence" in group else shared).SegmentIdentificationSequence
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        row, column = np.nonzero(frame)
        places = position + column[:, None] * spacing[1] * directions[0] + row[:, None] * spacing[0] * directions[1]
        index = (places * [-1, -1, 1] - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        assert np.abs(index - np.rint(index)).max(initial=0) < 1e-3, "a frame lies between the voxels"
        at = tuple(np.rint(index).astype(int).T)
        assert not found[at].any(), "segments overlap"
        found[at] = named[0].ReferencedSegmentNumber
    return found


def complaints(seg: Path) -> list[str]:
    """Error lines of dciodvfy; skips where dicom3tools is not installed."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    done = subprocess.run(["dciodvfy", "-new", str(seg)], capture_output=True, text=True, check=False, timeout=60)
    said = done.stdout + done.stderr
    assert "Segmentation" in said, said
    return [line for line in said.splitlines() if line.startswith("Error")]


def sources_named(dataset: Any) -> list[str]:
    """UIDs of the images that a SEG names as its source."""
    (series,) = dataset.ReferencedSeriesSequence
    return [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
