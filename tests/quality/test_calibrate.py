"""`calibrate` on a tiny model: its card, predictions and an evaluation with it, refusals, and cards that are damaged."""

from __future__ import annotations

import copy
import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from made_models import add, card_of
from monai.bundle import ConfigWorkflow
from safetensors.torch import load_file

import monai_hybrid
from data_prep.build import build
from data_prep.phantom import generate
from monai_hybrid.bundle.data import read_prepared
from monai_hybrid.calibrating import calibrate
from monai_hybrid.calibrating.__main__ import calibrating, show
from monai_hybrid.calibrating.calibration import Calibration
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.model_card import parse_card, read_card
from monai_hybrid.networks import HybridDiffusionUNet
from monai_hybrid.prediction.expected import low_prediction, prediction_cells
from monai_hybrid.quality.degrade import KINDS, degraded
from monai_hybrid.quality.folds import read_folds, write_fold
from monai_hybrid.quality.held_out import HeldOut
from monai_hybrid.reporting.report import write_report
from monai_hybrid.weights import dumped_card, write_safetensors

BUNDLE = Path(__file__).parents[2] / "bundles/few_shot_finetune"
STRUCTURES = ["cortex", "nucleus", "ventricle"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of eight patients, six of them for validation."""
    folder = tmp_path_factory.mktemp("quality")
    generate(folder / "raw", cases=8, site="A", seed=0, dims=2)
    names = sorted(file.name for file in (folder / "raw/images").iterdir())
    (folder / "splits.json").write_text(json.dumps({"train": names[:1], "val": names[1:7], "test": names[7:]}))
    build(folder / "raw", folder / "data", splits=folder / "splits.json")
    return folder / "data"


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    """A network of random weights whose card has the quality of these cases."""
    plain = add(data.parent / "models", "heads_mr", card_of(2, STRUCTURES, spacing=2.0))
    found = calibrate(data, str(plain), copies=1, output=data.parent / "own.safetensors")
    assert found.file == data.parent / "own.safetensors" and not found.failed
    show(found, str(found.file))
    return found.file


def test_the_next_line_names_the_model_as_it_was_called(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # where `masks` is free
    (tmp_path / "models").mkdir()
    (tmp_path / "models/model.safetensors").write_bytes(model.read_bytes())
    found = Calibration(model, (read_card(model) or {})["quality"], [], {})
    monkeypatch.setattr("monai_hybrid.calibrating.__main__.calibrate", lambda *_: found)
    for output, named in ((None, tmp_path), (model, model)):
        calibrating(data, str(tmp_path), "validation", 1, output)
        said = f"Next, with your scans for IMAGES: monai-hybrid predict IMAGES --model {named} --output masks"
        assert capsys.readouterr().out.rstrip().endswith(said)


def run(config: str, **settings: Any) -> None:
    """A configuration of the bundle, in this process."""
    given = {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}
    workflow = ConfigWorkflow(
        str(BUNDLE / "configs" / config), workflow_type="infer", logging_file=False, bundle_root=str(BUNDLE), **given
    )
    workflow.initialize()
    workflow.run()


def test_the_card_holds_plain_numbers_and_the_weights_stay(model: Path) -> None:
    before, after = load_file(model.parent / "models/heads_mr.safetensors"), load_file(model)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    card = read_card(model)
    assert card is not None and card["quality"]["patients"] == 6 and card["quality"]["split"] == "validation"
    assert card["quality"]["dice"] and len(card["quality"]["calibration"]["temperature"]) == 4
    assert "quality" not in (read_card(model.parent / "models/heads_mr.safetensors") or {})


def test_the_python_function_returns_what_the_card_holds(model: Path, data: Path, tmp_path: Path) -> None:
    plain = model.parent / "models/heads_mr.safetensors"
    entry = monai_hybrid.calibrate(data, plain, tmp_path / "own.safetensors", copies=0)
    assert entry == (read_card(tmp_path / "own.safetensors") or {})["quality"] and entry["cases"] == 6


def test_predictions_have_a_dice_and_their_interval(model: Path, data: Path, tmp_path: Path) -> None:
    run("inference.json", input=data, split="validation", model=model, output_dir=tmp_path, save_probabilities=True)
    rows = list(csv.DictReader((tmp_path / "quality.csv").open()))
    found = (read_card(model) or {})["quality"]
    assert len(rows) == 6
    for row in rows:
        told = [float(row[f"predicted_dice_{name}"]) for name in STRUCTURES if row[f"predicted_dice_{name}"] != "-"]
        assert told and float(row["predicted_dice"]) == pytest.approx(sum(told) / len(told), abs=1e-3)
        assert min(found["reference"]["predicted_dice"]) - 1e-3 <= float(row["predicted_dice"]) <= 1
    trust = json.loads((tmp_path / "trust.json").read_text())
    assert trust["trust"] == "prediction" and trust["batch"]["strange"] is False and len(trust["batch"]["tests"]) == 2
    page = write_report(tmp_path, viewer=False).read_text()
    assert "predicted dice" in page and "the batch as a whole" not in page
    (tmp_path / "trust.json").write_text(json.dumps({**trust, "said": "x" * 5_000_000}))
    with pytest.raises(DataError, match=r"holds 5\.0 MB; expected at most 4 MB"):
        write_report(tmp_path, viewer=False)
    trust["batch"]["said"] = "the batch as a whole is unusual"
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    assert "The batch as a whole is unusual." in write_report(tmp_path, viewer=False).read_text()


def test_an_evaluation_lays_predicted_beside_measured(model: Path, data: Path, tmp_path: Path) -> None:
    run("evaluate.json", dataset_dir=data, split="validation", model=model, output_dir=tmp_path, save_slices=False)
    trust = json.loads((tmp_path / "trust.json").read_text())
    dice = {(row["case_id"], row["class"]): row["dice"] for row in csv.DictReader((tmp_path / "cases.csv").open())}
    points = trust["predicted_dice"]["points"]
    assert len(points) >= 6
    for point in points:
        assert point["dice"] == pytest.approx(float(dice[point["case_id"], point["class"]]), abs=1e-5)
    assert trust["calibration"]["after"]["error"] < trust["calibration"]["before"]["error"]
    page = write_report(tmp_path, viewer=False).read_text()
    assert "Predicted against measured Dice" in page and "Expected calibration error, with the temperature" in page
    plain = model.parent / "models/heads_mr.safetensors"
    run("evaluate.json", dataset_dir=data, model=plain, output_dir=tmp_path / "old", save_slices=False)
    old = json.loads((tmp_path / "old/trust.json").read_text())
    assert "predicted_dice" not in old and "after" not in old["calibration"] and old["calibration"]["before"]["curve"]
    assert "Predicted against measured Dice" not in write_report(tmp_path / "old", viewer=False).read_text()


def test_what_cannot_be_calibrated_is_a_sentence(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = str(model)
    with pytest.raises(ConfigError, match=r"--split testing: expected validation or training \(test cases would no longer"):
        calibrate(data, text, "testing")
    with pytest.raises(DataError, match="the split training has 1 labelled patient; a predicted Dice takes at least 3"):
        calibrate(data, text, "training")
    with pytest.raises(ConfigError, match="is there already"):
        calibrate(data, text, output=model)
    with pytest.raises(DataError, match=r"no prepared data set. Type: monai-hybrid build"):
        calibrate(tmp_path, text)
    with pytest.raises(ModelFileError, match="no card beside the weights"):
        calibrate(data, str(tmp_path / "none.pt"))
    monkeypatch.setenv("MONAI_HYBRID_MODELS", str(model.parent / "models"))
    with pytest.raises(ConfigError, match=r"comes with the package and stays as it is. Add --output heads_mr.safetensors"):
        calibrate(data, "heads_mr")


def run_with_folds(data: Path, folder: Path, weights: dict[str, torch.Tensor], patients: list[str]) -> Path:
    """A run's model, and the weights of as many folds, each a little other."""
    shutil.copytree(data.parent / "models", folder / "models")
    places = {}
    for number, patient in enumerate(patients, 1):
        changed = {name: tensor + 0.01 * number for name, tensor in weights.items()}
        places[patient] = write_fold(folder / "logs", number, patient, changed)
    record = {"epochs": 1, "updates": 1, "dice": 0.5, "patients": {}, "folds": places}
    (folder / "logs/leave_one_out.json").write_text(json.dumps(record))
    return folder / "models/heads_mr.safetensors"


def test_folds_stand_in_for_validation_patients(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(file.name for file in (data.parent / "raw/images").iterdir())
    (tmp_path / "splits.json").write_text(json.dumps({"train": names[:4], "val": names[4:5], "test": names[5:]}))
    build(data.parent / "raw", tmp_path / "data", splits=tmp_path / "splits.json")
    patients = sorted({case["patient"] for case in read_prepared(tmp_path / "data").training})[:3]
    plain = str(model.parent / "models/heads_mr.safetensors")
    with pytest.raises(DataError, match=r"validation has 1 labelled patient; .*--stopping leave_one_out --keep-folds True"):
        calibrate(tmp_path / "data", plain, output=tmp_path / "no.safetensors")
    of_run = run_with_folds(data, tmp_path / "run", load_file(plain), patients)
    measured = {}
    own = next(iter(HybridDiffusionUNet(**read_card(of_run)["network"]).named_parameters()))[0]
    own = load_file(of_run)[own].flatten()[0]

    def watched(self: HeldOut, cases: Any, *rest: Any, **more: Any) -> Any:
        first = next(iter(self.network.parameters())).detach().flatten()[0]
        measured[cases[0]["patient"]] = (more["first"], round(float(first - own), 3))
        return measure(self, cases, *rest, **more)

    measure = HeldOut.measure
    monkeypatch.setattr(HeldOut, "measure", watched)
    found = calibrate(tmp_path / "data", str(of_run), copies=1, output=tmp_path / "own.safetensors")
    assert measured == {p: (i, 0.01 * (i + 1)) for i, p in enumerate(patients)}, "each patient by the weights of its own fold"
    assert found.entry["patients"] == 3 and found.entry["split"] == "training, each patient by a network that never saw it"
    before, after = load_file(of_run), load_file(found.file)
    assert all(torch.equal(before[name], after[name]) for name in before), "the model's weights, not those of a fold"
    (tmp_path / "run/logs/folds/fold_2.safetensors").unlink()
    with pytest.raises(DataError, match=r"names .*fold_2.safetensors for the patient .*, which is not there; adapt again"):
        calibrate(tmp_path / "data", str(of_run), output=tmp_path / "no.safetensors")
    write_fold(tmp_path / "run/logs", 2, patients[1], {"other": torch.zeros(1)})
    with pytest.raises(ModelFileError, match=r"fold_2.safetensors: holds other weights than the model's"):
        calibrate(tmp_path / "data", str(of_run), copies=0, output=tmp_path / "no.safetensors")


def test_a_fold_measures_the_patient_alone_that_it_left_out(model: Path, data: Path, tmp_path: Path) -> None:
    weights = load_file(model)
    of_run = run_with_folds(data, tmp_path / "run", weights, ["a", "b"])
    assert list(read_folds(of_run)) == ["a", "b"]
    folds = tmp_path / "run/logs/folds"
    shutil.copy(folds / "fold_1.safetensors", folds / "fold_2.safetensors")
    with pytest.raises(DataError, match=r"fold_2.safetensors for the patient b, which was not trained without it"):
        read_folds(of_run)
    shutil.copy(model, folds / "fold_2.safetensors")
    with pytest.raises(DataError, match="which was not trained without it"):
        read_folds(of_run)


@pytest.mark.parametrize("folds", [{"a": "f" * 5000}, {"a" * 5000: "folds/fold_1.safetensors"}, {"a": 1.5}, {"a": None}])
def test_a_record_of_folds_without_names_is_refused(folds: dict[str, Any], tmp_path: Path) -> None:
    record = tmp_path / "run/logs/leave_one_out.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"folds": folds}))
    with pytest.raises(DataError, match=r"folds, saw .*; expected patients and file names of at most 255 characters") as told:
        read_folds(tmp_path / "run/models/model.safetensors")
    assert len(str(told.value)) < 400


def test_folds_of_a_training_before_are_not_taken(model: Path, data: Path, tmp_path: Path) -> None:
    names = sorted(file.name for file in (data.parent / "raw/images").iterdir())
    (tmp_path / "splits.json").write_text(json.dumps({"train": names[:4], "val": names[4:5], "test": names[5:]}))
    build(data.parent / "raw", tmp_path / "data", splits=tmp_path / "splits.json")
    patients = sorted({case["patient"] for case in read_prepared(tmp_path / "data").training})[:3]
    of_run = run_with_folds(data, tmp_path / "run", load_file(model), patients)
    card = read_card(of_run)
    write_safetensors(load_file(of_run), of_run, {**card, "training": {**card["training"], "stopping": "budget"}})
    with pytest.raises(DataError, match="validation has 1 labelled patient"):
        calibrate(tmp_path / "data", str(of_run), output=tmp_path / "no.safetensors")


def test_training_patients_that_the_model_learned_are_left_out(
    model: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = sorted(file.name for file in (data.parent / "raw/images").iterdir())
    (tmp_path / "splits.json").write_text(json.dumps({"train": names[:5], "val": names[5:6], "test": names[6:]}))
    build(data.parent / "raw", tmp_path / "data", splits=tmp_path / "splits.json", name="mine")
    of_run = tmp_path / "run/models/model.safetensors"
    of_run.parent.mkdir(parents=True)
    card = read_card(model) or {}
    write_safetensors(load_file(model), of_run, {**card, "source": "mine", "training": {**card["training"], "shots": 1}})
    known = sorted({case["patient"] for case in read_prepared(tmp_path / "data").training})
    (tmp_path / "run/shots.json").write_text(json.dumps({"patients": known[:1]}))
    found = calibrate(tmp_path / "data", str(of_run), "training", copies=0)
    assert found.entry["patients"] == 4 and f"left out: 1 patient that the model was trained on: {known[0]}" in caplog.text
    (tmp_path / "run/shots.json").write_text(json.dumps({"patients": known[:3]}))
    with pytest.raises(DataError, match="was trained on 3 of the 5 labelled patients of the split training"):
        calibrate(tmp_path / "data", str(of_run), "training", copies=0)


def test_an_unreadable_case_costs_no_other(model: Path, data: Path, tmp_path: Path) -> None:
    shutil.copy(model, tmp_path / "model.safetensors")
    content = json.loads((data / "datalist.json").read_text())
    (tmp_path / "broken.png").write_bytes(b"no picture")
    content["validation"][0]["image"] = str(tmp_path / "broken.png")
    for name in ("dataset.json", "plan.json"):
        shutil.copy(data / name, tmp_path / name)
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    found = calibrate(tmp_path, str(tmp_path / "model.safetensors"), copies=0)
    assert list(found.failed) == [content["validation"][0]["case_id"]] and found.entry["patients"] == 5
    assert found.entry["copies"] == 0 and found.file == tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda q: q["dice"]["cortex"][0]["weights"].append(1.0), "numbers of weights|numbers; expected"),
        (lambda q: q["dice"]["cortex"][0].pop("interval"), "dice.cortex"),
        (lambda q: q["calibration"].update(temperature=[1.0, 0.0, 1.0, 1.0]), "a number from 0.2 to 10"),
        (lambda q: q["calibration"].update(temperature=[1.0, 1.0]), "saw 2 numbers; expected 4, one a label"),
        (lambda q: q["reference"].update(predicted_dice="many"), "reference.predicted_dice"),
        (lambda q: q["dice"]["cortex"][0].update(scale=[1e-300, 0.2]), "saw 1e-300; expected a number from 1e-9 to 1e9"),
        (lambda q: q["dice"].update({"\x1b]0;x\x07\n": 3}), r"dice.*\?\]0;x"),
    ],
)
def test_a_damaged_entry_is_refused_and_a_sound_one_is_not(change: Any, said: str, tmp_path: Path) -> None:
    line = {
        "signals": ["soft_dice", "entropy"], "intercept": 0.8, "interval": [-0.5, 0.5],
        **{key: [0.5, 0.2] for key in ("centre", "lowest", "highest", "weights", "scale")},
    }  # fmt: skip
    quality = {
        "dice": {"cortex": [line]},
        "reference": {"predicted_dice": [0.8, 0.9]},
        "calibration": {"temperature": [1.0, 2.0, 1.0, 1.0]},
    }
    card = {**card_of(2, STRUCTURES), "quality": quality}
    assert parse_card(tmp_path, dumped_card(card))["quality"] == quality
    worse = copy.deepcopy(card)
    change(worse["quality"])
    with pytest.raises(ModelFileError, match=said) as found:
        parse_card(tmp_path, dumped_card(worse))
    assert str(found.value).isprintable() and len(str(found.value)) < 700


