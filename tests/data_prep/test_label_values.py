"""Label values are whole numbers from file to class: large ones stay apart, or are refused; names of classes are distinct."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from prep_samples import cube, noise, save, write_json
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import ConfigError, DataError, DataListError
from data_prep.files import read_dataset
from data_prep.label_names import parse_names, parse_option

RUN = CliRunner()
WIDE = {"COLUMNS": "400"}
NEAR = (312782628, 312782632)  # one float32 stands for both


def two_blocks(values: tuple[int, int], dtype: type) -> np.ndarray:
    label = np.zeros((6, 7, 8), dtype)
    label[1:3, 1:3, 1:3], label[4:6, 4:6, 4:7] = values
    return label


def data_set(root: Path, label: np.ndarray, names: str = "abc") -> Path:
    for seed, name in enumerate(names):
        save(root / f"images/{name}.nii.gz", noise((6, 7, 8), seed))
        path = root / f"labels/{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(label, np.eye(4), dtype=label.dtype)
        image.set_qform(np.eye(4), 1)
        nib.save(image, path)
    return root


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.float64])
def test_near_values_are_two_classes_in_every_type(dtype: type, tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks(NEAR, dtype))
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")], env=WIDE)
    assert said.exit_code == 0, said.output
    dataset = read_dataset(tmp_path / "out")
    assert [label["value"] for label in dataset["labels"]] == [0, *NEAR]
    assert dataset["cases"][0]["voxels"] == {"0": 316, "312782628": 8, "312782632": 12}


def test_values_are_told_with_all_their_digits(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks(NEAR, np.uint32))
    said = RUN.invoke(app, ["check", str(root), "--label-names", "312782628=a"], env=WIDE)
    assert said.exit_code == 3 and "values 312782632 are not declared; declared are 0, 312782628" in said.output


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_values_that_no_double_tells_apart_are_refused(dtype: type, tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks((5, 2**53 + 2), dtype))
    said = RUN.invoke(app, ["check", str(root)], env=WIDE)
    assert said.exit_code == 3 and "D316 error" in said.output and "values up to 9007199254740994" in said.output
    good = data_set(tmp_path / "good", two_blocks((5, 2**53 - 1), dtype))
    assert not [finding for finding in check(good) if finding.level == "error"]


def test_large_values_in_float32_are_a_warning(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks(NEAR, np.float32))
    said = RUN.invoke(app, ["check", str(root)], env=WIDE)
    assert said.exit_code == 0 and "D317 warning" in said.output and "312782624 stored as float32" in said.output
    edge = data_set(tmp_path / "edge", two_blocks((2**24 + 1, 7), np.float32))  # stored as 2^24
    assert "16777216 stored as float32" in RUN.invoke(app, ["check", str(edge)]).output
    assert "D317" not in RUN.invoke(app, ["check", str(data_set(tmp_path / "small", two_blocks((1, 2), np.float32)))]).output


def test_negative_values_are_refused_whatever_their_size(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks((-312782632, 7), np.int32))
    said = RUN.invoke(app, ["check", str(root)], env=WIDE)
    assert said.exit_code == 3 and "negative values -312782632 in 8 voxels" in said.output


def test_a_scale_factor_keeps_whole_values_exact(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks((1, 2), np.int32))
    for path in (root / "labels").iterdir():
        image = nib.Nifti1Image(two_blocks((156391314, 156391316), np.int32), np.eye(4))
        image.set_qform(np.eye(4), 1)
        image.header.set_slope_inter(2, 0)
        raw = nib.Nifti1Image(image.dataobj, np.eye(4), image.header)
        raw.header.set_slope_inter(2, 0)
        blob = bytearray(raw.to_bytes())
        path.with_suffix("").write_bytes(blob)
        path.unlink()
    values = {label["value"] for label in (build(root, tmp_path / "out"), read_dataset(tmp_path / "out"))[1]["labels"]}
    assert values in ({0, *NEAR}, {0, 156391314, 156391316})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1=background,2=LV", "value 1 is named 'background', but the background is always the value 0"),
        ("0=background,1=Background", "value 1 is named 'Background', but the background"),
        ("1=LV,2=lv", "values 1 and 2 have the same name, 'lv'"),
        ("1=left ventricle,2=Left_Ventricle", "have the same name"),
        ("1=LV,1=RV", "value 1 is given twice"),
        ("1=LV,01=RV", "value 1 is given twice"),
    ],
)
def test_names_of_classes_are_distinct(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_option(text)
    said = RUN.invoke(app, ["build", str(data_set(tmp_path / "raw", two_blocks((1, 2), np.uint8))), "--output",
                            str(tmp_path / "out"), "--label-names", text], env=WIDE)  # fmt: skip
    assert said.exit_code == 2 and message in said.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [{"1": "background", "2": "x"}, {"background": 0, "x": 1, "X": 2}, ["bg", "Background"]])
def test_names_in_files_too(content: object, tmp_path: Path) -> None:
    with pytest.raises(DataListError, match=r"background is always|same name"):
        parse_names(content, "labels.json")
    root = data_set(tmp_path / "raw", two_blocks((1, 2), np.uint8))
    write_json(root / "labels.json", content)
    assert RUN.invoke(app, ["check", str(root)]).exit_code == 3


@pytest.mark.parametrize("content", ["0=background,1=x", "0=air,1=x", "1=x,2=y"])
def test_a_background_that_is_named_once_is_good(content: str) -> None:
    assert parse_option(content)[1] == "x"
    assert parse_option({1: "x, left", 2: "y"}) == {1: "x, left", 2: "y"}


def held_out(root: Path, training: tuple[int, int], testing: tuple[int, int]) -> Path:
    """nnU-Net raw, one test case; values of the two blocks."""
    names = {"background": 0, "a": 1, "b": 2}
    write_json(root / "dataset.json", {"channel_names": {"0": "T1"}, "labels": names, "file_ending": ".nii.gz"})
    for index in range(5):
        where, values = ("Ts", testing) if index == 4 else ("Tr", training)
        save(root / f"images{where}/c{index}_0000.nii.gz", noise((6, 7, 8), index))
        save(root / f"labels{where}/c{index}.nii.gz", two_blocks(values, np.uint8))
    return root


def test_a_class_of_test_labels_alone_is_a_warning(tmp_path: Path) -> None:
    root = held_out(tmp_path / "raw", (1, 1), (1, 2))
    for command in (["check", str(root)], ["build", str(root), "--output", str(tmp_path / "out")]):
        said = RUN.invoke(app, command, env=WIDE)
        assert said.exit_code == 0 and "D318 warning" in said.output, said.output
        assert "class 'b' (value 2) is in none of the 4 training labels, but in 1 testing labels" in said.output


def test_a_class_of_training_labels_alone_is_none(tmp_path: Path) -> None:
    assert "D318" not in RUN.invoke(app, ["check", str(held_out(tmp_path / "raw", (1, 2), (1, 1)))]).output
    assert "D318" not in RUN.invoke(app, ["check", str(held_out(tmp_path / "both", (1, 2), (1, 2)))]).output


def test_a_draw_that_leaves_a_class_to_test_says_so(tmp_path: Path) -> None:
    root = data_set(tmp_path / "raw", two_blocks((1, 1), np.uint8), "abcdef")
    save(root / "labels/f.nii.gz", two_blocks((1, 3), np.uint8))
    write_json(tmp_path / "splits.json", {"train": ["a", "b", "c", "d"], "val": ["e"], "test": ["f"]})
    said = RUN.invoke(
        app, ["build", str(root), "--output", str(tmp_path / "out"), "--splits", str(tmp_path / "splits.json")], env=WIDE
    )
    assert said.exit_code == 0 and "class 'label_3' (value 3) is in none of the 4 training labels" in said.output


@pytest.mark.parametrize("name", ["all", "All"])
def test_no_structure_is_called_as_the_mean_over_structures(tmp_path: Path, name: str) -> None:
    """In results "all" is the mean; a structure of that name would take its place."""
    save(tmp_path / "raw/images/a.nii.gz", noise((6, 7, 8)))
    save(tmp_path / "raw/labels/a.nii.gz", cube((6, 7, 8)) * 2)
    with pytest.raises(DataError, match=f"value 2 is named '{name}', .* Type: --label-names \"1=liver,2=OTHER\""):
        build(tmp_path / "raw", tmp_path / "out", label_names=f"1=liver,2={name}")
    assert not (tmp_path / "out").exists()
    (found,) = check(tmp_path / "raw", label_names=f"1=liver,2={name}")
    assert found.code == "D502"
