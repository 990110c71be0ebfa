"""`monai-hybrid predict` of a BIDS data set writes a BIDS derivative; the official validator accepts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from command_line import printed
from prediction_runs import model_card, predict, quality, random_model

from monai_hybrid.bids_scans import refuse_others
from monai_hybrid.bundle.data import prepare_data
from monai_hybrid.errors import DataError
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.prediction.bids_derivative import table_of, write_root
from monai_hybrid.weights import save_weights

SHAPE, AFFINE = (12, 13, 9), np.diag([1.0, 1.0, 2.0, 1.0])
VALIDATOR = "bids-validator-deno"


def write(root: Path, name: str, seed: int = 0, kind: str = "anat", label: bool = False) -> Path:
    """`sub-1_ses-a_T1w` at its place, with noise or a block of 1."""
    parts = dict(part.split("-", 1) for part in name.split("_") if "-" in part)
    session = [f"ses-{parts['ses']}"] if "ses" in parts else []
    path = root.joinpath(f"sub-{parts['sub']}", *session, kind, f"{name}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, 900, SHAPE).astype(np.int16)
    if label:
        array = np.zeros(SHAPE, np.uint8)
        array[2:6, 3 : 7 + seed % 2, 2:6] = 1
    image = nib.Nifti1Image(array, AFFINE)
    image.set_qform(AFFINE, 1)
    image.header.set_xyzt_units("mm")
    image.to_filename(path)
    return path


def describe(root: Path, **more: Any) -> Path:
    content = {"Name": "made up", "BIDSVersion": "1.10.0", "License": "CC0", "Authors": ["A. One", "B. Two"], **more}
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(json.dumps(content))
    (root / "README").write_text("A data set that a test made up: noise, and blocks for labels. " * 4)
    return root


def data_set(root: Path) -> Path:
    """Two subjects, one with two sessions and runs; T1w, FLAIR and a bold series; labels and their names."""
    describe(root, DatasetType="raw", DatasetDOI="doi:10.0000/made.up")
    labels = describe(root / "derivatives/manual", DatasetType="derivative", GeneratedBy=[{"Name": "manual"}])
    (labels / "dseg.tsv").write_text("index\tname\tcolor\n0\tbackground\t#000000\n1\tnucleus\t#ff0000\n")
    names = ["sub-01_ses-a_acq-mprage_run-1", "sub-01_ses-a_acq-mprage_run-2", "sub-01_ses-b", "sub-02_ses-a"]
    for seed, name in enumerate(names):
        write(root, f"{name}_T1w", seed)
        write(root, f"{name}_FLAIR", seed + 10)
        write(labels, f"{name}_dseg", seed, label=True)
    (root / "participants.tsv").write_text("participant_id\tsite\nsub-01\tNorth\nsub-02\tSouth\n")
    (root / "participants.json").write_text(json.dumps({"site": {"Description": "hospital"}}))
    return root


def model_of(folder: Path, channels: Sequence[str]) -> Path:
    """A network of random weights for these channels."""
    card = model_card(3, 4.0, 16)
    card["channels"], card["network"]["in_channels"] = list(channels), len(channels)
    save_weights(HybridDiffusionUNet(**card["network"]).state_dict(), folder, card)
    return folder / "model.pt"


def masks(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*_dseg.nii.gz"))


EXPECTED = [
    "sub-01/ses-a/anat/sub-01_ses-a_acq-mprage_run-1_dseg.nii.gz",
    "sub-01/ses-a/anat/sub-01_ses-a_acq-mprage_run-2_dseg.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_dseg.nii.gz",
    "sub-02/ses-a/anat/sub-02_ses-a_dseg.nii.gz",
]


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set with a derivative `pred`, with all maps."""
    folder = tmp_path_factory.mktemp("bids")
    root, model = data_set(folder / "ds"), random_model(folder / "model")
    words = ["--bids-filter", "suffix=T1w", "--save-entropy", "True", "--save-probabilities", "True"]
    printed("predict", root, "--model", model, "--output", root / "derivatives/pred", *words)
    return root


