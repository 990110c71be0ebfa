"""A training that is stopped, killed, or runs out of disk or memory, as a user sees it; and none of it asks the network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bundle_runs import ROOT, TINY, run_bundle
from test_train import digest
from warm import run_module

from data_prep.files import read_datalist
from monai_hybrid.runs.checkpoint import checkpoints, load_newest

TRAIN = "bundles/hybrid_pretrain/configs/train.json"
SETTINGS = {**TINY, "updates_per_epoch": 4, "max_epochs": 3, "ema_decay": 0.5, "val_interval": 3, "picture_interval": 0}
# Put on PYTHONPATH as sitecustomize: any connection or look-up of a name ends the process, and says so.
OFFLINE = """
import os, socket, sys
def blocked(*args, **kwargs):
    sys.stderr.write(f"NETWORK {args}\\n"); sys.stderr.flush(); os._exit(99)
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = blocked
class Socket(socket.socket):
    def connect(self, address): blocked(address)
    def connect_ex(self, address): blocked(address)
    def sendto(self, *args): blocked(args)
socket.socket = Socket
"""
LIMITED = """
import resource, runpy, sys
import torch, monai.bundle
kind, amount, add = sys.argv[1:4]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() if add == "more" else 0
resource.setrlimit(getattr(resource, kind), (int(float(amount)) + used,) * 2)
sys.argv = sys.argv[3:]
runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
"""


def words(**settings: object) -> list[str]:
    return [word for name, value in {**SETTINGS, **settings}.items() for word in (f"--{name}", str(value))]


def environment(*paths: Path) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}


def offline(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run python with the network blocked."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(OFFLINE)
    command = (sys.executable, "-W", "ignore", *command)
    return subprocess.run(command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Path:
    """A training that nobody disturbs, with the network blocked."""
    out = tmp_path_factory.mktemp("whole")
    run = ("-m", "monai.bundle", "run", "--config_file", TRAIN, *words(dataset_dir=prepared, output_dir=out / "run"))
    done = offline(out / "block", *run)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "run"


def signalled(number: int, at_least: int, **settings: object) -> subprocess.CompletedProcess[str]:
    """A training that gets a signal once a checkpoint of `at_least` updates is there."""
    file = Path(str(settings["output_dir"]), f"checkpoints/update_{at_least:08d}.pt")
    run = ["run", "--config_file", TRAIN, *words(**settings)]
    return run_module("monai.bundle", run, ROOT, environment(), signalled=(number, file.is_file))


def test_the_network_block_would_be_noticed(tmp_path: Path) -> None:
    code = "import urllib.request as u; u.urlopen('http://127.0.0.1:9')"
    assert offline(tmp_path, "-c", code).returncode == 99
    assert offline(tmp_path, "-c", "import socket; socket.socketpair()").returncode == 0


@pytest.mark.long
def test_sigterm_saves_and_the_same_command_with_resume_ends_with_the_same_weights(
    prepared: Path, whole: Path, tmp_path: Path
) -> None:
    settings = {"dataset_dir": prepared, "output_dir": tmp_path}
    stopped = signalled(signal.SIGTERM, 0, **settings)
    assert stopped.returncode == 143 and "Traceback" not in stopped.stderr, stopped.stderr[-3000:]
    assert "of 12; everything is saved: type the same command with --resume True to go on" in stopped.stderr
    done = run_bundle(TRAIN, **{**SETTINGS, **settings}, resume=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"going on from {tmp_path}/checkpoints/update_0000" in done.stdout + done.stderr
    assert digest(tmp_path / "models/model.pt") == digest(whole / "models/model.pt")
    assert (tmp_path / "logs/history.jsonl").read_text() == (whole / "logs/history.jsonl").read_text()


@pytest.mark.long
def test_a_second_training_in_the_same_folder_needs_a_word(prepared: Path, whole: Path) -> None:
    before = digest(whole / "models/model.pt")
    done = run_bundle(TRAIN, **SETTINGS, dataset_dir=prepared, output_dir=whole)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    held = f"holds a finished run of {prepared} (update 12 of 12); --resume True with more --updates or --max_epochs goes on"
    assert held in done.stderr
    assert digest(whole / "models/model.pt") == before


@pytest.mark.slow
def test_sigkill_then_resume(prepared: Path, whole: Path, tmp_path: Path) -> None:
    settings = {"dataset_dir": prepared, "output_dir": tmp_path}
    assert signalled(signal.SIGKILL, 4, **settings).returncode == -9
    done = run_bundle(TRAIN, **{**SETTINGS, **settings}, resume=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert digest(tmp_path / "models/model.pt") == digest(whole / "models/model.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "changes", "message"),
    [
        (("RLIMIT_FSIZE", "5e6", "exact"), {}, "cannot be read or written: File too large"),
        (("RLIMIT_AS", "6e8", "more"), {"patch_size": "[96,96,96]", "batch_size": 16}, "not enough memory"),
    ],
)
def test_a_full_disk_and_a_memory_limit_end_in_one_sentence(
    limit: tuple[str, ...], changes: dict, message: str, prepared: Path, tmp_path: Path
) -> None:
    settings = {"dataset_dir": prepared, "output_dir": tmp_path, **changes}
    run = ["run", "--config_file", TRAIN, *words(**settings)]
    command = [sys.executable, "-W", "ignore", "-c", LIMITED, *limit, *run]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 5 and "Traceback" not in done.stderr, done.stderr[-3000:]
    assert message in done.stderr and "a training goes on with --resume True" in done.stderr
    assert [p.name[0] for p in (tmp_path / "checkpoints").iterdir()] == ["u"] * len(checkpoints(tmp_path / "checkpoints"))
    assert load_newest(tmp_path / "checkpoints") is not None  # of the start: 4 MB; later ones hold the optimizer's moments too


@pytest.mark.slow
def test_prediction_asks_no_network(prepared: Path, whole: Path, tmp_path: Path) -> None:
    image = read_datalist(prepared)["testing"][0]["image"]
    given = {"dataset_dir": image, "model": whole / "models/model.pt", "output_dir": tmp_path / "out"}
    config = "bundles/hybrid_pretrain/configs/inference.json"
    run = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    done = offline(tmp_path / "block", "-m", "monai.bundle", "run", "--config_file", config, *run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert list((tmp_path / "out").glob("*_seg.nii.gz"))
