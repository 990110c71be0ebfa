"""The page in a real browser: a stroke on the screen becomes these voxels of the file."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from test_server import serving
from view_samples import SHAPE, affines, mask_like, pictures, predicted, scan, volumes, write_volume

from monai_hybrid.viewing.server import PageServer

playwright = pytest.importorskip(
    "playwright.sync_api", reason='the driver of browsers is not there: pip install -e ".[browser]"'
)
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SETTLE = 400  # ms until the viewer has drawn the last move of the mouse
HARMLESS = ("GPU stall", "GL Driver", "409 (Conflict)")  # what the browser itself tells of, in answers that are expected
WAIT = 120_000  # ms; a software renderer on a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    images = volumes(tmp_path / "images")
    images["<script>alert(1)<"] = write_volume(tmp_path / "images/s.nii.gz", scan(SHAPE), affines()["ras"])
    flag = {"<script>alert(1)<": "<img src=x onerror=alert(1)>"}
    running = serving(predicted(tmp_path / "masks", images, flag=flag), tmp_path / "masks/corrected")
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def page(browser: Any, server: PageServer) -> Iterator[Any]:
    opened = browser.new_page(viewport={"width": 1000, "height": 800})
    opened.set_default_timeout(WAIT)
    opened.said = []
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("console", lambda line: opened.said.append(line.text) if line.type in ("error", "warning") else None)
    opened.on("dialog", lambda dialog: (opened.said.append(dialog.message), dialog.accept()))
    opened.on("request", lambda request: opened.said.append(request.url) if foreign(request.url, server) else None)
    opened.goto(server.address)
    opened.wait_for_selector("body[data-ready=yes]")
    yield opened
    said = [line for line in opened.said if not any(word in line for word in HARMLESS)]
    opened.close()
    assert not said, said


def foreign(address: str, server: PageServer) -> bool:
    return not address.startswith((server.address, "data:", "blob:"))


def chosen(page: Any, case: str) -> None:
    page.locator("#cases .name", has_text=case).first.click()
    page.wait_for_selector("body[data-ready=yes]")
    assert page.text_content("#name") == case


def on_screen(page: Any, voxel: np.ndarray, affine: np.ndarray) -> tuple[float, float]:
    """Where a voxel of the file is seen in the axial plane: by its place in mm, as nibabel gives it."""
    place = nib.affines.apply_affine(affine, voxel).tolist()
    x, y = page.evaluate(
        """(mm) => {
            const { nv } = window.page, at = nv.mm2frac(mm, 0, true);
            nv.scene.crosshairPos = at;
            nv.drawScene();
            const [x, y] = nv.frac2canvasPos(at), box = nv.canvas.getBoundingClientRect(), dpr = nv.uiData.dpr || 1;
            return [box.left + x / dpr, box.top + y / dpr];
        }""",
        place,
    )
    return float(x), float(y)


def stroke(page: Any, first: np.ndarray, last: np.ndarray, affine: np.ndarray) -> None:
    """Drag from one voxel to another of the same axial slice."""
    page.select_option("#view", "axial")
    page.locator("#planes").scroll_into_view_if_needed()
    start, end = on_screen(page, first, affine), on_screen(page, last, affine)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*((a + b) / 2 for a, b in zip(start, end, strict=True)), steps=4)
    page.mouse.move(*end, steps=4)
    page.wait_for_timeout(SETTLE)
    page.mouse.up()


def line_of(affine: np.ndarray) -> np.ndarray:
    """Four voxels outside the mask, along the file's axis that runs from left to right."""
    axis = int(np.flatnonzero(nib.io_orientation(affine)[:, 0] == 0)[0])
    voxels = np.full((4, 3), 3)
    voxels[:, axis] = np.arange(2, 6)
    return voxels


def saved(page: Any) -> str:
    page.click("#save")
    page.wait_for_selector("#told:has-text('Saved:'), #confirm:not([hidden])")
    return str(page.text_content("#told"))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["ras", "lps", "oblique"])
def test_a_stroke_is_read_back_where_it_was_drawn(case: str, page: Any, tmp_path: Path) -> None:
    affine, voxels = affines()[case], line_of(affines()[case])
    chosen(page, case)
    page.fill("#width", "1")
    page.click("[data-index='2']")
    page.click("[data-tool=pen]")
    stroke(page, voxels[0], voxels[-1], affine)
    assert "Saved:" in saved(page)
    before = np.asarray(nib.load(tmp_path / f"masks/{case}_seg.nii.gz").dataobj)
    label = nib.load(tmp_path / f"masks/corrected/labels/{case}.nii.gz")
    after = np.asarray(label.dataobj)
    assert np.argwhere(after != before).tolist() == sorted(voxels.tolist())
    assert set(after[tuple(voxels.T)]) == {7} and label.get_data_dtype() == np.uint8
    assert label.affine.tobytes() == nib.load(tmp_path / f"images/{case}.nii.gz").affine.tobytes()
    assert "monai-hybrid adapt --data" in page.text_content("#adapt")


