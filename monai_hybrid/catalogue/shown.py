"""The models as a person reads them: a table, and all of one with the lines to type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from data_prep.amounts import by, plural
from data_prep.errors import ConfigError, ModelFileError
from data_prep.free_names import ADAPTED, MASKS, free
from data_prep.home import at_home
from monai_hybrid.catalogue.entry import Entry, entry, rows
from monai_hybrid.catalogue.folder import names
from monai_hybrid.catalogue.naming import no_such_model
from monai_hybrid.cut_off import said_of_cut_off

NONE = "No model comes with this installation. monai-hybrid pretrain --data synthetic makes a universal one"


def show_models(action: str | None, name: str | None, as_json: bool) -> None:
    """What `monai-hybrid models [show NAME] [--json]` prints.

    Raises:
        ConfigError: another word than show, or no name after it.
        ModelFileError: no such model, or a damaged one.
    """
    if action not in (None, "show"):
        raise ConfigError(f"models {action}: expected show. Type: monai-hybrid models show NAME")
    if action == "show":
        if name is None:
            raise ConfigError(f"models show: which one? {_which()}")
        if name not in names():
            raise ModelFileError(f"models show {name}: {_not_shown(name)}")
        one = entry(name)
        typer.echo(_json(described(one)) if as_json else "\n".join(lines(one)))
        return
    known = rows()
    if as_json:
        typer.echo(_json(known))
    elif known:
        _print_table(known)
    else:
        typer.echo(f"{NONE}.")


def _which() -> str:
    return f"Models: {', '.join(names())}" if names() else NONE


def _not_shown(text: str) -> str:
    """Of a word that is no name; a file is no model of the package, whatever it holds."""
    if at_home(text).exists():
        return said_of_cut_off(at_home(text)) or f"a file or folder of yours; shown are models of the package. {_which()}"
    return no_such_model(text) or f"no such model. {_which()}"


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)


def described(one: Entry) -> dict[str, Any]:
    """All that is known of a model, as plain values: its row, its card, and the file about it."""
    return {**one.row(), "file": str(one.file), "about": dict(one.about), "card": dict(one.card)}


def _print_table(known: Sequence[Mapping[str, Any]]) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 160  # a pipe has no width: no line is to be cut
    table = Table(box=None, pad_edge=False)
    for column in ("name", "structures", "modality", "dimensions", "spacing", "licence", "MB"):
        table.add_column(column, justify="right" if column == "MB" else "left", overflow="fold")
    sound = [row for row in known if "error" not in row]
    for row in sound:
        structures = "any, after adapting" if row["universal"] else ", ".join(row["structures"])
        spacing = "of your data" if row["spacing"] is None else by(row["spacing"])
        table.add_row(
            *(row["name"], structures, row["modality"], f"{row['dimensions']}D", spacing, row["licence"]),
            f"{row['bytes'] / 1e6:.1f}",
        )
    if sound:
        console.print(table, highlight=False)
    for row in known:  # below the table, whose columns would break the line to type
        if "error" in row:
            console.print(f"{row['name']}  cannot be used: {row['error']}", highlight=False, markup=False, soft_wrap=True)
    if sound:
        console.print(f"Next: monai-hybrid models show {sound[0]['name']}", highlight=False)


def lines(one: Entry) -> Iterator[str]:
    """All of a model as text, line by line."""
    about = one.about
    yield f"{one.name}: {about['title']}"
    yield about["use"]
    yield ""
    yield f"structures    {', '.join(one.structures)}" + (" (shapes, no organs)" if one.universal else "")
    yield f"modality      {one.modality}"
    yield f"dimensions    {one.dims}D, {plural(len(one.card['channels']), 'channel')}"
    yield f"spacing       {'of your data' if one.spacing is None else by(one.spacing)}"
    yield f"file          {one.file}, {one.size / 1e6:.1f} MB, {about['storage']['dtype']}"
    yield f"licence       {about['licence']['weights']}. {about['licence']['attribution']}"
    if teacher := one.card["training"].get("distilled_from"):
        yield f"distilled     from {teacher.get('model')}, weights {str(teacher.get('sha256'))[:16]}"
    for data in about["data"]:
        yield f"data          {data['name']}, {data['licence']}. {data['source']} {data['citation']}"
    yield f"training      {about['training']['command']}"
    yield f"              seed {about['training']['seed']}, commit {about['training']['commit'] or 'unknown'}"
    yield from _scores(about["scores"])
    for failure in about["known_failures"]:
        yield f"fails         {failure}"
    for citation in about["citation"]:
        yield f"cite          {citation}"
    yield ""
    yield from to_type(one)


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    if scores["source_test"]:
        yield f"source test   {said(scores['source_test'])}"
    for target in scores["adapted"]:
        for shots in target["shots"]:
            number = plural(shots["labels"], "label")
            yield f"adapted       {target['target']}, {number}: {said(shots['score'])}"
    if not scores["source_test"] and not scores["adapted"]:
        yield "scores        not measured yet"


def said(score: Mapping[str, Any]) -> str:
    """Dice 0.91 [0.90, 0.92] of each structure, and over how many patients."""
    parts = [f"{name} {number(of)}" for name, of in score["dice"].items()]
    return f"Dice {', '.join(parts)} ({plural(score['patients'], 'patient')})"


def number(of: Mapping[str, Any]) -> str:
    """0.91 [0.90, 0.92]"""
    interval = of["interval"]
    return f"{of['mean']:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def to_type(one: Entry) -> list[str]:
    """The lines that use a model."""
    adapt = f"monai-hybrid adapt --data TARGET --model {one.name} --shots 3 --output {free(ADAPTED)}"
    shift = f"monai-hybrid shift TARGET --model {one.name}"
    return [adapt] if one.universal else [f"monai-hybrid predict SCANS --model {one.name} --output {free(MASKS)}", adapt, shift]
