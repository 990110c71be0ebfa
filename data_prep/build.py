"""`build`: from a raw folder to datalist.json, dataset.json and plan.json. Images are never copied or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.cases import Case, Source
from data_prep.ceiling import Masks
from data_prep.checks import Finding, run_checks
from data_prep.checks.people import PATIENTS_STATED
from data_prep.colour import with_colour
from data_prep.datalist import make_datalist
from data_prep.dicom.hiding import hidden, mask_files
from data_prep.dicom.labels import CONTOURS, OWN
from data_prep.errors import ConfigError, DataError
from data_prep.examine import About, Examination, examine_source
from data_prep.files import write_all
from data_prep.fingerprint import describe
from data_prep.free_names import MASKS, free
from data_prep.grouped import Findings, ordered, refusal_lines
from data_prep.ignoring import checked_ignore
from data_prep.in_processes import checked_jobs
from data_prep.label_names import chosen_names, label_table
from data_prep.layouts import read_source
from data_prep.layouts.common import raw_dataset_json
from data_prep.naming import keep_key_out, named
from data_prep.options import BuildOptions
from data_prep.patients import PatientFinder
from data_prep.places import refuse_among, refuse_special, refuse_unlistable
from data_prep.plan import BUDGETS, make_plan
from data_prep.quoting import quoted
from data_prep.result_files import refuse_others, take_folder
from data_prep.splits import folds_by_patient, in_order, split_by_chance, split_by_file
from data_prep.structures import FOLDER as JOINED_FOLDER
from data_prep.structures import write_joined
from data_prep.unused_lists import UnusedList, unused_lists

LABEL_FOLDER = "nifti_labels"  # and their masks
NIFTI_FOLDER = "nifti"  # in the prepared folder: what DICOM series were turned into
AIR_HU = -500  # MR values are not negative; air in CT is -1000


@dataclass(frozen=True, repr=False)
class BuildReport:
    """What a build has to say besides its files: warnings, and sentences about what was left out or written."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    patients: str = ""  # how many, and by what rule

    def __repr__(self) -> str:
        """As the command line tells it: a line for each kind of finding, then the notes."""
        told = [repr(Findings(self.findings))] if self.findings else []
        return "\n".join([*told, *(f"note: {note}" for note in (*self.notes, self.patients) if note)])


def build(source: str | Path, out: str | Path, **options: Any) -> BuildReport:
    """Read, check and describe a raw data set; write datalist.json, dataset.json and plan.json into `out`.

    Args:
        source: folder of the raw data.
        out: folder for the three files; made when missing.
        options: see `BuildOptions`.

    Raises:
        ConfigError: an option or a folder is wrong.
        DataError: the checks found errors; nothing is written.
        EnvironmentFault: no space, no right, or SimpleITK is needed and missing.
    """
    settings, folder = BuildOptions.of(options), Path(out)
    refuse_special(Path(source))
    refuse_unlistable(Path(source), settings.name)
    _check_settings(settings, folder)
    refuse_among(folder, Path(source))
    with named(settings.keep_names):
        keep_key_out(folder, makes=True)
        return _build(Path(source), folder, settings)


def _build(source: Path, folder: Path, settings: BuildOptions) -> BuildReport:
    raw = with_colour(_raw(source, settings), settings.colour)
    raw = raw if settings.ignore_label is None else replace(raw, ignore=checked_ignore(settings.ignore_label))
    cases, notes, about = select_cases(raw, settings)
    _require_masks(raw)
    names = chosen_names(settings.label_names, raw)
    result = _examined(raw, cases, names, settings, about, folder)
    if raw.series:
        cases, result, note = _converted(raw, cases, result, folder)
        notes = (*notes, note)
    elif raw.volumes:
        cases, result, note = _with_joined(raw, cases, result, folder)
        notes = (*notes, note)
    if settings.n4:
        cases, result, note = _corrected(raw, cases, names, settings, folder, about)
        notes = (*notes, note)
    dataset, plan = _write(folder, raw, cases, names, result, settings, about)
    findings = (*result.findings, *run_checks("plan", plan["ceiling"], file=str(folder / "plan.json")))
    return BuildReport(tuple(ordered(findings)), (*notes, *_hints(dataset), *_nothing_held_out(cases, settings)), about.rule)


def _raw(source: Path, settings: BuildOptions) -> Source:
    return read_source(
        source, settings.layout, settings.labels_dir, settings.series, settings.accepted,
        settings.bids_filter, settings.bids_labels, settings.label_names, settings.images_dir,
    )  # fmt: skip


