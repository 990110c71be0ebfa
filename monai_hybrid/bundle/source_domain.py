"""Score the adapted model on the data it came from, beside the model before adaptation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, MapLabelValued
from torch import nn

from data_prep.home import at_home
from data_prep.label_names import same_only_class
from data_prep.resampling import SAMPLE
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.bundle.labels import tell_other_names
from monai_hybrid.bundle.model import find_card
from monai_hybrid.engines import CaseProgress, WeightsLoader
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.evaluation import EvaluationReport
from monai_hybrid.evaluation.forgetting import AFTER, BEFORE, write_forgetting
from monai_hybrid.evaluation.sharing import own_share
from monai_hybrid.evaluation.tolerance import choose_tolerance
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.networks.transfer.names import unified
from monai_hybrid.processes import rank_and_number
from monai_hybrid.setting_checks import model_in
from monai_hybrid.transforms import LoadClassesd

NONE = "none"
LEAVE_OUT = "or leave --source_dir out (monai-hybrid shift SOURCE TARGET compares the data alone)"
logger = logging.getLogger("monai_hybrid.evaluation")
Card = Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A model file with its card; `when` is "source_before" or "source_after", the folder of its scores."""

    path: str
    card: Card
    when: str

    @property
    def names(self) -> list[str]:
        """Names of its classes, background first."""
        return [label["name"] for label in self.card["labels"]]


class Forgetting:
    """Evaluate the source's test cases with the adapted model and with the model before adaptation.

    Structures are compared that the source data set and both models know by name (case, spaces, hyphens and underscores do not
    count); every other one is background in reference and prediction. Image transforms, inferer and postprocessing are those of
    the target's evaluation: adaptation keeps the plan.

    Args:
        source_dir: a folder with `datalist.json`; None or "": nothing is done.
        model, card: the adapted model.
        pretrained: model file, or folder of its run, before adaptation; None: the one that the card names, where it still
            exists; "none": without.
        network: the adapted model's network, on its device.
        inferer, image_transforms, postprocessing: of the evaluation; `postprocessing` leaves "pred" (1, X, Y[, Z]) class index
            on the label's grid.
        settings: {"output_dir", "nsd_tolerance", "device", "num_workers"}; no tolerance: by the
            source's voxels.
    """

    def __init__(
        self,
        source_dir: str | None,
        model: str,
        card: Card,
        pretrained: str | None,
        network: nn.Module,
        inferer: Any,
        image_transforms: Callable[..., Any],
        postprocessing: Callable[..., Any],
        settings: Mapping[str, Any],
    ) -> None:
        self.after = Model(model, card, AFTER)
        self.source_dir, self.pretrained, self.network = source_dir, pretrained, network
        self.inferer, self.image_transforms, self.postprocessing = inferer, image_transforms, postprocessing
        self.settings = dict(settings)

    def check(self) -> None:
        """Refuse what cannot be compared, before anything is scored.

        Raises:
            DataError: no prepared source data set, no labelled test case, other channels or dimensions than the models', or no
                structure in common.
            ModelFileError: `pretrained` is not there, or has another plan.
            ConfigError: `pretrained` without `source_dir`.
        """
        if self.source_dir:
            data, before = self._data(), self._before()
            common_names(data, [m for m in (before, self.after) if m], self.source_dir)
        elif self.pretrained not in (None, "", NONE):
            raise ConfigError("pretrained: only with --source_dir, the data set on which both models are scored")

    def run(self) -> None:
        """Write `source_before/`, `source_after/` and `forgetting.json` under `output_dir`; an earlier run's go first."""
        folder = Path(self.settings["output_dir"])
        rank = rank_and_number()[0]
        if rank == 0:
            remove_old(folder)
        if not self.source_dir:
            return
        data, before = self._data(), self._before()
        models = [m for m in (before, self.after) if m]
        names, left_out = common_names(data, models, self.source_dir)
        for model in models:
            network = self.network if model is self.after else HybridDiffusionUNet(**model.card["network"])
            self._evaluator(model, network.to(self.settings["device"]), data, names).run()
        if rank == 0:
            logger.info("%s", write_forgetting(folder, data.dataset["name"], before is not None, left_out)["sentence"])

    def _data(self) -> PreparedData:
        data = read_prepared(at_home(str(self.source_dir)))
        own_share(data.labelled("testing", required=True))  # refuses too many processes
        return data

    def _before(self) -> Model | None:
        named = self.pretrained or self.after.card.get("training", {}).get("adapted_from")
        if named is None or named == NONE:
            return None
        named = str(model_in(at_home(str(named))) or named)  # the folder of a run is a model too
        if not Path(named).is_file():
            if self.pretrained:
                raise ModelFileError(f"{named}: no such model file; give the model before adaptation, or --pretrained none")
            logger.info("%s: the model before adaptation is no longer there; name it with --pretrained", named)
            return None
        before = Model(named, find_card(named), BEFORE)
        _refuse_other_plan(before, self.after)
        return before

    def _evaluator(self, model: Model, network: nn.Module, data: PreparedData, names: Sequence[str]) -> SupervisedEvaluator:
        logger.info("source data set %s, %s", data.dataset["name"], model.when.replace("source_", "") + " adaptation:")
        values, classes = rows_of(data.class_names, names), rows_of(model.names, names)
        load = LoadClassesd("label", data.label_values, values, spatial_dims=data.dataset["spatial_dims"])
        cases = own_share(data.labelled("testing"))
        dataset = Dataset(cases, Compose([self.image_transforms, load]))
        about = {
            "model": model.path,
            "dataset": data.dataset["name"],
            "split": "testing",
            "training": model.card.get("training"),
        }
        folder, edges = Path(self.settings["output_dir"]) / model.when, data.dataset["fingerprint"]["spacing"]["median"]
        tolerance = choose_tolerance(self.settings["nsd_tolerance"], data.length_unit, edges)
        about["nsd_tolerance_reason"] = tolerance.reason
        report = EvaluationReport(str(folder), ["background", *names], tolerance.length, data.length_unit, about)
        only_common = MapLabelValued("pred", range(len(classes)), classes, dtype=torch.float32)
        return SupervisedEvaluator(
            device=self.settings["device"],
            val_data_loader=DataLoader(dataset, batch_size=1, num_workers=self.settings["num_workers"]),
            network=network,
            inferer=self.inferer,
            postprocessing=Compose([self.postprocessing, only_common]),
            val_handlers=[WeightsLoader(network, model.path), report, CaseProgress("source data set")],
        )


