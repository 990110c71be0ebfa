"""Image and mask side by side in one folder, told apart by their names.

p1.nii.gz, p1_seg.nii.gz; scan.nrrd, scan-label.nrrd                      (ITK-SNAP, 3D Slicer)
volume-0.nii, segmentation-0.nii                                          (LiTS)
p1.jpg, p1_mask.png; p1.jpg, p1.png
p1_t1.nii.gz, p1_flair.nii.gz, p1_seg.nii.gz                              (channels)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_prep.amounts import few, plural
from data_prep.cases import Case, Source
from data_prep.errors import DataListError
from data_prep.label_affixes import of_mask_beside
from data_prep.layouts.beside import Beside, exact_pairs, images_and_masks, listed, pairs
from data_prep.layouts.channels import Channeled, by_ending, of_channels, one_each, several
from data_prep.layouts.common import described, folders_in, modality_of, names_beside
from data_prep.reading import stem


def is_pairs(root: Path) -> bool:
    """Whether masks lie beside their images here."""
    found = images_and_masks(root)
    return bool(pairs(found.images, found.masks) or by_ending(found.images, _names(found)))


def are_several(root: Path) -> bool:
    """Whether more than one image has its mask beside it, so that this is no folder of one case."""
    found = images_and_masks(root)
    return len(set(exact_pairs(found.images, found.masks).values())) > 1


def read(root: Path) -> Source:
    """List the cases of a folder in which each mask lies beside its image or its channels.

    Raises:
        DataListError: there is no mask of an image's name, two of one image, or the channels cannot be told.
    """
    found = images_and_masks(root)
    paired, channels = pairs(found.images, found.masks), by_ending(found.images, _names(found))
    if paired and (not several(channels) or exact_pairs(found.images, found.masks)):
        mask_of = one_each({mask: image.name for mask, image in paired.items()}, root)
        made = Channeled(tuple(Case(stem(image), (image,), mask_of.get(image.name)) for image in found.images))
    elif channels:
        made = of_channels(root, found.images, _names(found), channels)
    else:
        seen = plural(len(found.images), "image") + (f" ({few([path.name for path in found.images])})" if found.images else "")
        raise DataListError("D503", f"{root}: no mask beside its image; it holds {seen}. Expected names like p1 and p1_seg")
    names = names_beside(root, "labels")
    table, told = (None, ()) if names else described(root, ".")
    used = {case.label for case in made.cases} | {fault.file for fault in made.faults}
    return Source(
        root,
        "pairs",
        root.resolve().name,
        made.cases,
        names or table,
        made.channels if len(made.channels) > 1 else ("image",),
        modality_of(made.channels),
        orphans=tuple(mask for mask in found.masks if mask not in used),
        notes=(*_notes(root, found, made), *told),
        faults=made.faults,
        table_of_names=table is not None,
    )


def _names(found: Beside) -> dict[Path, tuple[str, ...]]:
    """Mask -> the names that its case may have."""
    return {mask: tuple(of_mask_beside(stem(mask))) for mask in found.masks}


def _notes(root: Path, found: Beside, made: Channeled) -> Iterator[str]:
    said = f"masks beside their images: {plural(sum(case.label is not None for case in made.cases), 'case')}"
    yield said + (f", channels: {', '.join(made.channels)}" if len(made.channels) > 1 else "")
    if made.others:
        yield f"images that are no channel of a case, left out: {listed(made.others)}"
    if found.ours:
        yield f"masks or maps that this tool wrote, left out: {listed(found.ours)}"
    folders = [path.name for path in folders_in(root)]
    if folders:
        yield f"folders within were not looked into: {few(folders)}"
