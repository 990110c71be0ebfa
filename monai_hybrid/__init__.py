"""Hybrid diffusion pretraining and few-label fine-tuning of segmentation networks (arXiv 2408.03433).

The Python API is in `monai_hybrid.api`, and its functions are here too: `monai_hybrid.adapt(...)`.
"""

from __future__ import annotations

from typing import Any

from monai_hybrid.quiet import silence_decoder_notice

__version__ = "0.1.0"
_API = (
    "adapt", "build", "calibrate", "check", "compare", "distil", "evaluate", "export", "load_model", "models", "predict",
    "pretrain", "rank_models", "repair", "report", "sample", "shift", "suggest",
)  # fmt: skip


silence_decoder_notice()  # here, as every way in passes here: the command line, the Python API, `monai.bundle run`


def __getattr__(name: str) -> Any:
    """The API is imported when it is asked for: the command line answers without it."""
    if name in _API:
        from monai_hybrid import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
