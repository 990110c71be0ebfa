"""What counts as a lack of memory while the program starts."""

from __future__ import annotations

import sys

import pytest

from data_prep import lack_of_memory
from data_prep.errors import EnvironmentFault
from data_prep.lack_of_memory import lacks_memory, memory_told, refuse_for_memory, take_blas_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        SystemError("error return without exception set"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("could not create a primitive"),
        RuntimeError("unable to mmap 4168580 bytes from file </x/model.safetensors>: Cannot allocate memory (12)"),
    ],
)
def test_a_lack_of_memory_is_known(error: Exception) -> None:
    assert lacks_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'x'"),
        OSError(2, "No such file"),
        SystemError("bad call"),
        RuntimeError("could not create a primitive descriptor for a convolution forward propagation primitive"),
    ],
)
def test_other_errors_are_none(error: Exception) -> None:
    assert not lacks_memory(error)


def test_it_is_known_behind_a_failed_import_and_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    with pytest.raises(SystemExit) as ended, memory_told():
        try:
            raise MemoryError
        except MemoryError as error:
            raise ImportError("numpy's C-extensions failed") from error
    assert ended.value.code == 5 and capsys.readouterr().err == "error: not enough memory. Type: free -h\n"
    with pytest.raises(KeyError), memory_told():
        raise KeyError("x")


def test_the_hook_of_a_training_tells_it_better(monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(*_: object) -> None: ...

    hook.__module__ = "monai_hybrid.bundle.start"
    monkeypatch.setattr(sys, "excepthook", hook)
    with pytest.raises(MemoryError), memory_told():
        raise MemoryError


def test_a_file_that_does_not_fit_is_not_called_damaged() -> None:
    with pytest.raises(EnvironmentFault, match=r"x\.pt: not enough memory to read it\. Type: free -h"):
        refuse_for_memory(RuntimeError("unable to mmap: Cannot allocate memory (12)"), "x.pt")
    refuse_for_memory(RuntimeError("bad magic number"), "x.pt")


def test_blas_gets_its_buffer_or_there_is_an_error_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    take_blas_memory()
    monkeypatch.setattr(lack_of_memory, "BLAS_BYTES", 1 << 60)
    with pytest.raises(MemoryError, match="MiB free"):
        take_blas_memory()
