"""A model's card is input: whatever it says, one sentence and exit 4, before a network is built from it."""

from __future__ import annotations

import copy
import json
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from command_line import typed
from safetensors.torch import save_file

from monai_hybrid.bundle import find_card
from monai_hybrid.errors import ModelFileError
from monai_hybrid.weights import CARD_KEY, dumped_card, read_card, save_weights

CARD: dict[str, Any] = json.loads(files("monai_hybrid.bundle").joinpath("default_card.json").read_text())
DELETED = object()


def saved(folder: Path, card: Any) -> Path:
    path = folder / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path, {CARD_KEY: card if isinstance(card, str) else json.dumps(card)})
    return path


def changed(place: str, value: Any) -> dict[str, Any]:
    card = copy.deepcopy(CARD)
    *parents, last = place.split(".")
    node: Any = card
    for part in parents:
        node = node[int(part) if isinstance(node, list) else part]
    if value is DELETED:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return card


WRONG = [
    ("spatial_dims", 7, "spatial_dims: saw 7; expected enum [2, 3]"),
    ("spatial_dims", True, "spatial_dims: saw True"),
    ("training.distilled_from", "x", "training.distilled_from: saw 'x'; expected an object with model and sha256"),
    ("training.distilled_from", {"model": "a\nb"}, "training.distilled_from.model: saw 'a\\nb'; expected a path on one line"),
    ("training.distilled_from", {"sha256": "0" * 63}, "training.distilled_from.sha256: saw '000"),
    ("colour", "red", "colour: saw 'red'; expected 1 to 3 of red, green, blue, grey"),
    ("colour", ["violet"], "colour[0]: saw 'violet'; expected enum"),
    ("colour", ["red", "green"], "colour: saw ['red', 'green']; expected 1, as many as there are channels"),
    ("codes", [], "codes: saw []; expected label name -> code"),
    ("codes", {"a": {"value": "1" * 17, "meaning": "x"}}, "codes.a.value: saw '11111111111111111'; expected a code of 1 to 16"),
    ("codes", {"a": {"value": "1"}}, "codes.a: saw {'value': '1'}; expected such as"),
    ("codes", {"a": {"value": "1", "meaning": "x\\y"}}, "codes.a.meaning: saw "),
    ("codes", {"a": {"value": "1", "meaning": "x", "category": 3}}, "codes.a.category: saw 3; expected such as"),
    ("labels.1.value", -5, "labels[1].value: saw -5; expected a whole number from 0 to 9223372036854775807"),
    ("labels.1.value", 2**64, "labels[1].value: saw 18446744073709551616"),
    ("labels.1.value", 1.5, "labels[1].value: saw 1.5"),
    ("labels.1.value", 2, "labels: saw value [0, 2, 2, 3]; expected each once"),
    ("labels.1.index", 2, "labels: saw index [0, 2, 2, 3]; expected 0, 1, 2 in order"),
    ("labels.1.name", "nucleus", "labels: saw name"),
    ("labels.1.name", "a\nb", "labels[1].name: saw 'a\\nb'; expected a name of 1 to 200 characters on one line"),
    ("labels.1.name", "x" * 10_000, "labels[1].name: saw 'xxx"),
    ("labels.1", "cortex", "labels[1]: saw 'cortex'; expected an object with index, value (from 0) and name"),
    ("labels", {}, "labels: saw {}; expected 1 to 4096 labels, background first"),
    ("labels", [CARD["labels"][0]] * 5000, "labels: saw [{"),
    ("channels", [], "channels: saw []; expected 1 to 1024 names"),
    ("channels", [3], "channels[0]: saw 3"),
    ("channels", ["a", "b"], "network.in_channels: saw 1; expected 2, as many as there are channels"),
    ("network", [], "network: saw []; expected type 'object'"),
    ("network.num_classes", 9, "network.num_classes: saw 9; expected 4, as many as there are labels"),
    ("network.in_channels", 2**30, "network.in_channels: saw 1073741824; expected a whole number from 1 to 1024"),
    ("network.channels", [2**30, 2**30, 2**30], "network.channels[0]: saw 1073741824; expected a whole number from 1 to 4096"),
    ("network.channels", [16] * 100, "network.channels: saw [16, 16"),
    ("network.channels", [4096, 4096, 4096], "network: saw one of about"),
    ("network.channels", [16, 32, 65], "network.channels: saw [16, 32, 65]; expected multiples of norm_num_groups, 8"),
    ("network.channels", [16, 32], "network.num_res_blocks: saw [1, 1, 1]; expected 2 entries, one a level"),
    ("network.num_res_blocks", 10**8, "network.num_res_blocks: saw 100000000; expected 1 to 16 a level"),
    ("network.num_res_blocks", [1, 1, 10**8], "network.num_res_blocks: saw [1, 1, 100000000]"),
    ("network.norm_num_groups", 0, "network.norm_num_groups: saw 0"),
    ("network.refinement", 8, "network.refinement: saw 8 with the stem plain; expected 0, or the stem space_to_depth"),
    ("network.refinement", -1, "network.refinement: saw -1"),
    ("network.num_domains", 1, "network.num_domains: saw 1; expected 0 or 2"),
    ("network.num_domains", 10**9, "network.num_domains: saw 1000000000; expected 0 or 2"),
    ("network.num_domains", True, "network.num_domains: saw True; expected 0 or 2"),
    ("network.num_head_channels", 48, "network.num_head_channels: saw [48, 48, 48]; expected divisors of [16, 32, 64]"),
    ("network.stem", "a_b", "network.stem: saw 'a_b'; expected one of plain"),
    ("network.stem", {"_target_": "open"}, "network.stem: saw {'_target_': 'open'}; expected one word"),
    ("plan.network.channels", [10**9, 1], "plan.network.channels[0]: saw 1000000000"),
    ("training.patch_size", [0, 8, 8], "training.patch_size[0]: saw 0"),
    ("training.patch_size", [65536] * 3, "training.patch_size: saw [65536, 65536, 65536]; expected at most 134217728 voxels"),
    ("training.patch_size", "8", "training.patch_size: saw '8'; expected 2 to 3 numbers of voxels"),
    ("training.spacing", [0, 1, 1], "training.spacing[0]: saw 0; expected a number above 0"),
    ("training.spacing", [-1.0, 1, 1], "training.spacing[0]: saw -1.0"),
    ("training.spacing", [1, 1, 1, 1, 1, 1, 1], "training.spacing: saw"),
    ("training.num_timesteps", 10**12, "training.num_timesteps: saw 1000000000000"),
    ("training.prediction_type", "$open('x')", "training.prediction_type: saw"),
    ("plan.normalization", "percentiles", "plan.normalization: saw 'percentiles'"),
    ("source", 3, "source: saw 3"),
    ("extra", "x" * 200_000, "holds a text of 200000 characters, expected at most 100000"),
    ("extra", list(range(300_000)), "holds more than 200000 values"),
    ("labels", list(range(30_000)), "holds a list of 30000 entries, expected at most 20000"),
    ("extra", 10**400, "holds a number too large for any use"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "message"), WRONG, ids=lambda value: str(value)[:30])
