"""`python -m MODULE ...` and `python -c CODE ...` in processes of their own, without waiting for torch and MONAI to load.

Loading them takes 4 to 5 processor seconds, more than most of the tiny runs that tests make. So each pytest process has a
server that has loaded the libraries and most of this project, and run nothing; a run is a fork of it. Where pytest-xdist runs
several, the servers of the others are forks of the first one. A run has its own memory, working folder, environment, argv,
stdout, stderr, exit code and end of the interpreter. Where its paths lead to other code of the project's name it loads that.
The order of the imports is the server's: start-up is tried by `subprocess`.
What a fork shares with its siblings is the hash seed: a test that two runs are alike starts one of them by `subprocess`.
`python -m` that such a fork starts itself, as the command line does, is a fork again (`Forked`), with the project as loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import _lru_cache_wrapper, cache
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "torch", "torch._dynamo", "torch.utils.tensorboard", "monai.bundle.__main__", "monai.networks.nets", "monai.losses",
    "ignite.engine", "ignite.contrib.handlers", "matplotlib.figure", "matplotlib.backends.backend_agg", "scipy.stats",
    "scipy.ndimage", "nibabel", "PIL.Image", "jsonschema", "fire", "einops", "safetensors.torch", "filelock", "tqdm", "yaml",
    "typer", "rich.console", "rich.table", "contourpy",
)  # fmt: skip

# Rooms without a program of their own: what `python -m` runs is loaded by it.
PROJECT = (
    "data_prep.build", "data_prep.check", "data_prep.phantom", "data_prep.dicom", "monai_hybrid.bundle",
    "monai_hybrid.diffusion", "monai_hybrid.engines", "monai_hybrid.evaluation", "monai_hybrid.few_shot",
    "monai_hybrid.inferers", "monai_hybrid.losses", "monai_hybrid.networks", "monai_hybrid.prediction",
    "monai_hybrid.quality", "monai_hybrid.reporting.report", "monai_hybrid.runs", "monai_hybrid.transforms",
    "monai_hybrid.commands", "monai_hybrid.command_options",
)  # fmt: skip
OURS = ("data_prep", "monai_hybrid")
ROOT = Path(__file__).resolve().parents[1]

LONGEST_PLACE = 90  # characters; a socket's path may have 107
FEW = "WARM_LIBRARIES"  # in the environment: others than these, for a server that is to start quickly


def run_module(
    module: str,
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float = 600,
    signalled: tuple[int, Callable[[], object]] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`python -W ignore -m MODULE WORDS`; stdout and stderr are kept.

    Args:
        signalled: a signal, and when the process gets it: as soon as the function says so, if it runs yet.

    Raises:
        subprocess.TimeoutExpired: the process was killed after `timeout` seconds.
    """
    return _run(["-m", module, *words], cwd, environment, timeout, signalled)


