"""Every two options of few_shot_finetune work together: one update of each row of a pairwise table, and what it leaves."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import ROOT
from monai.bundle import ConfigWorkflow
from pairwise import Row, covering_rows, pairs_of
from prediction_runs import model_card

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.few_shot.tuning import STAGES, TRAINABLE
from monai_hybrid.losses import OBJECTIVES
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.runs.machine_faults import own_error
from monai_hybrid.weights import load_weights, read_card, save_weights

BUNDLE = ROOT / "bundles/few_shot_finetune"
VALUES: dict[str, list[Any]] = {
    "objective": list(OBJECTIVES),
    "trainable": [name for name in TRAINABLE if name != "norm"],  # that one is for scans without labels
    "stopping": ["budget", "leave_one_out"],
    "unlabelled": ["none", "rest", "folder", "taught"],  # "taught": a folder, and self-training
    "contrast_randomisation": ["none", "histogram", "gin"],
    "amp": [False, True],
    "dims": [2, 3],
    "stem": ["plain", "space_to_depth"],
    "validation": [False, True],
    "replay": ["off", "none", "histogram", "fourier"],  # "off": no source cases; else `match_appearance` of those
}
IN_MAKE_TEST, IN_EVERY_RUN = 6, 10  # rows of `make test`, and of it and `make long`; the others are marked slow


def allowed(row: Row) -> bool:
    """Images without labels teach nothing where there is no image term, and are refused there, unless they are looked at.

    A teacher needs an objective that learns masks.
    """
    looked_at = row["unlabelled"] == "folder" and row["replay"] in ("histogram", "fourier")
    if row["unlabelled"] == "taught":
        return OBJECTIVES[row["objective"]].learns_masks
    return row["unlabelled"] == "none" or looked_at or OBJECTIVES[row["objective"]].image_term


ROWS = covering_rows(VALUES, allowed)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Pictures and volumes of the phantom's scanner B, and beside them `source2` and `source3` of scanner A."""
    folder = tmp_path_factory.mktemp("combinations")
    for dims in (2, 3):
        generate(folder / f"raw_a{dims}", cases=5, site="A", seed=1, dims=dims)
        build(folder / f"raw_a{dims}", folder / f"source{dims}", budget="cpu")
        generate(folder / f"raw{dims}", cases=8, site="B", seed=0, dims=dims)
        build(folder / f"raw{dims}", folder / f"prepared{dims}", budget="cpu")
    return {dims: folder / f"prepared{dims}" for dims in (2, 3)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, prepared: dict[int, Path]) -> dict[tuple[int, str], Path]:
    """Models to start from, with random weights, of the phantom's labels."""
    folder = tmp_path_factory.mktemp("models")
    for dims, stem in product(VALUES["dims"], VALUES["stem"]):
        card = model_card(dims, spacing=8.0, patch=16 if stem == "space_to_depth" else 8, num_classes=4)
        card["labels"] = json.loads((prepared[dims] / "dataset.json").read_text())["labels"]
        card["network"] |= {"stem": stem, "norm_num_groups": 4, "num_head_channels": 8}
        torch.manual_seed(0)
        weights = HybridDiffusionUNet(**card["network"]).state_dict()
        # Layers that start at zero let no gradient through: as if trained.
        weights = {name: w if w.any() else 0.1 * torch.randn(w.shape) for name, w in weights.items()}
        save_weights(weights, folder / f"{dims}{stem}", card)
    return {(dims, stem): folder / f"{dims}{stem}/model.pt" for dims, stem in product(VALUES["dims"], VALUES["stem"])}


def adapt(row: Row, prepared: dict[int, Path], models: dict[tuple[int, str], Path], out: Path) -> Exception | None:
    """One update; our own error instead of raising it."""
    data = prepared[row["dims"]]
    model = models[row["dims"], row["stem"]]
    settings = {
        name: row[name] for name in ("objective", "trainable", "stopping", "contrast_randomisation", "amp", "validation")
    }
    settings |= {"unlabelled": row["unlabelled"] == "rest", "self_training": row["unlabelled"] == "taught"}
    settings |= {"unlabelled_dir": str(data.parent / f"raw{row['dims']}")} if row["unlabelled"] in ("folder", "taught") else {}
    if row["replay"] != "off":
        settings |= {"source_replay": str(data.parent / f"source{row['dims']}"), "match_appearance": row["replay"]}
    settings |= {"max_epochs": 1, "updates_per_epoch": 1, "batch_size": 4, "shots": 3, "low_rank": 2}
    settings |= {"warmup_updates": 0, "ema_decay": 0.1, "learning_rate": 0.01}
    settings |= {"device": "cpu", "num_workers": 0, "progress_bar": False, "picture_interval": 0}
    workflow = ConfigWorkflow(
        str(BUNDLE / "configs/train.json"),
        workflow_type="train",
        logging_file=False,
        bundle_root=str(BUNDLE),
        dataset_dir=str(data),
        pretrained=str(model),
        output_dir=str(out),
        **settings,
    )
    try:
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except Exception as error:
        own = own_error(error)
        if own is None:
            raise
        return own
    return None


