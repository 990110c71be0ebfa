"""D53x: do segmentations in DICOM fit their series, and does a header hold what names a patient?"""

from __future__ import annotations

from data_prep.checks.copies import copies
from data_prep.checks.registry import check, check_kind
from data_prep.volume import Volume

FIND = "where it lies: monai-hybrid who {file}"
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


check_kind(
    "segments_elsewhere",
    code="D531",
    title="A DICOM segmentation was drawn on a series that is not here.",
    level="warning",
    remedy=f"Put the series beside it, or take the segmentation away; {FIND}",
)
check_kind(
    "segments_unrelated",
    code="D532",
    title="A DICOM segmentation does not say on which series it was drawn.",
    level="error",
    remedy=f"Export it with references to its images, {OR_MASKS}; {FIND}",
)
check_kind(
    "segments_overlap",
    code="D533",
    title="Segments of a DICOM segmentation overlap: a voxel would need two labels.",
    level="error",
    remedy=f"Draw each voxel into one segment and export it again, {OR_MASKS}",
)
check_kind(
    "segments_fractional",
    code="D534",
    title="A DICOM segmentation holds shares or probabilities, not a mask.",
    level="error",
    acceptable=True,
    remedy="Export it as a mask (BINARY). With --accept D534 the voxels of at least half of the largest value are taken",
)
check_kind(
    "segments_off_grid",
    code="D535",
    title="The frames of a DICOM segmentation do not lie on the voxels of its series.",
    level="error",
    remedy=f"Export it on the grid of the series that it was drawn on, {OR_MASKS}",
)
check_kind(
    "segments_twice",
    code="D536",
    title="Two DICOM segmentations of one series have a segment of the same name.",
    level="error",
    remedy=f"Keep one of them in the folder; {FIND}",
)
check_kind(
    "contours",
    code="D537",
    title="A file holds contours (RTSTRUCT), from which no mask is made.",
    level="warning",
    remedy=f"Export them as a segmentation (3D Slicer: Segmentations, Export to DICOM), {OR_MASKS}; {FIND}",
)
check_kind(
    "segment_names",
    "segment_kind",
    code="D538",
    title="A DICOM segmentation is of an unknown kind, or has a segment without a name.",
    level="error",
    remedy=f"Export it again with a name for each segment, {OR_MASKS}; {FIND}",
)
check_kind(
    "segments_own",
    code="D539",
    title="DICOM segmentations that predict wrote are not labels, and are left out.",
    level="warning",
    acceptable=True,
    remedy="Nothing to do where people drew the labels: what predict wrote is none; let it write into a folder of its own",
)
