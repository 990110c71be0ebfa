"""Images without labels, for the denoising term and for self-training: the rest of the training list, or a folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.bids import is_bids, scans_to_predict
from data_prep.cases import Case
from data_prep.checks.registry import OFFER
from data_prep.colour import parse_colour
from data_prep.datalist import images_of
from data_prep.examine import examine_case
from data_prep.files import read_datalist, read_dataset
from data_prep.foreign import foreign_sentence
from data_prep.grouped import named, with_copies
from data_prep.home import at_home
from data_prep.known_files import equal_files
from data_prep.quoting import quoted
from data_prep.reading import EXTENSIONS, extension, stem
from data_prep.scans import Scan, sort_files
from monai_hybrid.bundle.cases import images_under, unique_names
from monai_hybrid.bundle.data import PreparedData
from monai_hybrid.dicom_border import is_dicom, nifti_of
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.shots import without_labels
from monai_hybrid.losses.objectives import get_objective
from monai_hybrid.transforms.domains import DOMAIN, TARGET

WHERE = "unlabelled_dir: "
OFFERED_BY_BUILD = "; or, if it is meant so, build the data set with --accept"  # in the place of OFFER
NEVER_SEEN = (
    "unlabelled_dir: random shapes take the place of every image, so these scans would never be seen. Leave --unlabelled-dir "
    "out here, and give it to monai-hybrid adapt"
)
NO_DOMAINS = (
    "domain_label: there are no scans of a target to tell from the source's; name their folder with --unlabelled-dir, or leave "
    "--domain-label out"
)
SHOWN = 10
logger = logging.getLogger("monai_hybrid.adaptation")


def unlabelled_cases(
    data: PreparedData,
    labelled: Sequence[dict[str, Any]],
    objective: str,
    rest: bool = False,
    folder: str | None = None,
    to_look_at: bool = False,
    output_dir: str | None = None,
    self_training: bool = False,
    domain_label: bool = False,
) -> list[dict[str, Any]]:
    """Cases without "label", to train with.

    Args:
        data: the target. Its validation and test images are never taken, wherever they are found.
        labelled: the cases that are trained with their labels; not taken a second time.
        objective: name of the arm; one without an image term learns nothing from an image alone.
        rest: take the training list's other images.
        folder: take a folder's images (`images/` or `imagesTr/` in it, if there is one), a BIDS data set's, or the training
            and validation lists of a prepared data set. Of a folder of DICOM each sound series.
        to_look_at: the images serve for something else too (`match_appearance`), so an objective without an image term is no
            mistake: it trains with none of them.
        output_dir: where DICOM series are written as NIfTI, below `data/unlabelled/`.
        self_training: a teacher gives them masks, so an objective without an image term learns from them too.
        domain_label: mark those of `folder` as the target's, for a network with domains.

    Raises:
        ConfigError: the objective has no image term, and the images serve for nothing else; self-training without images, or
            with an objective that learns no mask; `domain_label` without `folder`; `folder` beside random shapes.
        DataError: no image, one that cannot be read or trained with, or a data set of other channels or dimensions.
    """
    if self_training and not get_objective(objective).learns_masks:
        raise ConfigError(f"self_training: the objective {objective} learns no mask; add --objective hybrid")
    if domain_label and not folder:
        raise ConfigError(NO_DOMAINS)
    if folder and data.plan.get("universal"):
        raise ConfigError(NEVER_SEEN)
    if not (rest or folder):
        if self_training:
            raise ConfigError(
                "self_training: there are no images without labels; name their folder with --unlabelled-dir, or take the other "
                "training images with --unlabelled True"
            )
        return []
    if not get_objective(objective).image_term and not self_training:
        if to_look_at:
            return []
        name = f"unlabelled_dir {folder}" if folder else "unlabelled"
        raise ConfigError(
            f"{name}: the objective {objective} learns nothing from images without labels; add --objective hybrid, "
            "or --self-training True"
        )
    found = without_labels(data.training) if rest else []
    of_folder = cases_of_folder(at_home(folder), data, labelled, output_dir) if folder else []
    found += [{**case, DOMAIN: TARGET} for case in of_folder] if domain_label else of_folder
    cases = others(found, [*labelled, *data.validation, *data.testing])
    if not cases:
        raise DataError(f"{folder or data.folder}: no unlabelled image is left; all are labelled, validation or test cases")
    use = "self-training" if self_training else "the denoising term"
    logger.info("%d images without labels for %s (%d found)", len(cases), use, len(found))
    return cases


def scans_of_target(data: PreparedData, folder: str | None = None, output_dir: str | None = None) -> list[dict[str, Any]]:
    """The target's training images and those of `folder`, all without labels; never its validation and test images.

    `folder` and `output_dir` are those of `unlabelled_cases`.

    Raises:
        DataError: as `unlabelled_cases`.
    """
    training = without_labels(data.training)
    found = cases_of_folder(at_home(folder), data, training, output_dir) if folder else []
    return training + others(found, [*training, *data.validation, *data.testing])


def others(found: Sequence[dict[str, Any]], kept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of `found` whose files are none of `kept`, each once."""
    taken = {files_of(case) for case in kept}
    cases = []
    for case in found:
        if files_of(case) not in taken:
            taken.add(files_of(case))
            cases.append(case)
    return cases


