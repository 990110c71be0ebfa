"""MONAI's trainer with all the parts: it learns, and it learns the same twice."""

from __future__ import annotations

import hashlib

import pytest
import torch
from engine_samples import collated, make_trainer, square, tiny_network
from ignite.engine import Events

from monai_hybrid.engines import GradientClip, StopOnNonFinite
from monai_hybrid.losses import OBJECTIVES


def sha256(network: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def dice_on_new_squares(network: torch.nn.Module) -> float:
    batch = collated([square(1000 + i) for i in range(32)])
    with torch.no_grad():
        pred = network.eval()(batch["image"]).argmax(1, keepdim=True)
    return float(2 * (pred * batch["label"]).sum() / (pred.sum() + batch["label"].sum()))


def test_the_hybrid_objective_learns_to_segment_and_to_denoise() -> None:
    torch.manual_seed(0)
    network = tiny_network()
    losses, images = [], []
    trainer = make_trainer([square(i) for i in range(32)], [StopOnNonFinite(), GradientClip(1.0)], epochs=12, network=network)

    @trainer.on(Events.ITERATION_COMPLETED)
    def note(engine: object) -> None:
        losses.append(trainer.state.output["loss"].item())
        images.append(float(trainer.loss_function.terms.image))

    assert dice_on_new_squares(network) < 0.6
    trainer.run()
    assert len(losses) == 96
    assert dice_on_new_squares(network) > 0.9
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert sum(images[-10:]) < 0.85 * sum(images[:10])


def state_after(objective: str, seed: int) -> str:
    torch.manual_seed(seed)
    network = tiny_network()
    make_trainer([square(i) for i in range(8)], [GradientClip(1.0)], objective, network=network, epochs=2).run()
    return sha256(network)


@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_one_seed_gives_one_model_bit_for_bit(objective: str) -> None:
    assert state_after(objective, 0) == state_after(objective, 0)
    assert state_after(objective, 0) != state_after(objective, 1)
