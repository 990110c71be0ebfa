"""Where a run may write: never among its images, never over the model that it starts from, never over files of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.errors import ConfigError, DataError
from data_prep.places import refuse_among
from monai_hybrid.runs.output_place import refuse_place


def folders(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)


@pytest.mark.parametrize(
    "place", ["raw/images", "raw/images/new", "raw/labels/new", "flat", "flat/masks", "ds", "ds/sub-01", "ds/new"]
)
@pytest.mark.parametrize("name", ["dataset_dir", "input", "unlabelled_dir", "source_dir"])
def test_results_never_lie_among_the_inputs(name: str, place: str, tmp_path: Path) -> None:
    folders(tmp_path, "raw/images", "raw/labels", "flat/patient", "ds/sub-01/anat")
    (tmp_path / "ds/dataset_description.json").write_text("{}")
    source = tmp_path / place.split("/")[0]
    with pytest.raises(
        ConfigError, match=f"--output_dir .*: lies among the files of {source}, which stay as they are. Type: --"
    ):
        refuse_place(tmp_path / place, ["inference.json"], {name: str(source)})


@pytest.mark.parametrize(
    "place",
    [
        "raw/eval",
        "raw",
        "flat_results",
        "ds/derivatives/mine",
        "prepared",
        "prepared/eval",
        "scans/masks",
        "loose/masks",
        "loose",
        "scans",
    ],
)
def test_beside_them_they_do(place: str, tmp_path: Path) -> None:
    folders(tmp_path, "raw/images", "flat", "ds/sub-01/anat", "prepared", "scans", "loose")
    (tmp_path / "ds/dataset_description.json").write_text("{}")
    (tmp_path / "prepared/datalist.json").write_text("{}")
    (tmp_path / "scans/x.nii.gz").write_bytes(b"")
    (tmp_path / "loose/x.nii.gz").write_bytes(b"")  # folders beside images are not read
    for source in ("raw", "flat", "ds", "prepared", "scans/x.nii.gz", "loose"):
        if source.split("/")[0] == place.split("/")[0].split("_")[0]:
            refuse_place(tmp_path / place, ["inference.json"], {"input": str(tmp_path / source)})
    refuse_place(tmp_path / place, ["train.json"], {"dataset_dir": "synthetic"})


def test_a_link_into_the_images_is_refused(tmp_path: Path) -> None:
    folders(tmp_path, "raw/images")
    (tmp_path / "link").symlink_to(tmp_path / "raw/images")
    with pytest.raises(ConfigError, match="lies among the files of"):
        refuse_among(tmp_path / "link", tmp_path / "raw")


@pytest.mark.parametrize("model", ["run", "run/models", "run/models/model.pt", "run/models/model.safetensors"])
def test_a_training_never_replaces_the_model_that_it_starts_from(model: str, tmp_path: Path) -> None:
    folders(tmp_path, "run/models")
    for name in ("model.pt", "model.safetensors"):
        (tmp_path / "run/models" / name).write_bytes(b"")
    given = {"pretrained": str(tmp_path / model), "overwrite": True}
    with pytest.raises(
        ConfigError, match=r"the run would replace the model that it starts from, .* Type: --output_dir .*run_adapted"
    ):
        refuse_place(tmp_path / "run", ["train.json"], given)
    refuse_place(tmp_path / "run_adapted", ["train.json"], given)
    refuse_place(tmp_path / "run", ["train.json"], {**given, "resume": True})
    refuse_place(tmp_path / "run/eval", ["evaluate.json"], {"model": str(tmp_path / model)})


@pytest.mark.parametrize("name", ["models", "checkpoints", "data", "logs"])
@pytest.mark.parametrize("resume", [True, False])
def test_the_folders_of_a_run_are_folders(name: str, resume: bool, tmp_path: Path) -> None:
    output, scratch = tmp_path / "run", tmp_path / "scratch"
    folders(tmp_path, "run", "scratch")
    (output / name).symlink_to(scratch)
    refuse_place(output, ["train.json"], {"resume": resume})  # of another disk, which is there
    scratch.rmdir()
    with pytest.raises(ConfigError, match=rf"{name} is a link that leads nowhere: it points to .*scratch\. Type: rm "):
        refuse_place(output, ["train.json"], {"resume": resume})
    (output / name).unlink()
    (output / name).write_text("mine")
    with pytest.raises(ConfigError, match=rf"{name} is a file, and the run makes a folder of that name\. Type: mv "):
        refuse_place(output, ["train.json"], {"resume": resume})


@pytest.mark.parametrize("content", ["", '{"seed": 0, "pati', "[]", '{"seed": 0, "patients": "p1", "cases": []}'])
def test_a_damaged_record_of_a_run_that_goes_on_is_called_so(content: str, tmp_path: Path) -> None:
    record, going_on = tmp_path / "shots.json", {"resume": True}
    record.write_text(content)
    if content:  # of a folder without a run nobody knows whose it is
        with pytest.raises(ConfigError, match="was not written by monai-hybrid, and is kept"):
            refuse_place(tmp_path, ["train.json"], going_on)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/update_00000003.pt").touch()
    with pytest.raises(DataError, match=rf"shots.json: is damaged: .*Type: mv {record} {record}.kept, and the same command"):
        refuse_place(tmp_path, ["train.json"], going_on)
    record.write_text('{"seed": 0, "patients": ["p1"], "cases": ["p1"]}')
    refuse_place(tmp_path, ["train.json"], going_on)
    record.unlink()
    refuse_place(tmp_path, ["train.json"], going_on)
