"""A study end to end: paired, resumable, and blind to the target until the rates are chosen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_study import FLAT, flat, runner

from benchmarks.label_efficiency import records
from benchmarks.label_efficiency import runner as runner_module
from benchmarks.label_efficiency.__main__ import main
from benchmarks.label_efficiency.alone import main as alone_main
from benchmarks.label_efficiency.alone import right, table
from benchmarks.label_efficiency.configuration import configuration
from benchmarks.label_efficiency.data import CaseStore, pool_and_test, thinned
from benchmarks.label_efficiency.peers import PixelHead, PlainUNet, nnunet_installed, number_of_parameters
from benchmarks.label_efficiency.pictures import worst_cases
from benchmarks.label_efficiency.runner import Run, Runner, listed, source_labels
from benchmarks.label_efficiency.scoring import by_patient, dice
from benchmarks.label_efficiency.streams import Resumed
from benchmarks.label_efficiency.study import ARMS, Domain
from benchmarks.label_efficiency.training import make_stream
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.evaluation.scores import dice_per_class
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.weights import load_weights, read_card

NETWORK = {"spatial_dims": 2, "in_channels": 1, "num_classes": 3, "channels": (8, 16), "num_head_channels": 8}


@pytest.fixture
def started(tmp_path: Path, begun: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder with the prepared data alone; pictures, which cost as much as the runs, are not drawn."""
    monkeypatch.setattr(runner_module, "worst_cases", lambda *_: None)
    shutil.copytree(begun / "data", tmp_path / "data")
    return tmp_path


