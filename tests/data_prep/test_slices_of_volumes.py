"""`slices` cuts volumes into slices that lie where they lay, under names that pair images and masks."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.layouts import read_source
from data_prep.slices import cut, line


def volume(file: Path, spacing: tuple[float, ...] = (1.4, 1.4, 10), high: int = 900) -> np.ndarray:
    """A file of noise, 4 x 5 x 6 voxels, somewhere in the patient."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(zlib.crc32(str(file).encode())).integers(0, high, (4, 5, 6)).astype(np.int16)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = 7, -8, 9
    nibabel.save(nibabel.Nifti1Image(values, affine), file)
    return values


@pytest.mark.parametrize(("spacing", "axis"), [((1.4, 1.4, 10), 2), ((8, 1, 1), 0), ((1, 1, 1), 2)])
def test_slices_join_to_the_volume_again(tmp_path: Path, spacing: tuple[float, ...], axis: int) -> None:
    values = volume(tmp_path / "my scans/p1.nii.gz", spacing)
    (tmp_path / "my scans/.hidden.nii.gz").write_bytes(b"no volume")
    assert cut(tmp_path / "my scans", tmp_path / "cut") == (1, values.shape[axis], ())
    slices = [nibabel.load(file) for file in sorted((tmp_path / "cut").iterdir())]
    assert all(one.shape[axis] == 1 for one in slices)
    np.testing.assert_array_equal(np.concatenate([one.get_fdata() for one in slices], axis), values)
    start = nibabel.load(tmp_path / "my scans/p1.nii.gz").affine
    for k, one in enumerate(slices):
        np.testing.assert_allclose(one.affine[:3, 3], start[:3, 3] + k * start[:3, axis])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_of_one_slice_stays_that_slice(tmp_path: Path, axis: int) -> None:
    spacing = [1.4, 1.4, 1.4]
    spacing[axis] = 0.7
    image = nibabel.Nifti1Image(np.expand_dims(np.eye(5, 6, dtype=np.int16), axis), np.diag([*spacing, 1]))
    nibabel.save(image, tmp_path / "p1.nii.gz")
    assert cut(tmp_path / "p1.nii.gz", tmp_path / "cut") == (1, 1, ())


@pytest.mark.parametrize("mask", ["labels/{}.nii.gz", "labels/{}_seg.nii.gz", "images/{}_gt.nii.gz"])
def test_what_was_a_data_set_of_volumes_is_one_of_slices(tmp_path: Path, mask: str) -> None:
    for patient in ("patient1", "patient2", "patient3", "patient4"):
        volume(tmp_path / f"raw/images/{patient}.nii.gz")
        volume(tmp_path / "raw" / mask.format(patient), high=2)
    (tmp_path / "raw/labels.json").write_text('{"1": "LV"}')
    raw = tmp_path / "raw" if mask.startswith("labels") else tmp_path / "raw/images"
    assert cut(raw, tmp_path / "cut") == (8, 48, ())
    report = build(tmp_path / "cut", tmp_path / "target")
    assert report.patients.startswith("patients: 4 in 24 cases")


