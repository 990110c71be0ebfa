"""A flag of all masks is said once, at the top; what is a case's own stays with it."""

from __future__ import annotations

from pathlib import Path

import pytest
import view_samples
from view_samples import predicted

from monai_hybrid.reporting.inputs import read_inputs
from monai_hybrid.reporting.report import page, render
from monai_hybrid.reporting.shared_flags import shared_flags, without

SHAPES = "its classes are no structures"
OWN = "compared with the other cases: unsure over the foreground"


@pytest.mark.parametrize("kind", ["volumes", "pictures"])
def test_what_all_masks_have_is_said_once(kind: str, tmp_path: Path) -> None:
    images = getattr(view_samples, kind)(tmp_path / "masks/images")
    first, second, third = images
    flags = {first: SHAPES, second: f"{SHAPES}; {OWN}", third: f"no LV found; {SHAPES}"}
    folder = predicted(tmp_path / "masks", images, flag=flags)
    inputs = read_inputs(folder)
    shown = page(inputs, "")
    assert f"All 3 masks have this flag: {SHAPES}." in shown["cautions"] and "3 of them flagged" in shown["verdict"]
    assert render(inputs).count(SHAPES) == 1
    assert {case["case"]: case["flag"] for case in shown["predicted"]["cases"]} == {
        first: "",
        second: OWN,
        third: "no LV found",
    }
    assert shown["predicted"]["cases"][-1]["case"] == first, "those with a flag of their own come first"


@pytest.mark.parametrize("kind", ["volumes", "photographs"])
def test_photographs_have_no_slices(kind: str, tmp_path: Path) -> None:
    images = getattr(view_samples, "volumes" if kind == "volumes" else "pictures")(tmp_path / "masks/images")
    images.pop("flat", None)
    text = render(read_inputs(predicted(tmp_path / "masks", images)))
    assert ("The slice in which the mask is largest" in text) == (kind == "volumes") and "lagged cases first" in text


def test_flags_that_differ_stay_where_they_are(tmp_path: Path) -> None:
    images = view_samples.pictures(tmp_path / "masks/images")
    first, second, _ = images
    folder = predicted(tmp_path / "masks", images, flag={first: SHAPES, second: SHAPES})
    shown = page(read_inputs(folder), "")
    assert list(shown["cautions"]) == []
    assert sorted(case["flag"] for case in shown["predicted"]["cases"]) == ["", SHAPES, SHAPES]
    assert sum(cell.text == SHAPES for row in shown["quality"].rows for cell in row) == 2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ()),
        (["a"], ()),
        (["a", "a"], ()),
        (["a", "a; b", "b; a"], ("a",)),
        (["b; a", "a; b", "b; a; c"], ("b", "a")),
        (["", "", ""], ()),
        (["a", "a", "a", ""], ()),
    ],
    ids=str,
)
def test_shared_are_those_of_all_of_at_least_three(flags: list[str], expected: tuple[str, ...]) -> None:
    rows = [{"status": "done", "flag": flag} for flag in flags] + [{"status": "failed", "flag": ""}]
    assert tuple(one.said for one in shared_flags(rows)) == expected


LOW = "predicted Dice {} ({} to 0.89), lower than on all 20 held-out cases, from 0.82; 1 of 21 usual cases is flagged so"
OF_TWO = "predicted Dice 0.6 (lowest: {}, 0.5 to 0.7), lower than on all 20 held-out cases of the model"


def test_reasons_that_differ_in_numbers_are_said_once_and_each_case_keeps_its_own() -> None:
    flags = [LOW.format(0.78, 0.59), f"no LV found; {LOW.format(0.7, 0.59)}", LOW.format(0.66, 0.5)]
    (shared,) = shared_flags([{"flag": flag} for flag in flags])
    assert shared.said == "predicted Dice, lower than on all 20 held-out cases, from 0.82; 1 of 21 usual cases is flagged so"
    own = [without(flag, [shared]) for flag in flags]
    assert own[0] == "predicted Dice 0.78 (0.59 to 0.89)" and own[1] == "no LV found; predicted Dice 0.7 (0.59 to 0.89)"
    (shared,) = shared_flags([{"flag": OF_TWO.format(name)} for name in ("LV", "RV", "LV")])
    assert shared.said == "predicted Dice 0.6 \N{HORIZONTAL ELLIPSIS}, lower than on all 20 held-out cases of the model"
    assert without(OF_TWO.format("RV"), [shared]) == "predicted Dice 0.6 (lowest: RV, 0.5 to 0.7)"
