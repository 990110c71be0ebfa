"""Pseudonyms: stable, not to be guessed, their key in one file that its owner alone can read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.errors import ConfigError, EnvironmentFault
from data_prep.naming import Naming, named, naming
from data_prep.pseudonyms import VARIABLE, KeyFile, default_file

ROW = {"folder": "/scans", "series": "1.2.3"}


def test_the_same_patient_has_the_same_pseudonym_in_every_run(tmp_path: Path) -> None:
    key = KeyFile(tmp_path / "key.json")
    first = Naming(key=key).patient("4711")
    key.save()
    again = Naming(key=KeyFile(tmp_path / "key.json"))
    assert again.patient("4711") == first and again.patient("4712") != first
    assert re.fullmatch(r"sub-[a-z2-7]{10}", first)
    assert again.series(first, "1.2", "", ROW) != again.series(first, "1.2", "EchoTime=5", ROW)


def test_another_key_gives_other_pseudonyms(tmp_path: Path) -> None:
    names = {Naming(key=KeyFile(tmp_path / f"{n}.json")).patient("4711") for n in range(3)}
    assert len(names) == 3, "a hash of the ID alone could be tried for all IDs"


def test_a_run_that_dies_before_it_saves_loses_no_pseudonym(tmp_path: Path) -> None:
    first = Naming(key=KeyFile(tmp_path / "key.json")).patient("4711")  # never saved
    assert Naming(key=KeyFile(tmp_path / "key.json")).patient("4711") == first


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_its_owner_alone_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key.json"
    before = os.umask(0)
    try:
        with named(key=KeyFile(path)) as names:
            names.patient("4711")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o644)
    with named(key=KeyFile(path)) as names:
        names.patient("4712")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock") == ["key.json"]


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "key.json")
    with named(key=KeyFile(tmp_path / "link.json")) as names:
        names.patient("4711")
    assert (tmp_path / "link.json").is_symlink() and (tmp_path / "key.json").is_file()


ADD = """
import sys
from data_prep.naming import named
with named() as names:
    for i in range(20):
        names.patient(f"{sys.argv[1]}-{i}")
"""


def test_runs_at_once_lose_no_row_and_share_one_secret(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    environment = {**os.environ, VARIABLE: str(key)}
    runs = [subprocess.Popen([sys.executable, "-c", ADD, str(n)], env=environment) for n in range(4)]
    assert [run.wait(120) for run in runs] == [0] * 4
    patients = json.loads(key.read_text())["patients"]
    assert sorted(patients.values()) == sorted(f"{n}-{i}" for n in range(4) for i in range(20))
    assert {name: Naming(key=KeyFile(key)).patient(identity) for name, identity in patients.items()} == {
        name: name for name in patients
    }


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format_version": 1, "secret": "00"}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_key_is_refused_and_never_replaced(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"not a key file of pseudonyms\. Copy it back from a backup"):
        Naming(key=KeyFile(path)).patient("4711")
    assert path.read_bytes() == content


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=rf"cannot be kept here.*export {VARIABLE}=FILE.*or add --keep-names"):
        Naming(key=KeyFile(tmp_path / "file" / "key.json")).patient("4711")


def test_the_key_is_refused_among_results(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="may not lie among results"):
        KeyFile(tmp_path / "out" / "key.json").refuse_within(tmp_path / "out")
    KeyFile(tmp_path / "output" / "key.json").refuse_within(tmp_path / "out")


def test_the_place_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_file() == tmp_path / "monai-hybrid" / "pseudonyms.json"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # to be ignored, says the specification
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_file() == tmp_path / "home" / ".local" / "share" / "monai-hybrid" / "pseudonyms.json"


def test_keep_names_shows_the_id_and_touches_no_key(tmp_path: Path) -> None:
    with named(keep=True, key=KeyFile(tmp_path / "key.json")) as names:
        assert names.patient("4711") == "sub-4711"
        assert names.patient("47-11") != names.patient("4-711"), "both have the same letters and digits"
        assert names.patient("47-11").startswith("sub-4711")
        names.below(tmp_path)
        assert names.path(tmp_path / "Doe" / "1.dcm") == tmp_path / "Doe" / "1.dcm"
    assert not (tmp_path / "key.json").exists()


def test_paths_below_the_folder_that_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with named() as names:
        names.below(Path("export"))
        shown = names.path(Path("export/Doe/1.dcm"))
        assert re.fullmatch(r"export/file-[a-z2-7]{10}", str(shown))
        assert names.path(tmp_path / "export/Doe/1.dcm") == shown
        assert names.path(Path("export")) == Path("export") and names.path(Path("exports/a")) == Path("exports/a")
    told = CliRunner().invoke(app, ["who", str(shown)])
    assert told.stdout.strip() == str(tmp_path / "export/Doe/1.dcm")


def test_who_is_behind_a_pseudonym() -> None:
    with named() as names:
        patient = names.patient("4711")
        case = names.series(patient, "1.2.3", "", ROW)
    assert "patient: 4711" in CliRunner().invoke(app, ["who", patient]).stdout
    assert "folder: /scans" in CliRunner().invoke(app, ["who", f"masks/{case}_seg"]).stdout
    wrong = CliRunner().invoke(app, ["who", "sub-nobody"])
    assert wrong.exit_code == 2 and "no pseudonym 'sub-nobody'" in wrong.stderr


def test_an_inner_command_uses_the_names_of_the_outer_one() -> None:
    with named(keep=True) as outer, named() as inner:
        assert inner is outer is naming()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_key_file_that_is_no_file_is_refused_and_never_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    for ask in (lambda: KeyFile(path).pseudonym("patients", "1"), lambda: KeyFile(path).behind("x")):
        with pytest.raises((ConfigError, EnvironmentFault), match=r"expected a key file of pseudonyms|cannot be kept here"):
            ask()
