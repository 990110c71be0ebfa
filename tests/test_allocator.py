"""The memory settings reach a process where they can, and nobody's own choice is overruled."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from monai_hybrid import allocator, cli_app
from monai_hybrid.allocator import SETTINGS, allocator_environment, process_environment

ROOT = Path(__file__).parents[1]
UNCHOSEN = {name: value for name, value in os.environ.items() if not name.startswith(allocator.CHOSEN)}
GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
needs_glibc = pytest.mark.skipif(not GLIBC, reason="the settings are glibc's")

# Two freed and taken blocks of 64 MB cost a fault a page, unless the memory is kept.
COUNT_FAULTS = """
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(1 << 26)
before = faults()
bytearray(1 << 26)
print(faults() - before)
"""


@pytest.fixture
def glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))


@pytest.mark.usefixtures("glibc")
def test_settings_where_they_work_and_nobody_has_chosen() -> None:
    assert allocator_environment({"HOME": "/"}) == SETTINGS


@pytest.mark.usefixtures("glibc")
@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_"])
def test_a_choice_of_the_user_stays(name: str) -> None:
    assert allocator_environment({name: ""}) == {}


@pytest.mark.usefixtures("glibc")
def test_threads_wait_passively_unless_the_user_has_chosen() -> None:
    assert process_environment({}) == {**SETTINGS, "OMP_WAIT_POLICY": "PASSIVE"}
    assert process_environment({"OMP_WAIT_POLICY": "ACTIVE"}) == process_environment({"GOMP_SPINCOUNT": "0"}) == SETTINGS
    assert process_environment({"LD_PRELOAD": "x"}) == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize(("system", "libc"), [("darwin", ""), ("win32", ""), ("linux", "musl")])
def test_nothing_on_other_systems(monkeypatch: pytest.MonkeyPatch, system: str, libc: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    assert allocator_environment({}) == {}


@needs_glibc
def test_the_memory_is_kept() -> None:
    counts = {}
    for name, added in (("default", {}), ("kept", SETTINGS)):
        done = subprocess.run([sys.executable, "-c", COUNT_FAULTS], env={**UNCHOSEN, **added}, capture_output=True, check=True)
        counts[name] = int(done.stdout)
    assert counts["kept"] < 100 < 1000 < counts["default"]


@needs_glibc
def test_a_command_starts_itself_anew_once_with_its_own_words() -> None:
    code = (
        "import os, sys; print('start', flush=True)\n"
        "from benchmarks.speed.processor import restart_with; from monai_hybrid.allocator import allocator_environment\n"
        "restart_with(allocator_environment())\n"
        "print(sys.argv[1:], os.environ['MALLOC_TRIM_THRESHOLD_'])"
    )
    words = [sys.executable, "-c", code, "--name", "a b"]
    done = subprocess.run(words, env={**UNCHOSEN, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["start", "start", f"['--name', 'a b'] {allocator.KEEP_BYTES}"]
    chosen = {**UNCHOSEN, "PYTHONPATH": str(ROOT), "MALLOC_TRIM_THRESHOLD_": "7"}
    done = subprocess.run(words, env=chosen, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["start", "['--name', 'a b'] 7"]


@pytest.mark.usefixtures("glibc")
def test_the_command_line_hands_them_to_the_process_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    def run(_words: list[str], environment: dict[str, str]) -> int:
        seen.append(environment)
        return 0

    monkeypatch.setattr("monai_hybrid.commands.run_child", run)
    monkeypatch.setattr(os, "environ", {"HOME": "/h"})
    with pytest.raises(cli_app.typer.Exit):
        cli_app.run(["-m", "data_prep"])
    monkeypatch.setattr(os, "environ", {"HOME": "/h", "LD_PRELOAD": "libtcmalloc.so"})
    with pytest.raises(cli_app.typer.Exit):
        cli_app.run(["-m", "data_prep"])
    waiting = {"HOME": "/h", "OMP_WAIT_POLICY": "PASSIVE"}
    assert seen == [{**waiting, **SETTINGS}, {**waiting, "LD_PRELOAD": "libtcmalloc.so"}]


# The same in a process that has started; memory above 2 GB (an int) and of other threads must still be had.
KEEP = """
import ctypes, threading
from monai_hybrid.allocator import keep_memory
print(keep_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def take():  # taken, not touched
    block = libc.malloc(ctypes.c_size_t(3 << 30))
    assert block
    libc.free(block)
take()
other = threading.Thread(target=take)
other.start()
other.join()
"""


@needs_glibc
def test_a_running_process_keeps_its_memory_from_the_call_on() -> None:
    command, environment = [sys.executable, "-c", KEEP + COUNT_FAULTS], {**UNCHOSEN, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer, faults = done.stdout.split()
    assert answer == "True" and int(faults) < 100 and not done.stderr
    chosen = {**environment, "MALLOC_ARENA_MAX": ""}  # set to nothing, it changes nothing: glibc's own handling shows
    done = subprocess.run(command, env=chosen, capture_output=True, text=True, check=True)
    answer, faults = done.stdout.split()
    assert answer == "False" and int(faults) > 1000


@pytest.mark.parametrize(("system", "libc"), [("darwin", ""), ("win32", ""), ("linux", "musl")])
def test_a_running_process_is_left_alone_on_other_systems(monkeypatch: pytest.MonkeyPatch, system: str, libc: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(allocator, "ctypes", None)  # a call would raise
    assert allocator.keep_memory() is False
