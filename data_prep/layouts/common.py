"""Helpers that the readers of layouts share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_prep.cases import Case
from data_prep.dead_links import absent
from data_prep.errors import ConfigError, DataError, DataListError
from data_prep.foreign import foreign_sentence
from data_prep.json_io import load_json
from data_prep.label_file import NAME as LABEL_FILE
from data_prep.label_file import read_label_file
from data_prep.label_names import alike_name, is_made_up, parse_names
from data_prep.outlines import not_masks
from data_prep.quoting import quoted
from data_prep.reading import EXTENSIONS, extension
from data_prep.scans import LABEL_WORDS

_COUNTED = re.compile(r"(?:[a-z]|\d{1,2})[.)]\s*(?=\D)", re.IGNORECASE)
_SPLIT = re.compile(
    r"(?:(?P<training>train(?:ing)?|trn?)|(?P<validation>val(?:id)?(?:ation)?|dev)|(?P<testing>test(?:ing)?|tst?))"
    r"(?:[\s_\-]*(?:set|data|batch|images))?[\s_\-]*\d*",
    re.IGNORECASE,
)
OWN_LABELS = ("labels", "labelsTr")  # of layouts, where nobody names a folder


def image_files(folder: Path) -> list[Path]:
    """Files of known formats in a folder, sorted by name; hidden files are left out."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and extension(path))


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, sorted by name; hidden ones and __MACOSX of archives are left out."""
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]


def uncounted(name: str) -> str:
    """The name of a folder without its number in a list: Optic Disc of "5. Optic Disc"."""
    return name[match.end() :] if (match := _COUNTED.match(name)) else name


def split_of(folder: str) -> str | None:
    """What a folder is called for, "training", "validation" or "testing": train, Training Set, "a. Training Set"; else None."""
    match = _SPLIT.fullmatch(uncounted(folder))
    return match and match.lastgroup


def require_images(folder: Path) -> list[Path]:
    """As `image_files`, but at least one.

    Raises:
        DataError: the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise DataListError("D503", f"{folder}: {absent(folder, f'there is no such folder. Type: ls {quoted(folder.parent)}')}")
    files = image_files(folder)
    if not files:
        foreign = foreign_sentence(folder)
        if foreign:
            raise DataListError("D507", f"{folder}: {foreign}", str(folder))
        raise DataListError("D503", f"{folder}: no image found; expected files that end with {', '.join(EXTENSIONS)}")
    return files


def label_folder(root: Path, name: str) -> Path:
    """The label folder of that name.

    Raises:
        ConfigError: it does not exist, and another folder may be meant.
        DataError: it does not exist, and there are images alone.
    """
    folder = root / name
    if not folder.is_dir():
        others = sorted(path.name for path in root.iterdir() if path.is_dir())
        if others and all(other.lower().startswith("image") for other in others):
            images = quoted(root / others[0])
            raise DataError(
                f"{folder}: there is no such label folder; {root} holds images alone. {_drawn(root)}Put a mask for "
                "each image there; images without masks are for a model that knows what to look for: "
                f"monai-hybrid predict {images} --help"
            )
        here = Path(name).resolve()  # where it was typed, as every other path is
        typed = name not in OWN_LABELS and here.is_dir()
        likely = _likely_labels(others)
        known = quoted(here if typed else likely or "NAME")
        drawn = "" if typed or (likely and image_files(root / likely)) else _drawn(root)
        raise ConfigError(
            f"{folder}: there is no such label folder; {root} holds {', '.join(others) or 'no folder'}. {drawn}"
            f"Type: --labels-dir {'NAME, with the folder of the masks for NAME' if drawn else known}"
        )
    return folder


def _drawn(root: Path) -> str:
    """What to say of annotations that are no masks, with a blank behind it."""
    said = not_masks(root)
    return f"{said} " if said else ""


def _likely_labels(folders: list[str]) -> str | None:
    """The one folder whose name says that it holds labels; None where none does, or several do."""
    likely = [name for name in folders if LABEL_WORDS.search(name.lower())]
    return likely[0] if len(likely) == 1 else None


def unlisted_labels(cases: Iterable[Case]) -> tuple[Path, ...]:
    """Labels in the folders of those of the cases that no case has."""
    known = {case.label.resolve() for case in cases if case.label is not None}
    folders = sorted({path.parent for path in known if path.parent.is_dir()})
    return tuple(path for folder in folders for path in image_files(folder) if path.resolve() not in known)


def raw_dataset_json(root: Path) -> dict[str, Any] | None:
    """The dataset.json of an MSD or nnU-Net data set; None when there is none, or when `build` has written it.

    Raises:
        DataListError: it is damaged.
    """
    path = root / "dataset.json"
    if not path.is_file():
        return None
    content = load_json(path)
    if not isinstance(content, dict):
        raise DataListError("D503", f"{path}: expected an object with keys and values, saw {type(content).__name__}")
    return None if "fingerprint" in content else content


def require_dataset_json(root: Path, layout: str) -> dict[str, Any]:
    """As `raw_dataset_json`, of a layout that needs one; `layout` is its name, for the message.

    Raises:
        DataListError: there is none, or it is damaged.
    """
    content = raw_dataset_json(root)
    if content is None:
        path = root / "dataset.json"
        raise DataListError(
            "D503", f"{path}: missing; the {layout} layout needs it. Type: --layout folders, for images/ and labels/"
        )
    return content


def names_beside(root: Path, labels_dir: str) -> dict[int, str] | None:
    """Label names from `<labels_dir>.json`; None when there is no such file."""
    path = names_file(root, labels_dir)
    return parse_names(load_json(path), str(path)) if path.is_file() else None


def described(root: Path, labels_dir: str) -> tuple[dict[int, str] | None, tuple[str, ...]]:
    """Label names from ITK-SNAP's `labels.txt` among the labels or beside them, or the only `*.label`; and what to say of it.

    The names are those of a table: it has labels that no mask need hold.
    """
    places = list(dict.fromkeys((root / labels_dir, root)))
    others = [path for place in places for path in sorted(place.glob("*.label"))]
    for path in [*(place / LABEL_FILE for place in places), *(others if len(others) == 1 else ())]:
        names = {value: name for value, name in read_label_file(path) or () if value}
        if not all(is_made_up(alike_name(name)) for name in names.values()):  # Label 1, Label 2: nobody has named them
            return parse_names(names, str(path)), (f"labels are called as {path} says",)
    return None, ()


def names_file(root: Path, labels_dir: str) -> Path:
    """The file of label names: `<labels_dir>.json`, or `labels.json` where there is no folder of labels that this is about."""
    own, usual = root / f"{labels_dir}.json", root / "labels.json"
    return usual if not own.is_file() and usual.is_file() and not (root / "labels").is_dir() else own


def channel_names(content: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    """Channel names in the order of their index from {"0": "MRI", ...} or a list.

    Raises:
        DataError: neither form.
    """
    value = content.get(key) or {"0": "image"}
    if isinstance(value, list):
        return tuple(str(name) for name in value)
    if isinstance(value, dict) and all(str(index).isdigit() for index in value):
        return tuple(str(value[index]) for index in sorted(value, key=int))
    raise DataListError("D503", f'{path}: $.{key}: expected {{"0": "name", ...}}, saw {value!r}')


def modality_of(channels: tuple[str, ...]) -> str | None:
    """ "CT" when all channels are CT, "MRI" when they are named so, None when the names do not say."""
    words = {name.upper() for name in channels}
    if words == {"CT"}:
        return "CT"
    return "MRI" if words and all(word.startswith(("MR", "T1", "T2", "FLAIR", "ADC")) for word in words) else None
