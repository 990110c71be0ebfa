"""Read each case once: run the checks on it and keep the few numbers that the descriptions need."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.cases import Case, Source, SourceFault
from data_prep.checks import Finding, run_checks
from data_prep.checks.subjects import CaseFacts, DatasetSubject, ImageSubject, LabelSubject, PairSubject
from data_prep.colour import Colour
from data_prep.files_of_cases import Whole, shown_files, whole_cases
from data_prep.geometry import in_ras_order, orientation
from data_prep.ignoring import marked
from data_prep.in_processes import each
from data_prep.outlines import not_masks
from data_prep.progress import told
from data_prep.roles import read_image, read_label
from data_prep.same_scan import canonical
from data_prep.tones import Tone, tones
from data_prep.unused_lists import UnusedList
from data_prep.volume import Affine, Array, ReadError, Volume
from data_prep.voxel_order import in_order_of

SAMPLES = 10_000  # voxels drawn per channel and case: percentiles to about 0.1 % of rank, 40 kB


@dataclass(frozen=True)
class CaseRecord:
    """Numbers of one sound case. Shapes in voxels and spacings in mm, axes of the file or in RAS order.

    `voxels` counts the label's voxels by value, empty without a label, `ignored` those that nobody annotated. `samples` and
    `foreground` hold grey values drawn per channel, float32, from the whole image and from the voxels of any class. `ranges`
    are the lowest and highest grey value of each channel. `tones` say how bright each class is against its image. `digests`
    and `places` tell an image file from others, see `same_scan.canonical`.
    """

    case: Case
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    spacing_known: bool
    orientation: str | None
    ras_shape: tuple[int, ...]
    ras_spacing: tuple[float, ...]
    voxels: Mapping[int, int]
    samples: tuple[Array, ...]
    foreground: tuple[Array, ...]
    digests: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...] = ()
    tones: Mapping[int, Tone] = field(default_factory=dict)
    ignored: int = 0
    grey: bool = False  # all its files are pictures without colour
    places: tuple[Affine | None, ...] = ()

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return len(self.shape)


@dataclass(frozen=True)
class Examined:
    """One case: its record, None where an error was found, and the findings. `dims` are the spatial axes of its first readable
    image, `flat` tells that the file has one slice more."""

    record: CaseRecord | None
    findings: list[Finding]
    dims: int | None
    flat: bool


@dataclass(frozen=True)
class Examination:
    """Records of the sound cases and findings about all."""

    records: tuple[CaseRecord, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that forbid training."""
        return [finding for finding in self.findings if finding.level == "error"]


@dataclass(frozen=True)
class Reading:
    """How each case is read and judged.

    Attributes:
        channels: number of channels an image must have, over all files of a case.
        declared: label value -> name; None accepts any whole number from 0.
        accept: codes of judgements that the user overrules.
        colour: which colours of a picture are the channels, None for pictures of one grey value.
        volumes: how to read the images and labels that are no single file, by the path that stands for them.
        ignore: see `Source`.
        whole: what leaves the data set with a case, see `files_of_cases`.
    """

    channels: int = 1
    declared: Mapping[int, str] | None = None
    accept: Collection[str] = ()
    colour: Colour = None
    volumes: Mapping[Path, Callable[[], Volume]] = field(default_factory=dict)
    ignore: int | None = None
    whole: Whole = field(default_factory=dict)


@dataclass(frozen=True)
class About:
    """What is known of a data set beside its cases.

    Attributes:
        orphans: labels without an image.
        allow_unlabelled: images without a label are no error.
        modality: "CT", "MRI", another word, or None when not said.
        folds: of the training cases, when the list gives them.
        ignored: files beside the images, of unknown formats.
        unused: lists and tables beside the images.
        patients_stated: the user said which patient each case is of.
        faults: what the layout's reader passed over.
        table_of_names: see `Source`.
        not_masks: what to say of annotations that are no masks, where a label is missing.
    """

    orphans: Sequence[Path] = ()
    allow_unlabelled: bool = False
    modality: str | None = None
    folds: Sequence[int | None] = ()
    ignored: Sequence[Path] = ()
    unused: Sequence[UnusedList] = ()
    patients_stated: bool = False
    faults: Sequence[SourceFault] = ()
    table_of_names: bool = False
    not_masks: str = ""


