"""The pretraining bundle as it stands, for the loops that are timed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).parents[2] / "bundles/hybrid_pretrain"


def workflow(settings: Mapping[str, Any], *configs: str) -> Any:
    """The bundle with these settings, ready to run; `configs` are laid over train.json."""
    from monai.bundle import ConfigWorkflow

    files = [str(BUNDLE / "configs" / name) for name in ("train.json", *configs)]
    made = ConfigWorkflow(files, workflow_type="train", bundle_root=str(BUNDLE), **settings)
    made.initialize()
    return made
