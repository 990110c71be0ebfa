"""Which model lies nearest to scans: ranked by images alone, for pictures and volumes, and told in sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from made_models import add, card_of
from PIL import Image

from data_prep.build import build
from data_prep.errors import DataError, ModelFileError
from data_prep.files import read_datalist, read_dataset
from data_prep.phantom import generate
from data_prep.shift.images import image_summary
from monai_hybrid import api
from monai_hybrid.nearest import Near, chosen, rank
from monai_hybrid.nearest.target import read_scans
from monai_hybrid.nearest.told import lines, reason


def pictures(folder: Path, count: int = 3, dark: bool = False, channels: int = 1) -> Path:
    """images/ and labels/: a disc on noise, 32 x 32; dark ones are 96 x 96, and black but for the disc."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    edge = 96 if dark else 32
    x, y = np.meshgrid(np.arange(edge), np.arange(edge), indexing="ij")
    for i in range(count):
        rng = np.random.default_rng(i)
        disc = np.hypot(x - 16, y - 16) < 5 + i
        grey = np.where(disc, 230, rng.integers(0, 8 if dark else 180, (edge, edge))).astype(np.uint8)
        planes = [np.roll(grey, 3 * k, 0) for k in range(channels)]
        Image.fromarray(grey if channels == 1 else np.stack(planes, -1)).save(folder / f"images/c{i}.png")
        Image.fromarray(disc.astype(np.uint8)).save(folder / f"labels/c{i}.png")
    return folder


def prepared(folder: Path, **how: Any) -> Path:
    build(pictures(folder / "raw", **how), folder / "prepared", val_fraction=0, test_fraction=0)
    return folder / "prepared"