def run_code(code: str, words: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """`python -W ignore -c CODE WORDS`, as `run_module`. What asks whether a library is loaded, or how, needs a new process."""
    return _run(["-c", code, *words], cwd, environment, 600)


def run_in_place(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """In the place of `subprocess.run` for `python -m MODULE WORDS` whose output is kept."""
    words = [word for word in command[1:] if word not in ("-W", "ignore")]
    return run_module(words[1], words[2:], options.get("cwd") or Path.cwd(), options.get("env") or os.environ)


def _run(
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    signalled: tuple[int, Callable[[], object]] | None = None,
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", *words]
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        job = {"words": list(words), "command": command, "cwd": str(cwd), "environment": dict(environment)}
        server = _server()
        server.stdin.write(json.dumps({**job, "out": str(out), "err": str(err)}).encode() + b"\n")
        server.stdin.flush()
        pid = json.loads(server.stdout.readline())["pid"]
        if signalled is not None:
            while not (ended := select.select([server.stdout], [], [], 0.005)[0]) and not signalled[1]():
                pass
            if not ended:
                os.kill(pid, signalled[0])
        if not select.select([server.stdout], [], [], timeout)[0]:
            os.kill(pid, 9)
            server.stdout.readline()
            raise subprocess.TimeoutExpired(command, timeout, out.read_text(), err.read_text())
        code = json.loads(server.stdout.readline())["code"]
        return subprocess.CompletedProcess(command, code, out.read_text(errors="replace"), err.read_text(errors="replace"))


@cache
def _server() -> Any:
    """With `stdin` and `stdout`, unbuffered: of two replies that come at once, `select` must see the second."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    place = Path(tempfile.gettempdir(), f"warm-{run}{os.environ.get(FEW, '')}")
    if not run or sys.platform != "linux" or len(str(place)) > LONGEST_PLACE:
        return _started()
    try:
        place.mkdir(mode=0o700)
    except FileExistsError:
        return _twin(place) or _started()
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return _started(str(place / "asked"))


def _started(*listening: str) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-W", "ignore", __file__, str(os.getpid()), *listening]
    server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    atexit.register(_end, server)
    return server


def _twin(place: Path, seconds: float = 120) -> Any:
    """A fork of the server of another worker, as soon as that one has loaded; None if it ended before. It costs nothing."""
    if place.stat().st_uid != os.getuid():
        return None
    end = time.monotonic() + seconds
    while place.is_dir() and time.monotonic() < end:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(place / "asked"))
        except FileNotFoundError:  # it still loads
            connection.close()
            time.sleep(0.1)
            continue
        except OSError:
            connection.close()
            break
        return types.SimpleNamespace(stdin=connection.makefile("wb"), stdout=connection.makefile("rb", buffering=0))
    return None


def _end(server: subprocess.Popen[bytes]) -> None:
    assert server.stdin is not None
    server.stdin.close()
    server.wait(timeout=30)


def _end_with_parent(parent: int) -> None:
    """Be killed when the parent is gone, so that a test run that was killed leaves nothing behind. Linux alone can do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; forks do not inherit it
        if os.getppid() != parent:  # it went before
            os._exit(1)


def _next_job(place: str | None) -> dict[str, Any] | None:
    """In the server: fork for each line of stdin. Returns a job in each fork, None in the server at the end.

    Args:
        place: of a socket; whoever connects to it gets a fork of the server, which reads jobs from that connection.
    """
    orders, replies, own = sys.stdin, os.fdopen(os.dup(1), "w"), os.getpid()
    asked, child, ended = _listening(place), 0, None
    while True:
        ready = select.select([file for file in (orders, asked, ended) if file is not None], [], [])[0]
        if asked in ready:
            connection = asked.accept()[0]
            if os.fork() == 0:
                asked.close()
                for number in (0, 1):
                    os.dup2(os.open(os.devnull, os.O_RDWR), number)
                orders, replies, own = connection.makefile("r"), connection.makefile("w"), os.getpid()
                asked, ended = None, None
            connection.close()
        elif ended is not None:
            if orders in ready:  # nobody is there any more
                os.kill(child, signal.SIGKILL)
            os.close(ended)
            ended = None
            _tell_end(child, replies)
        elif not (line := orders.readline()):
            return None
        else:
            job: dict[str, Any] = json.loads(line)
            child = os.fork()
            if child == 0:
                _end_with_parent(own)
                for file in (replies, asked, None if orders is sys.stdin else orders):
                    if file is not None:
                        file.close()
                return job
            print(json.dumps({"pid": child}), file=replies, flush=True)
            if sys.platform == "linux":
                ended = os.pidfd_open(child)
            else:
                _tell_end(child, replies)


def _tell_end(child: int, replies: Any) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"code": code}), file=replies, flush=True)


def _listening(place: str | None) -> Any:
    if place is None:
        return None
    asked = socket.socket(socket.AF_UNIX)
    asked.bind(f"{place}.new")
    asked.listen()
    Path(f"{place}.new").rename(place)  # whoever sees it gets an answer, or nobody is there any more
    return asked


class Forked(subprocess.Popen):
    """`python -m MODULE WORDS` that keeps its parent's stdout and stderr, as a fork; anything else is a new process.

    What `monai_hybrid.launch` starts is that too, by a first line of its own.
    """

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Callable[[], object] | None, *rest: Any) -> None:
        words = [args] if isinstance(args, str) else [os.fsdecode(word) for word in args]
        starter = importlib.import_module("monai_hybrid.launch").launched([])
        if words[1 : 1 + len(starter)] == starter:
            words[1 : 1 + len(starter)] = ["-m", "monai_hybrid.launch"]
        # The rest, as CPython's _posixsubprocess has it: close_fds, pass_fds, cwd, env, ..., and pipes (-1 is none).
        cwd, environment, pipes = rest[2], rest[3], rest[7:13]
        if words[:2] != [sys.executable, "-m"] or executable not in (None, sys.executable) or set(pipes) != {-1}:
            super()._execute_child(args, executable, preexec_fn, *rest)  # type: ignore[misc]
            return
        sys.stdout.flush()
        sys.stderr.flush()
        own = os.getpid()
        self.pid = os.fork()
        self._child_created = True
        if self.pid == 0:
            _end_with_parent(own)
            if preexec_fn is not None:
                preexec_fn()
            _forget()
            folder, own = str(cwd or Path.cwd()), dict(environment or os.environ)
            _run_and_end({"words": words[1:], "command": words, "cwd": folder, "environment": own})


def _run_and_end(job: Mapping[str, Any]) -> NoReturn:
    """In a fork: run the job, and end as Python does, but for taking down the libraries, which takes half a second."""
    _take_place(job)
    code = 1
    try:
        code = _exit_code(_program, *job["words"][:2])
    except BaseException:
        code = _exit_code(sys.excepthook, *sys.exc_info()) or 1
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _program(kind: str, name: str) -> None:
    """What `python -m NAME` or `python -c NAME` runs."""
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(compile(name, "<string>", "exec"), main.__dict__)


