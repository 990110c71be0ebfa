"""Group I, untrusted code: each case is refused by name, and what it would have run leaves no trace."""

from __future__ import annotations

import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from monai_hybrid.bundle.audit import audit, main
from monai_hybrid.bundle.audit_files import unpack
from monai_hybrid.errors import ConfigError, ModelFileError
from monai_hybrid.weights import load_weights, read_card, save_weights

ROOT = Path(__file__).parents[2]
LOGGING = "[handler_a]\nclass={cls}\nargs={args}\n"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A small bundle that is in order."""
    folder = tmp_path / "bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    write(folder, {})
    (folder / "configs/logging.conf").write_text(LOGGING.format(cls="StreamHandler", args="(sys.stdout,)"))
    torch.save({"weight": torch.zeros(2)}, folder / "models/model.pt")
    np.save(folder / "values.npy", np.zeros(3))
    return folder


def write(bundle: Path, changes: dict) -> None:
    """The bundle's inference.json with some values changed."""
    config = {
        "imports": ["$import os", "$import monai_hybrid.bundle as bundle"],
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network": {"_target_": "UNet", "spatial_dims": 3, "channels": "$[2 ** i for i in range(3, 5)]"},
        "transform": {"_target_": "LoadImaged", "keys": "image", "reader": "monai_hybrid.transforms.CaseReader"},
        "run": ["$@network.to(@device)"],
    }
    (bundle / "configs/inference.json").write_text(json.dumps({**config, **changes}))


