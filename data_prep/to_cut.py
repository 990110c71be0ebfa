"""Volumes that `slices` cuts: files of any format that is read here, or DICOM series, each as a NIfTI image of three axes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib

from data_prep.errors import ConfigError, DataError
from data_prep.foreign import dicom_readable, foreign_sentence, holds_dicom
from data_prep.free_names import proposed
from data_prep.new_nifti import new_nifti
from data_prep.quoting import quoted
from data_prep.reading import ITK, NIFTI, extension, read_volume
from data_prep.slice_names import Slot, slots
from data_prep.slicer_segments import ENDING, segments_of
from data_prep.volume import ReadError, Volume

FORMATS = NIFTI + ITK
LABELS = "labels"
SLICES, PREPARED = "_slices", "_prepared"
DIMS = 3


@dataclass(frozen=True)
class ToCut:
    """A volume whose slices have their numbers in the `slot` of its name.

    Masks take the header of `file` where that is NIfTI; `read` reads a DICOM series, None of files.
    """

    slot: Slot
    file: Path
    read: Callable[[], Volume] | None = None

    @property
    def shown(self) -> str:
        """What it is called in sentences: of a series its case, for files and folders of DICOM are called like patients."""
        return str(self.file) if self.read is None else self.slot.case

    def image(self) -> Any:
        """A nibabel image (X, Y, Z), affine to RAS mm, of NIfTI with its header; a sentence where it is no such volume.

        Raises:
            DataError: it is damaged.
            EnvironmentFault: the format needs SimpleITK, which is not installed.
        """
        if self.read is None and self.file.name.lower().endswith(ENDING) and segments_of(self.file):
            return f"{self.file}: a segmentation of 3D Slicer; slices would lose its names. Export it there to a label map"
        try:
            volume = self.read() if self.read else read_volume(self.file)  # holds NIfTI to its header before nibabel opens it
        except ReadError as fault:
            remedy = "Fetch the series again" if self.read else f"Type: monai-hybrid check {quoted(self.file)}"
            raise DataError(f"{self.shown}: {fault.seen}. {remedy}") from fault
        axes, affine = volume.array.ndim, volume.affine
        if affine is None or axes < DIMS or volume.channels > 1:
            more = "; give each channel or time a file of its own" if axes > DIMS else ""
            return f"{self.shown}: {axes} axes; expected a volume of three{more}"
        if self.read is None and extension(self.file) in NIFTI:
            image = nib.load(self.file)
            return image if axes == DIMS else image.slicer[(slice(None),) * DIMS + (0,) * (axes - DIMS)]
        return new_nifti(volume.array.reshape(volume.shape), affine)


def is_volume(file: str | Path) -> bool:
    """Whether `slices` reads such a file, by its name."""
    return extension(Path(file)) in FORMATS


def to_cut(source: Path, series: str | None = None) -> tuple[list[ToCut], list[str]]:
    """The volumes of a folder and the folders within, or of one file, and a sentence for what is left out.

    Hidden files are left out without one. DICOM series count where no other volume lies outside of `labels/`; `series`
    says which, see `data_prep.dicom.choice.choose`.

    Raises:
        ConfigError: no such series, or `series` where there is none.
        DataError: there is none, or two would give slices of one name.
        EnvironmentFault: pydicom is not installed.
    """
    files = volumes_in(source)
    root = source if source.is_dir() else source.parent
    if all(LABELS in file.relative_to(root).parts for file in files) and dicom_readable() and holds_dicom(source):
        return _series(source, files, series)
    if series is not None:
        raise ConfigError(f"--series {shlex.quote(series)}: {source} holds no DICOM series to cut. Leave it out")
    if not files:
        said = foreign_sentence(source) or f"no volume; expected {', '.join(FORMATS)}, or DICOM"
        raise DataError(f"{source}: {said}")
    known = slots(root, files)
    found = [ToCut(known[file], file) for file in files]
    names: dict[str, Path] = {}
    for one in found:
        if (other := names.setdefault(one.slot.numbered(0), one.file)) is not one.file:
            both = f"{other} and {one.file.name} would give slices of one name"
            raise DataError(f"{both}; expected one of them. Type: mv -n {quoted(one.file)} ..")
    return found, []


def volumes_in(source: Path) -> list[Path]:
    """The files of volumes in a folder and the folders within, or the one file; hidden ones are left out."""
    if source.is_file():
        return [source] * is_volume(source)
    return [file for file in sorted(source.rglob("*")) if _seen(file, source) and is_volume(file) and file.is_file()]


def _seen(file: Path, source: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(source).parts)


def _series(source: Path, masks: Sequence[Path], series: str | None) -> tuple[list[ToCut], list[str]]:
    """The sound DICOM series, called as `predict` calls them; masks belong to series by rules that `build` knows."""
    from data_prep.layouts import dicom

    read = dicom.read(source, series=series)
    found = [ToCut(Slot(case.case_id), case.images[0], read.volumes[case.images[0]]) for case in read.cases]
    return found, [*_left_out(read), *_masks(source, bool(masks) or read.labelled)]


def _left_out(read: Any) -> Iterator[str]:
    sound = {case.case_id for case in read.cases}
    for finding in read.findings:
        if finding.level == "error" and finding.case not in sound:
            yield f"{finding.case or finding.file}: {finding.code}: {finding.sentence}"


def _masks(source: Path, there: bool) -> Iterator[str]:
    if there:
        prepared = proposed(source, PREPARED)
        yield (
            f"{source}: masks of DICOM series. To train on slices, build, and cut what is written: "
            f"monai-hybrid build {quoted(source)} --output {quoted(prepared)}, then "
            f"monai-hybrid slices {quoted(prepared)} --output {quoted(proposed(source, SLICES))}"
        )