def remove_old(folder: Path) -> None:
    """Take away what another model's run left: it must not stand beside new scores."""
    tables = [Path(when) / name for when in (BEFORE, AFTER) for name in ("cases.csv", "summary.json")]
    for name in (Path("forgetting.json"), *tables):
        (folder / name).unlink(missing_ok=True)


def rows_of(own: Sequence[str], names: Sequence[str]) -> list[int]:
    """For each of `own`, background first: its place in `names` from 1 on; 0 for the background and for what is not there.

    A single class is the only one that is common to all, whatever it is called.
    """
    if len(own) == 2 and len(names) == 1:
        return [0, 1]
    place = {unified(name): i for i, name in enumerate(names, start=1)}
    return [0, *(place.get(unified(name), 0) for name in own[1:])]


def common_names(data: PreparedData, models: Sequence[Model], source_dir: str) -> tuple[list[str], list[str]]:
    """The structures that the data set and all models know, in the data set's words and order; and those that some do not.

    Raises:
        DataError: other dimensions or channels than a model's, or nothing in common.
    """
    for model in models:
        _refuse_other_images(data, model, source_dir)
    if same_only_class(data.class_names, *(model.names for model in models)):
        tell_other_names(data.class_names, *(model.names for model in models))
        return data.class_names[1:], []
    known = [{unified(name) for name in names[1:]} for names in (data.class_names, *(m.names for m in models))]
    common = [name for name in data.class_names[1:] if all(unified(name) in of for of in known)]
    if not common:
        told = "; ".join(f"{m.path} knows {', '.join(m.names[1:])}" for m in models)
        raise DataError(
            f"{source_dir}: its structures are {', '.join(data.class_names[1:])}; {told}: none is common to all. Give them the "
            f"same names (monai-hybrid build RAW --output DATA --label-names 'VALUE=NAME'), {LEAVE_OUT}"
        )
    shared = {unified(name) for name in common}
    everything = [*data.class_names[1:], *(name for m in models for name in m.names[1:])]
    others: dict[str, str] = {}
    for name in everything:
        if unified(name) not in shared:
            others.setdefault(unified(name), name)
    return common, list(others.values())


def _refuse_other_images(data: PreparedData, model: Model, source_dir: str) -> None:
    given, wanted = data.dataset["spatial_dims"], model.card["spatial_dims"]
    if given != wanted:
        raise DataError(f"{source_dir}: {given}D images, but {model.path} is a {wanted}D model; name its own source")
    channels, trained = data.dataset["channels"], model.card["channels"]
    alone = len(channels) == len(trained) == 1  # one channel is what it is, whatever it is called
    if not alone and [unified(name) for name in channels] != [unified(name) for name in trained]:
        raise DataError(
            f"{source_dir}: its channels are {', '.join(channels)}, but {model.path} takes {', '.join(trained)}, in this "
            f"order: it cannot be scored there. Name a source with these channels, {LEAVE_OUT}"
        )
    colours, taken = (of.get("colour") or ["one grey value"] for of in (data.dataset, model.card))
    if list(colours) != list(taken):
        raise DataError(
            f"{source_dir}: its pictures are read as {', '.join(colours)}, those of {model.path} as {', '.join(taken)}: it "
            f"cannot be scored there. Build the source anew in this way, {LEAVE_OUT}"
        )


def _refuse_other_plan(before: Model, after: Model) -> None:
    for what, of in (
        ("spacing", lambda card: card["training"]["spacing"]),
        ("normalization", lambda card: card["plan"]["normalization"]),
        ("resampling", lambda card: card["plan"].get("resampling", SAMPLE)),
    ):
        mine, theirs = of(before.card), of(after.card)
        if mine != theirs:
            raise ModelFileError(
                f"{before.path}: its {what} is {mine}, that of {after.path} {theirs}: not the model it was adapted from; "
                "name the right one with --pretrained, or --pretrained none to leave it out"
            )
