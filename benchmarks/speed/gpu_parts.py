"""What `benchmarks.speed.gpu` measures, a part a process: PART FILE.json [--dry].

training     an update of the network that `--budget gpu` plans, at 96^3 and 128^3: float32, mixed precision, channels last,
             torch.compile; milliseconds, memory, share of the card's peak (MFU)
determinism  two short trainings from one seed: equal weights or not, with and without PyTorch's deterministic algorithms
nccl         the bundle alone, and as the one process of torchrun
forward      one patch through all networks of `python -m benchmarks.speed`
volume       whole volumes by sliding windows, beside nnU-Net's network in nnU-Net's own predictor
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.speed import parts as tables
from benchmarks.speed import scaling
from benchmarks.speed.measure import Stopwatch, convolution_peak, count_flops, peak_bytes
from data_prep.build import build
from data_prep.phantom import generate
from data_prep.plan import BUDGETS
from monai_hybrid.networks import HybridDiffusionUNet

LABELS = 3
# Dense bfloat16 of NVIDIA's data sheets, FLOP/s.
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12}


@dataclass(frozen=True)
class Form:
    """How an update is computed."""

    mixed: bool = False
    channels_last: bool = False
    compiled: bool = False


FORMS = {
    "float32, TF32 convolutions": Form(),
    "mixed precision": Form(mixed=True),
    "mixed precision, channels last": Form(mixed=True, channels_last=True),
    "mixed precision, compiled": Form(mixed=True, compiled=True),
    "mixed precision, channels last, compiled": Form(mixed=True, channels_last=True, compiled=True),
}


@dataclass(frozen=True)
class Plan:
    """Sizes of everything: of a GPU, or tiny ones."""

    device: torch.device
    network: dict[str, Any]
    edges: tuple[int, ...]
    forms: tuple[str, ...]
    repetitions: int
    updates: int
    sizes: tables.Sizes
    cases: int
    settings: dict[str, Any]


def full() -> Plan:
    """On the card."""
    sizes = tables.Sizes((96, 96, 96), ((256, 256, 128), (512, 512, 256)), (128, 128, 128), ())
    budget = BUDGETS["gpu", 3]
    network = arguments_of(budget.channels, budget.num_res_blocks, budget.num_head_channels)
    return Plan(torch.device("cuda"), network, (96, 128), tuple(FORMS), 10, 20, sizes, 12, {})


def dry() -> Plan:
    """On the processor, in seconds."""
    sizes = tables.Sizes(tables.QUICK.patch, ((20, 20, 20),), (16, 16, 16), ())
    few = {"batch_size": 1, "patch_size": [16, 16, 16]}
    forms = tuple(name for name, form in FORMS.items() if not form.compiled)
    return Plan(torch.device("cpu"), arguments_of((8, 16), 1, 16), (16,), forms, 1, 2, sizes, 4, few)


def arguments_of(channels: tuple[int, ...], blocks: int, heads: int) -> dict[str, Any]:
    """Of the network, as a plan has them."""
    levels = len(channels)
    per_level = {"num_res_blocks": [blocks] * levels, "attention_levels": [False] * levels}
    return {"channels": list(channels), **per_level, "norm_num_groups": 8, "num_head_channels": heads}


def network_of(plan: Plan) -> nn.Module:
    """In training mode, from one seed."""
    torch.manual_seed(0)
    return HybridDiffusionUNet(3, 1, LABELS, **plan.network).to(plan.device).train()


def update_of(network: nn.Module, plan: Plan, form: Form, edge: int) -> Callable[[], None]:
    """One update of two patches: forward, loss, backward, AdamW."""
    if form.channels_last:
        network.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    if form.compiled:
        network.compile(dynamic=False)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 1, edge, edge, edge, generator=generator).to(plan.device)
    label = torch.randint(0, LABELS, (2, edge, edge, edge), generator=generator).to(plan.device)
    if form.channels_last:
        x = x.to(memory_format=torch.channels_last_3d)

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(plan.device.type, torch.bfloat16, enabled=form.mixed):
            output: Tensor = network(x, timesteps=torch.zeros(2, device=x.device), return_noise=True)
        output = output.float()
        loss = nn.functional.cross_entropy(output[:, -LABELS:], label) + (output[:, :-LABELS] - x).square().mean()
        loss.backward()
        optimizer.step()

    return update


def training(plan: Plan) -> dict[str, Any]:
    """Rows by patch and form."""
    stopwatch = Stopwatch(plan.device, plan.repetitions)
    name = torch.cuda.get_device_name(plan.device) if plan.device.type == "cuda" else ""
    sheet = next((peak for card, peak in PEAKS.items() if card in name), None)
    peak = convolution_peak(stopwatch, torch.bfloat16, quick=plan.device.type == "cpu")
    rows = []
    for edge in plan.edges:
        flops = count_flops(update_of(network_of(plan), plan, Form(mixed=True), edge))
        for label in plan.forms:
            row: dict[str, Any] = {"name": label, "patch": edge, "batch": 2, "tflop": flops / 1e12}
            rows.append(row)
            try:
                update = update_of(network_of(plan), plan, FORMS[label], edge)
                timing = stopwatch.interleaved({label: update})[label]
                memory = peak_bytes(update, plan.device)
            except torch.OutOfMemoryError:
                row["error"] = "out of memory"
                continue
            rate = flops / timing.seconds
            row |= asdict(timing) | {"gigabytes": memory / 1e9, "tflop_per_second": rate / 1e12}
            row |= {"mfu": sheet and rate / sheet, "of_convolution_peak": rate / peak}
    parameters = sum(p.numel() for p in network_of(plan).parameters())
    return {"parameters": parameters, "data_sheet_peak": sheet, "convolution_peak": peak, "rows": rows}


def determinism(plan: Plan) -> dict[str, Any]:
    """Whether two trainings from one seed end with the same weights, bit for bit."""
    rows = []
    for strict in (False, True):
        torch.use_deterministic_algorithms(strict, warn_only=True)
        try:
            first, second = (_trained(plan) for _ in range(2))
        finally:
            torch.use_deterministic_algorithms(False)
        apart = max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))
        rows.append(
            {"deterministic_algorithms": strict, "updates": plan.updates, "equal": apart == 0, "largest_difference": apart}
        )
    return {"rows": rows}


def _trained(plan: Plan) -> list[Tensor]:
    """The weights after the plan's updates in mixed precision."""
    network = network_of(plan)
    update = update_of(network, plan, Form(mixed=True), plan.edges[0])
    for _ in range(plan.updates):
        update()
    return [p.detach().float().cpu().clone() for p in network.parameters()]


