"""Images without labels: which are taken, which never."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.bundle.data import PreparedData, read_prepared
from monai_hybrid.errors import ConfigError, DataError
from monai_hybrid.few_shot.unlabelled import _look_at, _of_bids, unlabelled_cases


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("pictures")
    generate(folder / "raw", cases=8, site="B", seed=0, dims=2)
    build(folder / "raw", folder / "prepared", budget="cpu")
    return read_prepared(folder / "prepared")


def picture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 48), dtype=np.uint8)).save(path)
    return path


def names(cases: list[dict]) -> set[str]:
    assert not any("label" in case for case in cases)
    return {case["case_id"] for case in cases}


def test_nothing_is_asked_for(data: PreparedData) -> None:
    assert unlabelled_cases(data, data.training[:1], "supervised") == []


def test_the_rest_of_the_training_list(data: PreparedData) -> None:
    shots = data.training[:2]
    assert names(unlabelled_cases(data, shots, "hybrid", rest=True)) == names_of(data.training[2:])
    assert "label" in data.training[-1], "the data set is left as it is"


def names_of(cases: list[dict]) -> set[str]:
    return {case["case_id"] for case in cases}


def test_scans_of_a_folder_are_the_target_s_where_domains_are_told_apart(data: PreparedData, tmp_path: Path) -> None:
    picture(tmp_path / "u0.png")
    for told, domain in ((False, {None}), (True, {1})):
        cases = unlabelled_cases(data, data.training[:1], "hybrid", folder=str(tmp_path), domain_label=told)
        assert {case.get("domain") for case in cases} == domain
    with pytest.raises(ConfigError, match=r"^domain_label: there are no scans of a target .*--unlabelled-dir, or leave"):
        unlabelled_cases(data, [], "hybrid", domain_label=True)
    with pytest.raises(ConfigError, match=r"^domain_label: there are no scans"):
        unlabelled_cases(data, data.training[:1], "hybrid", rest=True, domain_label=True)


def test_scans_beside_random_shapes_are_refused(data: PreparedData, tmp_path: Path) -> None:
    """A drawing takes the place of every image, so that nobody would see them."""
    picture(tmp_path / "u0.png")
    shapes = replace(data, plan={**data.plan, "universal": True})
    with pytest.raises(ConfigError, match=r"^unlabelled_dir: random shapes take the place of every image"):
        unlabelled_cases(shapes, data.training[:1], "hybrid", folder=str(tmp_path))
    assert unlabelled_cases(shapes, data.training[:1], "hybrid") == []


@pytest.mark.parametrize("inner", ["", "images", "imagesTr"])
def test_a_folder_of_images(inner: str, data: PreparedData, tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / inner / f"u{i}.png", i)
    (tmp_path / inner / "notes.txt").write_text("not an image")
    cases = unlabelled_cases(data, data.training[:1], "hybrid", folder=str(tmp_path))
    assert names(cases) == {"u0", "u1", "u2"}
    assert all(Path(case["image"]).is_file() and case["patient"] for case in cases)
    both = unlabelled_cases(data, data.training[:1], "two_pass", rest=True, folder=str(tmp_path))
    assert names(both) == {"u0", "u1", "u2"} | names_of(data.training[1:])


@pytest.mark.parametrize("form", ["raw", "prepared"])
def test_validation_and_test_images_of_the_target_are_never_taken(form: str, data: PreparedData) -> None:
    """Even if the folder of everything is named: evaluation must not flatter."""
    cases = unlabelled_cases(data, data.training[:1], "hybrid", rest=True, folder=str(data.folder.parent / form))
    assert data.testing and data.validation
    assert names(cases) == names_of(data.training[1:])
    assert len(cases) == len(data.training) - 1, "none twice"


def test_a_prepared_data_set_without_labels(data: PreparedData, tmp_path: Path) -> None:
    """Its training and validation images; what was set apart for tests stays apart."""
    shutil.copytree(data.folder, tmp_path / "other")
    datalist = json.loads((tmp_path / "other/datalist.json").read_text())
    for split in ("training", "validation", "testing"):
        for i, case in enumerate(datalist[split]):
            if split == "training":
                case.pop("label")
            case["case_id"], case["image"] = f"{split}{i}", str(picture(tmp_path / f"{split}{i}.png", i))
    (tmp_path / "other/datalist.json").write_text(json.dumps(datalist))
    found = names(unlabelled_cases(data, [], "hybrid", folder=str(tmp_path / "other")))
    assert found and {name.rstrip("0123456789") for name in found} == {"training", "validation"}


@pytest.mark.parametrize("settings", [{"rest": True}, {"folder": "scans"}])
@pytest.mark.parametrize("objective", ["supervised", "noisy_supervised"])
def test_an_objective_without_an_image_term_is_refused(settings: dict, objective: str, data: PreparedData) -> None:
    with pytest.raises(ConfigError, match=rf"the objective {objective} learns nothing from images without labels; add --objec"):
        unlabelled_cases(data, [], objective, **settings)


def test_a_folder_that_is_not_there_or_empty_is_refused(data: PreparedData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unlabelled_dir: no such folder: .*nowhere"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"holds no image; expected files that end with \.nii"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))
    shutil.copy(data.training[0]["image"], tmp_path / "a.png")
    assert unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))


def test_images_in_a_folder_each_are_found_and_told_apart(data: PreparedData, tmp_path: Path) -> None:
    for case, value in (("p1", 0), ("p2", 3)):
        (tmp_path / case / "masks").mkdir(parents=True)
        grey = np.asarray(Image.open(data.training[0]["image"])) // 2 + value
        Image.fromarray(grey.astype(np.uint8)).save(tmp_path / case / "scan.png")
        shutil.copy(data.training[0]["label"], tmp_path / case / "masks/scan.png")
    found = unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))
    assert [(case["case_id"], Path(case["image"]).parent.name) for case in found] == [("p1__scan", "p1"), ("p2__scan", "p2")]
    (tmp_path / "p2/scan.png").write_bytes(b"")
    (tmp_path / "p1/scan.png").write_bytes(b"")
    with pytest.raises(DataError, match=r'To see all: find .* -type f -exec monai-hybrid check "{}" ";"'):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))


def test_images_that_cannot_be_learned_from_are_refused_by_name(data: PreparedData, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    Image.fromarray(np.full((40, 48), 7, dtype=np.uint8)).save(tmp_path / "flat.png")
    with pytest.raises(DataError, match=r"unlabelled_dir: D202 error: .*flat.png: all 1920 pixels of channel 0 are 7"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))
    (tmp_path / "flat.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"unlabelled_dir: .*flat.png"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))


def test_all_that_cannot_be_learned_from_are_named_at_once(data: PreparedData, tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    for number in range(12):
        (tmp_path / f"bad_{number:02d}.png").write_bytes(b"")
    with pytest.raises(DataError) as refused:
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path))
    lines = str(refused.value).splitlines()
    assert lines[0] == f"unlabelled_dir: {tmp_path}: 12 of 13 scans cannot be used; mend them or take them out:"
    assert [f"bad_{number:02d}.png" in line for number, line in enumerate(lines[1:11])] == [True] * 10
    assert lines[11:] == ["  ... and 2 more", f'To see all: for file in {tmp_path}/*; do monai-hybrid check "$file"; done']


def test_the_command_that_shows_all_faults_works(tmp_path: Path) -> None:
    loose, series = tmp_path / "my scans", tmp_path / "dicom"
    for file in (loose / "a b.png", loose / "c.png", series / "IM0001"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    stub = "monai-hybrid() { printf '%s|' \"$@\"; }; "
    done = subprocess.run(["bash", "-c", stub + _look_at(loose)], capture_output=True, text=True, check=True)
    assert done.stdout == f"check|{loose}/a b.png|check|{loose}/c.png|"
    assert _look_at(series) == f"monai-hybrid check {series} --allow-unlabelled"


def test_volumes_beside_labelled_pictures_are_refused(data: PreparedData, tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=2, site="B", seed=0)
    with pytest.raises(DataError, match="is 3D, the labelled data are 2D"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path / "raw"))


def test_a_data_set_of_other_channels_is_refused(data: PreparedData, tmp_path: Path) -> None:
    shutil.copytree(data.folder, tmp_path / "other")
    dataset = json.loads((tmp_path / "other/dataset.json").read_text())
    dataset["channels"] = ["T2"]
    (tmp_path / "other/dataset.json").write_text(json.dumps(dataset))
    with pytest.raises(DataError, match=r"has channels \['T2'\], the labelled data \['image'\]"):
        unlabelled_cases(data, [], "hybrid", folder=str(tmp_path / "other"))


def test_nothing_left_is_said(data: PreparedData) -> None:
    with pytest.raises(DataError, match="no unlabelled image is left; all are labelled, validation or test cases"):
        unlabelled_cases(data, data.training, "hybrid", rest=True)


def test_colour_pictures_are_taken_as_the_labelled_ones_are(data: PreparedData, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "u.png")
    with pytest.raises(DataError, match=r"unlabelled_dir: D023 error: .*u\.png: it is a colour picture"):
        unlabelled_cases(data, data.training[:1], "hybrid", folder=str(tmp_path))
    for colour in (["green"], ["red", "green", "blue"]):
        coloured = replace(data, dataset={**data.dataset, "channels": colour, "colour": colour})
        assert names(unlabelled_cases(coloured, data.training[:1], "hybrid", folder=str(tmp_path))) == {"u"}


def test_masks_in_the_folder_are_no_images(data: PreparedData, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i, name in enumerate(("u0", "u0_seg", "mask_u0", "u1")):
        picture(tmp_path / f"{name}.png", i)
    assert names(unlabelled_cases(data, data.training[:1], "hybrid", folder=str(tmp_path))) == {"u0", "u1"}
    assert "left out: 2 masks beside their image (mask_u0.png, u0_seg.png)" in caplog.text


def test_one_file_a_channel(data: PreparedData, tmp_path: Path) -> None:
    two = replace(data, dataset={**data.dataset, "channels": ["red", "green"]})
    for i, name in enumerate(("u0_0000", "u0_0001", "u1_0000")):
        picture(tmp_path / f"{name}.png", i)
    with pytest.raises(DataError, match=r"u1: the model takes 2 channels, and these are missing: green \(u1_0001.png\)"):
        unlabelled_cases(two, [], "hybrid", folder=str(tmp_path))
    (tmp_path / "u1_0000.png").unlink()
    cases = unlabelled_cases(two, [], "hybrid", folder=str(tmp_path))
    assert [case["case_id"] for case in cases] == ["u0"]
    assert [Path(file).name for file in cases[0]["image"]] == ["u0_0000.png", "u0_0001.png"]


def test_scans_of_a_bids_data_set(tmp_path: Path) -> None:
    for name in ("anat/sub-1_T1w", "func/sub-1_task-rest_bold", "anat/sub-1_FLAIR"):
        path = tmp_path / f"sub-1/{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for channels in (["T1w"], ["FLAIR", "T1w"]):
        (scan,) = _of_bids(tmp_path, channels)
        assert [file.name for file in scan.files] == [f"sub-1_{name}.nii.gz" for name in channels]
        assert scan.name.name == "sub-1.nii.gz" and not scan.missing


def test_a_teacher_needs_images_and_takes_those_of_an_objective_without_an_image_term(data: PreparedData) -> None:
    with pytest.raises(ConfigError, match=r"there are no images without labels; .*--unlabelled-dir, or .*--unlabelled True"):
        unlabelled_cases(data, data.training[:1], "supervised", self_training=True)
    with pytest.raises(ConfigError, match="self_training: the objective diffusion learns no mask"):
        unlabelled_cases(data, data.training[:1], "diffusion", rest=True, self_training=True)
    taken = unlabelled_cases(data, data.training[:1], "supervised", rest=True, self_training=True)
    assert names(taken) == names_of(data.training[1:])
