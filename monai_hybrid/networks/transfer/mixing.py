"""How much of each source row or channel goes into each of the network's, from who is whose partner."""

from __future__ import annotations

import torch
from torch import Tensor

from monai_hybrid.networks.transfer.names import Partners


def row_mix(partners: Partners, num_source: int) -> Tensor:
    """(T, S) float64, one 1 in the row of each target that has a source; the rows of new targets are all 0."""
    mix = torch.zeros(len(partners), num_source, dtype=torch.float64)
    for target, source in enumerate(partners):
        if source is not None:
            mix[target, source] = 1
    return mix


def input_mix(partners: Partners, num_source: int) -> Tensor:
    """What each target channel takes of the kernels of the S source channels.

    Each source channel now listens to a weighted mean of the C target channels. As its weights add to 1, images that are equal
    in all channels (the air around the patient is) give the response they gave before:

    * a source channel with a partner listens to it; one without listens to the mean of the new channels, or of all when none
      is new (4 -> 1: the sum of the four kernels);
    * when every source channel has a partner, each new channel is 1/C of what each of them listens to: its kernel is the mean
      of the source's kernels, times S / C.

    Returns:
        (C, S) float64; each column adds to 1.
    """
    mix, total = row_mix(partners, num_source), len(partners)
    new, orphans = _without_partner(partners, num_source)
    if orphans:
        heirs = new or list(range(total))
        for source in orphans:
            mix[heirs, source] = 1 / len(heirs)
    elif new:
        mix *= (total - len(new)) / total
        mix[new] = 1 / total
    return mix


def image_mix(partners: Partners, num_source: int) -> Tensor:
    """What each predicted target channel takes of the S predicted source channels.

    Its partner's row; a new channel the mean of the rows without a partner, or of all rows when each has one.

    Returns:
        (C, S) float64; each row adds to 1.
    """
    mix = row_mix(partners, num_source)
    new, orphans = _without_partner(partners, num_source)
    givers = orphans or list(range(num_source))
    for target in new:
        mix[target, givers] = 1 / len(givers)
    return mix


def _without_partner(partners: Partners, num_source: int) -> tuple[list[int], list[int]]:
    new = [target for target, source in enumerate(partners) if source is None]
    return new, [source for source in range(num_source) if source not in partners]
