"""Pictures of a run, in 2D and in 3D."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from engine_samples import make_trainer, square, tiny_network
from PIL import Image

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import HybridPrepareBatch, TrainingPictures
from monai_hybrid.engines.pictures import best_slice


def pictures(model: Any, folder: Path, writer: Any = None, interval: int = 1, prediction_type: str = "v") -> TrainingPictures:
    prepare = HybridPrepareBatch(NoiseSchedule(100), prediction_type=prediction_type)
    return TrainingPictures(model, prepare, writer, str(folder), ["background", "square"], interval)


@pytest.mark.parametrize(
    ("dims", "shape", "prediction_type"), [(2, (16, 12), "v"), (2, (16, 12), "sample"), (3, (8, 12, 4), "epsilon")]
)
def test_a_picture_is_drawn(tmp_path: Path, dims: int, shape: tuple[int, ...], prediction_type: str) -> None:
    torch.manual_seed(0)
    label = torch.zeros(shape)
    label[2:6, 3:7] = 1
    draw = pictures(tiny_network(dims).eval(), tmp_path, prediction_type=prediction_type).draw
    sheet = draw(torch.rand(1, 1, *shape) * 2 - 1, label, tmp_path / "a.png")
    assert isinstance(sheet, np.ndarray) and sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    assert sheet.shape[0] > 100 and sheet.std() > 1
    with Image.open(tmp_path / "a.png") as written:
        assert written.size == (sheet.shape[1], sheet.shape[0])


def test_the_same_model_gives_the_same_picture_and_draws_no_random_number(tmp_path: Path) -> None:
    model, x_0, label = tiny_network().eval(), torch.rand(1, 1, 16, 16), torch.zeros(16, 16)
    state = torch.get_rng_state()
    sheets = [pictures(model, tmp_path).draw(x_0, label, tmp_path / "a.png") for _ in range(2)]
    assert np.array_equal(*sheets)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_draws_at_its_interval(tmp_path: Path) -> None:
    class Writer:
        steps: list[int] = []  # noqa: RUF012

        def add_image(self, name: str, sheet: Any, step: int, dataformats: str) -> None:
            assert dataformats == "HWC" and sheet.dtype == np.uint8
            self.steps.append(step)

        def flush(self) -> None:
            pass

    network = tiny_network()
    handler = pictures(network, tmp_path / "logs", Writer(), interval=2)
    make_trainer([square(i) for i in range(2)], [handler], epochs=3, network=network).run()
    assert Writer.steps == [2] and (tmp_path / "logs" / "pictures.png").is_file()


@pytest.mark.parametrize(
    ("objective", "columns", "rows"),
    [
        ("hybrid", ["input", "denoised", "predicted mask", "true mask"], 4),
        ("noisy_supervised", ["input", "predicted mask", "true mask"], 4),
        ("supervised", ["input", "predicted mask", "true mask"], 1),
    ],
)
def test_what_the_objective_does_not_train_is_not_shown(
    objective: str, columns: list[str], rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr("monai_hybrid.engines.pictures.contact_sheet", lambda *sheet: drawn.append(sheet))
    prepare = HybridPrepareBatch(NoiseSchedule(100), objective)
    handler = TrainingPictures(tiny_network().eval(), prepare, None, str(tmp_path), ["background", "square"])
    handler.draw(torch.rand(1, 1, 16, 12), torch.ones(16, 12), tmp_path / "a.png")
    panels, titles, levels, *_ = drawn[0]
    assert titles == columns and [len(row) for row in panels] == [len(columns)] * rows and levels[0] == "t = 0"


def test_the_slice_with_the_most_foreground_is_shown() -> None:
    label = torch.zeros(4, 4, 5)
    label[:2, :2, 1], label[:3, :3, 3] = 1, 2
    assert best_slice(label) == slice(3, 4)
    assert best_slice(label[..., 0]) == slice(None)


def test_the_first_case_is_drawn_as_one_of_its_domain(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Watched(torch.nn.Module):
        def forward(self, x: Any, timesteps: Any, return_noise: bool, **more: Any) -> Any:
            seen.append(more)
            return torch.zeros(len(x), 3, *x.shape[2:])

    batch = {"image": torch.rand(2, 1, 16, 16), "label": torch.zeros(2, 1, 16, 16)}
    for told in ({}, {"domain": torch.tensor([1, 0])}):
        state = SimpleNamespace(batch={**batch, **told}, device="cpu", epoch=1)
        pictures(Watched(), tmp_path)(SimpleNamespace(state=state))
    assert seen[0] == {} and seen[1]["class_labels"].tolist() == [1]
