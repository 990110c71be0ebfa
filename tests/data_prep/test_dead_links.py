"""An output that is a link to itself or to nowhere is refused in a sentence; one that leads to a folder is that folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.reliability.tiny import noise, save
from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.dead_links import refuse_dead_link
from data_prep.errors import ConfigError, DataError, HybridError, ModelFileError
from data_prep.places import refuse_among
from monai_hybrid.setting_checks import check_there


@pytest.mark.parametrize("below", ["", "deeper"])
@pytest.mark.parametrize("leads", ["itself", "nowhere"])
def test_a_link_that_leads_nowhere_is_no_place(leads: str, below: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(link if leads == "itself" else tmp_path / "nowhere")
    points = "itself" if leads == "itself" else r"\S*nowhere"
    said = rf"--output.* .*: .*link is a link that leads nowhere: it points to {points}\. Type: rm "
    with pytest.raises(ConfigError, match=said):
        refuse_among(link / below, tmp_path)
    with pytest.raises(ConfigError, match=said):
        check_there("output_dir", str(link / below))


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    refuse_dead_link(tmp_path / "link")
    check_there("output_dir", str(tmp_path / "link/new"))


def link_to(leads: str, folder: Path) -> Path:
    link = folder / "link"
    link.symlink_to(link if leads == "itself" else "nowhere")
    return link


def said_of(leads: str) -> str:
    return f"a link that leads nowhere: it points to {leads}. Type: ls -l "


@pytest.mark.parametrize("leads", ["itself", "nowhere"])
@pytest.mark.parametrize("words", ["check {}", "build {} --output out", "repair {} --output out", "shift {} {}"])
def test_a_dead_link_in_the_place_of_data_is_called_one(words: str, leads: str, tmp_path: Path) -> None:
    link = link_to(leads, tmp_path)
    done = CliRunner().invoke(app, words.format(link, link).replace(" out", f" {tmp_path}/out").split())
    assert done.exit_code == 3 and said_of(leads) in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["check {}", "build {} --output out", "repair {} --output out", "shift {} {}"])
def test_what_is_not_there_is_a_fault_of_the_data_for_every_command(words: str, tmp_path: Path) -> None:
    place = tmp_path / "nowhere"
    done = CliRunner().invoke(app, words.format(place, place).replace(" out", f" {tmp_path}/out").split())
    assert done.exit_code == 3 and "there is no such" in done.stderr and "leads" not in done.stderr


@pytest.mark.parametrize("leads", ["itself", "nowhere"])
@pytest.mark.parametrize(
    ("name", "error"),
    [("input", DataError), ("dataset_dir", DataError), ("unlabelled_dir", DataError), ("model", ModelFileError)],
)
def test_settings_name_a_dead_link_too(name: str, error: type[HybridError], leads: str, tmp_path: Path) -> None:
    link = link_to(leads, tmp_path)
    for path in (link, link / "below"):
        with pytest.raises(error) as told:
            check_there(name, str(path))
        assert said_of(leads) in str(told.value) and "Did you mean" not in str(told.value)


def test_a_link_to_data_is_that_data(tmp_path: Path) -> None:
    save(tmp_path / "scan.nii.gz", noise())
    (tmp_path / "link.nii.gz").symlink_to("scan.nii.gz")
    assert not check(tmp_path / "link.nii.gz")
    check_there("input", str(tmp_path / "link.nii.gz"))


def test_a_path_that_no_list_can_hold_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    source = tmp_path / "a\nb" / "in"
    source.mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"a\\nb/in: its path has a line break.*Type: mv .\$\(printf '.*a\\012b'\). .*a_b$"):
        build(source, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"--name x\\ty: has a line break or a control character, expected none"):
        build(tmp_path, tmp_path / "out", name="x\ty")
    assert not (tmp_path / "out").exists()
