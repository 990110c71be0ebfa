"""The vendored viewer is the file that it says it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.reporting import niivue


def test_the_script_has_the_stated_checksum_and_its_notice() -> None:
    script = gzip.decompress(niivue.packed_script())
    assert hashlib.sha256(script).hexdigest() == niivue.about()["sha256"]
    assert len(script) == 2_284_381 and b"niivue" in script[:200]
    notice = (niivue.VENDOR / niivue.about()["notice"]).read_text(encoding="utf-8")
    assert "Copyright (c) 2021, Niivue" in notice and niivue.about()["version"] in notice
    for package in ("fflate", "gl-matrix", "nifti-reader-js", "zarrita", "structured-clone", "array-equal", "uuid"):
        assert package in notice


def test_a_changed_script_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "niivue.umd.js.gz"
    changed.write_bytes(gzip.compress(b"alert(1)"))
    monkeypatch.setattr(niivue, "PACKED", changed)
    with pytest.raises(EnvironmentFault, match=r"checksum is not that of NiiVue 0\.69\.0"):
        niivue.packed_script()
    changed.write_bytes(b"no gzip")
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        niivue.packed_script()


def npm_that_gives(script: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for npm: its package holds this script."""

    def pack(command: list[str], **_: Any) -> None:
        with tarfile.open(Path(command[-1]) / "niivue.tgz", "w:gz") as package:
            entry = tarfile.TarInfo(f"package/{niivue.about()['file']}")
            entry.size = len(script)
            package.addfile(entry, io.BytesIO(script))

    monkeypatch.setattr(subprocess, "run", pack)


def test_the_script_is_fetched_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = gzip.decompress(niivue.packed_script())
    npm_that_gives(script, monkeypatch)
    target = niivue.fetch(tmp_path / "new.js.gz")
    assert gzip.decompress(target.read_bytes()) == script


def test_another_script_under_that_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm_that_gives(b"alert(1)", monkeypatch)
    with pytest.raises(EnvironmentFault, match="nothing was written"):
        niivue.fetch(tmp_path / "new.js.gz")
    assert not (tmp_path / "new.js.gz").exists()
