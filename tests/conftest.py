"""What holds for every test: one profile of hypothesis, and signals as in a terminal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
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

# A shell's background job ignores Ctrl-C, and nohup SIGHUP; tests send both, and their processes inherit what this one ignores.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def no_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests run as where no model comes with the package; those of the models say so themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MONAI_HYBRID_MODELS", str(tmp_path_factory.mktemp("no_models")))
        yield


@pytest.fixture(autouse=True)
def own_key_file(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pseudonyms of tests go into no file of the user."""
    monkeypatch.setenv("MONAI_HYBRID_KEY_FILE", str(tmp_path_factory.mktemp("key") / "pseudonyms.json"))
