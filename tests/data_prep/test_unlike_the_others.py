"""Masks and headers that are sound alone and wrong beside the others of their data set; and a case that is left out whole."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prep_samples import noise, read_json, save, write_json
from typer.testing import CliRunner

from data_prep.check import check
from data_prep.checks.registry import moved_out
from data_prep.cli import app

SHAPE, FLAT = (8, 9, 10), (24, 20)
RUN = CliRunner()


def mask(shape: Sequence[int], value: int) -> np.ndarray:
    label = np.zeros(shape, np.uint8 if value < 256 else np.int32)
    label[tuple(slice(2, 5) for _ in shape)] = value
    return label


def volumes(root: Path, values: Sequence[int], spacing: Sequence[Sequence[float]] = ()) -> Path:
    for i, value in enumerate(values):
        grid = np.diag([*(spacing[i] if spacing else (1, 1, 1)), 1])
        save(root / f"images/c{i}.nii.gz", noise(SHAPE, i), grid)
        save(root / f"labels/c{i}.nii.gz", mask(SHAPE, value), grid)
    return root


def channels(root: Path, values: Sequence[int], spacing: Sequence[Sequence[float]] = ()) -> Path:
    """nnU-Net asks for names: all values have one."""
    labels = {"background": 0, **{f"structure {value}": value for value in {v for v in values if v}}}
    write_json(root / "dataset.json", {"channel_names": {"0": "T1", "1": "T2"}, "labels": labels, "file_ending": ".nii.gz"})
    for i, value in enumerate(values):
        grid = np.diag([*(spacing[i] if spacing else (1, 1, 1)), 1])
        for channel in (0, 1):
            save(root / f"imagesTr/c{i}_000{channel}.nii.gz", noise(SHAPE, 2 * i + channel), grid)
        save(root / f"labelsTr/c{i}.nii.gz", mask(SHAPE, value), grid)
    return root


def pictures(root: Path, values: Sequence[int], colour: bool = False) -> Path:
    for i, value in enumerate(values):
        for kind in ("images", "labels"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        grey = np.random.default_rng(i).integers(0, 255, (*FLAT, 3) if colour else FLAT).astype(np.uint8)
        Image.fromarray(grey).save(root / f"images/c{i}.png")
        Image.fromarray(mask(FLAT, value)).save(root / f"labels/c{i}.png")
    return root


def coloured(root: Path, values: Sequence[int]) -> Path:
    return pictures(root, values, colour=True)


FORMS: dict[str, Callable[..., Path]] = {"volumes": volumes, "grey pictures": pictures, "colour pictures": coloured}


def told(path: Path, code: str, **options: Any) -> list[str]:
    return [finding.message for finding in check(path, **options) if finding.code == code]


@pytest.mark.parametrize("form", FORMS)
def test_one_structure_of_two_values_is_named_and_the_command_mends_it(form: str, tmp_path: Path) -> None:
    root, ending = FORMS[form](tmp_path / "raw", [1, 255, 1, 0, 255, 1]), ".nii.gz" if form == "volumes" else ".png"
    result = RUN.invoke(app, ["check", str(root), "--accept", "D305"], env={"COLUMNS": "400"})
    assert f"3 masks hold 1 alone, such as c0{ending}, 2 masks hold 255 alone, such as c1{ending}" in result.output
    assert '--label-names "1=NAME_1,255=NAME_255"' in result.output and "--ignore-label 255" in result.output
    typed = re.search(r'repair \S+ --output \S+ --map "(\S+)"', result.output)
    assert typed is not None and typed[1] == "255=1", result.output
    RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "mended"), "--map", typed[1]])
    assert told(tmp_path / "mended", "D323") == [] and not told(tmp_path / "mended", "D309")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("values", [[1, 1, 2, 1], [255, 255, 0], [1, 1, 0], [1, 254]], ids=str)
def test_classes_and_masks_of_one_kind_are_fine(form: str, values: list[int], tmp_path: Path) -> None:
    assert told(FORMS[form](tmp_path / "raw", values), "D323") == []


def test_what_the_user_says_of_the_values_counts(tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw", [1, 255, 1])
    assert len(told(root, "D323")) == 1
    assert told(root, "D323", label_names="1=organ,255=tumour") == []
    assert told(root, "D323", ignore_label=255) == []
    both = mask(SHAPE, 1)
    both[6:, 6:, 6:] = 255
    save(root / "labels/c0.nii.gz", both)
    assert told(root, "D323") == [], "one mask holds both: they are two things"


def test_values_of_sixteen_bits_and_names_of_a_table(tmp_path: Path) -> None:
    (said,) = told(volumes(tmp_path / "raw", [2, 65535, 2]), "D323")
    assert "1 mask holds 65535 alone" in said
    (finding,) = [f for f in check(tmp_path / "raw") if f.code == "D323"]
    assert '--map "65535=2"' in finding.remedy and finding.case == "c1"
    root = channels(tmp_path / "named", [1, 255, 1])
    assert told(root, "D323") == []
    write_json(root / "dataset.json", {**read_json(root / "dataset.json"), "labels": {"background": 0, "organ": 1}})
    (finding,) = check(root)
    assert finding.code == "D304" and '--map "255=1"' in finding.remedy, "of several channels all values are declared"


THIN, THICK = (0.9, 0.9, 1.0), (0.9, 0.9, 5.0)


def nearly(number: int) -> list[tuple[float, ...]]:
    return [(0.9 + 0.004 * i, 0.9 + 0.004 * i, 5.0) for i in range(number)]


@pytest.mark.parametrize("form", [volumes, channels], ids=["volumes", "several channels"])
def test_a_size_unlike_all_others_is_named(form: Callable[..., Path], tmp_path: Path) -> None:
    root = form(tmp_path / "raw", [1] * 7, [*nearly(6), (1, 1, 1)])
    (finding,) = [f for f in check(root) if f.code == "D415"]
    assert finding.case == "c6" and finding.level == "warning"
    assert "voxels of 1 x 1 x 1 mm; 6 of 7 cases have about 0.912 x 0.912 x 5 mm" in finding.message


@pytest.mark.parametrize(
    "spacing",
    [[THICK, THIN, THICK], [*[THICK] * 5, *[THIN] * 3], nearly(7), [(0.9, 0.9, 3 + i) for i in range(8)], [THICK] * 5],
    ids=["a set of three", "two scanners", "all alike", "sizes all over", "all equal"],
)
def test_sizes_that_differ_for_a_reason_are_fine(spacing: list[tuple[float, ...]], tmp_path: Path) -> None:
    assert told(volumes(tmp_path / "raw", [1] * len(spacing), spacing), "D415") == []


def test_pictures_have_no_size_to_compare(tmp_path: Path) -> None:
    assert told(pictures(tmp_path / "raw", [1] * 6), "D415") == []


@pytest.mark.parametrize("form", ["volumes", "several channels"])
def test_the_command_that_leaves_a_case_out_takes_all_its_files(form: str, tmp_path: Path) -> None:
    place = tmp_path / "here" / "work"
    root = (volumes if form == "volumes" else channels)(place / "raw", [1, 1, 1, 1])
    label = root / ("labels" if form == "volumes" else "labelsTr") / "c1.nii.gz"
    save(label, mask((8, 9, 12), 1))
    (finding,) = check(root)
    command = finding.remedy.partition("leave the case out: ")[2]
    assert finding.code == "D401" and command.startswith("mv "), finding.remedy
    subprocess.run(["bash", "-ec", command], cwd=place, check=True)
    assert check(root) == [] and len(list((root / label.parent).iterdir())) == 3


def test_pictures_of_equal_names_do_not_meet_where_they_are_moved(tmp_path: Path) -> None:
    root = pictures(tmp_path / "work/raw", [1, 1, 1])
    jpeg = root / "labels/c2.png"
    Image.fromarray(np.full((7, 7), 1, np.uint8)).save(jpeg)
    (finding,) = check(root)
    subprocess.run(["bash", "-ec", finding.remedy.partition("leave the case out: ")[2]], cwd=root.parent, check=True)
    assert check(root) == [] and {p.name for p in tmp_path.iterdir()} == {"work", "images_c2.png", "labels_c2.png"}


def test_names_are_quoted_and_never_filled_in(tmp_path: Path) -> None:
    assert (
        moved_out(["a b/x.nii.gz", "l/x.nii.gz"]) == "mv -n 'a b/x.nii.gz' '../a b_x.nii.gz' && mv -n l/x.nii.gz ../l_x.nii.gz"
    )
    assert moved_out(["i/x_0000.nii.gz", "l/x.nii.gz"]) == "mv -n i/x_0000.nii.gz l/x.nii.gz .."
    root = volumes(tmp_path / "raw", [1, 1])
    shutil.copy(root / "images/c0.nii.gz", root / "images/a{case}.nii.gz")
    save(root / "labels/a{case}.nii.gz", mask((8, 9, 12), 1))
    finding = next(f for f in check(root) if f.code == "D401")
    assert finding.remedy.count("{case}") == 4


@pytest.mark.parametrize("spacing", [(1, 1, 1.5), (1, 1, 1)], ids=["other sizes", "equal sizes"])
def test_a_label_elsewhere_tells_the_sizes_of_both(spacing: tuple[float, ...], tmp_path: Path) -> None:
    root = volumes(tmp_path / "raw", [1, 1])
    save(
        root / "labels/c0.nii.gz",
        mask(SHAPE, 1),
        np.array([[spacing[0], 0, 0, 5], [0, 1, 0, 0], [0, 0, spacing[2], 0], [0, 0, 0, 1.0]]),
    )
    (said,) = told(root, "D402")
    expected = "both have voxels of 1 x 1 x 1 mm" if spacing[2] == 1 else "its voxels are 1 x 1 x 1.5 mm, there 1 x 1 x 1 mm"
    assert expected in said


def test_an_empty_photograph_is_no_slice(tmp_path: Path) -> None:
    (finding,) = check(pictures(tmp_path / "raw", [1, 0, 1]))
    assert finding.code == "D311" and "slice" not in finding.remedy
