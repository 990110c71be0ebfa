"""`--tracking`: mistakes are refused in a sentence where MONAI would end in a traceback, and a refused run leaves nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monai_hybrid import commands, tracking
from monai_hybrid.errors import ConfigError, EnvironmentFault
from monai_hybrid.tracking import check_tracking, tracked, tracker_environment


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tracking": "mlfow"}, "--tracking: got 'mlfow', expected mlflow or a file of MONAI's tracking settings"),
        ({"run_name": "first"}, "--run_name: does nothing without a tracker; add --tracking mlflow"),
    ],
)
def test_what_monai_would_not_understand_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_tracking(given)
    assert str(error.value) == told


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault) as error:
        check_tracking({"tracking": "mlflow"})
    assert str(error.value) == '--tracking: mlflow is not installed. Type: pip install "monai-hybrid[tracking]"'
    check_tracking({})


def test_a_tracker_and_its_settings_are_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    file = tmp_path / "tracking.json"
    file.write_text("{}")
    check_tracking({"tracking": "mlflow", "run_name": "first", "tracking_uri": "sqlite:///x.db"})
    check_tracking({"tracking": str(file)})
    check_tracking({"tracking": {"handlers_id": {}, "configs": {}}})


def test_the_configuration_for_the_tracker_lies_outside_the_results_and_goes() -> None:
    with tracked(["run", "--tracking", "mlflow"]) as words:
        assert words[:4] == ["run", "--tracking", "mlflow", "--save_execute_config"]
        place = Path(words[4])
        assert place.name == "config.json" and place.parent.is_dir()
    assert not place.parent.exists()
    for own in (["run"], ["run", "--tracking", "mlflow", "--save_execute_config", "False"]):
        with tracked(own) as words:
            assert words == own


def test_mlflow_tells_nobody_unless_the_user_has_chosen() -> None:
    words = ["run", "--tracking", "mlflow"]
    assert tracker_environment(words, {}) == {"MLFLOW_DISABLE_TELEMETRY": "true"}
    assert tracker_environment(words, {"MLFLOW_DISABLE_TELEMETRY": "false"}) == {} == tracker_environment(["run"], {})


def test_a_command_hands_the_tracker_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(tracking, "find_spec", lambda name: object())
    monkeypatch.setattr(commands, "run_child", lambda words, environment: seen.append((words, environment)) or 3)
    command = commands.training_command(
        "hybrid_pretrain", {"tracking": "mlflow"}, {"--output": ("output_dir", str(tmp_path / "out"))}, report=False
    )
    assert commands.execute(command) == 3
    ((words, environment),) = seen
    assert words[words.index("--tracking") + 1] == "mlflow" and environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
