"""The network as TorchScript can compile it: `torch.jit.script` of a `HybridDiffusionUNet` gets this form in its place.

MONAI's own DiffusionModelUNet cannot be scripted (a star in a slice of its attention block), and the layers that save work on a
CPU choose by the device. Here are the same modules, called one after the other; only the convolutions of the coarse stem are
made anew, from the weights of the moment.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
from monai.networks.nets.diffusion_model_unet import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F

from monai_hybrid.networks.subpixel import FACTOR, DepthToSpaceConvolution, coarse_output_kernel


class ScriptableUNet(nn.Module):
    """The same function of the same weights as the network it is made from.

    Args:
        network: a `HybridDiffusionUNet`; it stays as it is, and shares its layers with this form.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.in_channels, self.divisor = int(network.in_channels), int(network.size_divisor)
        self.embedding: int = int(network.block_out_channels[0])
        self.time_embed = network.time_embed
        self.told, self.domain = network.num_class_embeds is not None, int(network.domain)
        self.class_embedding = network.class_embedding if self.told else nn.Identity()
        self.conv_in = plain_convolution(network.conv_in)
        self.down = nn.ModuleList(_down(block) for block in network.down_blocks)
        middle = network.middle_block
        self.middle = nn.ModuleList([_Stage(middle.resnet_1, middle.attention), _Stage(middle.resnet_2, None)])
        self.up = nn.ModuleList(_up(block) for block in network.up_blocks)
        self.norm, self.activation = network.out.get_submodule("0"), network.out.get_submodule("1")
        self.image, self.mask = plain_convolution(network.out.get_submodule("2")), plain_convolution(network.out.mask)
        self.refined = network.out.refine is not None
        self.refine = _Refine(network.out.refine, network.out.detail.conv) if self.refined else _Unrefined()

    # TorchScript reads annotations as they stand: no `Tensor | None`.
    def forward(
        self,
        x: Tensor,
        timesteps: Optional[Tensor] = None,  # noqa: UP045
        return_noise: bool = False,
        class_labels: Optional[Tensor] = None,  # noqa: UP045
    ) -> Tensor:
        """As `HybridDiffusionUNet.forward`: (B, C, ...) -> (B, K, ...) or (B, C + K, ...).

        Raises:
            ValueError: a size that the levels cannot halve.
        """
        for n in x.shape[2:]:
            if n % self.divisor != 0:
                raise ValueError("each spatial size must be a multiple of " + str(self.divisor))
        t = torch.zeros(1, device=x.device) if timesteps is None else timesteps
        emb = self.time_embed(get_timestep_embedding(t, self.embedding).to(dtype=x.dtype))
        if self.told:
            own = torch.full((1,), self.domain, dtype=torch.long, device=x.device) if class_labels is None else class_labels
            emb = emb + self.class_embedding(own).to(dtype=x.dtype)
        h = self.conv_in(x)
        skips = [h]
        for level in self.down:
            h, own = level(h, emb)
            skips += own
        for stage in self.middle:
            h = stage(h, emb)
        for level in self.up:
            h = level(h, emb, skips)
        h = self.activation(self.norm(h))
        mask: Tensor = self.mask(h)
        if self.refined:
            mask = mask + self.refine(x, h)
        return torch.cat([self.image(h), mask], dim=1) if return_noise else mask


class _Stage(nn.Module):
    """A residual block, and the attention after it if there is one."""

    def __init__(self, resnet: Any, attention: nn.Module | None) -> None:
        super().__init__()
        self.norm1, self.conv1 = resnet.norm1, resnet.conv1
        self.norm2, self.conv2 = resnet.norm2, resnet.conv2
        self.time_emb_proj = resnet.time_emb_proj
        skip = resnet.skip_connection
        self.skip = skip if isinstance(skip, nn.Identity) else skip.conv
        self.attention = nn.Identity() if attention is None else _Attention(attention)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """(B, F, ...), (B or 1, E) -> (B, G, ...)."""
        h = self.conv1(F.silu(self.norm1(x)))
        temb = self.time_emb_proj(F.silu(emb))
        h = h + temb.reshape(list(temb.shape) + [1] * (x.ndim - 2))
        h = self.conv2(F.silu(self.norm2(h)))
        out: Tensor = self.attention(self.skip(x) + h)
        return out


class _Attention(nn.Module):
    """Self-attention over all positions."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        attention = block.attn
        self.norm = block.norm
        self.to_q, self.to_k, self.to_v = attention.to_q, attention.to_k, attention.to_v
        self.out_proj = attention.out_proj
        self.num_heads, self.scale = int(attention.num_heads), float(attention.scale)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, ...) -> (B, F, ...)."""
        rows = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.heads(self.to_q(rows)), self.heads(self.to_k(rows)), self.heads(self.to_v(rows))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).reshape(x.shape)
        return out + x

    def heads(self, rows: Tensor) -> Tensor:
        """(B, N, F) -> (B, heads, N, F / heads)."""
        return rows.reshape(rows.shape[0], rows.shape[1], self.num_heads, -1).transpose(1, 2)


