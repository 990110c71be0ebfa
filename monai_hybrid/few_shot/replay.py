"""Labelled cases of the source that go on to be seen while fine-tuning, in the classes of the target."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from data_prep.files import read_datalist, read_dataset
from data_prep.free_names import PREPARED, free
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.bundle.data import PreparedData, with_ignore_value
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.unlabelled import files_of, refuse_other_form, scans_of_target
from monai_hybrid.networks.transfer.names import unified
from monai_hybrid.transforms.appearance import KINDS, REPLAYED, MatchAppearanced
from monai_hybrid.transforms.classes import IGNORE_VALUE

logger = logging.getLogger("monai_hybrid.adaptation")


def replayed_cases(
    data: PreparedData, folder: str | None, label_map: Mapping[str, str | None] | None = None
) -> list[dict[str, Any]]:
    """The labelled training cases of a prepared source, ready to be trained beside those of the target.

    Args:
        data: the target.
        folder: made by `data_prep build`; None or "" for no replay.
        label_map: target name -> source name, where they differ by more than case, spaces, hyphens and underscores.

    Returns:
        Cases with "replayed", and with "label_values" and "class_indices": what each label value of the source is in the
        target. A structure that the target does not have becomes background.

    Raises:
        DataError: no prepared data set, other channels or dimensions, or no labelled case.
        ConfigError: a structure of the target is not labelled there, so that the source would teach that it is background;
            or two structures continue one, so that it would teach this of one of them.
    """
    if not folder:
        return []
    place = at_home(folder)
    if not (place / "datalist.json").is_file():
        raise DataError(
            f"source_replay: {folder} holds no datalist.json; "
            f"type: monai-hybrid build {quoted(folder)} --output {free(PREPARED)}"
        )
    dataset, datalist = read_dataset(place), read_datalist(place)
    refuse_other_form(f"source_replay: {folder}", dataset, data)
    values, indices = _classes(dataset["labels"], data.class_names, label_map or {}, folder)
    mine = {files_of(case) for case in [*data.training, *data.validation, *data.testing]}
    found = [case for case in datalist["training"] if "label" in case and files_of(case) not in mine]
    if not found:
        raise DataError(f"source_replay: {folder} has no labelled training case besides those of the target")
    more: dict[str, Any] = {REPLAYED: True, "label_values": values, "class_indices": indices}
    if (ignore := dataset.get(IGNORE_VALUE)) is not None:
        found = with_ignore_value(found, ignore)
    logger.info("%d labelled cases of the source are replayed", len(found))
    return [{**case, **more, "patient": f"source {case['patient']}"} for case in found]


def _classes(
    labels: Sequence[Mapping[str, Any]], wanted: Sequence[str], renamed: Mapping[str, str | None], folder: str
) -> tuple[list[int], list[int]]:
    """The source's label values, and the target's class index of each; 0 for structures that the target does not have."""
    names = [label["name"] for label in labels]
    known, own = {unified(name): name for name in names[1:]}, {unified(name): source for name, source in renamed.items()}
    partner = {name: known.get(unified(own.get(unified(name), name) or "")) for name in wanted[1:]}
    absent = [name for name, source in partner.items() if source is None]
    if absent:
        raise ConfigError(
            f"source_replay: {folder} has no label for {', '.join(absent)} (it has {', '.join(names[1:])}), so its images "
            "would teach that this is background; leave --source-replay out, or name the partner with --label-map "
            f"\"{{'{absent[0]}': 'NAME'}}\""
        )
    twice = next((source for source, number in Counter(partner.values()).items() if number > 1), None)
    if twice is not None:
        names_of = [name for name, source in partner.items() if source == twice]
        raise ConfigError(
            f"source_replay: {' and '.join(names_of)} share the label {twice} of {folder}, and a voxel of it is one of them "
            "alone; leave --source-replay out, or name another partner with --label-map"
        )
    index = {source: wanted.index(name) for name, source in partner.items()}
    return [label["value"] for label in labels], [0, *(index.get(name, 0) for name in names[1:])]


def appearance_steps(
    kind: str,
    replayed: Sequence[Any],
    data: PreparedData,
    folder: str | None,
    prepare: Sequence[Any],
    output_dir: str | None = None,
) -> list[MatchAppearanced]:
    """The transform that gives replayed cases the look of the target's scans, in a list; empty where nothing is to be matched.

    Args:
        kind: the setting `match_appearance`.
        replayed: of `replayed_cases`.
        data: the target, whose training images are looked at, without labels.
        folder: more images of it, the setting `unlabelled_dir`.
        prepare: the deterministic transforms.
        output_dir: where a folder of DICOM is written as NIfTI.

    Raises:
        ConfigError: unknown kind, or a kind without replayed cases.
    """
    if kind not in KINDS:
        raise ConfigError(f"match_appearance: got {kind!r}, expected one of {', '.join(KINDS)}")
    if kind == "none":
        return []
    if not replayed:
        raise ConfigError(f"match_appearance {kind}: it changes source images; name their prepared folder with --source-replay")
    return [MatchAppearanced("image", kind, scans_of_target(data, folder, output_dir), prepare)]
