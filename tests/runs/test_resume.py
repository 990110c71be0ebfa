"""A run that was broken off and goes on ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from engine_samples import K, Watch, copy_of, make_trainer, same, silent, square
from ignite.engine import Events
from ignite.handlers import EMAHandler
from monai.engines import IterationEvents
from monai.handlers import LrScheduleHandler
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import RandGaussianNoised
from torch.utils.data import DataLoader, RandomSampler

from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.engines import (
    AccumulatedUpdate,
    HybridPrepareBatch,
    LastUpdate,
    MeanTeacher,
    ReplayableDataset,
    ReplayableSampler,
    SeededUpdates,
    TeachingRamp,
    TrainingLog,
)
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.losses import HybridLoss
from monai_hybrid.runs import Checkpoint, kept_rate, same_run, stop_signals
from monai_hybrid.runs.checkpoint import checkpoints, load_newest
from monai_hybrid.runs.same_run import moved_model
from monai_hybrid.runs.stop_signals import Stopped
from monai_hybrid.weights import checksum, load_weights

CASES = [square(i) for i in range(5)]
UPDATES, BATCH = 4, 2


def completed(case: dict[str, Any]) -> dict[str, Any]:
    case = {**case, "teacher": case["image"]}
    return case if "label" in case else {**case, "label": torch.zeros_like(case["image"]), "has_label": 0}


class SmallestNetwork(torch.nn.Module):
    """What a training asks of one, in six tensors. A real one, of a hundred, goes on in `bundles/test_synthetic_runs.py`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.time, self.last = (
            torch.nn.Conv2d(1, 4, 3, padding=1),
            torch.nn.Linear(1, 4),
            torch.nn.Conv2d(4, 1 + K, 1),
        )

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor | None = None, return_noise: bool = False) -> torch.Tensor:
        """As `HybridDiffusionUNet`."""
        t = torch.zeros(1) if timesteps is None else timesteps
        output: torch.Tensor = self.last(torch.tanh(self.first(x) + self.time(t[:, None] / 100)[..., None, None]))
        return output if return_noise else output[:, 1:]


class BrokenOff(Exception):
    """The process is gone, without a chance to do anything."""


def run(
    folder: Path,
    epochs: int = 3,
    resume: bool = False,
    at: Any = None,
    cases: Any = None,
    taught: bool = False,
    updates: int | None = None,
    batches: int = 1,
    monai_steps: int = 1,
    **changes: Any,
) -> Any:
    """A training in miniature with all parts of train.json; `at`: (update, what happens then); `taught`: self-training."""
    size = BATCH * batches
    cases = CASES if cases is None else cases
    torch.manual_seed(1)
    network = SmallestNetwork()
    torch.manual_seed(int.from_bytes(os.urandom(4), "little"))  # what follows must not lean on the global generator
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    schedule = WarmupCosineSchedule(optimizer, 3, epochs * UPDATES)
    ema = EMAHandler(network, momentum=0.3)
    data = ReplayableDataset(cases, [completed, RandGaussianNoised("image", prob=0.7)], progress=False)
    place = ReplayableSampler(RandomSampler(data, num_samples=UPDATES * size), UPDATES * size, seed=5)
    loss = HybridLoss(NoiseSchedule(100), prediction_type="v")
    settings = {"learning_rate": "0.001", **changes.pop("settings", {})}
    checkpoint = Checkpoint(
        str(folder), ema, schedule, cases, changes.pop("plan", {"spacing": [1, 1]}), settings, resume=resume, **changes
    )
    log = TrainingLog(loss, None, str(folder / "logs"), ["background", "square"])
    handlers = [
        checkpoint,
        SeededUpdates(place, size),
        LrScheduleHandler(schedule, epoch_level=False, print_lr=False),
        log,
        ema,
        LastUpdate(updates),
    ]
    if at is not None:
        handlers.append(Watch(Events.ITERATION_COMPLETED(once=at[0]), at[1]))
    told = {"iteration_update": AccumulatedUpdate(batches)} if batches > 1 else {"accumulation_steps": monai_steps}
    trainer = make_trainer(cases, handlers, epochs=epochs, network=network, optimizer=optimizer, loss_function=loss, **told)
    trainer.data_loader = trainer.state.dataloader = DataLoader(data, batch_size=size, sampler=place)
    seen: list[int] = []
    trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, lambda engine: seen.append(len(engine.state.output["image"])))
    trainer.state.epoch_length = UPDATES
    if taught:
        teacher = MeanTeacher(ema.ema_model)
        trainer.prepare_batch = HybridPrepareBatch(NoiseSchedule(100), prediction_type="v", teacher=teacher)
        TeachingRamp(teacher, epochs * UPDATES).attach(trainer)
    with silent():
        trainer.run()
    return SimpleNamespace(
        weights=copy_of(network.state_dict()),
        average=copy_of(ema.ema_model.state_dict()),
        rate=optimizer.param_groups[0]["lr"],
        history=history.read_text() if (history := folder / "logs/history.jsonl").is_file() else "",
        checkpoint=checkpoint,
        updates=trainer.state.iteration,
        steps=int(next(iter(optimizer.state.values()))["step"]),
        samples=sum(seen),
    )


