"""Result files are replaced only where the program wrote them; every writer of the program is known."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from data_prep.atomic import replace_file
from data_prep.errors import ConfigError
from data_prep.json_io import dump_json
from data_prep.result_files import (
    FINDINGS,
    MADE_WITH,
    PALETTE,
    REPORT,
    RESULTS,
    VERDICT,
    Known,
    is_ours,
    refuse_other,
    refuse_others,
    take_folder,
)

ROOT = Path(__file__).parents[2]


def png(text: str = "") -> bytes:
    told, content = PngInfo(), io.BytesIO()
    if text:
        told.add_text("Software", text)
    Image.new("L", (4, 4)).save(content, "PNG", pnginfo=told)
    return content.getvalue()


def volume(text: str = "") -> bytes:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    image.header["descrip"] = text.encode()
    return gzip.compress(image.to_bytes())


def slices(*names: str) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{name: np.zeros(1) for name in names})
    return content.getvalue()


def weights(card: object) -> bytes:
    told = {"format": "pt", "monai_hybrid_card": json.dumps(card), "sha256": "0" * 64}
    head = json.dumps({"__metadata__": told, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, separators=(",", ":"))
    return len(head).to_bytes(8, "little") + head.encode() + b"0"


def text(content: object) -> bytes:
    return json.dumps(content).encode()


TABLE = f"index\tname\tcolor\n0\tbackground\t#000000\n1\tLV\t{PALETTE[0]}\n2\tRV\t{PALETTE[1]}\n"
# Name: a file as the program writes it, and one of a user's that is as like it as can be.
FILES: dict[str, tuple[bytes, bytes]] = {
    "datalist.json": (
        text({"format_version": 1, "name": "a", "training": [], "validation": [], "testing": []}),
        text({"training": [{"image": "a.nii.gz", "label": "b.nii.gz", "fold": 0}], "testing": []}),
    ),
    "dataset.json": (
        text({"format_version": 1, "spatial_dims": 3, "channels": ["T1"], "labels": []}),
        text({"name": "Heart", "labels": {"0": "background"}, "training": []}),
    ),
    "plan.json": (text({"format_version": 1, "spatial_dims": 3, "spacing": [], "patch_size": []}), text({"plan": "mine"})),
    "shift.json": (text({"source": "a", "target": "b", "summary": "", "findings": []}), text({"source": "a"})),
    "nearest.json": (text({"target": "a", "models": []}), text({"target": "a", "nearest": "me"})),
    "suggestion.json": (text({"model": "m", "order": "", "suggested": [], "scans": []}), text({"scans": []})),
    "suggestion.csv": (b"label_next,case_id,entropy_foreground,denoising_error,image\n", b"label_next,case_id\n"),
    "shift.png": (png(MADE_WITH), png("Matplotlib")),
    "run.json": (text({"command": "python", "versions": {"monai_hybrid": "1"}}), text({"command": "python", "versions": {}})),
    "history.jsonl": (b'{"epoch": 1, "updates": 2}\n{"epoch": 2', b'{"epoch": 1, "loss": 2}\n'),
    "pictures.png": (png(MADE_WITH), png()),
    "transfer.json": (text({"format_version": 1, "source": "a", "share": 1, "taken": 2}), text({"source": "a"})),
    "transfer.txt": (b"weights from a: 10%", b"my notes on weights"),
    "shots.json": (text({"seed": 0, "patients": [], "cases": []}), text([1, 2])),
    "safety_stop.json": (text({"kept": "original", "reasons": [], "scans": 2, "cases": []}), text({"kept": "original"})),
    "fold_*.safetensors": (weights({"left_out": "p1"}), weights({"format_version": 1})),
    "leave_one_out.json": (text({"epochs": 1, "updates": 2, "dice": 0.5, "patients": {}}), text({"epochs": 1})),
    "leave_one_out_part.json": (text({"of": "ab", "folds": {}}), text({"folds": {}})),
    "cases.csv": (b"case_id,patient,class,dice,label_voxels,pred_voxels\n", b"case_id,patient,class,dice,mine\n"),
    "summary.json": (text({"unit": "mm", "nsd_tolerance": 2, "policy": "", "cases": 1}), text({"unit": "mm", "cases": 1})),
    "forgetting.json": (text({"source": "a", "metric": "dice", "classes": {}, "mean": {}}), text({"metric": "dice"})),
    "*.npz": (slices("image", "reference", "prediction", "spacing", "unit"), slices("image", "mask")),
    "quality.csv": (
        b"case_id,status,flag,error,unit,volume_LV,predicted_dice,predicted_interval_LV,image,mask,made_from\n",
        b"case_id,status,flag,error,unit,volume_LV,image,mask,made_from,seen by Dr. A\n",
    ),
    "trust.json": (text({"format_version": 1, "trust": "evaluation", "calibration": {}}), text({"trust": "me"})),
    "statistics.csv": (b"case_id,structure,voxels,volume_mm3,mean_T1\n", b"case_id,structure,voxels,age\n"),
    "statistics.json": (text({"written_by": "monai_hybrid", "channels": [], "cases": {}}), text({"channels": [], "cases": {}})),
    "*_preview.png": (png("preview by monai_hybrid"), png("preview")),
    "labels.txt": (
        b"# ITK-SNAP label description, written by monai_hybrid\n",
        b"# ITK-SNAP label description file\n",
    ),
    "dseg.tsv": (TABLE.encode(), TABLE.replace(PALETTE[1], "#00ff00").encode()),
    "dseg.json": (text({"Description": "Segmentation by monai_hybrid 1"}), text({"Description": "Segmentation by hand"})),
    "*_dseg.json": (
        text({"Description": "Segmentation by monai_hybrid 1", "Sources": []}),
        text({"Manual": True, "Sources": ["bids:raw:a"]}),
    ),
    "*_probseg.json": (
        text({"Description": "Probability of each label, along", "Sources": []}),
        text({"Description": "by FSL", "Sources": []}),
    ),
    "samples.json": (text({"method": "ode", "num_inference_steps": 9, "agreement": []}), text({"samples": 3})),
    "contact_sheet.png": (png(MADE_WITH), png()),
    "sample_[0-9][0-9][0-9]_*": (volume(MADE_WITH), volume("by monai_hybrid")),
    "report.html": (b'\n<!DOCTYPE html><meta name="generator" content="monai_hybrid 1">', b"<html>monai_hybrid is fine</html>"),
}
NAMED: dict[str, tuple[Known, bytes, bytes]] = {  # files whose names a user chooses
    "check --json": (FINDINGS, text({"format_version": 1, "path": "", "counts": {}, "findings": []}), text({"findings": []})),
    "audit --json": (VERDICT, text({"like": "", "findings": [], "settings": []}), text({"like": "x"})),
    "report --output": (REPORT, FILES["report.html"][0], FILES["report.html"][1]),
}


def concrete(pattern: str) -> str:
    return pattern.replace("[0-9][0-9][0-9]_*", "004_image.nii.gz").replace("*", "sub-01")


def test_the_table_is_that_of_the_test() -> None:
    assert {one.name for one in RESULTS} == set(FILES)


@pytest.mark.parametrize("pattern", FILES)
def test_a_file_of_ours_is_replaced_and_one_of_the_users_kept(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / concrete(pattern)
    ours, other = FILES[pattern]
    path.write_bytes(other)
    with pytest.raises(ConfigError) as refused:
        replace_file(path, lambda new: new.write_bytes(b"new"))
    assert path.read_bytes() == other and len(list(tmp_path.iterdir())) == 1
    assert str(refused.value) == (
        f"{path}: is there already, was not written by monai-hybrid, and is kept. "
        f"Type: mv {path} {path}.kept, or give another --output"
    )
    path.write_bytes(ours)
    replace_file(path, lambda new: new.write_bytes(b"new"))
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("option", NAMED)
def test_so_are_files_that_a_user_names(option: str, tmp_path: Path) -> None:
    known, ours, other = NAMED[option]
    path = tmp_path / "model.pt"
    path.write_bytes(other)
    with pytest.raises(ConfigError, match="was not written by monai-hybrid, and is kept"):
        dump_json({}, path, known)
    assert path.read_bytes() == other
    path.write_bytes(ours)
    dump_json({}, path, known)
    assert json.loads(path.read_text()) == {}


@pytest.mark.parametrize("name", [one.name for one in RESULTS])
def test_hostile_content_is_not_ours_and_ends_in_no_exception(name: str, tmp_path: Path) -> None:
    path = tmp_path / concrete(name)
    for content in (b"\x1f\x8bnot gzip", b"PK\x03\x04", b"[" * 100_000, b"\xff\xfe\x00", b"1" * 5000, b"null", b"\0" * 100):
        path.write_bytes(content)
        assert not is_ours(path)


def test_an_empty_file_and_an_unknown_name_stop_nothing(tmp_path: Path) -> None:
    for name, content in (("summary.json", b""), ("mine.json", b"{}")):
        (tmp_path / name).write_bytes(content)
        replace_file(tmp_path / name, lambda new: new.write_bytes(b"new"))
        assert (tmp_path / name).read_bytes() == b"new"


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    (tmp_path / "summary.json").mkdir()
    (tmp_path / "quality.csv").symlink_to(tmp_path / "nothing")
    for name, kind in (("run.json", "a pipe, a device"), ("summary.json", "a folder"), ("quality.csv", "a link to nothing")):
        with pytest.raises(ConfigError, match=f"{name}: {kind}"):
            refuse_other(tmp_path / name)


def test_pictures_of_earlier_versions_are_known_by_their_record(tmp_path: Path) -> None:
    (tmp_path / "shift.png").write_bytes(png("Matplotlib"))
    assert not is_ours(tmp_path / "shift.png")
    (tmp_path / "shift.json").write_bytes(FILES["shift.json"][0])
    assert is_ours(tmp_path / "shift.png")


def test_a_command_asks_before_its_work_about_its_own_files_alone(tmp_path: Path) -> None:
    (tmp_path / "shots.json").write_bytes(b"[]")
    (tmp_path / "summary.json").write_bytes(b"[]")
    refuse_others(tmp_path, "build", "inference.json")
    for by, name in (("evaluate.json", "summary.json"), ("train.json", "shots.json")):
        with pytest.raises(ConfigError, match=name):
            refuse_others(tmp_path, by)


# Where files are written, and why nobody else's is replaced there: their names are in the table, or as it is said here.
TABLED = "in the table"
WRITERS = {
    "data_prep/dicom/convert.py": "a folder of `take_folder`",
    "data_prep/dicom/seg_write.py": "prediction/masks.py asks `is_own_seg`",
    "data_prep/json_io.py": TABLED,
    "data_prep/label_file.py": "leaves another's `labels.txt` alone",
    "data_prep/n4.py": "a folder of `take_folder`",
    "data_prep/phantom/dataset.py": "a new folder",
    "data_prep/phantom/files.py": "a new folder",
    "data_prep/pseudonyms.py": "a damaged key file is never replaced",
    "data_prep/repair/run.py": "a new folder",
    "data_prep/files.py": TABLED,
    "data_prep/result_files.py": "asks itself",
    "data_prep/slices.py": "a new folder",
    "data_prep/slices_joined.py": "a new folder",
    "data_prep/structures.py": "a folder of `take_folder`",
    "data_prep/shift/figure.py": TABLED,
    "data_prep/shift/report.py": TABLED,
    "data_prep/summary.py": "asks `FINDINGS`",
    "data_prep/written_labels.py": "a folder of `take_folder`",
    "monai_hybrid/audit/__main__.py": "asks `VERDICT`",
    "monai_hybrid/audit/zip.py": "a temporary folder",
    "monai_hybrid/bundle/data.py": "marks of sha256 below data/",
    "monai_hybrid/bundle/sample.py": TABLED,
    "monai_hybrid/bundle_copy.py": "a new folder",
    "monai_hybrid/demo_steps.py": "a folder of the demonstration",
    "monai_hybrid/engines/training_log.py": TABLED,
    "monai_hybrid/engines/volume_cache.py": "called as the hash of its content",
    "monai_hybrid/evaluation/case_table.py": TABLED,
    "monai_hybrid/evaluation/forgetting.py": TABLED,
    "monai_hybrid/evaluation/report.py": TABLED,
    "monai_hybrid/evaluation/slices.py": TABLED,
    "monai_hybrid/evaluation/structure_masks.py": "a temporary folder",
    "monai_hybrid/exporting/program.py": "a temporary file",
    "monai_hybrid/exporting/write.py": "only with --overwrite",
    "monai_hybrid/few_shot/shots.py": TABLED,
    "monai_hybrid/inferers/native_grid.py": "asks `is_own`",
    "monai_hybrid/nearest/__main__.py": TABLED,
    "monai_hybrid/networks/transfer/report.py": TABLED,
    "monai_hybrid/suggesting/suggestion.py": TABLED,
    "monai_hybrid/prediction/bids_derivative.py": TABLED,
    "monai_hybrid/prediction/expected.py": TABLED,
    "monai_hybrid/prediction/preview.py": TABLED,
    "monai_hybrid/prediction/statistics.py": TABLED,
    "monai_hybrid/prediction/table.py": TABLED,
    "monai_hybrid/prediction/trust_report.py": TABLED,
    "monai_hybrid/reporting/niivue.py": "a command of developers, into the package",
    "monai_hybrid/reporting/report.py": "asks `REPORT`",
    "monai_hybrid/runs/manifest.py": TABLED,
    "monai_hybrid/runs/run_folder.py": "called .run.json, of the lock",
    "monai_hybrid/reporting/figures.py": TABLED,
    "monai_hybrid/runs/checkpoint.py": "called update_<number>.pt, below checkpoints/",
    "monai_hybrid/gallery/dicom_cases.py": "a private folder, and `kept` asks",
    "monai_hybrid/viewing/labels.py": "asks the person, and `OUR_SIDECAR`, `OUR_LIST`, `OUR_PATIENTS`",
    "monai_hybrid/weights.py": "claim_run refuses a folder with a model",
}
CALLS = {
    "replace_file",
    "write_atomically",
    "dump_json",
    "write_text",
    "write_bytes",
    "save",
    "savefig",
    "imsave",
    "copyfile",
    "copytree",
}


def writers() -> Iterator[str]:
    """Files of the program with a call that writes."""
    for room in ("data_prep", "monai_hybrid"):
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    opened = name == "open" and any(
                        isinstance(a, ast.Constant) and str(a.value) in ("w", "wb", "a", "x", "xb") for a in node.args
                    )
                    if name in CALLS or opened:
                        yield file.relative_to(ROOT).as_posix()


def test_every_writer_is_known() -> None:
    in_memory = {"monai_hybrid/reporting/overlays.py", "data_prep/repair/picture.py", "data_prep/on_grid.py"}
    in_memory |= {"data_prep/repair/picture_anew.py"}
    in_memory |= {"monai_hybrid/gallery/thumbnails.py"}
    saving = ("prediction/engine", "runs/resume", "networks/transfer/load", "viewing/server")  # call a `save` of their own
    methods = {f"monai_hybrid/{name}.py" for name in saving}
    assert set(writers()) - in_memory - methods - {"data_prep/naming.py"} == set(WRITERS)


def test_a_folder_of_images_is_taken_once_and_again_and_never_from_the_user(tmp_path: Path) -> None:
    folder = tmp_path / "n4"
    take_folder(folder, "images")
    (folder / "a_0000.nii.gz").write_bytes(b"half of a killed build")
    take_folder(folder, "images")
    (folder / "ABOUT.txt").unlink()
    with pytest.raises(ConfigError, match="n4: is there already, was not written by monai-hybrid"):
        take_folder(folder, "images")
    (tmp_path / "datalist.json").write_bytes(FILES["datalist.json"][0])  # of an earlier version, which left no such text
    take_folder(folder, "images")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (["a.txt", "notes/b.txt"], "holds a.txt, notes, not written by monai-hybrid. What is there stays"),
        (["a", "b", "c", "d", "e"], "holds a, b, c and 2 more, not written"),
        ([".DS_Store"], ""),
        ([], ""),
        (["a.txt", "checkpoints/1.pt"], ""),
        (["a.txt", "logs/log.txt"], ""),
        (["a.txt", "models/model.pt"], ""),
        (["LICENSE", "configs/metadata.json"], ""),
        (["models/other.pt"], "holds models, not written"),
    ],
)
def test_a_folder_of_others_is_told_and_one_of_ours_is_not(
    there: list[str], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    for _ in range(2):
        refuse_others(tmp_path, "inference.json")
    assert [told in record.getMessage() for record in caplog.records] == ([True] if told else [])
    assert all((tmp_path / name).read_text() == "mine" for name in there)


def test_a_folder_with_one_result_is_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "quality.csv").write_text("case_id,status,mask,made_from\n")
    refuse_others(tmp_path, "inference.json")
    refuse_others(tmp_path / "new", "inference.json")
    assert not caplog.records
