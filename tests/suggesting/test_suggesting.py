"""Which scans to label next: orders on made points, and the command on tiny models of pictures and volumes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_models import add, card_of
from PIL import Image

from data_prep.build import build
from data_prep.errors import ConfigError, DataError, ModelFileError
from data_prep.phantom import generate
from data_prep.result_files import is_ours
from monai_hybrid import api
from monai_hybrid.suggesting import ORDERS, ordered, suggest
from monai_hybrid.suggesting.__main__ import show
from monai_hybrid.suggesting.orders import scaled, spread, typical


def groups(sizes: tuple[int, ...] = (9, 6, 3)) -> np.ndarray:
    """Points around (0, 0), (10, 0), (20, 0), ...; the first of each group lies in its middle."""
    generator = np.random.default_rng(0)
    parts = []
    for i, size in enumerate(sizes):
        around = generator.uniform(0.5, 1, (size - 1, 2)) * np.where(np.arange(size - 1) % 2, 1, -1)[:, None]
        parts.append(np.array([[10.0 * i, 0.0]]) + np.vstack([[[0.0, 0.0]], around]))
    return np.vstack(parts)


NOTHING = np.zeros(18, bool)


def test_typical_takes_the_middle_of_each_group_the_largest_first() -> None:
    assert typical(groups(), NOTHING, 3) == [0, 9, 15]
    assert typical(groups(), NOTHING, 1) != [], "one label, one group"


def test_what_has_a_label_covers_its_group() -> None:
    known = NOTHING.copy()
    known[[2, 10]] = True
    assert typical(groups(), known, 1) == [15]
    assert spread(groups(), known, 1)[0] in range(15, 18)


def test_spread_reaches_every_group() -> None:
    assert {0 if i < 9 else 1 if i < 15 else 2 for i in spread(groups(), NOTHING, 3)} == {0, 1, 2}


@settings(max_examples=40)
@given(
    order=st.sampled_from(ORDERS),
    count=st.integers(1, 12),
    number=st.integers(1, 15),
    known=st.integers(0, 2**12 - 1),
    alike=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_order_gives_each_open_scan_at_most_once(
    order: str, count: int, number: int, known: int, alike: bool, seed: int
) -> None:
    labelled = np.array([bool(known >> i & 1) for i in range(count)])
    features = np.ones((count, 3)) if alike else np.random.default_rng(seed).normal(size=(count, 3))
    signals = {"error": [None, 1.0, 2.0] * count, "entropy": [0.5] * count, "dice": [0.5, None, 0.7] * count}
    signals = {name: values[:count] for name, values in signals.items()}
    chosen = ordered(order, number, features, labelled, signals)
    assert len(chosen) == len(set(chosen)) == min(number, int((~labelled).sum()))
    assert not labelled[chosen].any() and chosen == ordered(order, number, features, labelled, signals)


def test_errors_come_first_and_unknown_ones_last() -> None:
    signals = {"error": [0.2, None, 0.9, 0.9], "entropy": [0.1, 0.2, 0.3, None], "dice": [0.9, 0.2, None, 0.5]}
    assert ordered("dice", 4, np.zeros((4, 1)), signals=signals) == [1, 3, 0, 2], "the worst first"
    assert ordered("error", 4, np.zeros((4, 1)), signals=signals) == [2, 3, 0, 1]
    assert ordered("entropy", 2, np.zeros((4, 1)), signals=signals) == [2, 1]


def test_features_of_any_scale_count_alike_and_equal_ones_not() -> None:
    x = scaled(np.array([[1e6, 1.0, 7.0], [2e6, 2.0, 7.0], [3e6, 3.0, 7.0]]))
    np.testing.assert_allclose(x[:, 0], x[:, 1])
    assert (x[:, 2] == 0).all()
    with pytest.raises(ValueError, match="expected one of random"):
        ordered("best", 1, x)


def pictures(folder: Path, count: int = 4) -> Path:
    """A folder of grey pictures of which the last is bright."""
    folder.mkdir()
    for i in range(count):
        grey = np.random.default_rng(i).integers(0, 250 if i == count - 1 else 60, (40, 32)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"p{i}.png")
    return folder


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models_of_tests"
    add(folder, "discs_mr", card_of(2, ["disc"]))
    add(folder, "heads_mr", card_of(3, ["cortex"], spacing=4.0))
    colour = {**card_of(2, ["disc"]), "channels": ["red", "green", "blue"], "colour": ["red", "green", "blue"]}
    colour["network"] = {**colour["network"], "in_channels": 3}
    add(folder, "colours_mr", colour)
    two = {**card_of(3, ["cortex"], spacing=4.0), "channels": ["T1", "T2"]}
    two["network"] = {**two["network"], "in_channels": 2}
    add(folder, "two_mr", two)
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(folder))
    return folder


@pytest.mark.parametrize("order", ["typical", "error"])
def test_pictures_are_chosen_alike_twice(order: str, models: Path, tmp_path: Path) -> None:
    first, second = (suggest(p, "discs_mr", 2, order) for p in [pictures(tmp_path / "scans")] * 2)
    assert list(first.rows()) == list(second.rows()) and len(first.chosen) == 2
    assert len({len(one.features) for one in first.seen}) == 1 and all(one.error is not None for one in first.seen)


def test_colour_and_volumes_are_looked_at(models: Path, tmp_path: Path) -> None:
    for file in pictures(tmp_path / "grey").iterdir():
        (tmp_path / "colour").mkdir(exist_ok=True)
        Image.open(file).convert("RGB").save(tmp_path / "colour" / file.name)
    assert len(suggest(tmp_path / "colour", "colours_mr", 2).chosen) == 2
    for i in range(3):
        for channel in range(2):
            grey = np.random.default_rng(2 * i + channel).integers(0, 99, (16, 16, 16)).astype(np.int16)
            for folder, name in (("two", f"v{i}_{channel:04d}"), ("one", f"v{i}"))[: 2 - channel]:
                (tmp_path / folder).mkdir(exist_ok=True)
                nib.save(nib.Nifti1Image(grey, np.diag([4.0, 4, 4, 1])), tmp_path / folder / f"{name}.nii.gz")
    assert len(suggest(tmp_path / "one", "heads_mr", 2).chosen) == 2
    two = suggest(tmp_path / "two", "two_mr", 2)
    assert len(two.chosen) == 2 and len(two.seen) == 3 and not two.failed, "a scan has two files"


def test_labelled_cases_of_a_prepared_set_are_known(models: Path, tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=5, site="B", seed=0, dims=2)
    for name in ("phantom_B_001", "phantom_B_003"):
        (tmp_path / f"raw/labels/{name}.png").unlink()
    build(tmp_path / "raw", tmp_path / "out", allow_unlabelled=True, val_fraction=0, test_fraction=0)
    found = suggest(tmp_path / "out", "discs_mr", 5)
    assert sum(found.labelled) == 3 and sorted(row["case_id"] for row in found.rows()) == ["phantom_B_001", "phantom_B_003"]
    generate(tmp_path / "whole", cases=4, site="B", seed=0, dims=2)
    build(tmp_path / "whole", tmp_path / "all", val_fraction=0, test_fraction=0)
    with pytest.raises(DataError, match="every training case has a label, so nothing is left to label"):
        suggest(tmp_path / "all", "discs_mr")


def test_python_gives_the_rows_of_the_table(models: Path, tmp_path: Path) -> None:
    rows = api.suggest(pictures(tmp_path / "scans"), "discs_mr", tmp_path / "next", number=2)
    assert [row["label_next"] for row in rows] == [1, 2, "", ""]
    written = list(csv.DictReader((tmp_path / "next/suggestion.csv").open()))
    assert [row["case_id"] for row in rows] == [row["case_id"] for row in written]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFileError, match="a folder, expected a file"):
        api.suggest(tmp_path / "scans", tmp_path / "empty")


def test_files_and_sentences(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where `masks` is free
    scans = pictures(tmp_path / "scans")
    (scans / "broken.png").write_bytes(b"no picture")
    found = suggest(scans, "discs_mr", 9)
    found.write(tmp_path / "next")
    rows = list(csv.DictReader((tmp_path / "next/suggestion.csv").open()))
    assert [row["label_next"] for row in rows] == ["1", "2", "3", "4"] and rows[0]["image"].endswith(".png")
    content = json.loads((tmp_path / "next/suggestion.json").read_text())
    assert content["suggested"] == [row["case_id"] for row in rows] and content["failed"][0]["case_id"] == "broken"
    assert all(is_ours(tmp_path / f"next/suggestion.{end}") for end in ("csv", "json"))
    show(found, scans, "discs_mr", 9)
    said = capsys.readouterr().out
    assert "left out, for they could not be read: 1 scan\n  broken: D006 error: " in said
    assert "4 scans are fewer than 9: all of them are listed" in said
    assert said.rstrip().endswith(f"Next: monai-hybrid predict {scans} --model discs_mr --output masks")


def test_a_single_scan_and_no_scan(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where `masks` is free
    scans = pictures(tmp_path / "one", 1)
    show(suggest(scans, "discs_mr"), scans, "discs_mr", 3)
    said = capsys.readouterr().out
    assert "one scan, so there is nothing to choose" in said
    assert said.rstrip().endswith(f"Next: monai-hybrid predict {scans} --model discs_mr --output masks")
    (scans / "p0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"no scan can be read:\n  p0: "):
        suggest(scans, "discs_mr")
    with pytest.raises(ConfigError, match="--order best: expected one of random"):
        suggest(scans, "discs_mr", order="best")
