"""The cases of a study: described once, loaded and resampled once, kept in memory for every run."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from monai.data import Dataset
from monai.transforms import Compose

from benchmarks.label_efficiency.appearance import remap
from benchmarks.label_efficiency.configuration import deterministic_transforms
from benchmarks.label_efficiency.study import Domain, Study
from data_prep.build import build
from data_prep.json_io import dump_json
from data_prep.phantom import generate
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.engines.replay import Draw, seed_everything
from monai_hybrid.errors import DataError
from monai_hybrid.few_shot.starting_point import StartingPoint
from monai_hybrid.transforms.appearance import REPLAYED
from monai_hybrid.transforms.domains import DOMAIN

Case = dict[str, Any]
Item = dict[str, Any]


def prepare(domain: Domain, data_root: Path, folder: Path, budget: str) -> PreparedData:
    """Describe a domain with data_prep, once, into `folder`.

    Raises:
        DataError: the raw folder is not there, or fails the checks.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        if (folder / "plan.json").is_file():
            return read_prepared(folder)
        options = {"budget": budget, **domain.build}
        if domain.raw:
            raw = data_root / domain.raw
            if not raw.is_dir():
                raise DataError(f"{raw}: no such folder; give the folder that holds {domain.raw} with --data_root")
            if "splits" in options:
                options["splits"] = _splits(options["splits"], raw, folder.with_name(f"{folder.name}_splits.json"))
        else:
            raw = folder.parent / f"phantom_{domain.site}"
            generate(raw, cases=domain.cases, site=domain.site, seed=domain.seed, dims=domain.dims)
        build(raw, folder, **options)
    return read_prepared(folder)


def _splits(said: str | Mapping[str, Sequence[str]], raw: Path, written: Path) -> Path:
    """The file of the splits: one of the raw folder, or one made of patterns of image names; images that fit none are left out.

    Raises:
        DataError: a pattern that no image fits.
    """
    if not isinstance(said, Mapping):
        return raw / said
    lists = {}
    for split, patterns in said.items():
        found = {pattern: sorted(file.name for file in (raw / "images").glob(pattern)) for pattern in patterns}
        for pattern, names in found.items():
            if not names:
                raise DataError(f"{raw}/images: no image is called {pattern}, which the study's {split} expects")
        lists[split] = [name for names in found.values() for name in names]
    dump_json(lists, written)
    return written


def pool_and_test(data: PreparedData, domain: Domain) -> tuple[list[Case], list[Case]]:
    """Labelled cases that may be drawn, and those that are scored; no patient is in both.

    Raises:
        DataError: one of the two is empty.
    """
    pool = [case for split in domain.pool for case in data.labelled(split)]
    test = data.labelled("testing")
    patients = sorted({case["patient"] for case in test})
    random.Random(0).shuffle(patients)
    missing = max(0, domain.pool_patients - len({case["patient"] for case in pool}))
    moved = set(patients[:missing])
    pool += [case for case in test if case["patient"] in moved]
    test = [case for case in test if case["patient"] not in moved]
    if not pool or not test:
        raise DataError(f"{data.folder}: {len(pool)} cases to draw from and {len(test)} to score; expected some of both")
    return pool, test


class CaseStore:
    """Cases after the bundles' deterministic transforms (load, orient, resample, normalise, pad), each made once."""

    def __init__(self, transforms: Sequence[Any], appearance: str = "none") -> None:
        self.transform, self.appearance = Compose(list(transforms)), appearance
        self.items: dict[tuple[str, bool], Item] = {}

    def __getitem__(self, case: Case) -> Item:
        key = (case["case_id"], "label" in case)
        if key not in self.items:
            item = self.transform(case)
            item["image"] = remap(item["image"], self.appearance)
            self.items[key] = item
        return self.items[key]

    def of(self, cases: Sequence[Case]) -> list[Item]:
        """The items of several cases."""
        return [self[case] for case in cases]


class StoredCases(Dataset):
    """Stands in for the bundles' ReplayableDataset: the same items, draws and random transforms, without loading.

    `data` are the cases, as the bundles' sampler expects them.
    """

    def __init__(self, pairs: Sequence[tuple[CaseStore, Case]], transforms: Sequence[Any], seed: int) -> None:
        super().__init__([case for _, case in pairs])
        self.stores = [store for store, _ in pairs]
        self.augment = Compose(list(transforms))
        self.augment.set_random_state(seed=seed)

    def __getitem__(self, index: Any) -> Any:
        """The transformed case of an index or of a `Draw`, whose seed is that of everything random."""
        if not isinstance(index, Draw):
            return super().__getitem__(index)
        self.augment.set_random_state(seed=index.seed)
        seed_everything(index.seed)
        return super().__getitem__(index.case)

    def _transform(self, index: int) -> Any:
        item = self.stores[index][self.data[index]]
        copied = {k: v.clone() if hasattr(v, "clone") else v for k, v in item.items()}  # some transforms write in place
        copied[REPLAYED] = self.data[index].get(REPLAYED, False)
        copied.pop(DOMAIN, None)  # of the case that the item was made of, which arms share
        copied |= {DOMAIN: self.data[index][DOMAIN]} if DOMAIN in self.data[index] else {}
        sample = self.augment(copied)
        return sample[0] if isinstance(sample, list) else sample  # as the cached data set's collation would flatten it


