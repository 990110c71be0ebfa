"""Data sets of colour pictures from raw files to dataset.json: what is read is chosen once, and written down."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_samples import colours, disc, picture_set
from PIL import Image
from prep_samples import read_json, write_json
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.repair import repair
from data_prep.shift import shift

RUN = CliRunner()
RGB = ["red", "green", "blue"]


def codes(root: Path, **options: Any) -> list[str]:
    return [finding.code for finding in check(root, **options) if finding.level != "note"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"])
def test_a_colour_set_is_built_with_three_channels(tmp_path: Path, suffix: str) -> None:
    root = picture_set(tmp_path / "raw", suffix=suffix)
    assert codes(root) == []
    build(root, tmp_path / "out")
    dataset = read_json(tmp_path / "out/dataset.json")
    assert dataset["channels"] == dataset["colour"] == RGB and dataset["spatial_dims"] == 2
    assert len(dataset["fingerprint"]["intensity"]) == len(dataset["fingerprint"]["foreground_intensity"]) == 3
    assert codes(tmp_path / "out") == []  # read again as it was built


def test_a_grey_set_stays_as_it_was(tmp_path: Path) -> None:
    build(picture_set(tmp_path / "raw", grey=True), tmp_path / "out")
    dataset = read_json(tmp_path / "out/dataset.json")
    assert dataset["channels"] == ["image"] and "colour" not in dataset


@pytest.mark.parametrize("grey", [False, True])
def test_a_build_of_colours_names_them_and_asks_for_no_modality(grey: bool, tmp_path: Path) -> None:
    root, out = picture_set(tmp_path / "raw", grey=grey), tmp_path / "out"
    said = RUN.invoke(app, ["build", str(root), "--output", str(out)]).output
    assert ("red, green, blue" in said) != grey
    reasons = " ".join(read_json(out / "plan.json")["reasons"])
    assert ("build --modality MRI states it" in reasons) == grey and "Modality unknown" in reasons


def test_grey_pictures_saved_as_rgb_are_grey(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw", grey=True)
    for path in (root / "images").iterdir():
        Image.open(path).convert("RGB").save(path)
    build(root, tmp_path / "out")
    assert read_json(tmp_path / "out/dataset.json")["channels"] == ["image"]


@pytest.mark.parametrize(
    ("words", "channels"),
    [(["--channels", "green"], ["green"]), (["--channels", "red,green"], ["red", "green"]), (["--grey"], ["grey"])],
)
def test_the_choice_is_written_down(tmp_path: Path, words: list[str], channels: list[str]) -> None:
    root = picture_set(tmp_path / "raw")
    assert RUN.invoke(app, ["check", str(root), *words]).exit_code == 0
    result = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), *words])
    assert result.exit_code == 0, result.output
    dataset = read_json(tmp_path / "out/dataset.json")
    assert dataset["channels"] == dataset["colour"] == channels
    assert len(dataset["fingerprint"]["intensity"]) == len(channels) and codes(tmp_path / "out") == []
    assert RUN.invoke(app, ["check", str(tmp_path / "out")]).exit_code == 0


def test_both_options_or_no_pictures_are_refused(tmp_path: Path, nifti_set: Any) -> None:
    root = picture_set(tmp_path / "colour")
    with pytest.raises(ConfigError, match="--grey: given beside --channels; expected one of them"):
        build(root, tmp_path / "out", grey=True, channels="red")
    with pytest.raises(ConfigError, match=r"--grey: chooses colours of pictures, of which .* has none. Leave --grey out"):
        build(nifti_set(), tmp_path / "out", grey=True)


def test_grey_files_among_colours_count_in_each_channel_and_are_named(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    Image.open(root / "images/b.png").convert("L").save(root / "images/b.png")
    found = [finding for finding in check(root) if finding.level != "note"]
    assert [finding.code for finding in found] == ["D024"] and found[0].level == "warning"
    assert found[0].message == "1 of 4 pictures are grey; their one value counts for each of the channels"
    build(root, tmp_path / "out")
    assert codes(root, grey=True) == []


def test_what_cannot_be_read_exactly_is_refused_with_one_remedy_for_the_folder(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "my raw")
    path = root / "images/a.png"
    Image.fromarray(np.dstack([colours(), np.full((12, 20), 9, np.uint8)])).save(path)
    found = [finding for finding in check(root) if finding.level == "error"]
    assert [finding.code for finding in found] == ["D020"] and "240 of its 240 pixels" in found[0].message
    before = path.read_bytes()
    typed = f"repair {shlex.quote(str(root))} --output {tmp_path}/out --pictures"
    assert found[0].remedy == "If what lies below may be seen, type: monai-hybrid repair FOLDER --output OUT --pictures"
    assert RUN.invoke(app, shlex.split(typed)).exit_code == 0
    assert path.read_bytes() == before and len(list((tmp_path / "out/images").iterdir())) == 4
    assert codes(tmp_path / "out") == []


def test_jpeg_masks_are_refused_with_what_makes_png_of_them(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw", value=255)
    for path in list((root / "labels").iterdir()):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    found = [finding for finding in check(root) if finding.level == "error"]
    assert {finding.code for finding in found} == {"D029"} and "a mask stored as JPEG" in found[0].message
    assert found[0].remedy.endswith("for masks of two values, type: monai-hybrid repair FOLDER --output OUT --pictures")
    repair(root, tmp_path / "out", pictures=True)
    assert codes(tmp_path / "out") == []
    assert np.unique(np.asarray(Image.open(tmp_path / "out/labels/a.png"))).tolist() == [0, 255]


def test_masks_in_other_forms_are_read(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    a, b = root / "labels/a.png", root / "labels/b.png"
    Image.open(a).convert("RGB").save(a)
    table = Image.open(b).copy()
    table.putpalette([v for i in range(256) for v in (255 - i, i, 9)])
    table.save(b)
    assert codes(root) == []
    build(root, tmp_path / "out")
    assert [label["value"] for label in read_json(tmp_path / "out/dataset.json")["labels"]] == [0, 1]


def test_coloured_masks_are_refused_by_name(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    mask = disc()
    Image.fromarray(np.dstack([mask * 255, mask * 0, mask * 0])).save(root / "labels/a.png")
    with pytest.raises(DataError, match=r"D027 error: .*a\.png: a mask of 2 colours, such as .*\(255, 0, 0\)"):
        build(root, tmp_path / "out")


def test_values_that_png_cannot_hold_are_refused_before_training(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw", value=1024)
    assert codes(root) == []
    (root / "labels/a.png").unlink()
    Image.fromarray(disc().astype(np.int32) * 70000).save(root / "labels/a.tif")
    found = [finding for finding in check(root) if finding.level == "error"]
    assert [finding.code for finding in found] == ["D026"]
    assert found[0].message == "label value 70000; masks of pictures are written as PNG, which holds 0 to 65535"
    repair(root, tmp_path / "out", values={70000: 1024})
    assert codes(tmp_path / "out") == []


def test_repair_maps_to_values_above_255(tmp_path: Path) -> None:
    repair(picture_set(tmp_path / "raw", value=1), tmp_path / "out", values={1: 300})
    assert np.unique(np.asarray(Image.open(tmp_path / "out/labels/a.png"))).tolist() == [0, 300]


@pytest.mark.parametrize("ending", ["_0000", ""])
def test_one_rgb_file_a_case_as_nnunet_has_it(tmp_path: Path, ending: str) -> None:
    raw, root = picture_set(tmp_path / "raw"), tmp_path / "Dataset120"
    (root / "imagesTr").mkdir(parents=True)
    for path in (raw / "images").iterdir():
        shutil.copy(path, root / "imagesTr" / f"{path.stem}{ending}.png")
    shutil.copytree(raw / "labels", root / "labelsTr")
    names = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "road": 1}}
    write_json(root / "dataset.json", {**names, "numTraining": 4, "file_ending": ".png"})
    assert codes(root) == []
    build(root, tmp_path / "out")
    assert read_json(tmp_path / "out/dataset.json")["channels"] == RGB
    build(root, tmp_path / "green", channels="green")
    assert read_json(tmp_path / "green/dataset.json")["channels"] == ["green"]


def test_one_grey_file_a_channel_stays_so(tmp_path: Path) -> None:
    root = tmp_path / "Dataset7"
    raw = picture_set(tmp_path / "raw", grey=True)
    (root / "imagesTr").mkdir(parents=True)
    for path in (raw / "images").iterdir():
        for channel in range(3):
            Image.fromarray(np.asarray(Image.open(path)) // (channel + 1)).save(
                root / f"imagesTr/{path.stem}_{channel:04d}.png"
            )
    shutil.copytree(raw / "labels", root / "labelsTr")
    write_json(root / "dataset.json", {"channel_names": {"0": "x", "1": "y", "2": "z"}, "labels": {"background": 0, "a": 1}})
    build(root, tmp_path / "out")
    dataset = read_json(tmp_path / "out/dataset.json")
    assert dataset["channels"] == ["x", "y", "z"] and "colour" not in dataset


def test_one_rgb_file_a_case_as_the_decathlon_has_it(tmp_path: Path) -> None:
    raw = picture_set(tmp_path / "raw")
    pairs = [{"image": f"images/{p.name}", "label": f"labels/{p.name}"} for p in sorted((raw / "images").iterdir())]
    content = {"modality": {"0": "R", "1": "G", "2": "B"}, "labels": {"0": "background", "1": "a"}, "training": pairs}
    write_json(raw / "dataset.json", content)
    build(raw, tmp_path / "out")
    assert read_json(tmp_path / "out/dataset.json")["channels"] == RGB


def test_shift_reads_colour_as_it_was_built(tmp_path: Path) -> None:
    for name, value in (("one", 1), ("two", 255)):
        build(picture_set(tmp_path / f"raw_{name}", value=value), tmp_path / name)
    content = shift(tmp_path / "one", tmp_path / "two", tmp_path / "shift")
    assert [f["kind"] for f in content["findings"] if f["kind"] in ("labels", "channels")] == []  # label_1 is label_255
    build(picture_set(tmp_path / "raw_3"), tmp_path / "three", channels="green")
    kinds = [f["kind"] for f in shift(tmp_path / "one", tmp_path / "three")["findings"]]
    assert "channels" in kinds


def test_a_photograph_may_lack_a_colour(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    for path in (root / "images").iterdir():
        rgb = np.asarray(Image.open(path)).copy()
        rgb[..., 2] = 0
        Image.fromarray(rgb).save(path)
    assert codes(root) == []
    Image.fromarray(np.full((12, 20, 3), (9, 8, 7), np.uint8)).save(root / "images/a.png")
    assert codes(root) == ["D202"]


def test_a_single_colour_picture_can_be_checked(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    assert codes(root / "images/a.png") == []
    assert json.loads(RUN.invoke(app, ["check", str(root / "images/a.png"), "--json", "-"]).stdout)["counts"]["error"] == 0


def test_an_image_turned_without_its_mask_is_named(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw")
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("images", "labels"):
        path = root / name / "a.png"
        Image.open(path).save(path, exif=exif)
        found = [finding for finding in check(root) if finding.level != "note"]
        assert [finding.code for finding in found] == (["D028"] if name == "images" else [])
        if found:
            assert "the EXIF orientation of a.png is 3, its own 1; both are read upright" in found[0].message


def test_a_mask_that_can_only_be_drawn_upright_beside_a_turned_image_is_no_fault(tmp_path: Path) -> None:
    """As `predict` writes them, and as they come back corrected. One that was drawn on the stored picture does not fit."""
    root = picture_set(tmp_path / "raw")
    exif = Image.Exif()
    exif[0x0112] = 6
    image, mask = (Image.open(root / f"{name}/a.png") for name in ("images", "labels"))
    assert image.width != image.height
    image.transpose(Image.Transpose.ROTATE_90).save(root / "images/a.png", exif=exif)
    assert codes(root) == []
    mask.transpose(Image.Transpose.ROTATE_90).save(root / "labels/a.png")
    assert "D028" not in codes(root) and codes(root) != []
    square = (12, 12)  # of which nobody can tell
    image.crop((0, 0, *square)).save(root / "images/a.png", exif=exif)
    mask.crop((0, 0, *square)).save(root / "labels/a.png")
    assert "D028" in codes(root)


def test_colours_that_differ_between_photographs_are_no_exchanged_channels(tmp_path: Path) -> None:
    root = picture_set(tmp_path / "raw", count=6)
    for path in sorted((root / "images").iterdir()):
        rgb = np.asarray(Image.open(path)).copy()
        rgb[..., 0] = np.minimum(rgb[..., 0], 40)
        rgb = rgb[..., ::-1] if path.stem == "a" else rgb
        Image.fromarray(np.ascontiguousarray(rgb)).save(path)
    assert codes(root) == []
