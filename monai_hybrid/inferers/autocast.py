"""Mixed precision on the CPU, which MONAI's `amp` (CUDA only) leaves in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from monai.inferers import SimpleInferer
from torch import Tensor, nn
from torch.func import functional_call

from monai_hybrid.networks.number_types import warn_of_slow_bfloat16


class AutocastInferer(SimpleInferer):
    """`SimpleInferer` under bfloat16 autocast when `enabled`; warns once where the processor has no instructions for it."""

    def __init__(self, enabled: bool = False) -> None:
        super().__init__()
        self.enabled = enabled

    def __call__(self, inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        """Call `network(inputs, ...)`; float32 weights stay float32. A training step of a `fatal_grid` is all in float32."""
        if self.enabled:
            warn_of_slow_bfloat16(inputs.device, "--amp False")
        mixed = self.enabled and not (torch.is_grad_enabled() and fatal_grid(inputs, network, *args, **kwargs))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=mixed):
            return super().__call__(inputs, network, *args, **kwargs)


def fatal_grid(inputs: Tensor, network: nn.Module, *args: Any, **kwargs: Any) -> bool:
    """Whether bfloat16 would give garbage for gradients: some level has exactly 2 voxels along the first of three axes.

    There PyTorch 2.13 reads memory that nobody has written, in the weights' gradient of a 3D convolution of kernel 3 on a
    processor (`test_autocast.py` shows it); a clipped norm of 1e25 then hides it as no gradient at all.

    Args:
        inputs: (B, C, X, Y[, Z]).
        network: with a `size_divisor`, by which its levels halve; of another network its convolutions are asked, once for each
            shape.
        args, kwargs: what the network is called with.
    """
    if inputs.ndim != 5 or inputs.device.type != "cpu":
        return False
    module = getattr(network, "module", network)
    divisor = getattr(module, "size_divisor", None)
    if divisor is not None:
        return any(inputs.shape[2] == 2 << level for level in range(int(divisor).bit_length()))
    if not isinstance(module, nn.Module):
        return False
    known = _KNOWN.setdefault(module, {})
    if inputs.shape not in known:
        known[inputs.shape] = _meets_two(module, (inputs, *args), kwargs)
    return known[inputs.shape]


_KNOWN: WeakKeyDictionary[nn.Module, dict[torch.Size, bool]] = WeakKeyDictionary()


def _meets_two(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a 3D convolution takes or gives 2 voxels along the first axis: shapes alone go through the network, no numbers.

    False of a network that cannot be asked so, as nothing is known of it.
    """
    found = []

    def look(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(2 in (given[0].shape[2], output.shape[2]) and max(layer.kernel_size) > 1)  # type: ignore[arg-type]

    state = {name: value.to("meta") for name, value in (*module.named_parameters(), *module.named_buffers())}
    layers = [layer for layer in module.modules() if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d))]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            functional_call(
                module, state, tuple(map(_shape_of, args)), {name: _shape_of(value) for name, value in kwargs.items()}
            )
    except Exception:  # each kind of network fails in its own way where it looks at numbers
        return False
    finally:
        for hook in hooks:
            hook.remove()
    return any(found)


def _shape_of(value: Any) -> Any:
    return value.to("meta") if isinstance(value, Tensor) else value