def moved_stages(before: Path, after: Path) -> set[int]:
    """Numbers of the `STAGES` in which a weight is another."""
    old, new = load_weights(before), load_weights(after)
    assert {name: w.shape for name, w in old.items()} == {name: w.shape for name, w in new.items()}
    assert all(torch.isfinite(w).all() for w in new.values())
    moved = {name.split(".")[0] for name in old if not torch.allclose(old[name], new[name], atol=1e-6)}
    return {i for i, names in enumerate(STAGES) if moved & set(names)}


def name_of(row: Row) -> str:
    return "-".join(f"{name}_{value}" if isinstance(value, (bool, int)) else str(value) for name, value in row.items())


def mark_of(number: int) -> Any:
    return () if number < IN_MAKE_TEST else pytest.mark.long if number < IN_EVERY_RUN else pytest.mark.slow


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=name_of(row), marks=mark_of(number)) for number, row in enumerate(ROWS)],
)
def test_two_options_work_together(
    row: Row,
    prepared: dict[int, Path],
    models: dict[tuple[int, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert adapt(row, prepared, models, tmp_path) is None
    trained = {"all": {0, 1, 2, 3, 4}, "decoder": {3, 4}, "head": {4}, "low_rank": {0, 1, 2, 3, 4}}[row["trainable"]]
    assert moved_stages(models[row["dims"], row["stem"]], tmp_path / "models/model.pt") == trained
    card, terms = read_card(tmp_path / "models/model.safetensors"), OBJECTIVES[row["objective"]]
    assert card is not None and card["network"]["stem"] == row["stem"] and card["spatial_dims"] == row["dims"]
    learnt = terms.image_term or row["unlabelled"] == "taught"
    assert (card["training"]["unlabelled_cases"] > 0) == (row["unlabelled"] != "none" and learnt)
    assert card["training"]["self_training"] == (row["unlabelled"] == "taught")
    assert (card["training"]["replayed_cases"] > 0) == (row["replay"] != "off")
    record = json.loads((tmp_path / "logs/history.jsonl").read_text())
    assert ("image" in record) == terms.image_term
    assert "mask_noisy" not in record or terms.mask_on_noisy
    assert ("val_mean_dice" in record) == row["validation"], record
    folds = tmp_path / "logs/leave_one_out.json"
    assert folds.is_file() == (row["stopping"] == "leave_one_out")
    assert not folds.is_file() or len(json.loads(folds.read_text())["patients"]) == 3


def test_the_table_holds_every_pair_that_is_allowed() -> None:
    every = [dict(zip(VALUES, values, strict=True)) for values in product(*VALUES.values())]
    wanted = set().union(*(pairs_of(row) for row in every if allowed(row)))
    assert wanted == set().union(*(pairs_of(row) for row in ROWS))
    assert all(allowed(row) for row in ROWS) and len(ROWS) <= 28
    first = set().union(*(pairs_of(row) for row in ROWS[:IN_EVERY_RUN]))
    assert len(first & wanted) > 0.6 * len(wanted), "what every run of the tests sees"


@pytest.mark.parametrize("objective", ["supervised", "noisy_supervised"])
@pytest.mark.parametrize("unlabelled", ["rest", "folder"])
def test_what_does_not_go_together_is_refused(
    objective: str,
    unlabelled: str,
    prepared: dict[int, Path],
    models: dict[tuple[int, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    row = {**ROWS[0], "objective": objective, "unlabelled": unlabelled, "dims": 2, "replay": "off"}
    error = adapt(row, prepared, models, tmp_path)
    assert f"the objective {objective} learns nothing from images without labels; add --objective hybrid" in str(error)
    assert not (tmp_path / "models").exists()