def test_a_case_below_all_held_out_ones_is_flagged_and_a_usual_one_is_not() -> None:
    quality = {"reference": {"predicted_dice": [0.8 + 0.01 * i for i in range(12)]}}
    assert low_prediction({"a": (0.85, 0.7, 0.9)}, quality) == [] and low_prediction({}, quality) == []
    assert low_prediction({"a": (0.5, 0.3, 0.7), "b": (0.9, 0.8, 1.0)}, quality) == [
        "predicted Dice 0.7 (lowest: a, 0.30 to 0.70), lower than on all 12 held-out cases of the model, from 0.8; "
        "1 of 13 usual cases is flagged so"
    ]
    assert low_prediction({"a": (0.5, 0.3, 0.7)}, {"reference": {"predicted_dice": [0.9] * 9}}) == [], "too few"
    close = {"a": (0.717481, 0.6, 0.8)}  # the flag says the number of its row
    (said,) = low_prediction(close, {"reference": {"predicted_dice": [0.7199] * 12}})
    assert prediction_cells(close, ["a"])["predicted_dice"] == 0.7175
    assert said.startswith(
        "predicted Dice 0.7175 (0.60 to 0.80), lower than on all 12 held-out cases of the model, from 0.7199;"
    )
    cells = prediction_cells({"a": (0.85, 0.7, 0.9)}, ["a", "b"])
    assert cells == {
        "predicted_dice": 0.85, "predicted_dice_a": 0.85, "predicted_interval_a": "0.70 to 0.90",
        "predicted_dice_b": None, "predicted_interval_b": None,
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 16, 12), (2, 12, 10, 8)])
def test_worse_copies_keep_shape_and_range_and_repeat(shape: tuple[int, ...]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    names = []
    for number in range(len(KINDS) + 1):
        name, worse = degraded(image, number, seed=3)
        names.append(name)
        assert worse.shape == image.shape and not torch.equal(worse, image)
        assert image.min() <= worse.min() and worse.max() <= image.max()
        assert torch.equal(worse, degraded(image, number, seed=3)[1])
    assert names[:-1] == list(KINDS) and "+" in names[-1]
