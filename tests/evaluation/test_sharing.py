"""Cases shared by several processes: each once, in the order of the list."""

from __future__ import annotations

import pytest

from monai_hybrid.errors import DataError
from monai_hybrid.evaluation import sharing
from monai_hybrid.evaluation.sharing import gather_rows, in_turn, own_share


@pytest.mark.parametrize(("cases", "number"), [(1, 1), (5, 2), (7, 3), (4, 4)])
def test_shares_put_together_are_the_list(cases: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"c{i}" for i in range(cases)]
    parts = []
    for rank in range(number):
        monkeypatch.setattr(sharing, "rank_and_number", lambda rank=rank: (rank, number))
        parts.append([{"case_id": name, "class": c} for name in own_share(ids) for c in ("liver", "spleen")])
    assert in_turn(parts) == [{"case_id": name, "class": c} for name in ids for c in ("liver", "spleen")]


def test_more_processes_than_cases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "rank_and_number", lambda: (2, 3))
    with pytest.raises(DataError, match="3 processes for 2 cases: each needs one; type torchrun --nproc_per_node 2"):
        own_share(["a", "b"])
    assert own_share(["a", "b", "c"]) == ["c"]


def test_alone_nothing_is_shared() -> None:
    rows = [{"case_id": "a", "class": "liver"}]
    assert gather_rows(rows) is rows and own_share(["a", "b"]) == ["a", "b"]
