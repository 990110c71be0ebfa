"""Open a NIfTI file for its voxels, whatever capitals its name has: nibabel knows `.nii.gz` and `.NII.GZ`, not `.Nii.gz`."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib


def says_gzip(path: Path) -> bool:
    """Whether the name says that the content is packed."""
    return path.suffix.lower() == ".gz"


def open_nifti(path: str | Path) -> Any:
    """nibabel's image, its voxels not read yet; errors are nibabel's own."""
    path = Path(path)
    if path.name.endswith((".nii", ".nii.gz")):
        return nib.load(path)
    with path.open("rb") as plain, gzip.open(path) if says_gzip(path) else plain as stream:
        head = stream.read(4)
    kind = nib.Nifti2Image if 540 in (int.from_bytes(head, "little"), int.from_bytes(head, "big")) else nib.Nifti1Image
    holder = nib.FileHolder(str(path))  # its opener takes .GZ and .Gz for gzip, too
    return kind.from_file_map({"header": holder, "image": holder})
