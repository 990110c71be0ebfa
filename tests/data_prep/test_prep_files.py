"""The three JSON files: held to their schemas when written and when read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from prep_samples import read_json, write_json

import data_prep
from data_prep.build import build
from data_prep.errors import DataError, EnvironmentFault
from data_prep.files import KINDS, read_datalist, read_dataset, read_plan, write_all
from data_prep.json_io import dump_json, load_json

READERS = {"datalist": read_datalist, "dataset": read_dataset, "plan": read_plan}


@pytest.fixture
def built(nifti_set) -> Path:
    """A folder with the three files."""
    root: Path = nifti_set()
    build(root, root)
    return root


OPTIONAL = {"resampling", "ceiling"}  # plans of before have neither


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_a_schema(kind):
    path = Path(data_prep.__file__).parent / "schemas" / f"{kind}.schema.json"
    Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_required_key_is_required(built, kind):
    path = built / f"{kind}.json"
    good = read_json(path)
    READERS[kind](path)
    for key in good.keys() - OPTIONAL:
        write_json(path, {other: value for other, value in good.items() if other != key})
        with pytest.raises(DataError, match=f"'{key}' is a required property"):
            READERS[kind](path)


def _set(content: Any, where: str, value: Any) -> Any:
    """Set one place, given as "training.0.image"."""
    *path, last = where.split(".")
    target = content
    for key in path:
        target = target[int(key) if isinstance(target, list) else key]
    target[int(last) if isinstance(target, list) else last] = value
    return content


@pytest.mark.parametrize(
    ("kind", "where", "value", "message"),
    [
        ("datalist", "format_version", 2, r"\$\.format_version: saw 2; expected const 1"),
        ("datalist", "training", [], r"\$\.training: saw \[\]; expected a list of at least one case"),
        ("datalist", "training.0.image", 7, r"\$\.training\[0\]\.image: saw 7; expected a path"),
        ("datalist", "training.0.label", "~/x.nii", r"\$\.training\[0\]\.label: .*expected a path"),
        ("datalist", "training.0.fold", -1, r"\.fold: saw -1; expected a whole number from 0"),
        ("datalist", "training.0.case_id", "a/b", r"\.case_id: .*without slash"),
        ("datalist", "training.0.case_id", "x" * 300, r"\.case_id"),
        ("datalist", "training.0.site", "", r"\.site: saw \"\"; expected a text"),
        ("datalist", "training.0.image_id", "x", "does not begin with image_"),
        ("dataset", "spatial_dims", 4, r"\$\.spatial_dims: saw 4; expected enum \[2, 3\]"),
        ("dataset", "labels.1.value", "one", r"\$\.labels\[1\]\.value: saw \"one\"; expected a whole number"),
        ("dataset", "labels.1.index", 2, r"\$\.labels: saw index \[0, 2\b.*; expected 0, 1.* in order"),
        ("dataset", "labels.1.value", 0, r"\$\.labels: saw value \[0, 0\b.*; expected each once"),
        ("dataset", "labels.1.name", "background", r"\$\.labels: saw name \['background', 'background'.*; expected each once"),
        (
            "dataset",
            "colour",
            ["red", "green"],
            r"\$\.colour: saw \['red', 'green'\]; expected 1, as many as there are channels",
        ),
        ("plan", "spacing", [1, 1, 0], r"\$\.spacing\[2\]: saw 0; expected a number above 0"),
        ("plan", "normalization", {"method": "z"}, r"\$\.normalization: .*expected \{method: percentiles"),
        ("plan", "network.stem", "patch", r"\$\.network\.stem: saw \"patch\"; expected enum .*'plain', 'space_to_depth'"),
        ("plan", "patch_size.0", 0.5, r"\$\.patch_size\[0\]: saw 0.5; expected a whole number from 1"),
        ("plan", "network.channels.0", 12, r"\$\.network\.channels: saw \[12, .*; expected multiples of norm_num_groups, 8"),
        ("plan", "network.num_head_channels", 48, r"\$\.network\.num_head_channels: .*; expected divisors of \[16, 32"),
        (
            "plan",
            "network.num_res_blocks",
            [1, 1],
            r"\$\.network\.num_res_blocks: saw \[1, 1\]; expected 3 entries, one a level",
        ),
        ("plan", "patch_size", [8, 8], r"\$\.patch_size: saw \[8, 8\]; expected 3 numbers, as spatial_dims is 3"),
        ("plan", "spacing", [1, 1], r"\$\.spacing: saw \[1, 1\]; expected 3 numbers"),
        ("plan", "spatial_dims", 2, r"\$\.spacing: saw .*; expected 2 numbers, as spatial_dims is 2"),
    ],
)
def test_message_names_file_place_seen_expected(built, kind, where, value, message):
    path = built / f"{kind}.json"
    write_json(path, _set(read_json(path), where, value))
    with pytest.raises(DataError, match=message) as caught:
        READERS[kind](path)
    assert str(path) in str(caught.value) and "Type: monai-hybrid build" in str(caught.value)


def test_own_keys_are_welcome(built):
    path = built / "datalist.json"
    write_json(path, _set(read_json(path), "training.0.age", 70))
    assert read_datalist(path)["training"][0]["age"] == 70


def test_the_stem_of_the_network_may_be_chosen(built):
    path = built / "plan.json"
    assert "stem" not in read_plan(path)["network"]
    write_json(path, _set(read_json(path), "network.stem", "space_to_depth"))
    assert read_plan(path)["network"]["stem"] == "space_to_depth"


def test_paths_are_relative_to_the_file(built, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Path(read_datalist("raw")["training"][0]["image"]).is_file()
    assert Path(read_datalist("raw/datalist.json")["training"][0]["label"]).is_file()


def test_nothing_is_written_when_one_content_is_wrong(built, tmp_path):
    contents = {kind: read_json(built / f"{kind}.json") for kind in KINDS}
    with pytest.raises(DataError):
        write_all(tmp_path / "new", contents | {"plan": {}})
    assert not (tmp_path / "new").exists()
    write_all(tmp_path / "new", contents)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' appears twice"),
        ('{"a": [1,]}', "not valid JSON: .* in line 1"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ("", "not valid JSON"),
    ],
)
def test_bad_json(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        load_json(tmp_path / "a.json")


def test_byte_order_mark_is_harmless(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert load_json(tmp_path / "a.json") == {"a": 1}


def test_write_fault_leaves_the_old_file(tmp_path, monkeypatch):
    dump_json({"a": 1}, tmp_path / "a.json")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(EnvironmentFault, match="cannot be written: No space left on device"):
        dump_json({"a": 2}, tmp_path / "a.json")
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
