"""The scans of a BIDS data set that a model shall segment, and the place of each mask in a derivative."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.bids.contrasts import Scanned, choose
from data_prep.bids.listing import empty_folders, files_of
from data_prep.bids.names import BidsFile
from data_prep.errors import DataListError
from data_prep.quoting import printable

# Entities that the name of a *_dseg file of a derivative may have, in their order (BIDS 1.10, rules for derivatives).
KEPT = ("sub", "ses", "sample", "task", "acq", "ce", "rec", "run", "echo", "part", "chunk", "space", "desc")
NEVER = ("sample", "desc")  # say of an image what its mask is not
logger = logging.getLogger("data_prep.bids")


@dataclass(frozen=True)
class BidsScan:
    """One scan.

    Attributes:
        files: in the order of the model's channels.
        case_id: `sub-01_ses-a`.
        place: of the mask below the derivative, without suffix: `sub-01/ses-a/anat/sub-01_ses-a_acq-mprage`.
        missing: in words, or "".
    """

    files: tuple[Path, ...]
    case_id: str
    place: str
    missing: str = ""


def scans_to_predict(root: Path, channels: Sequence[str], bids_filter: str | None = None) -> list[BidsScan]:
    """List the scans of a data set for a model.

    Args:
        root: of the data set.
        channels: names of the model's channels, in its order; where they name contrasts of the data set, these are taken.
        bids_filter: which contrasts, see `wanted.channels_wanted`.

    Raises:
        ConfigError: the filter cannot be read.
        DataListError: no contrast, or several, fit; or another number than the model has channels.
    """
    listing = files_of(root)
    for path, why in listing.bad:
        logger.warning("%s", printable(f"{path}: left out: {why}"))
    for folder in empty_folders(root):
        logger.warning("%s: an empty folder; if it was not fetched: datalad get %s", folder, folder)
    chosen = choose(root, listing, bids_filter, channels)
    if len(chosen.channels) != len(channels):
        message = (
            f"{root}: {len(chosen.channels)} contrasts were chosen ({', '.join(chosen.channels)}); the model takes "
            f'{len(channels)}: {", ".join(channels)}. Type: --bids-filter "suffix={"+".join(["NAME"] * len(channels))}"'
        )
        raise DataListError("D540", message, str(root))
    logger.info("%s: scans: %d, contrasts: %s", root, len(chosen.scans), ", ".join(chosen.channels))
    return [_scan(one, chosen.channels) for one in chosen.scans]


def _scan(one: Scanned, channels: Sequence[str]) -> BidsScan:
    absent = [name for name, file in zip(channels, one.files, strict=True) if file is None]
    first = one.there[0]
    missing = f"{one.case_id}: the model takes {len(channels)} channels, and these are missing: {', '.join(absent)}"
    return BidsScan(tuple(file.path for file in one.there), one.case_id, place_of(first), missing if absent else "")


def place_of(image: BidsFile) -> str:
    """Where the mask of an image belongs in a derivative, without its suffix; its entities are kept as far as BIDS has them."""
    entities = {key: image.entities[key] for key in KEPT if key in image.entities and key not in NEVER}
    name = "_".join(f"{key}-{value}" for key, value in entities.items())
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    return "/".join([image.subject, *session, "anat", name])
