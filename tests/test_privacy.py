"""Nothing that a command writes or prints names a patient: identifiers are planted everywhere, and every byte is searched."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import pydicom, some_pixels, write_series
from PIL import Image, PngImagePlugin
from planted import WORDS, found_below, words_in
from segmentation_files import write_segmentation
from small_plan import with_small_network
from warm import run_module

SHAPE = (12, 16, 16)  # slices, rows, columns
TINY = ["--max-epochs", "1", "--updates-per-epoch", "2", "--batch-size", "2", "--warmup-updates", "1"]
TINY += ["--progress-bar", "False", "--device", "cpu"]
PLACES = {
    "PatientName": "Plantedname^Zelda",
    "PatientBirthDate": "19610418",
    "AccessionNumber": "ACC-55120-ZW",
    "OtherPatientNames": "Plantedname^Zelda^Maria",
    "StudyID": "STUDY-ID-8821",
    "InstitutionName": "Plantedhospital",
    "ReferringPhysicianName": "Plantedphysician^A",
    "OperatorsName": "Plantedphysician^B",
    "PatientComments": "plantedcomment",
    "ImageComments": "plantedcomment",
    "SpecificCharacterSet": "ISO_IR 192",
    "SeriesDescription": "T1 of Zelda Plantedname born 1961-04-18, 李四 Zoë-Ann 18Apr61 61/4/18",
    "StudyDescription": "Plantedname O'Plant",
    "ProtocolName": "李四 18.04.61",
    "ConvolutionKernel": "Zoë-Ann",
    "ContrastBolusAgent": "李四 18.04.61",
}


def _plant(_: int, dataset: Any) -> None:
    other = pydicom.Dataset()
    other.PatientID = "OTHER-ID-4412"
    dataset.OtherPatientIDsSequence = [other]
    dataset.add_new(0x00101000, "LO", "OTHER-ID-4412")
    dataset.private_block(0x0011, "Plantedprivate", create=True).add_new(0x01, "LO", "Plantedprivate")
    dataset.add_new(0x00081048, "PN", "plantedphysician" * 20)  # too long: libraries warn, and quote it
    dataset.add_new(0x00080021, "DA", "plantedname")  # no date


def export(root: Path, patients: int = 6, masks: str = "segmentations") -> Path:
    """What a PACS may export: folders and files called after patients, each with a mask."""
    for n in range(patients):
        patient = f"PID-73918-XQ{n or ''}"
        folder = root / f"Plantedfolder_Zelda_{n}" / "series"
        pixels = np.clip(some_pixels(*SHAPE, seed=n) // 8, -100, 100).astype(np.int16)
        mask = np.zeros((*SHAPE, 1), np.uint8)
        mask[3:9, 4:12, 3 + n % 3 : 11, 0] = 1
        pixels[mask[..., 0] > 0] += 500
        places = {**PLACES, "PatientID": patient}
        series = write_series(folder, pixels, spacing=(2, 2, 2), names="Plantedfile{:03d}", change=_plant, **places)
        if masks == "segmentations":
            write_segmentation(root / f"Plantedfolder_Zelda_{n}/Plantedfile_seg.dcm", series, mask, ["heart"])
        else:
            import nibabel as nib

            image = nib.Nifti1Image(mask[..., 0].transpose(2, 1, 0), series.affine)
            image.header["descrip"] = b"Plantedname^Zelda"
            (root / "labels").mkdir(exist_ok=True)
            image.to_filename(root / f"labels/Plantedfolder_Zelda_{n}.nii.gz")
    return root


def environment() -> dict[str, str]:
    """Of a command: one thread, and this checkout's code."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}


def run(words: list[str], folder: Path, expected: int | None = 0) -> str:
    """Run a command in `folder`; what it prints names nobody."""
    done = run_module(words[0], words[1:], folder, environment())
    said = done.stdout + done.stderr
    assert expected is None or done.returncode == expected, said[-3000:]
    found = words_in(said.encode())
    assert found == [], (words, found, said[:3000])
    return said