def test_each_mask_lies_at_its_place_with_what_it_was_made_from(predicted: Path) -> None:
    folder = predicted / "derivatives/pred"
    assert masks(folder) == EXPECTED
    for name in EXPECTED:
        image = name.replace("_dseg.nii.gz", "_T1w.nii.gz")
        mask, source = nib.load(folder / name), nib.load(predicted / image)
        assert mask.shape == SHAPE and np.array_equal(mask.affine, source.affine)
        sidecar = json.loads((folder / name.replace(".nii.gz", ".json")).read_text())
        assert sidecar.pop("Description").startswith("Segmentation by monai_hybrid ")
        assert sidecar == {"Sources": [f"bids:raw:{image}"], "SpatialReference": f"bids:raw:{image}"}
    rows = quality(folder)
    assert {row["mask"] for row in rows.values()} == set(EXPECTED)
    assert list(rows) == ["sub-01_ses-a_run-1", "sub-01_ses-a_run-2", "sub-01_ses-b", "sub-02_ses-a"]
    assert not list(folder.glob("*.nii.gz"))


def test_the_derivative_is_described(predicted: Path) -> None:
    folder = predicted / "derivatives/pred"
    content = json.loads((folder / "dataset_description.json").read_text())
    assert content["DatasetType"] == "derivative" and content["GeneratedBy"][0]["Name"] == "monai_hybrid"
    assert content["SourceDatasets"] == [{"URL": "../..", "DOI": "doi:10.0000/made.up"}]
    assert content["DatasetLinks"] == {"raw": "../.."} and str(predicted) not in json.dumps(content)
    rows = [line.split("\t") for line in (folder / "dseg.tsv").read_text().splitlines()]
    assert rows[0] == ["index", "name", "color"] and [row[:2] for row in rows[1:]] == [
        ["0", "background"],
        ["10", "grey"],
        ["20", "white"],
    ]
    assert "quality.csv" in (folder / ".bidsignore").read_text().splitlines()


def test_a_second_call_goes_on_and_the_derivative_can_be_read_back(predicted: Path, tmp_path: Path) -> None:
    words = ["--bids-filter", "suffix=T1w", "--save-entropy", "True", "--save-probabilities", "True"]
    model = predicted.parent / "model/model.pt"
    said = printed("predict", predicted, "--model", model, "--output", predicted / "derivatives/pred", *words)
    assert "4 skipped" in said
    said = printed("check", predicted, "--bids-filter", "suffix=T1w", expected=3)
    assert "D543" in said and "manual: dseg (4 of 4 scans); pred: dseg (4 of 4 scans)" in said
    printed("build", predicted, "--output", tmp_path / "out", "--bids-filter", "suffix=T1w", "--labels-dir", "manual")
    printed("report", predicted / "derivatives/pred")
    assert (predicted / "derivatives/pred/report.html").is_file()


def done(root: Path, model: Path, out: Path, **settings: Any) -> str:
    """The configuration that `monai-hybrid predict` runs, in this process; our own error, "" where there was none."""
    error = predict("few_shot_finetune", input=root, model=model, output_dir=out, denoising_score=False, **settings)
    return str(error or "")


def test_without_a_filter_the_contrasts_are_listed_and_nothing_is_written(predicted: Path, tmp_path: Path) -> None:
    said = done(predicted, predicted.parent / "model/model.pt", tmp_path / "out")
    assert "several contrasts, and none was chosen; there are FLAIR (4 files)" in said
    assert not (tmp_path / "out").exists()


def test_channels_that_the_model_names_are_taken_in_its_order(tmp_path: Path) -> None:
    root = data_set(tmp_path / "ds")
    (root / "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz").unlink()
    model, out = model_of(tmp_path / "model", ["FLAIR", "T1w"]), tmp_path / "out"
    assert "1 of 4 cases failed" in done(root, model, out)
    assert quality(out)["sub-02_ses-a"]["error"] == "sub-02_ses-a: the model takes 2 channels, and these are missing: T1w"
    assert masks(out) == EXPECTED[:3]
    sidecar = json.loads((out / EXPECTED[2].replace(".nii.gz", ".json")).read_text())
    assert [Path(source).name for source in sidecar["Sources"]] == ["sub-01_ses-b_FLAIR.nii.gz", "sub-01_ses-b_T1w.nii.gz"]
    said = done(root, model, tmp_path / "other", bids_filter="suffix=T1w")
    assert "1 contrasts were chosen (T1w); the model takes 2: FLAIR, T1w" in said and not (tmp_path / "other").exists()


