"""`repair`: certain corrections into a new folder, judgements refused, the source untouched."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.reliability.tiny import SHAPE, affine, cube, edit_bytes, edit_header, noise, plain, prepared, save, sound
from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.disk import look_at
from data_prep.errors import ConfigError, DataListError
from data_prep.reading import read_volume
from data_prep.repair import repair
from data_prep.summary import after_repair

RUN = CliRunner()


def hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def errors(path: Path) -> set[str]:
    return {finding.code for finding in check(path) if finding.level == "error"}


def _image(root: Path) -> Path:
    return root / "images" / "case_a.nii.gz"


def _label(root: Path) -> Path:
    return root / "labels" / "case_a.nii.gz"


def _nearly_whole(root: Path) -> None:
    save(_label(root), cube().astype(np.float32) * np.float32(0.9999))


def _five_axes(root: Path) -> None:
    save(_image(root), noise((*SHAPE, 1, 1)))
    save(_label(root), cube()[..., None, None])


def _cut_out(root: Path) -> None:
    """A box around the structure, as programs save it to spare room, in the voxel order of another program."""
    save(_label(root), cube()[1:6, 1:7, 2:8][::-1], affine(shift=(5, 1, 2)) @ np.diag([-1, 1, 1, 1]))


def _missing_slice(root: Path) -> None:
    save(_label(root), cube()[..., :-1])


ZERO = [1, 1, 0, 1, 0, 0, 0, 0]
CERTAIN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "plain as gz": ("D005", lambda r: edit_bytes(_image(r), gzip.decompress), "packed, as its name says"),
    "gz as plain": ("D005", lambda r: _label(r).rename(_label(r).with_suffix("")), "unpacked, as its name says"),
    "five axes": ("D111", _five_axes, "shape (8, 9, 10, 1, 1) to (8, 9, 10)"),
    "zero voxel size": ("D101", lambda r: edit_header(_image(r), pixdim=ZERO), "(1.0, 0.0, 1.0) to (1.0, 1.0, 1.0) mm"),
    "no qform": ("D112", lambda r: edit_header(_image(r), qform_code=0), "qform set to the sform"),
    "0.9999": ("D302", _nearly_whole, "largest change 0.0001, tolerance 0.001"),
    "scale factor": ("D302", lambda r: edit_header(_label(r), scl_slope=0.5), "scale factor 0.5 dropped"),
    "cut out": ("D401", _cut_out, "shape (5, 6, 6) to (8, 9, 10): each voxel is one of case_a.nii.gz, 0 elsewhere"),
    "half a voxel": ("D402", lambda r: save(_label(r), cube(), affine(shift=(0.5, 0, 0))), "0.5 mm away; tolerance 0.5 mm"),
}

JUDGED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "0.5": (
        "D302",
        lambda r: save(_label(r), cube().astype("f4") * np.float32(0.5)),
        "0.5 from whole numbers; tolerance 0.001",
    ),
    "0.998": ("D302", lambda r: save(_label(r), cube().astype("f4") * np.float32(0.998)), "tolerance 0.001"),
    "0.6 voxel": ("D402", lambda r: save(_label(r), cube(), affine(shift=(0.6, 0, 0))), "only up to 0.5 mm"),
    "no sform": ("D101", lambda r: edit_header(_image(r), pixdim=ZERO, sform_code=0), "no sound sform"),
}


@pytest.mark.parametrize("name", CERTAIN)
def test_a_certain_defect_is_corrected_and_the_source_untouched(tmp_path: Path, name: str) -> None:
    code, break_it, what = CERTAIN[name]
    root, out = sound(tmp_path / "raw"), tmp_path / "out"
    break_it(root)
    told = {finding.code for finding in check(root)}
    before = hashes(root)
    assert code in told
    report = repair(root, out)
    assert hashes(root) == before
    assert what in next(entry.what for entry in report.repairs if entry.code == code)
    assert {finding.code for finding in check(out)} <= {"D307"} and errors(out) == set()
    for part in ("images", "labels"):
        names = {path.name for path in (root / part).iterdir()}
        assert {path.name for path in (out / part).iterdir()} == names
        for file in names:
            expected = noise() if part == "images" and file.startswith("case_a") else None
            array = read_volume(out / part / file).array
            assert array.shape == SHAPE
            if part == "labels":
                np.testing.assert_array_equal(array, cube())
            elif expected is not None:
                np.testing.assert_array_equal(array, expected)
    log = json.loads((out / "repair.json").read_text())
    entry = next(entry for entry in log["repairs"] if entry["code"] == code)
    assert entry["source_sha256"] in before.values() and entry["copy_sha256"] in hashes(out).values()


ONE_FILE = {name: CERTAIN[name] for name in ("plain as gz", "five axes", "zero voxel size", "no qform")}


@pytest.mark.parametrize("inside", [True, False], ids=["in its folder", "elsewhere"])
@pytest.mark.parametrize("name", ONE_FILE)
def test_what_is_said_of_one_file_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, inside: bool
) -> None:
    code, break_it, _ = ONE_FILE[name]
    break_it(root := sound(tmp_path / "my raw"))
    monkeypatch.chdir(root / "images" if inside else tmp_path)
    file = _image(root).relative_to(Path.cwd())
    before = {path: path.read_bytes() for path in root.rglob("*.gz")}
    said = RUN.invoke(app, ["check", str(file)]).output
    assert f"{code} " in said and "FOLDER" not in said and " OUT" not in said, said
    line = next(match[0] for match in re.finditer(r"repair .*? --output \w+", said))
    done = RUN.invoke(app, shlex.split(line))
    assert done.exit_code == 0 and f"corrected {code}" in done.output, done.output
    (copy,) = Path("case_a_repaired").glob("*.nii.gz")
    assert copy.name == file.name and code not in RUN.invoke(app, ["check", str(copy)]).output
    assert {path: path.read_bytes() for path in root.rglob("*.gz") if "_repaired" not in str(path)} == before


def test_a_data_list_is_not_repaired_into_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_header(_image(root := sound(tmp_path / "raw", ("case_a", "b", "c", "d"))), qform_code=0)
    build(root, tmp_path / "target")
    monkeypatch.chdir(tmp_path / "target")
    said = RUN.invoke(app, ["check", "datalist.json"]).output
    line = re.search(r"repair datalist.json --output \S+", said)
    assert line and RUN.invoke(app, shlex.split(line[0])).exit_code == 0, said
    assert (tmp_path / "target_repaired/datalist.json").is_file()


@pytest.mark.parametrize("name", JUDGED)
def test_a_judgement_is_refused_and_said(tmp_path: Path, name: str) -> None:
    code, break_it, why = JUDGED[name]
    root = sound(tmp_path / "raw")
    break_it(root)
    result = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out")])
    assert result.exit_code == 3, result.output
    line = next(line for line in result.output.splitlines() if line.startswith(f"not corrected {code}: "))
    assert why in line and "case_a.nii.gz" in line and line.endswith("this is for you to judge")
    assert code in errors(tmp_path / "out")


NO_PART: dict[str, Callable[[Path], object]] = {
    "a slice is missing": _missing_slice,
    "between the voxels": lambda r: save(_label(r), cube()[1:6, 1:7, 2:8], affine(shift=(1.3, 1, 2))),
    "reaches beyond": lambda r: save(_label(r), np.ones((5, 6, 6), np.uint8), affine(shift=(5, 1, 2))),
    "elsewhere": lambda r: save(_label(r), cube()[1:6, 1:7, 2:8], affine(shift=(100, 1, 2))),
}


@pytest.mark.parametrize("name", NO_PART)
def test_a_label_of_another_size_that_is_no_part_of_the_grid_stays(tmp_path: Path, name: str) -> None:
    root = sound(tmp_path / "raw")
    NO_PART[name](root)
    (finding,) = (finding for finding in check(root) if finding.code == "D401")
    assert finding.remedy.startswith("Export the label again on the grid of its image")
    assert repair(root, tmp_path / "out").repairs == [] and "D401" in errors(tmp_path / "out")


def test_voxels_beyond_the_image_may_go_where_they_are_empty(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    save(_label(root), np.pad(cube(), ((2, 0), (1, 1), (0, 3))), affine(shift=(-2, -1, 0)))
    (finding,) = (finding for finding in check(root) if finding.code == "D401")
    assert "monai-hybrid repair" in finding.remedy
    repair(root, tmp_path / "out")
    np.testing.assert_array_equal(read_volume(_label(tmp_path / "out")).array, cube())


def test_what_no_repair_knows_stays_and_is_told(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    _image(root).write_bytes(b"")
    report = repair(root, tmp_path / "out")
    assert report.repairs == [] and [finding.code for finding in report.remaining] == ["D002"]
    assert report.remaining[0].file == str(tmp_path / "out" / "images" / "case_a.nii.gz")


def test_a_sound_data_set_is_copied_bit_for_bit(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    report = repair(root, tmp_path / "out")
    assert report.repairs == report.refusals == report.remaining == []
    copied = hashes(tmp_path / "out")
    del copied["repair.json"]
    assert copied == hashes(root)


def test_a_correction_of_the_header_keeps_voxels_and_scale(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    edit_header(_image(root), qform_code=0, scl_slope=0.25, scl_inter=-3, descrip=b"kept")
    repair(root, tmp_path / "out")
    first, second = nib.load(_image(root)), nib.load(_image(tmp_path / "out"))
    np.testing.assert_array_equal(first.get_fdata(), second.get_fdata())
    np.testing.assert_array_equal(second.get_qform(), first.get_sform())
    assert second.header["descrip"].item() == b"kept" and second.header["qform_code"] == 1


def test_big_endian_nifti2_is_corrected(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    image = nib.Nifti2Image(noise().astype(">i2"), affine((1, 2, 3)), nib.Nifti2Header(endianness=">"))
    image.to_filename(_image(root))  # sform only
    save(_label(root), cube(), affine((1, 2, 3)))
    report = repair(root, tmp_path / "out")
    assert [entry.code for entry in report.repairs] == ["D112"] and errors(tmp_path / "out") == set()
    np.testing.assert_array_equal(read_volume(_image(tmp_path / "out")).array, noise())


def test_values_are_mapped_as_told(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    save(_label(root), cube(value=255).astype(np.int16) - (noise(seed=3) == 5))
    before = hashes(root)
    result = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out"), "--map", "255=1,-1=0"])
    assert result.exit_code == 0, result.output
    assert "255 to 1 in " in result.output and hashes(root) == before
    assert set(np.unique(read_volume(_label(tmp_path / "out")).array)) <= {0, 1, 254}
    assert f"Next: monai-hybrid build {tmp_path / 'out'}" in result.output


def test_values_of_pictures_are_mapped(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    for index in range(3):
        Image.fromarray(noise((12, 20), index).astype(np.uint8)).save(tmp_path / f"raw/images/{index}.png")
        Image.fromarray(cube((12, 20), 255)).save(tmp_path / f"raw/labels/{index}.png")
    report = repair(tmp_path / "raw", tmp_path / "out", values={255: 1})
    assert len(report.repairs) == 3
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/labels/0.png")), cube((12, 20)))


@pytest.mark.parametrize(("text", "why"), [("255", "expected pairs of whole numbers"), ("1=2,1=3", "a value is given twice")])
def test_a_bad_map_is_refused(tmp_path: Path, text: str, why: str) -> None:
    result = RUN.invoke(app, ["repair", str(sound(tmp_path / "raw")), "--output", str(tmp_path / "out"), "--map", text])
    assert result.exit_code == 2 and why in result.stderr and not (tmp_path / "out").exists()


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    _nearly_whole(root)
    before = hashes(tmp_path)
    dry = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out"), "--dry-run"])
    assert dry.exit_code == 0 and hashes(tmp_path) == before
    assert "1 file corrected; nothing written (--dry-run)" in dry.output
    wet = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out")])
    assert dry.output.splitlines()[0] == wet.output.splitlines()[0]


def test_files_without_defect_may_be_links(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    _nearly_whole(root)
    repair(root, tmp_path / "out", link=True)
    assert (tmp_path / "out/images/case_a.nii.gz").is_symlink() and not _label(tmp_path / "out").is_symlink()
    assert errors(tmp_path / "out") == set()


def test_of_a_data_list_only_corrected_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where `runs/adapted` is free
    folder = prepared(tmp_path)
    label = tmp_path / "raw" / "labels" / "case_a.nii.gz"
    save(label, cube(), affine(shift=(0.4, 0, 0)))
    assert errors(folder) == {"D402"}
    before = hashes(tmp_path)
    report = repair(folder, tmp_path / "out")
    assert {name: digest for name, digest in hashes(tmp_path).items() if not name.startswith("out/")} == before
    assert [entry.code for entry in report.repairs] == ["D402"] and errors(tmp_path / "out") == set()
    assert [path.name for path in (tmp_path / "out").rglob("*.nii.gz")] == ["case_a.nii.gz"]
    following = after_repair(tmp_path / "out", report.remaining, {})
    assert following == f"Next: monai-hybrid adapt --data {tmp_path / 'out'} --model auto --shots 2 --output runs/adapted", (
        "it is built"
    )
    with pytest.raises(ConfigError, match=r"--map: a prepared data set has its values in dataset\.json"):
        repair(folder, tmp_path / "more", values={1: 2})


@pytest.mark.parametrize("where", ["raw", "raw/inner", "there"])
def test_a_folder_that_is_not_new_is_refused(tmp_path: Path, where: str) -> None:
    root = sound(tmp_path / "raw")
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match=f"--output {tmp_path / where}: it (exists|lies within)"):
        repair(root, tmp_path / where)
    repair(root, tmp_path / "new")


def test_a_file_outside_the_data_set_is_refused_and_nothing_written(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    entry = {"image": "../far/a.nii.gz", "label": "labels/case_a.nii.gz"}
    save(tmp_path / "far" / "a.nii.gz", noise())
    content = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "organ"}, "training": [entry]}
    (root / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataListError, match="it lies outside"):
        repair(root, tmp_path / "out")
    assert not (tmp_path / "out").exists() and [p.name for p in sorted(tmp_path.iterdir())] == ["far", "raw"]


@pytest.mark.parametrize("which", ["images", "labels", "both", "relative", "one name"])
def test_folders_from_elsewhere_lie_in_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    root = sound(tmp_path / "raw", ("case_a", "b", "c", "d"))
    edit_header(_image(root), qform_code=0)
    (root / "labels.json").write_text('{"1": "heart"}')
    words = []
    for kind, folder in (("images", "far/images" if which == "one name" else "scans"), ("labels", "masks of them")):
        if which in (kind, "both", "one name") or (which, kind) == ("relative", "images"):
            target = tmp_path / folder
            target.parent.mkdir(exist_ok=True)
            (root / kind).rename(target)
            (root / "labels.json").rename(tmp_path / f"{folder}.json") if kind == "labels" else None
            words += [f"--{kind}-dir", f"../{folder}" if which == "relative" else str(target)]
    before = hashes(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = RUN.invoke(app, ["check", "raw", *words]).output
    line = re.search(r"monai-hybrid (repair .*)", said)
    assert "D112 note" in said and line, said
    done = RUN.invoke(app, shlex.split(line[1]))
    assert done.exit_code == 0 and "corrected D112" in done.output and "D112 note" not in done.output, done.output
    following = re.search(r"monai-hybrid (build .*)", done.output)
    assert following and RUN.invoke(app, shlex.split(following[1])).exit_code == 0, done.output
    (prepared_folder,) = tmp_path.glob("*_prepared")
    assert json.loads((prepared_folder / "dataset.json").read_text())["labels"][1]["name"] == "heart"
    assert all(str(tmp_path / "raw_repaired") in str(path) for case in [*check_cases(prepared_folder)] for path in case)
    after = hashes(tmp_path)
    assert {path: after[path] for path in before} == before


def check_cases(folder: Path) -> list[list[Path]]:
    """The files of each case of a prepared data set."""
    content = json.loads((folder / "datalist.json").read_text())
    return [[(folder / case[key]).resolve() for key in ("image", "label")] for case in content["training"]]


def test_a_data_set_above_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_header(_image(sound(tmp_path / "raw")), qform_code=0)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    done = RUN.invoke(app, ["repair", "../raw", "--output", "../out"])
    assert done.exit_code == 0 and (tmp_path / "out/images/case_a.nii.gz").is_file(), done.output


def test_plain_names_stay_plain(tmp_path: Path) -> None:
    root = sound(tmp_path / "raw")
    edit_header(_image(root), qform_code=0)
    plain(_image(root))
    repair(root, tmp_path / "out")
    assert (tmp_path / "out" / "images" / "case_a.nii").read_bytes()[:2] != b"\x1f\x8b"
    assert errors(tmp_path / "out") == set()


def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = sound(tmp_path / "raw")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data_prep.repair.run.shutil.copyfile", full)
    result = RUN.invoke(app, ["repair", str(root), "--output", str(tmp_path / "out")])
    assert result.exit_code == 5
    assert result.stderr == f"error: {tmp_path / 'out'}: cannot be written: No space left on device. Type: df -h {tmp_path}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_what_is_typed_follows_what_the_system_says(tmp_path: Path) -> None:
    """Free space says nothing of a folder that may not be written into."""
    typed = {number: look_at(OSError(number, ""), tmp_path / "no") for number in (28, 122, 27, 30, 13)}
    assert typed[28] == typed[122] == f"df -h {tmp_path / 'no'}" and typed[27] == "ulimit -f"
    assert typed[30] == typed[13] == f"ls -ld {tmp_path}; or write elsewhere"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that refuses even root")
@pytest.mark.parametrize(
    "words", [["build", "--output", "/proc/no/out"], ["repair", "--output", "/proc/no/out"], ["check", "--json", "/proc/no"]]
)
def test_an_output_that_cannot_be_written_ends_in_one_sentence(tmp_path: Path, words: list[str]) -> None:
    root = sound(tmp_path / "raw")
    result = RUN.invoke(app, [words[0], str(root), *words[1:]])
    assert result.exit_code == 5 and "Traceback" not in result.output + result.stderr
    assert re.search(r"^error: /proc/no.*: cannot be written: .*\. Type: ls -ld /proc; or write elsewhere$", result.stderr), (
        result.stderr
    )
    good = [word.replace("/proc/no", str(tmp_path / "new")) for word in words[1:]]
    assert RUN.invoke(app, [words[0], str(root), *good]).exit_code == 0
