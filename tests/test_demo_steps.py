"""The teller of the demonstration: a line a step with the time left of the whole; what steps print goes to a log."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from monai_hybrid import demo_steps
from monai_hybrid.demo_steps import Step, Teller, duration
from monai_hybrid.errors import EnvironmentFault

NOTHING = ["-c", "print('many bars')"]


class Clock:
    """Goes on by itself, `seconds` at each look."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now, self.seconds = 0.0, seconds

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


def test_each_step_has_one_line_and_what_it_prints_goes_to_the_log(tmp_path: Path) -> None:
    said: list[str] = []
    steps = [
        Step("making patients", NOTHING, 10),
        Step("training", ["-c", "print('more bars')"], 60),
        Step("scoring", NOTHING, 30),
    ]
    Teller(steps, tmp_path / "demo", said.append, Clock(0.0)).run()
    assert said[0] == "Step 1 of 3: making patients. About 2 min left."
    assert [line.split(":")[0] for line in said] == ["Step 1 of 3", "Step 2 of 3", "Step 3 of 3"]
    log = (tmp_path / "demo" / "log.txt").read_text()
    assert log.count("many bars\n") == 2 and log.count("more bars\n") == 1
    commands = (tmp_path / "demo" / "commands.sh").read_text().splitlines()
    assert [shlex.split(line) for line in commands] == [["python", *step.words] for step in steps]


def test_the_time_left_follows_the_speed_that_was_measured(tmp_path: Path) -> None:
    clock = Clock()
    teller = Teller([Step("a", NOTHING, 10), Step("b", NOTHING, 100), Step("c", NOTHING, 40)], tmp_path, clock=clock)
    teller.started = 0.0
    assert teller.seconds_left(0, 0.0) == 150  # nothing known of this machine
    clock.now = 20.0  # twice as slow
    assert teller.seconds_left(1, 0.0) == pytest.approx(280)
    clock.now = 240.0  # half of the second step took 220: four times as slow
    assert teller.seconds_left(1, 0.5) == pytest.approx(90 * 4)
    assert teller.line(1, 0.5) == "Step 2 of 3: b, 50% done. About 6 min left."


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "10 s"), (14, "10 s"), (62, "60 s"), (89, "90 s"), (91, "2 min"), (600, "10 min")]
)
def test_durations_are_told_roughly(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_long_step_says_how_far_it_is_by_the_epochs_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_steps, "POLL_SECONDS", 0.05)
    history = tmp_path / "history.jsonl"
    history.write_text("{}\n" * 4)  # of an earlier run: does not count
    program = (
        f"import time, pathlib; file = pathlib.Path({str(history)!r}); assert not file.exists(); time.sleep(0.3);"
        "file.write_text('{}\\n'); time.sleep(0.6); file.write_text('{}\\n{}\\n')"
    )
    said: list[str] = []
    Teller([Step("pretraining", ["-c", program], 100, history, 2)], tmp_path, said.append, Clock(40.0)).run()
    assert len(said) == 2 and said[0].startswith("Step 1 of 1: pretraining. About ")
    assert said[1].startswith("Step 1 of 1: pretraining, 50% done. About ")


def test_epochs_written_are_a_share_of_all(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    step = Step("pretraining", NOTHING, 1, history, 4)
    assert step.share_done() == 0.0 and Step("scoring", NOTHING, 1).share_done() == 0.0
    history.write_text("{}\n{}\n{}\n")
    assert step.share_done() == 0.75


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (
            "print('bar'); import sys; print('error: disk full\\nType: df', file=sys.stderr); sys.exit(5)",
            "error: disk full\nType: df",
        ),
        ("print('one'); raise ValueError('two')", "ValueError: two"),
    ],
)
def test_a_step_that_fails_ends_the_story_with_what_it_said(tmp_path: Path, program: str, told: str) -> None:
    steps = [Step("the first", NOTHING, 1), Step("the second", ["-c", program], 1), Step("the third", NOTHING, 1)]
    said: list[str] = []
    with pytest.raises(EnvironmentFault) as failed:
        Teller(steps, tmp_path, said.append).run()
    message = str(failed.value)
    assert message.startswith(f"demo: the step 'the second' failed (all of it in {tmp_path / 'log.txt'}):\n")
    assert message.endswith(told) and "many bars" not in message and len(said) == 2


def test_redirected_every_line_is_there_at_once(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from monai_hybrid.demo_steps import Step, Teller;"
        "Teller([Step('one', ['-c', ''], 1), Step('two', ['-c', ''], 1)], Path('out'), lambda s: print(s, flush=True)).run()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line[:17] for line in lines] == ["Step 1 of 2: one.", "Step 2 of 2: two."] and "left." in lines[1]