def files_of(case: dict[str, Any]) -> tuple[str, ...]:
    """The image files of a case, by which two data sets' cases are told to be the same."""
    return tuple(str(Path(name).resolve()) for name in images_of(case))


def cases_of_folder(
    folder: Path, data: PreparedData, labelled: Sequence[dict[str, Any]], output_dir: str | None
) -> list[dict[str, Any]]:
    """The images of a folder that can be trained with beside `data`; arguments and errors are those of `unlabelled_cases`."""
    if not folder.is_dir():
        raise DataError(f"unlabelled_dir: no such folder: {folder}; give a folder of images, or one made by monai-hybrid build")
    if (folder / "datalist.json").is_file():
        return _of_prepared(folder, data)
    if is_bids(folder):
        return _all_checked(_of_bids(folder, data.dataset["channels"]), data, folder)
    root, images = images_under(folder, output_dir, ("images", "imagesTr"))
    loose = [path for path in images if path.parent == root]
    if not loose and is_dicom(folder):
        return _of_dicom(folder, data, labelled, output_dir)
    found = sort_files(loose or images, root, data.dataset["channels"])
    if found.left_out:
        logger.warning("unlabelled_dir: %s: %s", root, found.said().partition(". ")[0])
    if not found.scans:
        said = foreign_sentence(folder)
        if said:
            raise DataError(f"unlabelled_dir: {folder}: {said}")
        raise DataError(f"unlabelled_dir: {folder} holds no image; expected files that end with {', '.join(EXTENSIONS)}")
    # In folders of their own several may have one name, such as ct.nii.gz.
    names = unique_names([scan.name.relative_to(root) for scan in found.scans])
    return _all_checked(
        [replace(scan, name=root / f"{name}.nii.gz") for scan, name in zip(found.scans, names, strict=True)], data, root
    )


def _of_bids(folder: Path, channels: Sequence[str]) -> list[Scan]:
    """The scans of a BIDS data set: its only contrast, or those that the channels of the labelled data name."""
    scans = scans_to_predict(folder, channels)
    return [Scan(scan.files, scan.files[0].with_name(f"{scan.case_id}.nii.gz"), scan.missing) for scan in scans]


