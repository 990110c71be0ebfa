"""Real data sets, where they lie beside the repository; skipped elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.build import build
from data_prep.check import check
from data_prep.files import read_datalist, read_dataset, read_plan

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the repository")


def test_hippocampus_in_psr(tmp_path):
    source = DATA / "hippocampus_ixi_hh"
    build(source, tmp_path, splits=source / "splits.json", label_names="1=hippocampus")
    assert read_dataset(tmp_path)["fingerprint"]["shape"]["median"] == [22, 30, 22]
    assert read_plan(tmp_path)["patch_size"] == [24, 32, 24]
    counts = [len(read_datalist(tmp_path)[split]) for split in ("training", "validation", "testing")]
    assert counts == [5, 5, 32]


def test_hippocampus_of_the_decathlon(tmp_path):
    source = DATA / "hippocampus_msd"
    build(source, tmp_path, labels_dir="labels_whole", splits=source / "splits.json")
    plan = read_plan(tmp_path)
    assert plan["spacing"] == [1.25, 1.25, 1.25] and plan["patch_size"] == [28, 40, 32]


def test_cardiac_slices_by_patient(tmp_path):
    source = DATA / "cardiac_acdc"
    build(source, tmp_path, splits=source / "splits.json")
    content = read_datalist(tmp_path)
    people = [{entry["patient"] for entry in content[split]} for split in ("training", "validation", "testing")]
    assert [len(group) for group in people] == [3, 3, 24]
    assert len(set().union(*people)) == 30


def test_smallest_ct_and_mr_are_clean():
    assert [finding for finding in check(DATA / "ct_mr_totalseg") if finding.level != "note"] == []
