"""Two folders, images/ and labels/, with equal file names but for a common ending: NIfTI, pictures, MHA or NRRD."""

from __future__ import annotations

from pathlib import Path

from data_prep.cases import Case, Source
from data_prep.label_affixes import pair_labels
from data_prep.layouts.common import image_files, label_folder, names_beside, require_images
from data_prep.reading import stem


def read(root: Path, labels_dir: str | None = None) -> Source:
    """List the cases of a folder with images/ and labels/ (or another label folder).

    Raises:
        ConfigError: the label folder does not exist.
        DataError: images/ is missing or empty, or the file of label names is damaged.
    """
    images = require_images(root / "images")
    name = labels_dir or "labels"
    labels = {stem(path): path for path in image_files(label_folder(root, name))}
    pairs = pair_labels([stem(path) for path in images], labels)
    cases = tuple(Case(stem(path), (path,), pairs.labels.get(stem(path))) for path in images)
    notes = (pairs.note,) if pairs.note else ()
    return Source(root, "folders", root.name, cases, names_beside(root, name), orphans=pairs.orphans, notes=notes)
