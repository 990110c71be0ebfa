"""Where the bundles lie: in the package when it was installed from a wheel, beside it in the repository. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import EnvironmentFault

INSTALLED = "_bundles"  # the wheel's copy of the repository's `bundles/`, see setup.py
PACKAGE = Path(__file__).parent


def bundle_folder(name: str) -> Path:
    """The folder of a bundle.

    Raises:
        EnvironmentFault: the package is there without its bundles.
    """
    places = [PACKAGE / INSTALLED / name, PACKAGE.parent / "bundles" / name]
    found = next((place for place in places if (place / "configs/metadata.json").is_file()), None)
    if found is None:
        raise EnvironmentFault(
            f"{places[0]}: the bundles are not there; the installation is incomplete. "
            "Type: pip install --force-reinstall --no-deps monai-hybrid, or in the repository: pip install --editable ."
        )
    return found


def load_config(bundle: str, config: str | Sequence[str]) -> dict[str, Any]:
    """A bundle's configuration as JSON, of several the later entries; {} where there is none."""
    content: dict[str, Any] = {}
    try:
        for name in [config] if isinstance(config, str) else config:
            content |= json.loads((bundle_folder(bundle) / "configs" / name).read_text(encoding="utf-8"))
    except (EnvironmentFault, OSError, json.JSONDecodeError):
        return {}
    return content
