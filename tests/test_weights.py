"""Weights on disk: what is written is read back, what is damaged or foreign is refused, nothing is executed."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from monai_hybrid import weights
from monai_hybrid.errors import EnvironmentFault, ModelFileError
from monai_hybrid.weights import (
    CARD_KEY,
    checksum,
    load_weights,
    make_card,
    read_card,
    replace_file,
    save_weights,
    with_pretrained,
    write_safetensors,
)

DATASET = {"spatial_dims": 2, "channels": ["MR"], "labels": [{"index": 0, "value": 0, "name": "background"}], "name": "ward"}
BOTH = pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])


def network(features: int = 4, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, features, 3), nn.BatchNorm2d(features), nn.Conv2d(features, 2, 1))


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) and one[n].dtype == other[n].dtype for n in one)


def saved(folder: Path, card: dict[str, Any] | None = None) -> dict[str, Tensor]:
    weights = network().state_dict()
    save_weights(weights, folder, card or {})
    return weights


@BOTH
def test_what_is_saved_is_loaded(tmp_path: Path, name: str) -> None:
    weights = saved(tmp_path / "models")
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["model.pt", "model.safetensors"]
    assert same(load_weights(tmp_path / "models" / name), weights)


def test_other_programs_read_both_files(tmp_path: Path) -> None:
    weights = saved(tmp_path)
    raw = torch.load(tmp_path / "model.pt", weights_only=True)
    assert type(raw) is dict and same(raw, weights)
    assert same(load_file(tmp_path / "model.safetensors"), weights)
    network(seed=1).load_state_dict(raw)


def test_views_and_gradients_are_saved_as_plain_tensors(tmp_path: Path) -> None:
    base = torch.arange(6.0, requires_grad=True).view(2, 3)
    save_weights({"turned": base.T, "half": base[:, 1].half()}, tmp_path, {})
    loaded = load_weights(tmp_path / "model.safetensors")
    assert torch.equal(loaded["turned"], base.T) and torch.equal(loaded["half"], base[:, 1].half())
    assert not loaded["turned"].requires_grad


def test_the_card_lies_in_the_header(tmp_path: Path) -> None:
    card = make_card({"channels": (8, 16)}, DATASET, {"patch_size": [16, 16]}, {"objective": "hybrid"})
    saved(tmp_path, card)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as handle:
        header = handle.metadata()
    assert header["format"] == "pt" and json.loads(header[CARD_KEY])["training"] == {"objective": "hybrid"}
    read = read_card(tmp_path / "model.safetensors")
    assert read == json.loads(json.dumps(card)) == read_card(str(tmp_path / "model.pt"))
    assert read is not None and read["source"] == "ward" and read["modality"] is None and read["format_version"] == 1


def test_a_file_without_card_has_none(tmp_path: Path) -> None:
    assert read_card(tmp_path / "model.pt") is None
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert read_card(tmp_path / "model.pt") is None


def test_a_damaged_card_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{not it}")
    with pytest.raises(
        ModelFileError, match=r"model\.safetensors: not a readable safetensors file .* copy it again from its source"
    ):
        read_card(tmp_path / "model.pt")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_ddp_and_compile_come_off(tmp_path: Path, prefix: str) -> None:
    weights = network().state_dict()
    torch.save({prefix + name: tensor for name, tensor in weights.items()}, tmp_path / "a.pt")
    assert same(load_weights(tmp_path / "a.pt"), weights)


@pytest.mark.parametrize("keys", [["model"], ["state_dict"], ["network"], ["model", "state_dict"]])
def test_nested_checkpoints_are_unpacked(tmp_path: Path, keys: list[str]) -> None:
    weights: Any = network().state_dict()
    nested = weights
    for key in reversed(keys):
        nested = {key: nested, "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(nested, tmp_path / "a.pt")
    assert same(load_weights(tmp_path / "a.pt"), weights)


@BOTH
@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    saved(tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(ModelFileError, match=rf"{name}: not a readable model file \(.+\); copy it again from its source"):
        load_weights(tmp_path / name)
    (tmp_path / name).write_bytes(whole)
    assert load_weights(tmp_path / name)


@BOTH
def test_one_changed_bit_in_the_weights_is_noticed(tmp_path: Path, name: str) -> None:
    weights = saved(tmp_path)
    whole = (tmp_path / name).read_bytes()
    place = whole.index(weights["0.weight"].numpy().tobytes())
    flipped = bytes([whole[place + 5] ^ 1])
    (tmp_path / name).write_bytes(whole[: place + 5] + flipped + whole[place + 6 :])
    with pytest.raises(ModelFileError, match=rf"{name}: not a readable model file \(.*(SHA-256|checksum) differs\); copy it"):
        load_weights(tmp_path / name)
    (tmp_path / name).write_bytes(whole)
    assert same(load_weights(tmp_path / name), weights)


def test_the_checksum_knows_order_shape_and_every_type() -> None:
    one = {"a": torch.arange(6.0), "b": torch.ones(2, dtype=torch.bfloat16), "c": torch.tensor(3), "d": torch.zeros(0)}
    assert checksum(one) == checksum(dict(reversed(one.items())))
    changes: list[dict[str, Tensor]] = [{"a": one["a"].reshape(2, 3)}, {"a": -one["a"]}, {"b": one["b"].half()}]
    assert len({checksum({**one, **change}) for change in [{}, *changes]}) == 4


def test_a_card_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    card = make_card({"channels": (8, 16)}, DATASET, {}, {})
    saved(tmp_path, {**card, "format_version": 2})
    with pytest.raises(ModelFileError, match=r"its card is of format 2, expected 1; update monai_hybrid"):
        read_card(tmp_path / "model.pt")
    saved(tmp_path, card)
    assert read_card(tmp_path / "model.pt")


def test_files_of_other_versions_of_torch_are_read(tmp_path: Path) -> None:
    """The archive of torch >= 1.6, the plain pickle before it, and a card that names a torch of the future."""
    weights = network().state_dict()
    for name, new in (("old.pt", False), ("new.pt", True)):
        torch.save(weights, tmp_path / name, _use_new_zipfile_serialization=new)
        assert same(load_weights(tmp_path / name), weights)
    card = make_card({"channels": (8, 16)}, DATASET, {}, {})
    saved(tmp_path, {**card, "versions": {"torch": "99.0"}})
    read = read_card(tmp_path / "model.safetensors")
    assert read is not None and read["versions"] == {"torch": "99.0"}
    assert same(load_weights(tmp_path / "model.safetensors"), weights)


@pytest.mark.parametrize(
    "offsets", [[0, 1 << 40], [4, 20], [16, 0], [-16, 0], [0, 8], [0, 1 << 64]], ids=lambda pair: f"{pair[0]}-{pair[1]}"
)
def test_safetensors_with_bad_offsets_are_refused(tmp_path: Path, offsets: list[int]) -> None:
    def write(start: int, end: int) -> None:
        header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [start, end]}}).encode()
        (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))

    write(*offsets)
    with pytest.raises(ModelFileError, match=r"a\.safetensors: not a readable model file \(.+\); copy it again"):
        load_weights(tmp_path / "a.safetensors")
    write(0, 16)
    assert load_weights(tmp_path / "a.safetensors")["a"].shape == (4,)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(ModelFileError, match=f"{path}: no such model file"):
            load_weights(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 1}, [torch.zeros(1)], torch.zeros(1)])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(
        ModelFileError, match=r"a\.pt: holds no tensors; expected a state dict, as in models/model\.pt of a run"
    ):
        load_weights(tmp_path / "a.pt")
    torch.save({"w": torch.zeros(1)}, tmp_path / "a.pt")
    assert load_weights(tmp_path / "a.pt").keys() == {"w"}


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return subprocess.call, ([sys.executable, "-c", f"open({str(self.marker)!r}, 'w')"],)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "a.pt"
    content = {"w": torch.zeros(1), "bomb": Bomb(marker)}
    if how == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelFileError, match=r"a\.pt: not a readable model file \(it is damaged, or holds more than weights"):
        load_weights(path)
    assert not marker.exists()
    if how == "pickle":
        pickle.loads(path.read_bytes())  # the bomb is a real one
        assert marker.exists()


@BOTH
def test_pretrained_weights_are_loaded_into_the_network(tmp_path: Path, name: str) -> None:
    weights, fresh = saved(tmp_path), network(seed=1)
    assert with_pretrained(fresh, tmp_path / name) is fresh
    assert same(fresh.state_dict(), weights)


@pytest.mark.parametrize("path", [None, ""])
def test_no_path_leaves_the_network_alone(path: str | None) -> None:
    fresh = network(seed=1)
    before = copy.deepcopy(fresh.state_dict())
    assert with_pretrained(fresh, path) is fresh and same(fresh.state_dict(), before)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda w: {**w, "2.weight": torch.zeros(3, 4, 1, 1)},
            r"1 of another shape \(first: 2\.weight \(3, 4, 1, 1\), expected \(2, 4, 1, 1\)\)",
        ),
        (lambda w: {n: t for n, t in w.items() if n != "2.bias"}, r"1 missing \(first: 2\.bias\)"),
        (lambda w: {**w, "3.weight": torch.zeros(1)}, r"1 not in this network \(first: 3\.weight\)"),
        (
            lambda w: {f"body.{n}": t for n, t in w.items()},
            r"9 missing \(first: 0\.weight\); 9 not in this network \(first: body\.0\.weight\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused_and_nothing_changes(tmp_path: Path, change: Any, told: str) -> None:
    weights, fresh = network().state_dict(), network(seed=1)
    before = copy.deepcopy(fresh.state_dict())
    torch.save(dict(change(weights)), tmp_path / "a.pt")
    with pytest.raises(ModelFileError, match=r"a\.pt: these weights belong to another network: " + told):
        with_pretrained(fresh, tmp_path / "a.pt")
    assert same(fresh.state_dict(), before)
    torch.save(weights, tmp_path / "a.pt")
    assert same(with_pretrained(fresh, tmp_path / "a.pt").state_dict(), weights)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        replace_file(path, lambda p, text=text: p.write_text(text))
        assert path.read_text() == text and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_when_writing_fails_the_old_file_stays(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ne")
        raise error

    with pytest.raises(type(error), match=str(error) or None):
        replace_file(path, half)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        assert temporary.parent == tmp_path and temporary != path
        temporary.write_text("new")
        assert path.read_text() == "old"

    replace_file(path, write)
    assert path.read_text() == "new"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_model_that_does_not_fit_into_memory_is_not_called_damaged(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("unable to mmap 9 bytes from file: Cannot allocate memory (12)")

    (tmp_path / f"model{suffix}").write_bytes(b"x")
    monkeypatch.setattr(weights, "_load_safetensors", full)
    monkeypatch.setattr(weights, "load_torch", full)
    with pytest.raises(EnvironmentFault, match="not enough memory to read it"):
        weights.load_weights(tmp_path / f"model{suffix}")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_stored_in_half_the_bytes_give_the_same_masks(tmp_path: Path, dtype: torch.dtype) -> None:
    whole, half = network(64), network(64, seed=1)
    write_safetensors(whole.state_dict(), tmp_path / "whole.safetensors", {})
    write_safetensors(whole.state_dict(), tmp_path / "half.safetensors", {"a": 1}, dtype)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.7 * (tmp_path / "whole.safetensors").stat().st_size
    loaded = load_weights(tmp_path / "half.safetensors")
    kinds = {name: tensor.dtype for name, tensor in whole.state_dict().items()}
    assert {name: tensor.dtype for name, tensor in loaded.items()} == kinds
    assert read_card(tmp_path / "half.safetensors") == {"a": 1}
    with_pretrained(half, tmp_path / "half.safetensors")
    image = torch.where(torch.arange(32) < 16, -1.0, 1.0).expand(1, 1, 32, 32)
    with torch.no_grad():
        masks = [one.eval()(image).argmax(1) for one in (whole, half)]
    assert torch.equal(*masks)


def test_weights_too_large_for_half_precision_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a: a weight is too large for torch\.float16"):
        write_safetensors({"a": torch.tensor([1e6])}, tmp_path / "model.safetensors", {}, torch.float16)
    assert not (tmp_path / "model.safetensors").exists()
    write_safetensors({"a": torch.tensor([1e6])}, tmp_path / "model.safetensors", {}, torch.bfloat16)
    assert load_weights(tmp_path / "model.safetensors")["a"].dtype == torch.float32