class Touch:
    """Unpickling it makes the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.marker,)


def expression(b: Path, m: Path) -> None:
    write(b, {"x": f"$__import__('pathlib').Path({str(m)!r}).touch()"})


def target(b: Path, m: Path) -> None:
    write(b, {"x": {"_target_": "os.system", "command": f"touch {m}"}})


def logging_conf(b: Path, m: Path) -> None:
    args = f"(__import__('pathlib').Path({str(m)!r}).touch(),)"
    (b / "configs/logging.conf").write_text(LOGGING.format(cls="StreamHandler", args=args))


def pickle_in_pt(b: Path, m: Path) -> None:
    torch.save({"weight": Touch(m)}, b / "models/model.pt")


def object_array(b: Path, m: Path) -> None:
    np.save(b / "values.npy", np.array([Touch(m)], dtype=object), allow_pickle=True)


def yaml_tag(b: Path, m: Path) -> None:
    (b / "configs/train.yaml").write_text(f"x: !!python/object/apply:os.system ['touch {m}']\n")


def torchscript(b: Path, m: Path) -> None:
    torch.jit.script(torch.nn.Linear(1, 1)).save(b / "models/model.pt")


def environment_variable(b: Path, m: Path) -> None:
    write(b, {"x": "$eval(os.environ['MONAI_HYBRID_PROBE'])"})


def reader(b: Path, m: Path) -> None:
    write(b, {"x": {"_target_": "LoadImaged", "keys": "image", "reader": "open", "file": str(m), "mode": "w"}})


def code_file(b: Path, m: Path) -> None:
    (b / "scripts").mkdir()
    (b / "scripts/__init__.py").write_text(f"open({str(m)!r}, 'w')")


def link_out(b: Path, m: Path) -> None:
    (b / "configs/more.json").symlink_to("/etc/hostname")


CASES = [
    pytest.param(expression, "calls the method touch, which is not on the list", id="I01-expression"),
    pytest.param(target, "os is not one of monai", id="I02-target"),
    pytest.param(logging_conf, "only literals and sys.stdout or sys.stderr are allowed", id="I03-logging"),
    pytest.param(pickle_in_pt, "not loadable as plain tensors", id="I04-pickle"),
    pytest.param(object_array, "not an array of numbers", id="I05-npy"),
    pytest.param(yaml_tag, "not plain JSON or YAML", id="I06-yaml"),
    pytest.param(torchscript, "TorchScript is code", id="I11-torchscript"),
    pytest.param(environment_variable, "calls eval, which is not on the list", id="I12-environment"),
    pytest.param(reader, "no MONAI component of this name", id="reader"),
    pytest.param(code_file, "code travels in the bundle", id="code"),
    pytest.param(link_out, "a link that leads out of the bundle", id="link"),
]


@pytest.mark.parametrize(("attack", "message"), CASES)
def test_what_is_outside_the_lists_is_refused_and_never_run(
    attack: Callable[[Path, Path], None],
    message: str,
    bundle: Path,
    marker: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MONAI_HYBRID_PROBE", f"__import__('pathlib').Path({str(marker)!r}).touch()")
    assert main([str(bundle)]) == 0 and "0 outside the allow-list" in capsys.readouterr().out
    attack(bundle, marker)
    assert main([str(bundle)]) == 2
    out, err = capsys.readouterr()
    assert "REFUSED" in out and message in out and "1 of" in err and "Traceback" not in err
    assert not marker.exists()


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle/configs/inference.json", json.dumps({"run": ["$len([1])"]}))
        for name, content in members:
            archive.writestr(name, content)
    return path


def link_member(target: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("bundle/link")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("../marker", "leads out of the folder", id="I07-zip-slip"),
        pytest.param("bundle\\..\\..\\marker", "leads out of the folder", id="I07-zip-slip-windows"),
        pytest.param(link_member(".."), "is a link or a special file", id="I08-symlink"),
        pytest.param("/tmp/marker", "has an absolute path", id="I09-absolute"),
        pytest.param("C:/marker", "has an absolute path", id="I09-drive"),
        pytest.param("bundle/CONFIGS/inference.json", "comes twice", id="twice"),
    ],
)
def test_unsafe_zip_members_are_refused_before_anything_is_unpacked(
    name: str | zipfile.ZipInfo, message: str, tmp_path: Path
) -> None:
    assert [f.problem for f in audit(zipped(tmp_path / "good.zip", ("bundle/docs/README.md", b"text")))] == [None]
    archive, out = zipped(tmp_path / "bad.zip", (name, b"x")), tmp_path / "out"
    with pytest.raises(ConfigError, match=f"{message}; nothing was unpacked"):
        unpack(archive, out)
    assert not out.exists() and not (tmp_path / "marker").exists()


def test_a_zip_bomb_is_refused_and_a_damaged_archive_named(tmp_path: Path) -> None:
    bomb = zipped(tmp_path / "bomb.zip", ("bundle/zeros.txt", bytes(65 << 20)))
    with pytest.raises(ConfigError, match=r"the member 'bundle/zeros.txt' grows more than 200 times"):
        audit(bomb)
    (tmp_path / "torn.zip").write_bytes(bomb.read_bytes()[:-300])
    with pytest.raises(ConfigError, match=r"torn.zip: not a readable zip file"):
        audit(tmp_path / "torn.zip")


def test_a_model_card_is_text_and_never_evaluated(tmp_path: Path, marker: Path) -> None:
    """I10: what a card says is data."""
    text = f"$__import__('pathlib').Path({str(marker)!r}).touch()"
    save_weights({"weight": torch.zeros(1)}, tmp_path, {"network": {"channels": text}, "citation": ["<script>1</script>"]})
    card = read_card(tmp_path / "model.safetensors")
    assert card is not None and card["network"]["channels"] == text and not marker.exists()


def test_a_pickled_model_is_refused_without_being_unpickled(tmp_path: Path, marker: Path) -> None:
    for name, content in (("a.pt", None), ("b.pt", pickle.dumps(Touch(marker)))):
        path = tmp_path / name
        torch.save({"weight": Touch(marker)}, path) if content is None else path.write_bytes(content)
        with pytest.raises(ModelFileError, match=f"{name}: not a readable model file"):
            load_weights(path)
    torch.save({"weight": torch.ones(1)}, tmp_path / "c.pt")
    assert load_weights(tmp_path / "c.pt")["weight"] == 1 and not marker.exists()


@pytest.mark.parametrize(
    "text",
    [
        "$os.system('x')", "$os", "$[os][0].system('x')", "$@imports#0.system('x')", "$__local_refs['imports::0']",
        "$(x := os)", "$().__class__.__base__", "$(lambda: 0).__globals__", "$(i for i in [1]).gi_frame", "$open('x', 'w')",
        "$getattr(os, 'x')", "$torch.load('x')", "$torch.hub.load('a', 'b')", "$torch.os.system('x')", "$monai.bundle.run()",
        "$monai.utils.misc.run_cmd(['x'])", "$bundle.run_folder.shutil.rmtree('x')", "$'{0}'.format(os)", "$@a['b']('x')",
        "$@a.run_cmd('x')", "$[len for len in [1]]", "$import subprocess", "$import os; import sys", "$from os import system",
        "%other/file.json::a", "os.system", "builtins.open", "$ not python",
    ],
)  # fmt: skip
def test_ways_around_the_lists(text: str, bundle: Path) -> None:
    write(bundle, {"imports": ["$import os", "$import monai_hybrid.bundle as bundle", text]})
    refused = [f for f in audit(bundle) if f.problem]
    assert [f.text for f in refused] == [text.removeprefix("$")]


@pytest.mark.parametrize(
    "text",
    [
        "$torch.nn.Linear(1, 2)", "$@a and @b.type == 'cuda'", "$[s * 0.08 for s in @patch_size[:2]]", "$torch.bfloat16",
        "$lambda x: x['pred']", "$from monai.handlers import from_engine", "%train#transforms", "model.pt", "1.5", "a.b",
        "$os.path.join(@a, 'b')", "$import torch.distributed as dist",
    ],
)  # fmt: skip
def test_what_bundles_need_is_accepted(text: str, bundle: Path) -> None:
    write(bundle, {"imports": ["$import os", "$import monai_hybrid.bundle as bundle", text]})
    assert [f for f in audit(bundle) if f.problem] == []


@pytest.mark.parametrize(
    "setting",
    [
        {"_target_": "NumpyReader", "allow_pickle": True},
        {"_target_": ["os", "system"]},
        {"_target_": "$os.system"},
        {"_target_": "@a"},
        {"_target_": "UNet", "_mode_": "debug"},
        {"_target_": "torch.jit.ScriptModule"},
        {"_target_": "monai.apps.DecathlonDataset"},
        {"_target_": "MLFlowHandler"},
        {"_target_": "monai_hybrid.demo.demo"},
    ],
)
def test_components_that_run_code_or_ask_a_server_are_refused(setting: dict, bundle: Path) -> None:
    write(bundle, {"x": setting})
    assert len([f for f in audit(bundle) if f.problem]) == 1
    write(bundle, {"x": {"_target_": "NumpyReader", "allow_pickle": False}})
    assert [f for f in audit(bundle) if f.problem] == []


@pytest.mark.parametrize("name", ["hybrid_pretrain", "few_shot_finetune"])
def test_our_own_bundles_pass(name: str, tmp_path: Path) -> None:
    assert main([str(ROOT / "bundles" / name), "--json", str(tmp_path / "audit.json")]) == 0
    found = json.loads((tmp_path / "audit.json").read_text())
    assert {f["kind"] for f in found} >= {"expression", "import", "component", "logging"} and len(found) > 200


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, message in ((tmp_path, "no configuration found"), (tmp_path / "none", "no such bundle")):
        assert main([str(path)]) == 2 and message in capsys.readouterr().err
