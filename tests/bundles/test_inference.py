"""Prediction as a user runs it: any file, masks on its own grid, quality.csv, going on after a stop or a bad file."""

from __future__ import annotations

import resource
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from bundle_runs import ROOT, run_bundle
from filelock import FileLock
from PIL import Image
from prediction_runs import Threshold, dice, model_card, predict, quality, random_model, threshold_model, visible
from scipy.ndimage import affine_transform, gaussian_filter

from monai_hybrid.bundle.cases import cases_to_predict, unique_names
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault
from monai_hybrid.prediction.denoising import DenoisingScore, cut_window, window_at
from monai_hybrid.prediction.flags import flag_rows
from monai_hybrid.weights import save_weights

ODD = ROOT.parent / "shared/data/odd_files/nifti"
FIELDS = ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "qoffset_x")


def blob(size: int = 24, seed: int = 0) -> np.ndarray:
    """A smooth round thing of three grey levels, (size, size, size) float32."""
    x = np.stack(np.meshgrid(*[np.linspace(-1, 1, size)] * 3, indexing="ij"))
    radius = np.sqrt((x[0] - 0.1) ** 2 + (x[1] * 1.2) ** 2 + x[2] ** 2)
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), size / 8)
    return np.asarray(np.clip(2.0 - 2.2 * radius + noise, 0, 1.4), np.float32)


def save(data: np.ndarray, path: Path, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, np.diag([1.0, 1.0, 1.0, 1.0]) if affine is None else affine), path)
    return path


def same_grid(image: Path, mask: Path) -> None:
    """Shape, affine bit for bit, codes and forms, from the two headers."""
    a, b = nib.load(image), nib.load(mask)
    assert b.shape == a.shape[:3]
    np.testing.assert_array_equal(a.affine, b.affine)
    for field in FIELDS:
        np.testing.assert_array_equal(a.header[field], b.header[field], err_msg=f"{image.name} {field}")


@pytest.mark.parametrize("bundle", ["hybrid_pretrain", "few_shot_finetune"])
def test_masks_maps_and_a_row_for_every_case(bundle: str, tmp_path: Path) -> None:
    image = save(blob(), tmp_path / "in/scan.nii.gz", np.diag([-2.0, 1.0, 1.5, 1.0]))
    settings = threshold_model(tmp_path / "model")
    settings |= {"save_probabilities": True, "save_entropy": True, "output_dir": tmp_path / "out"}
    assert predict(bundle, input=image, **settings) is None
    same_grid(image, tmp_path / "out/scan_seg.nii.gz")
    mask = nib.load(tmp_path / "out/scan_seg.nii.gz")
    labels = np.asarray(mask.dataobj)
    assert mask.get_data_dtype() == np.uint8 and set(np.unique(labels)) == {0, 10, 20}
    p = nib.load(tmp_path / "out/scan_probabilities.nii.gz")
    assert p.shape == (24, 24, 24, 3) and p.get_data_dtype() == np.uint16
    np.testing.assert_array_equal(p.affine, mask.affine)
    assert (p.get_fdata().argmax(-1) * 10 == labels).mean() > 0.999
    entropy = nib.load(tmp_path / "out/scan_entropy.nii.gz").get_fdata()
    row = quality(tmp_path / "out")["scan"]
    assert (row["status"], row["flag"], row["error"], row["unit"]) == ("done", "", "", "ml")
    assert float(row["volume_grey"]) == pytest.approx((labels == 10).sum() * 3.0 / 1000, rel=1e-4)
    assert float(row["volume_white"]) == pytest.approx((labels == 20).sum() * 3.0 / 1000, rel=1e-4)
    assert float(row["entropy_all"]) == pytest.approx(entropy.mean(), abs=1e-3) and entropy.min() >= 0 and entropy.max() <= 1
    assert float(row["entropy_foreground"]) == pytest.approx(entropy[labels > 0].mean(), abs=1e-3)
    assert row["denoising_error"] == "-" and row["mask"] == "scan_seg.nii.gz"
    grey = np.asarray(nib.load(image).dataobj)
    assert grey[labels == 20].min() > grey[labels == 0].max()


