"""Keep the original model unless what can be known without labels says that the adapted one is better."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.transforms import Compose
from torch import nn

from data_prep.colour import parse_colour
from data_prep.shift.images import image_summary
from monai_hybrid.diffusion.noising import NoiseSchedule
from monai_hybrid.few_shot.shots import write_record
from monai_hybrid.few_shot.signals import Look, Seen, Segment
from monai_hybrid.prediction.table import ADAPTED, ORIGINAL
from monai_hybrid.weights import read_card

GAIN = 0.005  # of the mean agreement, below which nothing is said to have risen
WORSE = 1.02  # times the denoising error is the same error
FILE = "safety_stop.json"
logger = logging.getLogger("monai_hybrid.adaptation")


@dataclass(frozen=True)
class Verdict:
    """Which model is kept, and why.

    Attributes:
        kept: "adapted" or "original".
        reasons: sentences; of an original all that speak against the adapted one.
        numbers: name -> (before, after), means over the scans.
    """

    kept: str
    reasons: list[str]
    numbers: Mapping[str, tuple[float, float]]

    def plain(self) -> dict[str, Any]:
        """For JSON and for the card."""
        return {"kept": self.kept, "reasons": self.reasons, **{name: list(pair) for name, pair in self.numbers.items()}}


def decide(before: Sequence[Seen], after: Sequence[Seen], denoising_alone: bool = False) -> Verdict:
    """Compare what two models make of the same held-out scans.

    The adapted model is kept when all of this holds; it is evidence, no proof, for no label was seen:

    - the mean agreement of masks with themselves rises by at least 0.005, and on half of the scans or more;
    - not more structures are absent or of an unusual volume than before;
    - the denoising error does not grow by more than 2 %; after training on the denoising term alone it falls.

    Args:
        before, after: of the original and of the adapted model, scan by scan.
        denoising_alone: no mask was trained.
    """
    a, b = _mean([s.agreement for s in before]), _mean([s.agreement for s in after])
    risen = sum(y.agreement > x.agreement for x, y in zip(before, after, strict=True))
    odd = [float(sum(s.odd for s in seen)) for seen in (before, after)]
    numbers = {"agreement": (a, b), "odd_structures": (odd[0], odd[1])}
    against = []
    if b - a < GAIN or 2 * risen < len(before):
        told = f"{a:.3f} before, {b:.3f} after; better on {risen} of {len(before)} scans"
        against.append(f"the masks agree with themselves no better, or by less than {GAIN} ({told})")
    if odd[1] > odd[0]:
        against.append(f"more structures are absent or of an unusual size ({odd[0]:.0f} before, {odd[1]:.0f} after)")
    errors = [[s.denoising for s in seen if s.denoising is not None] for seen in (before, after)]
    if errors[0] and errors[1]:
        x, y = map(_mean, errors)
        numbers["denoising_error"] = (x, y)
        if (y >= x and denoising_alone) or y > WORSE * x:
            against.append(f"the scans are denoised no better ({x:.3g} before, {y:.3g} after)")
    entropies = [[s.entropy for s in seen if s.entropy is not None] for seen in (before, after)]
    if entropies[0] and entropies[1]:
        numbers["entropy"] = (_mean(entropies[0]), _mean(entropies[1]))
    if against:
        return Verdict(ORIGINAL, against, numbers)
    return Verdict(
        ADAPTED,
        [f"the masks agree better with themselves ({a:.3f} before, {b:.3f} after), and nothing speaks against it"],
        numbers,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


class SafetyStop:
    """At the end of a training: measure, decide, put the original weights back where they are the better ones, and say which.

    It stands before the handler that saves the model. `verdict` is the card's entry, filled when the training is over.

    Args:
        network: as it starts, with the original weights.
        average: the averaged network, which is saved.
        held_out: scans that were not trained with.
        prepare: the deterministic transforms.
        segment: sliding-window inferer.
        schedule: the forward process.
        pretrained: the model file that is adapted.
        plan: its plan, with spacing and patch size.
        objective: of the training.
        data: the data set, for what the card says of its images.
        cases: the scans of the training.
        folder: for `safety_stop.json`.
        rank: only rank 0 works.
    """

    def __init__(
        self,
        network: nn.Module,
        average: nn.Module,
        held_out: Sequence[Mapping[str, Any]],
        prepare: Sequence[Callable[[Any], Any]],
        segment: Segment,
        schedule: NoiseSchedule,
        pretrained: str,
        plan: Mapping[str, Any],
        objective: str,
        data: Any,
        cases: Sequence[Mapping[str, Any]],
        folder: str,
        rank: int = 0,
    ) -> None:
        self.card = read_card(pretrained) or {}
        self.original = {name: w.detach().cpu().clone() for name, w in network.state_dict().items()}
        self.average, self.held_out, self.prepare = average, held_out, Compose(list(prepare))
        self.look = Look(self.card, segment, plan["spacing"], plan["patch_size"], schedule)
        self.denoising_alone, self.data, self.cases = objective == "diffusion", data, cases
        self.folder, self.rank = Path(folder), rank
        self.verdict: dict[str, Any] = {}

    @property
    def own_objective(self) -> Any:
        """What the model was trained with: the heads that it has stay trained, whatever the scans taught."""
        return (self.card.get("training") or {}).get("objective")

    def attach(self, engine: Engine) -> None:
        """Decide when the training is over."""
        if self.rank == 0:
            engine.add_event_handler(Events.COMPLETED, self.decide)

    def decide(self, engine: Engine) -> None:
        """Look through both models, and leave the one that is kept in `average`."""
        images = [self.prepare(dict(case))["image"] for case in self.held_out]
        adapted = {name: w.detach().clone() for name, w in self.average.state_dict().items()}
        after = self.look(self.average, images)
        self.average.load_state_dict(self.original)
        before = self.look(self.average, images)
        verdict = decide(before, after, self.denoising_alone)
        if verdict.kept == ADAPTED:
            self.average.load_state_dict(adapted)
        self.verdict.clear()
        self.verdict |= {**verdict.plain(), "scans": len(images)}
        names = [str(case["case_id"]) for case in self.held_out]
        rows = [{"case_id": n, "before": x.plain(), "after": y.plain()} for n, x, y in zip(names, before, after, strict=True)]
        write_record({**self.verdict, "cases": rows}, self.folder / FILE)
        logger.info(
            "safety stop, held-out scans: %d: the %s model is kept: %s", len(images), verdict.kept, "; ".join(verdict.reasons)
        )

    def content(self, model: Path | None = None) -> dict[str, Any]:
        """The "reference" of the card: what is usual of the structures is what the original says; the images are the scans."""
        reference = dict(self.card.get("reference") or {})
        if self.verdict.get("kept") != ADAPTED:
            return reference
        kept = {"volumes": reference["volumes"]} if "volumes" in reference else {}
        if "spacing" not in self.data.dataset["fingerprint"]:  # scans of which no description was made
            return kept
        colour = parse_colour(self.data.dataset.get("colour"))
        images = image_summary(self.data.dataset, self.cases, self.card["plan"]["normalization"], colour)
        return {**kept, "images": images}

    def quality(self, model: Path, earlier: float = 0.0) -> Any:
        """The card's "quality": that of the original while its weights are kept; the adapted model saw no labelled case."""
        return self.card.get("quality") if self.verdict.get("kept") != ADAPTED else None
