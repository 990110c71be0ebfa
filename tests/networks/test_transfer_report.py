"""The report of a transfer: numbers that add up, in JSON, in a text and in the log."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch.distributed as dist
from transfer_samples import LABELS, SMALL, started, table, tiny, written

from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.networks import HybridDiffusionUNet, transfer_weights, with_transfer
from monai_hybrid.weights import save_weights

NEW = ["background", "oedema", "left ventricle", "cyst"]


def test_the_numbers_add_up(tmp_path: Path) -> None:
    network, report = started(written(tmp_path, tiny(2), ["T1", "T2"]), ["T2", "FLAIR", "DWI"], NEW)
    sizes = {name: tensor.numel() for name, tensor in network.state_dict().items()}
    assert report.parameters == sum(sizes.values())
    fresh = sizes["out.mask.conv.weight"] // 2 + 2
    assert report.taken == report.parameters - fresh and report.share == pytest.approx(1 - fresh / report.parameters)
    assert report.counts == {"loaded": len(sizes) - 5, "adapted": 5, "new": 0, "dropped": 0}
    how = {entry.name: entry.how for entry in report.tensors if entry.status == "adapted"}
    assert how["conv_in.conv.weight"] == "2 -> 3 input channels" and how["out.2.conv.bias"] == "2 -> 3 rows"
    assert how["out.mask.conv.weight"] == "3 -> 4 rows, 2 fresh"


def test_it_is_logged_in_one_block_and_written_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, tiny(), ["MR"])
    with caplog.at_level(logging.INFO, logger="monai_hybrid.transfer"):
        with_transfer(tiny(1, 4, seed=9), path, table(NEW), ["MR"], tmp_path / "out/logs")
    (record,) = caplog.records
    text = record.getMessage()
    assert record.levelno == logging.INFO and (tmp_path / "out/logs/transfer.txt").read_text() == text + "\n"
    lines = text.splitlines()
    assert lines[0].startswith(f"weights from {path}: 9") and lines[0].endswith(" parameters")
    assert "  tensors   114 loaded, 2 adapted, 0 new, 0 dropped" in lines
    assert "  channel   MR <- MR" in lines
    assert "  label     background <- background (row 0)" in lines
    assert "  label     oedema <- new, fresh initialisation" in lines
    assert "  label     left ventricle <- left ventricle (row 1)" in lines
    assert "  dropped   label tumour" in lines
    assert "  adapted   out.mask.conv.weight: 3 -> 4 rows, 2 fresh" in lines
    content = json.loads((tmp_path / "out/logs/transfer.json").read_text())
    assert content["format_version"] == 1 and content["source"] == str(path) and content["counts"]["adapted"] == 2
    assert content["labels"][2] == {"label": "left ventricle", "source": "left ventricle", "row": 1}
    assert content["channels"] == [{"channel": "MR", "input": {"MR": 1}, "prediction": {"MR": 1}}]
    assert len(content["tensors"]) == 116 and content["dropped_labels"] == ["tumour"]


def test_weights_of_channels_are_shown(tmp_path: Path) -> None:
    _, report = started(written(tmp_path, tiny(2), ["T1", "T2"]), ["T1", "T2", "FLAIR"])
    lines = report.text().splitlines()
    assert "  channel   T1 <- 0.667 T1" in lines and "  channel   FLAIR <- 0.333 T1 + 0.333 T2" in lines


def test_warnings_are_logged_as_such(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, tiny(), ["MR"])
    path.unlink()
    with_transfer(tiny(seed=9), tmp_path / "model.pt", table(LABELS), ["MR"])
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert not any("tensors" in text for text in warned), "the table is no warning"
    assert warned[0] == "the file has no card: label i continues row i of the file; check the order of the labels"


def test_no_class_in_common_is_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(), ["MR"])
    _, report = started(path, labels=["background", "lesion"])
    assert report.warnings == [
        "no class has a name of the file (background, left ventricle, tumour): if one is the same, type "
        "--label_map \"{'lesion': 'tumour'}\""
    ]
    assert started(path, labels=["background", "lesion"], label_map={"Lesion": None})[1].warnings == [], "it was answered"
    assert len(started(path, labels=["background", "lesion"], label_map={"background": None})[1].warnings) == 1
    assert started(path, labels=["background", "tumour"])[1].warnings == []


def test_shapes_have_no_names_to_compare(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(), ["MR"], plan={"universal": True})
    assert started(path, labels=["background", "lesion"])[1].warnings == []
    one = written(tmp_path / "one", tiny(1, 2), ["MR"], ["background", "ellipsoid"], plan={"universal": True})
    assert started(one, labels=["background", "liver"])[1].warnings == []


def test_settings_that_change_no_shape_are_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(), ["MR"], norm_num_groups=4, num_head_channels=[4, 4])
    assert [text.split(":")[0] for text in started(path)[1].warnings] == [
        "norm_num_groups was 4, here it is 8",
        "num_head_channels was 4, here it is 8",
    ]


def test_a_long_list_is_cut_in_the_text_only(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(2), ["T1", "T2"], LABELS)
    network = HybridDiffusionUNet(2, 1, 3, **{**SMALL, "channels": (8, 24)})
    report = transfer_weights(network, path, table(LABELS), ["T1"], minimum_share=0, allow_partial=True)
    more = report.counts["new"] - 6
    assert f"  new       ... and {more} more, see transfer.json" in report.text().splitlines()
    assert len([e for e in report.to_dict()["tensors"] if e["status"] == "new"]) == more + 6


def test_only_rank_0_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, tiny(), ["MR"])
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    for rank in (1, 0):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        network = with_transfer(tiny(seed=9), path, table(LABELS), ["MR"], tmp_path / str(rank))
        assert (network.state_dict()["conv_in.conv.bias"] == tiny().state_dict()["conv_in.conv.bias"]).all()
        assert (tmp_path / str(rank) / "transfer.json").exists() == (rank == 0)
    assert len([r for r in caplog.records if r.name == "monai_hybrid.transfer"]) <= 1


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"transfer\.json: cannot be written"):
        with_transfer(tiny(seed=9), written(tmp_path, tiny(), ["MR"]), table(LABELS), ["MR"], tmp_path / "file/logs")


def test_one_channel_of_another_name_needs_no_warning(tmp_path: Path) -> None:
    _, report = started(written(tmp_path, tiny(), ["MR"]), ["CT"])
    assert report.warnings == [] and report.counts["adapted"] == 0
    assert report.channels == [{"channel": "CT", "input": {"MR": 1}, "prediction": {"MR": 1}}]


def test_a_card_without_mask_rows_leaves_the_labels_new(tmp_path: Path) -> None:
    weights = {name: tensor for name, tensor in tiny().state_dict().items() if not name.startswith("out.mask")}
    save_weights(weights, tmp_path, {"labels": table(LABELS), "channels": ["MR"]})
    _, report = started(tmp_path / "model.pt")
    assert [row["source"] for row in report.labels] == [None] * 3 and report.dropped_labels == []
    assert report.warnings == ["the file has no mask rows: all labels start fresh"]
