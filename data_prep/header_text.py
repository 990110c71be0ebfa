"""Free text in a NIfTI header: where names of patients may stand, and how none is carried on."""

from __future__ import annotations

import re
from typing import Any

import nibabel as nib

TEXTS = ("descrip", "db_name", "aux_file", "intent_name", "data_type", "unused_str")
DICOM, COMMENT = 2, 6  # codes of extensions (nifti1_io.h)
EXTENSIONS = {DICOM: "a DICOM extension", COMMENT: "a comment extension"}
PERSONAL = re.compile(  # a DICOM name, a date of a lifetime, or a word that announces either
    r"\w\^|(?<!\d)(?:19|20)\d\d[-./]?(?:0[1-9]|1[0-2])[-./]?(?:0[1-9]|[12]\d|3[01])(?!\d)"
    r"|\b(?:name|patient|pat|pid|mrn|dob|born|birth|accession)\b",
    re.IGNORECASE,
)
WRITERS = ("fsl", "spm", "nibabel", "freesurfer", "te=", "ants", "itk", "afni")  # what programs write there


def without_text(header: Any) -> None:
    """Clear every free text and all extensions of nibabel's header, in place; what describes the voxels stays."""
    header.extensions.clear()
    for name in TEXTS:
        if name in header:
            header[name] = b""


def without_text_in(plain: bytes) -> bytes:
    """A sound, unpacked NIfTI file without free text and extensions; every other byte is as it was."""
    kind = (
        nib.Nifti2Header if 540 in (int.from_bytes(plain[:4], "little"), int.from_bytes(plain[:4], "big")) else nib.Nifti1Header
    )
    size = kind.template_dtype.itemsize
    header, data = kind(plain[:size], check=False), bytearray(plain)
    for name in TEXTS:
        if name in header:
            held, start = kind.template_dtype.fields[name][:2]
            data[start : start + held.itemsize] = bytes(held.itemsize)
    end = max(size, int(header["vox_offset"]))
    data[size:end] = bytes(min(end, len(data)) - size)
    return bytes(data)


def personal_texts(header: Any, extension_codes: tuple[int, ...] = ()) -> tuple[str, ...]:
    """The places of a header that may name a patient, in words; never what they say."""
    found = [f"its header's {name}" for name in TEXTS if name in header and _may_name(name, header[name])]
    return (*found, *dict.fromkeys(EXTENSIONS[code] for code in extension_codes if code in EXTENSIONS))


def _may_name(field: str, value: Any) -> bool:
    text = bytes(value.item() if hasattr(value, "item") else value).split(b"\0")[0].decode("latin-1").strip()
    if not text:
        return False
    # No program of today fills db_name; older converters put the patient's name there.
    return bool(PERSONAL.search(text)) or (field == "db_name" and not text.casefold().startswith(WRITERS))