def examine(cases: Sequence[Case], how: Reading, about: About, dims: int | None = None, jobs: int = 1) -> Examination:
    """Read and check every case, then check the data set as a whole.

    Args:
        cases: what to read.
        how, about: see there.
        dims: 2 or 3, as an earlier build has decided; None decides now. Volumes of one slice count as 2D where most images are
            2D, and as 3D in a data set of volumes.
        jobs: processes that read; images that are no single file (in `how.volumes`) are read by this one.
    """
    jobs = 1 if _of_series(cases, how.volumes) else jobs
    done = list(told(each(partial(_examined, how=how, flat=dims != 3), cases, jobs), "cases read", total=len(cases)))
    if dims is None and _mostly_thick(done):
        again = zip(cases, done, strict=True)
        done = [_examined(case, how, flat=False) if one.flat else one for case, one in again]
    findings = [finding for one in done for finding in one.findings]
    records = [one.record for one in done if one.record is not None]
    facts = [_case_facts(record) for record in records]
    subject = DatasetSubject(cases, facts, declared=how.declared, ignore=how.ignore, **vars(about))
    shown = {} if _of_series(cases, how.volumes) else shown_files(cases, how.whole)
    return Examination(tuple(records), (*findings, *run_checks("dataset", subject, accept=how.accept, files=shown)))


def examine_source(
    raw: Source,
    cases: Sequence[Case],
    declared: Mapping[int, str] | None,
    accept: Collection[str],
    about: About,
    jobs: int = 1,
) -> Examination:
    """`examine` of cases of a raw data set; to `about` comes all that its layout says of them."""
    how = Reading(
        len(raw.channels), declared, accept, raw.colour, raw.volumes, raw.ignore, {} if raw.series else whole_cases(raw)
    )
    lacking = not about.allow_unlabelled and any(case.label is None for case in cases)
    about = replace(
        about, orphans=raw.orphans, modality=about.modality or raw.modality, ignored=raw.ignored, faults=raw.faults,
        table_of_names=raw.table_of_names, not_masks=not_masks(raw.root) if lacking and not raw.series else "",
    )  # fmt: skip
    return examine(cases, how, about, jobs=jobs)


def _of_series(cases: Sequence[Case], volumes: Mapping[Path, Callable[[], Volume]]) -> bool:
    """Whether images are DICOM series, whose files may name patients."""
    return any(path in volumes for case in cases for path in case.images)


def _mostly_thick(done: Sequence[Examined]) -> bool:
    thick = sum(one.dims == 3 for one in done)
    return thick > 0 and thick >= sum(one.dims == 2 for one in done)


def _case_facts(record: CaseRecord) -> CaseFacts:
    quartiles = tuple((float(q[0]), float(q[1]), float(q[2])) for q in (np.percentile(s, (25, 50, 75)) for s in record.samples))
    return CaseFacts(
        record.case,
        record.digests,
        record.spatial_dims,
        frozenset(record.voxels),
        record.ranges,
        quartiles,
        record.tones,
        record.grey,
        record.ignored,
        record.places,
        record.ras_spacing if record.spacing_known else (),
    )


def examine_case(
    case: Case, channels: int = 1, colour: Colour = None, flat: bool = False, accept: Collection[str] = ()
) -> tuple[CaseRecord | None, list[Finding]]:
    """Read one case once; no record when a file is unreadable or a finding is an error. `flat` reads one slice as 2D."""
    done = _examined(case, Reading(channels, accept=accept, colour=colour), flat)
    return done.record, done.findings


