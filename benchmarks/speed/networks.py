"""The networks compared: one image channel, three labels, each as its own project configures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from monai.networks.nets import DynUNet, SegResNet, SwinUNETR, UNet
from torch import Tensor, nn

from monai_hybrid.networks import HybridDiffusionUNet, folded

LABELS = 3
Shape = tuple[int, int, int]  # spatial dimensions, image channels, classes
CUBE: Shape = (3, 1, LABELS)
STOCK = "ours, stock form"
NNUNET_PACKAGE = "dynamic-network-architectures"
FEATURES, STRIDES = (32, 64, 128, 256, 320), (1, 2, 2, 2, 2)


class NotInstalled(Exception):
    """A peer's package is missing; the text names it."""


@dataclass(frozen=True)
class Row:
    """A network and how it is run.

    Attributes:
        name: as in the table.
        build: makes it, on the CPU, in training mode.
        dtype: of its convolutions when it segments.
        fold: "" as it is; else the number type of the folded segmenter.
    """

    name: str
    build: Callable[[], nn.Module]
    fold: str = ""

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.fold == "bfloat16" else torch.float32

    def segmenter(self, device: torch.device) -> nn.Module:
        """(B, 1, X, Y, Z) -> (B, 3, X, Y, Z) logits."""
        network = self.build().to(device).eval()
        return folded(network, self.fold) if self.fold else network


def plain(merge_layers: bool = False) -> nn.Module:
    """MONAI's DiffusionModelUNet with C + K channels: the full-resolution level is the dearest."""
    return HybridDiffusionUNet(3, 1, LABELS, channels=(32, 64, 128, 128), num_head_channels=32, merge_layers=merge_layers)


def coarse() -> nn.Module:
    """The same without its full-resolution level."""
    return HybridDiffusionUNet(3, 1, LABELS, channels=(64, 128, 128), num_head_channels=32, stem="space_to_depth")


def monai_unet(shape: Shape = CUBE) -> nn.Module:
    return UNet(*shape, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2)


def segresnet(shape: Shape = CUBE) -> nn.Module:
    dims, channels, classes = shape
    return SegResNet(dims, init_filters=16, in_channels=channels, out_channels=classes)


def dynunet(shape: Shape = CUBE) -> nn.Module:
    return DynUNet(*shape, kernel_size=[3] * 5, strides=STRIDES, upsample_kernel_size=STRIDES[1:], filters=FEATURES)


def swin_unetr(shape: Shape = CUBE) -> nn.Module:
    dims, channels, classes = shape
    return SwinUNETR(in_channels=channels, out_channels=classes, feature_size=24, spatial_dims=dims)


def nnunet(kind: str, shape: Shape = CUBE) -> nn.Module:
    """nnU-Net's own network: PlainConvUNet, or ResidualEncoderUNet with the blocks of its "ResEnc" plans.

    Raises:
        NotInstalled: its package is not there.
    """
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError as error:
        raise NotInstalled(f"pip install {NNUNET_PACKAGE}") from error
    dims, channels, classes = shape
    common: dict[str, Any] = {
        "input_channels": channels,
        "n_stages": 5,
        "features_per_stage": FEATURES,
        "conv_op": nn.Conv2d if dims == 2 else nn.Conv3d,
        "kernel_sizes": 3,
        "strides": STRIDES,
        "num_classes": classes,
        "conv_bias": True,
        "norm_op": nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": False,
    }
    if kind == "plain":
        network = unet.PlainConvUNet(n_conv_per_stage=2, n_conv_per_stage_decoder=2, **common)
    else:
        network = unet.ResidualEncoderUNet(n_blocks_per_stage=(1, 3, 4, 6, 6), n_conv_per_stage_decoder=1, **common)
    made: nn.Module = network
    return made


UNET, SWIN = "MONAI UNet", "MONAI SwinUNETR"
BUILDERS: dict[str, Callable[[Shape], nn.Module]] = {
    UNET: monai_unet,
    "MONAI SegResNet": segresnet,
    "MONAI DynUNet": dynunet,
    SWIN: swin_unetr,
    "nnU-Net PlainConv": partial(nnunet, "plain"),
    "nnU-Net ResEnc": partial(nnunet, "residual"),
}


class Peer(nn.Module):
    """A network of `BUILDERS`, called as the trainer calls the project's network; it has no image channels: those are zeros.

    Args:
        name: a key of `BUILDERS`.
        spatial_dims, in_channels, num_classes: of the data.
    """

    def __init__(self, name: str, spatial_dims: int, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.body = BUILDERS[name]((spatial_dims, in_channels, num_classes))

    def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
        """(B, C, ...) -> (B, K, ...) logits, after C channels of zeros when `return_noise`."""
        logits: Tensor = self.body(x)
        nothing = logits.new_zeros(len(logits), self.in_channels, *logits.shape[2:])
        return torch.cat([nothing, logits], dim=1) if return_noise else logits


OURS = (
    Row(STOCK, plain),
    Row("ours, merged layers", lambda: plain(merge_layers=True)),
    Row("ours, folded", plain, "float32"),
    Row("ours, folded, bfloat16", plain, "bfloat16"),
    Row("ours, space to depth", coarse),
    Row("ours, space to depth, folded", coarse, "float32"),
    Row("ours, space to depth, folded, bfloat16", coarse, "bfloat16"),
)
PEERS = tuple(Row(name, partial(build, CUBE)) for name, build in BUILDERS.items())
ROWS = OURS + PEERS
