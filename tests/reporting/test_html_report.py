"""The report: what it says, that nothing in it comes from elsewhere, and that bad input leaves nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_samples import DICE, EVIL, Page, dump, evaluation, extras, run, slices, training
from view_samples import pictures as picture_files
from view_samples import predicted
from view_samples import volumes as volume_files
from warm import run_module

from data_prep.known_files import file_digest
from monai_hybrid.errors import ConfigError, DataError, HybridError
from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.reporting.command import main
from monai_hybrid.reporting.inputs import read_inputs
from monai_hybrid.reporting.report import render, write_report
from monai_hybrid.reporting.verdict import predicted_sentence

ROOT = Path(__file__).parents[2]


def full(folder: Path, before: Path) -> Page:
    """Everything a report can hold."""
    training(folder)
    slices(evaluation(folder / "eval"))
    extras(folder / "eval")
    dump(folder / "eval/run.json", run("evaluate.json"))
    (folder / "quality.csv").write_text("case,volume_ml,flag\nnew_1,12.34567,\nnew_2,0,unlike the training data\n")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "logs/pictures.png")
    worse = {case: [None if d is None else d - 0.3 for d in values] for case, values in DICE.items()}
    evaluation(before, worse)
    return Page(write_report(folder, [f"before={before}"]).read_text())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("full")
    return full(folder / "run", folder / "before")


def test_the_verdict_has_the_number_its_interval_the_cases_and_what_was_missed(page: Page) -> None:
    # (0.85 + 0.75 + 0.65 + 0.55 + 0.25 + 0.80) / 6 = 0.642
    assert "Mean Dice 0.64 on 6 cases (95 % interval 0.47 to 0.78)" in page.text
    assert "higher than the run “before”" in page.text
    assert "1 missed structure." in page.text
    assert "Missed entirely: spleen in case_e." in page.text


def test_every_part_is_there(page: Page) -> None:
    sections = "structures runs pictures cases training shots transfer shift forgetting quality made meaning left-out"
    expected = set(sections.split()) - {"left-out"}
    assert expected <= set(page.ids)
    for words in (
        "NSD at 2 mm", "HD95 mm", "6 of 6", "p1_2", "75.0 %", "0.5 \u00d7 T2 + 0.5 \u00d7 PD", "new: fresh weights",
        "Slices are 3 times thicker.",
        "The model is worse on east.", "unlike the training data", "python -m monai.bundle run --config_file evaluate.json",
        "torch 2.10.0", "A CPU, 2 cores", "abc123", "Dice 0, NSD 0, HD95 the image's diagonal",
    ):  # fmt: skip
        assert words in page.text
    assert "Not in this report" not in page.text


def test_nothing_comes_from_elsewhere_and_nothing_is_unnamed(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:image/", "#"))
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in page.ids
        assert tag not in ("link", "iframe", "object")
        assert tag != "img" or attributes["alt"]
        assert attributes.get("role") != "img" or attributes["aria-label"]
        assert tag != "th" or attributes["scope"] in ("row", "col")


def test_the_pictures_are_the_best_the_median_and_the_worst_in_true_proportions(page: Page) -> None:
    headings = [words for words in page.words if words.strip() in ("best", "median", "worst")]
    assert headings == ["best", "median", "worst"]
    scans = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") == "scan"]
    names = ["case_a", "case_c", "case_e"]
    assert [s["aria-label"].split(":")[0] for s in scans] == [f"Case {name}" for name in names for _ in range(3)]
    # Both masks are 22 mm high; with the margin 42 mm, 21 pixels of 2 mm, and all 30 pixels of 1 mm across.
    assert {s["viewbox"] for s in scans} == {"0 0 30 42"}


def test_names_from_files_are_text_and_never_markup(tmp_path: Path) -> None:
    dice = {EVIL: (0.9, 0.8), "b": (0.5, 0.4)}
    folder = training(tmp_path)
    slices(evaluation(folder / "eval", dice, names=(EVIL + "1", "b&b"), dataset=EVIL), ["b"])
    dump(folder / "shots.json", {"seed": EVIL, "patients": [EVIL], "cases": [EVIL]})
    dump(
        folder / "eval/shift.json",
        {"source": EVIL, "target": EVIL, "findings": [{"kind": EVIL, "level": EVIL, "sentence": EVIL}]},
    )
    dump(folder / "logs/run.json", {**run(EVIL), "revision": EVIL})
    (folder / "quality.csv").write_text(f"{EVIL.replace(chr(34), '')}\n{EVIL.replace(chr(34), '')}\n")
    other = evaluation(tmp_path / "other", dice, names=(EVIL + "1", "b&b"), dataset=EVIL)
    html = write_report(folder, [f"{EVIL}={other}"], title=EVIL).read_text()
    assert html.count("<script>") == 1 and "alert(&#34;x&#34;)" in html
    assert Page(html).text.count(EVIL) > 10


def test_few_cases_are_said_to_be_few(tmp_path: Path) -> None:
    one = Page(write_report(evaluation(tmp_path / "one", {"a": (0.9, 0.8)})).read_text()).text
    assert "on only 1 case (no interval: one patient has no spread)" in one
    assert "Only 1 test patient: a single patient says nothing" in one
    three = Page(write_report(evaluation(tmp_path / "three", dict(list(DICE.items())[:3]))).read_text()).text
    assert "Only 3 test patients: the interval is a rough guide at most" in three
    assert "on only 3 cases (95 % interval" in three
    assert "no structure was missed or invented" in three
    many = {f"c{i}": (0.8 + i / 1000, 0.7) for i in range(20)}
    assert "Read with care" not in Page(write_report(evaluation(tmp_path / "many", many)).read_text()).text


def test_cases_that_the_model_learnt_from_are_no_test_cases(tmp_path: Path) -> None:
    folder = training(tmp_path / "known")
    evaluation(folder / "eval", {"p1_1": (0.9, 0.8), "p2_1": (0.8, 0.7), "new": (0.5, 0.4)}, split="training")
    known = Page(write_report(folder).read_text()).text
    assert "The model learnt from 2 of the 3 cases: their scores say nothing of new patients." in known
    assert "Only 3 patients: the interval" in known and "Test cases" not in known and "test patient" not in known
    assert "Adapted with 3 labelled cases of 2 patients" in known
    possible = Page(write_report(evaluation(tmp_path / "alone", DICE, split="all")).read_text()).text
    assert "Where the model learnt from them, scores say nothing of new patients." in possible
    for name, about in {"tested": {"split": "testing"}, "masks": {"split": "all", "masks": "nnunet"}}.items():
        assert "learnt" not in Page(write_report(evaluation(tmp_path / name, DICE, **about)).read_text()).text


def test_a_distilled_model_is_not_called_adapted(tmp_path: Path) -> None:
    folder = training(tmp_path / "student")
    (folder / "logs/transfer.json").unlink()
    inputs = read_inputs(folder)
    assert inputs.training is not None
    teacher = {"model": "adapted/models/model.safetensors", "sha256": "0" * 64}
    card = {"labels": [{"name": "background"}], "channels": ["image"], "network": {}, "training": {"distilled_from": teacher}}
    student = Page(render(replace(inputs, training=replace(inputs.training, card=card)))).text
    assert "Distilled with 3 labelled cases of 2 patients" in student and "Cases used for distillation" in student
    assert "daptation" not in student and "monai-hybrid adapt" not in student
    adapted = Page(render(inputs)).text
    assert "Cases used for adaptation" in adapted and "transfer, because there is no logs/transfer.json" in adapted


def test_equal_runs_are_not_called_different_and_a_worse_one_is_named(tmp_path: Path) -> None:
    noise = {
        case: [None if d is None else d + (0.02 if i % 2 else -0.02) for d in values]
        for i, (case, values) in enumerate(DICE.items())
    }
    better = {case: [None if d is None else d + 0.05 for d in values] for case, values in DICE.items()}
    main, same, good = (evaluation(tmp_path / n, d) for n, d in (("main", DICE), ("same", noise), ("good", better)))
    text = Page(write_report(main, [f"same={same}", f"good={good}"]).read_text()).text
    assert "not clearly different from the run “same”" in text
    assert "This model is worse than good: \u22120.05 Dice" in text
    assert "This model is worse than same" not in text
    dump(main / "summary.json", {**json.loads((main / "summary.json").read_text()), "masks": "nnunet"})
    text = Page(write_report(main, [f"good={good}"]).read_text()).text
    assert "These masks are worse than good: \u22120.05 Dice" in text and "Difference: these masks minus that run" in text


def test_what_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    text = Page(write_report(evaluation(tmp_path / "eval")).read_text()).text
    assert "Not in this report:" in text
    assert "training curves, because there is no logs/history.jsonl, type monai-hybrid adapt" in text
    only = Page(write_report(training(tmp_path / "run")).read_text()).text
    assert "nothing can be said about how well the model segments" in only
    assert "scores, because there is no cases.csv, type monai-hybrid evaluate" in only


def test_predicted_dice_is_not_called_measured() -> None:
    rows = [{"status": "done", "flag": "look", "predicted_dice": "0.7"}, {"status": "failed", "predicted_dice": ""}]
    told = predicted_sentence(rows)
    assert told.startswith("1 case predicted, 1 of them flagged, 1 failed. There are no references, so Dice is not measured:")
    assert "nothing can be said" in predicted_sentence([{"status": "done", "flag": ""}])


def test_a_folder_of_predictions_shows_its_masks_flagged_first(tmp_path: Path) -> None:
    images = {**volume_files(tmp_path / "images"), **picture_files(tmp_path / "pictures"), "gone": tmp_path / "gone.png"}
    images["gone"].write_bytes(images["grey"].read_bytes())
    columns = {"flag": {"oblique": EVIL, "grey": "look"}, "volume_LV": {"lps": "17600"}, "unit": dict.fromkeys(images, "mm2")}
    folder = predicted(tmp_path / "masks", images, **columns)
    images["gone"].unlink()
    html = write_report(folder).read_text()
    page, text = Page(html), Page(html).text
    assert "7 cases predicted, 2 of them flagged. Without references nothing can be said" in text
    shown = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert len(shown) == 6 and {name.split()[1] for name in shown[:2]} == {"oblique", "grey"}
    assert "gone: its image is not there" in text and "Not in this report" not in text
    assert "17,600" in text and "e+04" not in text and "made from" not in text and str(images["grey"]) not in text
    data = html.split('id="planes-data">')[1].split("</script>")[0]
    assert [case["name"] for case in json.loads(data)["cases"]] == ["oblique"] and EVIL not in html and EVIL in text
    assert "niivue" not in write_report(folder, viewer=False).read_text()


def test_predictions_that_cannot_be_shown_are_still_listed(tmp_path: Path) -> None:
    (tmp_path / "quality.csv").write_text("case_id,status,flag,error\na,failed,,no such file\nb,done,look,\n")
    text = Page(write_report(tmp_path).read_text()).text
    assert "1 case predicted, 1 of them flagged, 1 failed." in text and "no such file" in text
    assert "No pictures of the predictions:" in text


def test_only_the_last_run_of_a_history_is_drawn(tmp_path: Path) -> None:
    page = Page(write_report(training(tmp_path)).read_text())
    labels = [attributes["aria-label"] for _, attributes in page.tags if attributes.get("class") == "chart"]
    assert labels == ["Loss by epoch. mask, clean input: 3.000 to 1.500"]


def test_an_evaluation_of_another_or_an_older_model_is_noticed(tmp_path: Path) -> None:
    folder = training(tmp_path / "run")
    model = folder / "models/model.pt"
    for path in (model, tmp_path / "elsewhere.pt"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    evaluation(folder / "eval", model=str(model))
    assert "earlier model" not in write_report(folder).read_text()
    later = (folder / "eval/cases.csv").stat().st_mtime + 60
    os.utime(model, (later, later))
    assert "The model file is newer than the evaluation" in write_report(folder).read_text()
    evaluation(folder / "eval", model=str(tmp_path / "elsewhere.pt"))
    assert "The evaluation is of another model" in write_report(folder).read_text()


def test_the_training_of_a_model_elsewhere_is_shown_only_where_the_evaluation_knows_the_file(tmp_path: Path) -> None:
    model = training(tmp_path / "run") / "models/model.pt"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    folder = evaluation(tmp_path / "eval", model=str(model))
    said = "The training of the model is left out: this evaluation does not know the file of today."
    text = Page(write_report(folder).read_text()).text
    assert said in text and "Cases used for adaptation" not in text
    content = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**content, "model_digest": file_digest(model)}))
    text = Page(write_report(folder).read_text()).text
    assert said not in text and "Cases used for adaptation" in text


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = training(tmp_path / "run")
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "logs/pictures.png")
    slices(evaluation(folder / "eval"))
    shown = write_report(folder).read_text()
    for place, kept in (("logs", "logs_kept"), ("eval/slices", "slices_kept")):
        (folder / place).rename(tmp_path / kept)
    (folder / "eval/slices").symlink_to(tmp_path / "slices_kept")
    (folder / "logs").symlink_to(tmp_path / "logs_kept")
    assert shown.count("data:image/png") > 1 and "data:image/png" not in write_report(folder).read_text()


def test_images_that_a_strangers_table_names_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    digests = {"image_digest": {"grey": "", "colour": "0" * 32}}
    folder = predicted(tmp_path / "masks", picture_files(tmp_path / "scans"), **digests)
    names = read_collection(folder).cases
    html = write_report(folder).read_text()
    assert html.count("data:image/png") == len(names) - 2
    assert f"If both are yours: --images {tmp_path / 'scans'}" in Page(html).text
    html = write_report(folder, images=tmp_path / "scans").read_text()
    assert html.count("data:image/png") == len(names)


def test_the_report_of_many_large_cases_stays_small(tmp_path: Path) -> None:
    folder = evaluation(tmp_path, {f"c{i:04d}": (0.5 + i / 5000, 0.4) for i in range(400)})
    rng = np.random.default_rng(0)
    mask = np.zeros((1500, 1500), np.uint8)
    mask[200:1300, 200:1300] = rng.integers(1, 3, (55, 55)).repeat(20, 0).repeat(20, 1)
    (folder / "slices").mkdir()
    noise = rng.integers(0, 256, mask.shape, dtype=np.uint8)
    for case in ("c0000", "c0199", "c0399"):
        np.savez(folder / f"slices/{case}.npz", image=noise, reference=mask, prediction=mask, spacing=np.float32([1, 1]))
    path = write_report(folder)
    assert path.stat().st_size < 3e6
    assert "The 300 worst of 400 cases" in path.read_text()


HEAD = "case_id,class,dice,nsd,hd95,label_voxels,pred_voxels,status\n"
SHIFT = '{"source": "a", "target": "b", "findings": [%s]}'
BAD = {
    "cases_empty": ("eval/cases.csv", HEAD, "holds no case"),
    "cases_nan": ("eval/cases.csv", HEAD + "a,liver,nan,0,0,1,1,ok\n", "dice is nan; expected a number from 0 to 1"),
    "cases_status": ("eval/cases.csv", HEAD + "a,liver,0,0,0,1,1,fine\n", "status 'fine'; expected ok, missed"),
    "cases_row": ("eval/cases.csv", HEAD + "a,x,1,1,0,1,1,ok\na,y,1,1,0,1,1,ok\nb,x,1,1,0,1,1,ok\n", "3 rows, expected 4"),
    "cases_binary": ("eval/cases.csv", b"\xff\xfe\x00", "not a table in UTF-8"),
    "summary": ("eval/summary.json", "{", "not valid JSON"),
    "summary_list": ("eval/summary.json", "[]", "holds a list; expected a JSON object"),
    "history": ("logs/history.jsonl", '{"epoch": 1, "loss": 1}\n{"epo', "line 2: not a record"),
    "slice": ("eval/slices/case_a.npz", b"no", "not a slice of evaluate.json"),
    "picture": ("logs/pictures.png", b"no", "not a readable picture"),
    "shift": ("eval/shift.json", SHIFT % '{"level": "note"}', "another form than this version writes"),
    "figure": ("eval/shift.json", SHIFT[:-1] % "" + ', "figure": "x.png"}', "named in shift.json, but not there"),
    "transfer": ("logs/transfer.json", "{}", "another form"),
    "quality": ("quality.csv", "a,b\n1\n", "more or fewer cells than the heading"),
}


@pytest.mark.parametrize(("file", "content", "message"), BAD.values(), ids=BAD)
def test_a_damaged_file_is_named_and_the_old_report_stays(
    tmp_path: Path, file: str, content: str | bytes, message: str
) -> None:
    folder = training(tmp_path)
    slices(evaluation(folder / "eval"))
    path = write_report(folder)
    old = path.read_bytes()
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as error:
        write_report(folder)
    assert error.value.exit_code == 3 and "\n" not in str(error.value)
    assert path.read_bytes() == old
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("compare", "kind", "message"),
    [
        (["before"], ConfigError, "expected NAME=FOLDER"),
        (["=x"], ConfigError, "expected NAME=FOLDER"),
        (["a={other}", "a={other}"], ConfigError, "'a' is there twice"),
        (["a={empty}"], DataError, "--compare a: no cases.csv in"),
        (["a={less}"], DataError, "evaluate both models on the same cases"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(
    tmp_path: Path, compare: list[str], kind: type[HybridError], message: str
) -> None:
    main, other = evaluation(tmp_path / "main"), evaluation(tmp_path / "other")
    less = evaluation(tmp_path / "less", dict(list(DICE.items())[:3]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(kind, match=message):
        write_report(main, [words.format(other=other, less=less, empty=tmp_path / "empty") for words in compare])
    assert not (main / "report.html").exists()


def test_the_command_line_writes_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation(tmp_path / "eval")
    path = tmp_path / "r.html"
    words = [str(tmp_path), "--output", str(path), "--title", "Liver in clinic B", "--compare", f"same={tmp_path / 'eval'}"]
    monkeypatch.setattr(sys, "argv", ["reporting", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0 and f"report: {path}" in capsys.readouterr().out
    assert "<title>Liver in clinic B</title>" in path.read_text()


def test_the_command_line_refuses_in_one_line(tmp_path: Path) -> None:
    done = run_module("monai_hybrid.reporting", [str(tmp_path)], ROOT, os.environ)
    assert done.returncode == 3 and "nothing to report" in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_reports_and_comparisons_need_no_torch() -> None:
    programs = "monai_hybrid.reporting.report, monai_hybrid.evaluation.__main__"
    code = f"import sys, {programs}\nprint({{'torch', 'monai'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
