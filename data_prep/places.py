"""Where results may lie: never among the files that they are made from."""

from __future__ import annotations

from pathlib import Path

from data_prep.bids import is_bids
from data_prep.dead_links import refuse_dead_link
from data_prep.errors import ConfigError, DataError
from data_prep.free_names import free
from data_prep.home import at_home
from data_prep.quoting import printable, quoted
from data_prep.reading import extension
from data_prep.result_files import kind_of

PARTS = ("images", "imagesTr", "imagesTs", "labels", "labelsTr", "labelsTs")  # folders of a raw data set


def refuse_special(path: Path) -> None:
    """Refuse a pipe or a device before it is opened: waiting for one has no end.

    Raises:
        DataError: it is neither a file nor a folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{path}: {kind_of(path)}, expected a file or a folder")


def refuse_unlistable(source: Path, name: str | None = None) -> None:
    """Refuse a source whose path, and a data set whose name, no list can hold: both stand in `datalist.json`.

    Raises:
        ConfigError: a line break or another control character.
    """
    asked = "expected none. Type: "
    if name and _control(name):
        raise ConfigError(f"--name {printable(name)}: has a line break or a control character, {asked}--name NAME")
    place = source.absolute()
    if wrong := next((part for part in reversed((place, *place.parents)) if _control(part.name)), None):
        plain = wrong.with_name("".join("_" if _control(sign) else sign for sign in wrong.name))
        said = f"{printable(str(source))}: its path has a line break or a control character"
        raise ConfigError(f"{said}, {asked}mv {quoted(wrong)} {quoted(free(plain))}")


def _control(text: str) -> bool:
    return any(ord(sign) < ord(" ") for sign in text)


def refuse_among(output: Path, source: Path, option: str = "--output") -> None:
    """Refuse an output folder among the files of a source.

    Of a folder with `images/` or the like, these folders count; of a BIDS data set all but what lies below `derivatives/`; of
    any other folder (DICOM, in any nesting) the whole. A folder in which the images lie themselves may hold their masks, since
    masks of the program are known as such; so may that of a single file. A prepared data set holds no images.

    Raises:
        ConfigError: with another folder.
    """
    refuse_dead_link(output, option)
    if not at_home(source).is_dir():  # also a link to itself, which has no place
        return
    out, origin = at_home(output).resolve(), at_home(source).resolve()
    if (origin / "datalist.json").is_file():
        return
    if is_bids(origin):
        among = out.is_relative_to(origin) and origin / "derivatives" not in out.parents
    else:
        parts = [origin / name for name in PARTS if (origin / name).is_dir()]
        loose = not parts and any(extension(path) for path in origin.iterdir())
        among = not loose and any(out.is_relative_to(part) for part in parts or [origin])
    if among:
        raise ConfigError(
            f"{option} {output}: lies among the files of {source}, which stay as they are. "
            f"Type: {option} {quoted(free(_elsewhere(origin)))}"
        )


def _elsewhere(origin: Path) -> Path:
    if origin.is_dir() and is_bids(origin):
        return origin / "derivatives" / "monai_hybrid"
    return origin.with_name(f"{origin.name.split('.')[0] or 'data'}_results")