def break_off(engine: Any) -> None:
    raise BrokenOff


def terminate(number: int = signal.SIGTERM) -> Any:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The run that nobody disturbs."""
    return run(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def broken(tmp_path: Path, broken_once: Path) -> Path:
    """A copy of a run that was broken off in its second epoch."""
    return Path(shutil.copytree(broken_once, tmp_path / "broken"))


@pytest.fixture(scope="module")
def broken_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broken")
    with pytest.raises(BrokenOff):
        run(folder, at=(6, break_off))
    return folder


def check(done: Any, whole: Any) -> None:
    assert same(done.weights, whole.weights) and same(done.average, whole.average)
    assert (done.rate, done.history, done.updates) == (whole.rate, whole.history, whole.updates)


@pytest.mark.parametrize("update", [2, 4, 7, 11])
def test_after_a_crash_the_epoch_is_done_again_and_the_end_is_the_same(update: int, whole: Any, tmp_path: Path) -> None:
    with pytest.raises(BrokenOff):
        run(tmp_path, at=(update, break_off))
    assert checkpoints(tmp_path)[0].name == f"update_{(update - 1) // UPDATES * UPDATES:08d}.pt"
    check(run(tmp_path, resume=True), whole)


def test_self_training_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    cases = [case if i < 2 else {k: v for k, v in case.items() if k != "label"} for i, case in enumerate(CASES)]
    whole = run(tmp_path / "whole", cases=cases, taught=True)
    assert '"taught"' in whole.history
    with pytest.raises(BrokenOff):
        run(tmp_path / "broken", cases=cases, taught=True, at=(7, break_off))
    check(run(tmp_path / "broken", cases=cases, taught=True, resume=True), whole)


@pytest.mark.parametrize("update", [1, 4, 6])
def test_a_signal_finishes_the_update_and_saves_it(
    update: int, whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopped = run(tmp_path, at=(update, terminate()))
    assert signal.getsignal(signal.SIGTERM) == before
    # the handler of the test comes before the checkpoint's: the same update is the last one
    assert stopped.updates == update and checkpoints(tmp_path)[0].name == f"update_{update:08d}.pt"
    with pytest.raises(
        Stopped, match=f"stopped by SIGTERM after update {update} of 12; everything is saved: .*--resume True"
    ) as e:
        stopped.checkpoint.leave()
    assert e.value.exit_code == 143 and "a second one ends it at once" in capsys.readouterr().err
    check(run(tmp_path, resume=True), whole)


def test_ctrl_c_has_its_own_exit_code_and_a_run_without_signals_leaves_quietly(whole: Any, tmp_path: Path) -> None:
    whole.checkpoint.leave()
    with pytest.raises(Stopped, match="stopped by SIGINT") as e:
        run(tmp_path, at=(2, terminate(signal.SIGINT))).checkpoint.leave()
    assert e.value.exit_code == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 138), (signal.SIGHUP, 129)])
def test_the_signals_of_schedulers_and_terminals_save_too(number: int, code: int, whole: Any, tmp_path: Path) -> None:
    with pytest.raises(Stopped, match=f"stopped by {signal.Signals(number).name} after update 2 of 12") as e:
        run(tmp_path, at=(2, terminate(number))).checkpoint.leave()
    assert e.value.exit_code == code
    check(run(tmp_path, resume=True), whole)


def test_nohup_is_respected(whole: Any, tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = run(tmp_path, at=(2, terminate(signal.SIGHUP)))
    finally:
        signal.signal(signal.SIGHUP, before)
    check(done, whole)


def test_one_wish_that_comes_twice_at_once_still_saves(whole: Any, tmp_path: Path) -> None:
    """Schedulers signal every process of a job, and the command line hands on what it gets."""

    def both() -> None:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            terminate(number)()

    stopped = run(tmp_path, at=(2, both))
    assert stopped.updates == 2 and checkpoints(tmp_path)[0].name == "update_00000002.pt"
    check(run(tmp_path, resume=True), whole)


def test_ctrl_c_twice_ends_at_once_and_the_last_checkpoint_is_whole(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_signals, "ONE_WISH", 0.0)

    def twice() -> None:
        for _ in range(2):
            terminate(signal.SIGINT)()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, at=(6, twice))
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert [p.name for p in checkpoints(tmp_path)] == ["update_00000004.pt", "update_00000000.pt"]
    check(run(tmp_path, resume=True), whole)


def test_a_signal_in_the_last_update_changes_nothing(whole: Any, tmp_path: Path) -> None:
    done = run(tmp_path, at=(12, terminate()))
    done.checkpoint.leave()
    check(done, whole)


def test_stopped_twice(whole: Any, tmp_path: Path) -> None:
    run(tmp_path, at=(3, terminate()))
    with pytest.raises(BrokenOff):
        run(tmp_path, at=(6, break_off), resume=True)
    check(run(tmp_path, resume=True), whole)


def test_a_finished_run_is_over_and_a_longer_one_goes_on(whole: Any, tmp_path: Path) -> None:
    run(tmp_path)
    check(run(tmp_path, resume=True), whole)
    longer = run(tmp_path, epochs=4, resume=True)
    assert longer.updates == 16 and longer.history.startswith(whole.history) and longer.history.count("\n") == 4
    assert not same(longer.weights, whole.weights)


def test_two_checkpoints_are_kept_and_the_interval_counts_epochs(tmp_path: Path) -> None:
    run(tmp_path / "a")
    assert [p.name for p in checkpoints(tmp_path / "a")] == ["update_00000012.pt", "update_00000008.pt"]
    run(tmp_path / "b", interval=2)
    assert [p.name for p in checkpoints(tmp_path / "b")] == ["update_00000012.pt", "update_00000008.pt"]
    run(tmp_path / "c", interval=0)
    assert checkpoints(tmp_path / "c") == []
    run(tmp_path / "d", rank=1)
    assert checkpoints(tmp_path / "d") == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"settings": {"learning_rate": "0.01"}}, ConfigError, r"learning_rate: 0.001 -> 0.01 \(saved -> now\)"),
        ({"settings": {"ema_decay": "0.9"}}, ConfigError, "ema_decay: absent -> 0.9"),
        ({"plan": {"spacing": [2, 2]}}, ConfigError, r"plan#spacing: \[1, 1\] -> \[2, 2\]"),
        ({"cases": CASES[:-1]}, DataError, r"was trained on 5 cases, the data list now has 4: gone: case_4\."),
        ({"cases": [*CASES, square(9)]}, DataError, "new: case_9"),
        ({"cases": CASES[::-1]}, DataError, "the same cases in another order"),
    ],
)
def test_another_run_is_not_gone_on_with(change: dict[str, Any], error: type, message: str, broken: Path) -> None:
    files = {p: p.read_bytes() for p in checkpoints(broken)}
    with pytest.raises(error, match=message):
        run(broken, resume=True, **change)
    assert {p: p.read_bytes() for p in checkpoints(broken)} == files


def test_after_refusals_the_same_run_goes_on(broken: Path, whole: Any) -> None:
    with pytest.raises(ConfigError):
        run(broken, resume=True, settings={"learning_rate": "0.01"})
    check(run(broken, resume=True), whole)


def test_a_run_goes_on_at_the_rate_that_it_began_with(broken: Path, tmp_path: Path) -> None:
    shutil.copytree(broken, tmp_path / "checkpoints")
    assert kept_rate(str(tmp_path), True, 0.003) == 0.001
    # one that begins now has that of now
    assert kept_rate(str(tmp_path), False, 0.003) == kept_rate(str(tmp_path / "new"), True, 0.003) == 0.003


def test_a_run_goes_on_from_a_model_that_moved_and_not_from_another(tmp_path: Path) -> None:
    here, there, other = (tmp_path / f"{name}.pt" for name in ("here", "there", "other"))
    for file, value in ((here, 1.0), (there, 1.0), (other, 2.0)):
        torch.save({"weight": torch.tensor([value])}, file)
    settings = {file: {"pretrained": json.dumps(str(file))} for file in (here, there, other, tmp_path / "gone.pt")}
    state = {"model": checksum(load_weights(here)), "settings": settings[here]}
    assert moved_model(state, settings[there]) == settings[there]
    for now in (settings[other], settings[tmp_path / "gone.pt"], {"pretrained": "null"}, {"pretrained": '"scratch"'}):
        assert moved_model(state, now) == settings[here]
    # a checkpoint of an earlier version does not know its model's weights
    assert moved_model({**state, "model": None}, settings[there]) == settings[here]


def test_a_checkpoint_without_its_optimizer_is_refused(broken: Path, whole: Any) -> None:
    newest = checkpoints(broken)[0]
    before = newest.read_bytes()
    state = torch.load(newest, weights_only=True)
    del state["optimizer"]
    torch.save(state, newest)
    with pytest.raises(ModelFileError, match=r"holds no optimizer; expected a complete checkpoint, .*--pretrained FILE"):
        run(broken, resume=True)
    newest.write_bytes(before)
    check(run(broken, resume=True), whole)


def without_labels(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"image": case["image"], "case_id": case["case_id"]} for case in cases]


def of_the_older_draw(folder: Path) -> None:
    """Take away what tells by which law clean inputs were drawn, as older checkpoints do not have it."""
    for path in checkpoints(folder):
        state = torch.load(path, weights_only=True)
        assert state.pop("clean_share") == "of the labelled samples"
        torch.save(state, path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Warnings about another draw; `run` keeps the log itself silent."""
    said: list[str] = []
    monkeypatch.setattr(same_run.logger, "warning", lambda text, *words: said.append(text % words))
    return said


