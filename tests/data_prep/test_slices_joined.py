"""Masks of slices become masks of the volumes that were cut, on their own grids."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.scans import sort_files
from data_prep.slices import cut
from data_prep.slices_joined import join

RUN = CliRunner()


def volume(file: Path, spacing: tuple[float, ...], seed: int = 0) -> np.ndarray:
    """A file of 4 x 5 x 6 voxels, values 0 to 2, somewhere in the patient."""
    file.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = 7, -8, 9
    nib.save(nib.Nifti1Image(values, affine), file)
    return values


def as_predicted(slices: Path, masks: Path) -> Path:
    """Each slice as its own mask, under the name that `predict` gives it."""
    masks.mkdir(exist_ok=True)
    for file in slices.rglob("*.nii.gz"):
        (masks / file.name.replace(".nii.gz", "_seg.nii.gz")).write_bytes(file.read_bytes())
    (masks / "labels.txt").write_text("names")
    return masks


@pytest.mark.parametrize("spacing", [(1.4, 1.4, 10), (8, 1, 1), (1, 6, 1)], ids="zxy")
def test_masks_of_slices_are_joined_on_the_grid_of_their_volumes(spacing: tuple[float, ...], tmp_path: Path) -> None:
    values = {name: volume(tmp_path / f"raw/{name}.nii.gz", spacing, seed) for seed, name in enumerate(("a/p1", "p2"))}
    cut(tmp_path / "raw", tmp_path / "cut")
    masks = as_predicted(tmp_path / "cut", tmp_path / "masks")
    volume(tmp_path / "raw/never_cut.nii.gz", spacing)
    words = ["slices", str(tmp_path / "raw"), "--join", str(masks), "--output", str(tmp_path / "out")]
    done = RUN.invoke(app, words)
    assert done.exit_code == 0 and "2 masks of volumes" in done.output, done.output
    for name, expected in values.items():
        made, scan = nib.load(tmp_path / f"out/{Path(name).name}_seg.nii.gz"), nib.load(tmp_path / f"raw/{name}.nii.gz")
        np.testing.assert_array_equal(np.asarray(made.dataobj), expected)
        np.testing.assert_array_equal(made.affine, scan.affine)
    assert (tmp_path / "out/labels.txt").read_text() == "names" and not (tmp_path / "out/never_cut_seg.nii.gz").exists()


def test_masks_of_a_nrrd_and_of_a_series_lie_on_their_grids(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    pytest.importorskip("pydicom")
    from dicom_files import write_series

    values = np.random.default_rng(3).integers(0, 3, (6, 5, 4)).astype(np.uint8)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.4, 1.4, 10))
    image.SetOrigin((7, -8, 9))
    (tmp_path / "nrrd").mkdir()
    sitk.WriteImage(image, str(tmp_path / "nrrd/p1.nrrd"))
    written = write_series(tmp_path / "dicom/a", slopes=1, intercepts=0, pixels=values.astype(np.int16))
    nrrd = np.array([[-1.4, 0, 0, -7], [0, -1.4, 0, 8], [0, 0, 10, 9], [0, 0, 0, 1]])
    for place, affine in (("nrrd", nrrd), ("dicom", written.affine)):
        cut(tmp_path / place, tmp_path / f"{place}_cut")
        masks = as_predicted(tmp_path / f"{place}_cut", tmp_path / f"{place}_masks")
        assert join(tmp_path / place, masks, tmp_path / f"{place}_out") == 1
        (made,) = (nib.load(file) for file in (tmp_path / f"{place}_out").glob("*_seg.nii.gz"))
        np.testing.assert_array_equal(np.asarray(made.dataobj), values.T)
        np.testing.assert_allclose(made.affine, affine, atol=1e-4)


def test_labels_beside_the_scans_are_no_volumes_to_join_masks_for(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        volume(tmp_path / f"raw/{folder}/p1.nii.gz", (1, 1, 5))
    cut(tmp_path / "raw", tmp_path / "cut")
    masks = as_predicted(tmp_path / "cut/images", tmp_path / "masks")
    assert join(tmp_path / "raw", masks, tmp_path / "out") == 1
    files = [file.relative_to(tmp_path).as_posix() for file in (tmp_path / "out").rglob("*.nii.gz")]
    assert files == ["out/p1_seg.nii.gz"]  # as `predict` writes them


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        (("_0000", "_0001"), True),
        (("_0000", "_0001"), False),
        (("_flair", "_t1"), True),
        (("_flair", "_t1"), False),
        (("/flair", "/t1"), False),
    ],
)
def test_channels_stay_those_of_a_case_and_have_one_mask(ends: tuple[str, str], labels: bool, tmp_path: Path) -> None:
    for case in ("p1", "p2"):
        for seed, end in enumerate(ends):
            volume(tmp_path / f"raw/images/{case}{end}.nii.gz", (1, 1, 5), seed)
        if labels:
            volume(tmp_path / f"raw/labels/{case}.nii.gz", (1, 1, 5), 7)
    cut(tmp_path / "raw", tmp_path / "cut")
    names = ("image_a", "image_b") if ends[0][1:].isdigit() else ("flair", "t1")
    (tmp_path / "masks").mkdir()
    for scan in sort_files(sorted((tmp_path / "cut/images").rglob("*.nii.gz")), tmp_path / "cut/images", names).scans:
        assert len(scan.files) == 2 and not scan.missing
        target = tmp_path / "masks" / scan.name.name.replace(".nii.gz", "_seg.nii.gz")
        target.write_bytes(scan.files[0].read_bytes())
    assert join(tmp_path / "raw", tmp_path / "masks", tmp_path / "out") == 2
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["p1_seg.nii.gz", "p2_seg.nii.gz"]
    first = nib.load(tmp_path / f"raw/images/p2{ends[0]}.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "out/p2_seg.nii.gz").get_fdata(), first.get_fdata())
    if "/" not in ends[0]:
        each = as_predicted(tmp_path / "cut/images", tmp_path / "each")  # a model of one channel takes each for a scan
        assert join(tmp_path / "raw", each, tmp_path / "out_of_each") == 4


def test_what_cannot_be_joined_leaves_nothing(tmp_path: Path) -> None:
    volume(tmp_path / "raw/p1.nii.gz", (1, 1, 5))
    cut(tmp_path / "raw", tmp_path / "cut")
    masks = as_predicted(tmp_path / "cut", tmp_path / "masks")
    raw, out = tmp_path / "raw", tmp_path / "out"
    lost = masks / "p1_slice002_seg.nii.gz"
    whole = lost.read_bytes()
    lost.unlink()
    with pytest.raises(DataError, match=r"p1.nii.gz: 1 of its 6 slices have no mask: 002. Segment them too"):
        join(raw, masks, out)
    volume(lost, (1, 1, 5))
    with pytest.raises(
        DataError, match=r"p1_slice002_seg.nii.gz: a mask of \(4, 5, 6\); the slice of the volume has \(4, 5, 1\)"
    ):
        join(raw, masks, out)
    lost.write_bytes(whole[:20])
    with pytest.raises(DataError, match=r"p1_slice002_seg.nii.gz: "):
        join(raw, masks, out)
    lost.write_bytes(whole)
    (masks / "again").mkdir()
    (masks / "again" / lost.name).write_bytes(whole)
    with pytest.raises(DataError, match="are of one slice; expected one mask for each"):
        join(raw, masks, out)
    with pytest.raises(DataError, match="no mask of a slice of"):
        join(raw, raw, out)
    with pytest.raises(DataError, match="there is no such folder"):
        join(raw, tmp_path / "nothing", out)
    with pytest.raises(ConfigError, match="it exists"):
        join(raw, masks, masks)
    (masks / "again" / lost.name).unlink()
    scan = (raw / "p1.nii.gz").read_bytes()
    (raw / "p1.nii.gz").write_bytes(scan[:-20])
    with pytest.raises(DataError, match=r"p1.nii.gz: .*Type: monai-hybrid check"):
        join(raw, masks, out)
    (raw / "p1.nii.gz").write_bytes(scan)
    volume(raw / "other/p1.nii.gz", (1, 1, 5), 7)
    with pytest.raises(DataError, match="several volumes are called p1; whose slices these are cannot be told"):
        join(raw, masks, out)
    assert not out.exists()
