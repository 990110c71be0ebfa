"""evaluate.json as a user runs it: slices, forgetting, shift, several processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_runs import ROOT, run_bundle

from data_prep.build import build
from data_prep.files import read_datalist
from data_prep.phantom import generate
from monai_hybrid.evaluation.case_table import read_cases
from monai_hybrid.weights import load_weights, read_card, save_weights

EVALUATE = ROOT / "bundles/few_shot_finetune/configs/evaluate.json"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("target")
    generate(folder / "raw", cases=6, site="B", seed=0)
    build(folder / "raw", folder / "prepared", budget="cpu", test_fraction=0.4)
    return folder / "prepared"


@pytest.fixture(scope="module")
def adapted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was "adapted": nucleus is gone, vessel is new, rows are in another order, weights are moved a little."""
    card = read_card(trained / "models/model.safetensors")
    assert card is not None
    names = ["background", "ventricle", "vessel", "cortex"]
    card["labels"] = [{"name": name, "index": i, "value": 10 * i} for i, name in enumerate(names)]
    card["training"]["adapted_from"] = str(trained / "models/model.safetensors")
    generator = torch.Generator().manual_seed(0)
    weights = {
        k: w + 0.02 * torch.randn(w.shape, generator=generator) for k, w in load_weights(trained / "models/model.pt").items()
    }
    folder = tmp_path_factory.mktemp("adapted")
    save_weights(weights, folder, card)
    return folder / "model.pt"


def renamed(prepared: Path, folder: Path) -> Path:
    """The data set with nucleus called vessel, so that the adapted model can be evaluated on it."""
    folder.mkdir()
    for name in ("datalist.json", "dataset.json", "plan.json"):
        text = (prepared / name).read_text().replace('"nucleus"', '"vessel"')
        (folder / name).write_text(text)
    datalist = json.loads((folder / "datalist.json").read_text())
    for case in (case for split in ("training", "validation", "testing") for case in datalist[split]):
        case |= {key: str((prepared / case[key]).resolve()) for key in ("image", "label")}
    (folder / "datalist.json").write_text(json.dumps(datalist))
    return folder


@pytest.mark.long
def test_source_and_target_in_one_run(prepared: Path, target: Path, adapted: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "eval"
    data = renamed(target, tmp_path / "data")
    done = run_bundle(EVALUATE, dataset_dir=data, source_dir=prepared, model=adapted, output_dir=out)
    assert done.returncode == 0, done.stderr[-3000:]

    cases = {case["case_id"]: case for case in read_datalist(data / "datalist.json")["testing"]}
    assert {row["case_id"]: row["patient"] for row in read_cases(out)} == {k: v["patient"] for k, v in cases.items()}
    assert sorted(path.stem for path in (out / "slices").iterdir()) == sorted(cases)
    with np.load(out / f"slices/{next(iter(cases))}.npz") as found:
        assert found["image"].std() > 10 and {1, 3} & set(np.unique(found["reference"])) and (found["spacing"] > 1).all()

    content = json.loads((out / "forgetting.json").read_text())
    assert list(content["classes"]) == ["cortex", "ventricle"] and content["not_compared"] == ["nucleus", "vessel"]
    before, after = (read_cases(out / when) for when in ("source_before", "source_after"))
    assert {row["case_id"] for row in before} == {c["case_id"] for c in read_datalist(prepared / "datalist.json")["testing"]}
    assert [r["label_voxels"] for r in before] == [r["label_voxels"] for r in after] and all(r["label_voxels"] for r in after)
    for rows, key in ((before, "before"), (after, "after")):
        values = [row["dice"] for row in rows if row["class"] == "cortex"]
        assert content["classes"]["cortex"][key] == pytest.approx(np.mean(values))

    assert {finding["kind"] for finding in json.loads((out / "shift.json").read_text())["findings"]} >= {
        "spacing",
        "orientation",
    }
    assert (out / "shift.png").stat().st_size > 10_000 and content["sentence"] in done.stdout + done.stderr

    # The score on the source is that of an evaluation of the source by itself, and leaves nothing of the first run behind.
    settings = {"model": trained / "models/model.pt", "output_dir": out, "save_slices": False}
    done = run_bundle(EVALUATE, dataset_dir=prepared, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = {(row["case_id"], row["class"]): row["dice"] for row in read_cases(out)}
    assert {(row["case_id"], row["class"]): row["dice"] for row in before}.items() <= alone.items()
    assert not {"forgetting.json", "shift.json", "shift.png"} & {path.name for path in out.iterdir()}


@pytest.mark.long
def test_a_source_that_cannot_be_compared_stops_before_scoring(
    prepared: Path, target: Path, trained: Path, tmp_path: Path
) -> None:
    settings = {"dataset_dir": target, "model": trained / "models/model.pt", "output_dir": tmp_path / "eval"}
    done = run_bundle(EVALUATE, source_dir=tmp_path / "nowhere", **settings)
    assert done.returncode == 3 and "nowhere" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "eval").exists()


@pytest.mark.slow
def test_two_processes_write_what_one_writes(prepared: Path, target: Path, trained: Path, tmp_path: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    for folder, before in (("one", ()), ("two", launcher)):
        settings = {"dataset_dir": target, "source_dir": prepared, "model": trained / "models/model.pt"}
        done = run_bundle(EVALUATE, ROOT, *before, output_dir=tmp_path / folder, **settings)
        assert done.returncode == 0, done.stderr[-3000:]
    for name in ("cases.csv", "summary.json", "forgetting.json", "shift.json", "source_after/cases.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    names = [sorted(path.name for path in (tmp_path / x / "slices").iterdir()) for x in ("one", "two")]
    assert names[0] == names[1] and names[0]
