"""Group I, untrusted code: a bundle is ours with other settings, or it is refused; what it would have run leaves no trace."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_code import Touch, code
from PIL import Image

from monai_hybrid.audit import audit
from monai_hybrid.audit.__main__ import main
from monai_hybrid.audit.settings import FORMS, setting_allowed
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.settings import SETTINGS
from monai_hybrid.weights import save_weights

ROOT = Path(__file__).parents[2]
OURS = ("hybrid_pretrain", "few_shot_finetune")
INFERENCE = "configs/inference.json"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle as it is handed on: ours, with a model, a picture and a text."""
    folder = tmp_path / "bundle"
    for part in ("configs", "docs"):
        shutil.copytree(ROOT / "bundles/few_shot_finetune" / part, folder / part)
    save_weights({"weight": torch.zeros(2)}, folder / "models", {})
    Image.new("L", (4, 4)).save(folder / "docs/overview.png")
    Image.new("RGB", (4, 4)).save(folder / "docs/photo.jpg")
    (folder / "LICENSE").write_text("Apache-2.0")
    return folder


def change(bundle: Path, edit: Callable[[dict[str, Any]], object], name: str = INFERENCE) -> None:
    content = json.loads((bundle / name).read_text())
    edit(content)
    (bundle / name).write_text(json.dumps(content))


def load_image(content: dict[str, Any], **changes: Any) -> None:
    content["train"]["deterministic_transforms"][0].update(changes)


def expression(b: Path, m: Path) -> None:
    change(b, lambda c: c["initialize"].insert(0, f"${code(m)}"))


def top_expression(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(overlap=f"${code(m)}"))


def reference(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(output_postfix="@card"))


def macro(b: Path, m: Path) -> None:
    (b / "docs/more.md").write_text(json.dumps({"a": f"${code(m)}"}))
    change(b, lambda c: c.update(input="%docs/more.json::a"))


def new_key(b: Path, m: Path) -> None:
    change(b, lambda c: c.update({"evaluator#network": f"${code(m)}"}))


def target(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(device={"_target_": "os.system", "command": f"touch {m}"}))


def reader_exec(b: Path, m: Path) -> None:
    change(b, lambda c: load_image(c, reader="exec"), "configs/train.json")


def reader_in_an_expression(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(network=f"$monai.transforms.LoadImage('exec')({code(m)!r})"))


def reader_in_a_list(b: Path, m: Path) -> None:
    change(b, lambda c: load_image(c, reader=["open"]), "configs/train.json")


def reader_by_star(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(label_values=f"$monai.transforms.LoadImage(*['exec'])({code(m)!r})"))


def logging_interpolation(b: Path, m: Path) -> None:
    conf = (b / "configs/logging.conf").read_text()
    conf = conf.replace("args=(sys.stdout,)", f"p=__import__('pathlib').Path({str(m)!r}).touch()\nargs=(%(p)s,)")
    (b / "configs/logging.conf").write_text(conf)


def logging_code(b: Path, m: Path) -> None:
    conf = (b / "configs/logging.conf").read_text()
    (b / "configs/logging.conf").write_text(conf.replace("(sys.stdout,)", f"({code(m)},)"))


def second_logging(b: Path, m: Path) -> None:
    (b / "docs/logging.conf").write_text(f"[handler_a]\nargs=({code(m)},)")


def hub_folder(b: Path, m: Path) -> None:
    (b / "__pycache__/hub").mkdir(parents=True)
    (b / "__pycache__/hub/hubconf.py").write_text(code(m))
    change(b, lambda c: c.update(network={"_target_": "PerceptualLoss", "spatial_dims": 2, "cache_dir": "__pycache__"}))


def hub_folder_alone(b: Path, m: Path) -> None:
    (b / "__pycache__").mkdir()
    (b / "__pycache__/hubconf.py").write_text(code(m))


def pickle_as_picture(b: Path, m: Path) -> None:
    (b / "docs/photo.png").write_bytes(pickle.dumps(Touch(m)))


def numpy_reader(b: Path, m: Path) -> None:
    np.save(b / "docs/a.npy", np.array([Touch(m)], dtype=object), allow_pickle=True)
    (b / "docs/a.npy").rename(b / "docs/a.png")
    change(b, lambda c: load_image(c, reader="NumpyReader", allow_pickle=True), "configs/train.json")


def json_elsewhere(b: Path, m: Path) -> None:
    (b / "docs/extra.json").write_text(json.dumps({"run": [f"${code(m)}"]}))


