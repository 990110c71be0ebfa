"""Pictures: their shape, what they show, how they are written, and that no display is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.colors
import numpy as np
import pytest
from PIL import Image

from benchmarks.plots import dice_bars_figure, loss_by_timestep_figure
from monai_hybrid.reporting import figures
from monai_hybrid.reporting.figures import (
    LABEL_COLOURS,
    Panel,
    contact_sheet,
    middle_slices,
    shown_slices,
)

DICE = {
    "scratch": {"anterior": [0.5, 0.6, 0.7], "posterior": [0.4, 0.5, 0.9]},
    "hybrid": {"anterior": [0.8, 0.85, 0.9], "posterior": [0.7, 0.75, 0.8]},
}
EDGES = [0.0, 250.0, 500.0, 750.0, 1000.0]
LOSS = {"hybrid": [0.1, 0.2, 0.3, 0.5], "supervised": [0.08, 0.25, 0.4, 0.6]}


def grey(rows: int = 40, columns: int = 30, value: float = -0.4) -> np.ndarray:
    return np.full((rows, columns), value, np.float32)


def square(label: int = 1) -> np.ndarray:
    mask = np.zeros((40, 30), int)
    mask[10:30, 8:22] = label
    return mask


def rgb(label: int) -> np.ndarray:
    return np.array(matplotlib.colors.to_rgb(LABEL_COLOURS[label - 1])) * 255


def colourful(picture: np.ndarray) -> np.ndarray:
    """(H, W) distance of the channels from one another; 0 in grey."""
    return np.ptp(picture.astype(int), axis=2)


def is_picture(picture: np.ndarray) -> bool:
    return picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.std() > 0


def test_a_masked_panel_is_coloured_inside_and_contoured_and_grey_outside() -> None:
    bare = contact_sheet([[Panel(grey())]])
    masked = contact_sheet([[Panel(grey(), square())]], label_names={0: "background"})  # nothing for the legend
    assert is_picture(masked) and masked.shape == bare.shape
    height, width, _ = masked.shape
    inside, outside = masked[height // 2, width // 2], masked[height // 2, width // 8]
    assert np.allclose(inside, 0.7 * bare[height // 2, width // 2] + 0.3 * rgb(1), atol=3)
    assert np.array_equal(outside, bare[height // 2, width // 8]) and np.ptp(outside.astype(int)) <= 1
    assert (np.abs(masked - rgb(1)).max(axis=2) < 12).sum() > 500  # the contour: the colour in full
    assert np.array_equal(contact_sheet([[Panel(grey(), 0 * square())]]), bare)  # label 0 is transparent


def test_labels_keep_their_colours_and_the_legend_names_them_once() -> None:
    mask = square(1)
    mask[10:30, 15:22] = 2
    row = [Panel(grey(), mask), Panel(grey(), mask), None]
    one = contact_sheet([row], label_names={1: "anterior", 2: "posterior"})
    for label in (1, 2):
        assert (np.abs(one - rgb(label)).max(axis=2) < 12).sum() > 500
    two_rows = contact_sheet([row, row], label_names={1: "anterior", 2: "posterior"})
    bottom = one.shape[0] // 8
    assert colourful(one[-bottom:]).max() > 100 and np.array_equal(one[-bottom:], two_rows[-bottom:])
    assert not np.array_equal(one, contact_sheet([row]))  # without names: "label 1", "label 2"


def test_the_contour_lies_on_the_border_of_the_mask() -> None:
    """Rows 10..29 of 40 are in: the outermost coloured pixels are within half a pixel of 0.25 and 0.75 of the panel."""
    picture = contact_sheet([[Panel(grey(), square())]], label_names={0: ""})
    margin = round(0.12 * figures.DPI)
    panel = colourful(picture)[margin:-margin, margin:-margin]
    rows, columns = (np.flatnonzero(panel.max(axis=k) > 60) for k in (1, 0))
    assert abs(rows[0] / panel.shape[0] - 10 / 40) < 0.5 / 40 and abs(rows[-1] / panel.shape[0] - 30 / 40) < 0.5 / 40
    assert abs(columns[0] / panel.shape[1] - 8 / 30) < 0.5 / 30 and abs(columns[-1] / panel.shape[1] - 22 / 30) < 0.5 / 30


def test_images_are_shown_from_black_at_minus_1_to_white_at_1_and_clipped() -> None:
    seen = []
    for value in (-3.0, -1.0, 0.0, 1.0, 3.0):
        picture = contact_sheet([[Panel(grey(value=value))]])
        seen.append(int(picture[picture.shape[0] // 2, picture.shape[1] // 2, 0]))
    assert seen[:2] == [0, 0] and seen[3:] == [255, 255] and abs(seen[2] - 128) <= 1


def test_noise_can_be_shown_pixel_by_pixel() -> None:
    board = (np.indices((6, 6)).sum(0) % 2) * 2.0 - 1
    squares, smooth = (contact_sheet([[Panel(board, smooth=s)]]) for s in (False, True))
    margin = round(0.12 * figures.DPI)
    black_and_white = [
        np.isin(p[margin + 2 : -margin - 2, margin + 2 : -margin - 2, 0], (0, 255)).mean() for p in (squares, smooth)
    ]
    assert black_and_white[0] == 1 and black_and_white[1] < 0.9


def test_titles_notes_and_more_panels_change_the_sheet() -> None:
    bare = contact_sheet([[Panel(grey()), Panel(grey())]])
    titled = contact_sheet([[Panel(grey()), Panel(grey())]], ["image", "mask"], ["case 1"])
    assert titled.shape[0] > bare.shape[0] and titled.shape[1] > bare.shape[1]
    noted = contact_sheet([[Panel(grey(), note="0.91"), Panel(grey())]])
    assert noted.shape == bare.shape and not np.array_equal(noted, bare)
    assert contact_sheet([[Panel(grey(), aspect=1.5)]]).shape[0] > contact_sheet([[Panel(grey())]]).shape[0]


def test_a_name_longer_than_the_panel_widens_the_sheet() -> None:
    narrow = contact_sheet([[Panel(grey(), square())]])
    assert contact_sheet([[Panel(grey(), square())]], label_names={1: "a" * 60}).shape[1] > narrow.shape[1]


def test_sheets_that_make_no_sense_are_refused() -> None:
    panel = Panel(grey())
    with pytest.raises(ValueError, match="at least one panel"):
        contact_sheet([[None]])
    with pytest.raises(ValueError, match=r"each row needs 2 panels .* got rows of \[2, 1\]"):
        contact_sheet([[panel, panel], [panel]])
    with pytest.raises(ValueError, match="1 column titles for 2 columns"):
        contact_sheet([[panel, panel]], ["one"])
    with pytest.raises(ValueError, match="2 row titles for 1 rows"):
        contact_sheet([[panel]], row_titles=["a", "b"])
    assert is_picture(contact_sheet([[panel, panel], [panel, None]], ["one", "two"], ["a", "b"]))


def test_a_panel_is_two_dimensional_and_its_mask_fits() -> None:
    with pytest.raises(ValueError, match=r"2-D image, got shape \(1, 4, 4\)"):
        Panel(np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match=r"mask \(4, 5\) and image \(4, 4\)"):
        Panel(np.zeros((4, 4)), np.zeros((4, 5)))
    assert Panel(np.zeros((4, 4)), np.eye(4, dtype=int) * 3).labels == [3]


def test_a_volume_is_cut_where_the_foreground_is_and_turned_radiologically() -> None:
    volume, mask = np.zeros((5, 6, 7)), np.zeros((5, 6, 7), int)
    volume[0, 5, 2] = 1.0  # RAS: low x is the patient's left, high y is anterior
    mask[1:4, 1:4, 2], mask[2, 2, 4] = 2, 1
    image, labels = middle_slices(volume, mask)
    assert labels is not None and image.shape == labels.shape == (6, 5)
    assert image[0, -1] == 1 and image.sum() == 1  # anterior up, the patient's left on the viewer's right
    assert (labels == 2).sum() == 9
    assert middle_slices(volume, 0 * mask)[0].sum() == 0  # no foreground: the middle slice, z = 3
    volume[..., 3] = 4
    assert (middle_slices(volume)[0] == 4).all() and middle_slices(volume)[1] is None


def test_a_png_is_shown_as_it_is_in_the_file(tmp_path: Path) -> None:
    from monai.transforms import LoadImage

    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    loaded = np.asarray(LoadImage(image_only=True)(tmp_path / "scan.png"))
    assert loaded.shape == (4, 3)
    image, labels = middle_slices(loaded, loaded > 5)
    assert labels is not None and np.array_equal(image, pixels) and np.array_equal(labels, pixels > 5)


def test_volumes_that_cannot_be_cut_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(X, Y, Z\) or \(X, Y\), got shape \(1, 2, 3, 4\)"):
        middle_slices(np.zeros((1, 2, 3, 4)))
    with pytest.raises(ValueError, match=r"mask \(2, 3\) and volume \(3, 2\)"):
        middle_slices(np.zeros((3, 2)), np.zeros((2, 3)))


def test_loss_and_dice_are_drawn() -> None:
    assert is_picture(loss_by_timestep_figure(EDGES, LOSS))
    assert is_picture(loss_by_timestep_figure(EDGES, {"hybrid": [0.1, float("nan"), 0.3, 0.5]}))
    assert is_picture(dice_bars_figure(DICE))
    assert is_picture(dice_bars_figure({"hybrid": {"a": [0.5]}, "scratch": {"b": []}}))  # one case; an arm without a class
    assert dice_bars_figure({a: {str(k): [0.5] for k in range(6)} for a in "xyz"}).shape[1] > dice_bars_figure(DICE).shape[1]


def test_undefined_scores_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    said = []
    for scores in ([0.5, 0.6, float("nan")], [0.5, 0.6]):
        with matplotlib.rc_context({"svg.fonttype": "none"}):  # words as words, not as curves
            dice_bars_figure({"hybrid": {"a": scores}}, tmp_path / "a.svg")
        said.append((tmp_path / "a.svg").read_text())
    assert ">1 undefined value left out<" in said[0] and "undefined" not in said[1]
    assert all(">0.55<" in text for text in said), "the median is that of the others"


def test_the_same_numbers_give_the_same_picture() -> None:
    assert np.array_equal(dice_bars_figure(DICE), dice_bars_figure(DICE))
    assert np.array_equal(loss_by_timestep_figure(EDGES, LOSS), loss_by_timestep_figure(EDGES, LOSS))
    assert not np.array_equal(dice_bars_figure(DICE), dice_bars_figure({"scratch": DICE["scratch"]}))


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two increasing numbers"):
        loss_by_timestep_figure([0, 5, 5], {"hybrid": [1, 2]})
    with pytest.raises(ValueError, match="nothing to draw"):
        loss_by_timestep_figure(EDGES, {})
    with pytest.raises(ValueError, match="run 'hybrid' has 3 values for 4 bins"):
        loss_by_timestep_figure(EDGES, {"hybrid": [1, 2, 3]})
    with pytest.raises(ValueError, match="no finite Dice"):
        dice_bars_figure({"hybrid": {"a": [float("nan")]}})
    with pytest.raises(ValueError, match=r"Dice lies in \[0, 1\], got 0.5 to 87"):
        dice_bars_figure({"hybrid": {"a": [0.5, 87]}})
    assert is_picture(dice_bars_figure({"hybrid": {"a": [0.0, 1.0]}}))


def test_the_file_holds_the_picture_that_was_returned(tmp_path: Path) -> None:
    for name, draw in {
        "sheet.png": lambda p: contact_sheet([[Panel(grey(), square())]], path=p),
        "loss.png": lambda p: loss_by_timestep_figure(EDGES, LOSS, p),
        "dice.png": lambda p: dice_bars_figure(DICE, str(p)),
    }.items():
        picture = draw(tmp_path / name)
        assert np.array_equal(np.asarray(Image.open(tmp_path / name).convert("RGB")), picture), name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dice.png", "loss.png", "sheet.png"]


def test_a_picture_is_put_in_place_not_written_over(tmp_path: Path) -> None:
    path, second_name = tmp_path / "loss.png", tmp_path / "old.png"
    path.write_bytes(b"old")
    os.link(path, second_name)
    loss_by_timestep_figure(EDGES, LOSS, path)
    assert second_name.read_bytes() == b"old" and path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("suffix", "magic"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("PNG", b"\x89PNG")])
def test_other_formats(tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"loss.{suffix}"
    loss_by_timestep_figure(EDGES, LOSS, path)
    assert path.read_bytes().startswith(magic)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png, \.pdf or \.svg, got 'loss\.bmp'"):
        loss_by_timestep_figure(EDGES, LOSS, tmp_path / "loss.bmp")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_scrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "loss.png"
    path.write_bytes(b"old")

    def fail(target: Path, *_: object, **__: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("matplotlib.image.imsave", fail)
    with pytest.raises(OSError, match="no space"):
        loss_by_timestep_figure(EDGES, LOSS, path)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["loss.png"]


def test_no_pyplot_no_display_and_matplotlib_only_when_drawing(tmp_path: Path) -> None:
    """Even where the settings ask for a window that cannot be opened."""
    code = """
