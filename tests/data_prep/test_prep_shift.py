"""The shift report: each finding appears where its difference was made, and only there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import PSR, RAS, save
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.cli import app
from data_prep.errors import DataError
from data_prep.phantom import generate
from data_prep.shift import content, geometry, shift
from data_prep.shift.domain import MAX_CASES, SHELL, contrast, normalised
from data_prep.shift.finding import factor, listed

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def made(
    folder: Path,
    affine: np.ndarray = RAS,
    size: int = 20,
    edge: int = 6,
    grey: float = 500,
    tilt: float = 1.0,
    names: str = "1=LV",
    cases: int = 5,
    **options: object,
) -> Path:
    """A prepared data set: a block of `grey` +- noise in a ramp from 200 to 800 (raised to `tilt`)."""
    ramp = np.linspace(0, 1, size**3).reshape(size, size, size) ** tilt * 600 + 200
    for i in range(cases):
        rng = np.random.default_rng(i)
        label = np.zeros((size, size, size), np.uint8)
        at = tuple(slice(size // 2 - edge // 2, size // 2 - edge // 2 + edge) for _ in range(3))
        label[at] = 1
        image = np.where(label > 0, grey, ramp) + rng.normal(0, 5, ramp.shape)
        save(folder / f"raw/images/c{i}.nii.gz", image.astype(np.int16), affine)
        save(folder / f"raw/labels/c{i}.nii.gz", label, affine)
    build(folder / "raw", folder / "set", label_names=names, name=folder.name, **options)
    return folder / "set"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("sets") / "source")


def findings(source: Path, target: Path) -> dict[tuple[str, str], str]:
    return {(f["kind"], f["level"]): f["sentence"] for f in shift(source, target)["findings"]}


def test_equal_data_sets_have_no_notable_shift(source: Path, tmp_path: Path) -> None:
    report = shift(source, made(tmp_path / "target"))
    assert report["findings"] == [] and report["summary"] == "No notable shift."
    assert (report["source"], report["target"], report["figure"]) == ("source", "target", None)


def test_thicker_voxels_are_named_by_axis_with_what_follows(source: Path, tmp_path: Path) -> None:
    found = findings(source, made(tmp_path / "target", np.diag([1, 1, 2.5, 1]), edge=5))
    sentence = found["spacing", "warning"]
    assert sentence.startswith(
        "Target voxels are 2.5 times longer along foot-head (2.5 against 1 mm); the images are resampled to 1 x 1 x 1 mm"
    )
    assert sentence.endswith("finer detail than they hold cannot come back.")
    fine = findings(source, made(tmp_path / "fine", np.diag([0.5, 0.5, 1, 1])))
    assert fine["spacing", "note"].startswith(
        "Target voxels are 2 times shorter along left-right and back-front (0.5 against 1 mm)"
    )
    assert "so that a part of each patch is padding" in fine["size", "warning"]


def test_a_stored_orientation_is_a_note(source: Path, tmp_path: Path) -> None:
    turned = PSR.copy()
    turned[:3, :3] = np.sign(turned[:3, :3])
    found = findings(source, made(tmp_path / "target", turned))
    assert set(found) == {("orientation", "note")}
    assert found["orientation", "note"].startswith("Target files are stored as PSR, source files as RAS; all are turned to RAS")


def test_a_larger_field_of_view_is_said(source: Path, tmp_path: Path) -> None:
    found = findings(source, made(tmp_path / "target", size=40))
    assert found["size", "warning"].startswith("Target images cover 40 x 40 x 40 mm, source images 20 x 20 x 20 mm: ")
    assert "false finds" in found["size", "warning"]


def test_volumes_are_compared_in_millilitres(source: Path, tmp_path: Path) -> None:
    found = findings(source, made(tmp_path / "target", edge=8))
    assert set(found) == {("volume", "warning")}
    assert "LV is 2.4 times larger in the target (median 0.512 against 0.216 ml)" in found["volume", "warning"]
    assert ("volume", "note") in findings(source, made(tmp_path / "smaller", edge=5))


def test_an_inverted_contrast_is_a_warning(tmp_path: Path) -> None:
    bright, dark = made(tmp_path / "bright", grey=700), made(tmp_path / "dark", grey=300)
    sentence = findings(bright, dark)["intensity", "warning"]
    assert "The contrast of LV is inverted: darker than its surroundings in the target, brighter in the source" in sentence
    assert "unless it was pretrained with --contrast_randomisation gin" in sentence
    assert "brighter than its surroundings in the target, darker" in findings(dark, bright)["intensity", "warning"]


def test_a_weaker_contrast_and_a_stronger_one_are_told_apart(source: Path, tmp_path: Path) -> None:
    bright = made(tmp_path / "bright", grey=800)
    less, more = shift(bright, source)["findings"], shift(source, bright)["findings"]
    assert ["stands out from its surroundings less in the target" in f["sentence"] for f in less] == [True]
    assert ["stands out from its surroundings more in the target" in f["sentence"] for f in more] == [True]
    assert less[0]["source"] == more[0]["target"] > 0.3


def test_other_grey_values_are_said_with_their_distance(source: Path, tmp_path: Path) -> None:
    """The quantiles of a ramp are u, those of its third power u^3: on average 1/2 - 1/4 of the range apart."""
    report = shift(source, made(tmp_path / "target", tilt=3.0, grey=300))
    found = next(f for f in report["findings"] if "After normalisation" in f["sentence"])
    assert found["level"] == "warning" and found["kind"] == "intensity" and len(found["source"]) == 11
    percent = int(found["sentence"].split("differ by ")[1].split("%")[0])
    assert percent == pytest.approx(25, abs=2)


def test_labels_are_compared_by_name(source: Path, tmp_path: Path) -> None:
    found = findings(source, made(tmp_path / "target", names="1=RV"))
    assert found["labels", "warning"].startswith("The source does not know RV; these outputs start fresh")
    assert found["labels", "note"].startswith("The target does not know LV; these outputs of the model are dropped")


def test_modality_is_compared_where_both_state_one(source: Path, tmp_path: Path) -> None:
    mr, ct = made(tmp_path / "mr", modality="MRI"), made(tmp_path / "ct", modality="CT")
    said = findings(mr, ct)["channels", "warning"]
    assert "The target is CT, the source MRI: pretrain with --contrast_randomisation gin." in said
    assert not findings(mr, source)


def pictures(folder: Path, size: int = 24) -> Path:
    """PNG, which states no mm."""
    for i in range(5):
        label = np.zeros((size, size), np.uint8)
        label[8:14, 8:14] = 1
        image = np.linspace(50, 200, size * size).reshape(size, size) + np.random.default_rng(i).normal(0, 2, label.shape)
        for name, values in (("images", image.astype(np.uint8)), ("labels", label)):
            (folder / "raw" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / f"raw/{name}/c{i}.png")
    build(folder / "raw", folder / "set", label_names="1=LV", name=folder.name)
    return folder / "set"


def test_pictures_are_compared_in_pixels_and_not_with_volumes(source: Path, tmp_path: Path) -> None:
    small, large = pictures(tmp_path / "small"), pictures(tmp_path / "large", 72)
    report = shift(small, large, tmp_path / "out")
    assert "Target images cover 72 x 72 pixels" in {f["kind"]: f["sentence"] for f in report["findings"]}["size"]
    assert Image.open(tmp_path / "out/shift.png").size[0] > 1000
    with pytest.raises(DataError, match=r"set is 3D, .*set 2D: they cannot be compared"):
        shift(source, small, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_the_command_prints_and_writes_the_same(source: Path, tmp_path: Path) -> None:
    target = made(tmp_path / "target", edge=8)
    result = CliRunner().invoke(app, ["shift", str(source), str(target), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out/shift.json").read_text())
    assert report == json.loads(json.dumps(shift(source, target) | {"figure": "shift.png"}))
    assert f"warning (volume): {report['findings'][0]['sentence']}" in result.output
    assert result.output.endswith("source against target: 1 finding, 1 of them a warning.\n")
    with Image.open(tmp_path / "out/shift.png") as figure:
        assert np.asarray(figure.convert("L")).std() > 10
    refused = CliRunner().invoke(app, ["shift", str(source), str(tmp_path)])
    assert refused.exit_code == 3 and "datalist.json" in refused.stderr and "Traceback" not in refused.output


def test_no_torch_in_a_shift_report(source: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom data_prep.shift import shift\n"
        f"shift(Path({str(source)!r}), Path({str(source)!r}), Path({str(tmp_path)!r}))\n"
        "assert not {'torch', 'monai'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, source: Path) -> None:
    target = made(tmp_path / "target")
    for path in (tmp_path / "target/raw/images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"c\d.nii.gz: it holds 0 bytes"):
        shift(source, target)


def test_normalisation_is_that_of_the_network() -> None:
    torch = pytest.importorskip("torch")
    from monai_hybrid.transforms import Normalized

    grey = np.random.default_rng(0).gamma(2, 100, (9, 10, 11)).astype(np.float32)
    soft = {"method": "soft_percentiles", "lower": 0.5, "upper": 99.5, "below": 0.0, "above": 3.0}
    percentiles, window = (
        {"method": "percentiles", "lower": 0.5, "upper": 99.5},
        {"method": "window", "lower": 50, "upper": 300},
    )
    for plan in (percentiles, window, soft, {**soft, "below": 0.2}):
        theirs = Normalized("image", plan)({"image": torch.tensor(grey[None])})["image"][0].numpy()
        np.testing.assert_allclose(normalised(grey, plan), theirs, atol=1e-4)
    assert not normalised(np.full((3, 3), 7.0), {"method": "percentiles", "lower": 0.5, "upper": 99.5}).any()


def test_contrast_is_inside_minus_around() -> None:
    grey, inside = np.full((20, 20), -1.0), np.zeros((20, 20), bool)
    inside[8:12, 8:12] = True
    grey[inside] = 0.5
    assert contrast(grey, inside) == pytest.approx(0.75) and contrast(-grey, inside) == pytest.approx(-0.75)
    known = np.arange(grey.shape[-1]) == np.nonzero(inside)[-1][0]
    one = contrast(np.where(inside & ~known, 9.0, grey), inside & known, np.broadcast_to(known, grey.shape))
    assert one == pytest.approx(0.75), "slices that nobody annotated are not around the structure"
    assert contrast(grey, inside & False) is None and contrast(grey, inside | True) is None


def test_words() -> None:
    assert factor(2.0, "longer", "shorter") == "2 times longer" and factor(0.4, "longer", "shorter") == "2.5 times shorter"
    assert listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a, b and c"


def test_the_two_scanners_of_the_phantom_differ_as_they_were_made_to(tmp_path: Path) -> None:
    for site in "AB":
        generate(tmp_path / f"raw{site}", cases=5, site=site, seed=0)
        build(tmp_path / f"raw{site}", tmp_path / site)
    found = findings(tmp_path / "A", tmp_path / "B")
    assert "PSR" in found["orientation", "note"] and "left-right" in found["spacing", "note"]
    assert "Cortex stands out" in found["intensity", "warning"]


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the repository")
def test_hippocampus_of_two_centres(tmp_path: Path) -> None:
    msd, ixi = DATA / "hippocampus_msd", DATA / "hippocampus_ixi_hh"
    build(msd, tmp_path / "a", labels_dir="labels_whole", splits=msd / "splits.json", label_names="1=hippocampus")
    build(ixi, tmp_path / "b", splits=ixi / "splits.json", label_names="1=hippocampus")
    found = findings(tmp_path / "a", tmp_path / "b")
    assert "2 times longer along left-right, back-front and foot-head (2 against 1 mm)" in found["spacing", "warning"]
    assert "stored as PSR" in found["orientation", "note"] and "44 x 60 x 44 mm" in found["size", "note"]
    assert "grey values differ by 16% of the range" in found["intensity", "warning"]


def test_the_page_states_the_thresholds_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/shift.md").read_text(encoding="utf-8")
    for kind, named, warned in (
        ("spacing", geometry.SPACING_RATIO, geometry.COARSE),
        ("size", geometry.FIELD_RATIO, geometry.FIELD_LARGE),
        ("volume", content.VOLUME_NOTE, content.VOLUME_WARNING),
    ):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{kind}`"))
        assert f"{named:g} times" in row.split("|")[2] and f"{warned:g} times" in row.split("|")[3]
    curves, contrasts = (line.split("|") for line in page.splitlines() if line.startswith("| `intensity`"))
    assert (
        f"{content.CURVE_NOTE:.0%}".replace("%", " %") in curves[2]
        and f"{content.CURVE_WARNING:.0%}".replace("%", " %") in curves[3]
    )
    for number in (content.CONTRAST, content.CONTRAST_NOTE):
        assert f"{number:.0%}".replace("%", " %") in contrasts[2]
    assert (
        f"{content.CONTRAST_RATIO:g} times" in contrasts[2]
        and f"{content.CONTRAST_WARNING:.0%}".replace("%", " %") in contrasts[3]
    )
    assert f"up to {MAX_CASES} training cases" in page and f"at most {SHELL} away" in page
