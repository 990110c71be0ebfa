"""Group N: names of patients in headers, and BIDS data sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.reliability.faults.registry import ACCEPTED, Fault, on_image
from benchmarks.reliability.tiny import UNIT, cube, noise, save

PIPELINE = "derivatives/manual"
NAMES = "index\tname\n1\tnucleus\n"
SERIES = (6, 6, 6, 4)
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _image(root: Path, name: str, seed: int = 0, kind: str = "anat") -> Path:
    return save(root / name.split("_")[0] / kind / f"{name}.nii.gz", noise(seed=seed))


def _label(root: Path, name: str, pipeline: str = PIPELINE) -> Path:
    return save(root / pipeline / name.split("_")[0] / "anat" / f"{name}.nii.gz", cube())


def _described(folder: Path) -> None:
    _text(folder / "dataset_description.json", json.dumps({"Name": "made up", "BIDSVersion": "1.10.0"}))


def _bids(change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Three subjects with a T1w and a label each, then the change, which gets the root."""

    def make(folder: Path) -> Path:
        root = folder / "ds"
        _described(root)
        _described(root / PIPELINE)
        _text(root / PIPELINE / "dseg.tsv", NAMES)
        for index in range(3):
            _image(root, f"sub-0{index}_T1w", index)
            _label(root, f"sub-0{index}_dseg")
        change(root)
        return root

    return make


def _not_fetched(root: Path) -> None:
    path = root / "sub-01/anat/sub-01_T1w.nii.gz"
    path.unlink()
    path.symlink_to("../../.git/annex/objects/0x/1y/MD5E-s12--00.nii.gz/MD5E-s12--00.nii.gz")


def _other_subject(root: Path) -> None:
    path = root / "sub-01/anat/sub-01_T1w.nii.gz"
    path.rename(path.with_name("sub-77_T1w.nii.gz"))


def _second_rater(root: Path) -> None:
    _described(root / "derivatives/student")
    _text(root / "derivatives/student/dseg.tsv", NAMES)
    _label(root, "sub-00_dseg", "derivatives/student")


def _only_series(folder: Path) -> Path:
    root = folder / "ds"
    _described(root)
    save(root / "sub-01/func/sub-01_task-rest_bold.nii.gz", np.ones(SERIES, np.int16))
    return root


def _two_runs(root: Path) -> None:
    path = root / "sub-01/anat/sub-01_T1w.nii.gz"
    path.rename(path.with_name("sub-01_run-1_T1w.nii.gz"))
    _image(root, "sub-01_run-2_T1w", 9)


def _named(path: Path) -> None:
    image = nib.Nifti1Image(noise(), UNIT)
    image.set_sform(UNIT, 1)
    image.set_qform(UNIT, 1)
    image.header["descrip"] = b"Doe^Jane"
    image.to_filename(path)


def _table(text: str) -> Callable[[Path], Path]:
    return _bids(lambda root: _text(root / PIPELINE / "dseg.tsv", text))


def _participants(text: str) -> Callable[[Path], Path]:
    return _bids(lambda root: _text(root / "participants.tsv", text))


TWO = {"bids_filter": "suffix=T1w+FLAIR"}
ROWS = "".join(f"{number}\tname {number}\n" for number in range(100_000))
FAULTS = [
    Fault(
        "N01", "name of a patient in a header", "D530", on_image(_named), message="its header's descrip may name the patient"
    ),
    Fault("N10", "two contrasts, none chosen", "D540", _bids(lambda r: _image(r, "sub-00_FLAIR")), "ds", "several contrasts"),
    Fault("N10", "one chosen", ACCEPTED, _bids(lambda r: _image(r, "sub-00_FLAIR")), options={"bids_filter": "suffix=T1w"}),
    Fault("N11", "content not fetched by datalad", "D541", _bids(_not_fetched), "sub-01", "a link of git-annex"),
    Fault(
        "N11",
        "pointer of Git LFS",
        "D541",
        _bids(lambda r: _text(r / "sub-01/anat/sub-01_T1w.nii.gz", LFS)),
        "sub-01",
        "Git LFS",
    ),
    Fault("N12", "name of another subject", "D542", _bids(_other_subject), "sub-77"),
    Fault("N13", "labels of two raters", "D543", _bids(_second_rater), "ds", "labels of several kinds"),
    Fault("N13", "one rater chosen", ACCEPTED, _bids(_second_rater), options={"labels_dir": "manual"}),
    Fault("N14", "names in no table", "D544", _table("nothing"), "dseg.tsv", "expected index and name"),
    Fault("N14", "value named twice", "D544", _table(NAMES + "1\tcortex\n"), "dseg.tsv"),
    Fault("N14", "negative value", "D544", _table("index\tname\n-1\tnucleus\n"), "dseg.tsv", "expected a whole number from 0"),
    Fault("N14", "value NaN", "D544", _table("index\tname\nNaN\tnucleus\n"), "dseg.tsv", "expected a whole number from 0"),
    Fault("N14", "value of 40 digits", "D544", _table(f"index\tname\n{'9' * 40}\tx\n"), "dseg.tsv", "expected a whole number"),
    Fault("N14", "tab within a name", "D544", _table("index\tname\n1\tnu\tcleus\n"), "dseg.tsv", "has 3 cells, expected 2"),
    Fault("N14", "name that is a formula", ACCEPTED, _table("index\tname\n1\t=cmd()\n")),
    Fault("N14", "100,000 names", ACCEPTED, _table("index\tname\n" + ROWS)),
    Fault(
        "N15", "broken line of participants", "D545", _participants("participant_id\tsite\nsub-01\tA\tB\n"), "participants.tsv"
    ),
    Fault("N16", "series of volumes alone", "D546", _only_series, "ds", "series of volumes"),
    Fault("N17", "scan without a contrast", "D547", _bids(lambda r: _image(r, "sub-00_FLAIR", 5)), "sub-0", "no FLAIR", TWO),
    Fault("N18", "empty folder of a subject", "D548", _bids(lambda root: (root / "sub-09").mkdir()), "sub-09"),
    Fault("N19", "one label for two runs", "D549", _bids(_two_runs), "sub-01", "one label for 2 scans"),
]
