"""The number type that a device computes fast in, and what is said where somebody asks for a slow one."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from functools import cache

import torch

# Private in torch: absent means no.
INSTRUCTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
# The environment can hold oneDNN, which computes the convolutions, to less than the processor has. Below AVX512_CORE_BF16 it
# has no bfloat16 instructions: with AVX-512 it converts numbers, without it is two hundred times slower.
CEILINGS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")

logger = logging.getLogger("monai_hybrid.precision")


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device has instructions for it (AVX-512 BF16 or AMX; CUDA capability 8 or more), else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float32
    return torch.bfloat16 if device.type == "cpu" and processor_has_bfloat16() else torch.float32


def processor_has_bfloat16(environment: Mapping[str, str] | None = None) -> bool:
    """Whether this processor computes in bfloat16, and oneDNN may use it (`environment`: the process's own by default)."""
    given = os.environ if environment is None else environment
    if any(given.get(name, "").upper() in WITHOUT_BFLOAT16 for name in CEILINGS):
        return False
    return any(getattr(torch.cpu, test, bool)() for test in INSTRUCTIONS)


def instruction_set() -> str:
    """What this process computes with on the CPU: "AVX-512 with BF16", "AVX2", as held down by the environment."""
    capability = torch.backends.cpu.get_cpu_capability()
    name = {"DEFAULT": "baseline", "AVX512": "AVX-512"}.get(capability, capability)
    return f"{name} with BF16" if processor_has_bfloat16() else name


def warn_of_slow_bfloat16(device: str | torch.device, instead: str) -> None:
    """Say once that bfloat16 was asked for where it is slow, and what to type; nothing where it is fast."""
    if torch.device(device).type == "cpu" and not processor_has_bfloat16():
        _warn_once(instead)


@cache
def _warn_once(instead: str) -> None:
    logger.warning(
        "bfloat16: this processor (%s) has no instructions for it, and can take 250 times as long as in float32. Type: %s",
        *(instruction_set(), instead),
    )