@pytest.mark.parametrize("masks", ["segmentations", "files"])
def test_check_and_build_name_nobody(masks: str, tmp_path: Path) -> None:
    export(tmp_path / "scans", 3, masks)
    (tmp_path / "work").mkdir()
    for words in (["check", "../scans", "--json", "found.json"], ["build", "../scans", "--output", "prepared"]):
        run(["data_prep", *words], tmp_path / "work")
    run(["data_prep", "check", "prepared", "--json", "again.json"], tmp_path / "work")
    assert found_below(tmp_path / "work") == {}
    entries = json.loads((tmp_path / "work/prepared/datalist.json").read_text())["training"]
    assert len({entry["patient"] for entry in entries}) == 3 and all(entry["label"] for entry in entries)
    key = Path(os.environ["MONAI_HYBRID_KEY_FILE"])
    assert sorted(json.loads(key.read_text())["patients"].values()) == ["PID-73918-XQ", "PID-73918-XQ1", "PID-73918-XQ2"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _other_size(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PixelSpacing = [1, 1]
    dataset.save_as(path)


def _two_agents(folder: Path) -> None:
    """Two images at each place, which free text alone tells apart."""
    for file in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(file)
        dataset.ContrastBolusAgent, dataset.SOPInstanceUID = "O'Plant", pydicom.uid.generate_uid()
        dataset.save_as(file.with_name(f"{file.name}_second"))


def _strange_words(folder: Path) -> None:
    """Codes that are none."""
    for file in sorted(folder.iterdir()):
        dataset = pydicom.dcmread(file)
        dataset.Modality, dataset.PhotometricInterpretation = "ZELDA", "PLANTEDNAME"
        dataset.save_as(file)


def _overlap(path: Path) -> None:
    dataset = pydicom.dcmread(path)
    dataset.SegmentSequence[0].SegmentLabel = ""
    del dataset.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    dataset.save_as(path)


FAULTS = {
    "cut": lambda folder: _cut(folder / "series/Plantedfile003"),
    "damaged": lambda folder: _damaged(folder / "series/Plantedfile003"),
    "two grids": lambda folder: _other_size(folder / "series/Plantedfile003"),
    "two agents": lambda folder: _two_agents(folder / "series"),
    "strange words": lambda folder: _strange_words(folder / "series"),
    "missing slice": lambda folder: (folder / "series/Plantedfile003").unlink(),
    "segment without a name": lambda folder: _overlap(folder / "Plantedfile_seg.dcm"),
    "broken segmentation": lambda folder: _damaged(folder / "Plantedfile_seg.dcm"),
    "segmentation twice": lambda folder: (folder / "Plantedfile_too.dcm").write_bytes(
        (folder / "Plantedfile_seg.dcm").read_bytes()
    ),
    "archive beside": lambda folder: (folder / "Plantedfile.zip").write_bytes(b"PK\x03\x04" + bytes(99)),
    "picture beside": lambda folder: Image.new("L", (9, 9)).save(folder / "Plantedfile.png"),
    "no slice at all": lambda folder: [path.unlink() for path in (folder / "series").iterdir()],
}


@pytest.fixture(scope="module")
def exported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("exported") / "scans", 2)


@pytest.fixture
def exported(exported_once: Path, tmp_path: Path) -> Path:
    """An export of two patients with segmentations."""
    return Path(shutil.copytree(exported_once, tmp_path / "scans"))


@pytest.mark.parametrize("fault", FAULTS)
def test_findings_name_nobody(fault: str, exported: Path, tmp_path: Path) -> None:
    FAULTS[fault](exported / "Plantedfolder_Zelda_0")
    (tmp_path / "work").mkdir()
    run(["data_prep", "check", "../scans", "--json", "found.json"], tmp_path / "work", None)
    run(["data_prep", "build", "../scans", "--output", "prepared", "--allow-unlabelled"], tmp_path / "work", None)
    assert found_below(tmp_path / "work") == {}


BESIDE = {
    "a picture": ("Plantedname.png", []),
    "a name behind the dot": ("REPORT.ZELDA", []),
    "no such folder of masks": ("Plantedname.txt", ["--labels-dir", "masks"]),
    "no such series": ("Plantedname.txt", ["--series", "77"]),
    "no such site": ("cases.csv", []),
    "splits": ("splits.json", []),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_files_beside_series_and_wrong_options_name_nobody(kind: str, exported: Path, tmp_path: Path) -> None:
    name, options = BESIDE[kind]
    (exported / name).write_text("file,patient\nPlantedname_Zelda,Plantedname\n")
    if name.endswith(".png"):
        Image.new("L", (9, 9)).save(exported / name)
    (tmp_path / "work").mkdir()
    run(["data_prep", "check", "../scans", "--json", "found.json", *options], tmp_path / "work", None)
    assert found_below(tmp_path / "work") == {}


@pytest.mark.parametrize("name", ["Plantedname_Zelda.nii.gz", "other.nii.gz"])
def test_orphans_and_unpaired_masks_name_nobody(name: str, tmp_path: Path) -> None:
    root = export(tmp_path / "scans", 2, "files")
    (root / f"labels/{name}").write_bytes((root / "labels/Plantedfolder_Zelda_0.nii.gz").read_bytes())
    (tmp_path / "work").mkdir()
    run(["data_prep", "check", "../scans", "--json", "found.json"], tmp_path / "work", None)
    assert found_below(tmp_path / "work") == {}
    assert json.loads((tmp_path / "work/found.json").read_text())["findings"]


def test_keep_names_shows_them(tmp_path: Path) -> None:
    """The twin: the search finds what is there."""
    export(tmp_path / "scans", 3, "files")
    (tmp_path / "work").mkdir()
    words = ["build", "../scans", "--output", "prepared", "--keep-names"]
    assert run_module("data_prep", words, tmp_path / "work", environment()).returncode == 0
    found = {word for words in found_below(tmp_path / "work").values() for word in words}
    assert {"pid73918xq", "plantedfolder"} <= found <= set(WORDS)
    assert not Path(os.environ["MONAI_HYBRID_KEY_FILE"]).exists()


def test_a_second_export_keeps_the_pseudonyms(tmp_path: Path) -> None:
    export(tmp_path / "first", 2)
    export(tmp_path / "second", 3)  # other series of the first two patients, and a third one
    people = []
    for name in ("first", "second"):
        run(["data_prep", "build", name, "--output", f"{name}_prepared"], tmp_path)
        entries = json.loads((tmp_path / f"{name}_prepared/datalist.json").read_text())
        people.append({entry["patient"] for split in ("training", "validation", "testing") for entry in entries[split]})
    assert len(people[0]) == 2 and people[0] < people[1] and len(people[1]) == 3


@pytest.mark.long
def test_the_whole_way_names_nobody(tmp_path: Path) -> None:
    """From the export to the report: every file, and all that is printed."""
    export(tmp_path / "scans")
    work = tmp_path / "work"
    work.mkdir()
    hybrid = "monai_hybrid.cli"
    run(["data_prep", "build", "../scans", "--output", "prepared", "--test-fraction", "0.3", "--spacing", "4,4,4"], work)
    with_small_network(work / "prepared")
    run([hybrid, "pretrain", "--data", "prepared", "--output", "source", *TINY], work)
    model = ["--model", "source/models/model.pt"]
    run([hybrid, "adapt", "--data", "prepared", "--output", "adapted", "--shots", "1", *model, *TINY], work)
    run([hybrid, "evaluate", "--data", "prepared", "--output", "scores", *model, "--device", "cpu"], work)
    run([hybrid, "predict", "prepared/nifti", "--output", "masks", *model, "--device", "cpu"], work)
    run([hybrid, "report", "adapted", "--output", "adapted"], work, None)
    run(["data_prep", "shift", "prepared", "prepared", "--output", "shift"], work)
    written = {path.suffix for path in work.rglob("*") if path.is_file()}
    assert {".json", ".pt", ".safetensors", ".gz", ".csv"} <= written
    assert found_below(work) == {}


def test_the_search_looks_into_packed_files_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"of PlantedName"))
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "Zelda", zip=True)
    Image.new("L", (4, 4)).save(tmp_path / "b.png", pnginfo=told)
    (tmp_path / "plantedfile.txt").write_text("")
    (tmp_path / "c.txt").write_text("nobody")
    assert found_below(tmp_path) == {"a.gz": ["plantedname"], "b.png": ["zelda"], "plantedfile.txt": ["plantedfile"]}


