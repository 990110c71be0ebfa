"""What a source data set and two models have in common, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.bundle import Forgetting
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.bundle.source_domain import Model, common_names, remove_old, rows_of
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.weights import save_weights

NETWORK = {
    "channels": [8, 16],
    "num_res_blocks": [1, 1],
    "attention_levels": [False, False],
    "norm_num_groups": 8,
    "num_head_channels": 8,
}


def card(names: list[str], channels: list[str] | None = None, spacing: float = 2.0, **more: Any) -> dict[str, Any]:
    return {
        "labels": [{"name": name, "index": i, "value": i} for i, name in enumerate(["background", *names])],
        "channels": channels or ["image"],
        "spatial_dims": 3,
        "plan": {"normalization": {"method": "percentiles", "lower": 0.5, "upper": 99.5}},
        "training": {"spacing": [spacing] * 3, "patch_size": [16] * 3, **more},
        "network": NETWORK,
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantom A: cortex, nucleus, ventricle; one channel named "image"."""
    folder = tmp_path_factory.mktemp("source")
    generate(folder / "raw", cases=6, site="A", seed=0)
    build(folder / "raw", folder / "prepared", budget="cpu")
    return folder / "prepared"


@pytest.fixture
def data(source: Path) -> PreparedData:
    return read_prepared(source)


def model(**of: Any) -> Model:
    return Model("m.pt", card(**of), "source_after")


def test_structures_are_common_by_name_in_the_words_of_the_data(data: PreparedData) -> None:
    before, after = model(names=["tumour", "Ventricle", "cortex"]), model(names=["cortex", "nucleus", "ventricle", "vessel"])
    assert common_names(data, [before, after], "s") == (["cortex", "ventricle"], ["nucleus", "tumour", "vessel"])
    assert common_names(data, [after], "s") == (["cortex", "nucleus", "ventricle"], ["vessel"])
    assert rows_of(before.names, ["cortex", "ventricle"]) == [0, 0, 2, 1]
    assert rows_of(data.class_names, ["cortex", "ventricle"]) == [0, 1, 0, 2]


def test_nothing_in_common_is_refused(data: PreparedData) -> None:
    with pytest.raises(DataError, match=r"s: its structures are cortex, nucleus, ventricle; m.pt knows LV, RV: none is common"):
        common_names(data, [model(names=["LV", "RV"])], "s")
    assert common_names(data, [model(names=["LV", "nucleus"])], "s")[0] == ["nucleus"]


def test_other_channels_are_refused_unless_there_is_one_each(data: PreparedData) -> None:
    with pytest.raises(
        DataError, match=r"s: its channels are image, but m.pt takes T1, T2, in this order: it cannot be scored"
    ):
        common_names(data, [model(names=["cortex"], channels=["T1", "T2"])], "s")
    assert common_names(data, [model(names=["cortex"], channels=["T1"])], "s")[0] == ["cortex"]
    flat = {**card(names=["cortex"]), "spatial_dims": 2}
    with pytest.raises(DataError, match=r"s: 3D images, but m.pt is a 2D model"):
        common_names(data, [Model("m.pt", flat, "source_after")], "s")


def saved(folder: Path, of: dict[str, Any]) -> str:
    save_weights({"weight": torch.zeros(1)}, folder, of)
    return str(folder / "model.safetensors")


def forgetting(source: Path | None, pretrained: str | None, after: dict[str, Any]) -> Forgetting:
    nothing: Any = None
    where = str(source) if source else None
    return Forgetting(where, "after.pt", after, pretrained, nothing, nothing, nothing, nothing, {"output_dir": "out"})


def test_the_model_before_is_named_found_on_the_card_or_left_out(source: Path, tmp_path: Path) -> None:
    path = saved(tmp_path, card(names=["cortex"]))
    adapted = card(names=["cortex"], adapted_from=path)
    for pretrained, after, expected in (
        (None, adapted, path),
        ("none", adapted, None),
        (path, card(names=["cortex"]), path),
        (str(tmp_path), card(names=["cortex"]), path),  # the folder of a run
        (None, card(names=["cortex"]), None),
        (None, card(names=["cortex"], adapted_from=str(tmp_path / "gone.pt")), None),
    ):
        run = forgetting(source, pretrained, after)
        run.check()
        before = run._before()
        assert (before.path if before else None) == expected


def test_a_model_before_that_is_not_there_or_not_the_one_is_refused(source: Path, tmp_path: Path) -> None:
    after = card(names=["cortex"])
    with pytest.raises(
        ModelFileError, match=r"nowhere.pt: no such model file; give the model before adaptation, or --pretrained"
    ):
        forgetting(source, str(tmp_path / "nowhere.pt"), after).check()
    other = saved(tmp_path / "other", card(names=["cortex"], spacing=3.0))
    with pytest.raises(ModelFileError, match=r"its spacing is \[3.0, 3.0, 3.0\], that of after.pt \[2.0, 2.0, 2.0\]"):
        forgetting(source, other, after).check()
    forgetting(source, saved(tmp_path / "same", card(names=["cortex"])), after).check()


def test_without_a_source_nothing_is_done_and_pretrained_makes_no_sense(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pretrained: only with --source_dir"):
        forgetting(None, "model.pt", card(names=["cortex"])).check()
    forgetting(None, None, card(names=["cortex"])).check()
    with pytest.raises(DataError, match=r"datalist.json"):
        forgetting(tmp_path, None, card(names=["cortex"])).check()
    listed = json.loads((source / "datalist.json").read_text())
    for name in ("dataset.json", "plan.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "datalist.json").write_text(json.dumps({**listed, "testing": []}))
    with pytest.raises(DataError, match="the split testing has no labelled case"):
        forgetting(tmp_path, None, card(names=["cortex"])).check()


def test_the_files_of_an_earlier_run_go_and_others_stay(tmp_path: Path) -> None:
    for name in ("forgetting.json", "summary.json", "source_before/cases.csv", "source_after/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    remove_old(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["source_after/notes.txt", "summary.json"]


def test_the_only_class_is_common_whatever_it_is_called(data: PreparedData) -> None:
    labels = [{"index": 0, "value": 0, "name": "background"}, {"index": 1, "value": 1, "name": "label_1"}]
    one = replace(data, dataset={**data.dataset, "labels": labels})
    models = [model(names=["label_1"]), model(names=["label_255"])]
    assert common_names(one, models, "s") == (["label_1"], [])
    assert [rows_of(m.names, ["label_1"]) for m in models] == [[0, 1], [0, 1]]
    with pytest.raises(DataError, match="none is common to all"):
        common_names(one, [model(names=["vessel"]), model(names=["tumour"])], "s")


def test_pictures_that_are_read_in_other_colours_are_refused(data: PreparedData) -> None:
    green = replace(data, dataset={**data.dataset, "channels": ["green"], "colour": ["green"]})
    with pytest.raises(DataError, match=r"s: its pictures are read as green, those of m.pt as one grey value"):
        common_names(green, [model(names=["cortex"])], "s")
    alike = Model("m.pt", {**card(names=["cortex"], channels=["green"]), "colour": ["green"]}, "source_after")
    assert common_names(green, [alike], "s")[0] == ["cortex"]
