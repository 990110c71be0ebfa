"""Prepared data sets whose plan has a network of three small levels: for tests that need a model, whichever it is."""

from __future__ import annotations

import json
from pathlib import Path


def with_small_network(prepared: Path) -> Path:
    """Change the plan of a prepared data set; its folder."""
    file = prepared / "plan.json"
    plan = json.loads(file.read_text())
    levels = {"channels": [8, 16, 32], "num_res_blocks": [1] * 3, "attention_levels": [False] * 3, "norm_num_groups": 8}
    plan["network"] |= levels
    file.write_text(json.dumps(plan))
    return prepared
