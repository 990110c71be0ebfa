"""Files that take the place of one that is not read as it is: written anew, under names of their own, as the user states."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.nifti_open import says_gzip
from data_prep.reading import extension, stem
from data_prep.repair.draft import open_draft
from data_prep.repair.fixes import Judgement
from data_prep.repair.stated import CHANNELS, FIRST, Stated

NAMED = ("msd", "nnunet", "bids")  # layouts that say how files are called


class Copy(NamedTuple):
    """A file that takes the place of another, beside it: by code, what was done."""

    name: str
    data: bytes
    code: str
    what: str


def volumes_apart(path: Path, data: bytes | None, channels: int, said: Stated) -> list[Copy]:
    """The volumes of a NIfTI image with four axes as files, bit for bit; none where it has the channels that are declared.

    `data` are its bytes once corrected, None where they are right.

    Raises:
        Judgement: the volumes are said to be slices.
        ReadError: it is no sound NIfTI file.
    """
    if said.pages is None:
        return []
    draft = open_draft(path, data=data)
    volume, number = draft.volume, draft.volume.channels
    if number in (1, channels):
        return []
    if said.pages not in (CHANNELS, FIRST):
        raise Judgement(f"shape {volume.array.shape}: its fourth axis holds volumes; say --pages channels or --pages first")
    size = len(draft.header.binaryblock)
    start = max(int(draft.header["vox_offset"]), size + 4) - size  # in the body, after extensions
    step = math.prod(volume.shape) * draft.header.get_data_dtype().itemsize
    draft.header.set_data_shape(volume.shape)
    copies = []
    for index in range(number if said.pages == CHANNELS else 1):
        voxels = draft.body[start + index * step : start + (index + 1) * step]
        plain = draft.header.binaryblock + draft.body[:start] + voxels
        name = f"{stem(path)}_{index:04}{extension(path)}" if said.pages == CHANNELS else path.name
        packed = gzip.compress(plain, mtime=0) if says_gzip(path) else plain
        copies.append(Copy(name, packed, "D109", f"volume {index + 1} of {number}"))
    return copies


def refuse_names(path: Path, copies: Sequence[Copy], layout: str) -> None:
    """Refuse copies whose names others have, or that the layout of the data set would not find.

    Raises:
        Judgement: so it is.
    """
    for copy in copies:
        if copy.name != path.name and layout in NAMED:
            raise Judgement(f"a copy is called {copy.name}, which the layout {layout} would not find; export the files anew")
        if copy.name != path.name and path.with_name(copy.name).exists():
            raise Judgement(f"a copy is called {copy.name}, which is there; put images and masks into two folders")