def test_a_bad_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    save(blob(), tmp_path / "in/b_good.nii.gz")
    (tmp_path / "in/a_cut.nii.gz").write_bytes((tmp_path / "in/b_good.nii.gz").read_bytes()[:900])
    save(np.full((9, 9, 9), np.nan, np.float32), tmp_path / "in/c_nan.nii.gz")
    save(np.zeros((9, 9, 9, 2), np.float32), tmp_path / "in/d_channels.nii.gz")
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    image = nib.Nifti1Image(blob(9), None)
    image.header.set_sform(flat, 1)
    nib.save(image, tmp_path / "in/e_singular.nii.gz")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "in/f_flat.png")
    (tmp_path / "in/notes.txt").write_text("not an image")
    settings = threshold_model(tmp_path / "model")
    error = predict(input=tmp_path / "in", output_dir=tmp_path / "out", **settings)
    assert isinstance(error, DataError) and error.exit_code == 3
    assert str(error).startswith("5 of 6 cases failed; the column error of ") and str(error).count("\n") == 5
    assert "\n  a_cut: D003 error" in str(error)
    rows = quality(tmp_path / "out")
    said = {name: row["error"] for name, row in rows.items()}
    assert {name for name, row in rows.items() if row["status"] == "done"} == {"b_good"}
    assert "D003 error" in said["a_cut"] and "Copy the file again" in said["a_cut"]
    assert "729 of 729 voxels are not finite" in said["c_nan"]
    assert "shape (9, 9, 9, 2); expected (X, Y) or (X, Y, Z)" in said["d_channels"]
    assert "cannot be inverted" in said["e_singular"]
    assert "that is 2D; the model was trained on 3D images" in said["f_flat"]
    assert visible(tmp_path / "out") == ["b_good_seg.nii.gz", "quality.csv"]


def test_two_predictions_into_one_folder_are_refused(tmp_path: Path) -> None:
    """Each would write a table of its own rows; once the first has ended, the second goes on."""
    save(blob(), tmp_path / "in/a.nii.gz")
    settings = {"input": tmp_path / "in", "output_dir": tmp_path / "out", **threshold_model(tmp_path / "model")}
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out/.run.lock"):
        error = predict(**settings)
    assert isinstance(error, EnvironmentFault) and error.exit_code == 5 and "another" in str(error), error
    assert visible(tmp_path / "out") == []
    assert predict(**settings) is None and visible(tmp_path / "out") == ["a_seg.nii.gz", "quality.csv"]


