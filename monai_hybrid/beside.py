"""Work beside computing: a case is computed, the next is read in one thread, the last written in another.

Never more than one case waits on either side, so memory is bounded, and what is told and written keeps its order. Within a case
the windows that are done go to the input's grid while the next are computed.
"""

from __future__ import annotations

from collections import deque
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
    """Does one thing after another, the last ones while the caller goes on.

    Args:
        most: tasks that may be left to do.
    """

    def __init__(self, most: int = 1) -> None:
        super().__init__("write")
        self.most, self._left = most, deque[Future[None]]()

    def do(self, task: Callable[..., None], *arguments: Any) -> None:
        """Take a task when fewer than `most` are left; an error of those before is raised here, and the task is not taken."""
        while len(self._left) >= self.most:
            self._left.popleft().result()
        self._left.append(self.submit(task, *arguments))

    def wait(self) -> None:
        """Until nothing is left to do; an error of a task is raised here, once."""
        while self._left:
            self._left.popleft().result()
