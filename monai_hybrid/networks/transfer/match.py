"""Labels and channels of a network beside those of a model file: the rule for each tensor, the tables, what to warn of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from data_prep.label_names import is_made_up
from monai_hybrid.errors import ConfigError
from monai_hybrid.networks.transfer.mixing import image_mix, input_mix, row_mix
from monai_hybrid.networks.transfer.names import Partners, match_names, match_positions, unified
from monai_hybrid.networks.transfer.source import IMAGE_ROWS, INPUT, MASK_ROWS, REFINED_INPUT, REFINED_ROWS, Source


@dataclass(frozen=True)
class Rule:
    """How a tensor follows its names: along `axis`, row i is the sum over s of mix[i, s] times the source's row s."""

    axis: int
    mix: Tensor


@dataclass(frozen=True)
class Match:
    """Partners of the network's labels and channels, in their order; `mapped`: the user said of a class what it continues."""

    source: Source
    labels: Sequence[str]
    channels: Sequence[str]
    label_partners: Partners
    channel_partners: Partners
    mapped: bool = False

    def rules(self) -> dict[str, Rule]:
        """Of the tensors that depend on channels or labels."""
        inputs = input_mix(self.channel_partners, self.source.num_channels)
        image = image_mix(self.channel_partners, self.source.num_channels)
        mask = row_mix(self.label_partners, self.source.num_labels)
        rows = {name: Rule(0, image) for name in IMAGE_ROWS} | {name: Rule(0, mask) for name in (*MASK_ROWS, *REFINED_ROWS)}
        return {INPUT: Rule(1, inputs), REFINED_INPUT: Rule(1, inputs), **rows}

    def label_table(self) -> list[dict[str, Any]]:
        """Label, name and row of its source or None."""
        return [
            {"label": name, "source": None if row is None else self.source.label(row), "row": row}
            for name, row in zip(self.labels, self.label_partners, strict=True)
        ]

    def dropped_labels(self) -> list[str]:
        """Labels of the file that no label of the network continues."""
        return [self.source.label(row) for row in range(self.source.num_labels) if row not in self.label_partners]

    def channel_table(self) -> list[dict[str, Any]]:
        """Channel, and the weight of each source channel in its kernel and in its predicted image."""
        inputs = input_mix(self.channel_partners, self.source.num_channels)
        image = image_mix(self.channel_partners, self.source.num_channels)
        rows = zip(self.channels, inputs, image, strict=True)
        return [{"channel": name, "input": self._named(a), "prediction": self._named(b)} for name, a, b in rows]

    def _named(self, weights: Tensor) -> dict[str, float]:
        return {self.source.channel(i): float(weight) for i, weight in enumerate(weights) if weight}

    def _label_names_told(self, theirs: Sequence[str]) -> list[str]:
        if self.mapped:  # what these ask for was said
            return []
        if _renamed_without_asking(self.labels, theirs, self.label_partners):
            return [
                f"the only class {self.labels[1]} continues the file's only class {theirs[1]}, though the names differ: "
                f"if they are not alike, start it fresh: --label_map \"{{'{self.labels[1]}': None}}\""
            ]
        if not any(row is not None for row in self.label_partners[1:]):
            one = f"{{'{self.labels[-1]}': '{theirs[-1]}'}}"
            return [f'no class has a name of the file ({", ".join(theirs)}): if one is the same, type --label_map "{one}"']
        return []

    def warnings(self) -> list[str]:
        """What the user should look at, because names are missing or none is the same."""
        source, told = self.source, []
        if not source.num_labels:
            told.append("the file has no mask rows: all labels start fresh")
        elif source.labels is None:
            told.append("the file has no card: label i continues row i of the file; check the order of the labels")
        elif not source.of_shapes:  # whose names mean nothing
            told += self._label_names_told(source.labels)
        if source.channels is None:
            told.append("the file has no card: image channel i continues channel i of the file; check their order")
        elif source.num_channels > 1 and not any(partner is not None for partner in self.channel_partners):
            told.append(
                f"no channel has a name of the file ({', '.join(source.channels)}): all start equal; if one is the same, "
                "rename it in dataset.json"
            )
        return told


def _renamed_without_asking(labels: Sequence[str], known: Sequence[str], partners: Partners) -> bool:
    """Two names that differ were taken for one because each is the only one."""
    if len(labels) != 2 or len(known) != 2 or partners[1] != 1 or all(map(is_made_up, (labels[1], known[1]))):
        return False
    return unified(labels[1]) != unified(known[1])


def _only_ones(labels: Sequence[str], known: Sequence[str] | None, label_map: Mapping[str, str | None] | None) -> bool:
    """One class on either side, and no `label_map` says what to do with it: the one continues the other."""
    return known is not None and len(labels) == len(known) == 2 and not label_map


def match_source(
    source: Source, labels: Sequence[str], channels: Sequence[str], label_map: Mapping[str, str | None] | None
) -> Match:
    """By name where the file has a card, else by position; without mask rows every label is new.

    One class on either side: the one continues the other, whatever they are called.

    Raises:
        ModelFileError: names that are not unique.
        ConfigError: `label_map` has an unknown name, or the file no names.
    """
    if source.labels is None and label_map:
        raise ConfigError(
            f"--label_map: {source.path} has no card that names its labels, expected model.safetensors beside model.pt, as "
            "training writes them; or leave --label_map out, and rows are taken by position"
        )
    label_partners = (
        match_positions(len(labels), source.num_labels)
        if source.labels is None
        else match_names(labels, source.labels, "label", label_map)
    )
    channel_partners = (
        match_positions(len(channels), source.num_channels)
        if source.channels is None
        else match_names(channels, source.channels, "channel")
    )
    if not source.num_labels:
        label_partners = [None] * len(labels)
    elif _only_ones(labels, source.labels, label_map):
        label_partners = [*label_partners[:1], 1]
    mapped = bool(set(map(unified, label_map or ())) & set(map(unified, labels[1:])))
    return Match(source, labels, channels, label_partners, channel_partners, mapped)
