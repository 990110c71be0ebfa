"""A batch that is strange as a whole: its cases against the held-out cases of the model's card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # its parts load when they are called: scipy.stats takes most of a second

FALSE_ALARM = 0.02  # of batches of usual cases, over all signals together
SMALLEST_BATCH = 5
WORSE = {"denoising_error": "larger", "predicted_dice": "lower"}
SIDE = {"larger": "less", "lower": "greater"}  # of the distribution function, in scipy's words


def strange_batch(batch: Mapping[str, Sequence[float]], reference: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """One-sided two-sample tests of Kolmogorov and Smirnov, exact for small numbers, with Bonferroni's correction.

    Args:
        batch: values of each signal, a number a case.
        reference: of the card, the same signals on held-out cases.

    Returns:
        {"strange", "said", "false_alarm", "tests": [{"signal", "p", "median", "usual", "cases", "held_out"}]}.
    """
    names = [name for name in WORSE if len(batch.get(name, ())) >= SMALLEST_BATCH and len(reference.get(name, ())) > 0]
    tests = [_test(name, np.asarray(batch[name], float), np.asarray(reference[name], float)) for name in names]
    border = FALSE_ALARM / max(len(tests), 1)
    odd = [test for test in tests if test["p"] < border]
    told = [
        f"{test['signal'].replace('_', ' ')} is {WORSE[test['signal']]} than usual (median {test['median']:.3g}, "
        f"{test['usual']:.3g} on {test['held_out']} held-out cases)"
        for test in odd
    ]
    said = f"the batch as a whole is unusual: {'; '.join(told)}. Usual batches are called so in at most {FALSE_ALARM:.0%}"
    return {"strange": bool(odd), "said": said if odd else "", "false_alarm": FALSE_ALARM, "tests": tests}


def _test(name: str, batch: Any, usual: Any) -> dict[str, Any]:
    p = float(scipy.stats.ks_2samp(batch, usual, alternative=SIDE[WORSE[name]]).pvalue)
    return {
        "signal": name,
        "p": float(f"{p:.3g}"),
        "median": float(f"{np.median(batch):.4g}"),
        "usual": float(f"{np.median(usual):.4g}"),
        "cases": len(batch),
        "held_out": len(usual),
    }
