"""Each tensor of the network from the tensor of the same name in a model file."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from monai_hybrid.networks.transfer.match import Rule
from monai_hybrid.networks.transfer.report import TensorEntry
from monai_hybrid.networks.transfer.source import Source


def take_tensors(
    own: Mapping[str, Tensor], source: Source, rules: Mapping[str, Rule]
) -> tuple[dict[str, Tensor], list[TensorEntry]]:
    """The tensors to load, in the network's shapes and types, and an entry for each of the network and each not used.

    Raises:
        ModelFileError: NaN, infinity or integers in a tensor that would be loaded.
    """
    new: dict[str, Tensor] = {}
    entries, dropped = [], []
    for name, fresh in own.items():
        given, rule = source.tensors.get(name), rules.get(name)
        if given is None:
            entries.append(TensorEntry(name, "new", "not in the file", fresh.numel()))
        elif not _fits(given, fresh, rule):
            shapes = f"shape {tuple(given.shape)} in the file, {tuple(fresh.shape)} in the network"
            entries.append(TensorEntry(name, "new", shapes, fresh.numel()))
            dropped.append(TensorEntry(name, "dropped", shapes, given.numel()))
        else:
            new[name], entry = _adapt(name, source.cast(name, fresh.dtype), fresh, rule)
            entries.append(entry)
    unknown = [TensorEntry(n, "dropped", "not in the network", t.numel()) for n, t in source.tensors.items() if n not in own]
    return new, [*entries, *dropped, *unknown]


def _fits(given: Tensor, fresh: Tensor, rule: Rule | None) -> bool:
    expected = list(fresh.shape)
    if rule is not None:
        expected[rule.axis] = rule.mix.shape[1]
    return list(given.shape) == expected


def _adapt(name: str, given: Tensor, fresh: Tensor, rule: Rule | None) -> tuple[Tensor, TensorEntry]:
    """The tensor in the network's channels or labels; rows without a source stay fresh."""
    size = fresh.numel()
    if rule is None or torch.equal(rule.mix, torch.eye(len(rule.mix), dtype=rule.mix.dtype)):
        return given, TensorEntry(name, "loaded", "", size, size)
    rows, columns = rule.mix.shape
    mixed = torch.tensordot(rule.mix, given.double(), dims=([1], [rule.axis])).movedim(0, rule.axis).to(fresh.dtype)
    continued = rule.mix.any(1)
    value = fresh.detach().cpu().movedim(rule.axis, 0).clone()
    value[continued] = mixed.movedim(rule.axis, 0)[continued]
    kept = int(continued.sum())
    how = f"{columns} -> {rows} {'input channels' if rule.axis else 'rows'}" + (f", {rows - kept} fresh" if kept < rows else "")
    entry = TensorEntry(name, "adapted" if kept else "new", how, size, size * kept // rows)
    return value.movedim(0, rule.axis), entry
