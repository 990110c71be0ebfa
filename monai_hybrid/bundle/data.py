"""From the `dataset_dir` setting to checked lists of cases: nothing (the built-in phantom), a prepared folder, or a raw one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from data_prep.checks import Finding
from data_prep.checks.registry import OFFER
from data_prep.datalist import images_of
from data_prep.errors import DataListError
from data_prep.files import read_datalist, read_dataset, read_plan
from data_prep.grouped import by_code, line_of, ordered
from data_prep.home import at_home
from data_prep.quoting import quoted
from monai_hybrid.errors import DataError
from monai_hybrid.settings import SYNTHETIC
from monai_hybrid.transforms.classes import IGNORE_VALUE

PHANTOM_CASES = 36
SPLITS, ALL = ("training", "validation", "testing"), "all"
CHOICES = ("D540", "D543")  # of BIDS: which contrast, which labels
SHAPES_CASES = 24  # for validation and the plan; the training draws new ones without end
logger = logging.getLogger("monai_hybrid.data")


@dataclass(frozen=True)
class PreparedData:
    """A data set as the bundles use it.

    Attributes:
        folder: where `datalist.json`, `dataset.json` and `plan.json` lie.
        training, validation, testing: lists of {"image", "label", "case_id", "patient", "site", ...}, paths absolute.
        dataset: the content of `dataset.json` (labels, channels, fingerprint).
        plan: the content of `plan.json` (spacing, patch size, normalisation, batch, network).
        built_in: the phantom that is taken when no data are given.
    """

    folder: Path
    training: list[dict[str, Any]]
    validation: list[dict[str, Any]]
    testing: list[dict[str, Any]]
    dataset: dict[str, Any]
    plan: dict[str, Any]
    built_in: bool = False

    @property
    def num_classes(self) -> int:
        """K, background included."""
        return len(self.dataset["labels"])

    @property
    def class_names(self) -> list[str]:
        """Names of the K classes, background first."""
        return [label["name"] for label in self.dataset["labels"]]

    @property
    def label_values(self) -> list[int]:
        """The user's own value of each class, in the order of the class index."""
        return [label["value"] for label in self.dataset["labels"]]

    @property
    def length_unit(self) -> str:
        """Of distances: "mm" when every file states its spacing, else "pixels" (2D) or "voxels"."""
        if self.dataset["fingerprint"]["spacing_known"]:
            return "mm"
        return "pixels" if self.dataset["spatial_dims"] == 2 else "voxels"

    def labelled(self, split: str, required: bool = False) -> list[dict[str, Any]]:
        """The cases of "training", "validation", "testing" or, of the three, "all" that have a label.

        Raises:
            DataError: there is none, though `required`.
        """
        lists = SPLITS if split == ALL else (split,)
        cases = [case for name in lists for case in getattr(self, name) if "label" in case]
        if required and not cases:
            count = {name: len(self.labelled(name)) for name in SPLITS}
            held = ", ".join(f"{name} {number}" for name, number in count.items())
            advice = "choose another with --split"
            if count["training"] and not (count["validation"] or count["testing"]):
                advice = (
                    "nobody is held out to measure on. From 3 labelled patients on, monai-hybrid adapt --stopping "
                    "leave_one_out scores each by a model of the others; --split training scores what the model learnt from. "
                    "Masks of another program are scored with --split all"
                )
            raise DataError(f"{self.folder}: the split {split} has no labelled case (labelled: {held}); {advice}")
        return cases


def prepare_data(
    dataset_dir: str | None, output_dir: str | None, site: str = "A", seed: int = 0, budget: str | None = None
) -> PreparedData:
    """Make the data set ready and read it.

    Args:
        dataset_dir: None or "" generates the built-in phantom; "synthetic" or "synthetic-2d" random shapes, which
            `configs/synthetic.json` draws anew for each sample of the training; a folder with `datalist.json` is used as it
            is; any other folder is checked and described by `data_prep` first. Images are never copied.
        output_dir: where generated data and descriptions go, under `data/`; None for a prepared folder: nothing is written.
        site: scanner of the phantom, "A" or "B".
        seed: of the phantom and of the split by patient.
        budget: "cpu" or "gpu", for the plan; None = "gpu" where CUDA is.

    Raises:
        DataError: no such folder, or data that fail the checks, in a raw folder as in a prepared one.
    """
    own = Path(output_dir or ".") / "data"
    if not dataset_dir:
        logger.info("no dataset_dir given: using the built-in phantom, scanner %s, in %s", site, own / f"phantom_{site}")
        phantom = _generated(own, f"phantom_{site}", seed, budget, cases=PHANTOM_CASES, site=site)
        return replace(read_prepared(phantom), built_in=True)
    if dataset_dir in SYNTHETIC:
        dims = SYNTHETIC[dataset_dir]
        prepared = read_prepared(_generated(own, f"shapes_{dims}d", seed, budget, cases=SHAPES_CASES, site="shapes", dims=dims))
        return replace(prepared, plan={**prepared.plan, "universal": True})
    source = at_home(dataset_dir)
    if not source.is_dir():
        raise DataError(
            f"dataset_dir: no such folder: {source}; give a folder with images/ and labels/, "
            "or one made by `monai-hybrid build`"
        )
    if (source / "datalist.json").is_file():
        _verify(source, own if output_dir else None)
        return read_prepared(source)
    return read_prepared(_build(source, own / source.resolve().name, seed, budget))


