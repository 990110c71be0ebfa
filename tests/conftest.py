"""What holds for every test: one profile of hypothesis."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# No limit of time: on a busy or a slow machine an example takes many times longer, and that is no fault of the code.
# Where runs must be alike (CI), the examples follow from the test alone; elsewhere each run looks at new ones.
settings.register_profile(
    "project",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    database=None,
)
settings.load_profile("project")