def json_among_results(b: Path, m: Path) -> None:
    (b / "logs").mkdir()
    (b / "logs/history.json").write_text(json.dumps({"run": [f"${code(m)}"]}))


def keys_in_a_list(b: Path, m: Path) -> None:
    change(b, lambda c: c["handlers"].append({"a": [{"_target_": "os.system", "command": f"touch {m}"}]}))


def nested_number(b: Path, m: Path) -> None:
    change(b, lambda c: c["dataloader"].update(batch_size=2))


def true_for_one(b: Path, m: Path) -> None:
    change(b, lambda c: c["dataloader"].update(batch_size=True))


def config_of_another_name(b: Path, m: Path) -> None:
    (b / "configs/more.json").write_text(json.dumps({"run": [f"${code(m)}"]}))


def yaml_tag(b: Path, m: Path) -> None:
    (b / "configs/train.yaml").write_text(f"x: !!python/object/apply:os.system ['touch {m}']\n")


def key_twice(b: Path, m: Path) -> None:
    text = (b / INFERENCE).read_text().rstrip().removesuffix("}")
    (b / INFERENCE).write_text(f'{text}, "overlap": 0.25}}')


def metadata_expression(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(description=f"${code(m)}"), "configs/metadata.json")


def metadata_shape(b: Path, m: Path) -> None:
    shape = ["().__class__.__base__.__subclasses__()"]
    change(b, lambda c: c["network_data_format"]["inputs"]["image"].update(spatial_shape=shape), "configs/metadata.json")


def metadata_package(b: Path, m: Path) -> None:
    change(b, lambda c: c["required_packages_version"].update({"of-an-attacker": "1"}), "configs/metadata.json")


def pickle_in_pt(b: Path, m: Path) -> None:
    torch.save({"weight": Touch(m)}, b / "models/model.pt")


def torchscript(b: Path, m: Path) -> None:
    torch.jit.script(torch.nn.Linear(1, 1)).save(b / "models/model.pt")


def object_array(b: Path, m: Path) -> None:
    (b / "eval").mkdir()
    np.savez(b / "eval/a.npz", a=np.array([Touch(m)], dtype=object))


def array_file(b: Path, m: Path) -> None:
    np.save(b / "docs/values.npy", np.array([Touch(m)], dtype=object), allow_pickle=True)


def code_file(b: Path, m: Path) -> None:
    (b / "scripts").mkdir()
    (b / "scripts/__init__.py").write_text(f"open({str(m)!r}, 'w')")


def code_among_results(b: Path, m: Path) -> None:
    (b / "eval").mkdir()
    (b / "eval/torch.py").write_text(f"open({str(m)!r}, 'w')")


def weights_elsewhere(b: Path, m: Path) -> None:
    shutil.copy(b / "models/model.pt", b / "docs/model.pt")


def link_out(b: Path, m: Path) -> None:
    (b / "docs/more.md").symlink_to("/etc/hostname")


def folder_link(b: Path, m: Path) -> None:
    (b / "more").symlink_to("docs")


def pipe(b: Path, m: Path) -> None:
    os.mkfifo(b / "docs/pipe.md")


def hidden(b: Path, m: Path) -> None:
    (b / ".env").write_text("PYTHONSTARTUP=x.py")


def requirements(b: Path, m: Path) -> None:
    (b / "requirements.txt").write_text("of-an-attacker")


def binary_text(b: Path, m: Path) -> None:
    (b / "docs/notes.txt").write_bytes(b"\0\1\2")


def environment_variable(b: Path, m: Path) -> None:
    change(b, lambda c: c.update(input="$eval(os.environ['MONAI_HYBRID_PROBE'])"))