def _examined(case: Case, how: Reading, flat: bool) -> Examined:
    findings: list[Finding] = []
    shown = {} if _of_series([case], how.volumes) else shown_files([case], how.whole)
    asked = partial(run_checks, case=case.case_id, accept=how.accept, files=shown)

    def read(path: Path, reader: Callable[[], Volume]) -> Volume | None:
        return _read(reader, path, findings, asked)

    images = [read(path, partial(read_image, path, how.colour, flat, how.volumes.get(path))) for path in case.images]
    label = None
    if case.label is not None:
        label = read(case.label, partial(read_label, case.label, flat, how.volumes.get(case.label)))
    sound = [image for image in images if image is not None]
    for image in sound:
        wanted = how.channels if len(case.images) == 1 else 1
        findings += asked("image", ImageSubject(image, wanted), file=str(image.path))
    counts = count_values(label.array) if label is not None else {}
    ignored = counts.pop(float(how.ignore), 0) if how.ignore is not None else 0
    if label is not None:
        findings += asked("label", LabelSubject(label, counts, how.declared, ignored), file=str(label.path))
    for other in [*sound[1:], *([label] if label is not None else [])]:
        if sound and other is not sound[0]:
            pair = PairSubject(sound[0], other, counts if other is label else None)
            findings += asked("pair", pair, file=str(other.path))
    dims, is_flat = (sound[0].spatial_dims, sound[0].flat_axis is not None) if sound else (None, False)
    if any(finding.level == "error" for finding in findings):
        return Examined(None, findings, dims, is_flat)
    label = in_order_of(sound[0], label) if label is not None and sound else label
    record = _record(case, sound, label, {int(value): count for value, count in counts.items()}, how.ignore)
    record = replace(record, ignored=ignored) if ignored else record
    return Examined(record, findings, dims, is_flat)


def _read(
    read: Callable[[], Volume], path: Path, findings: list[Finding], asked: Callable[..., list[Finding]]
) -> Volume | None:
    try:
        volume = read()
    except ReadError as fault:
        findings += asked("fault", fault, file=str(fault.file or path), accept=())
        return None
    findings += asked("volume", volume, file=str(path))
    return volume


def count_values(label: Array) -> dict[float, int]:
    """Number of voxels of each value of a label of any shape; every NaN is counted under one key."""
    if label.dtype == bool or (label.dtype.kind == "u" and label.dtype.itemsize <= 2):
        counts = np.bincount(label.ravel(order="K"))
        return {float(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, numbers = np.unique(label, return_counts=True)
    return {float(value): int(number) for value, number in zip(values, numbers, strict=True)}


def _record(case: Case, images: list[Volume], label: Volume | None, voxels: dict[int, int], ignore: int | None) -> CaseRecord:
    first = images[0]
    seed = zlib.crc32(
        case.case_id.encode("utf-8", "surrogateescape")
    )  # the same draw in every run, whatever the order of cases
    told = [canonical(image) for image in images]
    planes = [image.channel(index) for image in images for index in range(image.channels)]
    values = marked(label.channel(0).reshape(first.shape), ignore) if label is not None else None
    mask = values > 0 if values is not None else None
    return CaseRecord(
        case=case,
        shape=first.shape,
        spacing=first.spacing,
        spacing_known=first.affine is not None,
        orientation=orientation(first),
        ras_shape=in_ras_order(first, first.shape),
        ras_spacing=in_ras_order(first, first.spacing),
        voxels=voxels,
        samples=tuple(draw(plane.ravel(order="F"), seed) for plane in planes),
        foreground=tuple(draw(plane[mask], seed) for plane in planes) if mask is not None else (),
        digests=tuple(digest for digest, _ in told),
        places=tuple(place for _, place in told),
        ranges=tuple((float(plane.min()), float(plane.max())) for plane in planes),
        tones=tones(planes, values, seed) if values is not None else {},
        grey=all(image.grey for image in images),
    )


def draw(values: Array, seed: int) -> Array:
    """All values, or `SAMPLES` of them drawn with replacement; (N,) -> (min(N, SAMPLES),), float32."""
    if values.size > SAMPLES:
        values = values[np.random.default_rng(seed).integers(0, values.size, SAMPLES)]
    return values.astype(np.float32)


def pooled(parts: Iterable[Sequence[Array]]) -> list[Array]:
    """Join the drawn values (N,) of many cases, channel by channel."""
    return [np.concatenate(channel) for channel in zip(*(part for part in parts if part), strict=True)]
