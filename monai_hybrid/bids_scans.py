"""Which scans of a BIDS data set to predict, and whether their derivative may be written where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.bids import DESCRIPTION, is_bids, scans_to_predict
from data_prep.free_names import free
from data_prep.home import at_home
from data_prep.places import refuse_among
from data_prep.quoting import quoted
from data_prep.result_files import TOOL
from data_prep.result_files import refuse_others as refuse_files_of_others
from monai_hybrid.errors import DataError

LARGEST = 2**20  # bytes of a description that is read


def bids_cases(root: Path, output: str | None, channels: Sequence[str], bids_filter: str | None) -> list[dict[str, Any]]:
    """List {"image", "case_id", "place"[, "missing"]} of a BIDS data set; "place" is that of the mask in the derivative.

    Args:
        root: of the data set.
        output: folder of the derivative.
        channels: names of the model's channels.
        bids_filter: which contrasts.

    Raises:
        ConfigError, DataListError: see `data_prep.bids.scans_to_predict`.
        DataError: the output folder is the data set itself, or another program's derivative.
    """
    if output is not None:
        refuse_others(at_home(output), root)
    cases = []
    for scan in scans_to_predict(root, channels, bids_filter):
        files = [str(file) for file in scan.files]
        case = {"image": files if len(files) > 1 else files[0], "case_id": scan.case_id, "place": scan.place}
        cases.append(case | ({"missing": scan.missing} if scan.missing else {}))
    return cases


def refuse_others(folder: Path, source: Path) -> None:
    """Refuse an output folder that holds another data set.

    Raises:
        ConfigError: it lies in the data set, but not below its `derivatives/`; a table or sidecar of somebody else's is there.
        DataError: its description is not ours, or names another source that is there.
    """
    refuse_among(folder, source)
    described = read_description(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else None
    if described is not None and _is_ours(described):
        links = described.get("DatasetLinks")
        link = links.get("raw") if isinstance(links, dict) else None
        other = (folder / link).resolve() if isinstance(link, str) else source.resolve()
        if other != source.resolve() and is_bids(other):
            raise DataError(
                f"--output {folder}: it holds the masks of another data set, {other}. "
                f"Type: --output {quoted(free(folder.with_name(folder.name + '_' + (source.resolve().name or 'other'))))}"
            )
    elif described is not None:
        other = folder / "derivatives" / TOOL if is_bids(folder) else folder.with_name(folder.name + "_" + TOOL)
        raise DataError(
            f"--output {folder}: it holds another BIDS data set, and masks would be mixed with its files. "
            f"Type: --output {quoted(other)}"
        )
    refuse_files_of_others(folder, "bids")


def _is_ours(description: Mapping[str, Any]) -> bool:
    made = description.get("GeneratedBy")
    return isinstance(made, list) and any(isinstance(entry, dict) and entry.get("Name") == TOOL for entry in made)


def read_description(path: Path) -> dict[str, Any]:
    """A data set's description, {} where it is too large or no JSON object."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig")) if path.stat().st_size <= LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
