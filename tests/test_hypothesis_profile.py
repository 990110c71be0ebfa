"""Property tests do not depend on how fast or how busy the machine is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent


def test_the_profile_has_no_limit_of_time() -> None:
    assert settings.default is not None and settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_no_test_has_a_limit_of_its_own() -> None:
    limited = re.compile(r"deadline=(?!None)\w")
    users = [path for path in TESTS.rglob("test_*.py") if "from hypothesis import" in path.read_text(encoding="utf-8")]
    assert len(users) > 10
    assert [path.name for path in users if limited.search(path.read_text(encoding="utf-8"))] == []
    assert limited.search("@settings(deadline" + "=200)") and not limited.search("@settings(deadline=None)")


@pytest.mark.parametrize(("ci", "derandomized"), [({"CI": "true"}, "True"), ({}, "False")])
def test_examples_are_the_same_each_time_where_a_run_must_be(ci: dict[str, str], derandomized: str) -> None:
    code = "import conftest; from hypothesis import settings; print(settings.default.derandomize, settings.default.deadline)"
    environment = {**{name: value for name, value in os.environ.items() if name != "CI"}, **ci, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [derandomized, "None"]
