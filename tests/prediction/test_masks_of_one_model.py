"""A folder holds the masks of one model: another one is refused, or its rows are told apart."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from pathlib import Path

import pytest

from monai_hybrid.catalogue.folder import ELSEWHERE, names, weights_file
from monai_hybrid.errors import ConfigError
from monai_hybrid.prediction.expected import write_trust
from monai_hybrid.prediction.table import MODEL, WEIGHTS, QualityTable


def labels(*names: str) -> list[dict[str, object]]:
    return [{"name": name, "value": i, "index": i} for i, name in enumerate(("background", *names))]


def table(folder: Path, model: str = "first", overwrite: bool = False, structures: tuple[str, ...] = ("LV",)) -> QualityTable:
    weights = folder / f"{model}.pt"
    weights.write_bytes(model.encode())
    return QualityTable(str(folder / "masks"), labels(*structures), str(weights), overwrite=overwrite)


def done(of: QualityTable, *cases: str, error: float = 0.1) -> QualityTable:
    of.open()
    for case in cases:
        of.add(case, status="done", image=f"{case}.png", mask=f"{case}_seg.png", made_from="0", denoising_error=error)
    return of


def test_the_same_model_goes_on_and_its_rows_name_it(tmp_path: Path) -> None:
    done(table(tmp_path), "a").finish()
    again = done(table(tmp_path), "b")
    again.finish()
    rows = list(csv.DictReader(io.StringIO(again.path.read_text())))
    assert [row["case_id"] for row in rows] == ["a", "b"]
    assert {row[MODEL] for row in rows} == {str(tmp_path / "first.pt")} and {row[WEIGHTS] for row in rows} == {again.digest}
    (tmp_path / "moved.pt").write_bytes(b"first")
    QualityTable(str(tmp_path / "masks"), labels("LV"), str(tmp_path / "moved.pt")).open()


def test_another_model_is_refused_and_both_are_named(tmp_path: Path) -> None:
    before = done(table(tmp_path), "a", "b").path.read_bytes()
    with pytest.raises(ConfigError) as refused:
        table(tmp_path, "second").open()
    said = str(refused.value)
    assert re.search(r"masks: 2 masks in it, such as that of a, are of another model: \S+first\.pt \(\w{16}\); now", said)
    assert "second.pt (" in said and "masks_2, or --overwrite True" in said
    assert (tmp_path / "masks/quality.csv").read_bytes() == before


def test_overwriting_leaves_no_doubt_whose_a_row_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done(table(tmp_path), "a", "b", error=0.9).finish()
    second = done(table(tmp_path, "second", overwrite=True), *"bcdef")
    with caplog.at_level(logging.WARNING):
        second.finish()
    assert "1 masks are of another model still, such as that of a" in caplog.text
    write_trust(second, {"reference": {"denoising_error": [0.1, 0.1, 0.1]}})
    (test,) = json.loads((tmp_path / "masks/trust.json").read_text())["batch"]["tests"]
    assert test["cases"] == 5 and second.rows["a"]["flag"] == "", "the first model's row is compared with nothing"
    caplog.clear()
    done(table(tmp_path, "second", overwrite=True), "a").finish()
    assert "another model" not in caplog.text


def test_a_model_of_the_package_is_named_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ELSEWHERE, raising=False)
    name = names()[0]
    for given in (name, str(weights_file(name))):
        assert QualityTable(str(tmp_path), labels("LV"), given).named == name
    assert QualityTable(str(tmp_path), labels("LV"), f"elsewhere/{name}.safetensors").named == f"elsewhere/{name}.safetensors"


def test_failed_cases_of_another_model_are_no_masks(tmp_path: Path) -> None:
    first = table(tmp_path)
    first.open()
    first.add("a", status="failed", error="damaged")
    second = done(table(tmp_path, "second"), "b")
    assert [(name, row["status"]) for name, row in second.rows.items()] == [("a", "failed"), ("b", "done")]


def test_tables_that_name_no_model(tmp_path: Path) -> None:
    """Of an earlier version: the same structures go on, others are another model's."""
    old = done(table(tmp_path), "a")
    rows = list(csv.DictReader(io.StringIO(old.path.read_text())))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [name for name in old.columns if not name.startswith(MODEL)], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    old.path.write_text(text.getvalue())
    with pytest.raises(ConfigError, match="are of another model: other structures; now given is"):
        table(tmp_path, "second", structures=("LV", "RV")).open()
    second = table(tmp_path, "second")
    second.open()
    assert second.rows["a"][WEIGHTS] == "" and second.own
    second.seen("a", "digest")
    assert second.rows["a"][WEIGHTS] == second.digest, "its hash was compared, and was the same"


def test_a_failure_leaves_the_mask_that_is_there_to_its_model(tmp_path: Path) -> None:
    """Another model cannot take the image: the mask beside the row is the first one's still, and so it is refused later."""
    first = done(table(tmp_path), "a", "b")
    (tmp_path / "masks/a_seg.png").write_bytes(b"mask")
    second = table(tmp_path, "second", overwrite=True, structures=("RV",))
    second.open()
    for case in "ab":
        second.add_failure(case, "three channels")
    second.finish()
    rows = {row["case_id"]: row for row in csv.DictReader(io.StringIO(second.path.read_text()))}
    assert rows["a"]["error"] == f"three channels. The mask a_seg.png is an earlier one by {tmp_path / 'first.pt'}"
    assert (rows["a"]["mask"], rows["a"][WEIGHTS]) == ("a_seg.png", first.digest)
    assert (rows["b"]["error"], rows["b"]["mask"], rows["b"][WEIGHTS]) == ("three channels", "", second.digest)
    with pytest.raises(ConfigError, match="1 masks in it, such as that of a, are of another model"):
        table(tmp_path, "second", structures=("RV",)).open()