import sys
import numpy as np
from benchmarks.plots import dice_bars_figure, loss_by_timestep_figure
from monai_hybrid.reporting.figures import Panel, contact_sheet
assert not any(name.startswith("matplotlib") for name in sys.modules)
contact_sheet([[Panel(np.zeros((8, 8)), np.eye(8, dtype=int), note="n")]], ["c"], ["r"], "a.png", {1: "one"})
loss_by_timestep_figure([0, 1], {"run": [1.0]}, "b.pdf")
dice_bars_figure({"arm": {"class": [0.5]}}, "c.svg")
assert "matplotlib.pyplot" not in sys.modules
"""
    environment = {**os.environ, "MPLBACKEND": "TkAgg", "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("DISPLAY", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.pdf", "c.svg"]


def test_colours_are_drawn_in_colour(tmp_path: Path) -> None:
    red = np.full((3, 8, 6), -1.0)
    red[0] = 1.0
    image, mask = shown_slices(red, np.zeros((8, 6), int), coloured=True)
    assert image.shape == (6, 8, 3) and mask is not None and mask.shape == (6, 8)
    sheet = contact_sheet([[Panel(image, mask, smooth=False)]], path=tmp_path / "a.png")
    middle = sheet[sheet.shape[0] // 2, sheet.shape[1] // 2]
    assert middle[0] > 240 and middle[1] < 15 and middle[2] < 15
    assert shown_slices(red)[0].shape == (6, 8)  # three channels that are no colours: the first
    with pytest.raises(ValueError, match="a panel shows a 2-D image"):
        Panel(np.zeros((4, 5, 2)))
