"""Networks of other groups under the same trainer: nnU-Net's plain U-Net, a pixel classifier on frozen diffusion features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from torch import Tensor, nn

from monai_hybrid.diffusion.noising import NoiseSchedule, add_noise
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.networks import HybridDiffusionUNet

NNUNET = "dynamic_network_architectures"
# Noise levels of TEDM and LEDMe (Rosnati et al., ML4H 2023; its repository, 1,000 steps).
FEATURE_STEPS = (1, 10, 25, 50, 200, 400, 600, 800)
WIDTHS = (128, 32)


def nnunet_installed() -> bool:
    """Whether nnU-Net's networks can be imported."""
    return find_spec(NNUNET) is not None


class PlainUNet(nn.Module):
    """nnU-Net's PlainConvUNet (Isensee et al., Nature Methods 2021), called as the trainer calls the project's network.

    Two convolutions a stage, instance norm, leaky ReLU, He initialisation, as nnU-Net plans them; no deep supervision.
    Its width is chosen so that it has the nearest number of parameters. It has no time input and no image
    channels: those are zeros.

    Args:
        arguments: of the HybridDiffusionUNet it stands beside (spatial_dims, in_channels, num_classes, channels, ...).

    Raises:
        EnvironmentFault: dynamic-network-architectures is not installed.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        if not nnunet_installed():
            raise EnvironmentFault(
                "dynamic-network-architectures is not installed. Type: pip install 'monai-hybrid[benchmark]'"
            )
        self.in_channels = int(arguments["in_channels"])
        wanted = number_of_parameters(HybridDiffusionUNet(**dict(arguments)))
        low, high = 4, 512
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if number_of_parameters(_plain(arguments, middle)) <= wanted else (low, middle)
        sizes = {base: abs(number_of_parameters(_plain(arguments, base)) - wanted) for base in (low, high)}
        self.body = _plain(arguments, min(sizes, key=lambda base: sizes[base]))
        initialize: Any = self.body.initialize
        self.body.apply(initialize)

    def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
        """(B, C, ...) -> mask logits (B, K, ...), after C channels of zeros when `return_noise`."""
        return _as_pair(self.body(x), self.in_channels, return_noise)


def _plain(arguments: Mapping[str, Any], base: int) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    channels = list(arguments["channels"])
    three = arguments["spatial_dims"] == 3
    network: nn.Module = PlainConvUNet(
        input_channels=arguments["in_channels"],
        n_stages=len(channels),
        features_per_stage=[round(base * c / channels[0]) for c in channels],
        conv_op=nn.Conv3d if three else nn.Conv2d,
        kernel_sizes=3,
        strides=[1] + [2] * (len(channels) - 1),
        n_conv_per_stage=2,
        num_classes=arguments["num_classes"],
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d if three else nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    return network


class PixelHead(nn.Module):
    """TEDM's reading of a diffusion model: frozen features at several noise levels, one small pixel classifier for all of them.

    Features are the outputs of all decoder blocks, upsampled (as in DDPM-Seg, Baranchuk et al., ICLR 2022). In
    training one level is drawn for each sample and update, whose expectation is TEDM's loss over all levels; at test the
    probabilities of all levels are averaged.
    The noise at test is fixed by a seed.

    Args:
        body: the pretrained network; it is frozen.
        schedule: its forward process.
        steps: noise levels out of `schedule.num_timesteps`.
    """

    def __init__(self, body: HybridDiffusionUNet, schedule: NoiseSchedule, steps: Sequence[int] = FEATURE_STEPS) -> None:
        super().__init__()
        self.body, self.schedule = body.eval().requires_grad_(False), schedule
        self.steps = [max(1, round(step * schedule.num_timesteps / 1000)) for step in steps]
        dims, width = body.spatial_dims, sum(body.block_out_channels)
        conv, norm = (nn.Conv3d, nn.BatchNorm3d) if dims == 3 else (nn.Conv2d, nn.BatchNorm2d)
        layers: list[nn.Module] = []
        for wide in WIDTHS:
            layers += [conv(width, wide, 1), nn.ReLU(), norm(wide)]
            width = wide
        self.head = nn.Sequential(*layers, conv(width, body.num_classes, 1))
        self.in_channels = body.in_channels

    def train(self, mode: bool = True) -> PixelHead:
        """The frozen body stays in evaluation mode."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
        """(B, C, ...) clean images -> mask logits (B, K, ...), after C channels of zeros when `return_noise`."""
        if self.training:
            drawn = torch.tensor(self.steps)[torch.randint(len(self.steps), (len(x),))]
            logits = self.head(self.features(x, drawn, torch.randn(x.shape, device=x.device)))
        else:
            epsilon = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(0)).to(x.device).expand_as(x)
            levels = [self.head(self.features(x, torch.full((len(x),), step), epsilon)).softmax(1) for step in self.steps]
            logits = torch.stack(levels).mean(0).clamp(min=1e-8).log()
        return _as_pair(logits, self.in_channels, return_noise)

    @torch.no_grad()
    def features(self, x: Tensor, timesteps: Tensor, epsilon: Tensor) -> Tensor:
        """(B, C, ...) -> (B, F, ...): decoder outputs of x_t at full resolution; the pass of MONAI's class, step by step."""
        body = self.body
        h = add_noise(x, epsilon, timesteps, self.schedule)
        embedding = body.time_embed(get_timestep_embedding(timesteps.to(x.device), body.block_out_channels[0]).to(h.dtype))
        h = body.conv_in(h)
        skips = [h]
        for block in body.down_blocks:
            h, residuals = block(hidden_states=h, temb=embedding, context=None)
            skips += residuals
        h = body.middle_block(hidden_states=h, temb=embedding, context=None)
        found = []
        for block in body.up_blocks:
            used, skips = skips[-len(block.resnets) :], skips[: -len(block.resnets)]
            h = block(hidden_states=h, res_hidden_states_list=used, temb=embedding, context=None)
            found.append(h)
        mode = "trilinear" if body.spatial_dims == 3 else "bilinear"
        return torch.cat([F.interpolate(f, size=x.shape[2:], mode=mode) for f in found], dim=1)


def _as_pair(logits: Tensor, channels: int, return_noise: bool) -> Tensor:
    if not return_noise:
        return logits
    return torch.cat([logits.new_zeros(len(logits), channels, *logits.shape[2:]), logits], dim=1)


def number_of_parameters(network: nn.Module) -> int:
    """All of them, trained or not."""
    return sum(p.numel() for p in network.parameters())