@pytest.mark.long
def test_prediction_of_an_export_names_nobody_but_in_the_segmentation_for_the_archive(tmp_path: Path) -> None:
    """Patient and study are carried over into the DICOM-SEG on purpose: without them the archive cannot file it."""
    export(tmp_path / "scans", 3)
    work = tmp_path / "work"
    work.mkdir()
    hybrid = "monai_hybrid.cli"
    run(["data_prep", "build", "../scans", "--output", "prepared", "--spacing", "4,4,4"], work)
    with_small_network(work / "prepared")
    run([hybrid, "pretrain", "--data", "prepared", "--output", "source", *TINY], work)
    (tmp_path / "scans/Plantedfolder_Zelda_1/series/Plantedfile003").unlink()
    _cut(tmp_path / "scans/Plantedfolder_Zelda_2/series/Plantedfile003")
    words = ["--model", "source/models/model.pt", "--device", "cpu"]
    run([hybrid, "predict", "../scans", "--output", "masks", *words], work, None)
    cases = {entry["case_id"] for entry in json.loads((work / "prepared/datalist.json").read_text())["training"]}
    written = sorted((work / "masks").glob("*.dcm"))
    assert len(written) == 1 and written[0].name.removesuffix("_seg.dcm") in cases
    assert "plantedname" in words_in(written[0].read_bytes())
    written[0].unlink()
    assert found_below(work) == {}
    run_module(hybrid, ["predict", "../scans", "--output", "kept", "--keep-names", *words], work, environment())
    assert [path.name[:14] for path in (work / "kept").glob("*_seg.dcm")] == ["sub-PID73918XQ"]
