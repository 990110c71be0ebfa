"""DICOM segmentations that the tests write, with highdicom or by hand, on the series of `dicom_files`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from dicom_files import Written

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")
from pydicom.sr.codedict import codes  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402

MADE: dict[tuple[Any, ...], bytes] = {}  # highdicom takes 20 ms for a file


def write_segmentation(
    path: Path,
    series: Written,
    masks: Any,
    names: Sequence[str],
    *,
    kind: str = "BINARY",
    change: Callable[[Any], None] | None = None,
    **more: Any,
) -> Path:
    """Write one file; the same of the same images is made once, and is the same file again.

    Args:
        path: its folder is made when missing.
        series: the images.
        masks: (slices, rows, columns, segments), or (slices, rows, columns) of segment numbers; floats for FRACTIONAL.
        names: of the segments 1, 2, ...
        kind: BINARY, FRACTIONAL or LABELMAP.
        change: called with the data set before it is written.
        more: for highdicom.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = [masks.tobytes(), masks.shape, masks.dtype.str, tuple(names), kind, repr(more)]
    key = (*content, *(file.read_bytes() for file in series.files))
    if change is None and key in MADE:
        path.write_bytes(MADE[key])
        return path
    images = [pydicom.dcmread(file) for file in series.files]
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Organ,
            algorithm_type="MANUAL",
        )
        for number, name in enumerate(names, start=1)
    ]
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=masks,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=100,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        **more,
    )
    if change is not None:
        change(made)
    made.save_as(path)
    if change is None:
        MADE[key] = path.read_bytes()
    return path
