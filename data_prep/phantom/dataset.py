"""The phantom data set: patients from a seed, scanned at a site, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_prep.atomic import new_folder
from data_prep.errors import ConfigError, DataError
from data_prep.phantom.acquisition import Image, acquire, draw_scan
from data_prep.phantom.files import SUFFIX, write_case
from data_prep.phantom.patient import draw_patient, world_of_nuclei
from data_prep.phantom.scanner import SITES
from data_prep.phantom.tissues import LABELS
from data_prep.synthetic import LABELS as SHAPE_LABELS
from data_prep.synthetic import draw_sample

SHAPES = "shapes"
"""In the place of a scanner: random shapes and textures, no anatomy."""
SHAPES_GRID = {2: (96, 96), 3: (32, 40, 32)}
SHAPES_WHITE = 1000.0
RECORD = "phantom.json"
VERSION = 1
"""Raised whenever the same arguments give other images, so that an older phantom is not taken for the same one."""


@dataclass(frozen=True)
class Recipe:
    """The arguments that determine a phantom; written to `phantom.json`."""

    cases: int
    site: str
    seed: int
    dims: int
    version: int = VERSION

    def names(self) -> list[str]:
        """File names of the cases, the same for image and label."""
        return [f"phantom_{self.site}_{index:03d}{SUFFIX[self.dims]}" for index in range(self.cases)]


def _check(recipe: Recipe) -> None:
    def refuse(name: str, seen: object, expected: str) -> None:
        raise ConfigError(f"phantom: {name} is {seen!r}, expected {expected}.")

    if recipe.site not in (*SITES, SHAPES):
        refuse("site", recipe.site, "one of " + ", ".join(map(repr, (*SITES, SHAPES))))
    if recipe.dims not in SUFFIX:
        refuse("dims", recipe.dims, "2 (PNG planes) or 3 (NIfTI volumes)")
    if recipe.cases < 1:
        refuse("cases", recipe.cases, "at least 1")
    if recipe.seed < 0:
        refuse("seed", recipe.seed, "0 or more")


def make_case(site: str, seed: int, dims: int, index: int) -> Image:
    """Case `index` of a phantom. It depends on these four numbers alone, never on how many cases there are."""
    # The site is part of the stream: sites A and B of one seed hold different patients, as two hospitals do.
    stream = np.random.SeedSequence([seed, dims, index, *site.encode()])
    if site == SHAPES:
        return _make_shapes(int(stream.generate_state(1)[0]), dims)
    for_patient, for_scan = (np.random.default_rng(child) for child in stream.spawn(2))
    scanner = SITES[site]
    patient = draw_patient(for_patient)
    if dims == 3:
        return acquire(patient, draw_scan(for_scan, scanner, scanner.volume, np.zeros(3)))
    # Whoever chooses one plane chooses the one that shows the organs.
    return acquire(patient, draw_scan(for_scan, scanner, scanner.plane, world_of_nuclei(patient)))


def _make_shapes(seed: int, dims: int) -> Image:
    sample = draw_sample(seed, SHAPES_GRID[dims])
    signal, label = (np.atleast_3d(part) for part in (SHAPES_WHITE * sample.image, sample.label))
    return Image(signal.astype(np.float32), label, np.eye(4))


def labels_of(site: str) -> dict[str, str]:
    """Label value, as a JSON key, to name."""
    return SHAPE_LABELS if site == SHAPES else LABELS


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_all(folder: Path, recipe: Recipe) -> None:
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    white = SHAPES_WHITE if recipe.site == SHAPES else 1.3 * SITES[recipe.site].scale
    for index, name in enumerate(recipe.names()):
        image = make_case(recipe.site, recipe.seed, recipe.dims, index)
        write_case(image, folder / "images" / name, folder / "labels" / name, white)
    _write_json(folder / "labels.json", labels_of(recipe.site))
    _write_json(folder / RECORD, asdict(recipe))


def _is_finished(out: Path, recipe: Recipe) -> bool:
    """Whether `out` holds the phantom of `recipe`, with every file that it should have."""
    try:
        record = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = [out / part / name for part in ("images", "labels") for name in recipe.names()]
    return record == asdict(recipe) and all(file.is_file() for file in [*files, out / "labels.json"])


def _may_write(out: Path) -> bool:
    return not out.exists() or (out.is_dir() and not any(out.iterdir()))


def _refuse_folder(out: Path) -> DataError:
    return DataError(
        f"phantom: {out} exists and is not an empty folder nor this same phantom (by its {RECORD}). "
        "Nothing was changed. Give another folder, or remove this one first."
    )


def generate(out: Path, *, cases: int, site: str = "A", seed: int = 0, dims: int = 3) -> Path:
    """Make a labelled data set of synthetic heads, or with `site="shapes"` of random shapes, and return `out`.

    Writes `images/` and `labels/` (same file names), `labels.json` (value to name) and `phantom.json` (these
    arguments). Volumes (`dims=3`) are int16 NIfTI with oblique affines, about 72 x 84 x 72 mm; planes (`dims=2`) are
    8-bit grey PNG. Labels are uint8. On one machine, the same arguments give the same bytes; the first n cases do not
    depend on `cases`. A finished phantom of the same arguments is reused; the folder appears whole or not at all.

    Raises:
        ConfigError: unknown `site`, `dims` other than 2 or 3, `cases` below 1, or a negative `seed`.
        DataError: `out` exists and holds anything else.
    """
    recipe = Recipe(cases, site, seed, dims)
    _check(recipe)
    out = Path(out)
    if _is_finished(out, recipe):
        return out
    if not _may_write(out):
        raise _refuse_folder(out)
    try:
        with new_folder(out) as temporary:
            _write_all(temporary, recipe)
    except OSError:
        # Another process may have finished the same phantom in the meantime: then its files are as good as ours.
        if not _is_finished(out, recipe):
            if _may_write(out):
                raise
            raise _refuse_folder(out) from None
    return out