@pytest.mark.slow
def test_a_second_label_is_refused_until_it_is_confirmed(page: Any, tmp_path: Path) -> None:
    affine, label = affines()["ras"], tmp_path / "masks/corrected/labels/ras.nii.gz"
    chosen(page, "ras")
    page.fill("#width", "1")
    page.keyboard.press("Tab")
    page.click("[data-tool=pen]")
    stroke(page, np.array([2, 3, 3]), np.array([5, 3, 3]), affine)
    saved(page)
    before = label.read_bytes()
    stroke(page, np.array([2, 12, 3]), np.array([5, 12, 3]), affine)
    assert "Saved" not in saved(page) and page.is_visible("#confirm") and label.read_bytes() == before
    page.click("#keep")
    assert label.read_bytes() == before and not page.is_visible("#confirm")
    saved(page)
    page.click("#replace")
    page.wait_for_selector("#told:has-text('Saved:')")
    after = np.asarray(nib.load(label).dataobj)
    assert (after[2:6, 12, 3] == 3).all() and (after[2:6, 3, 3] == 3).all()


@pytest.mark.slow
def test_fill_erase_and_undo(page: Any) -> None:
    def count(index: int) -> int:
        return int(page.evaluate("(index) => window.page.nv.drawBitmap.filter((one) => one === index).length", index))

    affine = affines()["ras"]
    chosen(page, "ras")
    before = count(1), count(2)
    page.fill("#width", "1")
    page.click("[data-index='1']")
    page.click("[data-tool=pen]")
    stroke(page, np.array([2, 2, 2]), np.array([5, 2, 2]), affine)
    assert (count(1), count(2)) == (before[0] + 4, before[1])
    page.keyboard.press("z")
    assert (count(1), count(2)) == before
    page.keyboard.press("e")
    stroke(page, np.array([6, 9, 6]), np.array([9, 9, 6]), affine)
    assert sum(before) - count(1) - count(2) == int((mask_like(SHAPE)[6:10, 9, 6] > 0).sum()) > 2
    page.click("#again")
    page.wait_for_timeout(500)
    assert (count(1), count(2)) == before
    page.click("[data-tool=fill]")
    corners = [np.array(corner) for corner in ([2, 2, 1], [6, 2, 1], [6, 6, 1], [2, 6, 1], [2, 2, 1])]
    places = [on_screen(page, corner, affine) for corner in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.wait_for_timeout(SETTLE)
    page.mouse.up()
    assert count(1) - before[0] == 25


def test_names_stay_text_and_keys_go_through_the_cases(page: Any) -> None:
    assert page.text_content("#name") == "<script>alert(1)<"  # flagged, so it is the first
    assert page.text_content("#flag") == "<img src=x onerror=alert(1)>"
    assert page.locator("#cases img[src=x], #flag img").count() == 0
    names = page.locator("#cases .name").all_text_contents()
    page.keyboard.press("n")
    page.wait_for_selector("body[data-ready=yes]")
    assert page.text_content("#name") == names[1]
    page.keyboard.press("p")
    page.wait_for_selector("body[data-ready=yes]")
    assert page.text_content("#name") == names[0]


@pytest.mark.slow
def test_a_picture_has_no_crosshair_and_its_mask_can_be_an_outline(browser: Any, tmp_path: Path) -> None:
    running = serving(predicted(tmp_path / "masks", pictures(tmp_path / "in")), tmp_path / "labels")
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.set_default_timeout(WAIT)
    opened.goto(running.address)
    opened.wait_for_selector("body[data-ready=yes]")
    chosen(opened, "colour")
    assert opened.evaluate("window.page.nv.opts.crosshairWidth") == 0
    assert opened.evaluate("window.page.nv.drawRimOpacity") == -1
    opened.keyboard.press("o")
    assert opened.input_value("#style") == "outline"
    assert opened.evaluate("[window.page.nv.drawRimOpacity, window.page.nv.drawOpacity < 0.01]") == [1, True]
    assert "Unsure over the mask: the model's mean entropy" in opened.text_content("#explained")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    opened.close()
    running.shutdown()
    running.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["corner.png", "corner.nii.gz"])
def test_a_picture_is_seen_as_other_programs_show_it(name: str, browser: Any, tmp_path: Path) -> None:
    """Bright at the top on the left: not mirrored, as a patient's axial slice is on purpose."""
    shown = np.full((30, 40), 10, np.uint8)  # rows from the top
    shown[:10, :13] = 250
    (tmp_path / "in").mkdir()
    if name.endswith(".png"):
        Image.fromarray(shown).save(tmp_path / "in" / name)
    else:
        write_volume(tmp_path / "in" / name, np.ascontiguousarray(shown[::-1].T)[..., None], np.eye(4))
    running = serving(predicted(tmp_path / "masks", {"corner": tmp_path / "in" / name}), tmp_path / "labels")
    opened = browser.new_page(viewport={"width": 900, "height": 900})
    opened.set_default_timeout(WAIT)
    opened.goto(running.address)
    opened.wait_for_selector("body[data-ready=yes]")
    opened.fill("#opacity", "0")
    opened.wait_for_timeout(SETTLE)
    seen = np.asarray(Image.open(io.BytesIO(opened.locator("#stage").screenshot())).convert("L"), float)
    rows, columns = np.nonzero(seen > 150)
    assert rows.size > 500 and rows.mean() < 0.4 * seen.shape[0] and columns.mean() < 0.45 * seen.shape[1]
    opened.close()
    running.shutdown()
    running.server_close()
