"""The command line: `python -m data_prep build | check | repair | shift | phantom`. Heavy imports wait until a command runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from data_prep.endings import Command, ending
from data_prep.errors import DataError
from data_prep.free_names import free
from data_prep.home import all_at_home
from data_prep.interrupts import end_in_order, told
from data_prep.lack_of_memory import take_blas_memory
from data_prep.progress import show as show_progress
from data_prep.quoting import printable, quoted

ALIASES = {"out": "output"}


def dashed(name: str) -> str:
    """The one spelling of an option's name: with hyphens; `--out`, of earlier versions, is `--output`."""
    return ALIASES.get(name, name.replace("_", "-"))


app = typer.Typer(
    help="From a folder of scans to a checked data list, a description of the data set and a plan.",
    add_completion=False,
    no_args_is_help=True,
    context_settings={"token_normalize_func": dashed},  # --val_fraction is --val-fraction
    pretty_exceptions_enable=False,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
ImagesDir = Annotated[str | None, typer.Option(help="Another folder of images; . is FOLDER itself.", metavar="NAME")]
LabelsDir = Annotated[str | None, typer.Option(help="Another label folder than the layout's own.", metavar="NAME")]
LabelNames = Annotated[str | None, typer.Option(help='Names of label values: "1=LV,2=RV".')]
Layout = Annotated[
    str,
    typer.Option(
        help="auto, folders, pairs, msd, nnunet, cases, parts (train/, test/), sites or patients (a folder each), dicom, bids."
    ),
]
SeriesWords = Annotated[str | None, typer.Option(help='DICOM series: UID, number, "T1*", EchoTime=2.5.', metavar="WORDS")]
BidsFilter = Annotated[
    str | None,
    typer.Option(help='BIDS: which contrast, "suffix=T1w,acq=mprage"; as channels: "suffix=T1w+FLAIR".', metavar="FILTER"),
]
BidsLabels = Annotated[
    str | None, typer.Option(help='BIDS: which labels, "desc=rater1"; which pipeline: --labels-dir.', metavar="FILTER")
]
Accept = Annotated[str | None, typer.Option(help='Judgements you overrule: "D305,D103".', metavar="CODES")]
Channels = Annotated[str | None, typer.Option(help="Colours of pictures to take: green, or red,green; default: all three.")]
Grey = Annotated[bool, typer.Option("--grey", help="Take one grey value of each picture's colours.")]
PatientRegex = Annotated[str | None, typer.Option(help="Expression with one group: the patient in a case id.")]
IgnoreLabel = Annotated[
    int | None, typer.Option("--ignore-label", help="Label value of voxels that nobody annotated: 255.", metavar="N")
]
KeepNames = Annotated[bool, typer.Option("--keep-names", help="DICOM: show IDs, folders and files instead of pseudonyms.")]
Jobs = Annotated[int, typer.Option("--jobs", help="Processes that read the files.", metavar="N")]
Unlabelled = Annotated[bool, typer.Option("--allow-unlabelled", help="Images without a label may train.")]


@contextmanager
def reported(debug: bool) -> Iterator[None]:
    """Turn an error meant for the user into a line on stderr and its exit code; with `debug` let it pass."""
    with ending(debug), told():
        take_blas_memory()
        yield


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Add a command; a tilde in its paths is the home folder, where the shell has left one."""

    @wraps(function)
    def with_homes(**arguments: Any) -> None:
        with reported(bool(arguments.get("debug"))):
            arguments = all_at_home(arguments)
        function(**arguments)

    return app.command(cls=Command)(with_homes)


@command
def build(
    source: Annotated[Path, typer.Argument(help="Folder of the raw data, as it lies: docs/how-to/files-as-they-lie.md.")],
    out: Annotated[Path, typer.Option("--output", help="Folder for datalist.json, dataset.json and plan.json.")],
    layout: Layout = "auto",
    images_dir: ImagesDir = None,
    labels_dir: LabelsDir = None,
    bids_filter: BidsFilter = None,
    bids_labels: BidsLabels = None,
    label_names: LabelNames = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; default: its own or the folder's.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of the hospital or scanner.")] = None,
    modality: Annotated[str | None, typer.Option(help="MRI, CT or another word; CT selects a HU window.")] = None,
    splits: Annotated[Path | None, typer.Option(help="JSON with lists train, val, test (or fewshot).")] = None,
    patient_regex: PatientRegex = None,
    val_fraction: Annotated[
        float | None, typer.Option(help="Share of patients for validation; default: 0.1, none where patients are few.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(help="Share of patients for testing; default: 0.2, none where patients are few.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Folds of cross-validation within training.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the random splits and folds.")] = 0,
    budget: Annotated[str, typer.Option(help="cpu or gpu: how large patch and network may be.")] = "cpu",
    spacing: Annotated[str | None, typer.Option(help='Target spacing in mm, RAS order: "2,2,2".')] = None,
    allow_unlabelled: Unlabelled = False,
    n4: Annotated[bool, typer.Option("--n4", help="Correct the bias field; writes copies to OUT/n4.")] = False,
    accept: Accept = None,
    channels: Channels = None,
    grey: Grey = False,
    series: SeriesWords = None,
    ignore_label: IgnoreLabel = None,
    keep_names: KeepNames = False,
    jobs: Jobs = 1,
    debug: Debug = False,
) -> None:
    """Check a raw data set and write its data list, description and plan. Images stay as they are; DICOM becomes NIfTI."""
    options = {key: value for key, value in locals().items() if key not in ("source", "out", "debug")}
    with reported(debug):
        from rich.console import Console

        from data_prep.build import build as run
        from data_prep.findings_table import print_findings
        from data_prep.summary import merge_line, print_build

        report = run(source, out, **options)
        console = Console()
        print_findings(report.findings, console, source, options)
        for note in (*report.notes, report.patients):
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        print_build(out, console, spacing, merge_line(source, report.findings, options))


@command
def check(
    path: Annotated[Path, typer.Argument(help="Folder of raw data, a datalist.json, a folder that holds one, or one image.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings here; - prints them.")] = None,
    layout: Layout = "auto",
    images_dir: ImagesDir = None,
    labels_dir: LabelsDir = None,
    bids_filter: BidsFilter = None,
    bids_labels: BidsLabels = None,
    label_names: LabelNames = None,
    allow_unlabelled: Unlabelled = False,
    accept: Accept = None,
    channels: Channels = None,
    grey: Grey = False,
    patient_regex: PatientRegex = None,
    series: SeriesWords = None,
    ignore_label: IgnoreLabel = None,
    keep_names: KeepNames = False,
    jobs: Jobs = 1,
    debug: Debug = False,
) -> None:
    """Say what is wrong with a data set, and what to type about it. Exit code 3 when there are errors."""
    options = {key: value for key, value in locals().items() if key not in ("path", "json_file", "debug")}
    with reported(debug):
        from rich.console import Console

        from data_prep.check import checked
        from data_prep.findings_table import print_findings
        from data_prep.result_files import FINDINGS, refuse_other
        from data_prep.summary import next_line, verdict, write_findings

        if json_file is not None and str(json_file) != "-":
            refuse_other(json_file, FINDINGS)
        result = checked(path, **options)
        findings = result.findings
        if json_file is not None:
            write_findings(findings, str(path), json_file)
        if str(json_file) != "-":
            console = Console()
            print_findings(findings, console, path, options)
            console.print(f"{path}: {verdict(findings)}", soft_wrap=True, markup=False, highlight=False)
            told = {name: value for name, value in options.items() if name != "jobs" and (name, value) != ("layout", "auto")}
            if line := next_line(path, findings, result.labelled, told):
                console.print(line, soft_wrap=True, markup=False, highlight=False)
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(DataError.exit_code)


@command
def repair(
    path: Annotated[Path, typer.Argument(help="Folder of raw data, or one that holds a datalist.json; or one image.")],
    out: Annotated[Path, typer.Option("--output", help="A new folder for the corrected copy; the source is never touched.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, write nothing.")] = False,
    label_map: Annotated[str | None, typer.Option("--map", help='Label values to replace: "255=1,2..40=1".')] = None,
    link: Annotated[bool, typer.Option("--link", help="Link to files without defects instead of copying them.")] = False,
    pictures: Annotated[bool, typer.Option("--pictures", help="Pictures become opaque, in RGB; JPEG masks 0 and 255.")] = False,
    pages: Annotated[
        str | None, typer.Option(help="What pages of a TIFF or volumes of a 4D NIfTI are: slices, channels; or take the first.")
    ] = None,
    voxel_size: Annotated[str | None, typer.Option(help='Of --pages slices, in mm: "0.5,0.5,2".')] = None,
    layout: Layout = "auto",
    images_dir: ImagesDir = None,
    labels_dir: LabelsDir = None,
    bids_filter: BidsFilter = None,
    bids_labels: BidsLabels = None,
    debug: Debug = False,
) -> None:
    """Correct what is certain into a new folder, with a log. Exit code 3 when errors remain that a person must judge."""
    with reported(debug):
        from rich.console import Console

        from data_prep.label_names import parse_map
        from data_prep.layouts import folder_within
        from data_prep.repair import repair as run
        from data_prep.summary import print_repair

        images_dir, labels_dir = folder_within(path, images_dir), folder_within(path, labels_dir)
        told = {"images_dir": images_dir, "labels_dir": labels_dir, "bids_filter": bids_filter, "bids_labels": bids_labels}
        values = parse_map(label_map)
        report = run(path, out, dry_run, values, link, layout, **told, pictures=pictures, pages=pages, voxel_size=voxel_size)
        print_repair(report, out, dry_run, Console(), {**report.reading, "layout": None if layout == "auto" else layout})
    if any(finding.level == "error" for finding in report.remaining):
        raise typer.Exit(DataError.exit_code)


@command
def slices(
    path: Annotated[Path, typer.Argument(help="Folder of volumes, with images/ and labels/ or not, or of DICOM; or one file.")],
    out: Annotated[Path, typer.Option("--output", help="A new folder for the slices; the volumes stay as they are.")],
    masks: Annotated[
        Path | None, typer.Option("--join", help="Folder of masks of its slices; they become masks of the volumes.")
    ] = None,
    series: SeriesWords = None,
    debug: Debug = False,
) -> None:
    """Cut volumes into NIfTI files of one slice, each at its place in the patient, for a 2D model. Or join their masks."""
    with reported(debug):
        from data_prep.amounts import plural
        from data_prep.slices import cut

        if masks is not None:
            from data_prep.slices_joined import join

            typer.echo(f"Written: {out}: {plural(join(path, masks, out, series), 'mask')} of volumes.")
            return
        done = cut(path, out, series)
        for sentence in done.left_out:
            typer.echo(f"Left out: {printable(sentence)}")
        typer.echo(f"Written: {out}: {plural(done.slices, 'slice')} of {plural(done.volumes, 'volume')}.")
        if any((out / name).is_dir() for name in ("labels", "labelsTr")):
            typer.echo(f"Next: monai-hybrid build {quoted(out)} --output {quoted(free(f'{out}_prepared'))}")
        else:
            typer.echo(
                f"Next, with a model for MODEL: monai-hybrid predict {quoted(out)} --model MODEL --output {free('masks')}"
            )


@command
def codes() -> None:
    """Print the codes of all checks, and of all repairs, as Markdown tables."""
    from data_prep.checks import REGISTRY
    from data_prep.repair.fixes import FIXES

    typer.echo("| code | level | may be accepted | what is wrong |\n|---|---|---|---|")
    for code, entry in sorted(REGISTRY.items()):
        accepted = f"`--accept {code}`" if entry.acceptable else ""
        typer.echo(f"| {code} | {entry.level} | {accepted} | {entry.title} |")
    typer.echo("\n## What `python -m data_prep repair` corrects\n\n| code | correction |\n|---|---|")
    typer.echo("| D005 | A file is packed or unpacked, as its name says. |")
    typer.echo("| D509 | A copy's ending is written in small letters. |")
    typer.echo(
        "| --pictures | D020, D022, D025, D029: images become opaque, in red, green and blue; masks in JPEG 0 and 255. |"
    )
    typer.echo("| --pages | D021, D109: pages or volumes become a volume or a file for each channel, or the first is kept. |")
    for code, fix in sorted(FIXES.items()):
        typer.echo(f"| {code if code in REGISTRY else f'--{code}'} | {(fix.__doc__ or code).splitlines()[0]} |")


@command
def shift(
    source: Annotated[Path, typer.Argument(help="Prepared data set that a model was trained on.")],
    target: Annotated[Path, typer.Argument(help="Prepared data set on which it will be used.")],
    out: Annotated[Path | None, typer.Option("--output", help="Folder for shift.json and shift.png; none: print only.")] = None,
    debug: Debug = False,
) -> None:
    """Say how two data sets differ, and what follows: voxels, grey values, volumes, channels, structures."""
    with reported(debug):
        from data_prep.shift import shift as run

        content = run(source, target, out)
        for finding in content["findings"]:
            typer.echo(f"{finding['level']} ({finding['kind']}): {finding['sentence']}")
        typer.echo(f"{content['source']} against {content['target']}: {content['summary']}")


@command
def who(
    name: Annotated[str, typer.Argument(help="A pseudonym of a patient, a series or a file, as other commands print it.")],
    debug: Debug = False,
) -> None:
    """Say who or what is behind a pseudonym, from the key file that you keep. For your eyes: the answer names patients."""
    with reported(debug):
        from data_prep.pseudonyms import KeyFile
        from data_prep.quoting import printable

        for line in KeyFile().behind(Path(name).name):
            typer.echo(printable(line))


@command
def phantom(
    out: Annotated[Path, typer.Option("--output", help="Folder for images/, labels/ and labels.json.")],
    cases: Annotated[int, typer.Option(help="Number of cases.", min=1)] = 20,
    site: Annotated[str, typer.Option(help="Scanner A or B, which differ in look; or shapes: random shapes.")] = "A",
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    dims: Annotated[int, typer.Option(help="2 or 3.", min=2, max=3)] = 3,
    debug: Debug = False,
) -> None:
    """Make the built-in data set: labelled images of a made-up anatomy, as two different scanners show it."""
    with reported(debug):
        from data_prep.phantom import generate

        generate(out, cases=cases, site=site, seed=seed, dims=dims)
        prepared = free(out.with_name(f"{out.name}_prepared"))
        typer.echo(f"Written: {out}. Next: monai-hybrid build {quoted(out)} --output {quoted(prepared)}")


def main() -> None:
    """Entry point of `python -m data_prep`."""
    end_in_order()
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # our own findings say it better
    show_progress()
    app(prog_name="python -m data_prep")
