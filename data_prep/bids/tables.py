"""Tables of BIDS: names of label values by the inheritance principle, and the site of each participant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.bids.names import BidsFile, parse_words
from data_prep.errors import DataListError
from data_prep.label_names import parse_names
from data_prep.pointers import pointer_sentence
from data_prep.quoting import quoted
from data_prep.reading import stem

LARGEST = 2**26  # bytes of a table: a million rows fit
MOST_NAMES = 100_000  # rows of a table of names: an atlas has thousands
PARTICIPANTS = "participants.tsv"
SITES = ("site", "siteid", "sitename", "centre", "centreid", "center", "centerid", "hospital", "institution", "institutionname")
EMPTY = ("", "n/a", "N/A")


@dataclass(frozen=True)
class Table:
    """Rows as column -> cell, each with its line; `faults` are sentences about rows that are left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]
    faults: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """A tab-separated table; rows with another number of cells than the heading are faults.

    Raises:
        ValueError: it is no such table; the sentence says why.
    """
    text = _text(path)
    lines = [line.split("\t") if line else [] for line in text.splitlines()]  # BIDS knows no quotes; csv of Python 3.10 no NUL
    columns = tuple(cell.strip() for cell in lines[0]) if lines else ()
    if not any(columns):
        raise ValueError("line 1 names no column")
    rows: list[tuple[int, Mapping[str, str]]] = []
    faults: list[str] = []
    for number, cells in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == len(columns):
            rows.append((number, dict(zip(columns, (cell.strip() for cell in cells), strict=True))))
        else:
            faults.append(f"line {number} has {len(cells)} cells, expected {len(columns)}, separated by tabs")
    return Table(columns, tuple(rows), tuple(faults))


def _text(path: Path) -> str:
    try:
        elsewhere = pointer_sentence(path)
        if elsewhere:
            raise ValueError(f"{elsewhere}; type: datalad get {quoted(path)}")
        size = path.stat().st_size
        if not path.is_file():
            raise ValueError("it is a folder or a special file; expected a table")
        if size > LARGEST:
            raise ValueError(f"it holds {size / 2**20:.0f} MiB; a table of at most {LARGEST // 2**20} MiB is read")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not text in UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise ValueError(f"the system says: {error.strerror}") from error


def label_table_of(label: BidsFile, root: Path, listed: dict[Path, list[Path]]) -> Path | None:
    """The table of names that holds for a label: the nearest *dseg.tsv, up to `root`, whose entities the label all has.

    `listed` keeps the tables of each folder: data sets have thousands of labels below one root.

    Raises:
        DataListError: D544, two of one folder hold.
    """
    folders = [folder for folder in label.path.parents if folder == root or folder.is_relative_to(root)]
    for folder in folders:
        if folder not in listed:
            listed[folder] = sorted(path for path in folder.iterdir() if path.suffix == ".tsv")
        fitting = [path for path in listed[folder] if _holds(path, label)]
        if len(fitting) > 1:
            names = " and ".join(path.name for path in fitting[:2])
            message = f"{folder}: {names} both name the values of {label.path.name}; expected one in a folder"
            raise DataListError("D544", message, str(fitting[0]))
        if fitting:
            return fitting[0]
    return None


def _holds(path: Path, label: BidsFile) -> bool:
    words = stem(path).removesuffix(".tsv").split("_")
    if words[-1] not in ("dseg", label.suffix):
        return False
    entities = parse_words(words[:-1])
    return entities is not None and all(label.entities.get(key) == value for key, value in entities.items())


def names_in(path: Path) -> dict[int, str]:
    """Value -> name from the columns index and name.

    Raises:
        DataListError: D544, a row is broken, a column is missing, or a value is named twice.
    """
    try:
        table = read_table(path)
        if table.faults:
            raise ValueError(table.faults[0])
        lower = [column.lower() for column in table.columns]
        twice = next((name for name in ("index", "name") if lower.count(name) > 1), None)
        if twice:
            raise ValueError(f"the column {twice} appears twice; expected it once")
        if len(table.rows) > MOST_NAMES:
            raise ValueError(f"it holds {len(table.rows)} rows; expected at most {MOST_NAMES}, one a value")
        columns = dict(zip(lower, table.columns, strict=True))
        if not {"index", "name"} <= set(columns):
            raise ValueError(f"its columns are {', '.join(table.columns)[:200]}; expected index and name")
        pairs = [_pair(number, row[columns["index"]], row[columns["name"]]) for number, row in table.rows]
        return parse_names([(0, "background"), *pairs] if all(value for value, _ in pairs) else pairs, str(path))
    except ValueError as error:
        raise DataListError("D544", f"{path}: {error}", str(path)) from error
    except DataListError as error:
        raise DataListError("D544", str(error), str(path)) from error


def _pair(number: int, index: str, name: str) -> tuple[int, str]:
    if not (index.isascii() and index.isdecimal() and len(index) < 11):
        raise ValueError(f"line {number}: index {index[:40]!r}; expected a whole number from 0")
    if name in EMPTY:
        raise ValueError(f"line {number}: value {index} has no name")
    return int(index), name


def merged(tables: Sequence[tuple[Path, Mapping[int, str]]]) -> dict[int, str] | None:
    """The names of all tables, None without any.

    Raises:
        DataListError: D544, two of them name a value differently.
    """
    names: dict[int, str] = {}
    origin: dict[int, Path] = {}
    for path, table in tables:
        for value, name in table.items():
            if names.setdefault(value, name) != name:
                message = f"{path}: value {value} is {name!r}, and {names[value]!r} in {origin[value]}; expected one name"
                raise DataListError("D544", message, str(path))
            origin.setdefault(value, path)
    return names or None


@dataclass(frozen=True)
class Sites:
    """Site by subject ("sub-01"), and sentences about what in the table is broken."""

    sites: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def read_sites(path: Path) -> Sites:
    """The site of each participant; empty where there is no table, or no such column."""
    if not path.exists() and not path.is_symlink():
        return Sites()
    try:
        table = read_table(path)
    except ValueError as error:
        return Sites({}, (str(error),))
    own = {"".join(letter for letter in column.lower() if letter.isalnum()): column for column in table.columns}
    column = next((own[name] for name in SITES if name in own), None)
    if "participantid" not in own:
        return Sites({}, (f"its columns are {', '.join(table.columns)[:200]}; expected participant_id",))
    sites: dict[str, str] = {}
    faults = list(table.faults)
    twice: set[str] = set()
    for number, row in table.rows:
        subject = row[own["participantid"]]
        subject = subject if subject.startswith("sub-") else f"sub-{subject}"
        if not subject.removeprefix("sub-").isalnum() or not subject.isascii():
            faults.append(f"line {number}: participant_id {subject[:40]!r}; expected sub- and letters and digits")
        elif column is not None and row[column] not in EMPTY and sites.setdefault(subject, row[column]) != row[column]:
            faults.append(f"line {number}: {subject} is of site {row[column][:40]!r}, and of {sites[subject][:40]!r} before")
            twice.add(subject)
    return Sites({subject: site for subject, site in sites.items() if subject not in twice}, tuple(faults))
