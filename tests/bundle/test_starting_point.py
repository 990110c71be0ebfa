"""A model named by its file or by the folder of its run."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_hybrid.bundle.starting_point import model_file
from monai_hybrid.errors import ModelFileError


@pytest.mark.parametrize("place", ["models/model.safetensors", "model.safetensors"])
def test_the_folder_of_a_run_holds_its_model(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"")
    assert model_file(str(tmp_path)) == str(tmp_path / place)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_file_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert model_file(str(tmp_path / name)) == str(tmp_path / name)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"a folder without models/model.safetensors or model.safetensors; give a run"):
        model_file(str(tmp_path))
