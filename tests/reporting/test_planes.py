"""The three planes of a report: what the page embeds, how large it may be, and what is refused."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from report_samples import EVIL, Page, evaluation, slices, volumes

from monai_hybrid.errors import DataError
from monai_hybrid.reporting import planes
from monai_hybrid.reporting.planes import CaseVolume, packed, read_case_volume
from monai_hybrid.reporting.report import write_report

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def embedded(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="planes-data">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def with_volumes(folder: Path) -> Path:
    slices(evaluation(folder / "eval"))
    volumes(folder / "eval", ["case_a", "case_c", "case_e"])
    return folder


def test_the_page_holds_the_volumes_the_labels_and_the_viewer(tmp_path: Path) -> None:
    html = write_report(with_volumes(tmp_path)).read_text()
    page, data = Page(html), embedded(html)
    assert [(case["name"], case["why"]) for case in data["cases"]] == [
        ("case_a", "best"), ("case_c", "median"), ("case_e", "worst, spleen missed"),
    ]  # fmt: skip
    first = data["cases"][0]
    image = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(first["image"])))
    assert image.shape == (14, 12, 10) and image.header.get_zooms() == (1, 1, 2)
    reference = np.frombuffer(gzip.decompress(base64.b64decode(first["reference"])), np.uint8).reshape(image.shape, order="F")
    assert reference[3:8, 3:8, 3:8].all() and reference.sum() == 125
    assert [(label["name"], label["colour"]) for label in data["labels"]][:2] == [
        ("background", "#000000"),
        ("liver", "#E69F00"),
    ]
    policy = next(attributes["content"] for tag, attributes in page.tags if "default-src" in attributes.get("content", ""))
    assert "'unsafe-eval'" not in policy and "http" not in policy and "'self'" not in policy
    assert "script-src 'unsafe-inline' blob:" in policy and "planes" in page.ids and "BSD 2-Clause" in page.text
    assert len(html) < 1_800_000 and "Made smaller" not in page.text


def test_a_small_page_has_slices_alone(tmp_path: Path) -> None:
    for folder, viewer in ((with_volumes(tmp_path / "a"), False), (evaluation(tmp_path / "b/eval").parent, True)):
        html = write_report(folder, viewer=viewer).read_text()
        assert "niivue" not in html and "blob:" not in html and len(html) < 200_000


def test_a_large_volume_is_made_smaller_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "CASE_BYTES", 8_000)
    evaluation(tmp_path / "eval", {"a": (0.9, 0.8)})
    volumes(tmp_path / "eval", ["a"], (40, 40, 20))
    html = write_report(tmp_path).read_text()
    assert "so that a voxel here is several of the file: a." in Page(html).text
    entry = embedded(html)["cases"][0]
    assert np.prod(entry["shape"]) < 40 * 40 * 20 and entry["spacing"][0] > 1
    assert sum(len(base64.b64decode(entry[name])) for name in ("image", "prediction", "reference")) <= 8_000


def test_a_volume_that_fits_is_left_as_it_is() -> None:
    array = np.zeros((30, 20, 10), np.uint8)
    entry = packed(CaseVolume("a", (), array, array, None, (1, 1, 1), "voxels", False), 10_000)
    assert entry["shape"] == [30, 20, 10] and not entry["reduced"] and "reference" not in entry


def test_no_name_ends_the_script(tmp_path: Path) -> None:
    evaluation(tmp_path / "eval", {"a": (0.9, 0.8)}, names=(EVIL, "b"))
    volumes(tmp_path / "eval", ["a"])
    html = write_report(tmp_path).read_text()
    assert EVIL not in html and embedded(html)["labels"][1]["name"] == EVIL


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": np.zeros((3, 3), np.uint8)}, r"image is uint8 \(3, 3\); expected uint8"),
        ({"prediction": np.zeros((14, 12, 9), np.uint8)}, r"prediction is uint8 \(14, 12, 9\); expected uint8 \(14, 12, 10\)"),
        ({"spacing": np.float32([1, 0, 1])}, "expected three lengths"),
        ({"unit": np.array("furlongs")}, "expected three lengths"),
    ],
    ids=["flat", "other grid", "no length", "unit"],
)
def test_a_damaged_volume_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    evaluation(tmp_path / "eval", {"a": (0.9, 0.8)})
    volumes(tmp_path / "eval", ["a"], **changes)
    with pytest.raises(DataError, match=said):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)")
def test_a_browser_shows_the_planes_and_keys_move_the_crosshair(tmp_path: Path) -> None:
    driver = pytest.importorskip("playwright.sync_api", reason='no driver of browsers: pip install -e ".[browser]"')
    report = write_report(with_volumes(tmp_path))
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page, said = browser.new_page(), []
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(report.as_uri())
        page.locator("#planes").scroll_into_view_if_needed()
        page.wait_for_selector("#planes-box[data-ready=yes]")
        # Both masks are there: the middle of the reference lies in both.
        assert "Slices 6 of 14, 6 of 12, 4 of 10. At the crosshair: prediction: liver, reference: liver." in page.text_content(
            "#planes-told"
        )
        page.focus("#planes-canvas")
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        told = page.text_content("#planes-told")
        assert "4 of 14" in told and "prediction: background, reference: liver" in told
        assert "slice 4 of 14; prediction: background" in page.get_attribute("#planes-x", "aria-valuetext")
        page.focus("#planes-z")
        page.keyboard.press("ArrowRight")
        assert "5 of 10" in page.text_content("#planes-told")
        page.keyboard.press("Tab")
        page.focus("#planes-canvas")
        page.keyboard.press("n")
        page.wait_for_selector("#planes-box[data-ready=yes]")
        page.wait_for_function("document.getElementById('planes-case').value === '1'")
        page.close()
        # Without WebGL 2 the slices stay, and the page says why.
        plain = browser.new_page()
        plain.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
        plain.goto(report.as_uri())
        assert (
            plain.is_visible("#planes-none") and not plain.is_visible("#planes-box") and plain.is_visible("#pictures svg.scan")
        )
        browser.close()
    assert not said, said


@pytest.mark.parametrize("spacing", [[1e-320] * 3, [1e308] * 3, [np.nan, 1, 1], ["a", "b", "c"]])
def test_spacings_of_no_body_are_refused(spacing: list[object], tmp_path: Path) -> None:
    whole = np.ones((4, 4, 4), np.uint8)
    told = {"unit": "mm", "oriented": True, "cut": False, "step": np.ones(3)}
    np.savez(tmp_path / "a.npz", image=whole, reference=whole, prediction=whole, spacing=np.asarray(spacing), **told)
    with pytest.raises(DataError, match="not a volume of evaluate"):
        read_case_volume(tmp_path / "a.npz", "a", ["best"])


def test_a_volume_with_damaged_bytes_is_refused(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 255, (24, 24, 24)).astype(np.uint8)
    told = {"unit": "mm", "oriented": True, "cut": False, "step": np.ones(3), "spacing": np.ones(3)}
    np.savez_compressed(tmp_path / "a.npz", image=whole, reference=whole, prediction=whole, **told)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[2000:4000] = bytes(byte ^ 0x5A for byte in content[2000:4000])
    (tmp_path / "a.npz").write_bytes(bytes(content))
    with pytest.raises(DataError, match="evaluate again"):
        read_case_volume(tmp_path / "a.npz", "a", ["best"])