def _check_settings(settings: BuildOptions, folder: Path) -> None:
    if settings.budget not in {budget for budget, _ in BUDGETS}:
        raise ConfigError(f"--budget {settings.budget}: unknown; expected cpu or gpu")
    _ = (
        settings.accepted,
        settings.colour,
        checked_ignore(settings.ignore_label),
        checked_jobs(settings.jobs),
    )  # refuse unknown words before anything is read
    if settings.target_spacing is not None and len(settings.target_spacing) not in (2, 3):
        raise ConfigError(f'--spacing {settings.spacing!r}: expected 2 or 3 numbers. Type: --spacing "2,2,2"')
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output {folder}: it is a file; expected a folder")
    if folder.is_dir() and raw_dataset_json(folder) is not None:
        other = quoted(free(f"{folder}_prepared"))
        raise ConfigError(f"--output {folder}: its dataset.json belongs to a raw data set and is kept. Type: --output {other}")
    refuse_others(folder, "build")


@dataclass(frozen=True)
class Naming:
    """What is known of patients and lists: where patients come from, whether the user stated all, lists that are not used."""

    rule: str
    patients_stated: bool
    unused: tuple[UnusedList, ...]


def select_cases(raw: Source, settings: BuildOptions) -> tuple[list[Case], tuple[str, ...], Naming]:
    """Give every case its patient, site and split, ordered by split; notes about the patients and about cases left out.

    Raises:
        ConfigError: the patient expression or the fractions are wrong.
        DataError: the splits file or cases.csv is wrong.
    """
    finder = PatientFinder(raw.root, settings.patient_regex)
    assigned = finder.assign([replace(case, site=settings.site or case.site) for case in raw.cases])
    cases = assigned.cases
    unused = unused_lists(raw.root, cases, finder.table, settings.splits is not None, raw.beside)
    about = Naming(assigned.rule, assigned.stated, unused)
    if settings.splits is None:
        return in_order(split_by_chance(cases, settings.val_fraction, settings.test_fraction, settings.seed)), raw.notes, about
    chosen, left_out = split_by_file(cases, Path(settings.splits))
    notes = (*raw.notes, f"left out, because {settings.splits} does not name them: {left_out}") if left_out else raw.notes
    return in_order(chosen), notes, about


def _nothing_held_out(cases: Sequence[Case], settings: BuildOptions) -> tuple[str, ...]:
    """What it means that every labelled patient trains, where that was our choice and not the user's."""
    asked = settings.splits is not None or settings.val_fraction is not None or settings.test_fraction is not None
    if asked or any(case.split != "training" for case in cases):
        return ()
    patients = len({case.patient for case in cases if case.label is not None})
    return (
        f"all labelled patients train ({patients}), none is held out to measure on. To hold some out: --test-fraction 0.3; "
        "without that, from 3 patients on, monai-hybrid adapt --stopping leave_one_out scores each by a model of the others",
    )


def _require_masks(raw: Source) -> None:
    """Of DICOM nobody can know what the masks shall be called: say it, with the first series as the example.

    Raises:
        DataError: there is no mask at all.
    """
    if raw.labelled or not raw.series or any(finding.level == "error" for finding in raw.findings):
        return
    case, series = next(iter(raw.series.items()))
    own = next((f"; {one.message}; to take them as labels: --accept {OWN}" for one in raw.findings if one.code == OWN), "")
    contours = sum(one.code == CONTOURS for one in raw.findings)
    drawn = (
        f" {plural(contours, 'RTSTRUCT file')}: no masks are made of contours; 3D Slicer exports them as DICOM-SEG."
        if contours
        else ""
    )
    there = quoted(raw.root)
    raise DataError(
        f"{raw.root}: {len(raw.series)} DICOM series and no mask{own}.{drawn} Add DICOM-SEG files of them, or put a NIfTI "
        f"mask for each into {raw.root / 'labels'}, or into another folder with --labels-dir, named by the SeriesInstanceUID "
        f"({series.uid}.nii.gz) or by the case ({case}.nii.gz). Without masks: monai-hybrid predict {there} --model MODEL "
        f"--output {free(MASKS)}, or monai-hybrid adapt --data LABELLED --unlabelled-dir {there}"
    )


def _examined(
    raw: Source, cases: Sequence[Case], names: Mapping[int, str] | None, settings: BuildOptions, about: Naming, folder: Path
) -> Examination:
    told = About(
        allow_unlabelled=settings.allow_unlabelled,
        modality=settings.modality,
        unused=about.unused,
        patients_stated=about.patients_stated,
    )
    result = examine_source(raw, cases, names, settings.accepted, told, settings.jobs)
    found = ordered((*raw.findings, *result.findings), [case.case_id for case in raw.cases])
    findings = hidden(found, [*mask_files(raw), *(entry.path for entry in about.unused)])
    result = replace(result, findings=findings)
    unlabelled = [case.case_id for case in cases if case.label is None and case.split != "training"]
    if unlabelled and settings.allow_unlabelled:
        raise DataError(
            f"cases without a label can only train: {', '.join(unlabelled[:5])}. Move them to 'train' in the splits file"
        )
    if result.errors:
        raise DataError(refusal(raw.root, result.errors, settings.typed_at_check, {**settings.given, "output": folder}))
    if not any(record.voxels for record in result.records if record.case.split == "training"):
        raise DataError(f"{raw.root}: no training case has a label; expected at least one. Type: ls {quoted(raw.root)}")
    return result


