"""A study file: what is compared, on which data, with which budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.label_efficiency.appearance import CURVES
from monai_hybrid.errors import ConfigError

STUDIES = Path(__file__).parent / "studies"
CONFIGS = {
    "pretrain": Path("bundles/hybrid_pretrain/configs/train.json"),
    "finetune": Path("bundles/few_shot_finetune/configs/train.json"),
}
ROOT = Path(__file__).parents[2]
KINDS = ("hybrid_unet", "plain_unet", "pixel_head")
# Of `pretrain`, beside the settings of the bundle.
PRETRAIN_OWN = {"updates", "source_labels", "unlabelled_target", "keep", "shapes"}
KEPT = ("last", "best")


@dataclass(frozen=True)
class Domain:
    """Where images come from.

    Attributes:
        raw: folder under --data_root; "" for the phantom.
        site, cases, dims, seed: of the phantom.
        build: options of `python -m data_prep build`; `splits` is a file in the raw folder, or image names (* and ? are
            wildcards) a split.
        pool: target only: splits whose patients may be drawn as labelled; their labels are used for nothing else.
        pool_patients: target only: patients drawn from the test split (once, seed 0) join the pool until it has so many.
        appearance: target only: a change of contrast, see `appearance.CURVES`.
    """

    raw: str = ""
    site: str = "A"
    cases: int = 36
    dims: int = 3
    seed: int = 0
    build: Mapping[str, Any] = field(default_factory=dict)
    pool: Sequence[str] = ("training", "validation")
    pool_patients: int = 0
    appearance: str = "none"


@dataclass(frozen=True)
class Arm:
    """One way to a fine-tuned network.

    Attributes:
        name: in tables.
        like: the arm whose settings these change.
        kind: "hybrid_unet" (the project's network), "plain_unet" (nnU-Net's), "pixel_head" (frozen diffusion features).
        pretrain: settings of hybrid_pretrain that differ from the study's; None: from scratch. Besides the bundle's:
            `updates`, `source_labels` (share of the source patients whose labels are used; the others stay as images),
            `unlabelled_target` (the images of the target's pool join, without labels; with the bundle's `domain_label` the
            network is told which they are, and source cases are scored as the source's), `shapes` (random shapes in the
            place of the source: no one's images or labels), `keep` ("last" weights, or those of the "best" source validation
            of the `curve`).
        finetune: settings of few_shot_finetune that differ from the study's; `source_replay: true` is the study's source.
        network: changes of the study's network, {} for none: a cheaper one under the same protocol.
        timesteps: noise levels whose masks are averaged at test; of a pixel_head those of its features, (0,) for TEDM's eight.
        learning_rate: fixed; None: chosen from the study's grid.
        tune_as: take the learning rate chosen for this arm.
        zero_shot: whether there is something to score without target labels.
        alone: without target labels the pool's scans are adapted to, by `finetune`, with the safety stop.
        model: a model file to start from, in the place of a pretraining of the study; the name of a ready model serves too.
            Its network must be the study's, but for channels and labels.
    """

    name: str
    like: str = ""
    kind: str = "hybrid_unet"
    pretrain: Mapping[str, Any] | None = None
    finetune: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    timesteps: Sequence[int] = (0,)
    learning_rate: float | None = None
    tune_as: str = ""
    zero_shot: bool = True
    alone: bool = False
    model: str = ""


def _arm(name: str, objective: str | None, **more: Any) -> Arm:
    return Arm(name, pretrain=None if objective is None else {"objective": objective}, **more)


ARMS = {
    arm.name: arm
    for arm in (
        _arm("scratch", None, zero_shot=False),
        _arm("supervised", "supervised"),
        _arm("diffusion", "diffusion", zero_shot=False),
        _arm("noisy_supervised", "noisy_supervised"),
        _arm("two_pass", "two_pass"),
        _arm("hybrid", "hybrid"),
        _arm("pixel_head", "diffusion", kind="pixel_head", zero_shot=False),
        _arm("nnunet_scratch", None, kind="plain_unet", zero_shot=False),
        _arm("nnunet_supervised", "supervised", kind="plain_unet"),
    )
}


@dataclass(frozen=True)
class Study:
    """The content of a study file; the arms are resolved.

    Attributes:
        name, title: short, and for the figure.
        source, target: domains.
        spacing, patch_size: of the common grid, in the units of data_prep.
        network: changes of the plan's network (of every arm of the project's own kind; nnU-Net's follows its size).
        pretrain: `updates`, `curve` (times that the source validation is scored on the way) and settings of the bundle.
        finetune: `updates`, a number or a number a shot count, and settings of the bundle.
        shots, draws, seeds: labelled patients (0 = none); draws of them; pretraining seeds.
        learning_rates: the grid of fine-tuning, the same for every arm.
        tuning: {"shots", "draws", "appearance"}: on held-out source patients with a change of contrast.
        arms: name -> arm, in the order of the runs.
        source_test_cases: at most so many test cases of the source, for forgetting; 0: none.
        test_slices: of each target test patient at most so many cases, evenly spaced in the order of the list; 0: all.
    """

    name: str
    source: Domain
    target: Domain
    spacing: Sequence[float]
    patch_size: Sequence[int]
    pretrain: Mapping[str, Any]
    finetune: Mapping[str, Any]
    arms: Mapping[str, Arm]
    title: str = ""
    network: Mapping[str, Any] = field(default_factory=dict)
    shots: Sequence[int] = (0, 1, 2, 3, 5)
    draws: int = 5
    seeds: int = 2
    learning_rates: Sequence[float] = (0.0003, 0.001, 0.003)
    tuning: Mapping[str, Any] = field(default_factory=dict)
    source_test_cases: int = 100
    test_slices: int = 0

    def finetune_updates(self, shots: int) -> int:
        """Updates for a number of labelled patients: that of the largest listed count that is not above it."""
        given = self.finetune["updates"]
        if not isinstance(given, Mapping):
            return int(given)
        listed = sorted(int(k) for k in given)
        fitting = [k for k in listed if k <= shots] or listed[:1]
        return int({int(k): v for k, v in given.items()}[fitting[-1]])

    def pretrain_settings(self, arm: Arm) -> dict[str, Any]:
        """All of `pretrain` for an arm that has one."""
        return {**self.pretrain, **(arm.pretrain or {})}

    def finetune_settings(self, arm: Arm, shots: int) -> dict[str, Any]:
        """Settings of few_shot_finetune, without learning rate."""
        own = {**self.finetune, **arm.finetune}
        return {**own, "updates": own["updates"] if "updates" in arm.finetune else self.finetune_updates(shots)}

    def only(self, arms: Sequence[str], shots: Sequence[int], draws: int | None, seeds: int | None) -> Study:
        """A part of the study; the parts together are the whole, run by run.

        Raises:
            ConfigError: an arm or a number of shots that the study does not have.
        """
        for name in arms:
            if name not in self.arms:
                raise ConfigError(f"--arms {name}: unknown; study {self.name} has {', '.join(self.arms)}")
        for shot in shots:
            if shot not in self.shots:
                raise ConfigError(f"--shots {shot}: study {self.name} has {', '.join(map(str, self.shots))}")
        kept = {name: arm for name, arm in self.arms.items() if not arms or name in arms}
        return replace(self, arms=kept, shots=tuple(shots) or self.shots, draws=draws or self.draws, seeds=seeds or self.seeds)


def load_study(name: str) -> Study:
    """A study by name (a file in `studies/`) or by path.

    Raises:
        ConfigError: no such study, or an entry in it that is unknown or missing.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml", ".json"):
        path = STUDIES / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in STUDIES.glob("*.yaml"))
        raise ConfigError(f"--study {name}: no such study or file; expected one of {', '.join(known)}, or a .yaml file")
    try:
        content = json.loads(path.read_text()) if path.suffix == ".json" else yaml.safe_load(path.read_text())
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    return parse_study({"name": path.stem, **content} if isinstance(content, dict) else {}, str(path))