def test_a_value_out_of_bounds_ends_in_one_sentence(place: str, value: Any, message: str, tmp_path: Path) -> None:
    start = time.process_time()
    with pytest.raises(ModelFileError) as told:
        read_card(saved(tmp_path, changed(place, value)))
    said = str(told.value)
    assert message in said and said.endswith("; copy the file again from its source") and "\n" not in said
    assert told.value.exit_code == 4 and len(said) < 600 and time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the whole: saw []; expected a JSON object"),
        ("3", "the whole: saw 3; expected a JSON object"),
        ("null", "the whole: saw None; expected a JSON object"),
        ('{"a": NaN}', "not valid JSON (NaN is not a number)"),
        ('{"a": -Infinity}', "not valid JSON (-Infinity is not a number)"),
        ('{"a": 1e999}', "holds a number too large for any use"),
        ("[" * 100_000, "not valid JSON (nested too deeply)"),
        ('{"a":' + "[" * 30 + "]" * 30 + "}", "is nested deeper than 16 levels"),
        ("{", "not valid JSON"),
        (r'{"source": "\ud800"}', r"its card holds \ud800, half of a character, which nothing can show; copy the file again"),
        ('{"format_version": [1]}', "its card is of format [1], expected 1"),
    ],
)
def test_a_card_that_is_no_description_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as told:
        read_card(saved(tmp_path, text))
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("labels.1.value", 2**40),
        ("labels.1.name", "Läsion <3 mm & more"),
        ("source", "\U0001f600"),
        ("codes", {"cortex": {"value": "1", "scheme": "99X", "meaning": "Läsion", "category": {"value": "2", "meaning": "b"}}}),
        ("labels.0.colour", "#ff0000"),
        ("channels", ["T1 <b>"]),
        ("network.stem", "space_to_depth"),
        ("network.num_res_blocks", 2),
        ("network.some_new_switch", True),
        ("plan.normalization", [{"method": "zscore", "mean": 0.5}]),
        ("plan.resampling", {"image": "area", "factors": [1, 2]}),
        ("training.reference_entropy", {"cortex": [0.1, None, 0.3]}),
        ("training.validation", {"val_mean_dice": 0.5}),
        ("selection", ["green"]),
        ("network", DELETED),
        ("labels", DELETED),
        ("training.patch_size", [512, 512]),
    ],
)
def test_what_our_own_versions_write_is_read(place: str, value: Any, tmp_path: Path) -> None:
    card = changed(place, value)
    assert read_card(saved(tmp_path, card)) == card


