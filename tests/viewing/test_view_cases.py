"""What is listed of a folder: its cases, where their files lie, and why one cannot be shown."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from view_samples import NAMES, SHAPE, affines, mask_like, pictures, predicted, scan, volumes, write_volume

from data_prep.build import build
from data_prep.known_files import file_digest, joint_digest
from data_prep.patient_table import read_table
from data_prep.phantom import generate
from monai_hybrid.errors import ConfigError, DataError, ModelFileError
from monai_hybrid.gallery.cases import Case, Collection, _images_of, read_collection
from monai_hybrid.gallery.volumes import grid_of, image_stream, mask_indices
from monai_hybrid.viewing.answers import Answers
from monai_hybrid.viewing.labels import LOCK, TakenError, adapt_line, save_label, saved_label


def rewritten(folder: Path, **changes: str) -> None:
    """Change cells of the first row of the table."""
    with (folder / "quality.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[0].update(changes)
    with (folder / "quality.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    return predicted(tmp_path / "masks", volumes(tmp_path / "images"))


def test_labels_are_those_of_the_table_with_the_values_beside_it(masks: Path) -> None:
    assert [(label.name, label.value) for label in read_collection(masks).labels] == [("background", 0), *NAMES.items()]
    (masks / "labels.txt").unlink()
    without = read_collection(masks)
    assert [label.value for label in without.labels] == [0, 1, 2]
    case = without.cases[0]
    with pytest.raises(DataError, match=r"holds the value [37]; expected .*--model"):
        mask_indices(without, case, case.mask)


@pytest.mark.parametrize(
    "mask", ["../secret.nii.gz", "/etc/passwd", "link.nii.gz", "linked/secret.nii.gz", "absent.nii.gz", ""]
)
def test_masks_outside_the_folder_are_not_shown(mask: str, masks: Path) -> None:
    secret = masks.parent / "secret.nii.gz"
    secret.write_bytes((masks / "ras_seg.nii.gz").read_bytes())
    (masks / "link.nii.gz").symlink_to(secret)
    (masks / "linked").symlink_to(masks.parent)
    rewritten(masks, mask=mask)
    cases = read_collection(masks).cases
    noted = [case for case in cases if case.note]
    assert len(noted) == 1 and "its mask is not in the folder" in noted[0].note and len(cases) == 3


def test_a_link_within_the_folder_is_followed(masks: Path) -> None:
    (masks / "link.nii.gz").symlink_to(masks / "ras_seg.nii.gz")
    rewritten(masks, mask="link.nii.gz")
    assert not any(case.note for case in read_collection(masks).cases)


def test_images_that_were_moved_are_found_in_the_folder_given(masks: Path, tmp_path: Path) -> None:
    (tmp_path / "images").rename(tmp_path / "moved")
    assert all("--images FOLDER" in case.note for case in read_collection(masks).cases)
    assert not any(case.note for case in read_collection(masks, tmp_path / "moved").cases)


@pytest.mark.parametrize("digest", ["", "0" * 32])
def test_an_image_elsewhere_is_shown_only_where_the_table_knows_it(digest: str, masks: Path, tmp_path: Path) -> None:
    """A table of a stranger names a file of this machine, and has never read it."""
    row = {"image": str(tmp_path / "images/ras.nii.gz"), "image_digest": digest}
    rewritten(masks, **row)
    first, *others = sorted(read_collection(masks).cases, key=lambda case: not case.note)
    assert first.images == () and f"If both are yours: --images {tmp_path / 'images'}" in first.note
    assert not any(case.note for case in others)
    assert not any(case.note for case in read_collection(masks, tmp_path / "images").cases), (
        "the user says that it may be shown"
    )
    (tmp_path / "other").mkdir()
    assert (
        len([case for case in read_collection(masks, tmp_path / "other").cases if "its image is not there" in case.note]) == 3
    )


def test_images_in_the_folder_itself_are_shown_and_links_out_of_it_are_not(masks: Path, tmp_path: Path) -> None:
    (tmp_path / "images").rename(masks / "images")
    names = {path.name for path in (masks / "images").iterdir()}
    rewritten(masks, image="images/ras.nii.gz", image_digest="")
    shown = [case for case in read_collection(masks).cases if not case.note]
    assert [case.images for case in shown] == [(masks / "images/ras.nii.gz",)] and len(names) == 3
    (masks / "images/ras.nii.gz").rename(tmp_path / "ras.nii.gz")
    (masks / "images/ras.nii.gz").symlink_to(tmp_path / "ras.nii.gz")
    assert all(case.note for case in read_collection(masks).cases)


def test_an_image_that_was_replaced_is_not_shown_under_the_old_mask(masks: Path, tmp_path: Path) -> None:
    write_volume(tmp_path / "images/ras.nii.gz", scan(SHAPE, 99), affines()["ras"])
    (noted,) = [case for case in read_collection(masks).cases if case.note]
    assert noted.case_id == "ras" and "the table does not show that the mask was made from it" in noted.note


def test_failed_and_dicom_cases_are_listed_with_the_reason(masks: Path) -> None:
    rewritten(masks, status="failed", error="the file is damaged", mask="", image="")
    first = read_collection(masks).cases[0]
    assert first.note == "no mask was predicted" and first.flag == "the file is damaged"
    rewritten(masks, status="done", error="", image="DICOM series 3", mask="ras_seg.nii.gz")
    assert any("no DICOM series can have this name" in case.note for case in read_collection(masks).cases)


def test_several_channel_files_are_found_by_their_numbers(tmp_path: Path) -> None:
    files = [write_volume(tmp_path / f"im/p_{index:04d}.nii.gz", scan(SHAPE, index), affines()["lps"]) for index in (0, 1)]
    folder = predicted(tmp_path / "masks", {"p": files[0]})
    one = read_collection(folder)
    assert one.cases[0].images == (files[0],)
    two = Collection(**{**vars(one), "channels": ("T1", "T2")})
    case = Case(**{**vars(two.cases[0]), "images": tuple(files)})
    assert b"".join(image_stream(case, 1).pieces) == files[1].read_bytes()
    save_label(two, case, folder / "new", mask_indices(two, case, case.mask).tobytes(order="F"))
    listed = json.loads((folder / "new/dataset.json").read_text(encoding="utf-8"))
    assert listed["channel_names"] == {"0": "T1", "1": "T2"} and len(listed["dataset"]["p"]["images"]) == 2
    build(folder / "new", tmp_path / "prepared")


def test_each_channel_lies_in_the_folder_or_is_known(tmp_path: Path) -> None:
    """A table names one channel, and its siblings are found by their numbers: they may be files of mine."""
    channels, inside, outside = ("T1", "T2"), tmp_path / "masks", tmp_path / "mine"
    files = [write_volume(outside / f"p_{index:04d}.nii.gz", scan(SHAPE, index), affines()["lps"]) for index in (0, 1)]
    inside.mkdir()

    def shown(named: Path, digest: str, images: Path | None = None) -> int:
        return len(_images_of({"image": str(named), "image_digest": digest}, inside, images, channels)[0])

    assert shown(files[0], joint_digest(files)) == 2 and shown(files[0], "", outside) == 2
    assert shown(files[0], file_digest(files[0])) == shown(files[1], file_digest(files[1])) == 0
    shutil.copy(files[1], inside / "p_0001.nii.gz")
    (inside / "p_0000.nii.gz").symlink_to(files[0])
    assert shown(inside / "p_0001.nii.gz", "") == 0, "a sibling leads out of the folder"
    (inside / "p_0000.nii.gz").unlink()
    shutil.copy(files[0], inside / "p_0000.nii.gz")
    assert shown(inside / "p_0001.nii.gz", "") == 2


def test_one_colour_of_a_picture_and_all_of_them(tmp_path: Path) -> None:
    collection = read_collection(predicted(tmp_path / "masks", pictures(tmp_path / "in")))
    rgb = ("red", "green", "blue")
    answers = Answers(Collection(**{**vars(collection), "channels": rgb, "colour": rgb}), tmp_path / "labels")
    number = next(i for i, case in enumerate(collection.cases) if case.case_id == "colour")
    with Image.open(tmp_path / "in/colour.jpg") as picture:
        pixels = np.asarray(picture).swapaxes(0, 1)[:, ::-1]

    def seen(channel: str) -> np.ndarray:
        array = np.asarray(nib.Nifti1Image.from_bytes(b"".join(answers.image(number, channel).pieces)).dataobj)[:, :, 0]
        return np.stack([array[name] for name in "RGB"], axis=-1) if array.dtype.names else array

    np.testing.assert_array_equal(seen("all"), pixels)
    for at, channel in enumerate("012"):
        np.testing.assert_array_equal(seen(channel), pixels[..., at])
    assert answers.listed()["coloured"] and not Answers(collection, tmp_path / "labels").listed()["coloured"]


def test_a_channel_of_a_file_of_four_axes(tmp_path: Path) -> None:
    several = np.stack([scan(SHAPE, 1), scan(SHAPE, 2)], axis=-1)
    path = write_volume(tmp_path / "four.nii.gz", several, affines()["ras"])
    stream = image_stream(Case("four", (path,)), 1)
    image = nib.Nifti1Image.from_bytes(b"".join(stream.pieces))
    assert np.array_equal(np.asarray(image.dataobj), several[..., 1]) and np.allclose(image.affine, affines()["ras"])


@pytest.mark.parametrize("form", ["colours", "five axes"])
def test_volumes_that_are_no_scans_are_a_sentence(form: str, tmp_path: Path) -> None:
    colours = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    array = np.zeros(SHAPE, colours) if form == "colours" else np.zeros((*SHAPE, 1, 3), np.uint8)
    said = r"its voxels are colours \(RGB\)" if form == "colours" else r"shape \(20, 16, 12, 1, 3\); expected X, Y, Z and"
    case = Case("p", (write_volume(tmp_path / "p.nii.gz", array, affines()["ras"]),))
    for answer in (lambda: image_stream(case), lambda: grid_of(case.images[0])):
        with pytest.raises(DataError, match=f"{said}.*Type: monai-hybrid check "):
            answer()
    plain = Case("q", (write_volume(tmp_path / "q.nii.gz", scan(SHAPE).reshape(*SHAPE, 1, 1), affines()["ras"]),))
    assert grid_of(plain.images[0]).shape == SHAPE and image_stream(plain).length > 0


def test_a_mask_in_another_voxel_order_is_brought_into_that_of_the_image(tmp_path: Path) -> None:
    image = write_volume(tmp_path / "im.nii.gz", scan(SHAPE), affines()["ras"])
    folder = predicted(tmp_path / "masks", {"one": image})
    turned = nib.load(image).affine @ np.array([[-1, 0, 0, SHAPE[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_volume(folder / "one_seg.nii.gz", mask_like(SHAPE)[::-1], turned)
    collection = read_collection(folder)
    index = mask_indices(collection, collection.cases[0], collection.cases[0].mask)
    assert np.array_equal(index == 1, mask_like(SHAPE) == 3)


def test_an_int16_mask_stays_int16_and_values_above_255_are_kept(tmp_path: Path) -> None:
    names = {"a": 3, "b": 7, "c": 4000}
    image = write_volume(tmp_path / "im.nii.gz", scan(SHAPE), affines()["lps"])
    folder = predicted(tmp_path / "masks", {"one": image}, names)
    write_volume(folder / "one_seg.nii.gz", mask_like(SHAPE).astype(np.int16), affines()["lps"])
    collection = read_collection(folder)
    case = collection.cases[0]
    index = mask_indices(collection, case, case.mask).copy()
    index[0, 0, 0] = 3
    saved = save_label(collection, case, folder / "new", index.tobytes(order="F"))
    written = nib.load(saved.label)
    assert written.get_data_dtype() == np.int16 and np.asarray(written.dataobj)[0, 0, 0] == 4000 and saved.changed == 1


def test_a_list_of_other_labels_is_left_alone(masks: Path) -> None:
    collection = read_collection(masks)
    case = collection.cases[0]
    drawing = mask_indices(collection, case, case.mask).tobytes(order="F")
    (masks / "new").mkdir()
    other = '{"labels": {"background": 0, "liver": 1}, "dataset": {}}'
    (masks / "new/dataset.json").write_text(other, encoding="utf-8")
    with pytest.raises(DataError, match="was written with other labels than"):
        save_label(collection, case, masks / "new", drawing)
    assert sorted(path.name for path in (masks / "new").rglob("*")) == [LOCK, "dataset.json"]
    assert (masks / "new/dataset.json").read_text(encoding="utf-8") == other


@pytest.mark.parametrize("name", ["dataset.json", "labels/lps.json", "cases.csv"])
def test_files_of_somebody_else_are_kept(name: str, masks: Path) -> None:
    collection = read_collection(masks)
    case = next(case for case in collection.cases if case.case_id == "lps")
    case = Case(**{**vars(case), "patient": "p1"})
    drawing = mask_indices(collection, case, case.mask).tobytes(order="F")
    other, new = masks / "new" / name, masks / "new"
    theirs = {
        "dataset.json": json.dumps({"labels": {"background": 0, **NAMES}, "dataset": {}, "licence": "CC"}),
        "cases.csv": "file,patient,site\nlps,p1,Oslo\n",
    }
    other.parent.mkdir(parents=True)
    other.write_text(theirs.get(name, "{}"), encoding="utf-8")
    before = other.read_bytes()
    with pytest.raises(DataError, match=r"was not written by this page, and is kept\. Give another folder with --labels"):
        save_label(collection, case, new, drawing)
    assert other.read_bytes() == before and saved_label(new, case) is None
    other.unlink()
    for _ in range(2):  # our own are replaced
        save_label(collection, case, new, drawing, replace=True)
    assert read_table(new).patients == {"lps": "p1"} and saved_label(new, case) is not None


def test_pages_that_save_at_once_lose_no_label(masks: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from monai_hybrid.gallery.cases import read_collection as read\n"
        "from monai_hybrid.viewing.labels import save_label; from monai_hybrid.gallery.volumes import mask_indices\n"
        "of = read(Path(sys.argv[1])); case = next(one for one in of.cases if one.case_id == sys.argv[2])\n"
        "drawing = mask_indices(of, case, case.mask).tobytes(order='F')\n"
        "for _ in range(15): save_label(of, case, Path(sys.argv[3]), drawing, replace=True)\n"
        "(Path(sys.argv[3]) / 'dataset.json').stat()"
    )
    names = [case.case_id for case in read_collection(masks).cases]
    pages = [subprocess.Popen([sys.executable, "-c", code, masks, name, masks / "new"]) for name in names]
    assert [page.wait(60) for page in pages] == [0] * len(names)
    assert sorted(json.loads((masks / "new/dataset.json").read_text())["dataset"]) == sorted(names)


def test_nothing_is_half_written(masks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = read_collection(masks)
    case = collection.cases[0]
    drawing = mask_indices(collection, case, case.mask).tobytes(order="F")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("monai_hybrid.viewing.labels.dump_json", full)
    with pytest.raises(OSError, match="No space"):
        save_label(collection, case, masks / "new", drawing)
    assert [path.name for path in (masks / "new").rglob("*") if path.is_file()] == [LOCK] and saved_label(
        masks / "new", case
    ) is None


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a\\b", "x" * 300])
def test_names_of_cases_that_are_no_file_names_are_refused(name: str, masks: Path) -> None:
    collection = read_collection(masks)
    case = Case(**{**vars(collection.cases[0]), "case_id": name})
    drawing = mask_indices(collection, case, case.mask).tobytes(order="F")
    with pytest.raises(DataError, match="this cannot be the name of a file"):
        save_label(collection, case, masks / "new", drawing)


def test_labels_do_not_follow_a_link_outwards(masks: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (masks / "new").mkdir()
    (masks / "new/labels").symlink_to(tmp_path / "elsewhere")
    collection = read_collection(masks)
    case = collection.cases[0]
    with pytest.raises(DataError, match="a link to another folder"):
        save_label(collection, case, masks / "new", mask_indices(collection, case, case.mask).tobytes(order="F"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_prepared_data_set_shows_its_labels_and_keeps_its_patients(tmp_path: Path) -> None:
    generate(tmp_path / "raw", cases=4, site="B", seed=0, dims=2)
    build(tmp_path / "raw", tmp_path / "prepared")
    collection = read_collection(tmp_path / "prepared")
    case = collection.cases[0]
    assert not collection.predicted and len(collection.cases) == 4 and not case.note and case.patient
    index = mask_indices(collection, case, case.mask)
    assert index.shape == grid_of(case.images[0]).size and len(np.unique(index)) > 1
    drawing = index.tobytes(order="F")
    assert save_label(collection, case, tmp_path / "new", drawing).changed == 0
    with pytest.raises(TakenError, match="is there already"):
        save_label(collection, case, tmp_path / "new", drawing)
    assert case.patient in (tmp_path / "new/cases.csv").read_text(encoding="utf-8")
    build(tmp_path / "new", tmp_path / "again")


def test_what_nobody_annotated_stays_so_in_a_corrected_label(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    generate(raw, cases=4, site="B", seed=0, dims=2)
    for file in (raw / "labels").iterdir():
        label = np.array(Image.open(file))
        label[::2] = 255
        Image.fromarray(label).save(file)
    build(raw, tmp_path / "prepared", ignore_label=255)
    collection = read_collection(tmp_path / "prepared")
    assert (collection.labels[-1].name, collection.labels[-1].value) == ("ignore", 255)
    case = collection.cases[0]
    index = mask_indices(collection, case, case.mask)
    saved = save_label(collection, case, tmp_path / "new", index.tobytes(order="F"))
    assert saved.changed == 0 and (np.asarray(Image.open(saved.label)) == 255).any()
    build(tmp_path / "new", tmp_path / "again")
    assert json.loads((tmp_path / "again/dataset.json").read_text())["ignore_value"] == 255


def test_the_line_that_uses_the_labels(masks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where `runs/adapted` is free
    collection = read_collection(masks)
    model = Path("/runs/my model/models/model.pt")
    line = adapt_line(Collection(**{**vars(collection), "model": model}), Path("new"), 3)
    assert line == "monai-hybrid adapt --data new --model '/runs/my model' --shots 3 --output runs/adapted"
    green = Collection(**{**vars(collection), "colour": ("green",)})
    assert adapt_line(green, Path("new"), 1).startswith("monai-hybrid build new --out new_prepared --channels green && ")
    held = "monai-hybrid build new --out new_prepared --val-fraction 0 --test-fraction 0 && "
    held += "monai-hybrid adapt --data new_prepared "
    assert adapt_line(collection, Path("new"), 6).startswith(held)
    assert adapt_line(collection, Path("new"), 4).startswith("monai-hybrid adapt --data new ")


def test_a_training_is_not_to_be_built(tmp_path: Path) -> None:
    (tmp_path / "my run/models").mkdir(parents=True)
    with pytest.raises(
        ConfigError, match=r"a training, .*: monai-hybrid report '.*my run'; .* IMAGES --model '.*my run' --output"
    ):
        read_collection(tmp_path / "my run")


def test_a_folder_of_something_else_and_a_missing_model_are_refused(tmp_path: Path, masks: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither quality\.csv nor datalist\.json"):
        read_collection(tmp_path)
    with pytest.raises(ModelFileError, match="no such model"):
        read_collection(masks, model=tmp_path / "absent.pt")
    (masks / "quality.csv").write_bytes(b"case_id,status\n\xff,done\n")
    with pytest.raises(DataError, match="not a table in UTF-8"):
        read_collection(masks)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["ras", "lps", "oblique"])
def test_slices_of_any_plane_come_back_as_they_were(axis: int, name: str, tmp_path: Path) -> None:
    flat = np.expand_dims(scan((24, 18)), axis)
    grid = grid_of(write_volume(tmp_path / "flat.nii.gz", flat, affines()[name]))
    shown = grid.for_page(flat.reshape(24, 18))
    assert shown.shape == grid.size and np.array_equal(grid.of_page(shown), flat.reshape(24, 18))
    assert np.array_equal(grid.shown, np.diag(np.diag(grid.shown))) and (np.diag(grid.shown) > 0).all()


@pytest.mark.parametrize("name", ["~nobody_of_this_name/a.nii.gz", "a\0b.nii.gz", "x" * 5000 + ".nii.gz"])
def test_a_table_whose_image_can_be_no_path_costs_its_case_alone(name: str, masks: Path) -> None:
    (masks / "run.json").write_text(json.dumps({"settings": {"model": name}}), encoding="utf-8")
    table = masks / "quality.csv"
    rows = list(csv.DictReader(table.open(newline="", encoding="utf-8")))
    rows[0]["image"] = name
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    noted = {case.case_id: case.note for case in read_collection(masks).cases}
    assert "its image is not there" in noted.pop(rows[0]["case_id"]) and not any(noted.values())


def test_flags_that_all_masks_have_are_said_once(tmp_path: Path) -> None:
    image = (tmp_path / "c.nii.gz",)
    cases = [Case(f"c{i}", image, tmp_path, flag=f"no LV found; much RV: {30 + i} ml" + "; odd" * (i == 2)) for i in range(3)]
    cases.append(Case("failed", image, flag="it is empty", note="no mask was predicted"))
    collection = Collection(tmp_path, True, (), (), tuple(cases))
    listed = Answers(collection, tmp_path / "labels").listed()
    said = ["All 3 masks have this flag: no LV found.", "All 3 masks have this flag: much RV: … ml."]
    assert listed["shared"] == said
    flags = {case["name"]: case["flag"] for case in listed["cases"]}
    assert flags == {"c0": "much RV: 30 ml", "c1": "much RV: 31 ml", "c2": "much RV: 32 ml; odd", "failed": "it is empty"}
    apart = Collection(tmp_path, True, (), (), (*cases[:2], cases[3]))
    assert Answers(apart, tmp_path / "labels").listed()["shared"] == [], "two of two are no rule"
