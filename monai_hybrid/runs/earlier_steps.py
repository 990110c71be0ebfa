"""Settings of earlier versions that give the same numbers as those of now, so that a run may go on: names and steps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from monai_hybrid.earlier_names import named_as_now

STEPS = "train#deterministic_transforms#"
# Digests of the steps that the bundles had -> of those they have. 0.1 read image and label in one step and mapped the values
# afterwards; a plan of then has no `resampling`, so that its images are still sampled.
SAME = {
    ("d1564be74479545c", "5e0013611dce4b54"),  # hybrid_pretrain
    ("5244df8f200d9336", "405aa7b827d353df"),  # few_shot_finetune
}


def digest_of_steps(settings: Mapping[str, str]) -> str:
    """Of the steps among flat settings, 16 hexadecimal digits."""
    steps = {name.removeprefix(STEPS): value for name, value in settings.items() if name.startswith(STEPS)}
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:16]


def as_now(saved: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Saved settings, flat, with the names of now, and the steps of `now` where both are known to give the same numbers."""
    saved = {name: named_as_now(value) for name, value in saved.items()}
    if (digest_of_steps(saved), digest_of_steps(now)) not in SAME:
        return saved
    kept = {name: value for name, value in saved.items() if not name.startswith(STEPS)}
    return kept | {name: value for name, value in now.items() if name.startswith(STEPS)}
