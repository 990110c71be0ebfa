"""D4xx: do the files belong together?"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from data_prep.checks.geometry import TOLERANCE
from data_prep.checks.registry import Remark, check
from data_prep.checks.subjects import DatasetSubject, PairSubject
from data_prep.geometry import corner_distance, is_invertible

REGRID = "Export the label again on the grid of its image: {file}"


@check("D401", on="pair", level="error", remedy=REGRID)
def shape_mismatch(pair: PairSubject) -> str | None:
    """Image and label (or two channels) have different shapes."""
    if pair.first.shape == pair.second.shape:
        return None
    return f"shape {pair.second.shape}; {pair.first.path.name} has {pair.first.shape}"


@check("D402", on="pair", level="error", remedy=REGRID)
def affine_mismatch(pair: PairSubject) -> str | None:
    """Image and label (or two channels) lie at different places; tolerance a tenth of the smallest voxel edge."""
    first, second = pair.first.affine, pair.second.affine
    if first is None or second is None or shape_mismatch(pair) or not (is_invertible(first) and is_invertible(second)):
        return None
    distance = corner_distance(first, second, pair.first.shape)
    tolerance = TOLERANCE * float(np.linalg.norm(first[:3, :3], axis=0).min())
    if distance <= tolerance:
        return None
    return f"it lies {distance:.3g} mm away from {pair.first.path.name}; tolerance {tolerance:.3g} mm"


@check("D403", on="dataset", level="error", remedy="Add the label, or type: build ... --allow-unlabelled")
def missing_label(subject: DatasetSubject) -> Iterator[Remark]:
    """An image has no label."""
    for case in subject.cases:
        if case.label is None and not subject.allow_unlabelled:
            yield Remark("this image has no label of the same name", case.case_id, str(case.images[0]))


@check("D404", on="dataset", level="error", remedy="Add the image, or move the label away: mv {file} ..")
def missing_image(subject: DatasetSubject) -> Iterator[Remark]:
    """A label has no image."""
    for path in subject.orphans:
        yield Remark("this label has no image of the same name", "", str(path))


@check("D405", on="dataset", level="error", remedy="Keep one of the two: rm {file}")
def same_file_twice(subject: DatasetSubject) -> Iterator[Remark]:
    """Two cases have the same image, byte for byte: one person would be counted twice, or cross a split."""
    first: dict[str, str] = {}
    for facts in subject.facts:
        for path, digest in zip(facts.case.images, facts.digests, strict=True):
            if digest in first:
                yield Remark(f"the same content as {first[digest]}", facts.case.case_id, str(path))
            else:
                first[digest] = str(path)


@check(
    "D406",
    on="dataset",
    level="error",
    remedy="Rename one of them, so that results cannot overwrite each other: {file}",
)
def ids_alike(subject: DatasetSubject) -> Iterator[Remark]:
    """Two case ids are equal, or equal but for case or Unicode form."""
    groups: dict[str, list[str]] = defaultdict(list)
    for case in subject.cases:
        groups[unicodedata.normalize("NFC", case.case_id).casefold()].append(case.case_id)
    for ids in groups.values():
        for case_id in ids[1:]:
            yield Remark(f"case ids {ids[0]!r} and {case_id!r} differ at most by upper and lower case", case_id)


@check("D407", on="dataset", level="error", remedy="Put all cases of a patient into one list of the splits file")
def patient_across_splits(subject: DatasetSubject) -> Iterator[Remark]:
    """A patient is in two splits: the result on the second would be too good."""
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for case in subject.cases:
        if case.split is not None and case.patient:
            splits[case.patient].setdefault(case.split, case.case_id)
    for patient, seen in splits.items():
        if len(seen) > 1:
            where = ", ".join(f"{split} ({case_id})" for split, case_id in seen.items())
            yield Remark(f"patient {patient!r} is in {where}", next(iter(seen.values())))


@check("D409", on="dataset", level="error", remedy="Give every case one file per channel, in the same order")
def channel_files_differ(subject: DatasetSubject) -> Iterator[Remark]:
    """Cases have different numbers of image files (channels)."""
    wanted = len(subject.cases[0].images) if subject.cases else 0
    for case in subject.cases:
        if len(case.images) != wanted:
            yield Remark(f"{len(case.images)} image files; the first case has {wanted}", case.case_id, str(case.images[0]))


@check("D408", on="dataset", level="error", remedy="Build 2D and 3D data sets separately: {file}")
def mixed_dimensions(subject: DatasetSubject) -> Iterable[Remark]:
    """2D and 3D images are mixed."""
    wanted = subject.facts[0].spatial_dims if subject.facts else None
    return [
        Remark(f"{facts.spatial_dims}D; the first case is {wanted}D", facts.case.case_id, str(facts.case.images[0]))
        for facts in subject.facts
        if facts.spatial_dims != wanted
    ]
