"""The built-in phantom: the same bytes for the same arguments, plausible cases, and honest refusals."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as PngImage

from data_prep.errors import ConfigError, DataError
from data_prep.phantom import LABELS, SITES, generate
from data_prep.phantom.acquisition import acquire, draw_scan, world_points
from data_prep.phantom.dataset import Recipe, make_case
from data_prep.phantom.patient import draw_patient, to_patient, world_of_nuclei
from data_prep.phantom.shapes import Ellipsoid, Horn
from data_prep.phantom.tissues import Tissue, label_of_tissue
from data_prep.phantom.waves import draw_warp

make_case = cache(make_case)  # several tests look at the same volumes
ORIENTATION = {"A": "RAS", "B": "PSR"}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below `folder`, by relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module", params=["A", "B"])
def volumes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("phantom") / "data"
    return request.param, generate(out, cases=3, site=request.param, seed=5)


# --- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("site", ["A", "B"])
def test_same_arguments_give_the_same_files(tmp_path: Path, site: str, dims: int) -> None:
    first = generate(tmp_path / "one", cases=2, site=site, seed=3, dims=dims)
    second = generate(tmp_path / "two", cases=2, site=site, seed=3, dims=dims)
    assert digests(first) == digests(second)


def test_files_do_not_depend_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generate(tmp_path / "one", cases=1)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert digests(first) == digests(generate(tmp_path / "two", cases=1))


def test_first_cases_do_not_depend_on_their_number(tmp_path: Path) -> None:
    few = digests(generate(tmp_path / "few", cases=1))
    many = digests(generate(tmp_path / "many", cases=3))
    assert {name: value for name, value in few.items() if name != "phantom.json"}.items() <= many.items()


def test_layout_and_names(volumes: tuple[str, Path]) -> None:
    site, out = volumes
    names = [f"phantom_{site}_{i:03d}.nii.gz" for i in range(3)]
    assert sorted(p.name for p in out.iterdir()) == ["images", "labels", "labels.json", "phantom.json"]
    assert sorted(p.name for p in (out / "images").iterdir()) == names
    assert sorted(p.name for p in (out / "labels").iterdir()) == names
    assert json.loads((out / "labels.json").read_text()) == LABELS
    assert json.loads((out / "phantom.json").read_text())["seed"] == 5


def test_nifti_headers(volumes: tuple[str, Path]) -> None:
    site, out = volumes
    for path in sorted((out / "images").iterdir()):
        image, label = nib.load(path), nib.load(out / "labels" / path.name)
        sform, sform_code = image.get_sform(coded=True)
        qform, qform_code = image.get_qform(coded=True)
        assert (int(sform_code), int(qform_code)) == (1, 1)
        # Compared at the grid's far corner, where a difference in direction weighs most.
        corner = [*image.shape, 1]
        assert np.abs((sform - qform) @ corner).max() < 1e-3
        assert "".join(nib.aff2axcodes(image.affine)) == ORIENTATION[site]
        assert image.header.get_zooms() == pytest.approx(SITES[site].volume.spacing, abs=1e-4)
        assert image.get_data_dtype() == np.int16 and label.get_data_dtype() == np.uint8
        assert image.shape == label.shape and np.array_equal(image.affine, label.affine)


def test_affines_are_oblique_and_differ_between_cases(volumes: tuple[str, Path]) -> None:
    _, out = volumes
    affines = [nib.load(path).affine for path in sorted((out / "images").iterdir())]
    assert all(np.abs(nib.affines.obliquity(affine)).max() > np.deg2rad(1) for affine in affines)
    assert not np.allclose(affines[0][:3, :3], affines[1][:3, :3])


def test_planes_are_grey_pngs(tmp_path: Path) -> None:
    out = generate(tmp_path / "planes", cases=2, dims=2)
    for path in sorted((out / "images").iterdir()):
        image, label = PngImage.open(path), PngImage.open(out / "labels" / path.name)
        assert image.mode == label.mode == "L" and image.size == label.size
        assert set(np.unique(np.asarray(label))) == {0, 1, 2, 3}
        assert 120 < np.asarray(image).max() <= 255


# --- refusals, each beside what must be accepted -------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"site": "C"}, r"site is 'C', expected one of 'A', 'B'"),
        ({"dims": 4}, r"dims is 4, expected 2 \(PNG planes\) or 3"),
        ({"cases": 0}, r"cases is 0, expected at least 1"),
        ({"seed": -1}, r"seed is -1, expected 0 or more"),
    ],
)
def test_refuses_wrong_arguments(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(tmp_path / "out", **{"cases": 1, **wrong})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("right", [{"site": "B"}, {"dims": 2}, {"cases": 1}, {"seed": 0}])
def test_accepts_right_arguments(tmp_path: Path, right: dict[str, object]) -> None:
    assert generate(tmp_path / "out", **{"cases": 1, **right}).is_dir()  # type: ignore[arg-type]


def test_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="not an empty folder nor this same phantom"):
        generate(tmp_path, cases=1)
    assert digests(tmp_path).keys() == {"mine.txt"}


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("keep")
    with pytest.raises(DataError, match="not an empty folder"):
        generate(tmp_path / "out", cases=1)
    assert (tmp_path / "out").read_text() == "keep"


def test_accepts_an_empty_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert len(list((generate(out, cases=1) / "images").iterdir())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_refuses_another_phantom(tmp_path: Path) -> None:
    before = digests(generate(tmp_path / "out", cases=1, seed=1))
    with pytest.raises(DataError, match="Give another folder"):
        generate(tmp_path / "out", cases=1, seed=2)
    assert digests(tmp_path / "out") == before


def test_reuses_the_same_phantom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = generate(tmp_path / "out", cases=1)
    monkeypatch.setattr("data_prep.phantom.dataset.make_case", None)
    assert generate(out, cases=1) == out


def test_refuses_the_same_phantom_with_a_file_missing(tmp_path: Path) -> None:
    out = generate(tmp_path / "out", cases=1)
    (out / "labels" / "phantom_A_000.nii.gz").unlink()
    with pytest.raises(DataError, match="not an empty folder nor this same phantom"):
        generate(out, cases=1)


def test_leaves_nothing_behind_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("data_prep.phantom.dataset.write_case", fail)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path / "out", cases=1)
    assert list(tmp_path.iterdir()) == []


def test_a_twin_that_finishes_first_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = generate(tmp_path / "first", cases=1)

    def slow_write(folder: Path, recipe: Recipe) -> None:
        (folder / "part").write_text("")
        finished.rename(tmp_path / "out")

    monkeypatch.setattr("data_prep.phantom.dataset._write_all", slow_write)
    assert generate(tmp_path / "out", cases=1) == tmp_path / "out"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# --- content -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dims", "least"), [(2, (400, 50, 20)), (3, (2000, 60, 60))])
@pytest.mark.parametrize("site", ["A", "B"])
def test_every_case_holds_every_label(site: str, dims: int, least: tuple[int, ...]) -> None:
    for seed in range(25):
        counts = np.bincount(make_case(site, seed, dims, 0).label.ravel(), minlength=4)
        assert counts.size == 4
        assert (counts[1:] >= least).all(), (seed, counts)


def test_volumes_have_the_promised_size() -> None:
    for site, scanner in SITES.items():
        extent = np.array(make_case(site, 0, 3, 0).signal.shape) * scanner.volume.spacing
        assert np.sort(extent) == pytest.approx([72, 72, 84], abs=6)


@pytest.mark.parametrize("other", [("A", 1, 3, 0), ("A", 0, 3, 1), ("B", 0, 3, 0)])
def test_patients_differ(other: tuple[str, int, int, int]) -> None:
    one, two = make_case("A", 0, 3, 0).label, make_case(*other).label
    assert one.shape != two.shape or np.mean(one != two) > 0.02


def test_sites_differ_in_scale_and_in_contrast() -> None:
    ratio = {}
    for site, scale in (("A", (700, 1500)), ("B", (150, 400))):
        cases = [make_case(site, seed, 3, 0) for seed in range(6)]
        means = np.mean([[case.signal[case.label == k].mean() for k in (1, 2, 3)] for case in cases], axis=0)
        assert scale[0] < np.mean([case.signal.max() for case in cases]) < scale[1]
        ratio[site] = means[0] / means[1]
    assert ratio["A"] < 1.0 < 1.3 < ratio["B"]  # cortex over nucleus: the order is turned round


@pytest.mark.parametrize("site", ["A", "B"])
def test_intensity_alone_does_not_find_the_organs(site: str) -> None:
    """The best window of intensities for each label, chosen with knowledge of the labels, still fails."""
    case = make_case(site, 0, 3, 0)
    for value in (2, 3):
        inside = case.signal[case.label == value]
        best = 0.0
        for cut in (0, 5, 10, 20, 30):
            low, high = np.percentile(inside, [cut, 100 - cut])
            found = (case.signal >= low) & (case.signal <= high)
            hits = (found & (case.label == value)).sum()
            best = max(best, 2 * hits / (found.sum() + inside.size))
        assert best < 0.3


def test_decoys_have_the_signal_of_what_they_imitate() -> None:
    table = label_of_tissue()
    pairs = {Tissue.DECOY_GREY: Tissue.NUCLEUS, Tissue.DECOY_FLUID: Tissue.VENTRICLE, Tissue.LOBE: Tissue.CORTEX}
    for decoy, organ in pairs.items():
        assert table[decoy] == 0 < table[organ]
        assert all(scanner.contrast[decoy] == scanner.contrast[organ] for scanner in SITES.values())


def test_background_noise_is_rayleigh() -> None:
    """Where there is no signal, Rician noise has mean / standard deviation = sqrt(pi / (4 - pi)) = 1.913."""
    air = make_case("A", 0, 3, 0).signal[[0, -1], :3].ravel()
    assert air.mean() / air.std() == pytest.approx(1.913, rel=0.15)


def test_one_patient_on_two_scanners_lies_in_one_place() -> None:
    """The patient is a function of world space: the organs' middles agree whatever grid they are seen on."""
    patient = draw_patient(np.random.default_rng(4))
    middles = []
    for scanner in SITES.values():
        image = acquire(patient, draw_scan(np.random.default_rng(5), scanner, scanner.volume, np.zeros(3)))
        where = world_points(image.affine, image.signal.shape)
        middles.append([where[:, image.label == k].mean(axis=1) for k in (1, 2, 3)])
    assert np.abs(np.subtract(*middles)).max() < 1.2


