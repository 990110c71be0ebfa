"""The key to pseudonyms lies in no folder of results, whatever command writes them: who is given these would have it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from dicom_files import write_series

from data_prep.build import build
from data_prep.cli import app
from data_prep.errors import ConfigError, HybridError
from data_prep.naming import KEEP, Naming, naming
from data_prep.pseudonyms import VARIABLE, KeyFile
from data_prep.repair import repair
from data_prep.shift import shift
from monai_hybrid.bundle.start import start
from monai_hybrid.bundle_copy import copy_bundle
from monai_hybrid.dicom_border import dicom_cases
from monai_hybrid.exporting.write import export_model
from monai_hybrid.nearest.__main__ import nearest
from monai_hybrid.reporting.report import write_report
from monai_hybrid.runs.run_folder import lock, release
from monai_hybrid.viewing import command
from monai_hybrid.viewing.command import view

ROOT = Path(__file__).parents[1]
SAID = "the key to pseudonyms may not lie among results"


def bundle_run(bundle: str, config: str, out: Path) -> None:
    root = ROOT / "bundles" / bundle
    words = ["--config_file", str(root / f"configs/{config}.json"), "--output_dir", str(out)]
    start(str(root), ["monai/bundle/__main__.py", "run", *words])


def predict_dicom(out: Path) -> None:
    write_series(out.parent / "scans")
    dicom_cases(out.parent / "scans", out)


def prepared(folder: Path) -> Path:
    """A prediction without a case, which is all that a page asks for."""
    (folder / "masks").mkdir()
    (folder / "masks/quality.csv").write_text("case_id,status,mask,image\n")
    return folder / "masks"


def open_page(folder: Path, labels: Path, browser: bool) -> None:
    try:
        view(folder, labels=labels, browser=browser)
    except ServerStarted:
        return


class ServerStarted(Exception):
    """The page would be shown now."""


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise ServerStarted

    monkeypatch.setattr(command, "PageServer", started)


COMMANDS: dict[str, Callable[[Path], object]] = {
    "build": lambda out: build(out.parent / "scans", out),
    "repair": lambda out: repair(out, out.parent / "new"),
    "shift": lambda out: shift(out.parent, out.parent, out),
    "pretrain": lambda out: bundle_run("hybrid_pretrain", "train", out),
    "adapt": lambda out: bundle_run("few_shot_finetune", "train", out),
    "evaluate": lambda out: bundle_run("few_shot_finetune", "evaluate", out),
    "predict": lambda out: bundle_run("few_shot_finetune", "inference", out),
    "predict of DICOM": predict_dicom,
    "any run": lambda out: (lock(out), release(out)),
    "report": lambda out: write_report(out),
    "shift of one": lambda out: nearest(out.parent, out=out),
    "view": lambda out: open_page(prepared(out.parent), labels=out, browser=False),
}


def refused(command: Callable[[Path], object], out: Path) -> bool:
    try:
        command(out)
    except HybridError as error:
        return SAID in str(error)
    return False


@pytest.mark.parametrize("name", COMMANDS)
def test_results_beside_the_key_are_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "out/key.json"
    monkeypatch.setenv(VARIABLE, str(key))
    Naming(key=KeyFile(key)).patient("4711")
    before = sorted(tmp_path.rglob("*"))
    assert refused(COMMANDS[name], tmp_path / "out")
    assert [path for path in sorted(tmp_path.rglob("*")) if not {"scans", "masks"} & {*path.parts}] == before, (
        "nothing is written"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_key_elsewhere_hinders_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "output/key.json"))
    assert not refused(COMMANDS[name], tmp_path / "out")


def test_names_that_are_kept_need_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "out/key.json"))
    monkeypatch.setenv(KEEP, "1")
    assert naming().keep and not refused(COMMANDS["any run"], tmp_path / "out")


def test_a_bundle_is_not_copied_to_where_the_key_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "out/key.json"))
    with pytest.raises(ConfigError, match=SAID):
        copy_bundle(tmp_path / "out")
    assert copy_bundle(tmp_path / "other") == tmp_path / "other"


def test_a_file_that_is_named_may_lie_beside_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single file is given away, not the folder that the user works in. The key itself is never replaced."""
    from typer.testing import CliRunner

    write_series(tmp_path / "scans")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key.json"))
    words = ["check", str(tmp_path / "scans"), "--json"]
    assert CliRunner().invoke(app, [*words, str(tmp_path / "found.json")]).exit_code == 0
    assert not refused(lambda out: export_model(out / "model.pt", out / "model.ts"), tmp_path)
    assert not refused(lambda out: write_report(out, output=out / "page.html"), tmp_path)
    key = (tmp_path / "key.json").read_bytes()
    wrong = CliRunner().invoke(app, [*words, str(tmp_path / "key.json")])
    assert wrong.exit_code == 2 and "key.json" in wrong.stderr and (tmp_path / "key.json").read_bytes() == key
    with pytest.raises(ConfigError, match=r"key\.json"):
        write_report(tmp_path, output=tmp_path / "key.json")


def test_the_usual_place_hinders_only_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder as the place of results, before there is any key."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    key = KeyFile()
    key.refuse_within(tmp_path)
    with pytest.raises(ConfigError, match=SAID):
        key.refuse_within(tmp_path, makes=True)
    key.pseudonym("patient", "4711")
    with pytest.raises(ConfigError, match=rf"{SAID}.* a folder of their own, or keep .*: mv .*; export {VARIABLE}=FILE"):
        key.refuse_within(tmp_path)
