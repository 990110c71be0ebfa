"""A folder one level above or below the data set is answered with the one to give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.errors import ConfigError
from data_prep.layouts import detect

RUN = CliRunner()


def picture_set(folder: Path) -> Path:
    for sub in ("images", "labels"):
        (folder / sub).mkdir(parents=True)
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(folder / sub / "a.png")
    return folder


@pytest.mark.parametrize("inner", ["images", "labels"])
def test_the_images_of_a_set_lead_to_the_set(tmp_path: Path, inner: str) -> None:
    root = picture_set(tmp_path / "my eyes")
    with pytest.raises(ConfigError, match=r"A folder one level up or down has one\. Give it: '.*my eyes'$"):
        detect(root / inner)
    assert detect(root) == "folders"


def test_the_folder_above_names_the_sets_within(tmp_path: Path) -> None:
    first, second = picture_set(tmp_path / "a"), picture_set(tmp_path / "b")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.pt").write_bytes(b"PK\x03\x04" + bytes(40))  # PyTorch's files are zip files within
    with pytest.raises(ConfigError, match=f"Give it: {first}, {second}$"):
        detect(tmp_path)


def test_images_without_labels_beside_are_no_set(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "images/a.png")
    with pytest.raises(ConfigError, match="1 images lie directly in it"):
        detect(tmp_path / "images")


@pytest.mark.parametrize("option", ["--output"])
def test_both_spellings_of_the_output_folder(tmp_path: Path, option: str) -> None:
    made = RUN.invoke(app, ["phantom", option, str(tmp_path / "p"), "--dims", "2", "--cases", "2"])
    assert made.exit_code == 0, made.output
    assert f"Next: monai-hybrid build {tmp_path / 'p'} --output {tmp_path / 'p_prepared'}" in made.output.replace("\n", "")
