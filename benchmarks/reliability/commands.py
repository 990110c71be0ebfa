"""Five commands on tiny data as a user types them, and what the result of each is."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability.runs import ROOT, digest
from benchmarks.reliability.whole import hidden
from data_prep.build import build
from data_prep.phantom import generate

SIZES = [
    "--batch_size",
    "2",
    "--spacing",
    "[8,8]",
    "--patch_size",
    "[16,16]",
    "--progress_bar",
    "False",
    "--picture_interval",
    "0",
]
AFTER_IMPORTS = "import sys, resource, runpy; {imports}; " + (
    "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
    "resource.setrlimit(resource.RLIMIT_AS, (now + {more},) * 2); "
    "sys.argv[:] = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as in the table.
        words: after `python -m`, for an output folder.
        again: further words with which an interrupted one goes on.
        result: what must be equal in the end, for an output folder.
        imports: what it needs before a memory limit can be set.
    """

    name: str
    words: Callable[[Path], list[str]]
    result: Callable[[Path], Any]
    again: tuple[str, ...] = ()
    imports: str = "import numpy, nibabel, rich.console, jsonschema, typer"


@dataclass(frozen=True)
class Base:
    """The data and the model that all commands read."""

    folder: Path

    @property
    def raw(self) -> Path:
        """Labelled pictures."""
        return self.folder / "raw"

    @property
    def prepared(self) -> Path:
        """The same, described."""
        return self.folder / "prepared"

    @property
    def model(self) -> Path:
        """A very short pretraining."""
        return self.folder / "model"


def make_base(folder: Path) -> Base:
    """Make data and model; what is there already is taken."""
    base = Base(folder)
    generate(base.raw, cases=6, site="A", seed=0, dims=2)
    if not (base.prepared / "datalist.json").is_file():
        build(base.raw, base.prepared, budget="cpu")
    if not (base.model / "models/model.pt").is_file():
        words = ["monai_hybrid.cli", "pretrain", "--data", str(base.prepared), "--output", str(base.model), *SIZES]
        done = run([*words, "--max_epochs", "1", "--updates_per_epoch", "2", "--overwrite", "True"])
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
    return base


def commands(base: Base) -> list[Command]:
    """The five."""
    torch = "import torch, monai.bundle, monai.networks.nets, monai_hybrid.bundle"
    few = ["--shots", "1", "--max_epochs", "2", "--updates_per_epoch", "2", *SIZES]
    model, adapt = str(base.model / "models/model.safetensors"), ("--data", str(base.prepared))
    return [
        Command("build", lambda out: ["data_prep", "build", str(base.raw), "--out", str(out)], visible),
        Command("repair", lambda out: ["data_prep", "repair", str(base.raw), "--out", str(out)], visible),
        Command(
            "predict",
            lambda out: ["monai_hybrid.cli", "predict", str(base.raw / "images"), "--model", model, "--output", str(out),
                         "--precision", "float32", "--progress_bar", "False"],
            predicted, (), torch,
        ),
        Command(
            "adapt", lambda out: ["monai_hybrid.cli", "adapt", *adapt, "--model", model, "--output", str(out), *few],
            lambda out: digest(out / "models/model.safetensors"), ("--resume", "True"), torch,
        ),
        Command("report", lambda out: ["monai_hybrid.cli", "report", str(base.model), "--output", str(out / "page.html")],
                lambda out: (out / "page.html").is_file(), (), torch),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """One thread, this code, and the same place for everything."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "MPLCONFIGDIR": "/tmp"}


def start(words: Sequence[str], **how: Any) -> subprocess.Popen[str]:
    """`python -m ...`; stdout and stderr are kept."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", *words]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=pipe, stderr=pipe, text=True, **how)


def run(words: Sequence[str], **how: Any) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    with start(words, **how) as process:
        out, errors = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def run_in_little_memory(command: Command, out: Path, more: int) -> subprocess.CompletedProcess[str]:
    """With no more address space than the imports need and `more` bytes."""
    words = command.words(out)
    if words[0] == "monai_hybrid.cli":  # the process that works, not the one that waits for it
        words = _inner(words)
    code = AFTER_IMPORTS.format(imports=command.imports, more=more)
    full = [sys.executable, "-c", code, *words]
    return subprocess.run(full, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)


def _inner(words: list[str]) -> list[str]:
    """The command that `monai-hybrid` starts, as it prints it."""
    script = (
        "import sys; from monai_hybrid import cli, commands; "
        "commands.run_child = lambda c, e: (print('monai_hybrid.launch', *c[2:], sep='\\0'), 1)[1]; "
        "sys.argv[:] = ['monai-hybrid', *sys.argv[1:]]; cli.main()"
    )
    full = [sys.executable, "-c", script, *words[1:]]
    done = subprocess.run(full, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    if not done.stdout.strip():
        raise RuntimeError(f"no command: {done.stderr}")
    return done.stdout.strip("\n").split("\0")


def visible(out: Path) -> dict[str, str]:
    """Hashes of all files but the log that names the folder."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and not hidden(p, out) and p.name != "repair.json")
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def predicted(out: Path) -> dict[str, Any]:
    """Masks and the rows of the table."""
    masks = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(out.glob("*_seg.*"))}
    with (out / "quality.csv").open(newline="", encoding="utf-8") as handle:
        return {"masks": masks, "rows": list(csv.DictReader(handle))}
