"""The folder of labels that `build` writes into a prepared data set."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from data_prep.json_io import write_atomically
from data_prep.result_files import anything, is_ours, take_folder


class LabelFile(NamedTuple):
    """The label of a case: the name of its file and the bytes of that."""

    case_id: str
    name: str
    data: bytes


def write_labels(labels: Iterable[LabelFile], folder: Path, what: str, new: bool = False) -> dict[str, Path]:
    """Write each label into a folder, which is made for the first of them; by case, the file.

    `what` and `new` as in `take_folder`.

    Raises:
        ConfigError: the folder holds files of somebody else's.
        EnvironmentFault: no space or no right.
    """
    files: dict[str, Path] = {}
    for label in labels:
        if not files:
            take_folder(folder, what, new)
        path = folder / label.name
        _let_go_of_list(path, label.data)
        write_atomically(path, label.data, anything)
        files[label.case_id] = path
    return files


def _let_go_of_list(file: Path, data: bytes) -> None:
    """Before a label changes: a list of an earlier build says what its values were, and must not outlive them by a kill."""
    listed = file.parent.parent / "datalist.json"
    if file.is_file() and file.read_bytes() != data and is_ours(listed):
        listed.unlink()
