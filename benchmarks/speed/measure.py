"""Time, memory and arithmetic of a function, and the limit of the machine it runs on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

Action = Callable[[], Any]
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "process": time.process_time}


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median, and half the range between the quartiles as a share of it."""

    seconds: float
    spread: float


@dataclass(frozen=True)
class Stopwatch:
    """How to time: `clock` "wall", or "process" (processor seconds, all threads), which other people's work disturbs less."""

    device: torch.device
    repetitions: int
    clock: str = "wall"

    def interleaved(self, actions: Mapping[str, Action], warm_up: bool = True) -> dict[str, Timing]:
        """Each action once to warm up, then all in turn, so that a busy minute falls on everyone."""
        for action in actions.values() if warm_up else ():
            action()
        seen: dict[str, list[float]] = {name: [] for name in actions}
        for _ in range(self.repetitions):
            for name, action in actions.items():
                seen[name].append(self._once(action))
        return {name: _timing(values) for name, values in seen.items()}

    def _once(self, action: Action) -> float:
        clock = CLOCKS[self.clock]
        self._finish()
        started = clock()
        action()
        self._finish()
        return clock() - started

    def _finish(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _timing(values: list[float]) -> Timing:
    median = statistics.median(values)
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [median] * 3
    return Timing(median, (quartiles[2] - quartiles[0]) / 2 / median)


def count_flops(action: Action) -> int:
    """Multiplications and additions of convolutions, matrix products and attention."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mkldnn_convolution: _onednn_flops}) as counter:
        action()
    return int(counter.get_total_flops())


def _onednn_flops(x: list[int], weight: list[int], *_rest: Any, out_shape: list[int], **_named: Any) -> int:
    """Of a convolution that is asked of oneDNN by name, which PyTorch does not count."""
    return int(conv_flop_count(x, weight, out_shape))


class _Live(TorchDispatchMode):
    """Adds up the tensors alive after each operation; views and tensors from before do not count."""

    def __init__(self, before: set[int]) -> None:
        super().__init__()
        self.before, self.peak = before, 0
        self.alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inputs = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        self.before |= inputs - self.alive.keys()
        output = func(*args, **(kwargs or {}))
        self.alive = {key: entry for key, entry in self.alive.items() if not entry[0].expired()}
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.before:
                    self.alive[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self.alive.values()))
        return output


def peak_bytes(action: Action, device: torch.device) -> int:
    """Most bytes held at once by tensors that the action makes: no weights, no inputs; on the CPU no scratch of libraries."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        return int(torch.cuda.max_memory_allocated(device) - before)
    with _Live(set()) as live:
        action()
    return live.peak


# (channels, edge) of 3-wide convolutions like those of a U-Net's levels.
PEAK_SHAPES = ((32, 64), (64, 48), (128, 32))
QUICK_PEAK_SHAPES = ((64, 24),)


def convolution_peak(stopwatch: Stopwatch, dtype: torch.dtype, quick: bool) -> float:
    """The machine's best 3D convolution in FLOP/s, by either memory layout."""
    best = 0.0
    for channels, edge in QUICK_PEAK_SHAPES if quick else PEAK_SHAPES:
        for layout in (torch.contiguous_format, torch.channels_last_3d):
            x = torch.randn(1, channels, edge, edge, edge, device=stopwatch.device).to(dtype).contiguous(memory_format=layout)
            weight = (
                torch.randn(channels, channels, 3, 3, 3, device=stopwatch.device).to(dtype).contiguous(memory_format=layout)
            )

            def convolve(x: Tensor = x, weight: Tensor = weight) -> Tensor:
                return torch.conv3d(x, weight, padding=1)

            timing = stopwatch.interleaved({"convolution": convolve})["convolution"]
            best = max(best, count_flops(convolve) / timing.seconds)
    return best
