"""`repair --pictures` and `--pages`: files of a form that is not read are written anew, as the user states, or refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.check import check, checked
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.layouts import read_source
from data_prep.reading import read_volume, stem
from data_prep.repair import repair
from data_prep.roles import read_image, read_label
from data_prep.summary import next_line

RGB = ("red", "green", "blue")
SHAPE = (48, 64)  # rows, columns
TURN = 6  # stored a quarter to the left of what is shown


def disc(centre: tuple[float, float] = (15, 20), shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """(H, W) bool, on no axis of symmetry."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - centre[0]) ** 2 + ((columns - centre[1]) / 1.5) ** 2 < 80


def colours(mask: np.ndarray, seed: int) -> Image.Image:
    values = np.random.default_rng(seed).normal(100, 5, (*mask.shape, 3)) + 90 * mask[..., None]
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def tagged(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def polyps(root: Path) -> Path:
    """JPEG masks of 0 and 255; of case 1 image and mask carry a turn, of case 2 the image alone."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for index in range(5):
        mask = disc((15 + index, 20 + 2 * index))
        image, drawn = colours(mask, index), Image.fromarray((255 * mask).astype(np.uint8))
        options: dict[str, Any] = {"quality": 90}
        if index in (1, 2):
            image, options = image.transpose(Image.Transpose.ROTATE_90), {"quality": 90, "exif": tagged(TURN)}
        if index == 1:
            drawn = drawn.transpose(Image.Transpose.ROTATE_90)
        if index == 3:
            image = image.convert("CMYK")
        if index == 4:
            picture = image.quantize(32)
            picture.save(root / "images/4.png", transparency=int(np.asarray(picture)[0, 0]))
        else:
            image.save(root / f"images/{index}.jpg", **options)
        drawn.save(root / f"masks/{index}.jpg", **(options if index == 1 else {"quality": 90}))
    return root


def codes(root: Path, **how: Any) -> set[str]:
    return {finding.code for finding in check(root, **how)}


def test_pictures_are_written_so_that_all_are_read_and_none_is_turned(tmp_path: Path) -> None:
    root, out = polyps(tmp_path / "raw"), tmp_path / "out"
    assert codes(root) == {"D020", "D022", "D029"}
    report = repair(root, out, pictures=True)
    assert {entry.code for entry in report.repairs} == {"D020", "D022", "D029"} and report.refusals == []
    assert codes(out) == set()
    assert sorted(path.name for path in (out / "images").iterdir()) == ["0.jpg", "1.jpg", "2.jpg", "3.png", "4.png"]
    for index in range(5):
        mask = read_label(out / f"masks/{index}.png").array.T
        np.testing.assert_array_equal(mask, 255 * disc((15 + index, 20 + 2 * index)))
        image = read_image(next((out / "images").glob(f"{index}.*")), RGB).array.swapaxes(0, 1).astype(float)
        assert image[mask > 0].mean() > image[mask == 0].mean() + 60, "the bright spot lies below the mask"


def test_what_to_type_is_said_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = polyps(Path("raw"))
    result = CliRunner().invoke(app, ["check", str(root)])
    line = f"monai-hybrid repair {root} --output {root}_repaired --pictures"
    assert result.exit_code == 3 and result.output.count(line) == 3 and "mkdir" not in result.output
    done = CliRunner().invoke(app, line.split()[1:])
    assert done.exit_code == 0 and f"Next: monai-hybrid build {root}_repaired" in done.output, done.output


def test_of_many_files_a_few_are_told_and_the_log_has_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        polyps(Path(f"part{number}"))
        for folder in ("images", "masks"):
            for path in Path(f"part{number}", folder).iterdir():
                Path("raw", folder).mkdir(parents=True, exist_ok=True)
                path.rename(Path("raw", folder, f"{number}{path.name}"))
    dry = CliRunner().invoke(app, ["repair", "raw", "--output", "out", "--pictures", "--dry-run"]).output
    assert dry.count("corrected D029: ") == 10 and "5 more" not in dry
    wet = CliRunner().invoke(app, ["repair", "raw", "--output", "out", "--pictures"]).output
    assert wet.count("corrected D029: ") == 6 and "corrected D029: 5 more; repair.json lists all" in wet
    assert len(json.loads(Path("out/repair.json").read_text())["repairs"]) == 14


def test_values_that_jpeg_made_become_no_classes_unasked(tmp_path: Path) -> None:
    """Two values alone may be meant; 26 are two and what the compression added."""
    root = polyps(tmp_path / "raw")
    found = [finding for finding in check(root, accept="D025") if finding.code == "D029"]
    assert len(found) == 5 and all(finding.level == "error" and "--accept" not in finding.remedy for finding in found)
    for path in (root / "masks").iterdir():
        Image.fromarray(np.kron(np.eye(2), np.full((8, 8), 255)).astype(np.uint8)).save(path, quality=100)
    assert {f.level for f in check(root) if f.code == "D025"} == {"error"} and "D029" not in codes(root)
    assert {f.level for f in check(root, accept="D025") if f.code == "D025"} == {"warning"}


def test_a_map_holds_for_masks_of_jpeg_too(tmp_path: Path) -> None:
    repair(polyps(tmp_path / "raw"), tmp_path / "out", values={255: 1}, pictures=True)
    assert np.unique(read_label(tmp_path / "out/masks/0.png").array).tolist() == [0, 1]


def grey_steps() -> Image.Image:
    return Image.fromarray((85 * disc() + 85 * disc((30, 50))).astype(np.uint8))


def in_colour() -> Image.Image:
    return Image.fromarray(np.stack([255 * disc(), 0 * disc(), 0 * disc()], -1).astype(np.uint8))


NO_TWO_VALUES: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "dim": (grey_steps, "so that 255 stands for no class"),
    "steps": (lambda: Image.fromarray((255 * disc() + 120 * disc((30, 50))).astype(np.uint8)), "more values than two"),
    "colours": (in_colour, "the mask has colours"),
}


@pytest.mark.parametrize("name", NO_TWO_VALUES)
def test_a_mask_in_jpeg_of_other_values_stays_and_is_told(name: str, tmp_path: Path) -> None:
    root, (made, why) = polyps(tmp_path / "raw"), NO_TWO_VALUES[name]
    made().save(root / "masks/0.jpg", quality=95, subsampling=0)
    report = repair(root, tmp_path / "out", pictures=True)
    (refusal,) = report.refusals
    assert why in refusal.why and refusal.source == str(root / "masks/0.jpg")
    assert (tmp_path / "out/masks/0.jpg").read_bytes() == (root / "masks/0.jpg").read_bytes()


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("form", ["RGBA.png", "RGBA.tif", "LA.png", "key.png", "key of 16 bits.png"])
def test_pixels_stay_where_they_are_shown(form: str, turn: int, tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    opaque, grey = np.full((20, 30, 1), 255, np.uint8), colour[..., 0]
    opaque[:3] = 0
    deep = grey.astype(np.uint16) * 200 + 3
    made: dict[str, tuple[Image.Image, np.ndarray, dict[str, Any]]] = {
        "RGBA": (Image.fromarray(np.concatenate([colour, opaque], -1)), colour, {}),
        "LA": (Image.fromarray(np.concatenate([grey[..., None], opaque], -1), "LA"), grey, {}),
        "key": (Image.fromarray(grey), grey, {"transparency": int(grey[0, 0])}),
        "key of 16 bits": (Image.fromarray(deep), deep, {"transparency": int(deep[0, 0])}),
    }
    picture, shown, options = made[form.partition(".")[0]]
    (tmp_path / "raw").mkdir()
    tags: dict[str, Any] = {"tiffinfo": {0x0112: turn}} if form.endswith("tif") else {"exif": tagged(turn)}
    picture.save(tmp_path / "raw" / form, **options, **tags)
    assert len(repair(tmp_path / "raw", tmp_path / "out", pictures=True).repairs) == 1
    seen = read_image(next((tmp_path / "out").glob("*.png")), RGB).array.swapaxes(0, 1)
    upright = np.rot90(shown, {1: 0, 3: 2, 6: -1, 8: 1}[turn])
    np.testing.assert_array_equal(seen, upright if upright.ndim == 3 else np.stack([upright] * 3, -1))


def test_a_copy_takes_the_name_of_no_other_file(tmp_path: Path) -> None:
    """Image p1.jpg and mask p1.png in one folder."""
    (tmp_path / "raw").mkdir()
    for index in range(3):
        colours(disc(), index).convert("CMYK").save(tmp_path / f"raw/{index}.jpg")
        Image.fromarray(disc().astype(np.uint8)).save(tmp_path / f"raw/{index}.png")
    report = repair(tmp_path / "raw", tmp_path / "out", pictures=True)
    assert report.repairs == [] and "0.png, which is there" in report.refusals[0].why
    assert (tmp_path / "out/0.png").read_bytes() == (tmp_path / "raw/0.png").read_bytes()


def test_colours_of_sixteen_bits_keep_them(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    root = polyps(tmp_path / "raw")
    deep = np.random.default_rng(0).integers(0, 60000, (*SHAPE, 4)).astype(np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(deep, isVector=True), str(root / "images/4.png"))
    report = repair(root, tmp_path / "out", pictures=True)
    assert [entry.why for entry in report.refusals] == [
        "its colours have 16 bits, of which a copy here would keep 8; export it opaque"
    ]


def saved(path: Path, pages: list[np.ndarray], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others, **options)


def stack(root: Path, pages: int = 5, mask_pages: int = 5, description: str = "") -> Path:
    rng = np.random.default_rng(0)
    for index in range(4):
        grey = [rng.integers(0, 60000, SHAPE).astype(np.uint16) for _ in range(pages)]
        saved(root / f"images/c{index}.ome.tif", grey, **({"description": description} if description else {}))
        saved(root / f"labels/c{index}.tif", [disc((10 + page, 20)).astype(np.uint8) for page in range(mask_pages)])
    return root


def test_pages_that_are_slices_become_a_volume_bit_for_bit(tmp_path: Path) -> None:
    root, out = stack(tmp_path / "raw"), tmp_path / "out"
    assert codes(root) == {"D021"}
    report = repair(root, out, pages="slices", voxel_size="0.5,0.4,2")
    assert report.refusals == [] and not codes(out)
    image, label = (read_volume(out / f"{name}/c0.nii.gz") for name in ("images", "labels"))
    assert image.shape == label.shape == (SHAPE[1], SHAPE[0], 5) and image.spacing == pytest.approx((0.5, 0.4, 2))
    with Image.open(root / "images/c0.ome.tif") as source:
        source.seek(3)
        np.testing.assert_array_equal(image.array[..., 3].T, np.asarray(source))
    np.testing.assert_array_equal(label.array[..., 3].T, disc((13, 20)))


def test_pages_that_are_channels_become_files_of_one_case(tmp_path: Path) -> None:
    root, out = stack(tmp_path / "raw", pages=3, mask_pages=1), tmp_path / "out"
    report = repair(root, out, pages="channels")
    assert report.refusals == [] and not codes(out)
    names = [path.name for path in sorted((out / "images").iterdir())][:3]
    assert names == ["c0_0000.tif", "c0_0001.tif", "c0_0002.tif"]
    with Image.open(root / "images/c0.ome.tif") as source:
        source.seek(2)
        np.testing.assert_array_equal(read_volume(out / "images/c0_0002.tif").array.T, np.asarray(source))


def test_the_first_page_keeps_its_bits(tmp_path: Path) -> None:
    root, out = stack(tmp_path / "raw"), tmp_path / "out"
    repair(root, out, pages="first")
    assert not codes(out)
    with Image.open(root / "images/c0.ome.tif") as source:
        np.testing.assert_array_equal(read_volume(out / "images/c0.ome.tif").array.T, np.asarray(source))


OME = '<OME><Image><Pixels SizeC="3" SizeT="1" SizeZ="1"/></Image></OME>'
NAMED = '<Channel ID="Channel:0:0" Name="DAPI"/><Channel Name="GFP" ID="1"/><Channel ID="2" Name="{}"/>'
PLACES = '<TiffData FirstC="2" IFD="0"/><TiffData FirstC="1" IFD="1"/><TiffData FirstC="0" IFD="2"/>'


@pytest.mark.parametrize(
    ("last", "places", "names"),
    [
        ("mCherry", "", ["DAPI", "GFP", "mCherry"]),
        ("Alexa-488", PLACES, ["Alexa-488", "GFP", "DAPI"]),
        ("Alexa 488", "", None),
        ("gfp", "", None),
        ("0488", "", None),
        ("mask", "", None),
        ("../x", "", None),
        ("", "", None),
    ],
)
def test_channels_are_called_as_the_file_names_them(last: str, places: str, names: list[str] | None, tmp_path: Path) -> None:
    text = OME.replace("/></Image>", f">{NAMED.format(last)}{places}</Pixels></Image>")
    root, out = stack(tmp_path / "raw", pages=3, mask_pages=1, description=text), tmp_path / "out"
    report = repair(root, out, pages="channels")
    assert report.refusals == [] and not codes(out)
    ends = names or ["0000", "0001", "0002"]
    assert sorted(path.name for path in (out / "images").glob("c0*")) == sorted(f"c0_{end}.tif" for end in ends)
    with Image.open(root / "images/c0.ome.tif") as source:
        for page, end in enumerate(ends):
            source.seek(page)
            np.testing.assert_array_equal(read_volume(out / f"images/c0_{end}.tif").array.T, np.asarray(source))
    assert sorted(read_source(out).channels) == sorted(ends)


def test_where_files_name_channels_otherwise_they_have_numbers(tmp_path: Path) -> None:
    """Cases would have other channels each."""
    root = stack(tmp_path / "raw", pages=3, mask_pages=1, description=OME.replace("/><", f">{NAMED.format('A')}</Pixels><", 1))
    grey = [np.zeros(SHAPE, np.uint16) + page for page in range(3)]
    saved(root / "images/c0.ome.tif", grey)
    repair(root, tmp_path / "out", pages="channels")
    assert read_source(tmp_path / "out").channels == ("0000", "0001", "0002")


IMAGEJ = "ImageJ=1.53t\nimages=12\nchannels=3\nslices=4\n"


@pytest.mark.parametrize(
    ("text", "pages", "said"),
    [(OME, "slices", "3 channels; expected slices"), (IMAGEJ, "slices", "3 channels"), (IMAGEJ, "channels", "4 slices"),
     (OME, "channels", "")],
)  # fmt: skip
def test_a_statement_is_held_to_what_the_file_says(text: str, pages: str, said: str, tmp_path: Path) -> None:
    root = stack(tmp_path / "raw", pages=3, mask_pages=1, description=text)
    report = repair(root, tmp_path / "out", pages=pages, voxel_size=(1, 1, 1) if pages == "slices" else None)
    whys = [entry.why for entry in report.refusals if "images" in entry.source]
    assert (not whys) if not said else (len(whys) == 4 and said in whys[0]), whys


def four_axes(root: Path, channels: int = 3) -> Path:
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    affine = np.array([[0, -2, 0, 5], [1, 0, 0, 7], [0, 0, 3, -4], [0, 0, 0, 1.0]])
    for index in range(3):
        values = np.random.default_rng(index).integers(-500, 3000, (8, 9, 10, channels)).astype(np.int16)
        image = nib.Nifti1Image(values, affine)
        image.header["descrip"] = b"kept"
        nib.save(image, root / f"images/c{index}.nii.gz")
        mask = np.zeros((8, 9, 10), np.uint8)
        mask[2:5, 2:5, 2:5] = 1
        nib.save(nib.Nifti1Image(mask, affine), root / f"labels/c{index}.nii.gz")
    return root


def test_volumes_that_are_channels_become_files_in_place(tmp_path: Path) -> None:
    root, out = four_axes(tmp_path / "raw"), tmp_path / "out"
    from benchmarks.reliability.tiny import edit_header

    edit_header(root / "images/c0.nii.gz", scl_slope=0.25, scl_inter=-3)
    (finding, *_) = (finding for finding in check(root) if finding.code == "D109")
    assert "repair FOLDER --output OUT --pages channels" in finding.remedy
    report = repair(root, out, pages="channels")
    assert report.refusals == [] and not codes(out), "the missing qform is filled in, in each copy"
    source = nib.load(root / "images/c0.nii.gz")
    for channel in range(3):
        copy = nib.load(out / f"images/c0_{channel:04}.nii.gz")
        np.testing.assert_array_equal(copy.get_fdata(), source.get_fdata()[..., channel])
        np.testing.assert_array_equal(copy.affine, source.affine)
        assert copy.header["descrip"].item() == b"kept" and copy.get_data_dtype() == np.int16
    assert {entry.copy for entry in report.repairs if "c0" in entry.copy and "images" in entry.source} == {
        f"c0_{channel:04}.nii.gz" for channel in range(3)
    }


def test_the_first_volume_is_kept_alone_and_others_are_no_slices(tmp_path: Path) -> None:
    root = four_axes(tmp_path / "raw")
    repair(root, tmp_path / "first", pages="first")
    first = read_volume(tmp_path / "first/images/c1.nii.gz").array
    np.testing.assert_array_equal(first, read_volume(root / "images/c1.nii.gz").array[..., 0])
    report = repair(root, tmp_path / "slices", pages="slices", voxel_size=(1, 1, 1))
    assert "its fourth axis holds volumes" in report.refusals[0].why


@pytest.mark.parametrize(
    ("options", "why"),
    [({"pages": "frames"}, "expected one of slices, channels, first"), ({"pages": "slices"}, "--voxel-size"),
     ({"pages": "first", "voxel_size": "1,1,1"}, "it is for pages that are slices"),
     ({"pages": "slices", "voxel_size": "1,1"}, "expected three lengths"),
     ({"pages": "slices", "voxel_size": "1,0,1"}, "expected three lengths"),
     ({"pages": "slices", "voxel_size": "a,b,c"}, "expected three lengths")],
)  # fmt: skip
def test_a_wrong_statement_is_refused_and_nothing_written(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        repair(stack(tmp_path / "raw"), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_picture_of_microscopy_is_called_like_its_mask(tmp_path: Path) -> None:
    assert stem(Path("a/f01.ome.tif")) == stem(Path("f01.OME.TIFF")) == "f01" and stem(Path("f01.ome.png")) == "f01.ome"


def test_images_alone_are_repaired_for_a_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    alone = (polyps(tmp_path / "raw") / "images").rename(tmp_path / "scans")
    done = CliRunner().invoke(app, ["repair", "scans", "--output", "out", "--pictures"])
    assert done.exit_code == 0, done.output
    assert "Next, with a model for MODEL: monai-hybrid predict out --model MODEL --output masks" in done.output
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".jpg"] * 3 + [".json"] + [".png"] * 2
    for path in (tmp_path / "out").glob("*.*g"):
        read_image(path, RGB)
    (alone / "labels").mkdir()
    refused = CliRunner().invoke(app, ["repair", "scans", "--output", "more", "--pictures"])
    assert refused.exit_code in (2, 3) and not (tmp_path / "more").exists(), "a data set whose masks are missing"


def test_images_alone_are_checked_and_a_wrong_word_of_theirs_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for seed, name in enumerate("ab"):
        colours(disc((15, 20)), seed).save(tmp_path / f"scans/{name}.png")
    seen = checked(tmp_path / "scans")
    assert not seen.findings and not seen.labelled
    told = next_line(tmp_path / "scans", seen.findings, seen.labelled)
    assert f"monai-hybrid predict {tmp_path}/scans --model" in told
    assert told.splitlines()[-1].startswith(
        f"To train on them, put masks that are called like the images into {tmp_path}/scans/labels;"
    )
    (tmp_path / "scans/b.png").write_bytes(b"torn")
    assert [finding.level for finding in check(tmp_path / "scans")] == ["error"]
    for words in ({"labels_dir": "nowhere"}, {"series": "2"}, {"label_names": "1=LV"}):
        with pytest.raises((ConfigError, DataError)):
            check(tmp_path / "scans", **words)
    (tmp_path / "scans/dataset.json").write_text("{")
    assert [finding.code for finding in check(tmp_path / "scans")] == ["D501"], "no folder without masks, but a damaged one"


def test_a_large_picture_is_written_without_a_warning_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns of large pictures, which whole slides are."""
    (tmp_path / "scans").mkdir()
    values = np.random.default_rng(0).integers(0, 255, (9, 9, 4), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "scans/a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        assert len(repair(tmp_path / "scans", tmp_path / "out", pictures=True).repairs) == 1
    assert Image.open(tmp_path / "out/a.png").mode == "RGB"
