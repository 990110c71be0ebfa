"""What counts as a lack of memory while the program starts."""

from __future__ import annotations

import pytest

from data_prep.lack_of_memory import lacks_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        SystemError("error return without exception set"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_lack_of_memory_is_known(error: Exception) -> None:
    assert lacks_memory(error)


@pytest.mark.parametrize("error", [ImportError("No module named 'x'"), OSError(2, "No such file"), SystemError("bad call")])
def test_other_errors_are_none(error: Exception) -> None:
    assert not lacks_memory(error)
