"""The guards: gradients that stay bounded, and a stop before a loss that is not finite reaches the weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_samples import Watch, collated, copy_of, make_trainer, same, silent, square, tiny_network
from ignite.engine import Events
from monai.engines import IterationEvents
from torch import Tensor, nn

from monai_hybrid.engines import AccumulatedUpdate, GradientClip, StopOnNonFinite
from monai_hybrid.errors import TrainingFault


def norms_of_a_run(max_norm: float, accumulation_steps: int = 1) -> list[float]:
    """The gradient's norm after the clip, update by update."""
    norms: list[float] = []

    def note(engine: Any) -> None:
        norms.append(float(torch.cat([p.grad.flatten() for p in engine.network.parameters()]).norm()))

    torch.manual_seed(0)
    watch = Watch(IterationEvents.BACKWARD_COMPLETED, note)
    trainer = make_trainer(
        [square(i) for i in range(8)], [GradientClip(max_norm), watch], batch_size=2, accumulation_steps=accumulation_steps
    )
    trainer.run()
    return norms


def test_the_norm_is_bounded() -> None:
    free, bounded = norms_of_a_run(0), norms_of_a_run(0.05)
    assert len(free) == len(bounded) == 4 and min(free) > 0.1
    assert bounded == pytest.approx([0.05] * 4, rel=1e-3)


def test_a_small_gradient_is_left_alone() -> None:
    assert norms_of_a_run(1e6) == norms_of_a_run(0)


def test_with_accumulation_only_the_gradient_of_a_step_is_clipped() -> None:
    """Four batches, three a step: the optimizer steps after the third and, as the epoch ends, after the fourth."""
    clipped = [n == pytest.approx(0.05, rel=1e-3) for n in norms_of_a_run(0.05, accumulation_steps=3)]
    assert clipped == [False, False, True, True]


def test_an_update_of_several_batches_is_clipped_once_and_is_the_mean_of_its_batches() -> None:
    """Four cases in two batches of two: the gradient of the four, whose loss is a mean over samples."""
    found = []
    for batches, max_norm in ((1, 0.0), (2, 0.0), (2, 0.05)):
        torch.manual_seed(0)
        told = {"iteration_update": AccumulatedUpdate(batches)} if batches > 1 else {}
        trainer = make_trainer([square(i) for i in range(4)], [GradientClip(max_norm)], "supervised", **told)
        trainer.run()
        found.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters()]))
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert float(found[1].norm()) > 0.1 and float(found[2].norm()) == pytest.approx(0.05, rel=1e-3)


def test_scaled_gradients_are_unscaled_once_before_they_are_clipped() -> None:
    network = nn.Linear(4, 1, bias=False)
    order: list[float] = []

    class Scaler:
        def unscale_(self, optimizer: Any) -> None:
            network.weight.grad /= 1024
            order.append(float(network.weight.grad.norm()))

    engine = SimpleNamespace(
        network=network,
        optimizer=None,
        amp=True,
        scaler=Scaler(),
        accumulation_steps=2,
        state=SimpleNamespace(iteration=1, epoch_length=None),
    )
    for iteration, unscaled in ((1, 0), (2, 1), (3, 1), (4, 2)):
        network.weight.grad = torch.full((1, 4), 1024.0)
        engine.state.iteration = iteration
        GradientClip(1.0)(engine)
        assert len(order) == unscaled
        expected = 1.0 if iteration % 2 == 0 else 2048.0
        assert float(network.weight.grad.norm()) == pytest.approx(expected, rel=1e-4)
    assert order == [2.0, 2.0]


def test_a_nan_in_an_image_stops_the_run_and_names_the_case() -> None:
    cases = [square(i) for i in range(8)]
    cases[6]["image"][0, 3, 3] = float("nan")
    before: list[dict[str, Tensor]] = []
    watch = Watch(Events.ITERATION_COMPLETED, lambda engine: before.append(copy_of(engine.network.state_dict())))
    trainer = make_trainer(cases, [StopOnNonFinite(), watch])
    message = (
        r"the loss became nan in update 2 \(epoch 1\): these images hold NaN or Inf: case_6; "
        r"run `monai-hybrid check` on the data set\. The weights saved last are from before it\."
    )
    with silent(), pytest.raises(TrainingFault, match=message):
        trainer.run()
    assert len(before) == 1 and same(trainer.network.state_dict(), before[0])


def test_a_finite_run_is_left_alone() -> None:
    trainer = make_trainer([square(i) for i in range(8)], [StopOnNonFinite()])
    trainer.run()
    assert trainer.state.iteration == 2


def test_a_loss_that_explodes_on_finite_images_points_at_the_learning_rate() -> None:
    def explode(prediction: Tensor, target: Any) -> Tensor:
        return prediction.sum() * 0 + float("inf")

    trainer = make_trainer([square(i) for i in range(2)], [StopOnNonFinite()], loss_function=explode)
    message = (
        "the loss became inf .* the images are finite; cases of the batch: case_0, case_1; a lower learning_rate usually helps"
    )
    with silent(), pytest.raises(TrainingFault, match=message):
        trainer.run()


def test_cases_without_a_name_are_counted_as_unknown() -> None:
    batch = collated([square(0), square(1)])
    del batch["case_id"]
    batch["image"][1] = float("inf")
    state = SimpleNamespace(output={"loss": torch.tensor(float("nan"))}, batch=batch, iteration=1, epoch=1)
    with pytest.raises(TrainingFault, match=r"these images hold NaN or Inf: \?; run"):
        StopOnNonFinite()(SimpleNamespace(state=state, network=tiny_network()))
    state.output = {"loss": torch.tensor(1.0)}
    StopOnNonFinite()(SimpleNamespace(state=state))
