"""Weights follow the names of channels and labels, and what is shared computes what it computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets import DiffusionModelUNet
from transfer_samples import LABELS, SMALL, awake, frozen, images, started, table, tiny, written

from monai_hybrid.networks import HybridDiffusionUNet, transfer_weights, with_transfer
from monai_hybrid.weights import load_weights

T = torch.tensor([0, 321])


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_the_same_names_load_as_load_state_dict_does(tmp_path: Path, name: str) -> None:
    source = tiny()
    written(tmp_path, source, ["MR"])
    network, report = started(tmp_path / name)
    assert all(torch.equal(tensor, source.state_dict()[n]) for n, tensor in network.state_dict().items())
    assert report.counts == {"loaded": len(source.state_dict()), "adapted": 0, "new": 0, "dropped": 0}
    assert report.share == 1 and report.warnings == []


@pytest.mark.parametrize("path", [None, ""])
def test_without_a_path_the_network_is_untouched(tmp_path: Path, path: str | None) -> None:
    network = tiny()
    unchanged = frozen(network)
    assert with_transfer(network, path, table(LABELS), ["MR"], tmp_path / "logs") is network
    assert unchanged() and not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["MR"], ["T1", "T1c", "T2", "FLAIR"]),
        (["MR"], ["MR", "T2", "FLAIR"]),
        (["T1", "T1c", "T2", "FLAIR"], ["CT"]),
        (["T1", "T1c", "T2", "FLAIR"], ["T2"]),
        (["T1", "T1c", "T2", "FLAIR"], ["T1", "T1c", "T2", "FLAIR", "DWI", "ADC", "SWI"]),
        (["T1", "T2"], ["T1", "T2", "FLAIR"]),
        (["T1", "T2"], ["T1", "FLAIR"]),
        (["T1", "T2", "FLAIR"], ["FLAIR", "T1"]),
        (["T1", "T2"], ["CT", "PET", "T2", "DWI"]),
    ],
)
def test_the_same_image_in_all_channels_gives_the_same_mask(tmp_path: Path, old: list[str], new: list[str]) -> None:
    source = tiny(len(old))
    network, report = started(written(tmp_path, source, old), new)
    x, t = images().double(), T
    before = source.double()(x.expand(-1, len(old), -1, -1), t, True)
    after = network.double()(x.expand(-1, len(new), -1, -1), t, True)
    assert torch.allclose(after[:, len(new) :], before[:, len(old) :], atol=1e-5)
    if not set(old) & set(new):
        assert torch.allclose(after[:, : len(new)], before[:, : len(old)].mean(1, keepdim=True), atol=1e-5)
    assert all(sum(row["prediction"].values()) == pytest.approx(1) for row in report.channels)


def test_a_new_channel_is_heard(tmp_path: Path) -> None:
    network, _ = started(written(tmp_path, tiny(2), ["T1", "T2"]), ["T1", "T2", "FLAIR"])
    x = images(3)
    assert not torch.allclose(network(x), network(torch.cat([x[:, :2], -x[:, 2:]], 1)), atol=1e-4)


def test_permuted_channels_are_the_permutation_of_the_inputs(tmp_path: Path) -> None:
    source = tiny(3)
    network, report = started(written(tmp_path, source, ["T1", "T2", "FLAIR"]), ["flair", "T1", "t2"])
    order = [2, 0, 1]
    for old, new in ((0, 1), (1, 2), (2, 0)):
        given, own = source.state_dict()["conv_in.conv.weight"], network.state_dict()["conv_in.conv.weight"]
        assert torch.equal(given[:, old], own[:, new])
    x = images(3)
    before, after = source(x, T, True), network(x[:, order], T, True)
    assert torch.allclose(after[:, 3:], before[:, 3:], atol=1e-5)
    assert torch.allclose(after[:, :3], before[:, order], atol=1e-5)
    assert report.counts["adapted"] == 3 and report.share == 1


def test_kernels_of_channels_that_are_gone_go_to_the_new_ones(tmp_path: Path) -> None:
    source = tiny(3)
    network, report = started(written(tmp_path, source, ["T1", "T2", "DWI"]), ["FLAIR", "T1"])
    given, own = source.state_dict(), network.state_dict()
    name = "conv_in.conv.weight"
    assert torch.equal(own[name][:, 1], given[name][:, 0])
    assert torch.allclose(own[name][:, 0], given[name][:, 1] + given[name][:, 2])
    assert torch.equal(own["out.2.conv.bias"][1], given["out.2.conv.bias"][0])
    assert torch.allclose(own["out.2.conv.weight"][0], given["out.2.conv.weight"][1:].mean(0))
    assert report.channels[0] == {"channel": "FLAIR", "input": {"T2": 1, "DWI": 1}, "prediction": {"T2": 0.5, "DWI": 0.5}}
    assert report.channels[1] == {"channel": "T1", "input": {"T1": 1}, "prediction": {"T1": 1}}


def test_one_channel_of_three_hears_the_sum_and_predicts_its_own(tmp_path: Path) -> None:
    source = tiny(3)
    given = source.state_dict()
    network, _ = started(written(tmp_path, source, ["T1", "T2", "DWI"]), ["T2"])
    own = network.state_dict()
    assert torch.allclose(own["conv_in.conv.weight"], given["conv_in.conv.weight"].sum(1, keepdim=True), atol=1e-6)
    assert torch.equal(own["out.2.conv.weight"], given["out.2.conv.weight"][1:2])
    network, report = started(tmp_path / "model.safetensors", ["CT"])
    assert torch.allclose(network.state_dict()["out.2.conv.weight"][0], given["out.2.conv.weight"].mean(0), atol=1e-6)
    assert any("no channel has a name of the file (T1, T2, DWI)" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("labels", "rows", "renamed"),
    [
        (["background", "tumour", "left ventricle"], [0, 2, 1], None),
        (["background", "Left_Ventricle"], [0, 1], None),
        (["Background", "oedema", "TUMOUR", "left-ventricle", "cyst"], [0, None, 2, 1, None], None),
        (["background", "LV", "lesion"], [0, 1, 2], {"LV": "Left Ventricle", "lesion": "tumour"}),
        (["background", "tumour core", "tumour rim"], [0, 2, 2], {"tumour core": "tumour", "tumour rim": "tumour"}),
        (["background", "tumour"], [0, None], {"tumour": None}),
    ],
)
def test_mask_rows_follow_the_names_of_the_labels(tmp_path: Path, labels: list, rows: list, renamed: dict | None) -> None:
    source = tiny()
    fresh = tiny(1, len(labels), seed=9).state_dict()
    network, report = started(written(tmp_path, source, ["MR"]), labels=labels, label_map=renamed)
    x, shared = images(), [i for i, row in enumerate(rows) if row is not None]
    after, before = network(x), source(x)
    assert torch.allclose(after[:, shared], before[:, [rows[i] for i in shared]], atol=1e-5)
    new = [i for i, row in enumerate(rows) if row is None]
    for name in ("out.mask.conv.weight", "out.mask.conv.bias"):
        assert torch.equal(network.state_dict()[name][new], fresh[name][new])
    assert [row["row"] for row in report.labels] == rows
    assert report.dropped_labels == [name for i, name in enumerate(LABELS) if i not in rows]


def test_the_order_of_the_label_list_does_not_count_its_index_does(tmp_path: Path) -> None:
    source, network = tiny(), tiny(seed=9)
    transfer_weights(network, written(tmp_path, source, ["MR"]), table(LABELS)[::-1], ["MR"])
    assert torch.equal(network(images()), source(images()))


def test_stock_weights_give_the_body_and_leave_the_labels_new(tmp_path: Path) -> None:
    stock = awake(DiffusionModelUNet(2, 1, 1, attention_levels=(False, False), use_flash_attention=True, **SMALL))
    torch.save(stock.state_dict(), tmp_path / "stock.pt")
    network, report = started(tmp_path / "stock.pt")
    assert torch.allclose(network(images(), T, True)[:, :1], stock(images(), T), atol=1e-5)
    assert report.names("new") == ["out.mask.conv.weight", "out.mask.conv.bias"]
    assert all(row["source"] is None for row in report.labels) and 0.9 < report.share < 1
    assert "the file has no mask rows: all labels start fresh" in report.warnings


def test_a_stock_segmenter_has_no_image_rows(tmp_path: Path) -> None:
    stock = awake(DiffusionModelUNet(2, 1, 5, attention_levels=(False, False), use_flash_attention=True, **SMALL))
    torch.save(stock.state_dict(), tmp_path / "stock.pt")
    network, report = started(tmp_path / "stock.pt")
    assert torch.equal(network.state_dict()["out.2.conv.bias"], tiny(seed=9).state_dict()["out.2.conv.bias"])
    assert report.names("dropped") == ["out.2.conv.weight", "out.2.conv.bias"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_without_a_card_positions_are_used_and_said(tmp_path: Path, prefix: str) -> None:
    source = tiny(2)
    torch.save({prefix + name: tensor for name, tensor in source.state_dict().items()}, tmp_path / "raw.pt")
    network, report = started(tmp_path / "raw.pt", ["a", "b"], ["background", "x", "y", "z"])
    assert torch.equal(network(images(2))[:, :3], source(images(2)))
    assert [row["source"] for row in report.labels] == ["label 0", "label 1", "label 2", None]
    assert [row["input"] for row in report.channels] == [{"channel 0": 1}, {"channel 1": 1}]
    assert [text.split(";")[0] for text in report.warnings] == [
        "the file has no card: label i continues row i of the file",
        "the file has no card: image channel i continues channel i of the file",
    ]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_become_the_network_s(tmp_path: Path, dtype: torch.dtype) -> None:
    source = tiny(2)
    written(tmp_path, source.to(dtype), ["T1", "T2"])
    network, report = started(tmp_path / "model.safetensors", ["T2"])
    assert {weight.dtype for weight in network.parameters()} == {torch.float32} and report.share == 1
    given = load_weights(tmp_path / "model.pt")["conv_in.conv.weight"].float()
    assert torch.allclose(network.state_dict()["conv_in.conv.weight"], given.sum(1, keepdim=True))


def test_three_dimensions_work_as_two(tmp_path: Path) -> None:
    source = tiny(2, dims=3)
    written(tmp_path, source, ["T1", "T2"])
    network = tiny(1, 2, seed=9, dims=3)
    transfer_weights(network, tmp_path / "model.pt", table(["background", "tumour"]), ["T2"])
    x = torch.randn(1, 1, 8, 4, 6)
    assert torch.allclose(network(x), source(x.expand(-1, 2, -1, -1, -1))[:, [0, 2]], atol=1e-5)


def test_the_started_network_trains_every_parameter(tmp_path: Path) -> None:
    network, _ = started(written(tmp_path, tiny(), ["MR"]), ["T1", "T2"], ["background", "cyst"])
    assert isinstance(network, HybridDiffusionUNet) and all(weight.requires_grad for weight in network.parameters())
    network.train()(images(2), T, True).square().sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize(
    ("source", "target", "warned"),
    [("label_1", "label_255", False), ("vessel", "label_255", True), ("vessel", "tumour", True), ("vessel", "Vessel", False)],
)
def test_the_only_class_continues_the_only_class(tmp_path: Path, source: str, target: str, warned: bool) -> None:
    path = written(tmp_path, tiny(1, 2), ["MR"], ["background", source])
    _, report = started(path, labels=["background", target])
    assert [row["row"] for row in report.labels] == [0, 1] and report.dropped_labels == []
    told = f"the only class {target} continues the file's only class {source}, though the names differ"
    assert any(told in line for line in report.warnings) is warned
    _, report = started(path, labels=["background", target], label_map={target: None})
    assert [row["row"] for row in report.labels] == [0, None]


def test_of_several_classes_none_is_the_only_one(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(1, 3), ["MR"], ["background", "label_1", "label_2"])
    assert [row["row"] for row in started(path, labels=["background", "label_255"])[1].labels] == [0, None]


def test_a_network_without_domains_takes_the_target_s(tmp_path: Path) -> None:
    source, x = tiny(num_domains=2), images()
    network, report = started(written(tmp_path, source, ["MR"], num_domains=2))
    for t in (torch.zeros(2), T):
        torch.testing.assert_close(network(x, t, True), source(x, t, True), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(network(x, t, True), source(x, t, True, torch.tensor([0])), atol=1e-3)
    assert report.share == 1 and any("for scans of the target" in text for text in report.warnings)


def test_a_network_with_domains_starts_with_two_equal_ones(tmp_path: Path) -> None:
    source, x = tiny(), images()
    network = HybridDiffusionUNet(2, 1, 3, **SMALL, num_domains=2).eval()
    transfer_weights(network, written(tmp_path, source, ["MR"]), table(LABELS), ["MR"])
    for labels in (None, torch.tensor([0, 1])):
        assert torch.equal(network(x, T, True, labels), source(x, T, True))


def test_a_class_embedding_of_another_meaning_is_left_out(tmp_path: Path) -> None:
    """A stock network's classes are no domains: no card says so."""
    source = tiny(num_domains=2)
    network, report = started(written(tmp_path, source, ["MR"]))
    assert torch.equal(network.state_dict()["time_embed.2.bias"], source.state_dict()["time_embed.2.bias"])
    assert "class_embedding.weight" in report.names("dropped")