def test_partly_labelled_runs_go_on_bit_for_bit(tmp_path: Path, told: list[str]) -> None:
    cases = [*CASES[:3], *without_labels(CASES[3:])]
    whole = run(tmp_path / "whole", cases=cases)
    with pytest.raises(BrokenOff):
        run(tmp_path / "broken", cases=cases, at=(6, break_off))
    check(run(tmp_path / "broken", cases=cases, resume=True), whole)
    assert told == []


def test_an_older_checkpoint_goes_on_and_another_draw_is_told(
    tmp_path: Path, broken: Path, whole: Any, told: list[str]
) -> None:
    of_the_older_draw(broken)
    check(run(broken, resume=True), whole)
    assert told == [], "with labels everywhere nothing has changed"
    cases = [*CASES[:3], *without_labels(CASES[3:])]
    with pytest.raises(BrokenOff):
        run(tmp_path / "mixed", cases=cases, at=(6, break_off))
    of_the_older_draw(tmp_path / "mixed")
    assert run(tmp_path / "mixed", cases=cases, resume=True).updates == 12
    assert len(told) == 1 and str(tmp_path / "mixed") in told[0]
    assert "made when clean_fraction was a share of the whole batch; from here on it is one of the labelled samples" in told[0]


def test_a_run_that_ends_within_an_epoch_is_finished_and_may_be_made_longer(tmp_path: Path, whole: Any) -> None:
    short = run(tmp_path / "short", epochs=2, updates=6)
    assert short.updates == 6 and json.loads(short.history.splitlines()[-1])["updates"] == 6
    path, state = load_newest(tmp_path / "short", "cpu")
    assert (path.name, state["update"], state["total"]) == ("update_00000006.pt", 6, 6)
    again = run(tmp_path / "short", epochs=2, updates=6, resume=True)
    assert (again.updates, again.history) == (6, short.history) and same(again.weights, short.weights)
    assert run(tmp_path / "short", epochs=3, resume=True).updates == 12


