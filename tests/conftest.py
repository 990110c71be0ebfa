"""What holds for every test: one profile of hypothesis, and signals as in a terminal."""

from __future__ import annotations

import gc
import itertools
import os
import re
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck, settings
from warm import look_for_classes_once, run_module

# No limit of time: on a busy or a slow machine an example takes many times longer, and that is no fault of the code.
# Where runs must be alike (CI), the examples follow from the test alone; elsewhere each run looks at new ones.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    database=None,
)
settings.load_profile("project")

# A shell's background job ignores Ctrl-C, and nohup SIGHUP; tests send both, and their processes inherit what this one ignores.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


# As in an activated environment: `python` is the one that runs.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"

NUMBERS = itertools.count()


def pytest_collection_finish() -> None:
    """The libraries and the tests stay to the end: the collector need not look through their objects again and again."""
    gc.collect()
    gc.freeze()
    if "monai.bundle.config_item" in sys.modules:
        look_for_classes_once()


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Thousands of small files need not outlive a power cut: each flush waits for some milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run as where no model comes with the package; those of the models say so themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONAI_HYBRID_MODELS", str(tmp_path_factory.mktemp("no_models")))
        yield


@pytest.fixture(scope="module")
def files_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one file of tests. pytest looks through a whole folder for each that it makes in it: thousands would cost a minute."""
    return tmp_path_factory.mktemp(Path(request.node.name).stem)


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, files_folder: Path) -> Path:
    """As pytest's: a new folder with the test's name."""
    folder = files_folder / f"{re.sub(r'[^a-zA-Z0-9_]', '_', request.node.name)[:30]}{next(NUMBERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def own_key_file(files_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pseudonyms of tests go into no file of the user."""
    folder = files_folder / f"key{next(NUMBERS)}"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("MONAI_HYBRID_KEY_FILE", str(folder / "pseudonyms.json"))


@pytest.fixture(scope="session", autouse=True)
def one_command_line() -> Iterator[None]:
    """The options of the command line are put together once, not for every line that a test types."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        patch.setattr(typer.testing, "_get_command", typer.main.get_command)
        yield


@pytest.fixture
def warm_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the Python interface starts need not load the libraries anew."""

    def run_child(command: list[str], environment: dict[str, str]) -> int:
        done = run_module(command[2], command[3:], Path.cwd(), environment)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode

    monkeypatch.setattr("monai_hybrid.commands.run_child", run_child)