LAYOUTS = {
    "numbers": ("imagesTr/{}_0000", "imagesTr/{}_0001", "labelsTr/{}"),
    "one number": ("imagesTr/{}_0000", "labelsTr/{}"),
    "beside": ("{}_flair", "{}_t1", "{}_seg"),
    "structures by name": ("images/{}", "labels/{}_liver", "labels/{}_spleen"),
    "structures of a case": ("images/{}", "labels/{}/liver", "labels/{}/spleen"),
    "a folder each": ("{}/ct", "{}/segmentations/liver", "{}/segmentations/spleen"),
    "contrasts in a folder": ("{0}/{0}_flair", "{0}/{0}_t1", "{0}/{0}_seg"),
    "two words": ("images/{}_test", "labels/{}_manual"),
    "parts": ("train/images/{}", "train/labels/{}"),
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_files_of_a_case_stay_those_of_a_case(tmp_path: Path, files: tuple[str, ...]) -> None:
    rng = np.random.default_rng(3)
    for number in range(4):
        inside = rng.integers(0, 2, (4, 5, 6))
        for at, name in enumerate(files):
            target = tmp_path / "raw" / f"{name.format(f'patient{number}')}.nii.gz"
            target.parent.mkdir(parents=True, exist_ok=True)
            image = len(files) - at > (2 if files[-1].endswith("spleen") else 1)
            values = rng.integers(0, 900, inside.shape) if image else inside if at % 2 else 1 - inside
            nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), np.diag([1, 1, 5, 1])), target)
    if files[0].endswith("Tr/{}_0000") and len(files) == 3:
        described = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "LV": 1}, "file_ending": ".nii.gz"}
        (tmp_path / "raw/dataset.json").write_text(json.dumps(described))
        for name in ("imagesTs/patient9_0000", "imagesTs/patient9_0001"):  # without a label
            volume(tmp_path / f"raw/{name}.nii.gz", (1, 1, 5))
    tests = len(list((tmp_path / "raw").glob("imagesTs/*")))
    layout = {"layout": "sites"} if files[0].startswith("train") else {}
    whole, cut_done = read_source(tmp_path / "raw", **layout), cut(tmp_path / "raw", tmp_path / "cut")
    assert cut_done == (4 * len(files) + tests, 24 * len(files) + 6 * tests, ())
    assert len(list((tmp_path / "cut/imagesTs").glob("patient9_slice00?_000?.nii.gz"))) == 6 * tests
    slices = read_source(tmp_path / "cut", **layout)
    assert len(slices.cases) == 6 * len(whole.cases) == 24 and slices.channels == whole.channels, slices.notes
    assert all(case.label for case in slices.cases) and not slices.orphans and not slices.faults
    assert slices.label_names == whole.label_names
    assert build(tmp_path / "cut", tmp_path / "target", **layout).patients.startswith("patients: 4 in 24 cases")


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_masks_and_channels_are_cut_in_the_order_of_their_image(tmp_path: Path, ending: str) -> None:
    for case in ("p1", "p2"):
        affine = np.diag([1.4, 1.4, 10, 1])
        affine[:3, 3] = 7, -8, 9
        for name in (f"images/{case}_0000", f"images/{case}_0001", f"labels/{case}"):
            values = np.random.default_rng(4).integers(0, 3, (4, 5, 6)).astype(np.int16)
            image = nibabel.Nifti1Image(values, affine)
            (file := tmp_path / f"raw/{name}.nii.gz").parent.mkdir(parents=True, exist_ok=True)
            if name.startswith("images") and name.endswith("0"):
                nibabel.save(image, file)
            elif ending == ".nii.gz":
                nibabel.save(image.as_reoriented([[2, 1], [0, -1], [1, -1]]), file)
            else:
                sitk = pytest.importorskip("SimpleITK")
                other = sitk.GetImageFromArray(values.T[::-1])
                other.SetSpacing((1.4, 1.4, 10))
                other.SetOrigin((-7, 8, 59))
                other.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, -1))
                sitk.WriteImage(other, str(file).replace(".nii.gz", ending))
    assert cut(tmp_path / "raw", tmp_path / "cut") == (6, 36, ())
    for k in range(6):
        first = nibabel.load(tmp_path / f"cut/images/p1_slice{k:03d}_0000.nii.gz")
        for other in (f"images/p1_slice{k:03d}_0001.nii.gz", f"labels/p1_slice{k:03d}.nii.gz"):
            mate = nibabel.load(tmp_path / "cut" / other)
            np.testing.assert_array_equal(mate.get_fdata(), first.get_fdata())
            np.testing.assert_allclose(mate.affine, first.affine, atol=1e-5)
            np.testing.assert_allclose(mate.get_qform(), first.affine, atol=1e-5)


