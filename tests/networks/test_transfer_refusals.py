"""What a transfer refuses, with the words that tell why, beside the twin that it takes; refused networks are unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transfer_samples import LABELS, frozen, images, table, tiny, written

from monai_hybrid.errors import ConfigError, HybridError, ModelFileError
from monai_hybrid.networks import HybridDiffusionUNet, transfer_weights
from monai_hybrid.weights import save_weights

FIRST = "conv_in.conv.weight"


def refused(error: type[HybridError], network: HybridDiffusionUNet, path: Path, **settings: Any) -> str:
    """The message; the network must be as it was."""
    unchanged = frozen(network)
    given = {"labels": table(LABELS), "channels": ["MR"], **settings}
    with pytest.raises(error) as caught:
        transfer_weights(network, path, **given)
    assert unchanged()
    return str(caught.value)


def taken(network: HybridDiffusionUNet, path: Path, **settings: Any) -> float:
    return transfer_weights(network, path, **{"labels": table(LABELS), "channels": ["MR"], **settings}).share


def saved(path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict) -> Path:
    torch.save(change({name: tensor.clone() for name, tensor in tiny().state_dict().items()}), path)
    return path


def test_a_foreign_file_is_never_silent(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {f"net.{name}": tensor for name, tensor in weights.items()})
    for share in (0.0, 0.5):
        told = refused(ModelFileError, tiny(seed=9), path, minimum_share=share)
        assert "a.pt: 0 tensors loaded: no tensor fits this network. The file has net.conv_in.conv.weight, " in told
        assert "; expected conv_in.conv.weight, conv_in.conv.bias, " in told
        assert "Type the model file of a run: --pretrained <output_dir>/models/model.safetensors" in told
    assert taken(tiny(seed=9), saved(tmp_path / "a.pt")) == 1


def test_too_small_a_share_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {n: t for n, t in weights.items() if n.startswith(("conv_in", "time"))})
    told = refused(ModelFileError, tiny(seed=9), path)
    assert re.search(
        r"a\.pt: only \d+\.\d% of the network's \d+ parameters can be taken from this file, expected at least 50%", told
    )
    assert "Without a source: down_blocks.0.resnets.0.norm1.weight, " in told
    share = float(told.rsplit("--minimum_share ", 1)[1])
    assert 0 < share < 0.5 and share <= taken(tiny(seed=9), path, minimum_share=share) < 0.5


def test_half_a_body_above_the_share_is_taken_and_said(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {n: t for n, t in weights.items() if not n.startswith("time")})
    report = transfer_weights(tiny(seed=9), path, table(LABELS), ["MR"])
    assert "4 tensors of the body are not in the file and start fresh (first: time_embed.0.weight)" in report.warnings


def test_another_body_is_refused_with_the_network_to_build(tmp_path: Path) -> None:
    path = written(tmp_path, tiny(channels=1), ["MR"])
    told = refused(ModelFileError, tiny_of((8, 24)), path)
    assert re.search(r"model\.safetensors: \d+ tensors of the body have another shape: down_blocks\.1\.resnets\.0\.conv1", told)
    assert "has shape (16, 8, 3, 3) in the file, (24, 8, 3, 3) in the network; " in told
    assert 'in plan.json put the settings of the 2D model, "network": {"channels": [8, 16], ' in told
    assert told.endswith("or take only what fits: --allow_partial True")
    share = taken(tiny_of((8, 24)), path, allow_partial=True, minimum_share=0)
    assert 0 < share < 1 and taken(tiny_of((8, 16)), path) == 1


def test_what_fits_of_another_body_is_taken_when_asked_for(tmp_path: Path) -> None:
    source, network = tiny(), tiny_of((8, 24))
    report = transfer_weights(
        network, written(tmp_path, source, ["MR"]), table(LABELS), ["MR"], minimum_share=0.05, allow_partial=True
    )
    assert torch.equal(network.state_dict()[FIRST], source.state_dict()[FIRST])
    assert set(report.names("dropped")) <= set(report.names("new")) and report.counts["dropped"] > 5
    assert "only 8.7% of the network's" in refused(
        ModelFileError, tiny_of((8, 24)), tmp_path / "model.pt", minimum_share=0.99, allow_partial=True
    )


def tiny_of(widths: tuple[int, ...]) -> HybridDiffusionUNet:
    network = HybridDiffusionUNet(2, 1, 3, channels=widths, num_res_blocks=1, norm_num_groups=8, num_head_channels=8)
    return network.eval()


def test_a_2d_model_does_not_start_a_3d_network(tmp_path: Path) -> None:
    told = refused(ModelFileError, tiny(dims=3), written(tmp_path, tiny(), ["MR"]))
    assert "conv_in.conv.weight has shape (8, 1, 3, 3) in the file, (8, 1, 3, 3, 3) in the network" in told
    assert "of the 2D model" in told


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", [FIRST, "time_embed.2.bias", "out.mask.conv.weight"])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float, name: str) -> None:
    def spoil(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        weights[name].view(-1)[2] = value
        return weights

    told = refused(ModelFileError, tiny(seed=9), saved(tmp_path / "a.pt", spoil))
    assert f"a.pt: {name} holds NaN or infinity (1 of " in told and "before the training went wrong" in told
    assert taken(tiny(seed=9), saved(tmp_path / "a.pt")) == 1


def test_nan_in_what_is_not_used_does_not_matter(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {**weights, "best": torch.tensor(float("nan"))})
    assert taken(tiny(seed=9), path) == 1


def test_weights_too_large_for_half_precision_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {**weights, "time_embed.0.bias": torch.full((32,), 1e6)})
    assert "time_embed.0.bias holds NaN or infinity (32 of 32 values as torch.float16)" in refused(
        ModelFileError, tiny(seed=9).half(), path
    )
    assert taken(tiny(seed=9), path) == 1


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda weights: {**weights, FIRST: (100 * weights[FIRST]).to(torch.int8)})
    assert f"{FIRST} is of type torch.int8, expected floating-point weights" in refused(ModelFileError, tiny(seed=9), path)


@pytest.mark.parametrize(
    ("side", "what", "names"),
    [
        ("file", "labels of the model file", ["background", "Left Ventricle", "left_ventricle"]),
        ("network", "labels of the network", ["background", "Left Ventricle", "left-ventricle"]),
    ],
)
def test_two_labels_of_one_name_are_refused(tmp_path: Path, side: str, what: str, names: list[str]) -> None:
    source = written(tmp_path, tiny(), ["MR"], names if side == "file" else LABELS)
    told = refused(ModelFileError, tiny(seed=9), source, labels=table(names if side == "network" else LABELS))
    assert told.startswith(
        f"{what}: 'Left Ventricle' and '{names[2]}' are the same name (case, spaces, hyphens and underscores "
    )
    assert told.endswith("rename one of them in dataset.json")
    assert taken(tiny(seed=9), written(tmp_path, tiny(), ["MR"])) == 1


def test_two_channels_of_one_name_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, tiny(2), ["T1", "t1"])
    told = refused(ModelFileError, tiny(2, seed=9), source, channels=["T1", "T2"])
    assert told.startswith("channels of the model file: 'T1' and 't1' are the same name")


@pytest.mark.parametrize(
    ("label_map", "told"),
    [
        ({"tumuor": "tumour"}, "--label_map: label of the network: got 'tumuor': did you mean 'tumour'?"),
        (
            {"tumour": "xyz"},
            "--label_map: label of the model file: got 'xyz': expected one of background, left ventricle, tumour",
        ),
    ],
)
def test_a_map_with_unknown_names_is_refused(tmp_path: Path, label_map: dict[str, str], told: str) -> None:
    path = written(tmp_path, tiny(), ["MR"])
    assert refused(ConfigError, tiny(seed=9), path, label_map=label_map) == told
    assert taken(tiny(seed=9), path, label_map={"TUMOUR": "tumour"}) == 1


def test_a_map_needs_names_in_the_file(tmp_path: Path) -> None:
    told = refused(ConfigError, tiny(seed=9), saved(tmp_path / "a.pt"), label_map={"tumour": "tumour"})
    assert "a.pt has no card that names its labels, expected model.safetensors beside model.pt" in told


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ({"labels": table(LABELS[:2])}, "its card names 2 labels, the weights have 3: card and weights are not of one model"),
        ({"channels": ["T1", "T2"]}, "its card names 2 channels, the weights have 1: card and weights are not of one model"),
        (
            {"labels": [{"name": "a"}]},
            "the labels of its card are [{'name': 'a'}], expected a list of index (0, 1, ...) and name",
        ),
        ({"labels": 3}, "its card, labels: saw 3; expected 1 to 4096 labels, background first"),
        ({"channels": "MR"}, "its card, channels: saw 'MR'; expected 1 to 1024 names"),
    ],
)
def test_a_card_that_is_not_of_these_weights_is_refused(tmp_path: Path, card: dict[str, Any], told: str) -> None:
    save_weights(tiny().state_dict(), tmp_path, card)
    assert told in refused(ModelFileError, tiny(seed=9), tmp_path / "model.pt")
    save_weights(tiny().state_dict(), tmp_path, {"labels": table(LABELS), "channels": ["MR"]})
    assert taken(tiny(seed=9), tmp_path / "model.pt") == 1


def test_settings_that_do_not_describe_the_network_are_refused(tmp_path: Path) -> None:
    path, network = saved(tmp_path / "a.pt"), tiny(seed=9)
    assert refused(ConfigError, network, path, channels=["a", "b"]) == "channels: got 2 names (a, b), the network has 1"
    assert refused(ConfigError, network, path, labels=table(LABELS[:2])).startswith("labels: got 2 names (background, left")
    assert "minimum_share: got 50, expected a share from 0 to 1" in refused(ConfigError, network, path, minimum_share=50)
    with pytest.raises(ConfigError, match=r"network: has no tensor out\.mask\.conv\.weight, expected a HybridDiffusionUNet"):
        transfer_weights(torch.nn.DataParallel(network), path, table(LABELS), ["MR"])
    assert taken(network, path, minimum_share=1) == 1


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    assert "no such model file" in refused(ModelFileError, tiny(), tmp_path / "none.pt")
    (tmp_path / "a.pt").write_bytes(saved(tmp_path / "a.pt").read_bytes()[:-100])
    assert "not a readable model file" in refused(ModelFileError, tiny(), tmp_path / "a.pt")


def test_a_plain_safetensors_file_of_another_tool_is_taken(tmp_path: Path) -> None:
    save_file(tiny().state_dict(), tmp_path / "a.safetensors")
    network = tiny(seed=9)
    assert taken(network, tmp_path / "a.safetensors") == 1
    assert torch.equal(network(images()), tiny()(images()))
