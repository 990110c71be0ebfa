"""JSON that costs more to refuse than to read: a repeated key among many, a number of thousands of digits."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from data_prep.errors import DataError, DataListError
from data_prep.json_io import dump_json, load_json


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


@pytest.mark.parametrize("text", [r'"\ud800"', r'{"\uDFFF": 1}', r'["\ud83d"]', r'"\ude00\ud83d"', r'"\\\ud800"'])
def test_half_a_character_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataListError, match=r"a\.json: \\u[dD]\w{3} is half of a character; expected both halves of it"):
        load_json(path)


@pytest.mark.parametrize(
    ("text", "meant"),
    [(r'"\ud83d\ude00"', "\U0001f600"), (r'"\\ud800"', r"\ud800"), ('"\U0001f600 \u00e9"', "\U0001f600 \u00e9")],
)
def test_whole_characters_are_read(text: str, meant: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    assert load_json(path) == meant


def test_a_name_that_is_no_unicode_is_not_written(tmp_path: Path) -> None:
    said = r"a\.json: cannot be written: a name holds bytes that are no UTF-8, .*p\\udcff.*; rename that file or folder"
    with pytest.raises(DataError, match=said):
        dump_json({"image": "/data/p\udcff.png"}, tmp_path / "a.json")
    assert not list(tmp_path.iterdir())
    dump_json({"image": "/data/pé\U0001f600.png"}, tmp_path / "a.json")
    assert load_json(tmp_path / "a.json") == {"image": "/data/pé\U0001f600.png"}
