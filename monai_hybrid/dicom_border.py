"""DICOM at the border of prediction: which series of a folder are cases, and NIfTI files of them while they are needed."""

from __future__ import annotations

import csv
import io
import logging
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.amounts import few, plural
from data_prep.atomic import neighbour
from data_prep.errors import ConfigError, DataError, EnvironmentFault
from data_prep.foreign import dicom_readable, foreign_kind, holds_dicom, links_sentence
from data_prep.naming import keep_key_out, named, naming
from data_prep.pseudonyms import VARIABLE
from data_prep.quoting import quoted
from data_prep.reading import extension
from data_prep.scans import TABLE
from monai_hybrid.dicom_channels import studies

if TYPE_CHECKING:
    from data_prep.checks import Finding
    from data_prep.dicom import Series

PRIVATE = "dicom"  # folder of the NIfTI files, hidden in the output folder
UNREADABLE = "unreadable"
SHOWN = 3
SERIES = re.compile(r"sub-[A-Za-z0-9]+_ser-[a-z0-9]{6}")  # a case of DICOM; see `data_prep.naming`
PSEUDONYM = re.compile(r"sub-[a-z2-7]{10}_ser-[a-z2-7]{6}")
ACCEPTED = ("D517",)  # a series of one slice: the model's dimensions say whether that is a volume
logger = logging.getLogger("monai_hybrid.data")


def is_dicom(path: Path) -> bool:
    """Whether a path is a DICOM file or a folder that holds one, and can be read here."""
    if path.is_file() and (extension(path) is not None or foreign_kind(path) != "dicom"):
        return False
    return dicom_readable() and holds_dicom(path)


def dicom_cases(
    path: Path, output: Path, words: str | None = None, channels: Sequence[str] = ("image",)
) -> list[dict[str, Any]]:
    """A case for each series below a folder, or for the series in one file; for several channels one for each study.

    Args:
        path: a folder, any nesting, or a file; of a file that is one slice of several the whole series in its folder counts.
        output: folder of the results; not searched, and the place of the NIfTI files.
        words: which series are meant; see `data_prep.dicom.choice.choose`, and `dicom_channels.studies` for several channels.
        channels: names of the model's.

    Returns:
        {"case_id", "series", "image", "scans"}: the image is written when the case's turn comes, "scans" is where its series
        was found. Of several channels the image is a list, "channels" are their series, and "series" is the first of them. Or
        {"case_id", "image", "failure"} for a series that is no one volume, with the sentence of its check. Scouts and screen
        shots are left out.

    Raises:
        ConfigError: no such series; the results that lie in `output` have names of another key.
        DataError: no series of images.
        EnvironmentFault: highdicom is not installed.
    """
    from data_prep.dicom.choice import choose
    from data_prep.dicom.headers import read_headers
    from data_prep.dicom.library import highdicom
    from data_prep.dicom.series import series_of
    from data_prep.layouts.dicom import places_of

    highdicom()
    keep_key_out(output, makes=True)
    folder = path if path.is_dir() else path.parent
    apart = () if output.resolve() == folder.resolve() else _names_of(output, folder)
    scans = folder if path.is_dir() or _one_of_several(path) else path
    found = read_headers(scans, apart)
    every = [one for one in series_of(found) if path.is_dir() or path in one.files]
    chosen = choose(every, None if len(channels) > 1 else words)
    left = [one.title for one in chosen if one.left_out]
    if left:
        logger.warning("%d series left out, which are no volumes: %s", len(left), few(left, SHOWN, "; "))
    if found.links:
        logger.warning("%s", links_sentence(folder))
    private = neighbour(output / PRIVATE)
    places = places_of([one for one in chosen if not one.left_out], folder)
    if len(channels) > 1:
        cases = _of_channels(places, private, channels, words)
    else:
        cases = [_case(one, place, private) for one, place in places]
    _refuse_other_names(output, {case["case_id"] for case in cases})
    faults = _faults(found.faults, every) if not words and path.is_dir() else []
    if not cases:
        said = faults[0]["failure"].rstrip(".") if faults else "its DICOM files hold no series of images to segment"
        raise DataError(f"{path}: {said}. Type: monai-hybrid check {quoted(path)}")
    return [*(case | {"scans": str(scans)} for case in cases), *faults]


def _refuse_other_names(output: Path, cases: set[str]) -> None:
    """Of another key each patient would be a second case beside the first one."""
    try:
        rows = csv.DictReader(io.StringIO((output / TABLE).read_text(encoding="utf-8", errors="replace")))
        there = {name for row in rows if SERIES.fullmatch(name := str(row.get("case_id") or ""))}
    except (OSError, csv.Error):
        return
    hashed = {name for name in there if PSEUDONYM.fullmatch(name)}
    if naming().keep:
        other = "pseudonyms" if hashed - cases else ""
    elif there - hashed:
        other = "the names that --keep-names shows"
    else:
        other = "pseudonyms of another key file" if hashed and not hashed & (cases | naming().key.known("series")) else ""
    if other:
        raise ConfigError(
            f"{output / TABLE}: its cases have {other}, so each patient would appear twice; nothing was written. Type the "
            f"command as before, with the same key file (export {VARIABLE}=FILE) and --keep-names alike, or another --output"
        )


def _names_of(output: Path, folder: Path) -> tuple[Path, ...]:
    """The output folder as a walk of `folder` meets it."""
    inside = output.resolve().is_relative_to(folder.resolve())
    return (folder / output.resolve().relative_to(folder.resolve()),) if inside else ()


def _one_of_several(path: Path) -> bool:
    """Whether a file holds a single plane, so that its neighbours are the rest of its series."""
    from data_prep.dicom.headers import read_headers

    return len(read_headers(path).planes) == 1


