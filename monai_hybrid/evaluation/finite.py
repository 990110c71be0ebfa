"""A prediction that is not a number must not become a mask."""

from __future__ import annotations

from typing import Any

import torch
from ignite.engine import Engine
from monai.engines import IterationEvents

from monai_hybrid.errors import DataError, ModelFileError


class FinitePredictions:
    """Look at the raw prediction (B, K, X, Y[, Z]) of each batch before postprocessing: argmax would make NaN a class.

    Raises:
        DataError: from within the run; the image itself holds NaN or Inf.
        ModelFileError: from within the run; the image is sound, so the weights (or an overflow in half precision) are not.
    """

    def attach(self, engine: Engine) -> None:
        """Look when the network is done."""
        engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, self)

    def __call__(self, engine: Any) -> None:
        image, pred = (torch.as_tensor(engine.state.output[key]) for key in ("image", "pred"))
        for case, x, y in zip(engine.state.batch["case_id"], image, pred, strict=True):
            if bool(torch.isfinite(y).all()):
                continue
            if not bool(torch.isfinite(x).all()):
                raise DataError(f"case {case}: the image holds NaN or Inf; run `python -m data_prep check` on the data set")
            raise ModelFileError(
                f"case {case}: the prediction holds NaN or Inf though the image does not: the weights are damaged, or half "
                "precision overflows (try --amp False)"
            )