@pytest.fixture
def pretrained(started: Path, begun: Path) -> Path:
    """An output folder with the prepared data and the models of the tiny study."""
    shutil.copytree(begun / "pretrained", started / "pretrained")
    return started


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the tiny study before its first run: data and models."""
    folder = tmp_path_factory.mktemp("study")
    tiny = runner(folder, flat())
    for arm in tiny.study.arms.values():
        tiny.pretrained(arm, 0)
    return folder


@pytest.mark.long
def test_every_run_has_one_line_and_equal_terms(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = "hybrid_1"  # of the pictures
    monkeypatch.setattr(runner_module, "worst_cases", lambda path, *rest: path.stem == one and worst_cases(path, *rest))
    assert runner(pretrained, flat()).work() == 0
    lines = records.read(pretrained / "results.jsonl")
    assert sorted((r["arm"], r["shots"]) for r in lines) == sorted(
        [("supervised", 0), ("hybrid", 0)] + [(arm, n) for arm in FLAT["arms"] for n in (1, 3)]
    )
    for shots, updates in ((1, 2), (3, 3)):
        here = [r for r in lines if r["shots"] == shots]
        assert {r["updates"] for r in here} == {updates}
        assert len({tuple(r["patients"]) for r in here}) == 1  # the same patients in every arm
        assert all(len(r["patients"]) == shots for r in here)
    drawn = {r["shots"]: set(r["patients"]) for r in lines if r["shots"]}
    assert drawn[1] < drawn[3]  # nested
    tested = {tuple(r["dice"]) for r in lines}
    assert len(tested) == 1 and not set(next(iter(tested))) & drawn[3]
    zero = next(r for r in lines if r["arm"] == "hybrid" and r["shots"] == 0)
    assert zero["updates"] == 0 and zero["source_before"] == zero["source_after"] is not None
    assert next(r for r in lines if r["arm"] == "scratch")["source_before"] is None
    assert (pretrained / f"pictures/{one}.png").is_file()


def test_resume_skips_what_is_done_and_mends_a_broken_line(pretrained: Path) -> None:
    few = flat(arms=["supervised"], shots=[0, 1], learning_rates=[0.01])
    assert runner(pretrained, few).work() == 0
    results = pretrained / "results.jsonl"
    before = results.read_text()
    told: list[str] = []
    assert runner(pretrained, few, told).work() == 0
    assert results.read_text() == before and told == []
    results.write_text("".join(before.splitlines(keepends=True)[:-1]) + '{"study": "ti')
    assert runner(pretrained, few, told).work() == 0
    assert len(told) == 1 and len(records.read(results)) == len(before.splitlines())
    redone, was = records.read(results)[-1], json.loads(before.splitlines()[-1])
    assert redone["arm"] == was["arm"] and redone["dice"] == was["dice"]  # the same seeds, the same numbers


def test_other_settings_are_not_mixed_into_results(pretrained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner(pretrained, flat())
    (pretrained / "results.jsonl").touch()
    file = pretrained / "tiny.yaml"
    base = ["--study", str(file), "--output_dir", str(pretrained.parent)]
    changed = {**FLAT, "name": pretrained.name, "finetune": {"updates": 9, "batch_size": 2}}
    file.write_text(yaml.safe_dump(changed))
    assert main(base) == 2
    assert "results are there already; add --resume" in capsys.readouterr().err
    assert main([*base, "--resume"]) == 2
    assert "holds results of other settings (name, finetune)" in capsys.readouterr().err
    assert runner(pretrained, flat(draws=2)).study.draws == 2  # more draws are welcome


def test_a_run_that_another_process_has_is_left_to_it(pretrained: Path) -> None:
    study = flat(arms=["supervised"], shots=[0, 1], learning_rates=[0.01])
    mine = runner(pretrained, study)
    with records.claim(pretrained / "locks/run-supervised-0-0-0.lock") as held:
        assert held
        assert mine.work() == 1
    assert [r["shots"] for r in records.read(pretrained / "results.jsonl")] == [1]
    assert mine.work(max_minutes=1e-9) == 1  # no time: nothing is begun
    assert mine.work() == 0


def test_learning_rates_are_chosen_without_the_target(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = runner(pretrained, flat(arms={"hybrid": {}, "other": {"like": "hybrid", "finetune": {"trainable": "head"}}}))
    asked: list[CaseStore] = []
    get = CaseStore.__getitem__
    monkeypatch.setattr(CaseStore, "__getitem__", lambda self, case: (asked.append(self), get(self, case))[1])
    rate = mine.learning_rate(mine.study.arms["hybrid"])
    assert mine.data.target_store not in asked and mine.data.tuning_store in asked
    tried = records.read(pretrained / "tuning.jsonl")
    assert {r["learning_rate"] for r in tried} == {0.0001, 0.01}
    assert rate == max(tried, key=lambda r: (r["dice"], -r["learning_rate"]))["learning_rate"]
    assert mine.learning_rate(mine.study.arms["other"]) == rate  # that of the arm it is like, without runs of its own
    assert records.read_json(pretrained / "learning_rates.json") == {"hybrid": rate}
    assert mine.data.tuning_store.appearance == "gamma" and mine.data.target_store.appearance == "none"


def test_arms_see_the_same_batches(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[torch.Tensor]] = []

    class Spy(Resumed):
        def __init__(self, stream: Any) -> None:
            super().__init__(stream)
            seen.append([])
            self.batches = (seen[-1].append(b["image"]) or b for b in self.batches)

    monkeypatch.setattr("benchmarks.label_efficiency.training.Resumed", Spy)
    study = flat(arms=["scratch", "supervised"], shots=[3], learning_rates=[0.01])
    first = runner(started, study)
    first.work()
    fine = [batches for batches in seen if len(batches) == 3 and len(batches[0]) == 2][-2:]
    scratch, supervised = (seen[0], seen[2])  # scratch; pretraining of supervised; supervised
    assert len(scratch) == len(supervised) == 3 and fine
    assert all(torch.equal(a, b) for a, b in zip(scratch, supervised, strict=True))
    # Another process makes the same batches again.
    stream = Runner(study, started, started, tell=lambda _: None)
    run = Run("scratch", 0, 0, 3)
    stream.run(run)
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[3], strict=True))


def test_batches_hold_all_that_the_bundles_loader_gives(started: Path) -> None:
    told = runner(started, flat())
    d, pairs = told.data, [(told.data.source_store, case) for case in told.data.pretraining]
    for part, data in (("pretrain", d.source), ("finetune", d.target)):
        stream = make_stream(part, {"updates": 2, "batch_size": 2}, data, d.origin, pairs, 0)
        for loaded, given, again in zip(stream.make_loader(), stream, stream, strict=True):
            assert loaded.keys() == given.keys() == again.keys() and ("warp" in given) == (part == "pretrain")
            if "warp" in given:
                assert torch.equal(given["warp"], again["warp"]) and not torch.equal(
                    given["warp"], torch.eye(3).expand_as(given["warp"])
                )


def test_a_fine_tuning_is_as_long_as_the_study_says(started: Path) -> None:
    d = runner(started, flat()).data
    parser = configuration("finetune", {"max_epochs": 1, "updates_per_epoch": 600}, d.target, d.origin, "cpu")
    assert parser.get_parsed_content("lr_scheduler#t_total") == 600, "not what the bundle gives so few patients"


@pytest.mark.skipif(not nnunet_installed(), reason="dynamic-network-architectures is not installed")
def test_peers_and_ablations_run(started: Path) -> None:
    arms = {
        "nnunet_supervised": {}, "pixel_head": {"timesteps": [1, 20]},
        "reset": {"like": "hybrid", "finetune": {"label_map": {"background": None}}},
        "with_target": {"like": "hybrid", "pretrain": {"unlabelled_target": True, "source_labels": 0.5}, "timesteps": [0, 20]},
        "denoise": {"like": "hybrid", "finetune": {"unlabelled": True, "objective": "hybrid"}},
    }  # fmt: skip
    assert runner(started, flat(arms=arms, shots=[0, 1], learning_rates=[0.01])).work() == 0
    made = {p.name.rpartition("-seed")[0].rsplit("-", 1)[0] for p in (started / "pretrained").iterdir()}
    assert made == {"plain_unet-supervised", "hybrid_unet-diffusion", "hybrid_unet-hybrid"}
    assert len(list((started / "pretrained").iterdir())) == 4  # reset and denoise share the plain hybrid


def test_without_nnunet_its_arms_are_left_out_and_said(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.label_efficiency.runner.nnunet_installed", lambda: False)
    monkeypatch.setattr("benchmarks.label_efficiency.peers.nnunet_installed", lambda: False)
    told: list[str] = []
    assert list(runner(started, flat(arms=["hybrid", "nnunet_scratch"]), told).study.arms) == ["hybrid"]
    assert told == ["not run, because dynamic-network-architectures is not installed: nnunet_scratch"]
    with pytest.raises(EnvironmentFault, match="Type: pip install"):
        PlainUNet(NETWORK)


@pytest.mark.skipif(not nnunet_installed(), reason="dynamic-network-architectures is not installed")
def test_the_plain_network_is_about_as_large() -> None:
    own = number_of_parameters(HybridDiffusionUNet(**{**NETWORK, "channels": (16, 32, 64)}))
    network = PlainUNet({**NETWORK, "channels": (16, 32, 64)})
    assert 0.9 < number_of_parameters(network) / own < 1.1
    pair = network(torch.zeros(2, 1, 16, 16), return_noise=True)
    assert pair.shape == (2, 4, 16, 16) and not pair[:, :1].any()


def test_pixel_head_reads_the_network_and_leaves_it_alone() -> None:
    torch.manual_seed(0)
    body = HybridDiffusionUNet(**NETWORK)
    head = PixelHead(body, NoiseSchedule())
    head.train()
    assert not body.training and all(not p.requires_grad for p in body.parameters())
    x = torch.randn(2, 1, 16, 16)
    head(x).sum().backward()
    assert all(p.grad is not None for p in head.head.parameters())
    head.eval()
    assert torch.equal(head(x), head(x))  # the noise at test is fixed
    # The pass through the body is the body's own: its last features give its own output.
    t, noise = torch.tensor([1, 500]), torch.randn_like(x)
    from monai_hybrid.diffusion.noising import add_noise

    last = head.features(x, t, noise)[:, -8:]
    expected = body(add_noise(x, noise, t, head.schedule), timesteps=t, return_noise=True)
    assert torch.allclose(body.out(last), expected, atol=1e-5)


def test_dice_is_that_of_the_toolkit() -> None:
    torch.manual_seed(1)
    pred, label = torch.randint(0, 3, (4, 6, 6)), torch.randint(0, 3, (4, 6, 6))
    pred[0], label[0] = 0, 0  # rightly empty
    label[1] = 0  # invented
    pred[2] = 0  # missed
    found = dice(pred, label, 3)
    for i in range(4):
        assert found[i].tolist() == pytest.approx(dice_per_class(pred[i][None], label[i][None], 3))
    assert found[0].tolist() == [1, 1] and found[1].tolist() == [0, 0] == found[2].tolist()
    cases = [{"case_id": c, "patient": c[0]} for c in ("a1", "a2", "b1")]
    assert by_patient({"a1": [1.0, 0.5], "a2": [0.0, 0.5], "b1": [0.3, 0.3]}, cases) == {"a": 0.5, "b": 0.3}


def test_runs_are_ordered_so_that_a_part_is_fair() -> None:
    runs = listed(flat(draws=2, shots=[0, 1, 10]), patients=4)
    assert runs[:2] == [Run("supervised", 0, 0, 0), Run("hybrid", 0, 0, 0)]
    assert [r.arm for r in runs[2:5]] == ["scratch", "supervised", "hybrid"] and len(runs) == 8
    assert all(r.shots != 10 for r in runs) and len({r.draw for r in runs}) == 2


def test_test_patients_join_a_small_pool_and_leave_the_test() -> None:
    class Data:
        folder = Path("prepared")

        @staticmethod
        def labelled(split: str) -> list[dict[str, str]]:
            names = {"training": "ab", "validation": "c", "testing": "defghi"}[split]
            return [{"patient": p, "case_id": f"{p}{i}"} for p in names for i in range(2)]

    pool, test = pool_and_test(Data(), Domain(pool=("training",), pool_patients=4))  # type: ignore[arg-type]
    patients = [{case["patient"] for case in part} for part in (pool, test)]
    assert len(patients[0]) == 4 and {"a", "b"} < patients[0] and not patients[0] & patients[1]
    assert "c" not in patients[0] | patients[1] and len(pool) + len(test) == 16


def test_source_labels_keeps_images_and_drops_labels_by_patient() -> None:
    cases = [{"patient": f"p{i // 2}", "case_id": str(i), "label": "l"} for i in range(20)]
    kept = source_labels(cases, 0.2)
    assert len(kept) == 20 and len({c["patient"] for c in kept if "label" in c}) == 2
    assert sum("label" in c for c in kept) == 4 and source_labels(cases, 1.0) == cases


def test_builtin_arms_are_those_of_the_protocol() -> None:
    assert list(ARMS) == [
        "scratch", "supervised", "diffusion", "noisy_supervised", "two_pass", "hybrid",
        "pixel_head", "nnunet_scratch", "nnunet_supervised",
    ]  # fmt: skip


def test_thinning_keeps_a_few_cases_of_each_patient() -> None:
    cases = [{"patient": p, "case_id": f"{p}{i}"} for p, n in (("a", 9), ("b", 2)) for i in range(n)]
    assert [c["case_id"] for c in thinned(cases, 3)] == ["a0", "a4", "a8", "b0", "b1"] and thinned(cases, 0) == cases
    assert [c["case_id"] for c in thinned(cases, 1)] == ["a0", "b0"]


def test_an_arm_may_have_a_network_of_its_own(pretrained: Path) -> None:
    network = {"channels": [8], "stem": "space_to_depth"}
    arms = {"hybrid": {}, "cheaper": {"like": "hybrid", "network": network, "tune_as": "hybrid"}}
    study = flat(arms=arms, shots=[0, 1], learning_rates=[0.01])
    told = runner(pretrained, study)
    assert told.work() == 0
    assert told.data.with_network({}) is told.data
    plain, cheaper = (told.starting_network(study.arms[name], 0) for name in arms)
    assert isinstance(plain, HybridDiffusionUNet) and isinstance(cheaper, HybridDiffusionUNet)
    assert cheaper.stem == "space_to_depth" and plain.stem == "plain"


def test_arms_that_differ_at_test_alone_are_trained_once(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings: list[str] = []
    train = runner_module.train
    monkeypatch.setattr(runner_module, "train", lambda part, *a, **k: trainings.append(part) or train(part, *a, **k))
    arms = {"hybrid": {}, "averaged": {"like": "hybrid", "timesteps": [0, 40]}}
    assert runner(pretrained, flat(arms=arms, shots=[1], learning_rates=[0.01])).work() == 0
    assert trainings.count("finetune") == 1
    one, other = records.read(pretrained / "results.jsonl")
    assert one["dice"].keys() == other["dice"].keys()


def test_the_best_weights_are_those_of_the_best_source_validation(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainings: list[str] = []
    train = runner_module.train
    monkeypatch.setattr(runner_module, "train", lambda part, *a, **k: trainings.append(part) or train(part, *a, **k))
    values = iter([0.7, 0.5])
    monkeypatch.setattr(runner_module, "mean", lambda *_: next(values))
    arms = {"hybrid": {"pretrain": {"curve": 2, "updates": 4}}, "best": {"like": "hybrid", "pretrain": {"keep": "best"}}}
    study = flat(arms=arms, learning_rates=[0.01])
    told = runner(started, study)
    last, best = (told.pretrained(study.arms[name], 0) for name in arms)
    assert trainings == ["pretrain"] and last is not None and best is not None and best.parent.parent == last.parent
    assert records.read_json(last.parent / "info.json")["best"] == 0.7
    tensors = [load_weights(path) for path in (last, best)]
    assert any(not torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert read_card(best) == read_card(last)


def test_an_arm_may_bring_its_model(begun: Path, pretrained: Path) -> None:
    model = next((begun / "pretrained").glob("hybrid_unet-hybrid-*/model.safetensors"))
    arms = {"scratch": {}, "ready": {"like": "scratch", "model": str(model), "learning_rate": 0.0001}, "hybrid": {}}
    study = flat(arms=arms, shots=[1], learning_rates=[0.0001])
    assert runner(pretrained, study).work() == 0
    dice = {r["arm"]: r["dice"] for r in records.read(pretrained / "results.jsonl")}
    assert dice["ready"] == dice["hybrid"] != dice["scratch"]  # the same file, batches and noise


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("nowhere.safetensors", {}, "arm a: model: nowhere.safetensors: no such file, and no ready model"),
        ("", {"network": {**FLAT["network"], "channels": [8, 24]}}, "its network has channels .*8, 16.*, the study's .*8, 24"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    model: str, changes: dict[str, Any], message: str, begun: Path, started: Path
) -> None:
    given = model or str(next((begun / "pretrained").glob("hybrid_unet-hybrid-*/model.safetensors")))
    study = flat(arms={"a": {"like": "scratch", "model": given}}, shots=[1], **changes)
    with pytest.raises(ConfigError, match=message):
        runner(started, study).work()


def test_an_arm_may_replay_the_source_in_the_look_of_the_pool(pretrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"like": "supervised", "learning_rate": 0.1}
    arms = {
        "supervised": {"learning_rate": 0.1},
        "replay": {**more, "finetune": {"source_replay": True}},
        "matched": {**more, "finetune": {"source_replay": True, "replay_share": 0.9, "match_appearance": "histogram"}},
    }
    whole = runner(pretrained, flat(arms=arms, shots=[1]))
    seen: dict[str, set[str]] = {}
    made = runner_module.make_stream

    def watched(part: str, settings: dict[str, Any], *rest: Any) -> Any:
        stream = made(part, settings, *rest)
        if part == "finetune":
            seen[json.dumps(settings, sort_keys=True)] = {case["patient"] for _, case in rest[2]}
        return stream

    monkeypatch.setattr(runner_module, "make_stream", watched)
    assert whole.work() == 0
    dice = [r["dice"] for r in records.read(pretrained / "results.jsonl")]
    assert len(dice) == 3 and dice[0] != dice[1] != dice[2]
    source = {case["patient"] for case in whole.data.pretraining}
    assert [len(patients & source) for patients in seen.values()] == [0, len(source), len(source)]


def test_self_training_with_a_label_and_scans_alone(pretrained: Path) -> None:
    taught = {"like": "supervised", "finetune": {"unlabelled": True, "self_training": True}}
    alone = {"like": "supervised", "alone": True, "finetune": {"self_training": True}}
    study = flat(arms={"taught": taught, "alone": alone}, shots=[0, 1], learning_rates=[0.01])
    mine = runner(pretrained, study)
    assert mine.work() == 0
    lines = {(r["arm"], r["shots"]): r for r in records.read(pretrained / "results.jsonl")}
    assert lines["taught", 0]["updates"] == 0 and lines["alone", 0]["updates"] == lines["taught", 1]["updates"] == 2
    stop = lines["alone", 0]["stop"]
    assert stop["kept"] in ("original", "adapted") and stop["dice"][stop["kept"]] == lines["alone", 0]["mean"]
    assert lines["alone", 0]["source_before"] == lines["taught", 0]["source_after"]
    assert set(stop["patients"]["original"]) == set(stop["patients"]["adapted"])
    assert "| alone | 0 |" in table(pretrained) and "| alone | 1 |" in table(pretrained)


def test_the_table_without_labels_counts_when_the_stop_was_right(tmp_path: Path) -> None:
    """By hand: three runs of two patients; in one of them both models are as good."""

    def line(seed: int, kept: str, original: list[float], adapted: list[float]) -> dict[str, Any]:
        patients = {"original": dict(zip("ab", original, strict=True)), "adapted": dict(zip("ab", adapted, strict=True))}
        dice = {name: sum(values.values()) / 2 for name, values in patients.items()}
        return {"arm": "alone", "seed": seed, "stop": {"kept": kept, "dice": dice, "patients": patients}}

    rows = [line(0, "adapted", [0.5, 0.7], [0.6, 0.8]), line(1, "original", [0.5, 0.7], [0.7, 0.7]),
            line(2, "adapted", [0.5, 0.7], [0.5, 0.7])]  # fmt: skip
    assert [right(row["stop"]) for row in rows] == [True, False, None]
    for row in rows:
        records.append(tmp_path / "results.jsonl", row)
    last = table(tmp_path).splitlines()[-1]
    assert last.startswith("| alone | 3 | 0.600 | 0.667 | +0.067 [") and "| 0.633 | +0.033 [" in last
    assert last.endswith("| 2 of 3 | 1 of 2 |")
    assert alone_main([str(tmp_path), "--json", str(tmp_path / "runs.json")]) == 0
    kept = records.read_json(tmp_path / "runs.json")[tmp_path.name]
    assert kept[1] == {"arm": "alone", "seed": 1, "kept": "original", "original": 0.6, "adapted": 0.7}
