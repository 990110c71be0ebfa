"""Three tiny models in the place of those of the package."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_models import three


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Their folder."""
    folder = three(tmp_path / "models_of_tests")
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(folder))
    return folder
