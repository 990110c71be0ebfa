"""The scans to label next in a report: beside predictions, in a folder of their own, and from a stranger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_samples import EVIL, Page, dump, evaluation

from monai_hybrid import api
from monai_hybrid.errors import DataError
from monai_hybrid.reporting.report import write_report

SCAN = {"label_next": "", "entropy_foreground": "-", "denoising_error": "-", "image": "a.png"}


def suggestion(folder: Path, **other: Any) -> Path:
    """Three scans of which two were chosen, one that has a label, and one that could not be read."""
    folder.mkdir(exist_ok=True)
    scans = [
        {**SCAN, "label_next": 1, "case_id": "second", "entropy_foreground": "0.4", "denoising_error": "0.25"},
        {**SCAN, "label_next": 2, "case_id": "first", "entropy_foreground": "0.1"},
        {**SCAN, "case_id": EVIL},
    ]
    content = {"format_version": 1, "model": "M", "order": "error", "suggested": ["second", "first"], "scans": scans}
    failed = [{"case_id": "broken", "why": "no picture"}]
    dump(folder / "suggestion.json", {**content, "labelled": ["known"], "failed": failed, **other})
    return folder


def test_suggested_scans_have_a_page_of_their_own(tmp_path: Path) -> None:
    html = write_report(suggestion(tmp_path)).read_text()
    page = Page(html)
    assert (
        "To label next: second, first, of 3 scans without a label (the scan that the model denoises worst first)." in page.text
    )
    assert "1 scan could not be read and is left out: broken: no picture" in page.text
    assert "1 scan with a label counted as known." in page.text and "suggestions" in page.ids
    assert EVIL not in html and EVIL in page.text and "Not in this report" not in page.text
    assert "Predicted Dice" not in page.text


def test_suggested_scans_stand_beside_predictions_with_their_predicted_dice(tmp_path: Path) -> None:
    suggestion(tmp_path / "next")
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "quality.csv").write_text("case_id,status,flag,predicted_dice\nsecond,done,look here,0.31\nother,done,,0.9\n")
    assert "suggestions" not in Page(write_report(masks).read_text()).ids, "not without being named"
    page = Page(api.report(masks, suggestions=tmp_path / "next").read_text())
    assert "2 cases predicted, 1 of them flagged." in page.text and "suggestions" in page.ids
    own = page.text.split("Scans to label next")[1].split("Predicted cases")[0]
    assert "Predicted Dice" in own and "0.31" in own and "look here" in own
    assert f"report {masks} --suggestions {tmp_path / 'next'}" in page.text
    suggestion(masks)
    assert "suggestions" in Page(write_report(masks).read_text()).ids, "where it lies in the folder it is shown unasked"


def test_suggested_scans_stand_beside_an_evaluation(tmp_path: Path) -> None:
    evaluation(tmp_path / "eval")
    page = Page(write_report(suggestion(tmp_path)).read_text())
    assert "Mean Dice" in page.text and "suggestions" in page.ids


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no suggestion.json there. Type: monai-hybrid suggest"),
        ({"model": "M"}, "lacks order, suggested, scans; expected what monai-hybrid suggest"),
        ({"model": "M", "order": {}, "suggested": [], "scans": []}, "order is no word; expected what monai-hybrid suggest"),
        ({"model": "M", "order": "o", "suggested": 3, "scans": []}, "next/suggestion.json: suggested is no list; expected"),
        ({"model": "M", "order": "o", "suggested": [], "scans": [1]}, "scans is no list, each with case_id, denoising_error,"),
        (
            {"model": "M", "order": "o", "suggested": [], "scans": [], "failed": [{}]},
            "failed is no list, each with case_id, why",
        ),
        ([1], "holds a list; expected a JSON object"),
    ],
    ids=["none", "partial", "order", "suggested", "scans", "failed", "list"],
)
def test_what_suggest_did_not_write_is_one_sentence(tmp_path: Path, content: Any, said: str) -> None:
    masks, named = tmp_path / "masks", tmp_path / "next"
    masks.mkdir(), named.mkdir()
    (masks / "quality.csv").write_text("case_id,status\na,done\n")
    if content is not None:
        dump(named / "suggestion.json", content)
    with pytest.raises(DataError, match=said):
        write_report(masks, suggestions=named)
    assert not (masks / "report.html").exists()