def refusal(root: Path, errors: Sequence[Finding], checked: str = "", options: Mapping[str, Any] | None = None) -> str:
    """The message with which a data set is refused: its errors, one line a kind, and how to see them all.

    `checked` are the options that `check` must be told, as typed, with a blank before each; `options` all that were given,
    which the lines to type repeat.
    """
    lines = [f"{root}: errors in the data: {len(errors)}; nothing was written."]
    lines += refusal_lines(errors, root, options)
    return "\n".join([*lines, f"To see all: monai-hybrid check {quoted(root)}{checked}"])


def _converted(raw: Source, cases: Sequence[Case], result: Examination, folder: Path) -> tuple[list[Case], Examination, str]:
    """The cases with NIfTI files in the place of their DICOM series: all that comes after reads these."""
    from data_prep.dicom.convert import converted
    from data_prep.dicom.label_files import converted_labels

    files = converted({case.case_id: raw.series[case.case_id] for case in cases}, folder / NIFTI_FOLDER)
    masks = converted_labels(raw, cases, folder / LABEL_FOLDER)
    written = [replace(case, images=(files[case.case_id],), label=masks.get(case.case_id, case.label)) for case in cases]
    note = f"wrote {len(files)} DICOM series as NIfTI to {folder / NIFTI_FOLDER}"
    note += f", {len(masks)} masks to {folder / LABEL_FOLDER}" if masks else ""
    return written, _of(written, result), note


def _of(written: Sequence[Case], result: Examination) -> Examination:
    """What was found, of cases whose files are others now."""
    own = {case.case_id: case for case in written}
    return replace(result, records=tuple(replace(record, case=own[record.case.case_id]) for record in result.records))


def _with_joined(raw: Source, cases: Sequence[Case], result: Examination, folder: Path) -> tuple[list[Case], Examination, str]:
    """The cases with one label file in the place of their masks of structures."""
    masks = write_joined(raw, cases, folder / JOINED_FOLDER)
    written = [replace(case, label=masks.get(case.case_id, case.label)) for case in cases]
    number = plural(len(masks), "label")
    note = f"wrote {number} by the names of structures, in {folder / JOINED_FOLDER}"
    return written, _of(written, result), note


def _corrected(
    raw: Source,
    cases: Sequence[Case],
    names: Mapping[int, str] | None,
    settings: BuildOptions,
    folder: Path,
    about: Naming,
) -> tuple[list[Case], Examination, str]:
    from data_prep.n4 import correct_case

    take_folder(folder / "n4", "images corrected for the bias field (N4)")
    corrected = [correct_case(case, folder / "n4") for case in cases]
    number = sum(len(case.images) for case in corrected)
    note = f"wrote {number} images, corrected for the bias field (N4), to {folder / 'n4'}"
    return corrected, _examined(raw, corrected, names, settings, about, folder), note


def _write(
    folder: Path,
    raw: Source,
    cases: Sequence[Case],
    names: Mapping[int, str] | None,
    result: Examination,
    settings: BuildOptions,
    about: Naming,
) -> tuple[dict[str, Any], dict[str, Any]]:
    name = settings.name or raw.name
    seen = {value for record in result.records for value in record.voxels}
    modality = settings.modality or raw.modality or "unknown"
    dataset = describe(
        result.records, name, modality, raw.channels, label_table(_present(names, seen, raw.table_of_names), seen)
    )
    dataset |= {"colour": list(raw.colour)} if raw.colour else {}
    dataset |= {"ignore_value": raw.ignore} if raw.ignore is not None else {}
    accepted = settings.accepted | ({PATIENTS_STATED} if about.patients_stated else set())
    dataset |= {"accepted": sorted(accepted)} if accepted else {}
    folds = folds_by_patient(cases, settings.folds, settings.seed)
    names_of_classes = {int(entry["value"]): str(entry["name"]) for entry in dataset["labels"] if entry["index"]}
    masks = Masks(cases, names_of_classes, dataset["spatial_dims"] == 2, raw.ignore)
    contents = {
        "datalist": make_datalist(cases, folds, name, folder),
        "dataset": dataset,
        "plan": make_plan(dataset, settings.budget, settings.target_spacing, masks),
    }
    write_all(folder, contents)
    return dataset, contents["plan"]


def _present(names: Mapping[int, str] | None, seen: set[int], table: bool) -> Mapping[int, str] | None:
    """The names of classes: all that are declared, or, of the table of an atlas, those that occur."""
    return {value: name for value, name in names.items() if value in seen} if table and names is not None else names


def _hints(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences about what the user may want to say more exactly."""
    lowest = min(channel["p00_5"] for channel in dataset["fingerprint"]["intensity"])
    if dataset["modality"] == "unknown" and lowest < AIR_HU:
        return (f"grey values from {lowest:g} look like Hounsfield units; if this is CT, add --modality CT",)
    return ()