def test_what_was_not_fetched_fails_by_name_and_the_others_are_done(tmp_path: Path) -> None:
    root, model, out = data_set(tmp_path / "ds"), random_model(tmp_path / "model"), tmp_path / "out"
    path = root / "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz"
    path.unlink()
    path.symlink_to("../../../.git/annex/objects/aa/bb/MD5E-s1--0.nii.gz/MD5E-s1--0.nii.gz")
    assert "1 of 4 cases failed" in done(root, model, out, bids_filter="suffix=T1w")
    rows = quality(out)
    assert f"Type: datalad get {path}" in rows["sub-02_ses-a"]["error"] and rows["sub-01_ses-b"]["status"] == "done"


def test_a_link_that_dangles_in_a_plain_folder_is_told_as_well(tmp_path: Path) -> None:
    folder, model = write(tmp_path, "sub-1_T1w").parent, random_model(tmp_path / "model")
    out = folder / "masks"
    (folder / "far.nii.gz").symlink_to("../.git/annex/objects/aa/bb/x.nii.gz")
    (folder / "loop.nii.gz").symlink_to("loop.nii.gz")
    assert "2 of 3 cases failed" in done(folder, model, out)
    assert "a link of git-annex to an object that was not fetched" in quality(out)["far"]["error"]


def test_another_data_set_is_never_written_into(tmp_path: Path) -> None:
    root, model = data_set(tmp_path / "ds"), random_model(tmp_path / "model")
    mixed = "it holds another BIDS data set, and masks would be mixed with its files. Type: --output"
    among = f"lies among the files of {root}, which stay as they are. Type: --output {root / 'derivatives/monai_hybrid'}"
    places = {"derivatives/manual": mixed, "": among, "sub-01": among, "sub-01/new": among, "derivatives": among}
    for name, message in places.items():
        before = sorted(root.rglob("*"))
        assert message in done(root, model, root / name, bids_filter="suffix=T1w")
        assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("name", ["dseg.tsv", "dseg.json", "quality.csv"])
def test_tables_of_the_user_are_kept_and_named_before_any_work(name: str, tmp_path: Path) -> None:
    root, model, out = data_set(tmp_path / "ds"), random_model(tmp_path / "model"), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("index\tname\n1\tmine\n" if name.endswith("tsv") else "{}")
    before = (out / name).read_bytes()
    assert f"{out / name}: is there already, was not written by monai-hybrid" in done(
        root, model, out, bids_filter="suffix=T1w"
    )
    assert (out / name).read_bytes() == before and [path.name for path in out.iterdir()] == [name]


def test_a_sidecar_of_the_user_is_kept(tmp_path: Path) -> None:
    root, model, out = data_set(tmp_path / "ds"), random_model(tmp_path / "model"), tmp_path / "out"
    own = out / EXPECTED[3].replace(".nii.gz", ".json")
    own.parent.mkdir(parents=True)
    own.write_text('{"Manual": true}')
    assert "1 of 4 cases failed" in done(root, model, out, bids_filter="suffix=T1w")
    assert "was not written by monai-hybrid" in quality(out)["sub-02_ses-a"]["error"]
    assert own.read_text() == '{"Manual": true}' and masks(out) == EXPECTED[:3] and not list(out.glob("*.nii.gz"))


def test_two_data_sets_never_share_a_derivative_and_a_moved_one_goes_on(tmp_path: Path) -> None:
    first, second, out = data_set(tmp_path / "a"), data_set(tmp_path / "b"), tmp_path / "out"
    refuse_others(out, first)
    write_root(out, first, [{"name": "background", "value": 0}])
    refuse_others(out, first)
    with pytest.raises(DataError, match=r"it holds the masks of another data set, .*/a\. Type: --output .*/out_b"):
        refuse_others(out, second)
    first.rename(tmp_path / "c")
    refuse_others(out, tmp_path / "c")


