"""`repair`: go through the cases, correct what is certain into a new folder, and check the result."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from data_prep.atomic import new_folder
from data_prep.cases import SPLITS, Case, Source
from data_prep.check import check
from data_prep.checks import Finding
from data_prep.datalist import case_of, images_of
from data_prep.dead_links import absent
from data_prep.disk import look_at
from data_prep.errors import ConfigError, DataError, EnvironmentFault, said_by_system
from data_prep.files import read_datalist
from data_prep.foreign import CHECK
from data_prep.free_names import free
from data_prep.json_io import dump_json
from data_prep.layouts import FOLDERS, folder_within
from data_prep.layouts.alone import one_image, source_or_images
from data_prep.layouts.common import image_files
from data_prep.naming import keep_key_out
from data_prep.pictures import PICTURES
from data_prep.places import refuse_special
from data_prep.quoting import quoted
from data_prep.reading import NIFTI, extension, read_volume
from data_prep.repair.copies import Copy, refuse_names, volumes_apart
from data_prep.repair.draft import Draft, corrected, open_draft
from data_prep.repair.fixes import FIXES, Judgement
from data_prep.repair.ome import common_names
from data_prep.repair.picture import mapped_picture
from data_prep.repair.picture_anew import picture_anew
from data_prep.repair.places import elsewhere, in_the_copy, within
from data_prep.repair.stated import CHANNELS, Stated, stated
from data_prep.structures import label_files
from data_prep.volume import ReadError, Volume

SMALL = (".json", ".csv", ".tsv", ".md")  # files that describe a data set
LOG = "repair.json"
Reading = Mapping[str, Any]  # layout, folders of images and labels, and what of BIDS is meant


@dataclass(frozen=True)
class Repair:
    """One correction: `source` and `copy` are files, with the SHA-256 of each."""

    code: str
    source: str
    copy: str
    what: str
    source_sha256: str
    copy_sha256: str


@dataclass(frozen=True)
class Refusal:
    """A defect that a person has to judge."""

    code: str
    source: str
    why: str


@dataclass
class RepairReport:
    """What was corrected, what was refused, and what `check` still says about the result."""

    repairs: list[Repair] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    remaining: list[Finding] = field(default_factory=list)
    labelled: bool = True  # whether there are masks
    reading: Reading = field(default_factory=dict)  # how the copy is read

    def as_json(self, source: Path, out: Path, dry_run: bool) -> dict[str, Any]:
        """The content of repair.json."""
        return {
            "format_version": 1,
            "source": str(source),
            "out": str(out),
            "dry_run": dry_run,
            "repairs": [asdict(entry) for entry in self.repairs],
            "refusals": [asdict(entry) for entry in self.refusals],
            "remaining": [finding.as_dict() for finding in self.remaining],
        }


def repair(
    path: str | Path,
    out: str | Path,
    dry_run: bool = False,
    values: Mapping[int, int] | None = None,
    link: bool = False,
    layout: str = "auto",
    labels_dir: str | None = None,
    bids_filter: str | None = None,
    bids_labels: str | None = None,
    images_dir: str | None = None,
    pictures: bool = False,
    pages: str | None = None,
    voxel_size: str | tuple[float, ...] | None = None,
) -> RepairReport:
    """Write a corrected copy of a raw data set, or a corrected data list; never touch the source.

    Args:
        path: folder of a layout that `build` reads, or of images alone, or one that holds a datalist.json, or that file; or
            one image.
        out: a new folder. A raw data set is copied into it whole; of a data list, only corrected files are.
        dry_run: do all of it in a temporary folder, and throw that away.
        values: label value -> label value.
        link: files without defect become links to the source instead of copies.
        layout: see `read_source`.
        labels_dir: see `read_source`.
        bids_filter: see `read_source`.
        bids_labels: see `read_source`.
        images_dir: see `read_source`.
        pictures: write transparent images opaque, other colours in red, green and blue, and masks in JPEG as two values.
        pages: what the pages of a picture, or the volumes of a NIfTI file with four axes, are: "slices" of a volume,
            "channels", or "first" to take the first alone.
        voxel_size: of pages that are slices, mm: along a row, along a column, from page to page.

    Raises:
        DataError: the path does not exist.
        ConfigError: the path is of no known layout; `out` exists, or lies within the source; an option is wrong.
        DataListError: the data set's own description is damaged.
        EnvironmentFault: no space or no right; `out` is not there then.
    """
    path, out, said = Path(path), Path(out), stated(values, pictures, pages, voxel_size)
    how = {
        "layout": layout,
        "labels_dir": folder_within(path, labels_dir),
        "bids_filter": bids_filter,
        "bids_labels": bids_labels,
        "images_dir": folder_within(path, images_dir),  # as it is called in the copy too
    }
    _check_folders(path, out)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.") if dry_run else new_folder(out) as name:
            made = Path(name)
            report = _into(path, made, said, link or dry_run, how)
            report.reading = in_the_copy(path, how)
            report.remaining = list(_renamed(report.remaining, str(made), str(out)))
            if not dry_run:
                dump_json(report.as_json(path, out, dry_run), made / LOG)
    except OSError as error:
        raise _fault(error, path, out) from error
    return report


def _fault(error: OSError, path: Path, out: Path) -> EnvironmentFault:
    """What to say of a file of the source that cannot be read, or of the copy that cannot be written."""
    if isinstance(error.filename, str | Path) and Path(error.filename).is_relative_to(path):
        return EnvironmentFault(said_by_system(error))
    return EnvironmentFault(f"{out}: cannot be written: {error.strerror}. Type: {look_at(error, out.parent)}")


def _check_folders(path: Path, out: Path) -> None:
    refuse_special(path)
    if not path.exists():
        raise DataError(f"{path}: {absent(path, f'there is no such file or folder. Type: ls {quoted(path.parent)}')}")
    root = (path.parent if path.is_file() and not _is_image(path) else path).resolve()
    for folder in (root if root.is_dir() else root.parent, out):  # small files of the one are copied into the other
        keep_key_out(folder)
    if out.exists() or out.is_symlink():
        raise ConfigError(f"--output {out}: it exists; expected the name of a new folder. Type: --output {quoted(free(out))}")
    if out.resolve().is_relative_to(root):
        raise ConfigError(
            f"--output {out}: it lies within {path}, which stays as it is. Type: --output {quoted(free(f'{root}_repaired'))}"
        )


def _into(path: Path, made: Path, said: Stated, link: bool, how: Reading) -> RepairReport:
    report = RepairReport()
    if (path.is_file() and not _is_image(path)) or (path / "datalist.json").is_file():
        if option := said.is_of_raw_files:
            of = "its values in dataset.json" if option == "--map" else "its files elsewhere"
            raise ConfigError(f"{option}: a prepared data set has {of}; repair the raw folder, then build anew")
        _datalist(path if path.is_file() else path / "datalist.json", made, report)
        report.remaining = check(made)
        return report
    raw = one_image(path) if path.is_file() else source_or_images(path, **how)
    if raw.series:
        raise ConfigError(f"{path}: it is DICOM, which is never changed. Type: {CHECK} {quoted(path)}")
    if said.pages == CHANNELS:
        said = replace(said, channels=common_names(path for case in raw.cases for path in case.images))
    places = elsewhere(path, how) if raw.layout == FOLDERS else {}
    for case in raw.cases:
        for file, data in _case(case, said.values, report, label_files(raw, case)):
            copies = _anew(file, data, file not in case.images, raw, said, report)
            for copy in copies:
                _put((made / within(file, raw.root, places)).with_name(copy.name), copy.data, file, link=False)
            if not copies:
                _put(made / _copy_name(file, raw, report, places), data, file, link)
    for file in _beside(raw) if path.is_dir() else ():
        _put(made / _copy_name(file, raw, report, places), None, file, link)
    for folder, name in places.items():  # what its values are called
        _put(made / f"{name}.json", None, folder.parent / f"{folder.name}.json", link)
    report.labelled = raw.labelled
    report.remaining = (
        check(made, **in_the_copy(path, how)) if raw.labelled else [one for file in image_files(made) for one in check(file)]
    )
    return report


def _is_image(path: Path) -> bool:
    return path.is_file() and extension(path) is not None


def _copy_name(file: Path, raw: Source, report: RepairReport, places: Mapping[Path, str]) -> Path:
    """The path of a copy: that of its source, with the ending in small letters, unless a list names files as they are."""
    name, end = within(file, raw.root, places), extension(file)
    small = file.with_name(file.name[: -len(end)] + end) if end else file
    if end is None or small == file or raw.layout == "msd" or small.exists() or not file.is_file():
        return name
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    what = f"written as {small.name}: every reader knows the ending {end}"
    report.repairs.append(Repair("D509", str(file), small.name, what, digest, digest))
    return name.with_name(small.name)


def _beside(raw: Source) -> Iterator[Path]:
    """Labels without image, and the small files that describe the set."""
    yield from (path for path in raw.orphans if path.is_file())
    yield from (path for path in raw.beside if path.is_relative_to(raw.root) and path.parent != raw.root)
    yield from (path for path in sorted(raw.root.iterdir()) if path.suffix in SMALL and path.is_file())


def _anew(file: Path, data: bytes | None, is_label: bool, raw: Source, said: Stated, report: RepairReport) -> list[Copy]:
    """The files that take the place of one that is not read as it is; none where nobody stated how."""
    try:
        if extension(file) in NIFTI:
            copies = [] if is_label else volumes_apart(file, data, len(raw.channels), said)
        else:
            copies = picture_anew(file, is_label, said) if extension(file) in PICTURES else []
        refuse_names(file, copies, raw.layout)
    except Judgement as judgement:
        report.refusals.append(Refusal("--pages" if said.pages else "--pictures", str(file), str(judgement)))
        return []
    except (EnvironmentFault, MemoryError):
        raise
    except Exception:  # Pillow has no one error class for what is damaged; `check` says what is wrong with it
        return []
    if copies:
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        done = [(entry.code, entry.what) for entry in report.repairs if entry.source == str(file)]  # in each copy too
        report.repairs[:] = [entry for entry in report.repairs if entry.source != str(file)]
        for copy in copies:
            after = hashlib.sha256(copy.data).hexdigest()
            whats = [*done, (copy.code, copy.what)]
            report.repairs += [Repair(code, str(file), copy.name, what, before, after) for code, what in whats]
    return copies


def _datalist(file: Path, made: Path, report: RepairReport) -> None:
    """Write a data list in which corrected files replace their sources; the other files stay where they are."""
    content = read_datalist(file)
    for entry in (entry for split in SPLITS for entry in content[split]):
        case = case_of(entry)
        new: dict[str, str] = {}
        for source, data in _case(case, {}, report):
            if data is not None:
                target = made / "corrected" / case.case_id / ("label" if source == case.label else "image") / source.name
                _put(target, data, source, link=False)
                new[str(source)] = target.relative_to(made).as_posix()
        images = [new.get(image, image) for image in images_of(entry)]
        entry["image"] = images if len(images) > 1 else images[0]
        entry |= {"label": new.get(entry["label"], entry["label"])} if case.label is not None else {}
    dump_json(content, made / "datalist.json")
    for name in ("dataset.json", "plan.json"):
        if (file.parent / name).is_file():
            shutil.copyfile(file.parent / name, made / name)


def _case(
    case: Case, values: Mapping[int, int], report: RepairReport, labels: Sequence[Path] | None = None
) -> Iterator[tuple[Path, bytes | None]]:
    """Each file of a case with its corrected bytes, None when it needs none; files that are not there are left out."""
    partner: Volume | None = None
    for path in case.images:
        data, volume = _file(path, None, {}, report, partner)
        partner = partner or volume
        yield path, data
    own = () if case.label is None else (case.label,)
    for label in own if labels is None else labels:
        yield label, _file(label, partner or _unknown(label), values, report)[0]


def _unknown(path: Path) -> Volume:
    """Stands for an image that cannot be read, so that its label is still known as one."""
    import numpy as np

    return Volume(path, np.zeros((0, 0, 0)), None, "unknown", "")


def _file(
    path: Path, partner: Volume | None, values: Mapping[int, int], report: RepairReport, like: Volume | None = None
) -> tuple[bytes | None, Volume | None]:
    try:
        if extension(path) in PICTURES and values and partner is not None:
            data, what = mapped_picture(path, values)
            _log(report, path, data, {"map": what} if what else {})
            return (data if what else None), None
        if extension(path) not in NIFTI:
            return None, read_volume(path)
        draft = open_draft(path, partner, values, like)
    except (ReadError, OSError, EOFError):
        return None, None  # `check` says what is wrong with it
    _apply(draft, report)
    data = corrected(draft) if draft.done else b""
    _log(report, path, data, draft.done)
    return (data or None), draft.volume


def _apply(draft: Draft, report: RepairReport) -> None:
    for code, fix in FIXES.items():
        try:
            what = fix(draft)
        except Judgement as reason:
            report.refusals.append(Refusal(code, str(draft.path), str(reason)))
        else:
            draft.done |= {code: what} if what else {}


def _log(report: RepairReport, path: Path, data: bytes, done: Mapping[str, str]) -> None:
    before = hashlib.sha256(path.read_bytes()).hexdigest() if done else ""
    after = hashlib.sha256(data).hexdigest()
    report.repairs += [Repair(code, str(path), path.name, what, before, after) for code, what in done.items()]


def _put(target: Path, data: bytes | None, source: Path, link: bool) -> None:
    """Write corrected bytes, or copy (or link) the source; what is not there stays away."""
    if data is None and not source.is_file():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if data is not None:
        target.write_bytes(data)
    elif link:
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)


def _renamed(findings: Iterable[Finding], old: str, new: str) -> Iterator[Finding]:
    """Findings about the new files, under the name they will have."""
    for finding in findings:
        message, remedy = finding.message.replace(old, new), finding.remedy.replace(old, new)
        yield replace(finding, file=finding.file.replace(old, new), message=message, remedy=remedy)
