"""Where results go when nobody says: the demonstration's into the bundle's folder, those of real data never."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
from pathlib import Path

from data_prep.home import at_home
from monai_hybrid.bundle_folders import INSTALLED

RUNS = "runs"
logger = logging.getLogger("monai_hybrid.run")


def results_folder(bundle_root: str, data: str | None = None, part: str = "") -> str:
    """The default of `output_dir`, of every configuration.

    With data of the user's: `runs/<bundle>_<name of the data>` in the working directory. Without, and for applications that
    call MONAI's workflow and keep the models themselves: the bundle's own folder; where that is an installed one, or cannot be
    written, `runs/<bundle>`.

    Args:
        bundle_root: the bundle's folder.
        data: data set, image or model that was given; what lies in the bundle's folder is the demonstration's own.
        part: folder below, "eval".
    """
    if not is_bundle_command(sys.argv):
        return _below(bundle_root, part)
    folder = default_folder(bundle_root, data)
    if folder is None:
        return _below(bundle_root, part)
    _tell(_below(folder, part))
    return _below(folder, part)


def default_folder(bundle_root: str, data: str | None) -> str | None:
    """`runs/...` for these data; None for the bundle's own folder."""
    root = Path(bundle_root)
    real = bool(data) and not inside(str(data), root)
    if not real and usable(root):
        return None
    name = root.resolve().name
    if real:
        stem = at_home(str(data)).resolve().name.split(".")[0]
        name += "_" + (re.sub(r"[^\w-]+", "_", stem) or "data")
    return str(Path(RUNS) / name)


def _below(folder: str, part: str) -> str:
    return f"{folder}/{part}" if part else folder


@functools.cache
def _tell(folder: str) -> None:
    logger.info("no output_dir given: results go to %s", folder)


def data_folder(data: str | None, output_dir: str, bundle_root: str) -> str | None:
    """Where descriptions of a data set, or the built-in phantom, go in an evaluation or a prediction.

    None for a prepared data set as long as there is no output folder: a run that is refused leaves none.
    """
    if not data:
        return bundle_root if usable(Path(bundle_root)) else output_dir
    prepared = (at_home(data) / "datalist.json").is_file()
    return output_dir if not prepared or Path(output_dir).is_dir() else None


def usable(bundle_root: Path) -> bool:
    """Whether a bundle's folder takes the demonstration's results: one of a repository or a copy, that can be written."""
    return bundle_root.resolve().parent.name != INSTALLED and os.access(bundle_root, os.W_OK)


def is_bundle_command(argv: list[str]) -> bool:
    """Whether the process is `python -m monai.bundle run ...`, not an application or a test that uses MONAI's workflow."""
    return len(argv) > 1 and Path(argv[0]).parent.name == "bundle" and argv[1] in ("run", "run_workflow")


def inside(path: str, folder: Path) -> bool:
    """Whether a path lies below a folder."""
    return folder.resolve() in at_home(path).resolve().parents