def test_a_short_run_that_was_broken_off_or_told_to_stop_ends_with_the_same_weights(tmp_path: Path) -> None:
    undisturbed = run(tmp_path / "whole", epochs=2, updates=7)
    with pytest.raises(BrokenOff):
        run(tmp_path / "broken", epochs=2, updates=7, at=(6, break_off))
    check(run(tmp_path / "broken", epochs=2, updates=7, resume=True), undisturbed)
    stopped = run(tmp_path / "stopped", epochs=2, updates=7, at=(5, terminate()))
    assert stopped.checkpoint.stopped is not None and "after update 5 of 7" in str(stopped.checkpoint.stopped)
    check(run(tmp_path / "stopped", epochs=2, updates=7, resume=True), undisturbed)
    at_the_end = run(tmp_path / "end", epochs=2, updates=7, at=(7, terminate()))
    assert at_the_end.checkpoint.stopped is None
    check(at_the_end, undisturbed)


def test_another_model_at_the_same_path_is_refused(tmp_path: Path) -> None:
    """The teacher of a student, or the model that is adapted; a checkpoint from before it was kept goes on."""
    file = tmp_path / "teacher.pt"
    torch.save({"w": torch.zeros(3)}, file)
    run(tmp_path / "run", epochs=1, model=str(file))
    assert run(tmp_path / "run", epochs=2, resume=True, model=str(file)).updates == 2 * UPDATES
    torch.save({"w": torch.ones(3)}, file)
    said = r"was made with another model: the weights in .*teacher\.pt are others by now \(sha256 \w{12} -> \w{12}\)\. Put"
    with silent(), pytest.raises(ConfigError, match=said):
        run(tmp_path / "run", epochs=3, resume=True, model=str(file))
    newest = checkpoints(tmp_path / "run")[0]
    torch.save({name: part for name, part in torch.load(newest).items() if name not in ("model", "seconds", "length")}, newest)
    assert run(tmp_path / "run", epochs=3, resume=True, model=str(file)).updates == 3 * UPDATES


