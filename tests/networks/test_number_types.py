"""Which processor computes in bfloat16, and what is said where somebody asks for it on another.

The variables that imitate an older processor are read when a process starts, so some of these tests ask a process of their own.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from warm import run_code

from monai_hybrid.inferers import AutocastInferer, segmenter
from monai_hybrid.networks import HybridDiffusionUNet, number_types

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
CEILINGS = ("ATEN_CPU_CAPABILITY", *number_types.CEILINGS)
WARNING = "bfloat16: this processor (AVX2) has no instructions for it, and can take 250 times as long as in float32. Type: "


DEFAULTS = """
import torch
from monai_hybrid.bundle.device_defaults import mixed_precision_pays as pays
from monai_hybrid.networks import number_types as n
print(pays('cpu'), n.fastest_dtype(torch.device('cpu')), n.instruction_set(), flush=True)
"""
WARNINGS = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format='%(message)s')
from monai_hybrid.bundle.setting_values import warn_of_slow_numbers as warn
warn({'amp': True, 'device': 'cpu'}); warn({'precision': 'bfloat16', 'device': 'cpu'})
warn({'amp': False}); warn({'precision': 'auto'}); warn({'amp': True, 'device': 'cuda'})
warn({'amp': True, 'device': '$x'})
"""


def unheld() -> dict[str, str]:
    """An environment in which nothing holds the instructions down."""
    return {name: value for name, value in os.environ.items() if name not in CEILINGS}


@pytest.fixture(scope="module")
def on_avx2() -> list[str]:
    """The lines of both programs in a process that imitates the older processor."""
    command = [sys.executable, "-W", "ignore", "-c", DEFAULTS + WARNINGS]
    done = subprocess.run(command, env={**unheld(), **AVX2}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor with the instructions, and nothing that holds them down."""
    for test in number_types.INSTRUCTIONS:
        monkeypatch.setattr(torch.cpu, test, lambda: True, raising=False)
    for name in number_types.CEILINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def lacks_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without them; what was said before is forgotten."""
    for test in number_types.INSTRUCTIONS:
        monkeypatch.setattr(torch.cpu, test, lambda: False, raising=False)
    monkeypatch.setattr(number_types, "instruction_set", lambda: "AVX2")
    number_types._warn_once.cache_clear()


@pytest.mark.usefixtures("has_bfloat16")
@pytest.mark.parametrize("name", number_types.CEILINGS)
def test_the_environment_can_hold_the_instructions_down(name: str) -> None:
    assert number_types.processor_has_bfloat16({}) and number_types.processor_has_bfloat16()
    for value in ("AVX2", "avx2", "AVX2_VNNI", "SSE41", "AVX512_CORE", "AVX512_CORE_VNNI"):
        assert not number_types.processor_has_bfloat16({name: value})
    for value in ("", "DEFAULT", "ALL", "AVX512_CORE_BF16", "AVX512_CORE_AMX"):
        assert number_types.processor_has_bfloat16({name: value})


@pytest.mark.long
def test_an_imitated_avx2_processor_trains_and_segments_in_float32_by_default(on_avx2: list[str]) -> None:
    assert on_avx2[0].split() == ["False", "torch.float32", "AVX2"]
    here = run_code(DEFAULTS, [], Path.cwd(), {**unheld(), "PYTHONPATH": str(Path(__file__).parents[2])}).stdout
    assert here.startswith("True torch.bfloat16 AVX-512 with BF16") or here.startswith("False torch.float32")


@pytest.mark.long
def test_on_an_imitated_avx2_processor_asking_for_bfloat16_is_answered_before_any_work(on_avx2: list[str]) -> None:
    assert on_avx2[1:] == [f"{WARNING}--amp False", f"{WARNING}--precision float32"]


@pytest.mark.usefixtures("lacks_bfloat16")
def test_whoever_computes_in_it_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    network = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8).eval()
    x = torch.zeros(1, 1, 8, 8)
    with caplog.at_level(logging.WARNING, "monai_hybrid"), torch.no_grad():
        for _ in range(2):
            segmenter(network, "bfloat16")(x)
            segmenter(network, "bfloat16", (0, 20))(x)
            AutocastInferer(True)(x, network)
    assert caplog.messages == [f"{WARNING}--precision float32", f"{WARNING}--amp False"]


@pytest.mark.usefixtures("lacks_bfloat16")
def test_float32_and_auto_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    network = HybridDiffusionUNet(2, 1, 2, channels=(8, 16), num_head_channels=8).eval()
    with caplog.at_level(logging.WARNING, "monai_hybrid"), torch.no_grad():
        for precision in ("float32", "auto"):
            segmenter(network, precision)(torch.zeros(1, 1, 8, 8))
        AutocastInferer(False)(torch.zeros(1, 1, 8, 8), network)
    assert not caplog.messages


@pytest.mark.usefixtures("has_bfloat16")
def test_where_it_is_fast_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    number_types._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "monai_hybrid"):
        number_types.warn_of_slow_bfloat16("cpu", "--amp False")
    assert not caplog.messages
