"""Names that a command proposes for results hold nothing yet, so that the line can be pasted."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_prep.free_names import ADAPTED, MASKS, free, proposed
from data_prep.summary import next_line
from monai_hybrid import next_steps
from monai_hybrid.catalogue.shown import to_type
from monai_hybrid.shape_models import warning

MODEL: Any = SimpleNamespace(name="discs", universal=False, about={})


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fill(*folders: str) -> None:
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "run.json").write_text("{}")


def test_the_first_name_is_kept_while_it_holds_nothing() -> None:
    assert free(ADAPTED) == "runs/adapted"
    Path(ADAPTED).mkdir(parents=True)
    assert free(ADAPTED) == "runs/adapted", "an empty folder is free"
    fill(ADAPTED)
    assert free(ADAPTED) == "runs/adapted_2"
    fill("runs/adapted_2")
    assert free(ADAPTED) == "runs/adapted_3"


def test_a_file_gets_its_number_before_its_ending_and_a_dead_link_counts() -> None:
    Path("own.safetensors").write_bytes(b"x")
    assert free("own.safetensors") == "own_2.safetensors"
    fill("scans.v1")
    assert free("scans.v1") == "scans.v1_2"
    Path("masks").symlink_to("nowhere")
    assert free(MASKS) == "masks_2"


def test_all_next_lines_propose_free_folders() -> None:
    Path("raw").mkdir()
    card = {"plan": {"universal": True}, "labels": []}
    lines = {
        "runs/adapted": [next_steps.after_pretrain("runs/source"), warning(card, "m"), *to_type(MODEL)[1:2]],
        "masks": [next_steps.after_evaluate("m"), next_steps.after_suggest("raw", "m"), *to_type(MODEL)[:1]],
        "runs/source": [next_steps.no_model("predict")],
        "raw_prepared": [next_line(Path("raw"), [])],
    }
    for folder, said in lines.items():
        assert all(line.endswith(f"--output {folder}") for line in said), said
    fill(*lines)
    assert next_steps.after_pretrain("runs/source").endswith("--output runs/adapted_2")
    assert warning(card, "m").endswith("--output runs/adapted_2")
    assert [line.rpartition(" ")[2] for line in to_type(MODEL)[:2]] == ["masks_2", "runs/adapted_2"]
    assert next_steps.after_suggest("raw", "m").endswith("--output masks_2")
    assert next_steps.no_model("predict").endswith("--output runs/source_2")
    assert next_line(Path("raw"), []).endswith("--output raw_prepared_2") and proposed(Path("raw"), "_masks") == Path(
        "raw_masks"
    )
    assert next_line(Path("raw"), [], False).count("--output runs/adapted_2") == 1


def test_a_used_folder_says_whose_run_is_in_it() -> None:
    from monai_hybrid.runs.manifest import story_of

    content = {"command": "python", "versions": {"monai_hybrid": "1"}, "settings": {"dataset_dir": "A", "pretrained": "m\n.pt"}}
    Path("run.json").write_text(json.dumps(content))
    assert story_of(Path()) == " of A from m\\n.pt"
    content["settings"] = {"dataset_dir": "A", "pretrained": "None"}
    Path("run.json").write_text(json.dumps(content))
    assert story_of(Path()) == " of A"
    for text in (json.dumps({**content, "settings": []}), "{", json.dumps({"settings": {"dataset_dir": "A"}})):
        Path("run.json").write_text(text)
        assert story_of(Path()) == "", "no record of ours tells nothing"
    assert story_of(Path("none")) == ""
