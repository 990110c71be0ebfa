"""Temperatures that were put in are found again, no winner changes, and counts add up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_hybrid.inferers.emit import Emitter
from monai_hybrid.inferers.grid_map import GridMap, axis_map
from monai_hybrid.inferers.rods import Rod
from monai_hybrid.inferers.windows import Span
from monai_hybrid.quality.batch import strange_batch
from monai_hybrid.quality.mask_sums import MaskSums
from monai_hybrid.quality.reliability import Counts, InTheBox, box_of, curve, expected_error
from monai_hybrid.quality.temperature import fit_temperature, tempered


def overconfident(factor: float, count: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes that are too sure by a factor, with the true classes."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(count, 3, generator=generator) * 2
    classes = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return (logits * factor).softmax(1).numpy(), classes.numpy()


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_is_found(factor: float) -> None:
    p, classes = overconfident(factor)
    found = fit_temperature(p, classes, [f"p{i % 3}" for i in range(len(p))])
    if factor == 1.0:
        found = found or [1.0] * 3  # nothing to gain
    assert found is not None and len(set(found)) == 1 and found[0] == pytest.approx(factor, rel=0.1)
    counts = Counts(found)
    counts.add(torch.as_tensor(p).T, torch.as_tensor(classes))
    after, before = expected_error(counts.after), expected_error(counts.before)
    assert after is not None and before is not None and after < 0.03
    assert (before > 2 * after) is (factor != 1.0)
    assert sum(point["voxels"] for point in curve(counts.before)) == len(p)


def test_a_class_of_its_own_factor_gets_its_own_temperature() -> None:
    p, classes = overconfident(1.0, 15_000)
    patients = [f"p{i % 6}" for i in range(len(p))]
    alike = fit_temperature(p, classes, patients) or [1.0]
    wrong = p.argmax(1) == 2
    p[wrong] = p[wrong] ** 4 / (p[wrong] ** 4).sum(1, keepdims=True)
    found = fit_temperature(p, classes, patients)
    assert found is not None and found[2] == pytest.approx(4, rel=0.15) and found[0] == pytest.approx(1, abs=0.15)
    assert max(alike) - min(alike) < 0.2


def test_one_bad_patient_calibrates_no_other() -> None:
    p, classes = overconfident(1.0, 4000)
    patients = [f"p{i % 4}" for i in range(len(p))]
    bad = np.array(patients) == "p3"
    p[bad] = np.eye(3)[np.random.default_rng(0).integers(0, 3, bad.sum())] * 0.97 + 0.01
    assert fit_temperature(p, classes, patients) is None


def test_the_winner_stays_and_one_changes_nothing() -> None:
    p = torch.rand(4, 500, generator=torch.Generator().manual_seed(1)).softmax(0)
    q = tempered(p, [0.4, 3.0, 1.0, 8.0])
    assert (q.argmax(0) == p.argmax(0)).all() and torch.allclose(q.sum(0), torch.ones(500))
    assert torch.allclose(tempered(p, [1.0] * 4), p, atol=1e-6)


def test_the_emitter_writes_calibrated_probabilities_and_tells_its_own() -> None:
    logits = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0)) * 3
    grid = GridMap((6, 5), (0, 1), tuple(axis_map(np.arange(n, dtype=float), n) for n in (6, 5)))
    told = torch.zeros(3, 6, 5)

    def take(p: torch.Tensor, place: tuple[slice, ...]) -> None:
        told[(slice(None), *place)] = p

    results = []
    for temperature in (None, [2.0, 2.0, 2.0]):
        emitter = Emitter(grid, (0, 1), True, True, temperature, take)
        emitter.add(Rod(logits.clone(), Span(0, 6), Span(0, 5)), 5)
        results.append(emitter.result())
        assert torch.allclose(told, logits.softmax(0), atol=1e-5)
    plain, calibrated = results
    assert (plain.labels == calibrated.labels).all() and plain.entropy_all == calibrated.entropy_all
    assert calibrated.probabilities is not None
    assert torch.allclose(calibrated.probabilities.float() / 65535, (logits / 2).softmax(0), atol=1e-4)


def test_sums_of_rods_are_those_of_the_whole() -> None:
    logits = torch.randn(3, 8, 6, generator=torch.Generator().manual_seed(0)) * 2
    sums = MaskSums((6, 8), 3)
    for first, last in ((0, 5), (5, 8)):  # the sweep goes along the second axis
        sums.add((1, 0), Rod(logits[:, first:last], Span(first, last), Span(0, 6)))
    p, winner = logits.softmax(0), logits.argmax(0)
    assert (sums.labels == winner.T).all()
    inside, faint = p[1][winner == 1].sum(), p[1] * (p[1] >= 0.1)
    assert sums.soft_dice(1) == pytest.approx(float(2 * inside / ((winner == 1).sum() + faint.sum())), rel=1e-5)
    assert 0 < float(sums.mean_entropy(1) or 0) < 1
    assert MaskSums((2, 2), 2).soft_dice(1) is None and MaskSums((2, 2), 2).mean_entropy(1) is None


def test_only_annotated_voxels_around_the_label_are_counted() -> None:
    label = torch.zeros(20, 20, dtype=torch.long)
    label[8:12, 8:12], label[8, 8] = 1, -1
    taken: list[torch.Tensor] = []
    watch = InTheBox(label, lambda p, classes: taken.append(classes))
    for rows in (slice(0, 9), slice(9, 20)):
        watch(torch.full((2, rows.stop - rows.start, 20), 0.5), (rows, slice(0, 20)))
    classes = torch.cat(taken)
    assert box_of(label) == (slice(7, 13), slice(7, 13)) and len(classes) == 35 and int(classes.sum()) == 15
    InTheBox(torch.zeros(4, 4), lambda *_: taken.append(label))(torch.ones(2, 4, 4), (slice(0, 4), slice(0, 4)))
    assert len(taken) == 2 and expected_error(np.zeros((3, 15))) is None


REFERENCE = {"denoising_error": np.linspace(0.2, 0.3, 20).tolist(), "predicted_dice": np.linspace(0.8, 0.9, 20).tolist()}


@pytest.mark.parametrize(("shift", "strange"), [(0.0, False), (0.5, True), (-0.5, False)])
def test_a_batch_is_strange_where_it_is_worse(shift: float, strange: bool) -> None:
    batch = {"denoising_error": (np.linspace(0.21, 0.29, 8) + shift).tolist(), "predicted_dice": [0.85] * 4}
    found = strange_batch(batch, REFERENCE)
    assert found["strange"] is strange and len(found["tests"]) == 1, "four cases are too few for a test"
    assert ("denoising error is larger than usual" in found["said"]) is strange and found["false_alarm"] == 0.02


def test_usual_batches_are_rarely_called_strange() -> None:
    random = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        cases = random.normal(size=(2, 30))
        made = [{"denoising_error": part[0], "predicted_dice": part[1]} for part in (cases[:, :10], cases[:, 10:])]
        called += strange_batch(*made)["strange"]
    assert called <= 10
