"""Real odd files beside the repository: each gives a right result or a named refusal, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.reliability.tiny import write_json
from data_prep.check import check
from data_prep.cli import app
from data_prep.reading import read_volume
from data_prep.repair import repair

ODD = Path(__file__).resolve().parents[3] / "shared" / "data" / "odd_files"
RUN = CliRunner()
T2, CORD = ODD / "nifti" / "16_cord_t2_PSR.nii.gz", ODD / "nifti" / "16_cord_t2_PSR_label_cord.nii.gz"

pytestmark = pytest.mark.skipif(not ODD.is_dir(), reason="the odd files are not beside the repository")

ERRORS = {
    "03_4d_dwi_oblique_17mm_slices.nii.gz": {"D109"},
    "04_4d_fmri_30vol.nii.gz": {"D109"},
    "06_4d_int8_slope_inter_sform0.nii.gz": {"D109"},
    "07_vector3_float_qform0.nii.gz": {"D109"},
    "08_nifti2_bigendian_4d.nii.gz": {"D109"},
    "09_4d_plain_nii_slope_inter.nii": {"D109"},
    "11_three_slices_bigendian_float.nii": {"D201"},
    "12_rgba_datatype.nii.gz": {"D009"},
    "14_single_slice_4d.nii.gz": {"D109"},
    "15_5d_warp_field.nii.gz": {"D109", "D203"},
    "21_header_without_image.hdr": {"D006"},
    "23_freesurfer.mgz": {"D006"},
    "24_minc2.mnc": {"D006"},
    "constant_zero.nii.gz": {"D202"},
    "empty.nii.gz": {"D002"},
    "gz_name_but_plain.nii.gz": {"D005"},
    "nan_and_inf.nii.gz": {"D201"},
    "no_affine_codes0.nii.gz": {"D103"},
    "plain_name_but_gz.nii": {"D005"},
    "sform_qform_mismatch.nii.gz": {"D104"},
    "sheared_sform.nii.gz": {"D104", "D106"},
    "trailing_singletons_5d.nii.gz": {"D111"},
    "truncated.nii.gz": {"D003"},
}
FILES = sorted(path for folder in ("nifti", "derived_broken") for path in (ODD / folder).glob("*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_right_or_refused_by_name(path: Path, tmp_path: Path) -> None:
    result = RUN.invoke(app, ["check", str(path), "--json", str(tmp_path / "report.json")])
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    errors = {finding["code"] for finding in findings if finding["level"] == "error"}
    assert errors == ERRORS.get(path.name, set()), result.output
    assert result.exit_code == (3 if errors else 0) and "Traceback" not in result.output
    assert all(finding["file"] == str(path) and finding["remedy"] for finding in findings)
    if not errors:
        volume = read_volume(path)
        assert np.isfinite(volume.array).all() and volume.channels == 1 and min(volume.spacing) > 0


PAIRS = {
    "label_0_255.nii.gz": set(),
    "label_affine_off_by_half_voxel.nii.gz": {"D402"},
    "label_float_0p9999.nii.gz": {"D302"},
    "label_shape_off_by_one.nii.gz": {"D401"},
}


def _pair(folder: Path, label: Path) -> Path:
    """An image and its label, as links, in a data set of one case."""
    for name, target in (("images", T2), ("labels", label)):
        (folder / name).mkdir(parents=True)
        (folder / name / "cord.nii.gz").symlink_to(target)
    return folder


@pytest.mark.parametrize("name", PAIRS)
def test_each_label_is_right_or_refused_with_its_image(name: str, tmp_path: Path) -> None:
    root = _pair(tmp_path / "raw", ODD / "derived_broken" / name)
    errors = {finding.code for finding in check(root) if finding.level == "error"}
    assert errors == PAIRS[name]
    if errors and errors != {"D401"}:  # these two are certain
        repair(root, tmp_path / "out")
        assert [finding for finding in check(tmp_path / "out") if finding.level == "error"] == []
        made, drawn = (read_volume(folder).array for folder in (tmp_path / "out/labels/cord.nii.gz", CORD))
        np.testing.assert_array_equal(made > 0, drawn > 0)


def test_a_whole_folder_of_odd_files_is_answered(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for path in FILES:
        (tmp_path / "images" / path.name).symlink_to(path)
    write_json(tmp_path / "labels.json", {"1": "organ"})
    result = RUN.invoke(app, ["check", str(tmp_path), "--allow-unlabelled"])
    assert result.exit_code == 3 and "Traceback" not in result.output
    assert all(code in result.output for codes in ERRORS.values() for code in codes - {"D006"})
    assert all(f"{name}: left out" in result.output for name, codes in ERRORS.items() if codes == {"D006"})
