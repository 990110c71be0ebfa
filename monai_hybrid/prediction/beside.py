"""Reading and writing beside computing: a case is computed, the next is read in one thread, the last written in another.

Never more than one case waits on either side, so memory is bounded, and what is told and written keeps its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

END = object()


class _Thread:
    """One thread while the `with` lasts; leaving waits for it, whatever the reason."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)
        self._context = copy_context()  # how a command names patients is a variable of its context

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        return self._executor.submit(self._context.run, task, *arguments)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()


class Ahead(_Thread):
    """Items in their order, the next one made while the last one is used; an error of the items is raised in its turn.

    Args:
        items: iterable, of a known number, such as a data loader.
    """

    def __init__(self, items: Any) -> None:
        super().__init__("read")
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        items = iter(self.items)
        coming = self.submit(next, items, END)
        while (item := coming.result()) is not END:
            coming = self.submit(next, items, END)
            yield item


class Behind(_Thread):
    """Does one thing after another, the last one while the caller goes on."""

    def __init__(self) -> None:
        super().__init__("write")
        self._last: Future[None] | None = None

    def do(self, task: Callable[[], None]) -> None:
        """Begin a task when the one before it has ended; an error of that one is raised here, and the task is not begun."""
        self.wait()
        self._last = self.submit(task)

    def wait(self) -> None:
        """Until nothing is left to do; an error of the last task is raised here, once."""
        last, self._last = self._last, None
        if last is not None:
            last.result()
