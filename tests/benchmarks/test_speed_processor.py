"""Each table says which processor it is of, and an older one can be imitated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed import processor

ROOT = Path(__file__).parents[2]


def test_only_what_is_missing_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in processor.ISAS["avx2"]:
        monkeypatch.delenv(name, raising=False)
    assert processor.isa_environment(None) == {}
    assert processor.isa_environment("avx2") == processor.ISAS["avx2"]
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert processor.isa_environment("avx2") == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert processor.isa_environment("avx2") == {}


@pytest.mark.long
def test_held_to_avx2_the_table_says_so_and_has_no_row_in_bfloat16(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    words = ["--quick", "--isa", "avx2", "--parts", "sampling", "--stock_allocator", "--json", str(out)]
    program = """
import os
from benchmarks.speed import __main__ as m
if "ATEN_CPU_CAPABILITY" in os.environ:  # started anew
    from benchmarks.speed import parts
    parts.QUICK = parts.Sizes((8, 8, 8), (), (8, 8, 8), (1,))
m.main()
print([row.name for row in parts.ROWS])
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
    }
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    machine = json.loads(out.read_text())["machine"]
    assert machine["device"].endswith(", AVX2 (held down)")
    assert [key for key in machine if "peak" in key] == ["convolution peak float32, GFLOP/s"]
    assert "'ours, folded'" in done.stdout and "bfloat16" not in done.stdout
