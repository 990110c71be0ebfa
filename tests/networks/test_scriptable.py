"""`torch.jit.script` of the network: the same function, and the network itself stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from monai_hybrid.networks import HybridDiffusionUNet


def network(dims: int, image_channels: int = 1, **settings: object) -> HybridDiffusionUNet:
    torch.manual_seed(0)
    sizes = {"channels": (8, 16, 16), "num_head_channels": 8, "norm_num_groups": 8, **settings}
    made = HybridDiffusionUNet(dims, image_channels, 3, **sizes).eval()  # type: ignore[arg-type]
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # nothing is zero, as it would be before training
    return made


SETTINGS: list[dict[str, object]] = [
    {},
    {"stem": "space_to_depth"},
    {"merge_layers": False, "attention_levels": (False, True, True), "num_res_blocks": (1, 2, 1)},
    {"stem": "space_to_depth", "refinement": 4, "channels": (8, 16), "use_checkpointing": True, "use_flash_attention": False},
]
# Each two of settings, dims and channels meet. To compile a network takes half a second.
CASES = [(SETTINGS[n], dims, channels) for n in range(4) for dims, channels in ([(2, 1), (3, 3)], [(2, 3), (3, 1)])[n % 2]]


@pytest.mark.parametrize(("settings", "dims", "channels"), CASES)
def test_the_script_says_what_the_network_says(settings: dict[str, object], dims: int, channels: int, tmp_path: Path) -> None:
    eager = network(dims, channels, **settings)
    kinds = [type(module) for module in eager.modules()]
    torch.jit.save(torch.jit.script(eager), tmp_path / "model.ts")
    script = torch.jit.load(tmp_path / "model.ts")
    assert [type(module) for module in eager.modules()] == kinds
    for size in ((16, 24, 8), (8, 8, 16)):  # any size, unlike some traces
        x = torch.randn(2, channels, *size[:dims])
        t = torch.tensor([5, 900])
        with torch.no_grad():
            torch.testing.assert_close(script(x), eager(x), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(script(x, t, True), eager(x, t, return_noise=True), atol=1e-5, rtol=1e-5)


def test_the_script_refuses_a_size_that_does_not_divide() -> None:
    script = torch.jit.script(network(2))
    with pytest.raises(torch.jit.Error, match="each spatial size must be a multiple of 4"):
        script(torch.zeros(1, 1, 10, 8))
    assert script(torch.zeros(1, 1, 12, 8)).shape == (1, 3, 12, 8)


def test_the_script_knows_the_domains() -> None:
    eager, x, t = network(2, num_domains=2), torch.randn(2, 1, 8, 8), torch.tensor([5, 900])
    script = torch.jit.script(eager)
    with torch.no_grad():
        for labels in (None, torch.tensor([0]), torch.tensor([0, 1])):
            said = eager(x, t, return_noise=True, class_labels=labels)
            torch.testing.assert_close(script(x, t, True, labels), said, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(script(x, t, True, torch.tensor([0])), script(x, t, True))