def _exit_code(program: Callable[..., object], *given: Any) -> int:
    """Call it; 0, or what it asks for by `sys.exit`, as our hook for exceptions does too."""
    try:
        program(*given)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _forget() -> None:
    """In a fork of a command that is under way: what the command has set up is not for the one that begins."""
    atexit._clear()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) not in (signal.SIG_IGN, signal.SIG_DFL, None):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.excepthook = sys.__excepthook__
    _drop_project()
    for name, (module, content) in _AS_LOADED.items():
        module.__dict__.clear()
        for key, (value, filled) in content.items():
            module.__dict__[key] = value
            if isinstance(value, _lru_cache_wrapper):
                value.cache_clear()
            if isinstance(value, list):
                value[:] = filled
            elif isinstance(value, dict | set):
                value.clear()
                value.update(filled)
        sys.modules[name] = module


_AS_LOADED: dict[str, tuple[types.ModuleType, dict[str, tuple[Any, Any]]]] = {}  # each module, and what its names were


def _load_project() -> None:
    """In the server: the code of this checkout, and how it is before anything has run."""
    sys.path.insert(0, str(ROOT))
    for module in PROJECT:
        importlib.import_module(module)
    del sys.path[0]
    for name in _of_project():
        content = vars(sys.modules[name])
        kept = {key: (value, copy.copy(value) if type(value) in (dict, list, set) else None) for key, value in content.items()}
        _AS_LOADED[name] = (sys.modules[name], kept)


def _remember_what_runs_look_up() -> None:
    """In the server: what each run of a bundle would find out anew about the libraries, for a fifth of a second."""
    from monai.bundle.config_item import ComponentLocator

    # Fire asks for the caller's frame. With its lines, or by inspect's own way, all modules are looked through.
    inspect.stack = _frames
    look_for_classes_once()
    ComponentLocator().get_component_module_name("Compose")


def look_for_classes_once() -> None:
    """MONAI looks through all modules named like it, ours among them, for a `_target_`, a tenth of a second a configuration."""
    from monai.bundle.config_item import ComponentLocator

    found: dict[str, tuple[types.ModuleType, dict[str, list[str]]]] = {}
    look = ComponentLocator._find_classes_or_functions

    def look_once(self: ComponentLocator, modnames: Sequence[str] | str) -> dict[str, list[str]]:
        table: dict[str, list[str]] = {}
        for name in [modnames] if isinstance(modnames, str) else modnames:
            module, names = found.get(name, (None, {}))
            if module is not sys.modules.get(name):  # new, or of another folder
                names = look(self, name)
                found[name] = sys.modules[name], names
            for target, places in names.items():
                table.setdefault(target, []).extend(places)
        return table

    ComponentLocator._find_classes_or_functions = look_once  # type: ignore[method-assign]


def _frames(context: int = 1) -> list[inspect.FrameInfo]:
    """`inspect.stack` with the file and the line of each frame alone."""
    frames, frame = [], inspect.currentframe()
    while frame is not None and (frame := frame.f_back) is not None:
        code = frame.f_code
        frames.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
    return frames


def _of_project() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in OURS]


def _drop_project() -> None:
    for name in _of_project():
        del sys.modules[name]


def _elsewhere() -> bool:
    """Whether the paths lead to another code than the one that is loaded."""
    places = [next((path for path in sys.path if Path(path, name, "__init__.py").is_file()), "") for name in OURS]
    return any(not place or Path(place).resolve() != ROOT for place in places)


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
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # forks would all go on from one state
    sys.modules.pop("monai.bundle.__main__", None)  # runpy warns of a module that is loaded already
    subprocess.Popen = Forked  # type: ignore[misc]


def _take_place(job: Mapping[str, Any]) -> None:
    """Folder, environment, words and paths of a job."""
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.orig_argv[:] = job["command"]
    sys.argv[:] = [job["words"][0], *job["words"][2:]]
    paths = [path for path in job["environment"].get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [job["cwd"], *paths, *(path for path in _PATHS if path not in paths)]
    if _elsewhere():
        _drop_project()


if __name__ == "__main__":
    _end_with_parent(int(sys.argv[1]))
    for library in os.environ.get(FEW, ",".join(LIBRARIES)).split(","):
        importlib.import_module(library)
    with contextlib.suppress(ImportError):  # newer versions of typer load it in each command
        importlib.import_module("pydantic.type_adapter")
    _PATHS = sys.path[1:]
    if FEW not in os.environ:
        _load_project()
        _remember_what_runs_look_up()
    os.fsync = lambda handle: None  # as in tests: see conftest.py
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False  # they take libraries down: 0.04 s at the end of each fork
    gc.collect()
    gc.freeze()  # what no fork's collector touches is not copied
    order = _next_job(*sys.argv[2:3] or [None])
    if order is not None:
        _become(order)
        _run_and_end(order)
    os._exit(0)
