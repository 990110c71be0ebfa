"""Masks of one structure each as the labels of a data set: which value each gets, what it is called, and what joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep.cases import SourceFault
from data_prep.layouts.common import names_beside, names_file
from data_prep.structure_names import Own, absent, many, names_of, table_of
from data_prep.structures import Joined


@dataclass(frozen=True)
class StructureLabels:
    """What a `Source` says of such labels; see there. `label_names` without a structure are those of the file beside them."""

    label_names: Mapping[int, str] | None
    notes: tuple[str, ...]
    faults: tuple[SourceFault, ...]
    volumes: Mapping[Path, Joined]
    table_of_names: bool


def structure_labels(
    found: Mapping[str, Own],
    places: Mapping[str, Path],
    root: Path,
    labels_dir: str,
    label_names: str | Mapping[int, str] | None,
    folders: Mapping[str, Path] | None = None,
) -> StructureLabels:
    """The labels that the masks of each case are joined into.

    Args:
        found: case -> structure -> its mask.
        places: case -> what stands for its masks as its label.
        root: of the data set.
        labels_dir: the folder whose file of names, `<labels_dir>.json`, counts where nothing was typed.
        label_names: value -> name of the structures that are meant, as typed.
        folders: case -> where it lies, for what is said of it; None: `places`.

    Raises:
        ConfigError: a structure that is not there, more than a label can hold, or a value that none can.
        DataListError: no structure can be told by the names.
    """
    beside = names_beside(root, labels_dir)
    stated, where = (label_names, "--label-names") if label_names else (beside, str(names_file(root, labels_dir)))
    table = table_of(found, stated, root, where)
    return StructureLabels(
        names_of(table) or beside,
        tuple(many(table, stated)),
        tuple(absent(found, table, folders or places)),
        {places[case]: Joined(places[case], own, table) for case, own in found.items()},
        bool(table) and not stated,
    )