def test_images_alone_that_lie_elsewhere_are_cut_each_on_its_own_grid(tmp_path: Path) -> None:
    """Names alone say that they are channels; a model of one channel takes them one by one."""
    volume(tmp_path / "raw/p1_t1.nii.gz", (1, 1, 5))
    volume(tmp_path / "raw/p1_flair.nii.gz", (5, 1, 1))
    assert cut(tmp_path / "raw", tmp_path / "cut") == (2, 6 + 4, ())
    names = {path.name for path in (tmp_path / "cut").iterdir()}
    assert {"p1_slice005_t1.nii.gz", "p1_slice003_flair.nii.gz"} <= names


@pytest.mark.parametrize("moved", [True, False], ids=["elsewhere", "smaller"])
def test_a_mask_on_another_grid_than_its_image_is_refused(tmp_path: Path, moved: bool) -> None:
    volume(tmp_path / "raw/images/p1.nii.gz")
    volume(tmp_path / "raw/labels/p1.nii.gz", high=2)
    mask = nibabel.load(tmp_path / "raw/labels/p1.nii.gz")
    affine = mask.affine + np.outer([0, 0, 5, 0], [0, 0, 0, 1]) * moved
    values = np.asarray(mask.dataobj)[..., : 6 if moved else 5]
    nibabel.save(nibabel.Nifti1Image(values, affine), tmp_path / "raw/labels/p1.nii.gz")
    with pytest.raises(
        DataError, match=r"labels/p1.nii.gz: it lies on another grid than .*images/p1.nii.gz, of \(4, 5, [56]\)"
    ):
        cut(tmp_path / "raw", tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_what_cannot_be_cut_leaves_nothing(tmp_path: Path) -> None:
    volume(tmp_path / "raw/a.nii.gz")
    (tmp_path / "raw/b.nii.gz").write_bytes((tmp_path / "raw/a.nii.gz").read_bytes()[:-20])
    with pytest.raises(DataError, match=r"raw/b.nii.gz: .*Type: monai-hybrid check"):
        cut(tmp_path / "raw", tmp_path / "cut")
    with pytest.raises(ConfigError, match=r"raw/cut: it lies within .*raw. Type: --output .*_slices"):
        cut(tmp_path / "raw", tmp_path / "raw/cut")
    with pytest.raises(ConfigError, match=r"raw: it exists; expected the name of a new folder"):
        cut(tmp_path / "raw/a.nii.gz", tmp_path / "raw")
    with pytest.raises(DataError, match=r"empty: no volume; expected .nii, .nii.gz, .mha, .nrrd, .mhd, .nhdr, or DICOM"):
        (tmp_path / "empty").mkdir()
        cut(tmp_path / "empty", tmp_path / "cut")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "raw"]


def test_a_file_of_other_axes_is_left_out_by_name(tmp_path: Path) -> None:
    volume(tmp_path / "raw/a.nii.gz")
    voxels = np.arange(240, dtype=np.int16).reshape(4, 5, 6, 2)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "raw/b.nii.gz")
    nibabel.save(nibabel.Nifti1Image(voxels[..., :1], np.eye(4)), tmp_path / "raw/c.nii.gz")
    said = f"{tmp_path / 'raw/b.nii.gz'}: 4 axes; expected a volume of three; give each channel or time a file of its own"
    words = ["slices", str(tmp_path / "raw"), "--output", str(tmp_path / "cut")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0 and f"Left out: {said}" in done.output and "12 slices of 2 volumes" in done.output, done.output
    kept = [nibabel.load(file) for file in sorted((tmp_path / "cut").glob("c_slice*"))]
    np.testing.assert_array_equal(np.concatenate([one.get_fdata() for one in kept], 2), voxels[..., 0])
    with pytest.raises(DataError, match=r"b.nii.gz: 4 axes; expected a volume of three"):
        cut(tmp_path / "raw/b.nii.gz", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".mhd"])
