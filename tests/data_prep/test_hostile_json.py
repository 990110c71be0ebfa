"""JSON that costs more to refuse than to read: a repeated key among many, a number of thousands of digits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from data_prep.errors import DataListError
from data_prep.json_io import load_json


def test_a_repeated_key_among_many_is_found_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    many = ",".join(f'"{number}":1' for number in range(200_000))
    path.write_text(f'{{{many},"7":2}}')
    start = time.process_time()
    with pytest.raises(DataListError, match="the key '7' appears twice in one object; expected it once"):
        load_json(path)
    assert time.process_time() - start < 10
    path.write_text(f"{{{many}}}")
    assert len(load_json(path)) == 200_000


def test_a_number_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1' + "0" * 5000 + "}")
    with pytest.raises(DataListError, match=r"not a description of data: Exceeds the limit"):
        load_json(path)
    path.write_text('{"a": 1' + "0" * 400 + "}")
    assert load_json(path) == {"a": 10**400}