def _of_dicom(
    folder: Path, data: PreparedData, labelled: Sequence[dict[str, Any]], output_dir: str | None
) -> list[dict[str, Any]]:
    """Sound series of patients that are not held out, and no series a second time, under whatever key it was named before."""
    if output_dir is None:
        raise DataError(f"unlabelled_dir: {folder} is DICOM. Give output_dir too; its series are written there as NIfTI")
    held = [*data.validation, *data.testing]
    patients, cases = {case.get("patient") for case in held}, {case["case_id"] for case in labelled}
    files = [Path(name) for case in [*held, *labelled] for name in files_of(case)]
    kept: list[tuple[Scan, str]] = []
    for case in nifti_of(folder, Path(output_dir) / "data" / "unlabelled"):
        image = Path(case["image"])
        if case["patient"] in patients or case["case_id"] in cases or any(equal_files(image, other) for other in files):
            continue
        kept.append((Scan((image,), image), case["patient"]))
    checked = _all_checked([scan for scan, _ in kept], data, folder)
    return [case | {"patient": patient} for case, (_, patient) in zip(checked, kept, strict=True)]


def _of_prepared(folder: Path, data: PreparedData) -> list[dict[str, Any]]:
    dataset, datalist = read_dataset(folder), read_datalist(folder)
    refuse_other_form(f"{WHERE}{folder}", dataset, data)
    return without_labels(datalist["training"] + datalist["validation"])


def refuse_other_form(what: str, dataset: Mapping[str, Any], data: PreparedData) -> None:
    """Held against the data of the target.

    Raises:
        DataError: other dimensions, channels or colours.
    """
    for key in ("spatial_dims", "channels", "colour"):
        if dataset.get(key) != data.dataset.get(key):
            raise DataError(f"{what} has {key} {dataset.get(key)}, the labelled data {data.dataset.get(key)}")


def _all_checked(scans: Sequence[Scan], data: PreparedData, folder: Path) -> list[dict[str, Any]]:
    """Every scan, checked.

    Raises:
        DataError: with all that cannot be used.
    """
    cases, faults = [], []
    for scan in scans:
        try:
            cases.append(_checked(scan, data))
        except DataError as fault:
            faults.append(str(fault).removeprefix(WHERE))
    if len(faults) == 1:
        raise DataError(f"{WHERE}{faults[0]}")
    if faults:
        told = [f"  {fault}" for fault in faults[:SHOWN]]
        told += [f"  ... and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        head = f"{WHERE}{folder}: {len(faults)} of {len(scans)} scans cannot be used; mend them or take them out:"
        raise DataError("\n".join([head, *told, f"To see all: {_look_at(folder)}"]))
    return cases


def _look_at(folder: Path) -> str:
    """The command that checks all images of a folder; loose ones are no data set, so each is checked alone."""
    there = quoted(folder)
    loose = any(extension(path) for path in folder.iterdir())
    nested = not loose and any(extension(path) for path in folder.rglob("*"))
    if is_bids(folder) or not (loose or nested):
        return f"monai-hybrid check {there} --allow-unlabelled"
    if nested:
        return f'find {there} -type f -exec monai-hybrid check "{{}}" ";"'
    return f'for file in {there}/*; do monai-hybrid check "$file"; done'


def _checked(scan: Scan, data: PreparedData) -> dict[str, Any]:
    """One scan, held to the checks that `data_prep` makes on images."""
    path, name, dims = scan.files[0], stem(scan.name), data.dataset["spatial_dims"]
    channels, colour = len(data.dataset["channels"]), parse_colour(data.dataset.get("colour"))
    accept = data.dataset.get("accepted") or ()
    record, findings = examine_case(Case(name, scan.files, None), channels, colour, flat=dims == 2, accept=accept)
    errors = [finding for finding in findings if finding.level == "error"]
    if scan.missing and (errors or len(scan.files) > 1):
        raise DataError(f"unlabelled_dir: {scan.missing}")
    if errors or record is None:
        said = named(with_copies(str(errors[0]), path), path.parent).replace(OFFER, OFFERED_BY_BUILD) if errors else ""
        raise DataError(f"unlabelled_dir: {said}" if errors else f"unlabelled_dir: {path}: cannot be used")
    if record.spatial_dims != dims:
        raise DataError(f"unlabelled_dir: {path} is {record.spatial_dims}D, the labelled data are {dims}D")
    files = [str(file.resolve()) for file in scan.files]
    return {"image": files if len(files) > 1 else files[0], "case_id": name, "patient": name, "site": record.case.site}
