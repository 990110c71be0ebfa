"""D0xx: can the file be read at all?"""

from __future__ import annotations

from data_prep.checks.registry import check
from data_prep.volume import ReadError, Volume

COPY_AGAIN = "Copy the file again from its origin: cp ORIGIN {file}"
LEAVE_OUT = "Repair it, or move it and its partner out of the folder: {case}"


@check("D001", on="fault", level="error", remedy="Remove the entry, or put the file in place: ls -l {file}")
def missing_file(fault: ReadError) -> str | None:
    """A file is not there, or is a folder, a dangling link or a special file."""
    return fault.seen if fault.kind == "missing" else None


@check("D002", on="fault", level="error", remedy=COPY_AGAIN)
def empty_file(fault: ReadError) -> str | None:
    """A file holds no bytes."""
    return fault.seen if fault.kind == "empty" else None


@check("D003", on="fault", level="error", remedy=COPY_AGAIN)
def truncated_file(fault: ReadError) -> str | None:
    """A file stops before its last voxel."""
    return fault.seen if fault.kind == "truncated" else None


@check("D004", on="fault", level="error", remedy=COPY_AGAIN)
def damaged_file(fault: ReadError) -> str | None:
    """A file's content is damaged (checksum, compression, picture data)."""
    return fault.seen if fault.kind == "damaged" else None


@check("D005", on="fault", level="error", remedy="Write it anew under its name: monai-hybrid repair FOLDER --output OUT")
def wrong_name(fault: ReadError) -> str | None:
    """A file's name and content disagree about compression."""
    return fault.seen if fault.kind == "wrong_name" else None


@check("D006", on="fault", level="error", remedy=LEAVE_OUT)
def not_an_image(fault: ReadError) -> str | None:
    """A file is not an image of a known format."""
    return fault.seen if fault.kind == "not_an_image" else None


@check(
    "D007", on="fault", level="error", remedy="Crop or resample it, or copy it again if the header is wrong: cp ORIGIN {file}"
)
def too_large(fault: ReadError) -> str | None:
    """A header asks for more memory than this tool will give."""
    return fault.seen if fault.kind == "too_large" else None


@check("D008", on="fault", level="error", remedy="Make it readable for yourself: chmod u+r {file}")
def unreadable(fault: ReadError) -> str | None:
    """The system refuses to read the file."""
    return fault.seen if fault.kind == "unreadable" else None


@check(
    "D009",
    on="fault",
    level="error",
    remedy="Store one number per voxel, or leave it out: {case}",
)
def voxel_type(fault: ReadError) -> str | None:
    """Voxels are complex numbers, vectors, or colours in a volume."""
    return fault.seen if fault.kind == "voxel_type" else None


@check(
    "D011",
    on="fault",
    level="error",
    remedy="Give the folder that holds the whole series: monai-hybrid check FOLDER; "
    'without pydicom, first: pip install "monai-hybrid[dicom]"',
)
def dicom(fault: ReadError) -> str | None:
    """A file is DICOM where one image file is expected."""
    return fault.seen if fault.kind == "dicom" else None


@check("D012", on="fault", level="error", remedy="Unpack it yourself and give the folder: mkdir OUT && tar -C OUT -xf {file}")
def archive(fault: ReadError) -> str | None:
    """A file is an archive (zip, tar, 7z, rar)."""
    return fault.seen if fault.kind == "archive" else None


@check(
    "D030",
    on="fault",
    level="error",
    remedy="If you know whose file it is, write it as one: "
    'python -c "import SimpleITK as s; import sys; s.WriteImage(s.ReadImage(sys.argv[1]), sys.argv[2])" {file} OUT.nii.gz',
)
def elsewhere(fault: ReadError) -> str | None:
    """A header names another file, out of its folder or several, as the place of its voxels."""
    return fault.seen if fault.kind == "elsewhere" else None


SLACK = 4096  # some writers fill up the last block


@check("D010", on="volume", level="warning", remedy="Check that the shape in the header is right: nib-ls {file}")
def surplus_bytes(volume: Volume) -> str | None:
    """A file goes on after its last voxel: the header may give too small a shape."""
    surplus = volume.facts.surplus if volume.facts else 0
    return f"{surplus} bytes after the last voxel of shape {volume.array.shape}" if surplus > SLACK else None
