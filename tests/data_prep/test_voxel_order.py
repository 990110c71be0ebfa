"""A label stored in another voxel order than its image is the same label: accepted, read, and repaired, voxel for voxel."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prep_samples import save
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.files import read_dataset
from data_prep.reading import read_volume
from data_prep.shift.domain import read_domain
from data_prep.voxel_order import order_of

RUN = CliRunner()
TURN, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3], OBLIQUE[:3, 3] = TURN @ np.diag([0.7, 1.0, 2.5]), (12, -40, 7)
ORDERS = [(axes, signs) for axes in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def stored(array: np.ndarray, affine: np.ndarray, axes: tuple[int, ...], signs: tuple[int, ...]) -> tuple:
    """The same voxels with their axes exchanged and reversed, and the affine that keeps each at its place."""
    step = np.zeros((4, 4))
    step[3, 3] = 1
    for new, (old, sign) in enumerate(zip(axes, signs, strict=True)):
        step[old, new], step[old, 3] = sign, 0 if sign > 0 else array.shape[old] - 1
    return array.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)], affine @ step


def shape_of_labels(seed: int) -> np.ndarray:
    label = np.zeros((8, 9, 10), np.uint8)
    label[1:4, 2:6, 3:5], label[5:7, 1:3, 6:9] = 1, 2
    label[seed % 3, 0, 0] = 1
    return label


def data_set(root: Path, affine: np.ndarray, axes: tuple[int, ...], signs: tuple[int, ...]) -> Path:
    for seed, name in enumerate("abcdef"):
        grey = np.random.default_rng(seed).integers(0, 900, (8, 9, 10)).astype(np.int16)
        save(root / f"images/{name}.nii.gz", grey, affine)
        save(root / f"labels/{name}.nii.gz", *stored(shape_of_labels(seed), affine, axes, signs))
    return root


@pytest.mark.parametrize(
    "affine", [np.diag([1.0, 1, 1, 1]), np.diag([-2.0, 1, 3, 1]), OBLIQUE], ids=["ras", "mixed", "oblique"]
)
@pytest.mark.parametrize("shape", [(4, 5, 6), (5, 5, 5)])
def test_every_order_of_one_grid_is_found_and_undone(affine: np.ndarray, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 9, shape)
    for axes, signs in ORDERS:
        other, its = stored(image, affine, axes, signs)
        its = its.astype(np.float32).astype(np.float64)  # as a header holds it
        order = order_of(affine, shape, its, other.shape)
        if (axes, signs) == ((0, 1, 2), (1, 1, 1)):
            assert order is None
            continue
        assert order is not None, (axes, signs)
        np.testing.assert_array_equal(order.array(other), image)
        np.testing.assert_allclose(order.affine(its, other.shape), affine, atol=1e-4)


def test_another_place_or_a_turn_is_not_another_order() -> None:
    plain, shape = np.diag([1.0, 1, 1, 1]), (6, 6, 6)
    flipped = np.diag([-1.0, 1, 1, 1])  # left and right exchanged about the origin: 5 mm away
    moved = flipped.copy()
    moved[0, 3] = 5 + 0.2
    assert order_of(plain, shape, flipped, shape) is None
    assert order_of(plain, shape, moved, shape) is None
    moved[0, 3] = 5 + 0.05
    assert order_of(plain, shape, moved, shape) is not None
    angle = np.radians(30)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0, 0], [np.sin(angle), np.cos(angle), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert order_of(plain, shape, turned, shape) is None
    assert order_of(plain, shape, plain * [1, 1, 2, 1], shape) is None


def test_slices_may_be_flipped_too() -> None:
    lps = np.diag([-1.0, -1, 1, 1])
    lps[:2, 3] = 4, 6
    order = order_of(np.eye(4), (5, 7), lps, (5, 7))
    assert order is not None
    picture = np.arange(35).reshape(5, 7)
    np.testing.assert_array_equal(order.array(picture[::-1, ::-1]), picture)


@pytest.mark.parametrize(
    ("affine", "axes", "signs"),
    [
        (np.diag([1.0, 1, 1, 1]), (0, 1, 2), (-1, -1, 1)),
        (OBLIQUE, (2, 0, 1), (1, -1, 1)),
        (np.diag([-1.0, -1, 2, 1]), (1, 0, 2), (1, 1, -1)),
    ],
    ids=["lps", "oblique", "exchanged"],
)
def test_check_and_build_accept_and_repair_is_exact(affine, axes, signs, tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", affine, axes, signs)
    said = RUN.invoke(app, ["check", str(root)])
    assert said.exit_code == 0, said.output
    assert "D402" not in said.output and "D401" not in said.output
    assert "stored in another voxel order than its image, at the same place" in said.output
    build(root, tmp_path / "out")
    plain = tmp_path / "plain"
    data_set(plain, affine, (0, 1, 2), (1, 1, 1))
    build(plain, tmp_path / "plain_out")
    first, second = (read_dataset(tmp_path / name)["fingerprint"] for name in ("out", "plain_out"))
    assert first["foreground_intensity"] == second["foreground_intensity"]  # grey values under the very same voxels
    assert first["foreground_volume"] == second["foreground_volume"]
    assert read_domain(tmp_path / "out").contrasts == read_domain(tmp_path / "plain_out").contrasts
    done = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "repaired")])
    assert done.exit_code == 0 and "every voxel at its place" in done.output
    assert not [finding for finding in check(tmp_path / "repaired") if finding.code in ("D402", "D412")]
    for seed, name in enumerate("abcdef"):
        label, image = (nib.load(tmp_path / f"repaired/{folder}/{name}.nii.gz") for folder in ("labels", "images"))
        np.testing.assert_array_equal(np.asarray(label.dataobj), shape_of_labels(seed))
        np.testing.assert_allclose(label.affine, image.affine, atol=1e-4)
        np.testing.assert_allclose(label.get_qform(), image.get_qform(), atol=1e-3)
        assert label.get_data_dtype() == np.uint8


def test_a_label_at_another_place_is_still_refused(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", np.diag([1.0, 1, 1, 1]), (0, 1, 2), (1, 1, 1))
    save(root / "labels/a.nii.gz", shape_of_labels(0)[::-1], np.diag([-1.0, 1, 1, 1]))
    said = RUN.invoke(app, ["check", str(root)])
    assert said.exit_code == 3 and "D402" in said.output and "mm away" in said.output and "D412" not in said.output


def test_a_channel_in_another_order_is_named_and_repaired(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    (root / "labelsTr").mkdir(parents=True)
    (root / "dataset.json").write_text(
        '{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "x": 1, "y": 2}, "file_ending": ".nii.gz"}'
    )
    for seed, name in enumerate("abc"):
        grey = np.random.default_rng(seed).integers(0, 900, (8, 9, 10)).astype(np.int16)
        save(root / f"imagesTr/{name}_0000.nii.gz", grey)
        save(root / f"imagesTr/{name}_0001.nii.gz", *stored(900 - grey, np.eye(4), (2, 1, 0), (-1, 1, 1)))
        save(root / f"labelsTr/{name}.nii.gz", shape_of_labels(seed))
    said = RUN.invoke(app, ["check", str(root)])
    assert said.exit_code == 3 and "D401" not in said.output
    assert "the same grid as a_0000.nii.gz, but stored in another voxel order" in said.output
    done = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "repaired")])
    assert done.exit_code == 0, done.output
    first, second = (read_volume(tmp_path / f"repaired/imagesTr/a_000{i}.nii.gz").array for i in (0, 1))
    np.testing.assert_array_equal(900 - first, second)