def test_noise_and_shading_are_the_scans_not_the_patients() -> None:
    patient = draw_patient(np.random.default_rng(0))
    scan = draw_scan(np.random.default_rng(1), SITES["A"], SITES["A"].volume, np.zeros(3))
    one, two = acquire(patient, scan), acquire(patient, replace(scan, noise_seed=scan.noise_seed + 1))
    assert np.array_equal(acquire(patient, scan).signal, one.signal)
    assert not np.array_equal(one.signal, two.signal)
    assert np.array_equal(one.label, two.label)


# --- parts ---------------------------------------------------------------------------------------------------


def test_the_warp_cannot_fold() -> None:
    warp = draw_warp(np.random.default_rng(0), 6, (38.0, 80.0), steepness=0.9)
    assert warp.steepness() == pytest.approx(0.9, rel=1e-5)
    spot = np.random.default_rng(1).uniform(-40, 40, size=(3, 500)).astype(np.float32)
    step = np.eye(3, dtype=np.float32)[:, :, None] * np.float32(0.5)
    columns = [(spot + s + warp.at(spot + s) - spot - warp.at(spot)) / 0.5 for s in step]
    assert np.linalg.det(np.stack(columns).transpose(2, 0, 1)).min() > 0


def test_world_of_nuclei_inverts_the_way_to_the_patient() -> None:
    for seed in range(5):
        patient = draw_patient(np.random.default_rng(seed))
        point = world_of_nuclei(patient).astype(np.float32)[:, None]
        expected = np.mean([nucleus.centre for nucleus in patient.nuclei], axis=0)
        assert to_patient(patient, point)[:, 0] == pytest.approx(expected, abs=1e-3)


def test_a_sphere_has_its_distance() -> None:
    points = np.array([[0, 0, 0], [3, 4, 0], [12, 0, 5]], dtype=np.float32).T
    assert Ellipsoid((0, 0, 0), (5, 5, 5)).distance(points)[1:] == pytest.approx([0, 8], abs=1e-5)


def test_a_straight_horn_is_a_piece_of_a_torus() -> None:
    horn = Horn((0, 0, 0), bow=10, heading=0, span=np.pi, thickness=2, taper=0, drift=0)
    points = np.array([[0, 10, 0], [3, 10, 0], [0, 0, 15]], dtype=np.float32).T
    assert horn.distance(points) == pytest.approx([-2, 1, 3], abs=1e-5)