def parse_study(content: Mapping[str, Any], where: str = "study") -> Study:
    """A study from the content of its file.

    Raises:
        ConfigError: as `load_study`.
    """
    given = dict(content)
    _check_keys(Study, given, where)
    for role in ("source", "target"):
        _check_keys(Domain, given[role], f"{where}: {role}")
        given[role] = Domain(**given[role])
        if given[role].appearance not in CURVES:
            raise ConfigError(f"{where}: {role}: appearance {given[role].appearance!r}: expected one of {', '.join(CURVES)}")
    tuning = {"shots": 1, "draws": 1, "appearance": "gamma", **given.get("tuning", {})}
    if tuning["appearance"] == given["target"].appearance != "none":
        raise ConfigError(f"{where}: tuning: appearance {tuning['appearance']!r} is the target's; choose another")
    given["tuning"] = tuning
    given["arms"] = resolve_arms(given["arms"], where)
    for part in ("pretrain", "finetune"):
        if "updates" not in given[part]:
            raise ConfigError(f"{where}: {part}: updates is missing; expected a number of updates")
        _check_settings(part, given[part], f"{where}: {part}")
    return Study(**given)


def resolve_arms(given: Sequence[str] | Mapping[str, Mapping[str, Any] | None], where: str) -> dict[str, Arm]:
    """Arms by name, each on top of the one it is `like` (its namesake among the built-in ones by default).

    Raises:
        ConfigError: unknown arm, entry or setting.
    """
    listed = {name: {} for name in given} if not isinstance(given, Mapping) else {k: dict(v or {}) for k, v in given.items()}
    arms: dict[str, Arm] = {}
    for name, changes in listed.items():
        arms[name] = _arm(name, changes, {**ARMS, **arms}, f"{where}: arm {name}")
    for arm in arms.values():
        if arm.tune_as and arm.tune_as not in arms:
            arms[arm.name] = replace(arm, tune_as="")  # its model is not in this study: choose for itself
    return arms


