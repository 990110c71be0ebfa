"""Pictures are read exactly as stored, turned upright, or refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture_samples import colours, disc, png_bytes
from PIL import Image, ImageOps

from data_prep.colour import as_image, as_label, parse_colour
from data_prep.errors import ConfigError, EnvironmentFault
from data_prep.pictures import png_mask, turned
from data_prep.reading import read_volume
from data_prep.roles import read_image, read_label
from data_prep.volume import ReadError

RGB = ("red", "green", "blue")


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".gif", ".PNG"])
def test_eight_bits_of_colour_are_kept(tmp_path: Path, suffix: str) -> None:
    rgb = colours()
    Image.fromarray(rgb).save(tmp_path / f"a{suffix}")
    volume = read_image(tmp_path / f"a{suffix}", RGB)
    assert volume.shape == (20, 12) and volume.channels == 3 and volume.spatial_dims == 2 and volume.affine is None
    np.testing.assert_array_equal(volume.array, rgb.swapaxes(0, 1))
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}", ("blue", "red")).channel(0), rgb[..., 2].T)


@pytest.mark.parametrize("values", [(0, 255), (255, 0), (0, 1, 2), tuple(range(256))])
def test_a_gif_of_grey_values_keeps_them_whatever_their_numbers_are(values: tuple[int, ...], tmp_path: Path) -> None:
    """An encoder numbers colours as it likes: the masks of one data set may have other numbers for the same grey."""
    grey = np.resize(np.array(values, np.uint8), (17, 31))
    Image.fromarray(grey).save(tmp_path / "a.gif")
    np.testing.assert_array_equal(read_label(tmp_path / "a.gif").array.squeeze(), grey.T)
    turned_table = Image.fromarray((grey == grey.max()).astype(np.uint8)).convert("P")
    turned_table.putpalette([9, 9, 9, 7, 7, 7] + [0, 0, 0] * 254)
    turned_table.save(tmp_path / "b.gif", optimize=False)
    assert set(np.unique(read_label(tmp_path / "b.gif").array)) == {7, 9}


def test_a_gif_that_moves_or_shows_through_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((9, 8), value, np.uint8)) for value in (0, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ReadError, match="holds 2 pictures"):
        read_volume(tmp_path / "a.gif")
    shown = Image.fromarray(colours()).quantize(16)
    shown.save(tmp_path / "b.gif", transparency=int(np.asarray(shown)[0, 0]))
    with pytest.raises(ReadError, match="pixels are transparent"):
        read_volume(tmp_path / "b.gif")


def test_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / "a.JPG")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.JPG", RGB).array, np.asarray(Image.open(tmp_path / "a.JPG")).swapaxes(0, 1)
    )


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_of_colour_are_kept(tmp_path: Path, name: str) -> None:
    """Pillow gives the upper 8 bits of such files without a word."""
    sitk = pytest.importorskip("SimpleITK")
    rgb = colours(kind=np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(rgb, isVector=True), str(tmp_path / name))
    np.testing.assert_array_equal(read_image(tmp_path / name, RGB).array, rgb.swapaxes(0, 1))
    np.testing.assert_array_equal(read_image(tmp_path / name, ("green",)).array, rgb[..., 1].T)


def test_sixteen_bits_need_simple_itk_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    path = put(tmp_path / "a.png", png_bytes(colours(kind=np.uint16), 2))
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(EnvironmentFault, match=r"colours of 16 bits .*pip install"):
        read_volume(path)


def test_grey_values_of_sixteen_bits_are_kept(tmp_path: Path) -> None:
    grey = colours(kind=np.uint16)[..., 0]
    np.testing.assert_array_equal(read_image(put(tmp_path / "a.png", png_bytes(grey, 0))).array, grey.T)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_an_opaque_alpha_is_left_out_and_a_transparent_one_refused(tmp_path: Path, kind: type) -> None:
    pytest.importorskip("SimpleITK")
    rgb = colours(kind=kind)
    alpha = np.full((*rgb.shape[:2], 1), np.iinfo(kind).max, kind)
    path = put(tmp_path / "a.png", png_bytes(np.concatenate([rgb, alpha], -1), 6))
    np.testing.assert_array_equal(read_image(path, RGB).array, rgb.swapaxes(0, 1))
    alpha[2, 3:5] = 7
    put(path, png_bytes(np.concatenate([rgb, alpha], -1), 6))
    with pytest.raises(ReadError, match="2 of its 240 pixels are transparent") as caught:
        read_image(path, RGB)
    assert caught.value.kind == "transparent"


def test_a_transparent_colour_counts_only_where_it_is_seen(tmp_path: Path) -> None:
    rgb = colours() // 2
    for key, fits in (((255, 255, 255), True), (tuple(int(v) for v in rgb[1, 1]), False)):
        Image.fromarray(rgb).save(tmp_path / "a.png", transparency=key)
        if fits:
            assert read_image(tmp_path / "a.png", RGB).channels == 3
        else:
            with pytest.raises(ReadError, match="1 of its 240 pixels are transparent"):
                read_image(tmp_path / "a.png", RGB)


def test_grey_of_sixteen_bits_with_alpha_is_refused_by_name(tmp_path: Path) -> None:
    both = np.full((4, 5, 2), 65535, np.uint16)
    with pytest.raises(ReadError, match="grey values of 16 bits with an alpha channel"):
        read_volume(put(tmp_path / "a.png", png_bytes(both, 4)))


def test_a_colour_table_gives_colours_to_an_image_and_indices_to_a_label(tmp_path: Path) -> None:
    index = disc() * 3
    picture = Image.fromarray(index, mode="P") if False else Image.fromarray(index).convert("L")
    picture = picture.copy()
    picture.putpalette([v for i in range(256) for v in (i, 255 - i, 7)])
    picture.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").array, index.T)  # whatever the table hides
    with pytest.raises(ReadError, match="pixels are transparent"):
        read_image(tmp_path / "a.png", RGB)
    picture.save(tmp_path / "b.png")
    seen = read_image(tmp_path / "b.png", RGB)
    np.testing.assert_array_equal(seen.channel(0), index.T)
    np.testing.assert_array_equal(seen.channel(1), 255 - index.T)
    assert seen.pixel_type == "uint8"


@pytest.mark.parametrize("code", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path: Path, code: int) -> None:
    rgb = colours()
    for name in ("a.png", "a.tif"):
        picture = Image.fromarray(rgb)
        exif = picture.getexif()
        exif[0x0112] = code
        picture.save(tmp_path / name, exif=exif)
        upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / name)))
        np.testing.assert_array_equal(read_image(tmp_path / name, RGB).array, upright.swapaxes(0, 1))
    np.testing.assert_array_equal(turned(rgb, code), upright)


def test_several_pages_are_refused_by_name(tmp_path: Path) -> None:
    pages = [Image.fromarray(colours(seed=i)) for i in range(3)]
    for name in ("a.tif", "a.png"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        with pytest.raises(ReadError, match=r"it holds 3 pictures \(pages or frames\); expected one a file"):
            read_volume(tmp_path / name)
        pages[0].save(tmp_path / name)
        assert read_image(tmp_path / name, RGB).channels == 3


@pytest.mark.parametrize(("mode", "name"), [("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("LAB", "a.tif")])
def test_other_colour_spaces_are_refused_by_name(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (6, 5)).save(tmp_path / name)
    with pytest.raises(ReadError, match=f"its colours are in .*{mode}") as caught:
        read_volume(tmp_path / name)
    assert caught.value.kind == "colour_space"


def test_the_name_and_the_content_must_agree(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    with pytest.raises(ReadError, match="it is not a PNG picture; its content is JPEG"):
        read_volume(tmp_path / "a.png")
    with pytest.raises(ReadError, match="it is not a TIFF picture"):
        read_volume(put(tmp_path / "a.tif", b"no picture at all"))


def test_grey_and_colour_stand_for_each_other_only_where_nothing_is_lost(tmp_path: Path) -> None:
    grey = colours()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "equal.png")
    Image.fromarray(colours()).save(tmp_path / "colour.png")
    for name in ("grey.png", "equal.png"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array, grey.T)
        np.testing.assert_array_equal(read_image(tmp_path / name, ("grey",)).array, grey.T)
        three = read_image(tmp_path / name, RGB)
        assert three.grey and all((three.channel(i) == grey.T).all() for i in range(3))
    with pytest.raises(ReadError, match="it is a colour picture; expected one grey value per pixel"):
        read_image(tmp_path / "colour.png")
    mixed = read_image(tmp_path / "colour.png", ("grey",))
    weighted = colours().astype(float) @ [0.299, 0.587, 0.114]
    np.testing.assert_array_equal(mixed.array, np.rint(weighted).astype(np.uint8).T)


def test_masks_of_three_equal_colours_are_one(tmp_path: Path) -> None:
    mask = disc(value=255)
    Image.fromarray(np.stack([mask] * 3, -1)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").array, mask.T)
    Image.fromarray(np.stack([mask, 0 * mask, mask], -1)).save(tmp_path / "a.png")
    with pytest.raises(ReadError, match=r"a mask of 2 colours, such as \(0, 0, 0\), \(255, 0, 255\); expected one number"):
        read_label(tmp_path / "a.png")


def test_volumes_pass_through(tmp_path: Path) -> None:
    Image.fromarray(disc()).save(tmp_path / "a.png")
    volume = read_volume(tmp_path / "a.png")
    other = type(volume)(tmp_path / "a.nii", np.zeros((3, 4, 5)), np.eye(4), "uint8", "")
    assert as_image(other, RGB) is other and as_label(other) is other


@pytest.mark.parametrize("given", ["violet", "red,red", "grey,red", "", "1"])
def test_unknown_colours_are_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"--channels .*expected some of red, green, blue, each once, or grey alone"):
        parse_colour(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("green", ("green",)),
        ("Red, green", ("red", "green")),
        (("red", "blue"), ("red", "blue")),
        ("gray", ("grey",)),
        (None, None),
    ],
)
def test_colours_by_name(given: object, expected: object) -> None:
    assert parse_colour(given) == expected


@pytest.mark.parametrize(("high", "kind"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_png_holds_the_values(tmp_path: Path, high: int, kind: type) -> None:
    mask = np.array([[0, 1, high]], np.int64)
    png_mask(mask).save(tmp_path / "a.png")
    found = read_label(tmp_path / "a.png").array
    assert found.dtype == kind and found.tolist() == mask.tolist()


@pytest.mark.parametrize("value", [-1, 65536])
def test_png_refuses_what_it_cannot_hold(value: int) -> None:
    with pytest.raises(ValueError, match="PNG holds 0 to 65535"):
        png_mask(np.array([[0, value]]))