def _verify(folder: Path, own: Path | None) -> None:
    """Check every file of a prepared data set, once for each state of its files, before any time goes into training.

    `own` holds the marks of what was checked; None: no mark is read or made.
    """
    if own is None:
        _refuse_errors(folder)
        return
    content = read_datalist(folder)
    state = _digest(
        [file for split in ("training", "validation", "testing") for entry in content[split] for file in _files(entry)]
    )
    mark = own / f"checked_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}.sha256"
    own.mkdir(parents=True, exist_ok=True)
    with _locked(own):
        if mark.is_file() and mark.read_text() == state:
            return
        _refuse_errors(folder)
        mark.write_text(state)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time prepares data in a folder; nothing hidden is left there."""
    lock = folder / ".lock"
    with FileLock(lock):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows deletes no open file
                lock.unlink()  # while it is held: who waits for it sees that it is gone, and asks anew


def _refuse_errors(folder: Path) -> None:
    from data_prep.build import refusal
    from data_prep.check import check_datalist

    logger.info("checking the files that %s names (once for each state of them)", folder / "datalist.json")
    findings = check_datalist(folder / "datalist.json")
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        raise DataError(refusal(folder, errors))
    _tell(findings)


def _tell(findings: Iterable[Finding]) -> None:
    """Warnings are said, those of one kind in one line; notes are for the log."""
    for members in by_code(ordered(findings)):
        logger.log(logging.WARNING if members[0].level == "warning" else logging.DEBUG, "%s", line_of(members))


def _files(entry: dict[str, Any]) -> list[Path]:
    return [Path(path) for path in (*images_of(entry), *([entry["label"]] if "label" in entry else []))]


def read_prepared(folder: Path) -> PreparedData:
    """Read the three files that `python -m data_prep build` wrote into `folder`.

    Raises:
        DataListError: one is missing or damaged, or they are not of one data set.
    """
    datalist, dataset = read_datalist(folder / "datalist.json"), read_dataset(folder / "dataset.json")
    plan = read_plan(folder / "plan.json")
    if plan["spatial_dims"] != (dims := dataset["spatial_dims"]):
        told = f"the plan is of {plan['spatial_dims']}D data, and dataset.json beside it of {dims}D"
        raise DataListError("D502", f"{folder / 'plan.json'}: {told}; expected the three files of one build", str(folder))
    if (ignore := dataset.get(IGNORE_VALUE)) is not None:
        datalist = {name: with_ignore_value(datalist[name], ignore) for name in ("training", "validation", "testing")}
    return PreparedData(
        folder=folder,
        training=datalist["training"],
        validation=datalist["validation"],
        testing=datalist["testing"],
        dataset=dataset,
        plan=plan,
    )


def with_ignore_value(cases: Sequence[dict[str, Any]], ignore: int) -> list[dict[str, Any]]:
    """The cases, the labelled ones with what `LoadClassesd` must know: the value of voxels that nobody annotated."""
    return [{**case, IGNORE_VALUE: ignore} if "label" in case else case for case in cases]


def _generated(own: Path, name: str, seed: int, budget: str | None, **recipe: Any) -> Path:
    from data_prep.phantom import generate

    raw = own / name
    own.mkdir(parents=True, exist_ok=True)
    with _locked(own):
        generate(raw, seed=seed, **recipe)
    return _build(raw, own / f"{name}_prepared", seed, budget)


def _build(source: Path, out: Path, seed: int, budget: str | None) -> Path:
    """Describe a raw folder, once for each state of its files; several processes of one run may ask at the same time."""
    import torch

    out.parent.mkdir(parents=True, exist_ok=True)
    budget = budget or ("gpu" if torch.cuda.is_available() else "cpu")
    state = _state(source, seed, budget)
    with _locked(out.parent):
        mark = out / "source.sha256"
        if not mark.is_file() or mark.read_text() != state:
            logger.info("checking and describing %s (once; the result is in %s)", source, out)
            _tell(_built(source, out, seed=seed, budget=budget))
            mark.write_text(state)
    return out


def _built(source: Path, out: Path, **settings: Any) -> Sequence[Finding]:
    """The findings of a build; where it has to be told what is meant, how, for a training has no options for that.

    Raises:
        HybridError: see `data_prep.build.build`.
    """
    from data_prep.build import build
    from data_prep.free_names import proposed

    try:
        return build(source, out, **settings).findings
    except DataError as error:
        is_choice = isinstance(error, DataListError) and error.code in CHOICES
        if not is_choice and OFFER not in str(error):
            raise
        whole = source.resolve()
        prepared = quoted(proposed(whole, "_prepared"))
        first = f"monai-hybrid build {quoted(whole)} --output {prepared}"
        if isinstance(error, DataListError) and is_choice:
            told = f"{error}. These are options of build: add one to {first}, then give {prepared} as the data"
            raise DataListError(error.code, told, error.file) from error
        told = f"{error}\n--accept is an option of build: add it to {first}, then give {prepared} as the data"
        raise DataError(told) from error


def _state(source: Path, *settings: Any) -> str:
    """SHA-256 over path, size and time of every file: another folder of the same name, or a new scan, is noticed."""
    return _digest(sorted(p for p in source.rglob("*") if p.is_file()), *settings)


def _digest(files: list[Path], *settings: Any) -> str:
    facts = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files if p.is_file()]
    return hashlib.sha256(repr((facts, settings)).encode()).hexdigest()
