"""A table of an earlier version, which lacks the digest of images, goes on: finished cases stay finished and get theirs."""

from __future__ import annotations

from pathlib import Path

from monai_hybrid.prediction.table import LATER, QualityTable

LABELS = [{"name": name, "value": i, "index": i} for i, name in enumerate(("background", "LV"))]


def test_rows_without_a_digest_are_kept(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    table = QualityTable(str(tmp_path / "masks"), LABELS, str(tmp_path / "model.pt"))
    table.open()
    table.add("a", status="done", image="a.png", mask="a_seg.png", made_from="0")
    columns = [name for name in table.columns if name != LATER]
    row = table.rows["a"]
    table.path.write_text("\n".join([",".join(columns), ",".join(row[name] for name in columns)]) + "\n")
    again = QualityTable(str(tmp_path / "masks"), LABELS, str(tmp_path / "model.pt"))
    again.open()
    assert again.rows["a"] == {**row, LATER: ""}
    again.seen("a", "d1")
    again.seen("not there", "d2")
    again.finish()
    assert LATER in table.path.read_text().splitlines()[0] and "d1" in table.path.read_text()
