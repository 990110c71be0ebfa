"""bfloat16 where it agrees: the first windows of an image that show foreground are run in float32 too, and decide."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor, nn

from data_prep.amounts import cells, plural
from monai_hybrid.networks.number_types import fastest_dtype

logger = logging.getLogger("monai_hybrid.precision")

SMALLEST_AGREEMENT = 0.999  # of the float32 mask's foreground voxels
ENOUGH_VOXELS = 5000  # of foreground: five may differ; with 1000 it was one, and chance decided
TESTED = 1 / 8  # of the windows may be run twice
FEWEST_WINDOWS = 5  # of an image; with fewer the test costs what it could save


class AgreeingPrecision(nn.Module):
    """Two forms of one segmenter, and for each image the choice between them.

    Windows are run in bfloat16. Those that show foreground are run in float32 too, and its logits are taken, until 5000
    foreground voxels have been compared, or an eighth of the windows. bfloat16 is kept for the image if at least 99.9 % of them
    have the same class; float32 is taken if fewer do, or if there were fewer voxels. An image of less than five windows is
    run in float32. The choice depends on the image and the weights alone: not on the images before it, nor on how many
    windows are run together. It is made anew for each image, by `new_image`.

    Args:
        exact, fast: in float32 and in bfloat16, (B, C, ...) -> (B, K, ...) logits.
    """

    def __init__(self, exact: nn.Module, fast: nn.Module) -> None:
        super().__init__()
        self.exact, self.fast = exact, fast
        self.new_image(0)

    def new_image(self, num_windows: int) -> None:
        """Forget the choice; to be called before the first window of each image, with the number of its windows."""
        self.seen = self.agreed = self.tests = 0
        self.most_tests = math.ceil(TESTED * num_windows)
        self.chosen: str | None = None if num_windows >= FEWEST_WINDOWS else "float32"

    @property
    def precision(self) -> str:
        """Of the image so far: bfloat16 where no window showed foreground."""
        return self.chosen or "bfloat16"

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(B, K, ...) logits, float32."""
        if self.chosen is None and fastest_dtype(x.device) != torch.bfloat16:
            self.chosen = "float32"
        logits = self._run(self.precision, x)
        if self.chosen is not None:
            return logits
        exact = None  # of the whole batch: one window alone can take longer than four
        for i in range(len(x)):
            if self.chosen == "float32" and exact is not None:
                logits[i:] = exact[i:]
                break
            if self.chosen is None and bool((logits[i, 1:].amax(0) > logits[i, 0]).any()):
                exact = self._run("float32", x) if exact is None else exact
                logits[i] = self._compared(exact[i], logits[i])
        return logits

    def _compared(self, exact: Tensor, fast: Tensor) -> Tensor:
        """The float32 logits of one window; the choice is made when enough has been seen."""
        wanted = exact.max(0)[1]
        foreground = wanted > 0
        self.seen += int(foreground.count_nonzero())
        self.agreed += int((foreground & (wanted == fast.max(0)[1])).count_nonzero())
        self.tests += 1
        if self.seen >= ENOUGH_VOXELS or self.tests == self.most_tests:
            enough = self.seen >= ENOUGH_VOXELS and self.agreed >= SMALLEST_AGREEMENT * self.seen
            self.chosen = "bfloat16" if enough else "float32"
            why = "" if enough else ", too few to go by" if self.seen < ENOUGH_VOXELS else f", below {SMALLEST_AGREEMENT:.1%}"
            where = plural(self.tests, "window")
            logger.info(
                "precision %s: in %s, bfloat16 gives %d of %d foreground %s float32's class%s",
                *(self.chosen, where, self.agreed, self.seen, cells(exact.ndim - 1), why),
            )
        return exact

    def _run(self, precision: str, x: Tensor) -> Tensor:
        return torch.as_tensor((self.exact if precision == "float32" else self.fast)(x)).float()
