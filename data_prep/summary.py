"""Tables for a person: what was built, what was found."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from data_prep.amounts import few, plural
from data_prep.checks import Finding
from data_prep.files import read_datalist, read_dataset, read_plan
from data_prep.findings_table import COLOURS, print_findings
from data_prep.fingerprint import small_unit
from data_prep.foreign import holds_dicom
from data_prep.free_names import ADAPTED, SOURCE, free, proposed
from data_prep.grouped import named
from data_prep.json_io import dump_json
from data_prep.options import as_typed
from data_prep.outlines import not_masks
from data_prep.patches import by
from data_prep.quoting import printable, quoted
from data_prep.repair import RepairReport
from data_prep.repair.run import LOG
from data_prep.result_files import FINDINGS

NEXT = "monai-hybrid pretrain --data {folder} --output {source}"
NAMED = 6  # values whose names a line to type holds
ADAPT = "monai-hybrid adapt --data {folder} --model auto{further} --output {output}"
MERGE = re.compile(r'monai-hybrid repair FOLDER --output OUT --map "[\d=,.]+"')
CORRECTED = 5  # lines of each code
JUDGE = "; this is for you to judge"
FEW = 10  # patients, of whom all are taken
CEILINGS, LABELS = 5, 20  # rows
MASKS = "To train on them, put masks that are called like the images into {folder}/labels"
MASKS_OF_SERIES = (
    "To train on them, give masks: DICOM-SEG files among them, or NIfTI files in {folder}/labels or another folder named with "
    "--labels-dir, called by the SeriesInstanceUID"
)


def print_build(folder: Path, console: Console, spacing: str | None = None, first: str = "") -> None:
    """Print cases per split, spacing, labels and plan of a folder that `build` has written, and what to type next.

    `spacing` is what the user asked for: an adaptation takes that of its model, so it is to be told the same. `first` is what
    to do before anything else, see `merge_line`.
    """
    datalist, dataset, plan = read_datalist(folder), read_dataset(folder), read_plan(folder)
    table = Table(title=escape(f"{dataset['name']} ({dataset['spatial_dims']}D, {dataset['modality']})"), show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, text in [*_data_rows(datalist, dataset), *_plan_rows(plan)]:
        table.add_row(key, escape(text))
    console.print(table)
    for reason in plan["reasons"]:
        console.print(f"  - {escape(reason)}", soft_wrap=True, highlight=False)
    console.print(f"Written: {escape(str(folder))}/datalist.json, dataset.json, plan.json.", soft_wrap=True)
    if note := names_note(dataset["labels"][1:]):
        console.print(note, markup=False, soft_wrap=True, highlight=False)
    steps = (
        "Next, with few labels: adapt a model of similar scans. auto takes the nearest of monai-hybrid models; "
        "--model FOLDER is a run of your own:",
        after_build(folder, spacing),
        "or, with many: pretrain on them, as the source of other data sets:",
        NEXT.format(folder=quoted(folder), source=free(SOURCE)),
    )
    for line in (first, *steps) if first else steps:
        console.print(line, markup=False, soft_wrap=True, highlight=False)


def names_note(labels: Sequence[Mapping[str, Any]]) -> str:
    """What to type where structures have no names; "" where all have. Values that are left out would be refused.

    Args:
        labels: of `dataset.json`, without the background.
    """
    unnamed = [entry["name"] for entry in labels if entry["name"] == f"label_{entry['value']}"]
    if not unnamed:
        return ""
    word = "NAME" if len(unnamed) == 1 else "NAME_{value}"
    pairs = [f"{e['value']}={word.format(value=e['value']) if e['name'] in unnamed else e['name']}" for e in labels]
    typed = ",".join(pairs) if len(pairs) <= NAMED else f"{','.join(pairs[:2])},..."
    typed = quoted(typed) if quoted(typed) != typed else f"'{typed}'"  # a name that is put in may have spaces
    typed += f", with all {len(pairs)} values" if len(pairs) > NAMED else ""
    have, them = ("has no name", "it") if len(unnamed) == 1 else ("have no names", "them")
    return f"note: {few(unnamed)} {have}. To keep {them} in models and tables, build again with --label-names {typed}"


def after_build(folder: Path, spacing: str | None = None) -> str:
    """The line that adapts a model to a prepared data set: with all labelled patients where they are few, and the spacing."""
    training = read_datalist(folder)["training"]
    patients = len({case["patient"] for case in training if "label" in case})
    further = {"shots": str(patients)} if patients <= FEW else {}
    further |= {"spacing": f"[{spacing.strip('[]() ')}]"} if spacing else {}
    return ADAPT.format(folder=quoted(folder), further=as_typed(further), output=free(ADAPTED))


def _data_rows(datalist: dict[str, Any], dataset: dict[str, Any]) -> list[tuple[str, str]]:
    facts = dataset["fingerprint"]
    splits = ("training", "validation", "testing")
    counts = [f"{split} {len(datalist[split])}" for split in splits]
    people = [str(len({entry["patient"] for entry in datalist[split]})) for split in splits]
    spacing = f"{by(facts['spacing']['median'])} mm" if facts["spacing_known"] else "not stated in the files"
    unlabelled = sum("label" not in entry for entry in datalist["training"])
    rows = [("cases", ", ".join(counts)), ("patients", " / ".join(people))]
    rows += [("without label", str(unlabelled))] if unlabelled else []
    partly = sum("ignored" in case for case in dataset["cases"])
    rows += [("annotated in part", f"{plural(partly, 'label')}; {dataset['ignore_value']} says nothing")] if partly else []
    rows += [("channels", ", ".join(dataset["channels"]))] if len(dataset["channels"]) > 1 else []
    rows += [("median spacing", spacing), ("median shape", by(facts["shape"]["median"]))]
    rows += (
        [("orientations", ", ".join(f"{key} {n}" for key, n in facts["orientations"].items()))] if facts["orientations"] else []
    )
    labels = [(f"label {entry['value']}", _label(entry, facts)) for entry in dataset["labels"] if entry["index"]]
    left_out = len(labels) - LABELS
    more = [(f"{left_out} more labels", "see dataset.json")] if left_out > 1 else []
    return rows + (labels[:LABELS] + more if more else labels)


def _label(entry: dict[str, Any], facts: dict[str, Any]) -> str:
    name = entry["name"]
    size = facts["foreground_volume"][name]
    unit, scale = small_unit(facts["foreground_volume_unit"], size["max"])
    if not size["max"]:  # no training label shows the whole of it
        return f"{name}: in {plural(facts['label_cases'][name], 'case')}"
    least, most = (f"{size[bound] * scale:.4g}" for bound in ("min", "max"))
    sizes = f"in training {least if least == most else f'{least} to {most}'} {unit}"
    return f"{name}: in {plural(facts['label_cases'][name], 'case')}, {sizes}"


def _plan_rows(plan: dict[str, Any]) -> list[tuple[str, str]]:
    norm = plan["normalization"]
    return [
        ("plan: spacing", by(plan["spacing"])),
        *_ceilings(plan.get("ceiling", {"classes": {}})["classes"]),
        ("plan: patch", f"{by(plan['patch_size'])}, batch {plan['batch_size']}"),
        ("plan: grey values", f"{norm['method']} {norm['lower']:g} to {norm['upper']:g}"),
    ]


def _ceilings(classes: dict[str, Any]) -> list[tuple[str, str]]:
    """A row a class, those that lose most first; of many classes only these."""
    lowest = sorted(classes.items(), key=lambda item: item[1]["mean"])
    rows = [(f"ceiling {name}", _ceiling(one)) for name, one in lowest[:CEILINGS]]
    left = len(lowest) - CEILINGS
    return rows + ([("", f"{left} more classes keep more, see plan.json")] if left > 0 else [])


def _ceiling(one: dict[str, Any]) -> str:
    """What a mask of one class keeps at the planned spacing: the best Dice that any model can have."""
    lost = (
        f"; nothing is left in {one['lost']} of {one['cases']} cases ({one['lost'] / one['cases']:.0%})" if one["lost"] else ""
    )
    return f"Dice {one['mean']:.2f} on average, {one['worst']:.2f} in {one['worst_case']}{lost}"


def print_repair(
    report: RepairReport, out: Path, dry_run: bool, console: Console, options: Mapping[str, Any] | None = None
) -> None:
    """Print what was corrected, what was refused, what `check` still says, and what to type next.

    `options` are those that the repair was told of how to read the data set; `build` is to be told the same.
    """
    done = [(one.code, f"corrected {one.code}: {one.source}: {one.what}") for one in report.repairs]
    left = [(one.code, f"not corrected {one.code}: {one.source}: {one.why}{JUDGE}") for one in report.refusals]
    most = None if dry_run else CORRECTED  # a dry run leaves no log
    for line in (*_few_of_each(done, "corrected", most), *_few_of_each(left, "not corrected", most)):
        console.print(escape(line), soft_wrap=True, highlight=False)
    if report.remaining:
        console.print("\nWhat check says about the result:")
        print_findings(report.remaining, console, None if dry_run else out, options)
    written = "nothing written (--dry-run)" if dry_run else f"written: {out}, with the log {out}/repair.json"
    files = len({entry.source for entry in report.repairs})
    console.print(f"{plural(files, 'file')} corrected; {written}", soft_wrap=True, markup=False)
    if not dry_run and verdict(report.remaining).startswith("good"):
        following = after_repair(out, report.remaining, options or {}, report.labelled)
        console.print(following, soft_wrap=True, markup=False, highlight=False)


def _few_of_each(told: Sequence[tuple[str, str]], word: str, most: int | None) -> Iterator[str]:
    """The first lines of each code, and how many more there are, which the log has; None: all of them."""
    groups: dict[str, list[str]] = defaultdict(list)
    for code, line in told:
        groups[code].append(printable(line))
    for code, lines in groups.items():
        yield from lines[:most]
        if most is not None and len(lines) > most:
            yield f"{word} {code}: {len(lines) - most} more; {LOG} lists all"


def after_repair(out: Path, remaining: Sequence[Finding], options: Mapping[str, Any], labelled: bool = True) -> str:
    """What to type after a repair that left no error: a raw data set is built, a prepared one ready, images alone segmented."""
    if (out / "datalist.json").is_file():
        whole = (out / "dataset.json").is_file() and (out / "plan.json").is_file()
        return f"Next: {after_build(out)}" if whole else ""
    if not labelled:
        return f"Next, with a model for MODEL: monai-hybrid predict {quoted(out)} --model MODEL --output {free('masks')}"
    return next_line(out, remaining, options=options)


def verdict(findings: Sequence[Finding]) -> str:
    """One line: how many findings of each level."""
    counts = {level: sum(finding.level == level for finding in findings) for level in COLOURS}
    parts = [f"{number} {level}{'' if number == 1 else 's'}" for level, number in counts.items()]
    return ("refused: " if counts["error"] else "good: ") + ", ".join(parts)


def next_line(path: Path, findings: Sequence[Finding], labelled: bool = True, options: Mapping[str, Any] | None = None) -> str:
    """What to type after a check without errors; empty after others, and of what is no raw data set.

    Args:
        path, findings: of the check.
        labelled: whether there are masks.
        options: what the check was told, by the name of the option; `build` is to be told the same.
    """
    if (path / "datalist.json").is_file() or any(finding.level == "error" for finding in findings):
        return ""
    there, told = quoted(path), {name: value for name, value in (options or {}).items() if value}
    if merge := merge_line(path, findings, told):
        return merge
    if not labelled and not told.get("allow_unlabelled"):
        home = path if path.is_dir() else path.parent
        folder = quoted(home)
        series = as_typed({"series": told["series"]}) if "series" in told else ""
        drawn = f" {said}" if not holds_dicom(path) and (said := not_masks(home)) else ""
        return (
            f"Next: there are no masks.{drawn} A model can segment these scans, or take them along as images without labels. "
            "For MODEL name a model, for LABELLED a data set with labels:\n"
            f"monai-hybrid predict {there}{series} --model MODEL --output {quoted(proposed(path, '_masks'))}\n"
            f"monai-hybrid adapt --data LABELLED --unlabelled-dir {folder} --output {free(ADAPTED)}\n"
            f"{(MASKS_OF_SERIES if holds_dicom(path) else MASKS).format(folder=folder)}; then monai-hybrid build"
        )
    if not path.is_dir():
        return ""
    return f"Next: monai-hybrid build {there}{as_typed(told)} --output {quoted(proposed(path, '_prepared'))}"


def merge_line(path: Path, findings: Sequence[Finding], options: Mapping[str, Any]) -> str:
    """The repair that a finding names, where one structure may have two values: built as it is, it becomes two; else ""."""
    found = next((match for one in findings if one.code in ("D323", "D324") and (match := MERGE.search(one.remedy))), None)
    if found is None or not path.is_dir():
        return ""
    return f"Next, if those masks show one structure: {named(found[0], path, options)}"


def findings_json(findings: Sequence[Finding], path: str) -> dict[str, Any]:
    """The report of `check --json`."""
    counts = {level: sum(finding.level == level for finding in findings) for level in COLOURS}
    return {
        "format_version": 1,
        "path": path,
        "counts": counts,
        "findings": [finding.as_dict() for finding in findings],
    }


def write_findings(findings: Sequence[Finding], path: str, target: Path) -> None:
    """Write the report of `check --json`; "-" prints it.

    Raises:
        ConfigError: a file that is no such report is there.
        EnvironmentFault: no space or no right.
    """
    report = findings_json(findings, path)
    if str(target) == "-":
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        dump_json(report, target, FINDINGS)