def _case(series: Series, place: Path, private: Path) -> dict[str, Any]:
    from data_prep.checks import run_checks
    from data_prep.dicom.choice import without
    from data_prep.dicom.names import case_name

    name = case_name(series)
    case: dict[str, Any] = {"case_id": name, "image": str(private / f"{name}.nii")}
    findings = run_checks("series", series, name, str(place))
    errors = [finding for finding in findings if finding.level == "error" and finding.code not in ACCEPTED]
    if errors or not without(series, ACCEPTED).usable:
        return case | {"failure": _sentence(errors) if errors else f"{series.title}: no one volume"}
    return case | {"series": series}


def _of_channels(
    places: Sequence[tuple[Series, Path]], private: Path, channels: Sequence[str], words: str | None
) -> list[dict[str, Any]]:
    lies = {(one.patient_id, one.uid, one.part): place for one, place in places}
    cases = []
    for found, reason in studies([one for one, _ in places], channels, words):
        every = [_case(one, lies[one.patient_id, one.uid, one.part], private) for one in found]
        failure = reason or next((case["failure"] for case in every if "failure" in case), "")
        case = {"case_id": every[0]["case_id"], "image": [case["image"] for case in every]}
        cases.append(case | ({"failure": failure} if failure else {"series": found[0], "channels": found}))
    return cases


def series_of_case(case: Mapping[str, Any]) -> list[tuple[Series, str]]:
    """Each series of a case and its NIfTI file, in the order of the channels."""
    images = [case["image"]] if isinstance(case["image"], (str, Path)) else case["image"]
    return list(zip(case.get("channels", [case["series"]]), map(str, images), strict=True))


def _sentence(findings: Sequence[Finding]) -> str:
    """What is wrong and what to do; without the offer of `--accept`: a DICOM-SEG refers to one patient and one frame."""
    from data_prep.checks.registry import OFFER

    first = findings[0]
    return f"{first.code}: {first.sentence}. {first.remedy.split(OFFER)[0]}"


def _faults(faults: Sequence[tuple[Path, Any]], every: Sequence[Series]) -> list[dict[str, Any]]:
    """One failed case for all files that cannot be read: a series may lack them at its end, which nothing else shows."""
    from data_prep.dicom.names import shown_path

    if not faults:
        return []
    words = {word for one in every for word in one.identifiers}
    told = [f"{shown_path(file, words, 'unreadable')}: {fault.seen}" for file, fault in faults]
    said = f"{plural(len(told), 'DICOM file')} cannot be read: {few(told, SHOWN, '; ')}"
    return [{"case_id": UNREADABLE, "image": "", "failure": f"{said}. Fetch them again"}]


def nifti_of(folder: Path, place: Path) -> list[dict[str, Any]]:
    """Every sound series below a folder as NIfTI in `place`: {"case_id", "patient", "image"}; others are left out with a line.

    Files that are newer than those of their series are kept.

    Raises:
        ConfigError: the key to pseudonyms lies in `place`.
        DataError: no series, or one that cannot be read.
        EnvironmentFault: no space or no right.
    """
    from filelock import FileLock

    kept = []
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(place / ".lock"), named():  # of several processes of a training the first writes
        for case in dicom_cases(folder, place):
            if "failure" in case:
                logger.warning("%s: %s is left out: %s", folder, case["case_id"], case["failure"])
                continue
            image = place / f"{case['case_id']}.nii.gz"
            made = image.stat().st_mtime if image.is_file() else 0.0
            if made < max(file.stat().st_mtime for file in case["series"].files):
                written({**case, "image": image})
            patient = case["case_id"].rsplit("_", 1)[0]
            kept.append({"case_id": case["case_id"], "patient": patient, "image": str(image.resolve())})
    return kept


def refuse_series_words(words: Any, path: Path) -> None:
    """`--series` chooses among DICOM series alone.

    Raises:
        ConfigError: there are words.
    """
    if words is not None:
        raise ConfigError(f"--series {shlex.quote(str(words))}: {path} holds no DICOM series. Leave it out")


def written(case: Mapping[str, Any]) -> None:
    """Write the NIfTI files of a case's series, readable by this user alone.

    Raises:
        DataError: the series cannot be read.
        EnvironmentFault: no space or no right.
    """
    for series, image in series_of_case(case):
        _write(series, Path(image))


def _write(series: Series, image: Path) -> None:
    from data_prep.dicom import write_nifti
    from data_prep.volume import ReadError

    try:
        image.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_nifti(series, image)
    except ReadError as fault:
        raise DataError(f"{series.title}: {fault.seen}. Fetch the whole series again") from fault
    except OSError as error:
        raise EnvironmentFault(
            f"{image.parent.parent}: cannot be written ({error.strerror}); free some space or give another --output"
        ) from error


def removed(case: Mapping[str, Any]) -> None:
    """Delete the NIfTI files of a case's series."""
    if "series" in case:
        for _, image in series_of_case(case):
            Path(image).unlink(missing_ok=True)


def all_removed(cases: Sequence[Mapping[str, Any]]) -> None:
    """Delete the folder of the NIfTI files."""
    for folder in {Path(image).parent for case in cases if "series" in case for _, image in series_of_case(case)}:
        shutil.rmtree(folder, ignore_errors=True)


def shown(text: str, case: Mapping[str, Any]) -> str:
    """A sentence about a case with its series in the place of the file, and without words that name the patient."""
    from data_prep.dicom.names import without_identifiers

    for series, image in series_of_case(case):
        text = without_identifiers(text.replace(image, series.title), series.identifiers)
    return text
