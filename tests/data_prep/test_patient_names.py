"""Several scans of one patient, by their names: grouped where that is certain enough, else a warning with what to type."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prep_samples import cube, noise
from typer.testing import CliRunner

from data_prep.build import build
from data_prep.check import check
from data_prep.cli import app
from data_prep.errors import DataError
from data_prep.files import read_datalist
from data_prep.patient_names import EACH, recognise

RUN = CliRunner()
WIDE = {"COLUMNS": "400"}
PEOPLE = [f"{number:02d}" for number in range(1, 7)]
GROUPED = {
    "visit": ("P0{}_visit0", "P0{}_visit1", "P0{}_visit2"),
    "side with hyphen": ("case0{}-left", "case0{}-right"),
    "side stuck": ("Image_{}L", "Image_{}R"),
    "phase": ("Patient0{}_ED", "Patient0{}_ES"),
    "session": ("sub0{}_ses-1", "sub0{}_ses-2"),
    "session with word": ("subject{}_visit1", "subject{}_visit2"),
    "slice": ("img_{}_slice_003", "img_{}_slice_004"),
    "IXI": ("IXI0{}-HH-1211-T1_left", "IXI0{}-HH-1211-T1_right"),
    "BIDS": ("sub-{}_ses-1_T1w", "sub-{}_ses-2_T1w"),
    "letter": ("case{}a", "case{}b"),
    "letter apart": ("case{}_a", "case{}_b"),
    "date": ("P{}_20200131", "P{}_20210305"),
    "date with hyphens": ("P{}-2020-01-31", "P{}-2021-03-05"),
    "time": ("P{}_t0", "P{}_t1"),
    "words of time": ("P{}_baseline", "P{}_followup"),
    "follow-up numbered": ("P{}_baseline", "P{}_follow_up_2"),
    "operation": ("P{}_pre", "P{}_post"),
    "frame": ("case_{}_frame01", "case_{}_frame12"),
    "scan": ("case_{}_scan1", "case_{}_scan2"),
    "repetition": ("case_{}.rep1", "case_{}.rep2"),
    "z": ("case_{}_z012", "case_{}_z013"),
    "run of a session": ("s{}_ses-1_run-1", "s{}_ses-1_run-2", "s{}_ses-2_run-1"),
    "contrast": ("P{}_T1", "P{}_FLAIR"),
    "side in front": ("left_case{}", "right_case{}"),
    "side within": ("case_left_{}", "case_right_{}"),
    "eye": ("{}_OD", "{}_OS"),
    "capitals": ("Case_{}_LEFT", "case_{}_right"),
    "examination in front": ("pre_P{}", "post_P{}"),
    "session in front": ("ses-1_P{}", "ses-2_P{}"),
    "visit in front": ("V1_P{}", "V2_P{}"),
    "months": ("P{}_6mo", "P{}_12mo"),
    "OASIS": ("OAS2_00{}_MR1", "OAS2_00{}_MR2"),
    "lesion": ("LIDC-IDRI-{}_nodule0", "LIDC-IDRI-{}_nodule1"),
    "sides of a breast": ("P{}_L_CC", "P{}_L_MLO", "P{}_R_CC", "P{}_R_MLO"),
    "views of a heart": ("c{}_2CH_ED", "c{}_2CH_ES", "c{}_4CH_ED", "c{}_4CH_ES"),
    "planes": ("c{}_axial", "c{}_coronal"),
    "day before month": ("P{}_31-01-2020", "P{}_05-03-2021"),
    "download again": ("P{}", "P{} (1)"),
    "one without": ("case_{}", "case_{}_visit2"),
}
ALONE = (
    "case_{:03d}", "img_{}", "BRATS_{:03d}", "hippocampus_{:03d}", "slice_{:03d}", "scan{}", "image_{}", "FLARE22_Tr_{:04d}",
    "ISIC_00000{}", "{:03d}", "sub{:03d}", "Subject_{}", "brain_scan_{}", "volume-{}", "{:02d}_training", "2020_{:03d}",
    "Case{:02d}_train", "visit{}", "t{}", "IXI{:03d}-HH-1211", "BraTS2021_{:05d}", "phantom_A_{:03d}", "im{:04d}",
    "pre_{:03d}", "case_{}_final", "V1_{:03d}",
)  # fmt: skip


def pictures(root: Path, names: list[str]) -> Path:
    """A data set of tiny pictures of these names."""
    for index, name in enumerate(names):
        for folder in ("images", "labels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise((9, 8), index).astype(np.uint8)).save(root / f"images/{name}.png")
        Image.fromarray(cube((9, 8))).save(root / f"labels/{name}.png")
    return root


def patients(folder: Path) -> dict[str, set[str]]:
    """Patient -> splits."""
    found: dict[str, set[str]] = {}
    for split, cases in ((key, value) for key, value in read_datalist(folder).items() if isinstance(value, list)):
        for case in cases:
            found.setdefault(case["patient"], set()).add(split)
    return found


@pytest.mark.parametrize("forms", GROUPED.values(), ids=GROUPED.keys())
def test_scans_of_a_patient_are_one_patient(forms: tuple[str, ...]) -> None:
    names = [form.format(person) for person in PEOPLE for form in forms]
    found = recognise(names)
    assert len(set(found.patients.values())) == len(PEOPLE), found.patients
    for person in PEOPLE:
        assert len({found.patients[form.format(person)] for form in forms}) == 1


@pytest.mark.parametrize("tails", [("dr", "g", "h"), ("g", "h"), ("in", "out")])
def test_the_same_few_endings_over_the_whole_set_may_be_groups_of_people(tails: tuple[str, ...]) -> None:
    (doubt,) = recognise([f"{person}_{tail}" for person in PEOPLE for tail in tails]).suspicions
    shown = ", ".join(f"_{tail}" for tail in tails)
    assert doubt.why == f"every number comes with each of {shown}, which may as well name groups of people"
    assert doubt.expression is not None and len(doubt.groups) == len(PEOPLE)


def test_endings_of_some_are_a_letter_as_before() -> None:
    (doubt,) = recognise(["01_g", "01_h", "02_g", "03_h"]).suspicions
    assert doubt.why == "they differ by a letter at the end only"


@pytest.mark.parametrize("form", ALONE)
def test_a_number_that_is_the_patient_stays_one(form: str) -> None:
    names = [form.format(number) for number in range(1, 30) if number not in (4, 9, 13, 22)]
    found = recognise(names)
    assert len(set(found.patients.values())) == len(names)
    assert found.suspicions == ()


def test_build_keeps_visits_together_and_says_by_what_rule(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", [f"P00{person}_visit{visit}" for person in range(6) for visit in range(3)])
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")], env=WIDE)
    assert said.exit_code == 0, said.output
    assert "patients: 6 in 18 cases, by the names" in said.output and f"--patient-regex {EACH}" in said.output
    assert all(len(splits) == 1 for splits in patients(tmp_path / "out").values()) and len(patients(tmp_path / "out")) == 6
    again = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "own"), "--patient-regex", EACH], env=WIDE)
    assert again.exit_code == 0 and len(patients(tmp_path / "own")) == 18
    assert not [finding for finding in check(tmp_path / "own") if finding.code == "D414"]  # it was said


WARNED = {
    "second number": [f"img_{person}_{number:03d}" for person in (11, 12, 13, 14, 15) for number in (1, 2)],
    "numbers that hold both": [f"genius_{person}{number:02d}" for person in ("08", "09", "11", "13") for number in (0, 1)],
    "all of one patient": [f"P000_slice_{number:03d}" for number in range(9)],
    "letters": [f"{person}_slice_{number}" for person in ("anna", "bob", "carl") for number in range(3)],
    "dates of letters": [f"{person}_{day}" for person in ("smith", "jones") for day in ("20200131", "20210305")],
    "another letter": [f"{person}{letter}" for person in range(10, 15) for letter in "xyz"],
    "words of no list": [f"CHAOS_{person}_T1DUAL_{phase}" for person in (1, 2, 3, 5) for phase in ("in", "out")],
    "some without": [f"anna_slice_{number}" for number in range(3)] + ["bob", "carl_slice_1", "carl_slice_2"],
}


@pytest.mark.parametrize("names", WARNED.values(), ids=WARNED.keys())
def test_what_is_not_certain_is_a_warning_whose_line_can_be_pasted(names: list[str], tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", names)
    for command in (["check", str(root)], ["build", str(root), "--output", str(tmp_path / "out")]):
        said = RUN.invoke(app, command, env=WIDE)
        assert said.exit_code == 0 and "D414 warning" in said.output, said.output
        pasted = re.search(r"to group them: (--patient-regex .+)$", said.output, re.MULTILINE)
        assert pasted, said.output
    words = shlex.split(pasted[1])
    build(root, tmp_path / "first")
    done = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "grouped"), *words], env=WIDE)
    assert done.exit_code == 0, done.output
    assert "D414" not in done.output
    assert len(patients(tmp_path / "grouped")) < len(patients(tmp_path / "first")) == len(names)
    assert all(len(splits) == 1 for splits in patients(tmp_path / "grouped").values())
    assert "D414" not in RUN.invoke(app, ["check", str(root), *words], env=WIDE).output


def test_a_prepared_list_of_before_is_warned_about(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", [f"P00{person}_visit{visit}" for person in range(6) for visit in range(2)])
    build(root, tmp_path / "out")
    assert not [finding for finding in check(tmp_path / "out") if finding.code == "D414"]
    path = tmp_path / "out/datalist.json"
    path.write_text(re.sub(r'"patient": "P(\d+)"', '"patient": "PLACE"', path.read_text()))
    text = path.read_text()
    for number in range(12):
        text = text.replace("PLACE", f"someone{number}", 1)
    path.write_text(text)
    told = [finding for finding in check(path) if finding.code == "D414"]
    assert told and "P000_visit0, P000_visit1" in told[0].message and "--patient-regex" in told[0].message


def test_cases_csv_gives_patient_and_site(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["x1", "x2", "x3", "x4"])
    rows = ["file;patient;site", "x1.png;Anna;North", "images/x2.png;Anna;North", "x3.png;Bob;South"]
    (root / "cases.csv").write_text("\n".join(rows), encoding="utf-8")
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), "--site", "East"], env=WIDE)
    assert said.exit_code == 0 and "cases.csv (3 of 4 cases), the others one for each case" in said.output, said.output
    cases = {case["case_id"]: case for case in read_datalist(tmp_path / "out")["training"]}
    assert {name: (case["patient"], case["site"]) for name, case in cases.items()} == {
        "x1": ("Anna", "North"), "x2": ("Anna", "North"), "x3": ("Bob", "South"), "x4": ("x4", "East"),
    }  # fmt: skip
    (root / "cases.csv").write_text("file,patient\nx1.png,Anna\nx1.png,Bob\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"'x1\.png' has the patient 'Anna' and 'Bob'"):
        build(root, tmp_path / "again")


def test_a_rule_is_shown_as_it_is_typed(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["x1", "x2"])
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out"), "--patient-regex", r"^(x\d)"], env=WIDE)
    assert r"by --patient-regex '^(x\d)'" in said.output and r"\\" not in said.output, said.output
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "no"), "--patient-regex", r"^(y\d)"], env=WIDE)
    assert r"--patient-regex '^(y\d)' finds no patient in case 'x1'" in said.output, said.output


TABLES = {
    "spaces and capitals": b"File Name,Patient ID\nx1.png,A\nx2.png,A\nx3.png,B\n",
    "one word": b"filename,PatientID\nx1.png,A\nx2.png,A\nx3.png,B\n",
    "paths of Windows": b"file,patient\nimages\\x1.png,A\nC:\\raw\\images\\x2.png,A\nx3,B\n",
    "text of a spreadsheet": "file\tpatient\nx1\tA\nx2\tA\nx3\tB\n".encode("utf-16"),
    "byte order mark": "file;patient\r\nx1;A\r\nx2;A\r\nx3;B\r\n".encode("utf-8-sig"),
}


@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES.keys())
def test_cases_csv_is_read_as_programs_write_it(content: bytes, tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["x1", "x2", "x3"])
    (root / "cases.csv").write_bytes(content)
    build(root, tmp_path / "out")
    cases = {case["case_id"]: case["patient"] for case in read_datalist(tmp_path / "out")["training"]}
    assert cases == {"x1": "A", "x2": "A", "x3": "B"}


def test_cases_csv_that_is_not_utf_8_is_refused_with_what_to_type(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["x1", "x2"])
    (root / "cases.csv").write_bytes("file,patient\nx1,A\nx2,M\u00fcller\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 3 is not UTF-8.*type: iconv -f WINDOWS-1252 -t UTF-8 "):
        build(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_case_that_cases_csv_leaves_out_goes_with_its_siblings(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", [f"P{person}_visit{visit}" for person in (1, 2, 3) for visit in (1, 2)])
    (root / "cases.csv").write_text("file,patient\nP1_visit1,Anna\nP2_visit1,Bob\nP2_visit2,Carl\n")
    build(root, tmp_path / "out")
    cases = [case for part in read_datalist(tmp_path / "out").values() if isinstance(part, list) for case in part]
    found = {case["case_id"]: case["patient"] for case in cases}
    assert found["P1_visit2"] == found["P1_visit1"] == "Anna" and found["P3_visit1"] == found["P3_visit2"] == "P3"
    assert (found["P2_visit1"], found["P2_visit2"]) == ("Bob", "Carl")  # the user's word, not the name's


def test_lists_that_are_not_used_are_mentioned_with_what_to_type(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["P1x_2", "P1x_3", "P2x_2", "P3x_1"])
    (root / "splits.json").write_text('{"train": ["P1x_2", "P1x_3", "P2x_2"], "test": ["P3x_1"]}')
    (root / "participants.tsv").write_text("participant_id\tage\nP1x\t40\nP2x\t50\nP3x\t60\n")
    (root / "images/cases.csv").write_text("file,patient\nP1x_2.png,1\n")
    for command in (["check", str(root)], ["build", str(root), "--output", str(tmp_path / "out")]):
        said = RUN.invoke(app, command, env=WIDE).output
        assert f"not used; to take its splits, type: --splits {root / 'splits.json'}" in said
        assert f"not used; to take its patients, type: mv {root / 'images/cases.csv'} {root}" in said
        pasted = re.search(r"participants.tsv: not used; to take its patients, type: (--patient-regex .+)$", said, re.MULTILINE)
        assert pasted, said
    words = ["--splits", str(root / "splits.json"), *shlex.split(pasted[1])]
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "all"), *words], env=WIDE).output
    assert "splits.json" not in said and set(patients(tmp_path / "all")) == {"P1x", "P2x", "P3x"}, said
    (root / "cases.csv").write_text("name_of_file,person\nother.png,1\n")
    assert (
        "it names no case; its columns are name_of_file, person; expected file and patient"
        in RUN.invoke(app, ["check", str(root)], env=WIDE).output
    )


METADATA = "image_id,patient_id,hospital\na1.png,P1,A\na2.png,P1,A\nb3.png,P2,B\nb4.png,P2,B\n"


@pytest.mark.parametrize("place", [".", "images"])
def test_a_table_of_any_name_that_knows_patients_is_told_and_taken(place: str, tmp_path: Path) -> None:
    """Else a1 and a2, of one patient, may lie in training and in test."""
    root = pictures(tmp_path / "raw", ["a1", "a2", "b3", "b4"])
    table = root / place / "metadata.csv"
    table.write_text(METADATA)
    (root / "ages.csv").write_text("image_id,age\na1.png,40\n")
    (root / "empty.csv").write_text("")
    (root / "other.tsv").write_text("file\tpatient\nzz.png\tP1\n")
    (root / "latin.csv").write_bytes("file,patient\na1,M\u00fcller\n".encode("latin-1"))
    (finding,) = (finding for finding in check(root) if finding.code in ("D416", "D508"))
    typed = f"cp {table} {root / 'cases.csv'}"
    assert (finding.code, finding.level) == ("D416", "warning")
    assert finding.message == (
        "not used; it gives 4 cases, such as a1 and a2, to patients with several; "
        f"to take its patients and sites, type: {typed}"
    )
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "first")], env=WIDE).output
    assert typed in said
    shutil.copyfile(*shlex.split(typed)[1:])
    assert "D416" not in {finding.code for finding in check(root)}
    build(root, tmp_path / "out")
    assert set(patients(tmp_path / "out")) == {"P1", "P2"}


def test_a_table_whose_patients_are_known_is_not_mentioned(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["P1_visit1", "P1_visit2", "P2_visit1", "P3_visit1"])
    (root / "list.csv").write_text("file,patient\nP1_visit1,1\nP1_visit2,1\nP2_visit1,2\nP3_visit1,3\n")
    assert not {"D416", "D508"} & {finding.code for finding in check(root)}
    (root / "list.csv").write_text("file,patient,site\nP1_visit1,1,A\nP1_visit2,1,A\nP2_visit1,2,B\nP3_visit1,3,B\n")
    (finding,) = (finding for finding in check(root) if finding.code in ("D416", "D508"))
    assert finding.code == "D508" and "to take its sites, type: cp" in finding.message


def test_what_the_user_says_of_patients_stands_against_a_table(tmp_path: Path) -> None:
    root = pictures(tmp_path / "raw", ["a1", "a2", "b3", "b4"])
    (root / "metadata.csv").write_text(METADATA)
    assert "D416" not in {finding.code for finding in check(root, patient_regex=EACH)}