def test_the_time_of_a_run_is_that_of_all_its_parts(tmp_path: Path) -> None:
    run(tmp_path, epochs=1)
    newest, state = load_newest(tmp_path, "cpu")
    assert 0 < state["seconds"] < 60
    torch.save({**state, "seconds": 1000.0}, newest)
    seen: list[float] = []
    run(tmp_path, epochs=2, resume=True, at=(2 * UPDATES, lambda engine: seen.append(engine.state.earlier_seconds)))
    assert seen == [1000.0] and load_newest(tmp_path, "cpu")[1]["seconds"] > 1000


def test_a_run_of_updates_of_several_batches_goes_on_and_loses_no_gradient(tmp_path: Path) -> None:
    """Seven updates of three batches of two samples, the second epoch a short one."""
    undisturbed = run(tmp_path / "whole", epochs=2, updates=7, batches=3)
    assert undisturbed.updates == undisturbed.steps == 7 and undisturbed.samples == 7 * 3 * BATCH
    with pytest.raises(BrokenOff):
        run(tmp_path / "broken", epochs=2, updates=7, batches=3, at=(6, break_off))
    check(run(tmp_path / "broken", epochs=2, updates=7, batches=3, resume=True), undisturbed)
    assert run(tmp_path / "stopped", epochs=2, updates=7, batches=3, at=(5, terminate())).updates == 5
    check(run(tmp_path / "stopped", epochs=2, updates=7, batches=3, resume=True), undisturbed)


def test_monais_own_accumulation_is_refused(tmp_path: Path) -> None:
    with silent(), pytest.raises(ConfigError, match=r"accumulation_steps.*iteration_update.*AccumulatedUpdate"):
        run(tmp_path, epochs=1, monai_steps=2)


def test_handlers_that_only_watch_may_be_told_more_by_a_newer_version() -> None:
    from monai_hybrid.runs.same_run import lasting, refuse_other_settings

    def settings(watcher: dict[str, object], validating: list[dict[str, object]], clip: float = 1.0) -> dict[str, str]:
        handlers = [
            {"_target_": "monai_hybrid.engines.GradientClip", "max_norm": clip},
            {"_target_": "monai_hybrid.engines.Progress", **watcher},
        ]
        return lasting({"train": {"handlers": handlers}, "validate": {"handlers": validating}, "seed": 0})

    old = settings({}, [])
    new = settings({"interval": "@log_interval"}, [{"_target_": "monai_hybrid.engines.CaseProgress"}])
    refuse_other_settings(old, new, Path("c.pt"))
    refuse_other_settings(new, old, Path("c.pt"))
    with pytest.raises(ConfigError, match=r"train#handlers#0#max_norm: 1.0 -> 2.0"):
        refuse_other_settings(old, settings({}, [], clip=2.0), Path("c.pt"))