class _Down(nn.Module):
    """A level of the encoder: stages, then the strided convolution, the identity on the last level."""

    def __init__(self, stages: list[nn.Module], downsampling: nn.Module | None) -> None:
        super().__init__()
        self.stages, self.halves = nn.ModuleList(stages), downsampling is not None
        self.downsampling = nn.Identity() if downsampling is None else downsampling

    def forward(self, h: Tensor, emb: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Features, and all that the decoder reads again."""
        kept: list[Tensor] = []
        for stage in self.stages:
            h = stage(h, emb)
            kept.append(h)
        if self.halves:
            h = self.downsampling(h)
            kept.append(h)
        return h, kept


class _Up(nn.Module):
    """A level of the decoder: stages, each with the features kept last, then doubling."""

    def __init__(self, stages: list[nn.Module], convolution: nn.Module | None) -> None:
        super().__init__()
        self.stages, self.doubles = nn.ModuleList(stages), convolution is not None
        self.convolution = nn.Identity() if convolution is None else convolution

    def forward(self, h: Tensor, emb: Tensor, skips: list[Tensor]) -> Tensor:
        """Takes from the end of `skips` what it uses."""
        for stage in self.stages:
            h = stage(torch.cat([h, skips.pop()], dim=1), emb)
        if self.doubles:
            for axis in range(2, h.ndim):
                h = h.repeat_interleave(2, axis)
            h = self.convolution(h)
        return h


class _DepthToSpace(nn.Module):
    """The last convolution of the coarse stem: 3-wide on the coarse grid, then each block of outputs laid out in space."""

    def __init__(self, stock: DepthToSpaceConvolution) -> None:
        super().__init__()
        dims, like = stock.spatial_dims, stock.conv
        assert like.bias is not None
        self.weight = nn.Parameter(coarse_output_kernel(like.weight.detach()), requires_grad=False)
        self.bias = nn.Parameter(like.bias.detach().repeat_interleave(FACTOR**dims), requires_grad=False)
        self.space = _Space(dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, X, ...) -> (B, K, 2X, ...)."""
        h = F.conv2d(x, self.weight, self.bias, padding=1) if x.ndim == 4 else F.conv3d(x, self.weight, self.bias, padding=1)
        return self.space(h)


class _Space(nn.Module):
    """`depth_to_space`."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.factor = FACTOR
        self.order = [0, 1, *(n for axis in range(dims) for n in (2 + dims + axis, 2 + axis))]

    def forward(self, h: Tensor) -> Tensor:
        """(B, K * 2^d, X, ...) -> (B, K, 2X, ...)."""
        coarse = list(h.shape[2:])
        split = h.reshape([h.shape[0], -1] + [self.factor] * len(coarse) + coarse).permute(self.order)
        return split.reshape([h.shape[0], split.shape[1]] + [self.factor * n for n in coarse])


class _Refine(nn.Module):
    """`Refinement`, with the features that it reads."""

    def __init__(self, stock: Any, detail: nn.Module) -> None:
        super().__init__()
        self.detail, self.space = detail, _Space(int(stock.spatial_dims))
        weight, bias = stock.first()
        self.weight, self.bias = (nn.Parameter(given.detach(), requires_grad=False) for given in (weight, bias))
        self.middle, self.rows = stock.middle.conv, stock.rows.conv

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """(B, C, 2X, ...) image, (B, F, X, ...) coarse features -> (B, K, 2X, ...)."""
        both = torch.cat([x, self.space(self.detail(h))], dim=1)
        first = (
            F.conv2d(both, self.weight, self.bias, padding=1)
            if x.ndim == 4
            else F.conv3d(both, self.weight, self.bias, padding=1)
        )
        out: Tensor = self.rows(F.silu(first + self.middle(F.silu(first))))
        return out


class _Unrefined(nn.Module):
    """In the place of `_Refine` where there is none; TorchScript compiles a call that is never made."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Nothing to add."""
        return torch.zeros_like(h)


def plain_convolution(layer: Any) -> nn.Module:
    """A first or last layer as TorchScript reads it."""
    if isinstance(layer, DepthToSpaceConvolution):
        return _DepthToSpace(layer)
    convolution: nn.Module = layer.conv  # of `SpaceToDepthConvolution` too: 6 wide, strided
    return convolution


def _stages(block: Any) -> list[nn.Module]:
    attentions = getattr(block, "attentions", [None] * len(block.resnets))
    return [_Stage(resnet, attention) for resnet, attention in zip(block.resnets, attentions, strict=True)]


def _down(block: Any) -> nn.Module:
    return _Down(_stages(block), None if block.downsampler is None else block.downsampler.op)


def _up(block: Any) -> nn.Module:
    return _Up(_stages(block), None if block.upsampler is None else block.upsampler.get_submodule("postconv"))