CASES = [
    pytest.param(expression, "configs/inference.json initialize: [", id="I01-expression"),
    pytest.param(top_expression, 'configs/inference.json overlap: "$__import__', id="I01-expression-for-a-setting"),
    pytest.param(target, "configs/inference.json device: {'_target_': 'os.system'", id="I02-target"),
    pytest.param(logging_code, "configs/logging.conf: not our logging configuration", id="I03-logging"),
    pytest.param(logging_interpolation, "configs/logging.conf: not our logging configuration", id="I03-interpolation"),
    pytest.param(second_logging, "docs/logging.conf: not a document, picture or model file", id="I03-elsewhere"),
    pytest.param(pickle_in_pt, "models/model.pt: not loadable as plain tensors", id="I04-pickle"),
    pytest.param(object_array, "eval/a.npz: not what a run of ours writes", id="I05-array"),
    pytest.param(array_file, "docs/values.npy: not a document, picture or model file", id="I05-npy"),
    pytest.param(yaml_tag, "configs/train.yaml: no file of this name is in our bundle", id="I06-yaml"),
    pytest.param(torchscript, "models/model.pt: not loadable as plain tensors", id="I11-torchscript"),
    pytest.param(environment_variable, 'configs/inference.json input: "$eval(', id="I12-environment"),
    pytest.param(reader_exec, "train#deterministic_transforms#0#reader: 'exec'", id="reader-exec"),
    pytest.param(reader_in_an_expression, "configs/inference.json network: ", id="reader-in-an-expression"),
    pytest.param(reader_in_a_list, "train#deterministic_transforms#0#reader: ['open']", id="reader-in-a-list"),
    pytest.param(reader_by_star, "configs/inference.json label_values: ", id="reader-by-star"),
    pytest.param(hub_folder, "__pycache__: hidden from sight", id="hub-folder"),
    pytest.param(hub_folder_alone, "__pycache__: hidden from sight", id="hub-folder-alone"),
    pytest.param(pickle_as_picture, "docs/photo.png: not a PNG picture", id="pickle-as-picture"),
    pytest.param(numpy_reader, "docs/a.png: not a PNG picture", id="numpy-reader"),
    pytest.param(json_elsewhere, "docs/extra.json: not a document, picture or model file", id="json-elsewhere"),
    pytest.param(json_among_results, "logs/history.json: not what a run of ours writes", id="json-among-results"),
    pytest.param(keys_in_a_list, "handlers: [", id="keys-in-a-list"),
    pytest.param(reference, "output_postfix: '@card'", id="reference"),
    pytest.param(macro, "input: '%docs/more.json::a'", id="macro"),
    pytest.param(new_key, 'evaluator#network: "$__import__', id="new-key"),
    pytest.param(nested_number, "dataloader#batch_size: 2", id="nested-number"),
    pytest.param(true_for_one, "dataloader#batch_size: True", id="true-for-one"),
    pytest.param(config_of_another_name, "configs/more.json: no file of this name is in our bundle", id="another-name"),
    pytest.param(key_twice, "'overlap' appears twice", id="key-twice"),
    pytest.param(metadata_expression, 'configs/metadata.json description: "$__import__', id="metadata-expression"),
    pytest.param(metadata_shape, "spatial_shape[0]: '().__class__", id="metadata-shape"),
    pytest.param(metadata_package, "configs/metadata.json required_packages_version: ", id="metadata-package"),
    pytest.param(code_file, "scripts/__init__.py: not a document, picture or model file", id="code"),
    pytest.param(code_among_results, "eval/torch.py: not what a run of ours writes", id="code-among-results"),
    pytest.param(weights_elsewhere, "docs/model.pt: not a document, picture or model file", id="weights-elsewhere"),
    pytest.param(link_out, "docs/more.md: a link", id="link"),
    pytest.param(folder_link, "more: a link", id="folder-link"),
    pytest.param(pipe, "docs/pipe.md: a special file", id="pipe"),
    pytest.param(hidden, ".env: hidden from sight", id="hidden"),
    pytest.param(requirements, "requirements.txt: not a document, picture or model file", id="requirements"),
    pytest.param(binary_text, "docs/notes.txt: not a text in UTF-8", id="binary-text"),
]


