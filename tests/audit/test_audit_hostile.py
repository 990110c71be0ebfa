"""Bundles and archives that are made to slip through the audit, or to end it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from monai_hybrid.audit import audit
from monai_hybrid.audit.__main__ import main
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.errors import ConfigError

RECORD = (24).to_bytes(8, "little") + bytes(4) + b"\x09" + bytes(8) + b"\x1a\x0dbrain.Event:2" + bytes(4)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """As it is handed on: what runs have left in this checkout is not in it."""
    return copy_bundle(tmp_path / "bundle", "hybrid_pretrain")


def edit(bundle: Path, name: str, **changes: Any) -> None:
    path = bundle / "configs" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("key", ["changelog", "eval_metrics"])
def test_metadata_hold_no_part_that_is_called(key: str, bundle: Path) -> None:
    value: Any = "os.system" if key == "changelog" else 1
    edit(bundle, "metadata.json", **{key: {"_target_": value, "command": value}})
    assert [finding.place for finding in audit(bundle).findings] == [key]
    edit(bundle, "metadata.json", **{key: {"2_b": value}})
    assert audit(bundle).findings == []


@pytest.mark.parametrize("digits", [400, 5000])
@pytest.mark.parametrize("name", ["max_epochs", "learning_rate"])
def test_numbers_without_end_are_findings(name: str, digits: int, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundle / "configs/train.json"
    content = json.loads(path.read_text()) | {name: "HERE"}
    path.write_text(json.dumps(content).replace('"HERE"', "1" + "0" * digits))
    assert main([str(bundle)]) == 2
    assert "configs/train.json" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["x.yaml", "x.py", "1.host.2"])
def test_a_text_is_no_event_log(end: str, bundle: Path) -> None:
    (bundle / "logs").mkdir()
    log = bundle / f"logs/events.out.tfevents.{end}"
    log.write_text("# brain.Event:\nrun: $print(1)\n")
    assert [finding.file for finding in audit(bundle).findings] == [f"logs/{log.name}"]
    log.write_bytes(RECORD)
    assert bool(audit(bundle).findings) == (end != "1.host.2")


def packed(bundle: Path, path: Path, method: int = zipfile.ZIP_DEFLATED, **more: str) -> tuple[Path, int]:
    """The archive, and where the packed bytes of train.json begin."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(bundle.rglob("*.*")):
            if file.is_file():
                archive.write(file, file.relative_to(bundle))
        for name, text in more.items():
            archive.writestr(name, text)
        member = archive.getinfo("configs/train.json")
    return path, member.header_offset + 30 + len(member.filename)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_end_in_a_sentence(method: int, bundle: Path, tmp_path: Path) -> None:
    path, start = packed(bundle, tmp_path / "a.zip", method)
    assert audit(path).findings == []
    raw = bytearray(path.read_bytes())
    raw[start + 5 : start + 40] = bytes(byte ^ 255 for byte in raw[start + 5 : start + 40])
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="not a readable zip file"):
        audit(path)


def test_folders_without_end_and_names_that_are_none_are_refused(bundle: Path, tmp_path: Path) -> None:
    path, _ = packed(bundle, tmp_path / "a.zip", **{"a/" * 1900 + "x.md": ""})
    with pytest.raises(ConfigError, match="lies deeper than 32 folders; nothing was unpacked"):
        audit(path)
    path, _ = packed(bundle, tmp_path / "b.zip", **{"docs/\u00e9.md": ""})
    assert audit(path).findings == []
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xff\xff"))
    with pytest.raises(ConfigError, match="not a readable zip file"):
        audit(path)
