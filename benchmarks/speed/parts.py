"""What is measured: one patch, one training step, one volume, one pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from benchmarks.speed.measure import Action, Stopwatch, count_flops, peak_bytes
from benchmarks.speed.networks import LABELS, PEERS, ROWS, STOCK, NotInstalled, Row, plain
from benchmarks.speed.nnunet_predictor import make_predictor, nnunet_labels
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.diffusion.sampling import network_denoiser, sample_ode
from monai_hybrid.inferers import InputGridInferer

Result = dict[str, Any]
Size = tuple[int, int, int]
TRAINED = (STOCK, "ours, merged layers", "ours, space to depth", *(row.name for row in PEERS))
# Network, and whose sliding window.
ON_VOLUMES = (
    (STOCK, "MONAI"),
    ("ours, folded", "ours"),
    ("ours, folded, bfloat16", "ours"),
    ("ours, space to depth, folded", "ours"),
    ("ours, space to depth, folded, bfloat16", "ours"),
    ("nnU-Net PlainConv", "MONAI"),
    ("nnU-Net PlainConv", "nnU-Net"),
)


@dataclass(frozen=True)
class Sizes:
    """Voxels an axis."""

    patch: Size
    volumes: tuple[Size, ...]
    window: Size
    sampling_steps: tuple[int, ...]


FULL = Sizes((64, 64, 64), ((160, 192, 160), (256, 256, 128)), (64, 64, 64), (5, 10, 20))
# SwinUNETR divides by 32 and needs more than one voxel at the end.
QUICK = Sizes((64, 32, 32), ((48, 48, 32),), (32, 32, 32), (2, 4))


def forward(stopwatch: Stopwatch, sizes: Sizes, peaks: Mapping[torch.dtype, float]) -> list[Result]:
    """Segment one patch, batch 1."""
    x = torch.randn(1, 1, *sizes.patch, device=stopwatch.device)

    def prepare(row: Row) -> Action:
        return partial(_without_gradients, row.segmenter(stopwatch.device), x)

    return _table(stopwatch, ROWS, prepare, peaks)


def training(stopwatch: Stopwatch, sizes: Sizes, peaks: Mapping[torch.dtype, float]) -> list[Result]:
    """Forward, cross-entropy and backward of one patch, float32; ours with image channels and mask channels."""
    x = torch.randn(1, 1, *sizes.patch, device=stopwatch.device)
    label = torch.randint(0, LABELS, x.shape[:1] + x.shape[2:], device=stopwatch.device)

    def prepare(row: Row) -> Action:
        network = row.build().to(stopwatch.device).train()
        more = {"timesteps": torch.zeros(1, device=x.device), "return_noise": True} if row.name.startswith("ours") else {}
        return partial(_step, network, x, label, more)

    return _table(stopwatch, [row for row in ROWS if row.name in TRAINED], prepare, peaks)


def volume(stopwatch: Stopwatch, sizes: Sizes) -> list[Result]:
    """Labels of whole volumes by sliding windows (overlap 0.5, Gaussian weights, one window a call); each once, no warm-up.

    `agreement` is the share of voxels with the stock form's label, for the networks that have its weights. They are random
    and the image is noise, so that every voxel is near a tie: a hard case, no measure of what trained networks do.
    """
    once = Stopwatch(stopwatch.device, 1, stopwatch.clock)
    rows, results = {row.name: row for row in ROWS}, []
    for shape in sizes.volumes:
        x = torch.randn(1, 1, *shape, device=stopwatch.device)
        first: tuple[float, Tensor] | None = None
        for name, windows in ON_VOLUMES:
            if name not in rows:
                continue
            result: Result = {"volume": list(shape), "name": f"{name}; windows: {windows}"}
            results.append(result)
            try:
                torch.manual_seed(0)
                network = rows[name].segmenter(stopwatch.device)
                label = _labeller(windows, network, sizes.window)
            except NotInstalled as error:
                result["missing"] = str(error)
                continue
            said: list[Tensor] = []
            timing = once.interleaved({"": partial(_label, label, x, said)}, warm_up=False)[""]
            first = first or (timing.seconds, said[0])
            result |= asdict(timing) | {"ratio": timing.seconds / first[0]}
            if rows[name].build is plain:
                result["agreement"] = float((said[0] == first[1]).double().mean())
    return results


def _labeller(windows: str, network: nn.Module, roi: Size) -> Callable[[Tensor], Tensor]:
    """What turns a (1, 1, X, Y, Z) image into its (X, Y, Z) uint8 classes.

    Raises:
        NotInstalled: the package of these windows is not there.
    """
    if windows == "ours":
        ours = InputGridInferer(roi, 1, 0.5)
        return lambda x: ours(x, network)[0, 0]
    if windows == "nnU-Net":
        return partial(nnunet_labels, make_predictor(network, roi, LABELS, next(network.parameters()).device))
    inferer = SlidingWindowInferer(roi, 1, 0.5, mode="gaussian", padding_mode="replicate")
    return lambda x: torch.as_tensor(inferer(x, network))[0].max(0)[1].to(torch.uint8)


@torch.no_grad()
def _label(label: Callable[[Tensor], Tensor], x: Tensor, said: list[Tensor]) -> None:
    """Append the classes."""
    said.append(label(x).cpu())


def sampling(stopwatch: Stopwatch, sizes: Sizes) -> list[Result]:
    """Joint samples (image and mask) of one patch by the ODE, seconds a pair by number of steps."""
    network, schedule = plain().to(stopwatch.device).eval(), NoiseSchedule(num_timesteps=1000)
    denoiser = network_denoiser(network, schedule, "v", 1)
    x_T = torch.randn(1, 1, *sizes.patch, device=stopwatch.device)

    def draw(steps: int) -> Any:
        with torch.no_grad():
            return sample_ode(denoiser, x_T, schedule, steps)

    draw(1)
    once = Stopwatch(stopwatch.device, 1, stopwatch.clock)
    timings = once.interleaved({str(n): partial(draw, n) for n in sizes.sampling_steps}, warm_up=False)
    return [{"steps": int(steps), **asdict(timing)} for steps, timing in timings.items()]


def _table(
    stopwatch: Stopwatch,
    rows: Iterable[Row],
    prepare: Callable[[Row], Action],
    peaks: Mapping[torch.dtype, float],
) -> list[Result]:
    results: dict[str, Result] = {}
    actions: dict[str, Action] = {}
    dtypes: dict[str, torch.dtype] = {}
    for row in rows:
        results[row.name] = {"name": row.name}
        try:
            actions[row.name] = prepare(row)
        except NotInstalled as error:
            results[row.name]["missing"] = str(error)
        dtypes[row.name] = row.dtype
    timings = stopwatch.interleaved(actions)
    for name, timing in timings.items():
        result = results[name]
        result |= asdict(timing)
        result["ratio"] = timing.seconds / timings[STOCK].seconds
        if peaks:  # one patch: counting is affordable
            result["gflop"] = count_flops(actions[name]) / 1e9
            result["megabytes"] = peak_bytes(actions[name], stopwatch.device) / 1e6
            if dtypes[name] in peaks:
                result["share_of_peak"] = 1e9 * result["gflop"] / timing.seconds / peaks[dtypes[name]]
    return list(results.values())


def _without_gradients(function: Callable[[Tensor], Any], x: Tensor) -> Any:
    with torch.no_grad():
        return function(x)


def _step(network: nn.Module, x: Tensor, label: Tensor, more: dict[str, Any]) -> None:
    network.zero_grad(set_to_none=True)
    output = network(x, **more)
    loss = nn.functional.cross_entropy(output[:, -LABELS:], label)
    if more:
        loss = loss + output[:, :-LABELS].square().mean()
    loss.backward()
