"""Predictions of DICOM series on the page: NIfTI files of them, in a private folder for as long as the page is open."""

from __future__ import annotations

import gzip
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import DataError, HybridError
from data_prep.foreign import dicom_readable, holds_dicom
from data_prep.json_io import write_atomically
from data_prep.known_files import file_digest
from data_prep.naming import named
from data_prep.quoting import quoted
from data_prep.result_files import anything
from data_prep.this_python import install
from data_prep.volume import ReadError

if TYPE_CHECKING:
    from data_prep.dicom import Series
    from monai_hybrid.gallery.cases import Case, Label

IMAGES = "images"  # beside the labels: scans as NIfTI, without which nothing could be trained on these
MOVED = "Add --images FOLDER, the folder of the DICOM files"


def unknown(folder: Path | None) -> str:
    """Why an image that a table names is not shown."""
    place = "" if folder is None else f" {quoted(folder)}"
    known = "the table does not show that the mask was made from it"
    return f"its image lies elsewhere, and {known}. If both are yours: --images{place}"


class Export:
    """The series of a folder of DICOM, found when the first is asked for, and the private folder of their NIfTI files.

    Args:
        folder: of the DICOM files, or one of them; None where it is not known.
        trusted: the user has named it; else a series is held to the digest of its case.
    """

    def __init__(self, folder: Path | None, trusted: bool = False) -> None:
        self.folder, self.trusted = folder, trusted
        self.lock = threading.Lock()

    @cached_property
    def reason(self) -> str:
        """Why its series cannot be shown; "" when they can."""
        if self.folder is None or not self.folder.exists():
            return f"its DICOM series is not there. {MOVED}"
        if not dicom_readable():
            return f"its image is DICOM. Type: {install('dicom')}"
        return "" if holds_dicom(self.folder) else f"{self.folder} holds no DICOM. {MOVED}"

    @cached_property
    def _private(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="monai_hybrid_view_")  # deleted when the process ends

    @cached_property
    def _found(self) -> Sequence[Series]:
        from data_prep.dicom import find_series

        assert self.folder is not None
        return find_series(self.folder if self.folder.is_dir() else self.folder.parent)

    def series(self, case_id: str) -> Series:
        """The series of a case.

        Raises:
            DataError: it is not there under this name.
            ConfigError, EnvironmentFault: the key to pseudonyms cannot be read.
        """
        from data_prep.dicom.names import case_name

        for keep in (False, True):  # names of --keep-names are of another form
            with named(keep):
                one = next((one for one in self._found if not one.left_out and case_name(one) == case_id), None)
            if one is not None:
                return one
        raise DataError(f"case {case_id}: no series in {self.folder} has this name with the present key of names. {MOVED}")

    def place(self, name: str) -> Path:
        """Where a file of this name is kept."""
        return Path(self._private.name) / name


@dataclass(frozen=True)
class DicomCase:
    """What is known of a case whose image is a series: its export, its DICOM-SEG, and the labels that are its segments.

    `digest` is that of the first file of its series, as the table has it.
    """

    export: Export
    case_id: str
    seg: Path
    labels: Sequence[Label]
    digest: str

    @property
    def image(self) -> Path:
        """The series as NIfTI; there once `written` was called."""
        return self.export.place(f"{self.case_id}.nii")

    @property
    def mask(self) -> Path:
        """The mask as NIfTI, likewise."""
        return self.export.place(f"{self.case_id}_seg.nii")

    def written(self) -> None:
        """Write both files, once.

        Raises:
            DataError: the series or the mask cannot be read, or is not there.
            EnvironmentFault: no space.
        """
        with self.export.lock:
            if self.mask.exists():
                return
            from monai_hybrid import dicom_border

            series = self.export.series(self.case_id)
            if not self.export.trusted and file_digest(series.files[0]) != self.digest:
                raise DataError(f"case {self.case_id}: {unknown(self.export.folder)}")
            dicom_border.written({"series": series, "image": self.image})
            try:
                self._write_mask(series)
            except ReadError as fault:
                raise DataError(f"{self.seg}: {fault.seen}. Predict again") from fault

    def discard(self) -> None:
        """Take both files away; `written` writes them again."""
        with self.export.lock:
            self.mask.unlink(missing_ok=True)
            self.image.unlink(missing_ok=True)

    def _write_mask(self, series: Series) -> None:
        import nibabel as nib

        from data_prep.dicom.seg_read import label_map, read_segmentation

        found = read_segmentation(self.seg)
        values = {label.index: label.value for label in self.labels}
        unknown = [segment.name for segment in found.segments if segment.number not in values]
        if unknown:
            raise DataError(f"{self.seg}: its segment {unknown[0]!r} is not among the labels. Give its model with --model")
        array = label_map([found], series, {segment.name: values[segment.number] for segment in found.segments}, False)
        write_atomically(self.mask, nib.Nifti1Image(array, series.affine).to_bytes(), anything)

    def kept(self, case: Case, folder: Path) -> Case:
        """The case with its image in a folder of labels, so that these can be trained on when the page is closed.

        Raises:
            DataError: another image of this name is there.
            EnvironmentFault: no space or no right.
        """
        target = folder / IMAGES / f"{self.case_id}.nii.gz"
        content = gzip.compress(self.image.read_bytes(), 1, mtime=0)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, content, anything)
        elif target.read_bytes() != content:
            raise DataError(f"{target}: another image is there, and is kept. Give another folder with --labels")
        return replace(case, images=(target,))


def dicom_folder(settings: Mapping[str, object], images: Path | None) -> Path | None:
    """Where the series of a prediction lie: as the user says, else as its run was told."""
    if images is not None:
        return images
    given = settings.get("input") or settings.get("dataset_dir")
    with suppress(HybridError):
        from data_prep.home import at_home

        return at_home(given) if isinstance(given, str) and given else None
    return None
