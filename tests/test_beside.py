"""One item ahead, one task behind, in order, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from monai_hybrid.beside import Ahead, Behind


class Items:
    """Numbers that say how many of them were made; the one at `bad` is an error."""

    def __init__(self, number: int, bad: int = -1) -> None:
        self.number, self.bad, self.made = number, bad, 0

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[int]:
        for item in range(self.number):
            if item == self.bad:
                raise OSError("the disk is gone")
            self.made += 1
            yield item


def test_items_come_in_order_and_at_most_one_is_made_ahead() -> None:
    items, seen = Items(5), []
    with Ahead(items) as ahead:
        assert len(ahead) == 5
        for item in ahead:
            assert items.made <= item + 2
            seen.append(item)
    assert seen == [0, 1, 2, 3, 4]


def test_the_next_item_is_made_while_the_last_one_is_used() -> None:
    def waiting() -> Iterator[int]:
        yield 0
        made.set()
        yield 1

    made = threading.Event()
    with Ahead(waiting()) as ahead:
        assert next(iter(ahead)) == 0 and made.wait(10)


def test_an_error_is_raised_in_its_turn() -> None:
    seen = []
    with pytest.raises(OSError, match="the disk is gone"), Ahead(Items(5, bad=2)) as ahead:
        for item in ahead:
            seen.append(item)
    assert seen == [0, 1]


def test_whoever_leaves_early_leaves_no_thread() -> None:
    before, items = threading.active_count(), Items(5)
    with Ahead(items) as ahead:
        assert next(iter(ahead)) == 0
    assert threading.active_count() == before and items.made <= 2


def test_tasks_are_done_in_order_and_the_last_before_the_end() -> None:
    done: list[int] = []
    go_on = threading.Event()
    with Behind() as behind:
        behind.do(lambda: (go_on.wait(10), done.append(0))[1])
        assert done == []  # the caller is not kept
        go_on.set()
        behind.do(lambda: done.append(1))
        assert done[0] == 0  # the one before has ended
        behind.do(lambda: done.append(2))
    assert done == [0, 1, 2]


def test_the_error_of_a_task_is_raised_by_the_next_which_is_not_begun() -> None:
    def broken() -> None:
        raise OSError("no space left")

    done: list[int] = []
    with Behind() as behind:
        behind.do(broken)
        with pytest.raises(OSError, match="no space left"):
            behind.do(lambda: done.append(1))
        behind.do(lambda: done.append(2))
        behind.wait()
    assert done == [2]