def _arm(name: str, changes: dict[str, Any], known: Mapping[str, Arm], where: str) -> Arm:
    """The arm that it is `like`, with its changes.

    Raises:
        ConfigError: unknown arm, entry or setting, or entries that exclude each other.
    """
    base = changes.pop("like", name)
    if base not in known:
        raise ConfigError(f"{where}: like {base!r}: unknown; expected one of {', '.join(known)}")
    _check_keys(Arm, {"name": name, **changes}, where)
    for part in ("pretrain", "finetune"):
        _check_settings(part, changes.get(part) or {}, f"{where}: {part}")
        if changes.get(part) is not None:
            changes[part] = {**(getattr(known[base], part) or {}), **changes[part]}
    fixed = changes.get("learning_rate") is not None  # a rate of its own is not searched
    tune_as = changes.pop("tune_as", "" if fixed or base == name else base)
    arm = replace(known[base], **{**changes, "name": name, "like": base, "tune_as": tune_as})
    _check_arm(arm, where)
    return arm


def _check_arm(arm: Arm, where: str) -> None:
    """Raises: ConfigError: entries that exclude each other."""
    if arm.kind not in KINDS:
        raise ConfigError(f"{where}: kind {arm.kind!r}: expected one of {', '.join(KINDS)}")
    own = arm.kind == KINDS[0]
    if (arm.pretrain or {}).get("shapes") and (not own or arm.zero_shot):
        raise ConfigError(f"{where}: shapes: expected kind {KINDS[0]} and zero_shot: false")
    named = arm.pretrain or {}
    if named.get("domain_label") and (not own or named.get("shapes") or not named.get("unlabelled_target")):
        raise ConfigError(f"{where}: domain_label: expected kind {KINDS[0]}, and unlabelled_target: true")
    if arm.alone and (not own or not arm.zero_shot):
        raise ConfigError(f"{where}: alone: expected kind {KINDS[0]}, and a model that segments")
    if arm.model and (not own or arm.pretrain is not None):
        raise ConfigError(f"{where}: model: expected kind {KINDS[0]}, and no settings of a pretraining")


def _check_keys(kind: type, given: Any, where: str) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where}: expected a table of settings, got {type(given).__name__}")
    known = {f.name: f for f in fields(kind)}
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: {key}: unknown; expected {', '.join(known)}")
    for key, f in known.items():
        if key not in given and f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(f"{where}: {key} is missing")


@lru_cache
def bundle_settings(part: str) -> frozenset[str]:
    """Names of the top-level settings of a bundle's training."""
    return frozenset(json.loads((ROOT / CONFIGS[part]).read_text()))


def _check_settings(part: str, given: Mapping[str, Any], where: str) -> None:
    own = PRETRAIN_OWN | {"curve"} if part == "pretrain" else {"updates"}
    reserved = {"max_epochs", "updates_per_epoch", "seed", "shots", "dataset_dir", "output_dir", "pretrained"}
    for name in given:
        if name not in own and (name not in bundle_settings(part) or name in reserved):
            raise ConfigError(f"{where}: {name}: not a setting of {CONFIGS[part]} that a study may change")
    if given.get("keep", KEPT[0]) not in KEPT:
        raise ConfigError(f"{where}: keep: {given['keep']!r}: expected {' or '.join(KEPT)}")


def described_arm(arm: Arm) -> dict[str, Any]:
    """The arm as plain JSON."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(arm)))
    return content


def described(study: Study) -> dict[str, Any]:
    """The study as plain JSON."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(study)))
    return content
