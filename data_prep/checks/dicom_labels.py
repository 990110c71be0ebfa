"""D53x: do segmentations in DICOM fit their series, and does a header hold what names a patient?"""

from __future__ import annotations

from data_prep.checks.copies import copies
from data_prep.checks.registry import check
from data_prep.volume import ReadError, Volume

FIND = "where it lies: python -m data_prep who {file}"
OR_MASKS = "or give masks as NIfTI, named like the cases, in a folder of the data set: --labels-dir NAME"


@check(
    "D530",
    on="volume",
    level="warning",
    remedy="No result carries it. Before you share the images, "
    + copies(
        "i.header.extensions.clear(), [i.header.__setitem__(k, b'') for k in ('descrip', 'aux_file', 'intent_name', 'db_name') "
        "if k in i.header]"
    ),
)
def text_in_header(volume: Volume) -> str | None:
    """A NIfTI header holds text that may name a patient."""
    said = volume.facts.personal if volume.facts else ()
    return f"{' and '.join(said)} may name the patient; the text is not shown here" if said else None


@check("D531", on="fault", level="warning", remedy=f"Put the series beside it, or take the segmentation away; {FIND}")
def segmentation_of_another_series(fault: ReadError) -> str | None:
    """A DICOM segmentation was drawn on a series that is not here."""
    return fault.seen if fault.kind == "segments_elsewhere" else None


@check("D532", on="fault", level="error", remedy=f"Export it with references to its images, {OR_MASKS}; {FIND}")
def segmentation_of_no_series(fault: ReadError) -> str | None:
    """A DICOM segmentation does not say on which series it was drawn."""
    return fault.seen if fault.kind == "segments_unrelated" else None


@check("D533", on="fault", level="error", remedy=f"Draw each voxel into one segment and export it again, {OR_MASKS}")
def segments_overlap(fault: ReadError) -> str | None:
    """Segments of a DICOM segmentation overlap: a voxel would need two labels."""
    return fault.seen if fault.kind == "segments_overlap" else None


@check(
    "D534",
    on="fault",
    level="error",
    acceptable=True,
    remedy="Export it as a mask (BINARY). With --accept D534 the voxels of at least half of the largest value are taken",
)
def segments_fractional(fault: ReadError) -> str | None:
    """A DICOM segmentation holds shares or probabilities, and no mask."""
    return fault.seen if fault.kind == "segments_fractional" else None


@check("D535", on="fault", level="error", remedy=f"Export it on the grid of the series that it was drawn on, {OR_MASKS}")
def segments_off_grid(fault: ReadError) -> str | None:
    """The frames of a DICOM segmentation do not lie on the voxels of its series."""
    return fault.seen if fault.kind == "segments_off_grid" else None


@check("D536", on="fault", level="error", remedy=f"Keep one of them in the folder; {FIND}")
def segment_twice(fault: ReadError) -> str | None:
    """Two DICOM segmentations of one series have a segment of the same name."""
    return fault.seen if fault.kind == "segments_twice" else None


@check(
    "D537",
    on="fault",
    level="warning",
    remedy=f"Export them as a segmentation (3D Slicer: Segmentations, Export to DICOM), {OR_MASKS}; {FIND}",
)
def contours(fault: ReadError) -> str | None:
    """A file holds contours (RTSTRUCT), from which no mask is made."""
    return fault.seen if fault.kind == "contours" else None


@check("D538", on="fault", level="error", remedy=f"Export it again with a name for each segment, {OR_MASKS}; {FIND}")
def segments_unusable(fault: ReadError) -> str | None:
    """A DICOM segmentation is of an unknown kind, or has a segment without a name."""
    return fault.seen if fault.kind in ("segment_names", "segment_kind") else None


@check(
    "D539",
    on="fault",
    level="warning",
    acceptable=True,
    remedy="Nothing to do where people drew the labels: what predict wrote is none; let it write into a folder of its own",
)
def masks_of_prediction(fault: ReadError) -> str | None:
    """DICOM segmentations that predict wrote are no labels, and are left out."""
    return fault.seen if fault.kind == "segments_own" else None
