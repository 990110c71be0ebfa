"""Prepared volumes on disk, read back as memory-mapped tensors: a crop reads its own pages, whatever the volume's size.

MONAI's PersistentDataset keeps such files too, but reads them whole: a crop of 64^3 out of 256 x 256 x 128 took 19.5 ms, here
0.6. After a mask was corrected it went on giving the old one, since it knows the path alone (`python -m benchmarks.own_parts
cache`). And it moves files into place across file systems, which is no single step. CacheDataset keeps all in memory.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import monai
import torch
from monai.data.utils import pickle_hashing
from monai.transforms.utils import convert_to_tensor

from data_prep.atomic import remove_leftovers, replace_file
from data_prep.disk import needing
from data_prep.home import at_home
from data_prep.lack_of_memory import refuse_for_memory
from monai_hybrid.errors import ConfigError
from monai_hybrid.weights import tensor_bytes, torch_save, unreadable

FORMAT = 1
FILES = ("image", "label")  # the entries of a case that are paths
logger = logging.getLogger("monai_hybrid.cache_dir")


class VolumeCache:
    """A folder with one file a prepared case. Several runs, of several data sets and settings, may share it.

    A file's name is a digest of the case's entries, of path, size and time of its files, of the transforms with all their
    settings, and of MONAI's version: what was prepared in another way, or from another state of a file, is never read. Nothing
    is ever deleted; while no run uses the folder it may be.

    Args:
        folder: made if need be.
        transforms: the deterministic ones, in order.

    Raises:
        ConfigError: a transform cannot be pickled (a lambda), so that it has no digest.
    """

    def __init__(self, folder: str | Path, transforms: Sequence[Any]) -> None:
        self.folder = at_home(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.folder)
        try:
            self.prepared_by = pickle_hashing(list(transforms)).decode()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"cache_dir: a transform cannot be told from others, because it cannot be pickled ({error}); "
                "write it as a class or a function of a module, or leave --cache_dir out"
            ) from error

    def path(self, case: Mapping[str, Any]) -> Path:
        """The file of a case, there or not."""
        entries = sorted((name, repr(value)) for name, value in case.items())
        facts = (FORMAT, monai.__version__, self.prepared_by, entries, list(_states(case)))
        return self.folder / f"{hashlib.sha256(repr(facts).encode()).hexdigest()[:32]}.pt"

    def announce(self, cases: Sequence[Mapping[str, Any]]) -> None:
        """Say how many of the cases are here, since the others take a while."""
        missing = sum(not self.path(case).is_file() for case in cases)
        logger.info("%s: %d of %d volumes are here, %d to prepare", self.folder, len(cases) - missing, len(cases), missing)

    def item(self, case: Mapping[str, Any], prepare: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A prepared case, its tensors memory-mapped: copy on write, so nothing that is done to them reaches the file.

        Args:
            case: as in the data list.
            prepare: makes it, called when there is no file, or a damaged one.

        Raises:
            OSError: the file could not be written; none is left half-written.
        """
        path = self.path(case)
        if path.is_file():
            try:
                return _mapped(path)
            except Exception as error:  # torch reports damage through many types
                refuse_for_memory(error, path)
                logger.warning("%s: damaged (%s); prepared again", path, unreadable(error))
        content = convert_to_tensor(prepare(), track_meta=False, convert_numeric=False)
        with needing(tensor_bytes(content), path):
            replace_file(path, lambda temporary: torch_save(content, temporary))
        return _mapped(path)


def _mapped(path: Path) -> dict[str, Any]:
    item: dict[str, Any] = torch.load(path, weights_only=True, mmap=True)
    return item


def _states(case: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    for key in FILES:
        files = case.get(key, [])
        for file in files if isinstance(files, (list, tuple)) else [files]:
            if isinstance(file, (str, Path)):
                status = Path(file).stat()
                yield str(Path(file).resolve()), status.st_size, status.st_mtime_ns