@dataclass(frozen=True)
class StudyData:
    """Everything the runs read.

    Attributes:
        source, target: as described by data_prep.
        origin: network arguments and plan of every run, without weights; its network has the source's classes.
        pretraining, validation, source_test: labelled cases of the source.
        pool, test: labelled cases of the target, disjoint patients.
        source_store, target_store, tuning_store: their arrays; the last holds source validation cases of changed contrast.
    """

    source: PreparedData
    target: PreparedData
    origin: StartingPoint
    pretraining: list[Case]
    validation: list[Case]
    source_test: list[Case]
    pool: list[Case]
    test: list[Case]
    source_store: CaseStore
    target_store: CaseStore
    tuning_store: CaseStore

    @property
    def same_labels(self) -> bool:
        """The target names the structures of the source: then a source model segments the target as it is."""
        return self.source.class_names == self.target.class_names

    @property
    def start(self) -> StartingPoint:
        """`origin` with the target's classes: what fine-tuning begins with."""
        return replace(self.origin, network={**self.origin.network, "num_classes": self.target.num_classes})

    def with_network(self, changes: Mapping[str, Any]) -> StudyData:
        """The same data for another network; the arrays are shared."""
        if not changes:
            return self
        network = {**self.origin.plan["network"], **changes}
        if "channels" in changes:  # one entry a level: as many as the new network has
            levels = len(network["channels"])
            for name in ("num_res_blocks", "attention_levels"):
                network[name] = changes.get(name, list(network[name])[-levels:])
        plan = {**self.origin.plan, "network": network}
        arguments = {**self.origin.network, **network}
        return replace(self, source=replace(self.source, plan=plan), origin=StartingPoint(None, arguments, plan))

    def of_shapes(self, folder: Path) -> StudyData:
        """Random shapes as the source: one stored case, whose place each drawing takes, and a network of their classes.

        Raises:
            DataError: the study's images have several channels; a drawing has one.
        """
        dims, plan = self.origin.plan["spatial_dims"], self.origin.plan
        if self.origin.network["in_channels"] != 1:
            raise DataError(f"shapes: a drawing has one channel, the study's images have {self.origin.network['in_channels']}")
        shapes = prepare(Domain(site="shapes", cases=8, dims=dims), folder, folder / "shapes", "cpu")
        spacing = shapes.plan["spacing"]
        shapes = replace(shapes, plan={**plan, "spacing": spacing})
        network = {**self.origin.network, "num_classes": shapes.num_classes}
        origin = StartingPoint(None, network, shapes.plan)
        cases = shapes.labelled("training", required=True)[:1]
        store = CaseStore(deterministic_transforms(shapes, origin))
        return replace(self, source=shapes, origin=origin, pretraining=cases, validation=cases, source_store=store)


def open_data(study: Study, data_root: Path, folder: Path, device: str) -> StudyData:
    """Prepare both domains of a study; arrays are loaded when they are first needed.

    Raises:
        DataError: data missing or refused; or the two domains do not name the same structures, and the study asks for what
            needs that: runs without labels, replayed source images, or a choice among learning rates.
    """
    budget = "cpu" if device == "cpu" else "gpu"
    source, target = (
        prepare(domain, data_root, folder / role, budget)
        for role, domain in (("source", study.source), ("target", study.target))
    )
    if source.class_names != target.class_names:
        _check_other_labels(study, source, target)
    _check_tuning(study, source)
    network = {**source.plan["network"], **study.network}
    plan = {**source.plan, "patch_size": list(study.patch_size), "spacing": list(study.spacing), "network": network}
    channels = len(source.dataset["channels"])
    arguments = {**network, "spatial_dims": plan["spatial_dims"], "in_channels": channels, "num_classes": source.num_classes}
    source = replace(source, plan=plan)
    origin = StartingPoint(None, arguments, plan)
    pool, test = pool_and_test(target, study.target)
    test = thinned(test, study.test_slices)
    held = {case["image"] for case in pool}
    source_test = [case for case in source.labelled("testing") if case["image"] not in held]
    kept = random.Random(0).sample(source_test, min(study.source_test_cases, len(source_test)))
    of_source, of_target = (deterministic_transforms(data, origin) for data in (source, target))
    return StudyData(
        source, target, origin,
        source.labelled("training", required=True), source.labelled("validation", required=True), kept, pool, test,
        CaseStore(of_source), CaseStore(of_target, study.target.appearance),
        CaseStore(of_source, study.tuning["appearance"]),
    )  # fmt: skip


def thinned(cases: list[Case], number: int) -> list[Case]:
    """At most `number` cases of each patient (0: all), evenly spaced, first and last among them."""
    by_patient: dict[str, list[Case]] = {}
    for case in cases:
        by_patient.setdefault(case["patient"], []).append(case)
    kept = []
    for own in by_patient.values():
        few = len(own) if number == 0 else min(number, len(own))
        kept += [own[round(i * (len(own) - 1) / max(1, few - 1))] for i in range(few)]
    return kept


def _check_other_labels(study: Study, source: PreparedData, target: PreparedData) -> None:
    asked = [f"arm {name}: source_replay" for name, arm in study.arms.items() if arm.finetune.get("source_replay")]
    asked += ["shots: 0"] * (0 in study.shots) + ["learning_rates: more than one"] * (len(study.learning_rates) > 1)
    if asked:
        raise DataError(
            f"source has the labels {source.class_names}, target {target.class_names}; expected the same for {', '.join(asked)}"
        )


def _check_tuning(study: Study, source: PreparedData) -> None:
    patients = len({case["patient"] for case in source.labelled("validation", required=True)})
    shots = int(study.tuning["shots"])
    if len(study.learning_rates) > 1 and shots >= patients:
        raise DataError(
            f"{source.folder}: {patients} source patients for validation, tuning trains on {shots} and scores the others; "
            "expected more patients: set val_fraction in the study's source: build, or give one learning rate"
        )