@pytest.mark.parametrize(("attack", "message"), CASES)
def test_what_is_not_ours_is_refused_and_never_run(
    attack: Callable[[Path, Path], None],
    message: str,
    bundle: Path,
    marker: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MONAI_HYBRID_PROBE", code(marker))
    assert main([str(bundle)]) == 0 and "ours (few_shot_finetune), 0 other settings" in capsys.readouterr().out
    attack(bundle, marker)
    assert main([str(bundle)]) == 2
    out, err = capsys.readouterr()
    assert message in err and "not one of ours: these entries run code, or may: " in err
    assert "NOT OURS" in out and "Traceback" not in err and not marker.exists()


PLAIN = {
    "overlap": 0.25, "patch_size": [32, 32, 32], "spacing": [1.5, 1, 1], "output_dir": "/data/out of 2024", "input": "../scans",
    "device": "cuda:1", "precision": "float32", "timesteps": [0, 50], "save_entropy": True, "num_workers": 2, "overwrite": True,
    "output_postfix": "mask", "model": None, "_desc_": "Ours, for the ward.",
}  # fmt: skip
NOT_PLAIN = {
    "overlap": "0.25", "patch_size": [32, "$1"], "spacing": [0, 1, 1], "output_dir": "a$b", "input": "a@b", "model": "a%b",
    "device": "cuda; x", "precision": "a b", "timesteps": [True], "save_entropy": 1, "num_workers": -1, "sw_batch_size": 2.5,
    "output_postfix": ["x"], "dataset_dir": {"_target_": "open"}, "imports": [], "run": [], "card": "x", "network": None,
    "denoising_score": None, "split": "a\nb",
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_value_of_a_setting_is_still_ours(name: str, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(bundle, lambda c: c.update({name: PLAIN[name]}))
    assert main([str(bundle)]) == 0
    assert f"setting  configs/inference.json: {name} = " in capsys.readouterr().out


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_another_kind_of_value_is_not(name: str, bundle: Path) -> None:
    change(bundle, lambda c: c.update({name: NOT_PLAIN[name]}))
    assert [f.place.split("#")[0] for f in audit(bundle).findings] == [name] * len(audit(bundle).findings) != []


def test_metadata_may_describe_another_model(bundle: Path) -> None:
    def edit(content: dict[str, Any]) -> None:
        content.update(description="Ventricles of the ward", version="1.2", eval_metrics={"mean_dice": 0.9})
        content["network_data_format"]["inputs"]["image"].update(num_channels=2, spatial_shape=["*", 32, "16*n"])
        content["network_data_format"]["outputs"]["pred"]["channel_def"] = {"0": "background", "1": "ventricle"}

    change(bundle, edit, "configs/metadata.json")
    assert audit(bundle).findings == []


def test_what_our_own_runs_write_is_recognised(bundle: Path) -> None:
    for folder in ("logs", "eval/slices", "checkpoints", "data/phantom_B"):
        (bundle / folder).mkdir(parents=True)
    run = {"command": "python -m monai.bundle run --device cpu", "settings": {"a": "b"}, "note": "95 % of @all"}
    (bundle / "logs/run.json").write_text(json.dumps(run))
    (bundle / "logs/history.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    (bundle / "logs/events.out.tfevents.1.host.1.0").write_bytes(bytes(12) + b"\x1a\x0dbrain.Event:2")
    (bundle / "eval/cases.csv").write_text("case_id\n'=1\n")
    np.savez(bundle / "eval/slices/a.npz", a=np.zeros(3))
    (bundle / "eval/a_seg.nii.gz").write_bytes(gzip.compress(bytes(344) + b"n+1\0" + bytes(9)))
    torch.save({"model": {"weight": torch.zeros(2)}, "update": 3}, bundle / "checkpoints/checkpoint_3.pt")
    (bundle / ".run.lock").write_bytes(b"")
    (bundle / ".run.json").write_text('{"pid": 1}')
    verdict = audit(bundle)
    assert verdict.findings == [] and verdict.others == 15, verdict
    (bundle / "eval/cases.csv").rename(bundle / "cases.csv")
    assert [str(f) for f in audit(bundle).findings] == ["cases.csv: not a document, picture or model file"]


@pytest.mark.parametrize("name", OURS)
def test_our_own_bundles_pass(name: str, tmp_path: Path) -> None:
    assert main([str(copy_bundle(tmp_path / name, name)), "--json", str(tmp_path / "audit.json")]) == 0
    assert json.loads((tmp_path / "audit.json").read_text()) == {"like": name, "findings": [], "settings": [], "others": 2}


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, number, message in ((tmp_path, 2, "no configuration found"), (tmp_path / "none", 3, "no such bundle")):
        assert main([str(path)]) == number and message in capsys.readouterr().err


def test_every_kind_of_setting_has_a_form() -> None:
    assert {setting.kind for setting in SETTINGS.values()} <= FORMS.keys()
    assert setting_allowed("dataset_dir", "folder/of scans", None) and not setting_allowed("dataset_dir", "$1", None)
    assert setting_allowed("shots", None, 3) and not setting_allowed("low_rank", None, 8), "only where None means something"
    assert not setting_allowed("output_postfix", "../elsewhere", "seg")
    assert not setting_allowed("label_map", {"a": "b"}, None)