def test_the_default_card_is_complete_and_one_that_is_not_names_what_is_missing(tmp_path: Path) -> None:
    path = saved(tmp_path, CARD)
    assert find_card(str(path)) == CARD
    for place in ("network.channels", "training.spacing", "labels", "plan"):
        saved(tmp_path, changed(place, DELETED))
        with pytest.raises(ModelFileError, match=rf"its card says nothing of {place}[.\w]*, which is needed to use the model"):
            find_card(str(path))
    saved(tmp_path, changed("labels.1.value", DELETED))
    with pytest.raises(ModelFileError, match=r"labels: saw .*; expected index, value and name"):
        find_card(str(path))


def test_a_card_beside_a_state_dict_is_held_to_the_same(tmp_path: Path) -> None:
    save_weights({"a": torch.zeros(1)}, tmp_path, changed("spatial_dims", 7))
    with pytest.raises(ModelFileError, match="spatial_dims: saw 7"):
        find_card(str(tmp_path / "model.pt"))


def test_a_prediction_with_such_a_card_ends_with_exit_code_4_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((8, 8, 8), np.float32), np.eye(4)), tmp_path / "in/a.nii.gz")
    path = saved(tmp_path, changed("network.num_res_blocks", 10**8))
    done = typed("predict", tmp_path / "in", "--model", path, "--output", tmp_path / "out")
    assert done.returncode == 4 and "Traceback" not in done.stderr, done.stderr[-2000:]
    assert "error: " in done.stderr and "network.num_res_blocks: saw 100000000; expected 1 to 16 a level" in done.stderr
    assert not list(tmp_path.glob("out/*seg*"))


def test_of_a_path_that_is_no_unicode_the_card_keeps_what_can_be_shown(tmp_path: Path) -> None:
    card = read_card(saved(tmp_path, dumped_card(changed("source", "/data/\udcff \U0001f600"))))
    assert card is not None and card["source"] == "/data/? \U0001f600"
