"""The runs of a study: pretrain once for each arm and seed, choose learning rates on the source, fine-tune, score."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.label_efficiency import records
from benchmarks.label_efficiency.alone import adapt_alone
from benchmarks.label_efficiency.configuration import configuration
from benchmarks.label_efficiency.data import Case, CaseStore, StudyData, open_data
from benchmarks.label_efficiency.peers import nnunet_installed
from benchmarks.label_efficiency.pictures import worst_cases
from benchmarks.label_efficiency.scoring import Scores, mean, score
from benchmarks.label_efficiency.starts import given_model, start_from
from benchmarks.label_efficiency.streams import Stream, StreamStore
from benchmarks.label_efficiency.study import Arm, Study, described, described_arm
from benchmarks.label_efficiency.training import Trained, make_stream, shaping, train
from data_prep.atomic import replace_file
from monai_hybrid.errors import ConfigError
from monai_hybrid.few_shot.shots import draw_shots, without_labels
from monai_hybrid.networks import as_domain
from monai_hybrid.transforms.appearance import REPLAYED
from monai_hybrid.transforms.domains import DOMAIN, SOURCE, TARGET
from monai_hybrid.weights import read_card, save_weights, torch_save, with_pretrained

BEST = "best"  # folder beside the last weights of a pretraining
FLAT = 0.005  # gain of the source validation over the last part of a pretraining below which it counts as converged


@dataclass(frozen=True)
class Run:
    """One line of `results.jsonl`."""

    arm: str
    seed: int
    draw: int
    shots: int


def listed(study: Study, patients: int) -> list[Run]:
    """All runs: seed by seed and draw by draw, every arm of a number of shots together, so that a part is a fair comparison.

    Without labels there is nothing to draw: shots 0 is one run an arm and seed, draw 0. More shots than patients are left out.
    """
    runs = []
    for seed in range(study.seeds):
        for draw in range(study.draws):
            for shots in study.shots:
                if shots > patients or (shots == 0 and draw > 0):
                    continue
                runs += [Run(name, seed, draw, shots) for name, arm in study.arms.items() if shots or arm.zero_shot]
    return runs


class Runner:
    """A study on one device, in one process; several may share `folder`.

    Args:
        study: what to run.
        data_root: folder of the raw data.
        folder: for everything written: `results.jsonl`, `tuning.jsonl`, `learning_rates.json`, `pretrained/`, `pictures/`.
        device: "cpu" or "cuda".
        tell: takes one line on what was done.
        tuned: arms outside this part of the study whose learning rate others take.

    Raises:
        ConfigError: `folder` holds results of another study of this name.
        DataError: see `open_data`.
    """

    def __init__(
        self,
        study: Study,
        data_root: Path,
        folder: Path,
        device: str = "cpu",
        tell: Callable[[str], None] = print,
        tuned: Mapping[str, Arm] | None = None,
    ) -> None:
        self.tuned = tuned or {}
        self.study, self.folder, self.device, self.tell = study, folder, device, tell
        if not nnunet_installed():
            absent = [name for name, arm in study.arms.items() if arm.kind == "plain_unet"]
            if absent:
                tell(f"not run, because dynamic-network-architectures is not installed: {', '.join(absent)}")
            self.study = replace(study, arms={k: a for k, a in study.arms.items() if k not in absent})
        self.check_same_study()
        self.data: StudyData = open_data(study, data_root, folder / "data", device)
        records.write_json(folder / "patients.json", {case["case_id"]: case["patient"] for case in self.data.test})
        self.streams = StreamStore()
        parser = configuration("finetune", {}, self.data.target, self.data.origin, device)
        parser["validate#inferer#sw_batch_size"] = 16
        self.amp = bool(study.finetune.get("amp"))
        self.inferer = parser.get_parsed_content("validate#inferer")
        self.schedule = parser.get_parsed_content("schedule")
        self.before: dict[str, float | None] = {}
        self.latest: tuple[str, Trained] | None = None

    def check_same_study(self) -> None:
        """Refuse to mix results of other data or budgets; arms, shots, draws and seeds may be added."""
        path, now = self.folder / "study.json", described(self.study)
        free = ("arms", "shots", "draws", "seeds", "title")
        earlier = records.read_json(path)
        if earlier:
            changed = [k for k in now if k not in free and now[k] != earlier.get(k)]
            default = described_arm(Arm(""))  # an arm written before a field was added had its default
            written = {k: {**default, **arm} for k, arm in earlier["arms"].items()}
            changed += [f"arms: {k}" for k, arm in now["arms"].items() if written.get(k, arm) != arm]
            if changed:
                raise ConfigError(
                    f"{self.folder}: holds results of other settings ({', '.join(changed)}); give another --output_dir"
                )
            now["arms"] = {**earlier["arms"], **now["arms"]}
        records.write_json(path, now)

    # Pretraining

    def pretrained(self, arm: Arm, seed: int) -> Path | None:
        """The model file of an arm, made now if it is not there; None from scratch. Arms with equal pretraining share it."""
        if arm.model:
            return given_model(arm, self.data.with_network(arm.network).origin.network)
        if arm.pretrain is None:
            return None
        kind = "hybrid_unet" if arm.kind == "pixel_head" else arm.kind
        settings = self.study.pretrain_settings(arm)
        keep = settings.pop("keep", "last")  # no part of the training: arms that differ in it share one
        identity = [kind, settings, *([dict(arm.network)] if arm.network else [])]
        key = f"{kind}-{settings.get('objective', 'hybrid')}-{records.digest(identity)}-seed{seed}"
        folder = self.folder / "pretrained" / key
        model = (folder / BEST if keep == "best" else folder) / ("model.pt" if kind == "plain_unet" else "model.safetensors")
        with records.claim(self.folder / "locks" / f"{key}.lock", wait=True):
            if not (folder / "info.json").is_file() or not model.is_file():
                self.pretrain(kind, settings, seed, folder, self.data.with_network(arm.network))
        return model

    def pretrain(self, kind: str, settings: dict[str, Any], seed: int, folder: Path, d: StudyData) -> None:
        """Pretrain, with the source validation on the way; the best of it is kept beside the last; `info.json` comes last."""
        shapes = bool(settings.get("shapes"))
        d = d.of_shapes(self.folder / "data") if shapes else d
        curve: list[tuple[int, float | None]] = []
        best: dict[str, torch.Tensor] = {}
        stream = self.pretraining_stream(settings, seed, d)
        reads_masks = settings.get("objective", "hybrid") != "diffusion" and not shapes

        def on_curve(network: torch.nn.Module, update: int) -> None:
            scores = self.score(network, d.source_store, d.validation) if reads_masks else None
            value = None if scores is None else mean(scores, d.validation)
            if value is None or all(earlier is None or value > earlier for _, earlier in curve):
                best.update({name: tensor.detach().clone() for name, tensor in network.state_dict().items()})
            curve.append((update, value))

        trained = train("pretrain", settings, d.source, d.origin, stream, seed, self.device, kind,
                        save_to=folder, curve=int(settings.get("curve", 4)), on_curve=on_curve)  # fmt: skip
        save_best(best, folder, kind)
        records.write_json(folder / "info.json", {"settings": settings, **pretraining_record(trained, curve)})
        last = "no mask head" if curve[-1][1] is None else f"source validation {curve[-1][1]:.3f}"
        rate = trained.cpu_seconds / max(1, trained.updates)
        self.tell(
            f"pretrained {folder.name}: {trained.updates} updates, {trained.seconds:.0f} s ({rate:.3f} CPU s each), {last}"
        )

    def pretraining_stream(self, settings: Mapping[str, Any], seed: int, d: StudyData) -> Stream:
        """The batches of a pretraining, which arms share that draw the same ones."""
        pairs = [(d.source_store, case) for case in source_labels(d.pretraining, settings.get("source_labels", 1.0))]
        if settings.get("unlabelled_target"):
            pairs += [(d.target_store, {**case, DOMAIN: TARGET}) for case in without_labels(d.pool)]
        # With images without labels the objective decides how often they are drawn; otherwise all arms share their batches.
        objective = "" if all("label" in case for _, case in pairs) else settings.get("objective", "hybrid")
        mixed = (str(settings.get(k)) for k in ("source_labels", "unlabelled_target"))
        key = ("pretrain", seed, shaping(settings), objective, *mixed)
        plain = {k: v for k, v in settings.items() if k not in ("curve", "source_labels", "unlabelled_target")}
        return self.streams.get(key, lambda: make_stream("pretrain", plain, d.source, d.origin, pairs, seed))

    # Learning rates

    def learning_rate(self, arm: Arm) -> float:
        """Of fine-tuning: fixed, that of another arm, or the best of the grid on held-out source patients."""
        if arm.tune_as:
            return self.learning_rate({**self.tuned, **self.study.arms}[arm.tune_as])
        if arm.learning_rate is not None or len(self.study.learning_rates) == 1:
            return arm.learning_rate if arm.learning_rate is not None else float(self.study.learning_rates[0])
        with records.claim(self.folder / "locks" / f"tune-{arm.name}.lock", wait=True):
            return self.tune(arm)

    def tune(self, arm: Arm) -> float:
        """Score each rate of the grid over the draws of the tuning; every score is a line of `tuning.jsonl`."""
        path, tuning = self.folder / "tuning.jsonl", self.study.tuning
        done = {(r["learning_rate"], r["draw"]): r["dice"] for r in records.read(path) if r["arm"] == arm.name}
        for draw in range(int(tuning["draws"])):
            for rate in map(float, self.study.learning_rates):
                if (rate, draw) not in done:
                    done[rate, draw] = self.tuning_score(arm, rate, draw)
                    line = {"arm": arm.name, "learning_rate": rate, "draw": draw, "dice": done[rate, draw]}
                    records.append(path, line)
        means = {rate: sum(v for (r, _), v in done.items() if r == rate) for rate, _ in done}
        best = max(sorted(means), key=lambda rate: means[rate])
        with records.claim(self.folder / "locks/learning_rates.lock", wait=True):
            chosen = records.read_json(self.folder / "learning_rates.json")
            if chosen.get(arm.name) != best:
                records.write_json(self.folder / "learning_rates.json", {**chosen, arm.name: best})
                self.tell(f"learning rate of {arm.name}: {best:g} (source validation {means[best] / int(tuning['draws']):.3f})")
        return best

    def tuning_score(self, arm: Arm, rate: float, draw: int) -> float:
        """Fine-tune on some source validation patients, score the others. The target is not read."""
        d, shots = self.data, int(self.study.tuning["shots"])
        drawn = draw_shots(d.validation, shots, draw, str(self.folder / "draws" / f"tuning_{draw}_{shots}"))
        held = {case["patient"] for case in drawn}
        others = [case for case in d.validation if case["patient"] not in held]
        if not others:
            raise ConfigError(f"tuning: shots: {shots} of {len(held)} source validation patients leaves none to score")
        trained, network = self.finetune(arm, 0, draw, shots, rate, drawn, d.validation, d.tuning_store)
        del trained
        value = mean(self.score(network, d.tuning_store, others, arm), others)
        assert value is not None
        return round(value, 5)

    # Fine-tuning

    def finetune(
        self, arm: Arm, seed: int, draw: int, shots: int, rate: float, drawn: list[Case], pool: list[Case], store: CaseStore
    ) -> tuple[Trained, torch.nn.Module]:
        """One fine-tuning on `drawn`; the rest of `pool` joins as images where the arm says `unlabelled`.

        With `source_replay` the source's training cases go on to be seen, with `match_appearance` in the look of the pool.

        The latest network is kept: an arm that differs at test alone (`timesteps`) takes that of the arm before it.
        """
        d = self.data.with_network(arm.network)
        settings = self.study.finetune_settings(arm, shots)
        path = self.pretrained(arm, seed)
        features = tuple(arm.timesteps) if arm.kind == "pixel_head" else ()
        same = records.digest([arm.kind, settings, str(path), rate, seed, draw, shots, store is d.tuning_store, features,
                               dict(arm.network)])  # fmt: skip
        if self.latest and self.latest[0] == same:
            return self.latest[1], self.latest[1].network
        origin = start_from(path, d.origin if store is d.tuning_store else d.start)
        names = {case["case_id"] for case in drawn}
        rest = without_labels([case for case in pool if case["case_id"] not in names]) if settings.get("unlabelled") else []
        pairs = [(store, case) for case in [*drawn, *rest]]
        if settings.get("source_replay"):
            pairs += [(d.source_store, {**case, REPLAYED: True}) for case in d.pretraining]
        looks = [(store, case) for case in without_labels(pool)]
        data = d.source if store is d.tuning_store else d.target
        domains = origin.network.get("num_domains", 0)
        key = ("finetune", store is d.tuning_store, seed, draw, shots, shaping(settings), domains)
        mixed_seed = 10_000 + 100 * seed + draw
        stream = self.streams.get(key, lambda: make_stream("finetune", settings, data, origin, pairs, mixed_seed, looks))
        trained = train("finetune", settings, data, origin, stream, mixed_seed, self.device, arm.kind, rate,
                        feature_steps=tuple(arm.timesteps))  # fmt: skip
        self.latest = (same, trained)
        return trained, trained.network

    def score(
        self,
        network: torch.nn.Module,
        store: CaseStore,
        cases: Sequence[Case],
        arm: Arm | None = None,
        predictions: dict[str, torch.Tensor] | None = None,
    ) -> Scores:
        """Dice of cases, case_id -> classes."""
        steps = (0,) if arm is None or arm.kind == "pixel_head" else tuple(arm.timesteps)
        network = as_domain(network, SOURCE) if store is self.data.source_store else network
        items, device = store.of(cases), torch.device(self.device)
        classes = (self.data.target if store is self.data.target_store else self.data.source).num_classes
        return score(network, items, self.inferer, classes, device, self.schedule, steps, predictions, self.amp)

    def run(self, run: Run) -> records.Record:
        """One line of the results."""
        d, arm = self.data, self.study.arms[run.arm]
        started, before_cpu = time.monotonic(), time.process_time()
        predictions: dict[str, torch.Tensor] = {}
        record: records.Record = {"study": self.study.name, **vars(run), "learning_rate": None, "updates": 0}
        if run.shots == 0 and arm.alone:
            adapted, stop = adapt_alone(self, arm, run.seed)
            network, spent = adapted.network, {"seconds": adapted.seconds, "cpu_seconds": adapted.cpu_seconds}
            record |= {"updates": adapted.updates, "stop": stop}
        elif run.shots == 0:
            network, spent = self.starting_network(arm, run.seed), {"seconds": 0.0, "cpu_seconds": 0.0}
        else:
            rate = self.learning_rate(arm)
            folder = str(self.folder / "draws" / f"{run.draw}_{run.shots}")
            drawn = draw_shots(d.pool, run.shots, run.draw, folder)
            started, before_cpu = time.monotonic(), time.process_time()  # without pretraining and the choice of the rate
            trained, network = self.finetune(arm, run.seed, run.draw, run.shots, rate, drawn, d.pool, d.target_store)
            spent = {"seconds": trained.seconds, "cpu_seconds": trained.cpu_seconds}
            patients = sorted({case["patient"] for case in drawn})
            record |= {"learning_rate": rate, "updates": trained.updates, "patients": patients}
        scores = self.score(network, d.target_store, d.test, arm, predictions)
        comparable = d.source_test and d.same_labels
        after = mean(self.score(network, d.source_store, d.source_test, arm), d.source_test) if comparable else None
        if run.draw == 0 and run.seed == 0:
            worst_cases(self.folder / "pictures" / f"{run.arm}_{run.shots}.png", d.target_store, d.test, scores, predictions)
        before = after if run.shots == 0 and not arm.alone else self.source_before(arm, run.seed)
        return {**record, "dice": scores, "mean": mean(scores, d.test), "source_before": before, "source_after": after,
                **spent, "seconds_in_all": round(time.monotonic() - started, 2),
                "cpu_seconds_in_all": round(time.process_time() - before_cpu, 2)}  # fmt: skip

    def starting_network(self, arm: Arm, seed: int) -> torch.nn.Module:
        """The pretrained network itself."""
        from benchmarks.label_efficiency.peers import PlainUNet

        path = self.pretrained(arm, seed)
        d = self.data.with_network(arm.network)
        if arm.kind == "plain_unet":
            network: torch.nn.Module = PlainUNet(d.origin.network)
        else:
            told = {"domain_label": bool(start_from(path, d.origin).network.get("num_domains", 0))}
            network = configuration("pretrain", told, d.source, d.origin, self.device).get_parsed_content("network_def")
        return with_pretrained(network, path).to(self.device)

    def source_before(self, arm: Arm, seed: int) -> float | None:
        """Mean Dice of the source test cases before fine-tuning; None where there is no mask head yet."""
        if not arm.zero_shot or not self.data.source_test:
            return None
        key = f"{self.pretrained(arm, seed)} {arm.timesteps}"
        if key not in self.before:
            network = self.starting_network(arm, seed)
            self.before[key] = mean(
                self.score(network, self.data.source_store, self.data.source_test, arm), self.data.source_test
            )
        return self.before[key]

    def work(self, max_minutes: float | None = None) -> int:
        """Do what is not done yet; returns the number of runs that are left (taken by others, or out of time)."""
        end = time.monotonic() + 60 * max_minutes if max_minutes else float("inf")
        runs = listed(self.study, len({case["patient"] for case in self.data.pool}))
        results = self.folder / "results.jsonl"
        spent: list[float] = []
        for run in runs:
            if run in self.done(results):
                continue
            if time.monotonic() >= end:
                break
            name = f"run-{run.arm}-{run.seed}-{run.draw}-{run.shots}.lock"
            with records.claim(self.folder / "locks" / name) as mine:
                if not mine or run in self.done(results):
                    continue
                record = self.run(run)
                records.append(results, record)
            spent.append(record["seconds_in_all"])
            left = sum(r not in self.done(results) for r in runs)
            hours = left * sum(spent) / len(spent) / 3600
            self.tell(
                f"{run.arm}, seed {run.seed}, draw {run.draw}, {run.shots} labels: Dice {record['mean']:.3f} "
                f"({record['seconds_in_all']:.0f} s; {left} left, about {hours:.1f} h of one process)"
            )
        done = self.done(results)
        return sum(run not in done for run in runs)

    @staticmethod
    def done(results: Path) -> set[Run]:
        """Runs that have their line."""
        return {Run(r["arm"], r["seed"], r["draw"], r["shots"]) for r in records.read(results)}


def save_best(tensors: Mapping[str, torch.Tensor], folder: Path, kind: str) -> None:
    """The weights of the best source validation, with the card of the last ones (nnU-Net's network has none)."""
    if kind == "plain_unet":
        (folder / BEST).mkdir(parents=True, exist_ok=True)
        replace_file(folder / BEST / "model.pt", lambda path: torch_save(tensors, path))
    else:
        save_weights(tensors, folder / BEST, read_card(folder / "model.safetensors") or {})


def pretraining_record(trained: Trained, curve: Sequence[tuple[int, float | None]]) -> dict[str, Any]:
    """What `info.json` says of a pretraining; `curve` is (update, mean Dice of the source validation)."""
    known = [value for _, value in curve if value is not None]
    gain = known[-1] - known[-2] if len(known) > 1 else None
    return {"updates": trained.updates, "seconds": trained.seconds, "cpu_seconds": trained.cpu_seconds,
            "source_validation": curve, "best": max(known, default=None),
            "converged": None if gain is None else gain < FLAT}  # fmt: skip


def source_labels(cases: list[Case], share: float) -> list[Case]:
    """Keep the labels of a share of the patients (at least one), drawn with seed 0; of the others the images."""
    patients = sorted({case["patient"] for case in cases})
    random.Random(0).shuffle(patients)
    kept = set(patients[: max(1, round(share * len(patients)))])
    return [case if case["patient"] in kept else without_labels([case])[0] for case in cases]