def described(card: dict[str, Any], source: Path) -> dict[str, Any]:
    """The card with the numbers of its training images, as a training writes them."""
    cases, dataset = read_datalist(source)["training"], read_dataset(source)
    images = image_summary(dataset, cases, card["plan"]["normalization"], None)
    scores = {"split": "validation", "entropy_foreground": [0.1], "denoising_error": [1.0]}
    return {**card, "reference": {"images": json.loads(json.dumps(images)), "scores": scores}}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of noisy discs and a universal one, 2D; a universal one, 3D."""
    folder = tmp_path / "models_of_tests"
    add(folder, "discs_mr", described(card_of(2, ["disc"]), prepared(tmp_path / "source")))
    add(folder, "universal_2d", card_of(2, ["blob"], universal=True))
    add(folder, "universal_3d", card_of(3, ["blob"], universal=True))
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(folder))
    return folder


def test_scans_like_those_of_a_model_take_it(models: Path, tmp_path: Path) -> None:
    target = prepared(tmp_path / "target")
    first, second = rank(target)
    assert [first.model, second.model] == ["discs_mr", "universal_2d"]
    assert first.resembles and first.distance < 0.01 and second.universal and not second.resembles
    assert first.denoising is not None and first.usual == 1.0
    name, why = chosen(target)
    assert name == "discs_mr" and why.startswith("discs_mr is the nearest model: score")
    assert not any("resembles" in line and "not" in line for line in lines([first], "t", True))


def test_scans_like_no_models_take_the_universal_one(models: Path, tmp_path: Path) -> None:
    target = prepared(tmp_path / "target", dark=True)
    first, second = rank(target)
    assert [first.model, second.model] == ["universal_2d", "discs_mr"] and not second.resembles
    assert second.parts["grey values"] > 3 and second.parts["voxel size"] == 0
    assert {finding.kind for finding in second.findings} == {"intensity", "size"}
    why = chosen(target)[1]
    assert why.startswith("universal_2d is taken, as no model resembles these scans (discs_mr, the nearest: score")


def test_no_label_is_read(models: Path, tmp_path: Path) -> None:
    target = prepared(tmp_path / "target")
    whole = api.rank_models(target)
    for label in (tmp_path / "target/raw/labels").iterdir():
        label.unlink()
    assert api.rank_models(target) == whole
    # Nor does it need a data list: any folder of images will do.
    loose = api.rank_models(tmp_path / "target/raw/images")
    assert [one["model"] for one in loose] == ["discs_mr", "universal_2d"] and loose[0]["distance"] < 0.01


def test_one_model_is_compared_by_name_file_and_folder(models: Path, tmp_path: Path) -> None:
    target = prepared(tmp_path / "target")
    (tmp_path / "run/models").mkdir(parents=True)
    file = tmp_path / "run/models/model.safetensors"
    file.write_bytes((models / "discs_mr.safetensors").read_bytes())
    for model in ("discs_mr", str(file), str(tmp_path / "run")):
        (near,) = rank(target, model)
        assert near.resembles
    with pytest.raises(ModelFileError, match="no such file or model; models: discs_mr, universal_2d, universal_3d"):
        rank(target, "dics")


def test_volumes_are_compared_with_models_of_volumes(models: Path, tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=2, site="A", seed=0)
    build(tmp_path / "raw", tmp_path / "prepared", val_fraction=0, test_fraction=0)
    assert [near.model for near in rank(tmp_path / "prepared")] == ["universal_3d"]
    add(models, "heads_mr", described(card_of(3, ["cortex"], spacing=4.0), tmp_path / "prepared"))
    assert [near.model for near in rank(tmp_path / "prepared")] == ["heads_mr", "universal_3d"]
    with pytest.raises(DataError, match="prepared is 3D, the model discs_mr 2D: they cannot be compared"):
        rank(tmp_path / "prepared", "discs_mr")
    # Twice the voxel, half the matrix: the field of view stays.
    (tmp_path / "coarse").mkdir()
    for file in sorted((tmp_path / "raw/images").iterdir()):
        image = nib.load(file)
        coarse = nib.Nifti1Image(np.asarray(image.dataobj)[::2, ::2, ::2], image.affine @ np.diag([2, 2, 2, 1]))
        nib.save(coarse, tmp_path / "coarse" / file.name)
    parts = rank(tmp_path / "coarse", "heads_mr")[0].parts
    assert parts["voxel size"] == 1 and parts["field of view"] < 0.1


def test_colour_pictures_are_compared_but_not_denoised_by_a_model_of_grey(models: Path, tmp_path: Path) -> None:
    near = {one.model: one for one in rank(prepared(tmp_path / "target", channels=3))}
    assert near["discs_mr"].parts["channels"] == 1 and near["discs_mr"].denoising is None
    assert "channels" in {finding.kind for finding in near["discs_mr"].findings}


@pytest.mark.parametrize(
    ("names", "cases", "channels"),
    [
        (("{}_t1", "{}_flair"), 3, ["flair", "t1"]),
        (("{}_0000", "{}_0001"), 3, ["0000", "0001"]),
        (("{}/t1", "{}/flair"), 3, ["flair", "t1"]),
        (("{}_left", "{}_right"), 6, ["channel 0"]),
    ],
)
def test_loose_channels_are_those_of_one_scan(
    names: tuple[str, ...], cases: int, channels: list[str], models: Path, tmp_path: Path
) -> None:
    source = pictures(tmp_path / "raw")
    for one in sorted((source / "images").iterdir()):
        for name in names:
            (target := tmp_path / "loose" / f"{name.format(one.stem)}.png").parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(one.read_bytes())
    (tmp_path / "loose/.hidden.png").write_bytes(b"none")
    scans = read_scans(tmp_path / "loose", [card_of(2, ["disc"])["plan"]["normalization"]])
    assert len(scans.cases) == cases and scans.dataset["channels"] == channels
    assert scans.curves[0].shape == (cases, len(channels), 101)
    near = {one.model: one for one in rank(tmp_path / "loose")}["discs_mr"]
    assert near.parts["channels"] == (len(channels) > 1) and (near.denoising is None) == (len(channels) > 1)


def test_without_models_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model comes with this installation; give one with --model"):
        rank(prepared(tmp_path))


def test_of_dicom_it_is_said_how_it_can_be_compared(models: Path, tmp_path: Path) -> None:
    from dicom_files import write_series

    write_series(tmp_path / "scans")
    with pytest.raises(DataError, match=r"holds DICOM.* With masks: monai-hybrid build .*; without: .*dcm2niix"):
        rank(tmp_path / "scans", "discs_mr")


def test_without_a_model_of_the_dimensions_it_is_said(models: Path, tmp_path: Path) -> None:
    (models / "universal_3d.json").unlink()
    generate(tmp_path / "raw", cases=2, site="A", seed=0)
    with pytest.raises(ModelFileError, match="images is 3D, and no 3D model comes with this installation"):
        rank(tmp_path / "raw/images")


@pytest.mark.parametrize(
    "images",
    [
        None, [], 3, {"quantiles": []}, {"quantiles": [[0.0] * 101], "spacing": [1, 1], "shape": [32, -1]},
        {"quantiles": [[0.0] * 7], "spacing": [1, 1], "shape": [32, 32], "spacing_known": False, "orientations": {}},
        {"quantiles": [[0.0] * 101], "spacing": [1], "shape": [32], "spacing_known": False, "orientations": {}},
        {"quantiles": [["x"] * 101], "spacing": [1, 1], "shape": [32, 32], "spacing_known": False, "orientations": {}},
    ],
)  # fmt: skip
def test_a_card_whose_numbers_are_of_no_use_is_said(images: Any, models: Path, tmp_path: Path) -> None:
    card = card_of(2, ["disc"]) | {"reference": {"images": images, "scores": {"denoising_error": ["x", -1]}}}
    file = add(tmp_path / "odd", "odd", card)
    (near,) = rank(prepared(tmp_path / "target"), str(file))
    assert near.score is None and near.usual is None and not near.resembles
    told = list(lines([near], "my scans", True))
    assert "its card keeps no numbers of its training images. Denoising error" in told[0]
    assert told[1].startswith("Next, with your data set for TARGET: monai-hybrid adapt --data TARGET --model")


@pytest.mark.parametrize(
    ("holds", "given"),
    [
        ("datalist.json", "'my scans'"),
        ("labels/a.png", "'my scans'"),
        ("labelsTr/a.nii", "'my scans'"),
        ("dataset_description.json", "'my scans'"),
        ("a.png", "TARGET"),
        ("images/a.png", "TARGET"),
    ],
)
def test_an_adaptation_to_scans_alone_is_not_proposed(
    holds: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my scans" / holds).parent.mkdir(parents=True)
    (tmp_path / "my scans" / holds).write_bytes(b"")
    *_, last = lines([Near("discs_mr", False, ["disc"])], "my scans", False)
    assert last.partition("monai-hybrid adapt --data ")[2].startswith(f"{given} --model discs_mr ")
    *_, last = lines([Near("discs_mr", False, ["disc"])], "my scans/a.png", False)
    assert " --data TARGET " in last


def test_sentences_of_a_ranking() -> None:
    far = Near("discs_mr", False, ["disc", "ring"], {"grey values": 5.0, "voxel size": 0.1}, (), 0.8, 0.2)
    assert far.score == 7.1 and far.doublings == 2 and not far.resembles
    told = list(lines([far], "t", False))
    assert told[0] == (
        "discs_mr: does not resemble your scans; its masks are of disc and ring. Score 7.1, at most 4.0 resembles; of it grey "
        "values 5.0; denoising error 0.80, 0.20 on its own scans."
    )
    assert reason([far]).startswith("discs_mr is the nearest model, though it does not resemble these scans")
    nothing = Near("universal_3d", True, ["blob"])
    assert reason([nothing]) == "universal_3d is taken, as no model resembles these scans"
