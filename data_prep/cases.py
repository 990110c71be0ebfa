"""A case and where it came from: what every reader of a layout returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep.checks.registry import Finding
    from data_prep.dicom.series import Series
    from data_prep.volume import Volume

SPLITS = ("training", "validation", "testing")
UNKNOWN_SITE = "unknown"  # never an empty string: MONAI joins a string with the base folder when the result exists


@dataclass(frozen=True)
class Case:
    """One examination (3D) or one slice (2D).

    `images` holds one file per channel. `label` is None for a case without a label. `split` is what the layout or a
    splits file says: "training", "validation", "testing" or None (not said). `listed_in` is the JSON file that names it, None
    where folders are read as they lie.
    """

    case_id: str
    images: tuple[Path, ...]
    label: Path | None
    patient: str = ""
    site: str = UNKNOWN_SITE
    split: str | None = None
    listed_in: Path | None = None


@dataclass(frozen=True)
class SourceFault:
    """What a layout's reader found wrong and passed over: `code` of the check that reports it, and a sentence."""

    code: str
    message: str
    case: str = ""
    file: Path | None = None


@dataclass(frozen=True)
class Source:
    """A raw data set as its layout declares it; nothing but names has been read so far.

    `label_names` maps the user's own value to a name, None when nothing is declared. `orphans` are labels without an
    image. `notes` are sentences for the user about what was left out, `ignored` files beside the images of unknown formats.
    `volumes` reads images that are no single file, by the path that stands for them; `series` has the DICOM series of such a
    case, by its id. `findings` were made while the cases were listed. `labelled`: whether there is any label at all.
    `faults` are what the reader passed over, `beside` small files that describe the set. With `table_of_names` the names are
    those of an atlas: values that no label holds are no classes.
    `colour` names the colours of a picture that are its channels, None where files hold one grey value; see `colour.py`.
    """

    root: Path
    layout: str
    name: str
    cases: tuple[Case, ...]
    label_names: Mapping[int, str] | None = None
    channels: tuple[str, ...] = ("image",)
    modality: str | None = None
    orphans: tuple[Path, ...] = ()
    notes: tuple[str, ...] = field(default=())
    ignored: tuple[Path, ...] = ()
    colour: tuple[str, ...] | None = None
    volumes: Mapping[Path, Callable[[], Volume]] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    labelled: bool = True
    faults: tuple[SourceFault, ...] = ()
    beside: tuple[Path, ...] = ()
    table_of_names: bool = False
    ignore: int | None = None  # label value of voxels that nobody annotated
    segments_named: bool = False  # `label_names` are of the segments of DICOM files, whose values are ours