def test_other_formats_are_cut_where_they_lie(tmp_path: Path, ending: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    values = np.random.default_rng(1).integers(0, 900, (6, 5, 4)).astype(np.int64)  # (Z, Y, X)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.4, 1.4, 10))
    image.SetOrigin((7, -8, 9))
    (tmp_path / "raw").mkdir()
    sitk.WriteImage(image, str(tmp_path / f"raw/p1{ending}"))
    assert cut(tmp_path / "raw", tmp_path / "cut") == (1, 6, ())
    slices = [nibabel.load(file) for file in sorted((tmp_path / "cut").iterdir())]
    np.testing.assert_array_equal(np.concatenate([np.asarray(one.dataobj) for one in slices], 2), values.T)
    np.testing.assert_allclose(slices[2].affine, [[-1.4, 0, 0, -7], [0, -1.4, 0, 8], [0, 0, 10, 29], [0, 0, 0, 1]], atol=1e-5)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    volume(tmp_path / "raw/p1.nii.gz")
    volume(tmp_path / "raw/p1.nii")
    with pytest.raises(DataError, match=r"p1.nii and p1.nii.gz would give slices of one name; expected one of them"):
        cut(tmp_path / "raw", tmp_path / "cut")


def test_a_segmentation_of_3d_slicer_keeps_its_names(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    volume(tmp_path / "raw/p1.nii.gz")
    label = sitk.GetImageFromArray(np.ones((6, 5, 4), np.uint8))
    for key, value in {"Name": "liver", "LabelValue": "1", "Layer": "0"}.items():
        label.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(label, str(tmp_path / "raw/p1.seg.nrrd"))
    (said,) = cut(tmp_path / "raw", tmp_path / "cut").left_out
    assert said.endswith(
        "p1.seg.nrrd: a segmentation of 3D Slicer; slices would lose its names. Export it there to a label map"
    )


def test_dicom_series_are_cut_under_the_names_of_their_cases(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    from dicom_files import PLANTED, write_series

    written = write_series(tmp_path / "raw/Plantedname/a")
    gap = write_series(tmp_path / "raw/Plantedname/b", **{"PatientID": "other"})
    gap.files[2].unlink()
    done = cut(tmp_path / "raw", tmp_path / "cut")
    assert done[:2] == (1, len(written.pixels))
    slices = sorted((tmp_path / "cut").iterdir())
    assert all(file.name.startswith("sub-") and f"_slice{k:03d}.nii.gz" in file.name for k, file in enumerate(slices))
    images = [nibabel.load(file) for file in slices]
    np.testing.assert_array_equal(np.concatenate([one.get_fdata() for one in images], 2), written.expected())
    np.testing.assert_allclose(images[0].affine, written.affine, atol=1e-4)
    (said,) = done.left_out
    assert "D510" in said and not any(word in said for word in (*PLANTED.values(), "Plantedname"))
    with pytest.raises(DataError, match="D510"):
        cut(tmp_path / "raw", tmp_path / "other", gap.series_uid)
    assert cut(tmp_path / "raw", tmp_path / "one", written.series_uid) == (1, len(written.pixels), ())
    with pytest.raises(ConfigError, match=r"--series 7: .*cut holds no DICOM series to cut. Leave it out"):
        cut(tmp_path / "cut", tmp_path / "other", "7")
    volume(tmp_path / "raw/labels/p1.nii.gz", high=2)
    told = cut(tmp_path / "raw", tmp_path / "again").left_out
    assert "masks of DICOM series. To train on slices, build, and cut what is written: monai-hybrid build" in told[-1]


def test_the_line_to_type_names_a_free_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    volume(tmp_path / "my scans/p1.nii.gz")
    assert line("my scans") == "monai-hybrid slices 'my scans' --output 'my scans_slices'"