def test_a_file_of_the_user_in_the_place_of_a_mask_is_kept(tmp_path: Path) -> None:
    root, model, out = data_set(tmp_path / "ds"), random_model(tmp_path / "model"), tmp_path / "out"
    own = write(out, "sub-02_ses-a_dseg", label=True)
    before = own.read_bytes()
    assert "1 of 4 cases failed" in done(root, model, out, bids_filter="suffix=T1w")
    assert own.read_bytes() == before and "was not written by prediction" in quality(out)["sub-02_ses-a"]["error"]
    assert masks(out) == EXPECTED and not list(out.glob("*.nii.gz"))


def test_a_filter_without_a_bids_data_set_is_refused(tmp_path: Path) -> None:
    path, model = write(tmp_path, "sub-1_T1w"), random_model(tmp_path / "model")
    assert "is not a BIDS data set" in done(path.parent, model, tmp_path / "out", bids_filter="suffix=T1w")
    assert done(path.parent, model, tmp_path / "plain") == ""
    assert (tmp_path / "plain/sub-1_T1w_seg.nii.gz").is_file()


def test_names_of_labels_that_would_break_the_table() -> None:
    labels = [{"value": 0, "name": "background"}, {"value": 7, "name": "a\tb\nc"}, {"value": 8, "name": "=cmd()"}]
    lines = table_of(labels).splitlines()
    assert lines[2] == "7\ta b c\t#E69F00" and lines[3].startswith("8\t'=cmd()\t#")


def test_a_training_on_a_data_set_that_needs_a_choice_says_which_command_takes_it(tmp_path: Path) -> None:
    root = data_set(tmp_path / "ds")
    with pytest.raises(
        DataError, match=r"Type: --bids-filter .* These are options of build: add one to monai-hybrid build .*/ds --out"
    ):
        prepare_data(str(root), str(tmp_path / "out"))
    for flair in root.rglob("*_FLAIR.nii.gz"):
        flair.unlink()
    found = prepare_data(str(root), str(tmp_path / "out"))
    assert [label["name"] for label in found.dataset["labels"]] == ["background", "nucleus"]
    assert not list((tmp_path / "out").rglob(".*"))


def problems(folder: Path) -> list[dict[str, Any]]:
    """What the official validator says of a data set."""
    found = os.environ.get("BIDS_VALIDATOR") or shutil.which(VALIDATOR)
    if not found:
        pytest.skip(f"{VALIDATOR} is not here: pip install {VALIDATOR} elsewhere, and set BIDS_VALIDATOR to its path")
    environment = {**os.environ, "PATH": f"{Path(found).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [found, str(folder), "--json"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    issues: list[dict[str, Any]] = json.loads(done.stdout)["issues"]["issues"]
    return issues


@pytest.mark.slow
def test_the_official_validator_accepts_what_is_read_and_what_is_written(predicted: Path) -> None:
    for folder in (predicted, predicted / "derivatives/manual", predicted / "derivatives/pred"):
        issues = problems(folder)
        assert [issue for issue in issues if issue["severity"] == "error"] == []
    series = [i for i in issues if i["code"] == "NIFTI_UNIT" and i["location"].endswith("_probseg.nii.gz")]  # no time axis
    warned = {(issue["code"], issue.get("location")) for issue in issues if issue not in series}
    # The names of Authors are the user's to add; a table has no image that it lies on.
    assert warned <= {("TOO_FEW_AUTHORS", "/dataset_description.json"), ("SIDECAR_KEY_RECOMMENDED", "/dseg.tsv")}, warned


@pytest.mark.slow
def test_the_validator_would_notice_a_file_without_a_place(predicted: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(predicted / "derivatives/pred", tmp_path / "copy"))
    (copy / ".bidsignore").unlink()
    assert {i["location"] for i in problems(copy) if i["severity"] == "error"} >= {"/quality.csv"}
