"""What is read of DICOM equals what was written, and what two independent readers see: SimpleITK's GDCM and dcm2niix."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicom_files import CORONAL, SAGITTAL, Written, oblique, some_pixels, write_enhanced, write_series

from data_prep.dicom import find_series, read_series, write_nifti
from data_prep.itk import ras_affine

MM = 1e-4
LARGE = some_pixels(4, 40, 36)  # JPEG 2000 halves a picture five times
RLE, JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
DEFLATED, IMPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2"


def alternate_scales(**given: Any) -> dict[str, Any]:
    return {"modality": "MR", "slopes": [1, 2, 3, 4, 5], "intercepts": [0, 10, -7, 0, 3], **given}


def twelve_bits(index: int, dataset: Any) -> None:
    dataset.BitsStored, dataset.HighBit = 12, 11


SERIES: dict[str, dict[str, Any]] = {
    "axial": {},
    "sagittal": {"directions": SAGITTAL},
    "coronal": {"directions": CORONAL},
    "oblique": {"directions": oblique()},
    "strongly oblique": {"directions": oblique(50, (3, 1, -2))},
    "reversed": {"order": [4, 3, 2, 1, 0]},
    "shuffled, without extension": {"order": [3, 1, 4, 0, 2], "names": "{}"},
    "anisotropic": {"spacing": (0.3125, 0.9765625, 7.5)},
    "unsigned": {"pixels": some_pixels(dtype=np.uint16)},
    "unsigned, whole range": {
        "pixels": (some_pixels(dtype=np.uint16).astype(np.uint32) * 30).astype(np.uint16),
        "intercepts": 0,
    },
    "eight bits": {"pixels": some_pixels(dtype=np.uint16).astype(np.uint8), "intercepts": 0},
    "twelve bits of sixteen": {"pixels": some_pixels(), "change": twelve_bits, "intercepts": 0},
    "a scale a slice": alternate_scales(),
    "fractions a slice": alternate_scales(slopes=[0.5, 0.25, 1, 2, 1.5], intercepts=0.5),
    "implicit": {"syntax": IMPLICIT},
    "RLE": {"pixels": LARGE, "syntax": RLE},
    "JPEG-LS": {"pixels": LARGE, "syntax": JPEG_LS},
    "JPEG 2000": {"pixels": LARGE, "syntax": JPEG_2000},
}
ENHANCED: dict[str, dict[str, Any]] = {
    "CT": {"order": [3, 1, 0, 4, 2]},
    "MR, oblique": {"modality": "MR", "directions": oblique(30), "intercepts": 0},
    "CT, a scale a frame": {"slopes": [1, 2, 1, 1, 3], "order": [4, 3, 2, 1, 0]},
    "CT, JPEG-LS": {"pixels": LARGE, "syntax": JPEG_LS},
}


def by_gdcm(files: tuple[Path, ...]) -> tuple[Any, Any]:
    """Voxels (X, Y, Z) and affine of the files in the order in which GDCM sorts them."""
    sitk = pytest.importorskip("SimpleITK")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(files[0].parent)))
    image = reader.Execute()
    return sitk.GetArrayFromImage(image).T, ras_affine(image)


def by_dcm2niix(folder: Path, out: Path) -> nib.Nifti1Image:
    program = shutil.which("dcm2niix") or str(Path(sys.executable).parent / "dcm2niix")
    if not Path(program).is_file():
        pytest.skip("dcm2niix is not installed")
    out.mkdir()
    subprocess.run([program, "-z", "n", "-f", "series", "-o", out, folder], check=True, capture_output=True)
    return nib.load(next(out.glob("*.nii")))


def same_image(one: nib.Nifti1Image, other: nib.Nifti1Image) -> None:
    """Equal voxels and affines once both are turned to the same order of axes."""
    one, other = nib.as_closest_canonical(one), nib.as_closest_canonical(other)
    assert one.shape == other.shape
    assert np.abs(one.affine - other.affine).max() < MM
    np.testing.assert_array_equal(one.get_fdata(), other.get_fdata())


def as_written(written: Written) -> tuple[Any, Any]:
    """The one series that was written, read, after it was held to what was written."""
    (series,) = find_series(written.files[0].parent)
    assert series.usable and series.uid == written.series_uid and series.files == written.files
    voxels, affine = read_series(series)
    assert affine.dtype == np.float64 and np.abs(affine - written.affine).max() < 1e-10
    np.testing.assert_array_equal(voxels, written.expected().astype(voxels.dtype))
    assert voxels.dtype.kind == "i" or not float(written.slopes[0]).is_integer() or voxels.dtype == np.uint16
    return voxels, affine


@pytest.mark.parametrize("kind", SERIES)
def test_a_series_equals_what_was_written_and_what_two_other_readers_see(kind: str, tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", **SERIES[kind])
    voxels, affine = as_written(written)
    others, place = by_gdcm(written.files)
    np.testing.assert_array_equal(voxels, others)
    assert np.abs(affine - place).max() < MM
    same_image(nib.Nifti1Image(voxels, affine), by_dcm2niix(tmp_path / "in", tmp_path / "out"))


@pytest.mark.parametrize("kind", ENHANCED)
def test_an_enhanced_file_equals_what_was_written_and_what_dcm2niix_sees(kind: str, tmp_path: Path) -> None:
    written = write_enhanced(tmp_path / "in/file", **ENHANCED[kind])
    voxels, affine = as_written(written)
    same_image(nib.Nifti1Image(voxels, affine), by_dcm2niix(tmp_path / "in", tmp_path / "out"))


def test_a_deflated_series_equals_what_was_written_and_what_gdcm_sees(tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", syntax=DEFLATED)
    np.testing.assert_array_equal(as_written(written)[0], by_gdcm(written.files)[0])


@pytest.mark.parametrize(
    "words",
    [("dcmcjpeg", "+e1"), ("dcmcjpeg", "+el"), ("dcmcjpls",), ("dcmcrle",), ("dcmconv", "+tb")],
    ids=lambda words: " ".join(words),
)
def test_a_series_that_dcmtk_encoded_equals_what_was_written(words: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} of DCMTK is not installed")
    written = write_series(tmp_path / "in", LARGE, intercepts=-1024)
    for file in written.files:
        subprocess.run([*words, file, file], check=True, capture_output=True)
    voxels, _ = as_written(written)
    np.testing.assert_array_equal(voxels, by_gdcm(written.files)[0])


def test_monochrome1_keeps_its_values_as_dcm2niix_does(tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", PhotometricInterpretation="MONOCHROME1")
    voxels, affine = as_written(written)
    same_image(nib.Nifti1Image(voxels, affine), by_dcm2niix(tmp_path / "in", tmp_path / "out"))


def test_a_series_as_nifti_has_both_matrices_and_the_same_voxels(tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", directions=oblique())
    (series,) = find_series(tmp_path / "in")
    image = nib.load(write_nifti(series, tmp_path / "out/series.nii.gz"))
    assert image.get_data_dtype() == np.int16 and image.header.get_xyzt_units()[0] == "mm"
    assert int(image.header["qform_code"]) == int(image.header["sform_code"]) == 1
    for matrix in (image.get_qform(), image.get_sform()):
        assert np.abs(matrix - written.affine).max() < MM
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), written.expected())
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["series.nii.gz"]


def damaged_meta(path: Path) -> None:
    """A file as old scanners write it: no preamble, no meta group."""
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\x08\x00\x08\x00CS") :])


@pytest.mark.parametrize("change", [damaged_meta], ids=["no preamble"])
def test_files_without_a_preamble_are_read(change: Callable[[Path], None], tmp_path: Path) -> None:
    written = write_series(tmp_path / "in", names="{}.dcm")
    for file in written.files:
        change(file)
    as_written(written)
