"""MONAI's DiffusionModelUNet with C + K output channels: it denoises the image and predicts its mask in one pass."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from monai.networks.blocks import Convolution
from monai.networks.nets import DiffusionModelUNet
from monai.networks.nets.diffusion_model_unet import zero_module
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from monai_hybrid.model_card import DOMAINS, STEMS
from monai_hybrid.networks import merged_layers
from monai_hybrid.networks.refinement import Refinement
from monai_hybrid.networks.scriptable import ScriptableUNet
from monai_hybrid.networks.subpixel import FACTOR, DepthToSpaceConvolution, DepthToSpacePointwise, SpaceToDepthConvolution


class HybridHead(nn.Module):
    """The last layer: normalisation and activation shared, then one convolution for C image and one for K mask channels.

    The children are named "0", "1", "2" as in the Sequential it replaces, so that `out.*` of a stock DiffusionModelUNet with
    C output channels loads unchanged; the mask rows are the only new tensors, `out.mask.*`. As in MONAI the image rows start at
    zero. The mask rows do not, or the body would get no gradient from the masks in the first step. `image` takes the place of
    the stock image convolution; then the mask rows are of its kind. The features that `refine` reads follow them. It lies here
    as a part of the head, but the network calls it, for it reads the image as well.
    """

    def __init__(
        self,
        stock: nn.Sequential,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        image: nn.Module | None = None,
        merge_layers: bool = True,
        refine: Refinement | None = None,
    ) -> None:
        super().__init__()
        self.at_once = merge_layers and image is None
        for name, child in stock.named_children():
            self.add_module(name, child)
        self.mask: nn.Module
        if image is None:
            self.mask = Convolution(spatial_dims, in_channels, num_classes, kernel_size=3, padding=1, conv_only=True)
        else:
            self.add_module("2", zero_module(image))
            self.mask = DepthToSpaceConvolution(spatial_dims, in_channels, num_classes)
        self.detail = None if refine is None else DepthToSpacePointwise(spatial_dims, in_channels, refine.width)
        self.refine = refine

    def forward(self, features: Tensor) -> Tensor:
        """(B, F, ...) -> (B, C + K, ...), image channels first; then the R features of a refinement, if there is one."""
        norm, activation, denoise = self._modules["0"], self._modules["1"], self._modules["2"]
        assert norm is not None and activation is not None and denoise is not None
        h = activation(norm(features))
        if self.at_once:
            return merged_layers.convolve_once(h, denoise, self.mask)
        return torch.cat([layer(h) for layer in (denoise, self.mask, self.detail) if layer is not None], dim=1)


class HybridDiffusionUNet(DiffusionModelUNet):
    """D_theta(x_t, t) of arXiv 2408.03433: one time-conditioned U-Net with C image channels and K mask channels.

    The state-dict names of the body are MONAI's, so weights of a stock `DiffusionModelUNet` load (all but `out.mask.*`).

    Args:
        spatial_dims: 2 or 3.
        in_channels: C, image channels.
        num_classes: K, mask channels, background included (at least 2).
        channels: features a level; each a multiple of `norm_num_groups`.
        num_res_blocks: residual blocks a level, one number or one a level.
        attention_levels: self-attention a level (the middle block always attends); default nowhere else.
        norm_num_groups: groups of the group norm.
        num_head_channels: features an attention head; the last must divide `channels[-1]`.
        use_flash_attention: fused attention; without it memory grows with the square of the bottleneck's voxels.
        use_checkpointing: recompute each block in the backward pass: less memory, about a fifth more time.
        stem: "plain", MONAI's first layer; or "space_to_depth": the body works at half resolution, where it costs 2^d times
            less, and first and last layer read and write 2^d voxels at once (`subpixel`). Same method, same outputs.
        refinement: R, features of a thin layer at full resolution after a coarse stem (`refinement`); 0 for none.
        merge_layers: compute what can be computed together at once (`merged_layers`): the same function up to rounding, faster
            on a CPU. False: MONAI's layers as they are.
        num_domains: 0, or 2 for a network that is told whose scan it sees, the source's (0) or the target's (1): MONAI's class
            embedding, added to that of the time. It starts at zero, so that it changes nothing at first.

    Attributes:
        domain: the one that is meant where `forward` is told none: the last, which is the target's.

    Raises:
        ValueError: for a channel count that does not fit the groups, K < 2, an unknown stem, a refinement of the plain one,
            another number of domains, or an input whose size does not divide.
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        num_classes: int,
        channels: Sequence[int] = (16, 32, 64),
        num_res_blocks: Sequence[int] | int = 1,
        attention_levels: Sequence[bool] | None = None,
        norm_num_groups: int = 8,
        num_head_channels: int | Sequence[int] = 16,
        use_flash_attention: bool = True,
        use_checkpointing: bool = False,
        stem: str = "plain",
        merge_layers: bool = True,
        refinement: int = 0,
        num_domains: int = 0,
    ) -> None:
        if num_domains not in DOMAINS:
            raise ValueError(f"num_domains: got {num_domains}, expected one of {', '.join(map(str, DOMAINS))}")
        if refinement and stem != "space_to_depth":
            raise ValueError(f"refinement: got {refinement} with the stem {stem!r}, which has the full grid; expected 0")
        if stem not in STEMS:
            raise ValueError(f"stem: got {stem!r}, expected one of {', '.join(STEMS)}")
        if num_classes < 2:
            raise ValueError(f"num_classes counts the background, so it must be at least 2, got {num_classes}")
        bad = [c for c in channels if c % norm_num_groups]
        if bad:
            raise ValueError(f"each of channels {tuple(channels)} must be a multiple of norm_num_groups {norm_num_groups}")
        super().__init__(
            spatial_dims=spatial_dims,
            in_channels=in_channels,
            out_channels=in_channels,
            channels=tuple(channels),
            num_res_blocks=num_res_blocks if isinstance(num_res_blocks, int) else tuple(num_res_blocks),
            attention_levels=tuple(attention_levels or [False] * len(channels)),
            norm_num_groups=norm_num_groups,
            num_head_channels=num_head_channels if isinstance(num_head_channels, int) else tuple(num_head_channels),
            use_flash_attention=use_flash_attention,
        )
        self.spatial_dims = spatial_dims
        self.num_classes = num_classes
        self.stem = stem
        self.size_divisor = 2 ** (len(channels) - 1)
        image: nn.Module | None = None
        if stem == "space_to_depth":
            self.size_divisor *= FACTOR
            self.conv_in = SpaceToDepthConvolution(spatial_dims, in_channels, channels[0])
            image = DepthToSpaceConvolution(spatial_dims, channels[0], in_channels)
        stock: nn.Sequential = self._modules["out"]
        refine = Refinement(spatial_dims, in_channels, refinement, num_classes) if refinement else None
        self.out = HybridHead(stock, spatial_dims, channels[0], num_classes, image, merge_layers, refine)
        if merge_layers:
            merged_layers.merge_layers(self)
        self.domain = num_domains - 1
        if num_domains:
            self._add_domains(int(num_domains), 4 * channels[0])
        if use_checkpointing:
            for block in [*self.down_blocks, self.middle_block, *self.up_blocks]:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    def _add_domains(self, number: int, width: int) -> None:
        """After all other layers and without a draw: every other weight of a seed is what it is without domains."""
        self.num_class_embeds = number
        self.class_embedding = nn.Embedding.from_pretrained(torch.zeros(number, width), freeze=False)

    def forward(
        self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False, class_labels: Tensor | None = None
    ) -> Tensor:
        """Segment, or denoise and segment.

        Every MONAI tool calls `net(x)` with one tensor; that is segmentation of the clean image, t = 0.

        Args:
            x: (B, C, X, Y[, Z]) image, float, scaled to [-1, 1]; noised to x_t when `timesteps` > 0.
            timesteps: (B,) or (1,) noise level in 0..T; None means 0.
            return_noise: also return the image channels (the prediction of epsilon, v or x_0).
            class_labels: (B,) or (1,) int64, the domain of each image; None means `domain`. Without domains it is not read.

        Returns:
            (B, K, ...) mask logits, or (B, C + K, ...) image prediction and mask logits when `return_noise`.
        """
        if not torch.jit.is_tracing():
            self.check_size(x)
        if timesteps is None:
            timesteps = torch.zeros(1, device=x.device)
        if class_labels is None and self.num_class_embeds is not None:
            class_labels = torch.full((1,), self.domain, device=x.device)
        output = super().forward(x, timesteps, class_labels=class_labels)
        if self.out.refine is not None:
            image, logits, features = output.tensor_split((self.in_channels, self.in_channels + self.num_classes), dim=1)
            output = torch.cat([image, logits + self.out.refine(x, features)], dim=1)
        return output if return_noise else output[:, self.in_channels :]

    def __prepare_scriptable__(self) -> nn.Module:
        """What `torch.jit.script` compiles in the place of this network; PyTorch asks for it by this name."""
        return ScriptableUNet(self)

    def check_size(self, x: Tensor) -> None:
        """Refuse an input other than (B, C, X, Y[, Z]), or whose sizes the levels cannot halve (`forward` says how).

        Raises:
            ValueError: with what fits.
        """
        if x.ndim != self.spatial_dims + 2 or x.shape[1] != self.in_channels:
            axes = ", ".join("XYZ"[: self.spatial_dims])
            raise ValueError(f"expected an input (B, {self.in_channels}, {axes}), got {tuple(x.shape)}")
        if any(n % self.size_divisor for n in x.shape[2:]):
            fit = tuple(-(-n // self.size_divisor) * self.size_divisor for n in x.shape[2:])
            raise ValueError(
                f"each spatial size must be a multiple of {self.size_divisor} ({self._levels()}), got "
                f"{tuple(x.shape[2:])}: pad to {fit} or choose another patch_size"
            )

    def _levels(self) -> str:
        stem = "" if self.stem == "plain" else f" after {self.stem}"
        return f"{len(self.down_blocks)} levels{stem}"


def as_domain(network: nn.Module, domain: int) -> nn.Module:
    """A view of a network, with the same weights, that takes images for those of `domain`; one without domains as it is."""
    if not isinstance(network, HybridDiffusionUNet) or network.num_class_embeds is None:
        return network
    view = copy.copy(network)
    view.domain = domain
    return view
