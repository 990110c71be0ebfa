"""Two folders, images/ and labels/ or of other names, with equal file names but for a common ending.

In labels/ a case may have a folder with a mask for each structure, images/p1.nii.gz and labels/p1/liver.nii.gz, or a structure
one with a mask for each case, labels/liver/p1.nii.gz.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.amounts import few
from data_prep.cases import Case, Source
from data_prep.errors import ConfigError
from data_prep.label_affixes import pair_labels, says_mask, without_label_words
from data_prep.layouts.beside import images_and_masks, listed, refuse_two_of_a_name, without_ours
from data_prep.layouts.channels import Channeled, by_ending, names_in_labels, of_channels, several
from data_prep.layouts.common import described, image_files, label_folder, modality_of, names_beside, require_images
from data_prep.layouts.pairs import is_pairs
from data_prep.layouts.structure_folders import ByStructure, by_names, by_structure
from data_prep.layouts.structure_labels import structure_labels
from data_prep.layouts.two_folders import HERE, Folders, fitting, masks_in, the_one
from data_prep.quoting import quoted
from data_prep.reading import stem
from data_prep.scans import lies_beside_masks
from data_prep.spelling import in_one_spelling
from data_prep.structure_names import by_name, whole_labels

USUAL = Folders("images", "labels")


def read(
    root: Path,
    labels_dir: str | None = None,
    label_names: str | Mapping[int, str] | None = None,
    images_dir: str | None = None,
) -> Source:
    """List the cases of a folder with images/ and labels/, or with two folders of other names.

    `label_names` says which masks of structures are meant, where a case has a folder of them. `images_dir` "." is `root`.

    Raises:
        ConfigError: the label folder does not exist, a structure that is asked for, or several pairs of folders fit.
        DataError: the folder of images is missing or empty, the file of label names is damaged, or no structure can be told.
    """
    where = _named(root, images_dir, labels_dir)
    images = require_images(root / where.images)
    place = _label_place(root, where, images_dir, labels_dir)
    refuse_two_of_a_name(files := image_files(place))
    labels, left_out = masks_in(place), [path for path in files if lies_beside_masks(path)]
    images, notes = without_ours(images) if where.images == USUAL.images else _without_ours(root / where.images, images)
    if left_out:
        notes = (*notes, f"previews or maps that this tool wrote beside masks, left out: {listed(left_out)}")
    pairs = pair_labels([stem(path) for path in images], labels)
    usual = where.images == images_dir or where == USUAL
    told = () if usual and where.labels in (labels_dir, USUAL.labels) else (_said(where),)
    in_folders = bool(labels) and not files  # each case or each structure has a folder of masks
    if files and not pairs.labels:
        masks = names_in_labels(labels.values())
        if several(channels := by_ending(images, masks)):
            return _of_channels(
                root, where.labels, (*told, *notes), of_channels(root, images, masks, channels), labels.values()
            )
        loose = by_names(list(labels.values()), [stem(path) for path in images])
        if loose.cases:
            return _of_structures(root, images, loose, label_names, where.labels, (*told, *notes))
    if in_folders and not pairs.labels:
        turned = by_structure(place, [stem(path) for path in images])
        if len(turned.folders) == 1:  # one set of masks, which may be of many classes
            within = f"{where.labels}/{turned.folders[0]}"
            only = read(root, within, label_names, where.images)
            return replace(only, notes=(*told, f"masks lie in {within}/", *only.notes))
        if turned.folders:
            return _of_structures(root, images, turned, label_names, where.labels, (*told, *notes))
    cases = tuple(Case(stem(path), (path,), pairs.labels.get(stem(path))) for path in images)
    names = names_beside(root, where.labels)
    table, said = (None, ()) if names or not files else described(root, where.labels)
    source = Source(
        root, "folders", root.name, cases, names or table, orphans=pairs.orphans,
        notes=(*told, *([pairs.note] if pairs.note else []), *notes, *said), table_of_names=table is not None,
    )  # fmt: skip
    return _with_structures(source, where.labels, label_names) if in_folders else source


def _of_channels(root: Path, labels: str, told: Sequence[str], made: Channeled, masks: Iterable[Path]) -> Source:
    """A case has an image for each channel, p1_t1 and p1_flair, and one mask, p1."""
    names = names_beside(root, labels)
    table, said = (None, ()) if names else described(root, labels)
    used = {case.label for case in made.cases} | {fault.file for fault in made.faults}
    notes = [*told, f"channels: {', '.join(made.channels)}", *said]
    if made.others:
        notes.append(f"images that are no channel of a case, left out: {listed(made.others)}")
    return Source(
        root,
        "folders",
        root.name,
        made.cases,
        names or table,
        made.channels,
        modality_of(made.channels),
        orphans=tuple(mask for mask in masks if mask not in used),
        notes=tuple(notes),
        faults=made.faults,
        table_of_names=table is not None,
    )


def _label_place(root: Path, where: Folders, images_dir: str | None, labels_dir: str | None) -> Path:
    """The folder of labels.

    Raises:
        ConfigError: it does not exist, it is that of the images, or masks lie beside the images.
        DataError: it does not exist, and there are images alone.
    """
    images = root / where.images
    if labels_dir is None and not (root / where.labels).is_dir() and is_pairs(images):
        place = root if where.images == HERE else images
        alone = " without --images-dir" if images_dir else ""
        raise ConfigError(f"{place}: masks lie beside their images there; give that folder{alone}: {quoted(place)}")
    place = label_folder(root, where.labels)
    if place.resolve() == images.resolve():
        raise ConfigError(f"{place}: images and masks cannot be the same folder. Give two: --images-dir NAME --labels-dir NAME")
    return place


def _without_ours(folder: Path, images: list[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """As `without_ours`, of a folder that nobody has called images/; it says of other masks too that they lie there."""
    found = images_and_masks(folder)
    notes = [f"masks or maps that this tool wrote, left out: {listed(found.ours)}"] if found.ours else []
    if found.masks:
        notes.append(f"called like masks, but in the folder of images, and so taken for images: {listed(found.masks)}")
    ours = set(found.ours)
    return [path for path in images if path not in ours], tuple(notes)


def _named(root: Path, images_dir: str | None, labels_dir: str | None) -> Folders:
    """The two folders: as they were named, else images/ and labels/, else the only two that belong together."""
    plain = Folders(images_dir or USUAL.images, labels_dir or USUAL.labels)
    if (root / plain.images).is_dir() and (root / plain.labels).is_dir():
        return plain
    known = images_dir or (USUAL.images if (root / USUAL.images).is_dir() else None)
    return the_one(root, fitting(root, known, labels_dir)) or plain


def _said(where: Folders) -> str:
    images = "the folder itself" if where.images == HERE else f"{where.images}/"
    return f"images lie in {images}, masks in {where.labels}/"


def _with_structures(source: Source, labels_dir: str, label_names: str | Mapping[int, str] | None) -> Source:
    """Labels are folders here: each mask in them is one of a structure, unless each holds one that is called like its case."""
    places = {case.case_id: case.label for case in source.cases if case.label is not None}
    found = in_one_spelling({case: by_name(image_files(place), place.name, place) for case, place in places.items()})
    alone = [case for case, own in found.items() if len(own) == 1 and _is_whole(next(iter(own.values())), places[case].name)]
    if labels := whole_labels(found, alone, source.root):
        return replace(source, cases=tuple(replace(case, label=labels.get(case.case_id)) for case in source.cases))
    joined = structure_labels(found, places, source.root, labels_dir, label_names)
    return replace(
        source,
        label_names=joined.label_names,
        notes=(*source.notes, *joined.notes),
        faults=joined.faults,
        volumes=joined.volumes,
        table_of_names=joined.table_of_names,
    )


def _of_structures(
    root: Path,
    images: Sequence[Path],
    turned: ByStructure,
    label_names: str | Mapping[int, str] | None,
    labels: str,
    told: Sequence[str],
) -> Source:
    """Each mask is of a structure, by its folder or by its name; the first mask of a case stands for all of them."""
    places = {case: next(iter(own.values())) for case, own in turned.cases.items()}
    joined = structure_labels(turned.cases, places, root, labels, label_names)
    structures = sorted({name for own in turned.cases.values() for name in own})
    by = (
        f"lie in a folder for each structure: {few(turned.folders)}"
        if turned.folders
        else f"are of one structure each: {few(structures)}"
    )
    said = [*told, f"masks {by}"]
    if turned.others:
        said.append(f"folders in {labels}/ without a mask of an image, left out: {few(turned.others)}")
    return Source(
        root,
        "folders",
        root.name,
        tuple(Case(stem(path), (path,), places.get(stem(path))) for path in images),
        joined.label_names,
        orphans=tuple(turned.orphans),
        notes=(*said, *joined.notes),
        faults=joined.faults,
        volumes=joined.volumes,
        table_of_names=joined.table_of_names,
    )


def _is_whole(mask: Path, case: str) -> bool:
    return case in (stem(mask), *without_label_words(stem(mask))) or says_mask(stem(mask))
