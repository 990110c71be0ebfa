"""`python -m MODULE ...` in a process of its own, without waiting for torch and MONAI to load each time.

Loading them takes 4 to 5 processor seconds, more than most of the tiny runs that tests make. So each pytest process keeps one
server that has loaded the libraries and nothing of this project; a run is a fork of it. The fork has its own memory, working
folder, environment, argv, stdout, stderr, exit code and end of the interpreter, and loads this project's code itself.
What a fork shares with its siblings is the hash seed: a test that two runs are alike starts one of them by `subprocess`.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch", "torch._dynamo", "torch.utils.tensorboard", "monai.bundle.__main__", "monai.networks.nets", "monai.losses",
    "ignite.engine", "ignite.contrib.handlers", "matplotlib.figure", "matplotlib.backends.backend_agg", "scipy.stats",
    "scipy.ndimage", "nibabel", "PIL.Image", "jsonschema", "fire", "einops", "safetensors.torch", "filelock", "tqdm", "yaml",
    "typer", "contourpy",
)  # fmt: skip


def run_module(
    module: str, words: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """`python -W ignore -m MODULE WORDS`; stdout and stderr are kept.

    Raises:
        subprocess.TimeoutExpired: the process was killed after `timeout` seconds.
    """
    command = [sys.executable, "-W", "ignore", "-m", module, *words]
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        job = {"module": module, "command": command, "cwd": str(cwd), "environment": dict(environment)}
        server = _server()
        server.stdin.write(json.dumps({**job, "out": str(out), "err": str(err)}) + "\n")
        server.stdin.flush()
        pid = json.loads(server.stdout.readline())["pid"]
        if not select.select([server.stdout], [], [], timeout)[0]:
            os.kill(pid, 9)
            server.stdout.readline()
            raise subprocess.TimeoutExpired(command, timeout, out.read_text(), err.read_text())
        code = json.loads(server.stdout.readline())["code"]
        return subprocess.CompletedProcess(command, code, out.read_text(errors="replace"), err.read_text(errors="replace"))


@cache
def _server() -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-W", "ignore", __file__]
    server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(_end, server)
    return server


def _end(server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait(timeout=30)


def _next_job() -> dict[str, Any] | None:
    """In the server: fork for each line of stdin. Returns a job in each fork, None in the server at the end."""
    replies = os.fdopen(os.dup(1), "w")
    while line := sys.stdin.readline():
        job: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            replies.close()
            return job
        print(json.dumps({"pid": child}), file=replies, flush=True)
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}), file=replies, flush=True)
    return None


def _become(job: Mapping[str, Any]) -> None:
    """Be the process that was asked for."""
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, job["out"], os.O_WRONLY | os.O_CREAT),
        (2, job["err"], os.O_WRONLY | os.O_CREAT),
    ):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.orig_argv[:] = job["command"]
    sys.argv[:] = ["-m", *job["command"][5:]]
    paths = [path for path in job["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [job["cwd"], *paths]
    sys.modules["numpy"].random.seed()  # forks would all go on from one state
    sys.modules.pop("monai.bundle.__main__")  # runpy warns of a module that is loaded already


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    asked = _next_job()
    if asked is not None:
        _become(asked)
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
