"""The engine of `inference.json`: MONAI's evaluator, one case at a time, that survives a bad case and says so at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from monai.networks.utils import eval_mode
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from data_prep.atomic import remove_leftovers
from data_prep.known_files import joint_digest
from data_prep.progress import Ticker
from data_prep.scans import is_own
from monai_hybrid import dicom_border
from monai_hybrid.beside import Ahead, Behind
from monai_hybrid.errors import ConfigError, DataError, EnvironmentFault, ModelFileError
from monai_hybrid.inferers.emit import Segmentation
from monai_hybrid.inferers.input_grid import meta_of_the_file
from monai_hybrid.prediction.cases import PredictionDataset
from monai_hybrid.prediction.denoising import DenoisingScore
from monai_hybrid.prediction.earlier import remove_outdated
from monai_hybrid.prediction.expected import low_prediction, prediction_cells, predictions, write_trust
from monai_hybrid.prediction.flags import masks_for_scans, own_flags
from monai_hybrid.prediction.reasons import by_reason, headline, kind_of, reason
from monai_hybrid.prediction.signals import CaseSignals
from monai_hybrid.prediction.table import ADAPTED, QualityTable, files_of
from monai_hybrid.quality.mask_sums import MaskSums
from monai_hybrid.runs.run_folder import lock, release
from monai_hybrid.screen import BAR, TICK, write_log

logger = logging.getLogger("monai_hybrid.predict")
Signals = dict[str, dict[str, float | None]]  # by structure
FATAL = (ConfigError, EnvironmentFault, ModelFileError)  # true of every case, so nothing is gained by going on


@dataclass(frozen=True)
class _Segmented:
    """A case of which the network is done: what its files and its row follow from.

    Attributes:
        batch: of this case alone, as the loader gave it.
        found: labels, entropy and probabilities.
        error: of denoising.
        signals: what its predicted Dice follows from.
        output: what postprocessing gets.
    """

    batch: dict[str, Any]
    found: Segmentation
    error: float | None
    signals: Signals
    output: dict[str, Any]

    @property
    def case_id(self) -> str:
        return str(self.batch["case_id"][0])


class Predictor(SupervisedEvaluator):
    """Segment every case of a `PredictionDataset`, write its mask and its row of `quality.csv`.

    While a case is computed, the next is read and the one before it written (`Ahead`, `Behind`). Rows, counts and lines are the
    writer's alone, so they keep the order of the cases.

    Args:
        table: the rows.
        score: denoising error of an image.
        signals: what the predicted Dice follows from; None, or a card without "quality": there is none.
        quality: of the model's card.
        adapt: called with an image, its mask on the network's grid and the network; a context in which the network has weights
            of that image, see `OneImage`. None: all images are segmented by the model as it is.
        extras: called with the output of each case after its mask was written, its voxel's size and unit: what lies beside the
            masks, such as statistics and previews.
        reference: of the model's card, what each case is compared with; None for a card without.
        progress_bar: cases and windows, with the time left, on a terminal; elsewhere a line a case is logged.
        postprocessing: called with {"case_id", "pred", "entropy", "probabilities"}; must leave "pred_file".
        **arguments: of SupervisedEvaluator; `inferer` is an `InputGridInferer`, the batch size is 1.

    Raises:
        DataError: from `run`, at the end: some cases failed (exit code 3).
    """

    data_loader: Any  # while it runs, `Ahead` of the one that was given

    def __init__(
        self, table: QualityTable, score: DenoisingScore, progress_bar: bool = True, postprocessing: Callable | None = None,
        reference: Any = None, extras: Sequence[Callable[..., None]] = (), signals: CaseSignals | None = None,
        quality: Mapping[str, Any] | None = None, adapt: Callable[..., Any] | None = None, **arguments: Any,
    ) -> None:  # fmt: skip
        super().__init__(**arguments, postprocessing=None, decollate=False)
        self.table, self.score, self.save = table, score, postprocessing
        self.reference, self.extras = reference, list(extras)
        self.signals, self.quality, self.adapt = signals, quality or {}, adapt
        self.hidden = None if progress_bar else True  # None: tqdm shows itself on a terminal only
        self.counts = {"done": 0, "skipped": 0, "failed": 0}
        self.reasons: list[tuple[str, str]] = []  # case and why, of those that failed
        self.kinds: dict[str, str] = {}  # of reasons, with the first case of each
        self.told: set[str] = set()  # of finished masks, once each
        self.bar: Any = None
        self.dataset: Any = None
        self.behind: Behind

    def run(self) -> None:
        """Do all cases; afterwards `quality.csv` is complete."""
        self.dataset = getattr(self.data_loader, "dataset", None)
        self.table.open()
        lock(self.table.path.parent)  # two would each write a table of their own rows
        remove_leftovers(self.table.path.parent)
        try:
            write_log(self.table.path.parent)
            self._run()
        finally:
            if isinstance(self.dataset, PredictionDataset):
                self.dataset.close()
            release(self.table.path.parent)

    def _case(self, case_id: str) -> dict[str, Any]:
        """What the list of cases says; {} for a loader of another kind."""
        return self.dataset.case(case_id) if isinstance(self.dataset, PredictionDataset) else {}

    def _digest(self, case_id: str) -> str:
        """Of all channels of the case, of DICOM of its first file; "" for a loader of another kind."""
        case = self._case(case_id)
        files = [Path(name) for name in files_of(case)] if case else []
        return joint_digest(files[:1] if "series" in case else files) if files else ""

    def _run(self) -> None:
        self.counts, self.reasons, self.kinds, self.told = dict.fromkeys(self.counts, 0), [], {}, set()
        total, loader = self.state.epoch_length, self.data_loader
        with (
            eval_mode(self.network),  # once for all cases: going through the modules takes a millisecond
            tqdm(total=total, desc="cases", unit="case", disable=self.hidden) as self.bar,
            Ahead(loader) as reading,
            Behind() as self.behind,
        ):
            self.data_loader = reading
            try:
                super().run()
            finally:
                self.data_loader = loader
        flagged = self.table.finish()
        write_trust(self.table, self.quality)
        if masks := masks_for_scans(self.table.own):
            logger.warning("%s", masks)
        said = ", ".join(f"{number} {what}" for what, number in self.counts.items() if number)
        logger.info("%s in %s; %d flagged: see %s", said, self.table.path.parent, len(flagged), self.table.path.name)
        if self.counts["failed"]:
            told = f"{self.counts['failed']} of {total} cases failed; the column error of {self.table.path} says why of each:"
            raise DataError("\n  ".join([told, *by_reason(self.reasons)]))

    def _iteration(self, engine: Any, batchdata: dict[str, Any]) -> dict[str, Any]:
        case_id, began = batchdata["case_id"][0], time.monotonic()
        if (said := batchdata.get("said", [""])[0]) and said not in self.told:
            self.told.add(said)
            logger.info("%s: %s", self.table.path.parent, said)
        output: dict[str, Any] = {"case_id": case_id}
        rest: Callable[[], object]
        if "skip" in batchdata:
            rest = partial(self._skipped, case_id)
        elif "failure" in batchdata:
            rest = partial(self._failed, case_id, batchdata["failure"][0])
        else:
            try:
                one = self._predict(batchdata)
                output, rest = one.output, partial(self._written, one, began)
            except FATAL as fault:
                raise type(fault)(f"case {case_id}: {fault}") from fault
            except Exception as fault:
                rest = partial(_raised, fault)
        self.behind.do(partial(self._finished, case_id, rest))
        if self.state.iteration == self.state.epoch_length:
            self.behind.wait()  # trackers read the counts when the last iteration is over
        return output

    def _finished(self, case_id: str, rest: Callable[[], object]) -> None:
        """The rest of a case, in the thread that writes: what fails is a row, or ends the run."""
        try:
            rest()
        except FATAL as error:
            raise type(error)(f"case {case_id}: {error}") from error
        except Exception as error:
            logger.debug("case %s", case_id, exc_info=True)
            case = self._case(case_id)
            self._failed(case_id, dicom_border.shown(reason(error), case) if "series" in case else reason(error))
        finally:
            dicom_border.removed(self._case(case_id))

    def _skipped(self, case_id: str) -> None:
        self.table.seen(case_id, self._digest(case_id))
        self._told(case_id, "skipped", "finished before (--overwrite True redoes it)")

    def _predict(self, batch: dict[str, Any]) -> _Segmented:
        image = batch["image"].to(self.state.device)[0]
        case_id = batch["case_id"][0]
        kept: str | None = None
        with torch.autocast("cuda", enabled=self.amp, **self.amp_kwargs):
            with tqdm(desc=f"  {case_id}", unit="window", leave=False, disable=self.hidden) as windows:
                ticker = Ticker(f"case {case_id}: windows", 0)
                self.inferer.on_windows = lambda done, total: _show(windows, ticker, done, total)
                sums = None if self.signals is None else self.signals.sums(image, self.inferer)
                watched = self._watched(image, sums)
                found = self.inferer.segment(image, self.network)
            signals: Signals = {}
            if self.signals is None or sums is None:
                error = self.score(image, self.network)
            else:
                error, signals = self.signals.measured(sums, image, self.network, self.inferer)
            if watched is not None:
                found, kept = self._of_the_image(case_id, image, watched, found)
                signals = {} if kept == ADAPTED else signals  # these weights saw no labelled case
        output = {"case_id": case_id, "series": self._case(case_id).get("series"), "test_time": kept}
        return _Segmented(batch, found, error, signals, output | on_the_input_grid(found, image))

    def _watched(self, image: Tensor, sums: MaskSums | None) -> MaskSums | None:
        """What will have the mask on the network's grid, where weights of the image are asked for; before `segment`."""
        if self.adapt is None:
            return None
        if sums is None:
            sums = MaskSums(image.shape[1:], len(self.table.structures) + 1)
            self.inferer.on_rod = sums.add
        return sums

    def _of_the_image(self, case_id: str, image: Tensor, sums: MaskSums, found: Segmentation) -> tuple[Segmentation, str]:
        """The mask by weights of the image itself where these are kept, else the one that was found; and which."""
        assert self.adapt is not None
        self.inferer.on_rod = None
        with self.adapt(image, sums.labels, self.network) as verdict:
            logger.info("%s: the %s weights are kept: %s", case_id, verdict.kept, "; ".join(verdict.reasons))
            return (self.inferer.segment(image, self.network) if verdict.kept == ADAPTED else found), verdict.kept

    def _written(self, one: _Segmented, began: float) -> None:
        """Masks, maps and the row: all of them, or nothing of this case."""
        if self.save is None:
            self._row(one, one.output)
        else:
            self._saved(self.save, one)
        self._told(one.case_id, "done", f"{time.monotonic() - began:.1f} s")

    def _saved(self, save: Callable, one: _Segmented) -> None:
        batch, case_id, saved = one.batch, one.case_id, one.output
        try:
            self.table.reserve()
            saved = {**save(one.output), "case_id": case_id}
            for extra in self.extras:
                extra(saved, float(batch["voxel"][0]), batch["unit"][0])
            remove_outdated(self.table.path.parent, saved, batch["fitting"][0].split(","))
            self._row(one, saved)
        except Exception as broken:  # MONAI wraps what a transform raises
            self.table.free()
            for key in ("entropy", "probabilities"):
                if key in one.output:
                    _remove_own(Path(saved.get(f"{key}_file", self.table.path.parent / f"{case_id}_{key}.nii.gz")))
            for key in ("pred_file", "pred_nifti", "preview_file"):
                if key in saved:
                    Path(saved[key]).unlink(missing_ok=True)
            fault = _system_says(broken)
            if fault is None:
                raise
            raise EnvironmentFault(
                f"{self.table.path.parent}: cannot be written ({fault.strerror or fault}); "
                "free some space or give another --output, then run it again: finished cases are skipped"
            ) from broken

    def _row(self, one: _Segmented, output: Mapping[str, Any]) -> None:
        """`output`: that of the case, with the files that were written."""
        batch, found = one.batch, one.found
        counts = torch.bincount(found.labels.flatten().int(), minlength=len(self.table.structures) + 1)[1:].tolist()
        volumes = {name: n * float(batch["voxel"][0]) for name, n in zip(self.table.structures, counts, strict=True)}
        series = output.get("series")
        name = f"DICOM {series.title}" if series else str(output["pred"].meta.get("filename_or_obj", ""))
        scores = {"entropy_foreground": found.entropy_foreground, "denoising_error": one.error}
        predicted = predictions(self.quality, one.signals)
        flags = [own_flags(volumes, batch["remarks"][0], batch["unit"][0], self.reference, scores)]
        flags += low_prediction(predicted, self.quality)
        self.table.add(
            one.case_id,
            status="done",
            flag="; ".join(flag for flag in flags if flag),
            unit=batch["unit"][0],
            **{f"volume_{name}": volume for name, volume in volumes.items()},
            **(prediction_cells(predicted, self.table.structures) if self.table.predicts else {}),
            **scores,
            entropy_all=found.entropy_all,
            test_time=output.get("test_time"),
            precision=found.precision or self.table.settings.get("precision"),
            image=name,
            image_digest=self._digest(one.case_id),
            mask=self._in_folder(str(output.get("pred_file", ""))),
            made_from=batch["made_from"][0],
        )

    def _in_folder(self, file: str) -> str:
        """A written file as the table names it: by its path below the output folder."""
        path, folder = Path(file), self.table.path.parent
        return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name

    def _failed(self, case_id: str, reason: str) -> None:
        self.table.add_failure(case_id, reason)
        self.reasons.append((case_id, reason))
        first = self.kinds.setdefault(kind_of(reason), case_id)  # the rest of its reason stands at the end
        self._told(case_id, "failed", headline(reason) if first == case_id else f"as {first}", logging.ERROR)

    def _told(self, case_id: str, what: str, detail: str, level: int = logging.INFO) -> None:
        self.counts[what] += 1
        self.state.metrics[f"cases_{what}"] = self.counts[what]  # for trackers
        if self.bar is not None:
            self.bar.update()
        bar = self.bar is not None and not self.bar.disable
        numbers = sum(self.counts.values()), self.state.epoch_length
        tick = {} if numbers[0] == numbers[1] else TICK  # the last line is always shown
        how = {} if level > logging.INFO else {**tick, BAR: bar}
        logger.log(level, "%d/%s %s: %s: %s", *numbers, case_id, what, detail, extra=how)


def _raised(error: Exception) -> None:
    """An error of the computing, in its turn."""
    raise error


def _remove_own(path: Path) -> None:
    """Take back a map of this case, never a file of the user's that had its name."""
    if path.is_file() and is_own(path):
        path.unlink()


def on_the_input_grid(found: Segmentation, image: MetaTensor) -> dict[str, MetaTensor]:
    """Under "pred" (1, X, Y[, Z]) and, where they were kept, "entropy" (1, ...), "probabilities" (K, ...): the file's grid."""
    meta = meta_of_the_file(image)
    parts: dict[str, Tensor | None] = {
        "pred": found.labels[None],
        "entropy": None if found.entropy is None else found.entropy[None],
        "probabilities": found.probabilities,
    }
    return {key: MetaTensor(value, meta=dict(meta)) for key, value in parts.items() if value is not None}


def _show(bar: Any, ticker: Ticker, done: int, total: int) -> None:
    bar.total = ticker.total = total
    if bar.disable:
        ticker.at(done)
    else:
        bar.update(done - bar.n)


def _system_says(error: BaseException | None) -> OSError | None:
    """The first error of the system along the chain of causes."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
