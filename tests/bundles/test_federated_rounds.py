"""Two clients of MONAI FL and a server that averages their weights, over two rounds: the script of the documentation."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from bundle_runs import BUNDLE, ROOT

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.weights import load_weights

SMALL = ["max_epochs=1", "updates_per_epoch=2", "batch_size=2", "spacing=[8,8]", "patch_size=[16,16]", "picture_interval=0"]


@pytest.mark.long
def test_two_clients_average_over_two_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # a bundle's start replaces it
    folders = [tmp_path / "data" / site for site in "AB"]
    for folder, cases in zip(folders, (6, 9), strict=True):
        generate(tmp_path / "raw" / folder.name, cases=cases, site=folder.name, seed=0, dims=2)
        build(tmp_path / "raw" / folder.name, folder, budget="cpu", val_fraction=0.2, test_fraction=0.2)
    script = runpy.run_path(str(ROOT / "docs/how-to/federated.py"))
    settings = [*SMALL, "progress_bar=False"]
    server = script["main"](str(BUNDLE), str(tmp_path / "out"), *map(str, folders), *settings)
    said = capsys.readouterr().out
    cases = [int(number) for number in re.findall(r"clients with (\d+) and (\d+)", said)[0]]
    assert cases[0] < cases[1]
    assert all(bool(torch.isfinite(w).all()) for w in server.values())
    moved = re.findall(r"round (\d): clients differ by ([\d.]+), the average has moved by ([\d.]+)", said)
    assert [n for n, *_ in moved] == ["1", "2"] and all(0 < float(x) < 0.1 for _, *xs in moved for x in xs)
    assert len(re.findall(r"  [AB]: mean Dice [01]\.\d{4} with the average", said)) == 4
    for folder in "AB":  # each client keeps a model of its own, of the same network
        assert set(load_weights(tmp_path / "out" / folder / "models/model.pt")) == set(server)


def test_the_average_goes_by_the_number_of_cases() -> None:
    average = runpy.run_path(str(ROOT / "docs/how-to/federated.py"))["average"]
    mixed = average([{"w": torch.tensor([0.0, 4.0])}, {"w": torch.tensor([4.0, 8.0])}], [0.25, 0.75])
    assert mixed["w"].tolist() == [3.0, 7.0]
