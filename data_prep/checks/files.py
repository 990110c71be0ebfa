"""D0xx: can the file be read at all?"""

from __future__ import annotations

from data_prep.checks.registry import check, check_kind
from data_prep.volume import Volume

COPY_AGAIN = "Copy the file again from its origin: cp ORIGIN {file}"
LEAVE_OUT = "Repair it, or move it and its partner out of the folder: {case}"


check_kind(
    "missing",
    code="D001",
    title="A file is not there, or is a folder, a dangling link or a special file.",
    level="error",
    remedy="Remove the entry, or put the file in place: ls -l {file}",
)
check_kind("empty", code="D002", title="A file holds no bytes.", level="error", remedy=COPY_AGAIN)
check_kind("truncated", code="D003", title="A file stops before its last voxel.", level="error", remedy=COPY_AGAIN)
check_kind(
    "damaged",
    code="D004",
    title="A file's content is damaged (checksum, compression, picture data).",
    level="error",
    remedy=COPY_AGAIN,
)
check_kind(
    "wrong_name",
    code="D005",
    title="A file's name and content disagree about compression.",
    level="error",
    remedy="Write it anew under its name: monai-hybrid repair FOLDER --output OUT",
)
check_kind("not_an_image", code="D006", title="A file is not an image of a known format.", level="error", remedy=LEAVE_OUT)
check_kind(
    "too_large",
    code="D007",
    title="A header asks for more memory than this tool will give.",
    level="error",
    remedy="Crop or resample it, or copy it again if the header is wrong: cp ORIGIN {file}",
)
check_kind(
    "unreadable",
    code="D008",
    title="The system refuses to read the file.",
    level="error",
    remedy="Make it readable for yourself: chmod u+r {file}",
)
check_kind(
    "voxel_type",
    code="D009",
    title="Voxels are complex numbers, vectors, or colours in a volume.",
    level="error",
    remedy="Store one number per voxel, or leave it out: {case}",
)
check_kind(
    "dicom",
    code="D011",
    title="A file is DICOM where one image file is expected.",
    level="error",
    remedy="Give the folder that holds the whole series: monai-hybrid check {folder}; without pydicom, first: {dicom_install}",
)
check_kind(
    "archive",
    code="D012",
    title="A file is an archive (zip, tar, 7z, rar).",
    level="error",
    remedy="Unpack it yourself and give the folder: mkdir OUT && tar -C OUT -xf {file}",
)
check_kind(
    "elsewhere",
    code="D030",
    title="A header names another file, out of its folder or several, as the place of its voxels.",
    level="error",
    remedy="If you know whose file it is, write it as one: "
    '{python} -c "import SimpleITK as s; import sys; s.WriteImage(s.ReadImage(sys.argv[1]), sys.argv[2])" {file} OUT.nii.gz',
)


SHAPE = '{python} -c "import nibabel, sys; print(nibabel.load(sys.argv[1]).shape)" {file}'
SLACK = 4096  # some writers fill up the last block


@check("D010", on="volume", level="warning", remedy=f"Check that the shape in the header is right: {SHAPE}")
def surplus_bytes(volume: Volume) -> str | None:
    """A file goes on after its last voxel: the header may give too small a shape."""
    surplus = volume.facts.surplus if volume.facts else 0
    return f"{surplus} bytes after the last voxel of shape {volume.array.shape}" if surplus > SLACK else None
