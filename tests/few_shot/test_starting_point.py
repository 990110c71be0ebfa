"""A model named by its file or by the folder of its run."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_prep.slices import line
from monai_hybrid.catalogue.naming import model_file
from monai_hybrid.errors import ModelFileError

module: Any = sys.modules["monai_hybrid.few_shot.starting_point"]  # the package's attribute of that name is the function


@pytest.mark.parametrize("place", ["models/model.safetensors", "model.safetensors"])
def test_the_folder_of_a_run_holds_its_model(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"")
    assert model_file(str(tmp_path)) == str(tmp_path / place)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_file_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert model_file(str(tmp_path / name)) == str(tmp_path / name)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"a folder without models/model.safetensors or model.safetensors; give a run"):
        model_file(str(tmp_path))


def test_a_2d_model_for_volumes_says_how_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    card = {"spatial_dims": 2, "plan": {}, "network": {}, "training": {}}
    monkeypatch.setattr(module, "required_card", lambda path, needed: card)
    case = {"image": "raw/images/p1.nii.gz", "label": "raw/labels/p1.nii.gz"}
    data: Any = SimpleNamespace(plan={"spatial_dims": 3}, training=[case], folder=Path("prepared"))
    with pytest.raises(ModelFileError) as refused:
        module.starting_point("model.safetensors", data, "bundle")
    said = "a 2D model, but the data are 3D. Give a 3D model, or cut the volumes into slices, and build these: "
    assert str(refused.value).endswith(f"{said}{line('raw')}")
    of_dicom = {"image": "prepared/nifti/p1.nii.gz", "label": "raw/labels/p1.nii.gz"}  # they may differ in voxel order
    for other in ({"image": "a.png", "label": "b.png"}, of_dicom):
        data.training = [other]
        with pytest.raises(ModelFileError, match=r"3D. Give a 3D model: monai-hybrid models$"):
            module.starting_point("model.safetensors", data, "bundle")


def test_the_forward_process_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denoising term of another process would unlearn what the weights know."""
    card = {
        "spatial_dims": 3,
        "plan": {"normalization": {}},
        "network": {"channels": [8, 16]},
        "training": {"patch_size": [8] * 3, "spacing": [1.0] * 3, "prediction_type": "epsilon", "num_timesteps": 500},
    }
    monkeypatch.setattr(module, "required_card", lambda path, needed: card)
    data: Any = SimpleNamespace(dataset={"channels": ["image"]}, plan={"spatial_dims": 3, "network": {}}, num_classes=2)
    found = module.starting_point("model.safetensors", data, "bundle")
    assert found.noise == {"prediction_type": "epsilon", "noise_schedule": "cosine", "num_timesteps": 500}
    assert module.starting_point("scratch", data, "bundle").noise == module.NOISE
