"""BIDS: sub-*/[ses-*/]anat/*_T1w.nii.gz, labels in derivatives/PIPELINE/sub-*/..., their names in *dseg.tsv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from data_prep.bids.contrasts import Chosen, Scanned, choose
from data_prep.bids.labels import Found, find_labels, kind_of, name_of_mask
from data_prep.bids.listing import DESCRIPTION, empty_folders, files_of, has_subjects
from data_prep.bids.tables import PARTICIPANTS, label_table_of, merged, names_in, read_sites
from data_prep.bids.wanted import BidsChoice, label_wanted
from data_prep.cases import UNKNOWN_SITE, Case, Source, SourceFault
from data_prep.errors import DataListError
from data_prep.layouts.common import modality_of
from data_prep.quoting import quoted

MRI = ("anat", "dwi", "func", "fmap", "perf")


def read(root: Path, choice: BidsChoice | None = None) -> Source:
    """List the scans of a raw data set, or of a derivative that holds images, with their labels.

    The patient is the subject, the site that of participants.tsv.

    Raises:
        ConfigError: a filter cannot be read, or the folder of labels is not there.
        DataListError: contrasts or labels have to be chosen, or a table of names is broken.
    """
    choice = choice or BidsChoice()
    if not has_subjects(root):
        raise DataListError("D503", f"{root}: no folder sub-*; the BIDS layout needs them. Type: ls {quoted(root)}")
    listing = files_of(root)
    chosen = choose(root, listing, choice.images)
    whole = [scan for scan in chosen.scans if len(scan.there) == len(scan.files)]
    known = {file.scan for file in listing.files}
    found = find_labels(root, whole, known, label_wanted(choice.labels), choice.folder)
    sites = read_sites(root / PARTICIPANTS)
    tables = _tables(found)
    cases = tuple(_case(scan, found, sites.sites) for scan in whole)
    faults = (
        *(SourceFault("D542", why, file=path) for path, why in listing.bad),
        *(SourceFault("D545", why, file=root / PARTICIPANTS) for why in sites.faults),
        *_incomplete(chosen),
        *(SourceFault("D548", "an empty folder", file=folder) for folder in empty_folders(root)),
        *(
            SourceFault("D549", f"one label for {len(ids)} scans: {', '.join(ids[:4])}", ids[0], path)
            for path, ids in found.shared
        ),
    )
    return Source(
        root,
        "bids",
        root.resolve().name,
        cases,
        merged([(path, names) for path, names in tables.items()]) or _names_of_masks(found),
        chosen.channels,
        _modality(chosen),
        found.orphans,
        tuple(_notes(chosen, found, choice)),
        faults=faults,
        beside=_beside(root, found, tables),
        table_of_names=bool(tables),
    )


def _case(scan: Scanned, found: Found, sites: Mapping[str, str]) -> Case:
    first = scan.there[0]
    label = found.labels.get(scan.case_id)
    files = tuple(file.path for file in scan.there)
    site = sites.get(first.subject, UNKNOWN_SITE)
    return Case(scan.case_id, files, label.path if label else None, patient=first.subject, site=site)


def _incomplete(chosen: Chosen) -> Iterator[SourceFault]:
    for scan in chosen.scans:
        absent = [name for name, file in zip(chosen.channels, scan.files, strict=True) if file is None]
        if absent:
            held = ", ".join(file.path.name for file in scan.there)
            yield SourceFault("D547", f"no {', no '.join(absent)} beside {held}", scan.case_id, scan.there[0].path)


def _tables(found: Found) -> dict[Path, dict[int, str]]:
    """The tables of names of all labels, each read once."""
    tables: dict[Path, dict[int, str]] = {}
    listed: dict[Path, list[Path]] = {}
    for label in found.labels.values():
        path = label_table_of(label, found.root, listed)
        if path is not None and path not in tables:
            tables[path] = names_in(path)
    return tables


def _names_of_masks(found: Found) -> dict[int, str] | None:
    """The one structure that all masks name."""
    names = {name_of_mask(label) for label in found.labels.values()}
    name = names.pop() if len(names) == 1 else None
    return {1: name} if name else None


def _modality(chosen: Chosen) -> str | None:
    used = [file for scan in chosen.scans for file in scan.there]
    if {file.suffix.upper() for file in used} == {"CT"}:
        return "CT"
    if {file.suffix for file in used} == {"pet"}:
        return "PET"
    return modality_of(chosen.channels) or ("MRI" if {file.datatype for file in used} <= set(MRI) else None)


def _notes(chosen: Chosen, found: Found, choice: BidsChoice) -> Iterator[str]:
    contrasts = sorted({file.contrast for scan in chosen.scans for file in scan.there})
    yield f"BIDS: scans: {len(chosen.scans)}, contrasts: {', '.join(contrasts)}; labels: {_labels(found)}"
    if chosen.without and "sub" not in (choice.images or "") and "ses" not in (choice.images or ""):
        yield f"sessions without these contrasts: {len(chosen.without)} ({', '.join(chosen.without[:5])})"


def _labels(found: Found) -> str:
    kinds = sorted({kind_of("", file).name for file in found.labels.values()})
    return (
        f"{len(found.labels)} in {found.root} ({', '.join(kinds)})" if kinds else f"none found in {found.root / 'derivatives'}"
    )


def _beside(root: Path, found: Found, tables: Iterable[Path]) -> tuple[Path, ...]:
    """Small files that belong to the data set: descriptions and tables."""
    small = [root / DESCRIPTION, root / PARTICIPANTS, found.root / DESCRIPTION, *tables]
    return tuple(path for path in dict.fromkeys(small) if path.is_file())
