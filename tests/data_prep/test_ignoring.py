"""Labels of which a part is annotated: one value of the file says nothing, and is no class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from prep_samples import noise, read_json, save, write_json
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.cases import Case
from data_prep.ceiling import Masks
from data_prep.check import check
from data_prep.checks.ignoring import perhaps_not_annotated
from data_prep.checks.subjects import LabelSubject
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError
from data_prep.ignoring import IGNORED, marked
from data_prep.layouts import read_source
from data_prep.resampling import coarse_label, label_back
from data_prep.volume import Volume

SHAPE = (12, 10, 8)


def codes(path: Path, **options: Any) -> set[str]:
    return {finding.code for finding in check(path, **options) if finding.level != "note"}


def sparse(shape: tuple[int, ...] = SHAPE, value: int = 255) -> np.ndarray:
    """A block of class 1, annotated in every third slice of the last axis."""
    label = np.zeros(shape, np.uint8)
    label[tuple(slice(3, 8) for _ in shape)] = 1
    unknown = np.arange(shape[-1]) % 3 != 0
    label = label.astype(np.int16 if value < 0 else np.uint8)
    label[..., unknown] = value
    return label


def volumes(root: Path, value: int = 255) -> Path:
    for i, name in enumerate("abc"):
        save(root / f"images/{name}.nii.gz", noise(SHAPE, i))
        save(root / f"labels/{name}.nii.gz", sparse(value=value))
    return root


def channels(root: Path) -> Path:
    labels = {"background": 0, "organ": 1, "ignore": 255}
    write_json(root / "dataset.json", {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz"})
    for i, name in enumerate("abc"):
        for channel in range(2):
            save(root / f"imagesTr/{name}_000{channel}.nii.gz", noise(SHAPE, 2 * i + channel))
        save(root / f"labelsTr/{name}.nii.gz", sparse())
    return root


def pictures(root: Path, colour: bool) -> Path:
    shape = (40, 32)
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for i, name in enumerate("abc"):
        grey = np.random.default_rng(i).integers(0, 255, (*shape, 3) if colour else shape).astype(np.uint8)
        Image.fromarray(grey).save(root / f"images/{name}.png")
        Image.fromarray(sparse(shape)).save(root / f"labels/{name}.png")
    return root


FORMS = {
    "volumes": (volumes, {"ignore_label": 255}),
    "several channels, nnU-Net": (channels, {}),
    "grey pictures": (lambda root: pictures(root, False), {"ignore_label": 255}),
    "colour pictures": (lambda root: pictures(root, True), {"ignore_label": 255}),
    "a negative value": (lambda root: volumes(root, -1), {"ignore_label": -1}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_value_is_no_class_and_counts_nowhere(form: str, tmp_path: Path) -> None:
    make, options = FORMS[form]
    root = make(tmp_path / "raw")
    assert codes(root, **options) == set()
    build(root, tmp_path / "out", **options)
    dataset, plan = (read_json(tmp_path / f"out/{name}.json") for name in ("dataset", "plan"))
    assert dataset["ignore_value"] == options.get("ignore_label", 255)
    assert [label["value"] for label in dataset["labels"]] == [0, 1]
    case, first = dataset["cases"][0], sparse((40, 32) if "pictures" in form else SHAPE)
    assert case["voxels"] == {"0": int((first == 0).sum()), "1": int((first == 1).sum())}
    assert case["ignored"] == int((first == 255).sum())
    (name,) = dataset["fingerprint"]["foreground_volume"]
    assert dataset["fingerprint"]["foreground_volume"][name] == {"min": 0, "median": 0, "max": 0}, "nobody saw it whole"
    assert plan["ceiling"]["classes"][name]["mean"] == 1
    assert codes(tmp_path / "out") == set(), "the prepared list knows the value"


def test_without_the_value_the_set_is_read_as_before(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    build(root, tmp_path / "out")
    dataset = read_json(tmp_path / "out/dataset.json")
    assert [label["value"] for label in dataset["labels"]] == [0, 1, 255]
    assert "ignore_value" not in dataset and all("ignored" not in case for case in dataset["cases"])


def test_a_label_in_which_nothing_is_annotated_is_named(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    save(root / "labels/b.nii.gz", np.full(SHAPE, 255, np.uint8))
    (finding,) = [f for f in check(root, ignore_label=255) if f.level == "error"]
    assert (finding.code, finding.case) == ("D319", "b") and "all 960 voxels hold the ignore value" in finding.message
    with pytest.raises(DataError, match=r"D319 error: .*b\.nii\.gz"):
        build(root, tmp_path / "out", ignore_label=255)
    one = np.full(SHAPE, 255, np.uint8)
    one[..., 4] = sparse()[..., 3]
    save(root / "labels/b.nii.gz", one)
    assert codes(root, ignore_label=255) == set(), "one slice is enough"


def test_annotated_slices_that_hold_background_alone_are_empty_as_ever(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    empty = sparse()
    empty[empty == 1] = 0
    save(root / "labels/b.nii.gz", empty)
    (finding,) = [f for f in check(root, ignore_label=255) if f.level == "error"]
    assert finding.code == "D305" and "all 360 annotated voxels are 0" in finding.message
    assert "D305" in codes(root, ignore_label=255, accept="D305")


@pytest.mark.parametrize(("value", "names", "code"), [(1, "1=organ,2=other", "D320"), (7, None, "D321")])
def test_a_value_that_is_a_class_or_is_not_there(value: int, names: str | None, code: str, tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    assert code in codes(root, ignore_label=value, label_names=names)
    assert code not in codes(root, ignore_label=255, label_names="1=organ")


def test_nnunets_own_value_may_not_be_a_class(tmp_path: Path) -> None:
    root = channels(tmp_path / "raw")
    assert read_source(root).ignore == 255
    content = json.loads((root / "dataset.json").read_text())
    write_json(root / "dataset.json", {**content, "labels": {"background": 0, "organ": 1, "ignore": 1}})
    assert "D320" in codes(root)


@pytest.mark.parametrize("named", ["1=organ,255=ignore", "0=background,1=organ,255=Ignore"])
def test_a_table_may_call_the_value_by_what_it_is(named: str, tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    assert codes(root, label_names=named, ignore_label=255) == set()
    assert "D320" in codes(root, label_names="1=organ,255=ignored region", ignore_label=255)
    build(root, tmp_path / "out", label_names=named, ignore_label=255)
    dataset = read_json(tmp_path / "out/dataset.json")
    assert [label["name"] for label in dataset["labels"]] == ["background", "organ"] and dataset["ignore_value"] == 255


def test_zero_is_the_background(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    for wrong in (0, 2**40):
        with pytest.raises(ConfigError, match=f"--ignore-label {wrong}: "):
            build(root, tmp_path / "out", ignore_label=wrong)


def test_the_next_line_keeps_the_option(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(volumes(tmp_path / "raw", -1)), "--ignore-label", "-1"])
    assert done.exit_code == 0 and "raw --ignore-label -1 --output " in done.output


def test_the_line_that_shows_all_errors_keeps_what_the_build_was_told(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw")
    save(root / "labels/a.nii.gz", np.full(SHAPE, 255, np.uint8))
    with pytest.raises(DataError) as refused:
        build(root, tmp_path / "out", ignore_label=255, modality="MRI", patient_regex="^(.+)$")
    assert str(refused.value).endswith(f"monai-hybrid check {root} --patient-regex '^(.+)$' --ignore-label 255")
    assert "D319" in str(refused.value)
    with pytest.raises(DataError, match=f"check {root}$"):
        build(root, tmp_path / "out", label_names={1: "organ", 2: "other"})


def test_marking_leaves_a_label_without_the_value_as_it_is() -> None:
    label = sparse()
    assert marked(label, None) is label and marked(label, 7) is label
    found = marked(label, 255)
    assert ((found == IGNORED) == (label == 255)).all() and (found[label != 255] == label[label != 255]).all()


@settings(max_examples=40)
@given(factor=st.floats(0.4, 4), at=st.integers(1, 18), seed=st.integers(0, 99))
def test_no_contoured_slice_gets_lost_on_a_coarser_grid(factor: float, at: int, seed: int) -> None:
    """But for the first and last: the coarser grid, in the middle of the finer, may end before them."""
    whole = np.random.default_rng(seed).integers(0, 3, (1, 8, 9)).repeat(20, axis=0)
    one = np.full(whole.shape, IGNORED)
    one[at] = whole[at]
    coarse = coarse_label(one, (factor, 1.0, 1.0))
    rows = (coarse != IGNORED).any((1, 2))
    assert rows.any() and rows.sum() <= max(2, np.ceil(1 / factor) + 1)
    assert (coarse[rows] == whole[at]).all(), "an annotated voxel holds the class of the slice, and no share of what is unknown"


@settings(max_examples=25)
@given(factors=st.tuples(*[st.floats(0.5, 3)] * 2), seed=st.integers(0, 99))
def test_what_is_annotated_far_from_the_border_is_as_without_one(factors: tuple[float, float], seed: int) -> None:
    whole = np.random.default_rng(seed).integers(0, 3, (24, 15)).astype(np.int64)
    half = whole.copy()
    half[12:] = IGNORED
    coarse = [coarse_label(label, factors) for label in (whole, half)]
    inside = max(0, int(12 / factors[0]) - 2)
    np.testing.assert_array_equal(coarse[0][:inside], coarse[1][:inside])
    back = [label_back(label, whole.shape, factors) for label in coarse]
    inside = max(0, 12 - 4 * int(np.ceil(factors[0])))
    np.testing.assert_array_equal(back[0][:inside], back[1][:inside])


def test_the_ceiling_of_slices_is_that_within_them(tmp_path: Path) -> None:
    disc = ((np.indices((40, 40)) - 19.5) ** 2).sum(0) < 150
    label = np.full((40, 40, 9), 255, np.uint8)
    label[..., [1, 4, 7]] = disc[..., None]
    save(tmp_path / "sparse.nii.gz", label)
    save(tmp_path / "whole.nii.gz", np.repeat(disc[..., None], 9, 2).astype(np.uint8))

    def ceiling(name: str, ignore: int | None) -> float:
        case = Case(name, (), tmp_path / f"{name}.nii.gz", split="training")
        return Masks([case], {1: "organ"}, ignore=ignore)((2.0, 2.0, 1.0)).lowest

    assert ceiling("sparse", 255) == pytest.approx(ceiling("whole", None), abs=1e-6) and 0.9 < ceiling("sparse", 255) < 1


def drawn(inside: int, around: int, corner: tuple[int, int] = (4, 4)) -> np.ndarray:
    label = np.full((20, 20), around, np.uint8)
    label[corner[0] : 12, corner[1] : 12] = inside
    return label


FRAMED = np.pad(np.pad(np.ones((6, 6), np.uint8), 6), 1, constant_values=255)
SUSPECT = {"most of it": drawn(1, 255), "254": drawn(2, 254), "the border alone": FRAMED}
FINE = {
    "coded 0 and 255": drawn(255, 0),
    "255 is all but background": drawn(0, 255),
    "a small structure of 255": np.pad(drawn(255, 1, (9, 9)), 9),
    "the next number": drawn(253, 254),
}


def said_of(label: np.ndarray, names: dict[int, str] | None = None) -> str | None:
    values, counts = np.unique(label, return_counts=True)
    volume = Volume(Path("a.png"), label, None, "uint8", "")
    return perhaps_not_annotated(LabelSubject(volume, dict(zip(map(float, values), map(int, counts), strict=True)), names))


@pytest.mark.parametrize("label", SUSPECT.values(), ids=SUSPECT.keys())
def test_a_value_that_may_be_left_out_is_told_unless_it_is_named(label: np.ndarray) -> None:
    said, value = said_of(label), int(label[0, 0])
    assert said is not None and said.startswith(f"the value {value} fills ") and "of its border" in said
    assert said_of(label, {1: "organ", 2: "other", value: "rest"}) is None


@pytest.mark.parametrize("label", FINE.values(), ids=FINE.keys())
def test_other_uses_of_large_values_are_not_told(label: np.ndarray) -> None:
    assert said_of(label) is None


def test_a_picture_whose_structure_has_the_ignore_value_is_told(tmp_path: Path) -> None:
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for case_id, value in (("a", 1), ("b", 255)):  # b is stored as 0 and 255 where a has 0 and 1
        label = np.zeros((16, 16), np.uint8)
        label[4:9, 4:9] = value
        Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(tmp_path / f"images/{case_id}.png")
        Image.fromarray(label).save(tmp_path / f"labels/{case_id}.png")
    (told,) = [finding.message for finding in check(tmp_path, ignore_label=255) if finding.code == "D311"]
    assert "25 pixels hold the ignore value, all others are 0 (background): is that value its structure?" in told
