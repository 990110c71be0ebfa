"""Label names beside masks: written once a state, read back, another's file left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.label_file import plain_name, read_label_file, write_label_file

LABELS = [(0, "background", "#000000"), (3, "LV", "#E69F00"), (4000, 'a "b"\nc', "#56B4E9")]


def test_names_values_and_colours_are_those_given(tmp_path: Path) -> None:
    path = write_label_file(tmp_path, LABELS)
    assert path is not None
    assert read_label_file(path) == [(0, "background"), (3, "LV"), (4000, "a 'b' c")]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[2].split() == ["0", "0", "0", "0", "0", "0", "0", '"background"']
    assert lines[3].split() == ["3", "230", "159", "0", "1", "1", "1", '"LV"']
    assert plain_name(' a\t"b" ') == "a 'b'"


def test_another_model_replaces_it_and_the_same_leaves_it(tmp_path: Path) -> None:
    path = write_label_file(tmp_path, LABELS)
    assert path is not None
    before = path.stat().st_mtime_ns
    write_label_file(tmp_path, LABELS)
    assert path.stat().st_mtime_ns == before
    write_label_file(tmp_path, LABELS[:2])
    assert read_label_file(path) == [(0, "background"), (3, "LV")]


@pytest.mark.parametrize("text", ["my notes\n", "# a table\n1 2 3\n", '1 0 0 0 1 1 1 "x"\nrest\n'])
def test_a_file_of_somebody_else_is_left_alone_and_not_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text, encoding="utf-8")
    assert write_label_file(tmp_path, LABELS) is None and (tmp_path / "labels.txt").read_text(encoding="utf-8") == text
    assert read_label_file(tmp_path / "labels.txt") is None and read_label_file(tmp_path / "absent.txt") is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_of_a_windows_editor_is_read(encoding: str, tmp_path: Path) -> None:
    text = '# a comment\r\n0 0 0 0 0 0 0 "Clear Label"\r\n1 255 0 0 1 1 1 "L\u00e4sion"\r\n'
    (tmp_path / "labels.txt").write_bytes(text.encode(encoding))
    assert read_label_file(tmp_path / "labels.txt") == [(0, "Clear Label"), (1, "L\u00e4sion")]
