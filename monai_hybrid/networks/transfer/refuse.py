"""When a transfer is not what anybody can want."""

from __future__ import annotations

import json
from typing import Any

from data_prep.amounts import few
from monai_hybrid.errors import ModelFileError
from monai_hybrid.networks.transfer.report import TransferReport
from monai_hybrid.networks.transfer.source import IMAGE_ROWS, MASK_ROWS, PLAN_KEYS, Source

FIRST = 3


def refuse(report: TransferReport, source: Source, minimum_share: float, allow_partial: bool) -> None:
    """Stop before anything is changed.

    Raises:
        ModelFileError: nothing fits, too little fits, or a body tensor has another shape and `allow_partial` is not set.
    """
    _refuse_shapes(report, source, allow_partial)
    if report.taken == 0:
        wanted = few(report.names("loaded") + report.names("adapted") + report.names("new"), FIRST)
        raise ModelFileError(
            f"{report.source}: 0 tensors loaded: no tensor fits this network. The file has {few(list(source.tensors), FIRST)}; "
            f"expected {wanted}. Type the model file of a run: --pretrained <output_dir>/models/model.safetensors"
        )
    if report.share < minimum_share:
        raise ModelFileError(
            f"{report.source}: only {report.share:.1%} of the network's {report.parameters} parameters can be taken from this "
            f"file, expected at least {minimum_share:.0%}. Without a source: {few(report.names('new'), FIRST)}. "
            f"{_same_network(source)}, or accept it: --minimum_share {int(report.share * 100) / 100}"
        )


def _refuse_shapes(report: TransferReport, source: Source, allow_partial: bool) -> None:
    body = set(report.names("new")) - {*IMAGE_ROWS, *MASK_ROWS}
    misfits = [entry for entry in report.tensors if entry.status == "dropped" and entry.name in body]
    if allow_partial or not misfits:
        return
    told = few([f"{entry.name} has {entry.how}" for entry in misfits], FIRST, "; ")
    raise ModelFileError(
        f"{report.source}: {len(misfits)} tensors of the body have another shape: {told}. {_same_network(source)}, or "
        "take only what fits: --allow_partial True"
    )


def _same_network(source: Source) -> str:
    settings: dict[str, Any] = {key: source.network[key] for key in PLAN_KEYS if key in source.network}
    dims = source.network.get("spatial_dims")
    told = f' of the {dims}D model, "network": {json.dumps(settings)}' if settings else " of the model file"
    return f"Build the same network: in plan.json put the settings{told}"