def nccl(plan: Plan) -> dict[str, Any]:
    """An update of the bundle in a process alone, and under torchrun in one process: NCCL on a card, gloo without."""
    args = SimpleNamespace(set=plan.settings, threads=1, updates=plan.updates, skip=2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "raw", cases=plan.cases, site="A", seed=0)
        build(folder / "raw", folder / "prepared", budget="gpu" if plan.device.type == "cuda" else "cpu")
        rows = []
        for label, ddp in (("alone", 0), ("one process of torchrun", 1)):
            out = folder / label.replace(" ", "_")
            seen = scaling.collect(scaling.launch(args, folder / "prepared", out, ddp), out)  # type: ignore[arg-type]
            rows.append(scaling.row(label, 1, seen))
    return {"backend": "nccl" if plan.device.type == "cuda" else "gloo", "rows": rows}


def forward(plan: Plan) -> dict[str, Any]:
    """The table of one patch."""
    stopwatch = Stopwatch(plan.device, plan.repetitions)
    peaks = {dtype: convolution_peak(stopwatch, dtype, plan.device.type == "cpu") for dtype in (torch.float32, torch.bfloat16)}
    rows = tables.forward(stopwatch, plan.sizes, peaks)
    return {"convolution_peaks": {str(dtype): peak for dtype, peak in peaks.items()}, "rows": rows}


def volume(plan: Plan) -> dict[str, Any]:
    """The table of whole volumes; the second time counts, for the first chooses its kernels."""
    stopwatch = Stopwatch(plan.device, 1)
    tables.volume(stopwatch, plan.sizes)
    return {"rows": tables.volume(stopwatch, plan.sizes)}


PARTS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    "training": training, "determinism": determinism, "nccl": nccl, "forward": forward, "volume": volume,
}  # fmt: skip


def main() -> None:
    """Measure a part and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("json", type=Path)
    parser.add_argument("--dry", action="store_true")
    args = parser.parse_args()
    args.json.write_text(json.dumps(PARTS[args.part](dry() if args.dry else full())), encoding="utf-8")


if __name__ == "__main__":
    main()