def test_finished_cases_are_skipped_until_model_image_or_setting_change(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(blob(seed=ord(name)), tmp_path / f"in/{name}.nii.gz")
    settings = {"input": tmp_path / "in", "output_dir": tmp_path / "in/out", **threshold_model(tmp_path / "model")}

    def redone(**more: object) -> set[str]:
        """The cases whose mask was written anew."""
        masks = sorted((tmp_path / "in/out").glob("*_seg.nii.gz"))
        for mask in masks:
            mask.write_bytes(b"old")
        assert predict(**{**settings, **more}) is None
        return {p.name[0] for p in (tmp_path / "in/out").glob("*_seg.nii.gz") if p.read_bytes() != b"old"}

    assert redone() == {"a", "b"}
    assert redone() == set() and set(quality(tmp_path / "in/out")) == {"a", "b"}
    (tmp_path / "in/out/a_seg.nii.gz").unlink()
    assert redone() == {"a"}
    assert redone(overwrite=True) == {"a", "b"}
    assert redone(overlap=0.25) == {"a", "b"}
    save(blob(seed=9), tmp_path / "in/b.nii.gz")
    assert redone(overlap=0.25) == {"b"}
    other = Threshold()
    torch.nn.init.constant_(other.borders, 0.1)
    save_weights(other.state_dict(), tmp_path / "model", model_card(3, 1.0, 16))
    refused = predict(**settings)
    assert isinstance(refused, ConfigError) and "2 masks in it, such as that of a, are of another model" in str(refused)
    assert redone(overlap=0.25, overwrite=True) == {"a", "b"} and redone(overlap=0.25) == set()


def test_a_case_that_failed_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.nii.gz").write_bytes(b"")
    settings = {"input": tmp_path / "in", "output_dir": tmp_path / "out", **threshold_model(tmp_path / "model")}
    assert isinstance(predict(**settings), DataError)
    save(blob(), tmp_path / "in/a.nii.gz")
    assert predict(**settings) is None
    row = quality(tmp_path / "out")["a"]
    assert row["status"] == "done" and row["error"] == ""


def test_equal_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for name in ("x/a.nii.gz", "y/a.nii.gz", "y/a.nii", "y/b.nii.gz"):
        save(blob(8), tmp_path / "in" / name)
    save(blob(8), tmp_path / "in/out/old_seg.nii.gz")
    cases = cases_to_predict(str(tmp_path / "in"), "", leave_out=str(tmp_path / "in/out"))
    assert {c["case_id"]: Path(c["image"]).relative_to(tmp_path / "in").as_posix() for c in cases} == {
        "x__a": "x/a.nii.gz", "y__a_nii_gz": "y/a.nii.gz", "y__a_nii": "y/a.nii", "b": "y/b.nii.gz",
    }  # fmt: skip
    tricky = [Path(p) for p in ("x__a.nii", "x/a.nii", "a.nii", "A.nii")]
    names = unique_names(tricky)
    assert len({name.lower() for name in names}) == 4
    with pytest.raises(DataError, match="no image found; expected a file or a folder of"):
        cases_to_predict(str(tmp_path / "nowhere"), "")


def test_lps_ras_and_oblique_copies_give_the_same_mask(tmp_path: Path) -> None:
    data, size = blob(96), 96
    save(data, tmp_path / "in/ras.nii.gz")
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    to_lps[:2, 3] = size - 1
    save(data[::-1, ::-1], tmp_path / "in/lps.nii.gz", to_lps)
    c, s, middle = np.cos(0.35), np.sin(0.35), np.full(3, (size - 1) / 2)
    turned = np.eye(4)
    turned[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    turned[:3, 3] = middle - turned[:3, :3] @ middle
    save(affine_transform(data, turned[:3, :3], turned[:3, 3], order=1), tmp_path / "in/oblique.nii.gz", turned)
    # Percentiles would see that the turned copy has other corners.
    settings = threshold_model(tmp_path / "model", patch=32, window=(0, 1.4))
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", overlap=0.25, sw_batch_size=2, **settings) is None
    masks = {name: np.asarray(nib.load(tmp_path / f"out/{name}_seg.nii.gz").dataobj) for name in ("ras", "lps", "oblique")}
    np.testing.assert_array_equal(masks["lps"][::-1, ::-1], masks["ras"])
    back = np.linalg.inv(turned)
    # The two resamplings of the comparison (of the copy, of its mask) alone cost 0.01 of Dice at 64 voxels, 0.007 at 96.
    straight = masks["ras"] >= 10
    oblique = affine_transform((masks["oblique"] >= 10).astype(float), back[:3, :3], back[:3, 3], order=1) > 0.5
    assert straight.sum() > 5000 and dice(straight, oblique) >= 0.99


@pytest.mark.parametrize("kind", ["png", "nii.gz"])
def test_flat_images(kind: str, tmp_path: Path) -> None:
    picture = (blob(40)[:, :30, 20] * 150).astype(np.uint8)
    image = tmp_path / f"in/p.{kind}"
    if kind == "png":
        image.parent.mkdir()
        Image.fromarray(picture.T).save(image)
    else:
        save(picture, image, np.diag([0.5, 0.5, 1.0, 1.0]))
    settings = threshold_model(tmp_path / "model", dims=2)
    settings |= {"save_probabilities": True, "spacing": [1.0, 1.0]}
    assert predict(input=image, output_dir=tmp_path / "out", **settings) is None
    row = quality(tmp_path / "out")["p"]
    mask = tmp_path / "out" / row["mask"]
    if kind == "png":
        labels = np.asarray(Image.open(mask)).T
    else:
        same_grid(image, mask)
        labels = np.asarray(nib.load(mask).dataobj)
    assert labels.shape == (40, 30) and row["unit"] == ("pixels" if kind == "png" else "mm2")
    area = 1.0 if kind == "png" else 0.25
    assert float(row["volume_white"]) == pytest.approx((labels == 20).sum() * area, rel=1e-4) and (labels == 20).any()
    p = nib.load(tmp_path / "out/p_probabilities.nii.gz")
    assert p.shape == (40, 30, 1, 3) and (p.get_fdata()[:, :, 0].argmax(-1) * 10 == labels).mean() > 0.99


def odd_files(small: bool) -> list[Path]:
    names = sorted(p for p in ODD.glob("*") if p.name.endswith((".nii", ".nii.gz"))) if ODD.is_dir() else []
    return [p for p in names if (p.stat().st_size < 120_000) == small]


def check_odd_files(files: list[Path], tmp_path: Path) -> None:
    if not files:
        pytest.skip("the real odd files are not beside the repository")
    (tmp_path / "in").mkdir()
    for file in files:
        (tmp_path / "in" / file.name).symlink_to(file)
    model = random_model(tmp_path / "model", spacing=8.0)
    error = predict(input=tmp_path / "in", output_dir=tmp_path / "out", model=model)
    rows = quality(tmp_path / "out")
    done = {name for name, row in rows.items() if row["status"] == "done"}
    assert len(rows) == len(files) and len(done) >= len(files) / 2
    assert error is None or "cases failed" in str(error)
    for file in files:
        name = file.name.removesuffix(".gz").removesuffix(".nii")
        if name in done:
            same_grid(file, tmp_path / "out" / rows[name]["mask"])
        else:
            assert rows[name]["error"].startswith("D") and file.name in rows[name]["error"]
            assert not list((tmp_path / "out").glob(f"{name}_seg*"))


def test_small_odd_files_give_a_mask_on_their_grid_or_a_named_refusal(tmp_path: Path) -> None:
    check_odd_files(odd_files(small=True), tmp_path)


@pytest.mark.slow
def test_large_odd_files_give_a_mask_on_their_grid_or_a_named_refusal(tmp_path: Path) -> None:
    check_odd_files(odd_files(small=False), tmp_path)


def test_a_full_disk_stops_the_prediction_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk: it lets the first case through, and not the second."""
    save(blob(8), tmp_path / "in/a.nii.gz")
    save(blob(32), tmp_path / "in/b.nii.gz")
    model = random_model(tmp_path / "model", spacing=1.0)
    settings = {"input": tmp_path / "in", "output_dir": tmp_path / "out", "model": model, "save_probabilities": True}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        error = predict(**settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert isinstance(error, EnvironmentFault) and error.exit_code == 5 and "File too large" in str(error), error
    assert not list((tmp_path / "out").glob(".*.tmp")) and not (tmp_path / "out/b_probabilities.nii.gz").exists()
    assert {name: row["status"] for name, row in quality(tmp_path / "out").items()} == {"a": "done"}
    assert predict(**settings) is None
    assert {name: row["status"] for name, row in quality(tmp_path / "out").items()} == {"a": "done", "b": "done"}


@pytest.mark.parametrize("name", ["21_header_without_image.hdr", "23_freesurfer.mgz", "24_minc2.mnc"])
def test_foreign_formats_are_refused_by_name(name: str, tmp_path: Path) -> None:
    if not (ODD / name).is_file():
        pytest.skip("the real odd files are not beside the repository")
    error = predict(input=ODD / name, output_dir=tmp_path / "out", **threshold_model(tmp_path / "model"))
    assert isinstance(error, DataError) and "1 of 1 cases failed" in str(error)
    assert "its name ends with none of .nii, .nii.gz" in quality(tmp_path / "out")[name]["error"]


@pytest.mark.parametrize("size", [(20, 18, 1), (5, 6, 7), (40, 16, 16)], ids=str)
def test_one_slice_and_less_than_a_window(size: tuple[int, int, int], tmp_path: Path) -> None:
    image = save(blob(40)[tuple(slice(20 - n // 2, 20 - n // 2 + n) for n in size)], tmp_path / "v.nii.gz")
    assert predict(input=image, output_dir=tmp_path / "out", model=random_model(tmp_path / "m", spacing=1.5)) is None
    same_grid(image, tmp_path / "out/v_seg.nii.gz")


def test_a_command_line_run_ends_with_exit_code_3_and_one_line(tmp_path: Path) -> None:
    save(blob(), tmp_path / "in/good.nii.gz")
    (tmp_path / "in/bad.nii.gz").write_bytes(b"")
    model = random_model(tmp_path / "model")
    settings = {"input": tmp_path / "in", "model": model, "output_dir": tmp_path / "out"}
    done = run_bundle("bundles/few_shot_finetune/configs/inference.json", **settings)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "error: 1 of 2 cases failed" in done.stderr and "it holds 0 bytes" in done.stdout + done.stderr
    assert (tmp_path / "out/good_seg.nii.gz").is_file() and not list((tmp_path / "out").glob("*.tmp"))


def test_the_denoising_score_is_the_ratio_to_the_best_linear_guess() -> None:
    image = torch.randn(1, 20, 20, 20).clamp(-1, 1)
    score = DenoisingScore(model_card(3, 1.0, 16), (16, 16, 16))

    def perfect(x_t: torch.Tensor, t: torch.Tensor, return_noise: bool) -> torch.Tensor:
        a, s = score.schedule.signal_and_noise(t, x_t)
        x_0 = cut_window(image, window_at(image.shape[1:], (16, 16, 16)))[None]
        return torch.cat([a * (x_t - a * x_0) / s - s * x_0, x_t], 1)  # and a mask of one class, which counts for nothing here

    def wiener(x_t: torch.Tensor, t: torch.Tensor, return_noise: bool) -> torch.Tensor:
        a, s = score.schedule.signal_and_noise(t, x_t)
        window = cut_window(image, window_at(image.shape[1:], (16, 16, 16)))
        mean, variance = window.mean(), window.var()
        x_0 = mean + a * variance / (a**2 * variance + s**2) * (x_t - a * mean)
        return torch.cat([(a * x_t - x_0) / s, x_t], 1)

    assert score(image, perfect) == pytest.approx(0, abs=1e-4)
    assert score(image, wiener) == pytest.approx(1, abs=0.05)
    assert score(image, wiener) == score(image, wiener)
    assert score(torch.full((1, 20, 20, 20), 0.3), wiener) is None
    assert DenoisingScore(model_card(3, 1.0, 16, objective="supervised"), (16,) * 3)(image, wiener) is None


def test_a_case_far_above_the_others_is_flagged_from_five_cases_on() -> None:
    def rows(values: list[str]) -> list[dict[str, str]]:
        return [{"status": "done", "flag": "no grey found", "entropy_foreground": "-", "denoising_error": v} for v in values]

    few, many, calm = rows(["1", "1.1", "0.9", "9"]), rows(["1", "1.1", "0.9", "1", "9"]), rows(["1", "1.1", "0.9", "1", "0.1"])
    for table in (few, many, many, calm):  # twice: flags do not pile up
        flag_rows(table)
    told = "no grey found; compared with the other cases: unlike the images the model knows (denoising_error 9, median 1)"
    assert many[4]["flag"] == told
    assert all(row["flag"] == "no grey found" for row in [*few, *many[:4], *calm])
