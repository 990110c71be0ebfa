"""Load what fits by name, refuse what cannot be meant, and report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn

from monai_hybrid.errors import ConfigError
from monai_hybrid.networks.transfer.adapt import take_tensors
from monai_hybrid.networks.transfer.match import match_source
from monai_hybrid.networks.transfer.refuse import refuse
from monai_hybrid.networks.transfer.report import TransferReport
from monai_hybrid.networks.transfer.source import DOMAINS, IMAGE_ROWS, INPUT, MASK_ROWS, read_source

MINIMUM_SHARE = 0.5
MERGED = "the file's network tells source and target apart, this one not: it starts as that one does for scans of the target"

logger = logging.getLogger("monai_hybrid.transfer")


def with_transfer(
    network: nn.Module,
    path: Path | str | None,
    labels: Sequence[Mapping[str, Any]],
    channels: Sequence[str],
    report_dir: Path | str | None = None,
    minimum_share: float = MINIMUM_SHARE,
    label_map: Mapping[str, str | None] | None = None,
    allow_partial: bool = False,
) -> nn.Module:
    """The network, started from the weights of `path`; without a path untouched. For configurations.

    Rank 0 logs the report and writes `transfer.json` and `transfer.txt` under `report_dir`. The other arguments and the errors
    are those of `transfer_weights`.
    """
    if not path:
        return network
    report = transfer_weights(network, path, labels, channels, minimum_share, label_map, allow_partial)
    if not (dist.is_available() and dist.is_initialized() and dist.get_rank() > 0):
        logger.info("%s", report.table())
        for text in report.warnings:
            logger.warning("%s", text)
        if report_dir is not None:
            report.save(report_dir)
    return network


def transfer_weights(
    network: nn.Module,
    path: Path | str,
    labels: Sequence[Mapping[str, Any]],
    channels: Sequence[str],
    minimum_share: float = MINIMUM_SHARE,
    label_map: Mapping[str, str | None] | None = None,
    allow_partial: bool = False,
) -> TransferReport:
    """Load by name, all or nothing. How channels are adapted: `mixing.input_mix`, `mixing.image_mix`.

    A network without domains takes the target's of a file with two; one with domains starts with two equal ones where the file
    has none. Either segments the target's scans as the file's network does.

    Mask rows whose label has no partner keep their fresh initialisation; two labels may continue one row through `label_map`.

    Args:
        network: a `HybridDiffusionUNet`.
        path: .safetensors or .pt, of this toolkit or of a stock DiffusionModelUNet, in any floating-point type.
        labels: the network's K labels as in `dataset.json`, {"index", "value", "name"}.
        channels: names of its C image channels.
        minimum_share: of the network's parameters, 0..1; less is refused.
        label_map: label of the network -> label of the file, or -> None to start it fresh; all others go by equal names.
        allow_partial: leave out body tensors of another shape, instead of refusing.

    Raises:
        ModelFileError: damaged or foreign weights, NaN or infinity in them, too small a share, names that are not unique, a
            card that does not describe the weights. The network is as it was.
        ConfigError: `labels`, `channels`, `label_map` or `minimum_share` do not fit.
    """
    own = network.state_dict()
    names = [str(label["name"]) for label in sorted(labels, key=lambda label: label["index"])]
    _check_settings(own, names, channels, minimum_share)
    given = read_source(path)
    source = given if DOMAINS in own else given.without_domains()
    merged = [] if source is given else [MERGED]
    match = match_source(source, names, channels, label_map)
    new, entries = take_tensors(own, source, match.rules())
    head = {*IMAGE_ROWS, *MASK_ROWS}
    absent = [name for name in own if name not in source.tensors and name not in head]
    fresh = [f"{len(absent)} tensors of the body are not in the file and start fresh (first: {absent[0]})"] if absent else []
    report = TransferReport(
        source=str(path),
        tensors=entries,
        labels=match.label_table(),
        channels=match.channel_table(),
        dropped_labels=match.dropped_labels(),
        warnings=[*match.warnings(), *fresh, *merged, *source.hidden_differences(network)],
    )
    refuse(report, source, minimum_share, allow_partial)
    network.load_state_dict({**own, **new})
    return report


def _check_settings(own: Mapping[str, Tensor], labels: Sequence[str], channels: Sequence[str], minimum_share: float) -> None:
    if INPUT not in own or MASK_ROWS[0] not in own:
        raise ConfigError(f"network: has no tensor {MASK_ROWS[0]}, expected a HybridDiffusionUNet, not wrapped")
    for what, names, number in (("labels", labels, len(own[MASK_ROWS[0]])), ("channels", channels, own[INPUT].shape[1])):
        if len(names) != number:
            raise ConfigError(f"{what}: got {len(names)} names ({', '.join(names)}), the network has {number}")
    if not 0 <= minimum_share <= 1:
        raise ConfigError(f"minimum_share: got {minimum_share}, expected a share from 0 to 1, such as {MINIMUM_SHARE}")
