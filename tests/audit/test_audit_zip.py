"""A bundle in a zip file: nothing is unpacked before every member was checked."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from monai_hybrid.audit import audit
from monai_hybrid.audit.zip import unpack
from monai_hybrid.errors import ConfigError

ROOT = Path(__file__).parents[2]


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(ROOT / "bundles/few_shot_finetune/configs/inference.json", "bundle/configs/inference.json")
        for name, content in members:
            archive.writestr(name, content)
    return path


def link_member(target: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("bundle/link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("../marker", "leads out of the folder", id="I07-zip-slip"),
        pytest.param("bundle\\..\\..\\marker", "leads out of the folder", id="I07-zip-slip-windows"),
        pytest.param(link_member(".."), "is a link or a special file", id="I08-symlink"),
        pytest.param("/tmp/marker", "has an absolute path", id="I09-absolute"),
        pytest.param("C:/marker", "has an absolute path", id="I09-drive"),
        pytest.param("bundle/CONFIGS/inference.json", "comes twice", id="twice"),
    ],
)
def test_unsafe_zip_members_are_refused_before_anything_is_unpacked(
    name: str | zipfile.ZipInfo, message: str, tmp_path: Path
) -> None:
    assert audit(zipped(tmp_path / "good.zip", ("bundle/docs/README.md", b"text"))).findings == []
    archive, out = zipped(tmp_path / "bad.zip", (name, b"x")), tmp_path / "out"
    with pytest.raises(ConfigError, match=f"{message}; nothing was unpacked"):
        unpack(archive, out)
    assert not out.exists() and not (tmp_path / "marker").exists()


def test_a_zip_bomb_is_refused_and_a_damaged_archive_named(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", ("bundle/zeros.txt", bytes(65 << 20)))
    with pytest.raises(ConfigError, match=r"the member 'bundle/zeros.txt' grows more than 200 times"):
        audit(bomb)
    (tmp_path / "torn.zip").write_bytes(bomb.read_bytes()[:-300])
    with pytest.raises(ConfigError, match=r"torn.zip: not a readable zip file"):
        audit(tmp_path / "torn.zip")


def test_code_in_a_zip_is_refused_as_in_a_folder(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "bad.zip", ("bundle/scripts/a.py", b"x"))
    assert [str(f) for f in audit(archive).findings] == ["scripts/a.py: not a document, picture or model file"]
