"""Of pictures and other 2D images no sentence says voxels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from data_prep.amounts import cells
from data_prep.check import checked
from data_prep.plan import make_plan
from monai_hybrid.errors import DataError
from monai_hybrid.evaluation.tolerance import choose_tolerance
from monai_hybrid.transforms.classes import to_classes

CELLS = pytest.mark.parametrize(("dims", "word"), [(2, "pixel"), (3, "voxel")])


def saved(root: Path, dims: int, image: Any, label: Any) -> Path:
    for folder, content in (("images", image), ("labels", label)):
        (root / folder).mkdir(parents=True)
        flat = np.asarray(content).reshape((*content.shape, 1)) if dims == 2 else content
        nib.save(nib.Nifti1Image(flat, np.eye(4)), root / folder / "a.nii.gz")
    return root


@CELLS
@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("image", np.nan, "1 of {n} {word}s are not finite (NaN or Inf), first at {word} ({first})"),
        ("label", np.nan, "1 {word}s are not finite, first at {word} ({first})"),
        ("label", 1.5, "1 {word}s hold values that are not whole numbers: 1.5, first at {word} ({first})"),
        ("label", -1, "negative values -1 in 1 {word}s, first at {word} ({first})"),
        ("label", 7, "values 7 are not declared; declared are 0, 1; 1 {word}s, first at {word} ({first})"),
    ],
    ids=["image NaN", "label NaN", "fraction", "negative", "undeclared"],
)
def test_findings_about_some_of_them(dims: int, word: str, where: str, value: float, said: str, tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((12,) * dims).astype(np.float32)
    label = np.zeros((12,) * dims, np.float32)
    label[2:6, 2:6] = 1
    (image if where == "image" else label)[(3,) * dims] = value
    found = checked(saved(tmp_path, dims, image, label), label_names="1=blob").findings
    expected = said.format(word=word, n=12**dims, first=", ".join(["3"] * dims))
    sentences = [finding.sentence for finding in found]
    assert any(sentence.startswith(expected) for sentence in sentences), sentences
    other = "voxel" if word == "pixel" else "pixel"
    assert not re.search(rf"\b{other}s?\b", " ".join(sentences))


@CELLS
def test_a_plan_says_what_its_patch_is_made_of(dims: int, word: str) -> None:
    facts = {"spacing": {"median": [1.0] * dims}, "shape": {"median": [512] * dims}, "spacing_known": dims == 3}
    reasons = " ".join(make_plan({"spatial_dims": dims, "modality": "MRI", "fingerprint": facts}, "cpu")["reasons"])
    assert re.search(rf"capped at \d+ {word}s", reasons), reasons
    assert f"median training case is 512 x 512{' x 512' * (dims - 2)} {word}s" in reasons


@CELLS
def test_the_rest_of_the_sentences(dims: int, word: str) -> None:
    assert cells(dims) == f"{word}s"
    assert choose_tolerance(None, "mm", [0.1] * dims).reason.startswith(f"3 {word}s of 0.1 mm, because the usual 2 mm are 20")
    with pytest.raises(DataError, match=f"a.png: 1 {word}s hold values that are not classes, the first is 9"):
        to_classes(np.array([[0, 1, 9]]).reshape((1, 3) if dims == 2 else (1, 1, 3)), [0, 1], [0, 1], "a.png")


def test_one_size_of_a_structure_is_no_range() -> None:
    from data_prep.summary import _label

    volume = {"background": {}, "blob": {"min": 5.0, "max": 5.0}}
    facts = {"label_cases": {"blob": 1}, "foreground_volume": volume, "foreground_volume_unit": "pixels"}
    assert _label({"name": "blob"}, facts) == "blob: in 1 case, in training 5 pixels"
    volume["blob"]["max"], facts["label_cases"] = 7.0, {"blob": 2}
    assert _label({"name": "blob"}, facts) == "blob: in 2 cases, in training 5 to 7 pixels"
