"""Annotations that are no masks: the user is told what they are and how masks come of them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from data_prep.cli import app
from data_prep.foreign import foreign_kind
from data_prep.outlines import not_masks

RUN = CliRunner()
POINTS = [[3.0, 3.0], [9.0, 3.5], [6.0, 11.0]]
FLAT = [value for point in POINTS for value in point]
LABELME = {"version": "5.2.1", "flags": {}, "shapes": [{"label": "polyp", "points": POINTS}], "imagePath": "p0.png"}
COCO = {
    "images": [{"id": 0, "file_name": "p0.png"}],
    "categories": [{"id": 1, "name": "polyp"}],
    "annotations": [{"image_id": 0, "category_id": 1, "segmentation": [FLAT]}],
}
VIA = {"p0.png12": {"filename": "p0.png", "regions": [{"shape_attributes": {"name": "polygon"}}]}}
GEOJSON = {"type": "FeatureCollection", "features": [{"geometry": {"type": "Polygon", "coordinates": [POINTS]}}]}
CVAT = '<?xml version="1.0"?>\n<annotations>\n<image id="0" name="p0.png"><polygon points="3,3;9,3"/></image></annotations>'
VOC = "<annotation><object><bndbox><xmin>3</xmin></bndbox></object></annotation>"
ASAP = '<ASAP_Annotations><Annotations><Annotation><Coordinates><Coordinate X="3"/></Coordinates></Annotation></Annotations>'
YOLO = "0 0.25 0.25 0.75 0.25 0.5 1\n1 0.2 0.2 0.3 0.2 0.3 0.3\n"
BOXES = "0 0.5 0.5 0.25 0.25\r\n"


def roi_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("0003-0009.roi", b"Iout" + bytes(60))
    return packed.getvalue()


def array() -> bytes:
    packed = io.BytesIO()
    np.save(packed, np.zeros((4, 4), np.uint8))
    return packed.getvalue()


KINDS = {
    "Labelme": ("{}.json", json.dumps(LABELME), "outlines of Labelme", "labelme2voc.py"),
    "COCO": ("instances.json", json.dumps(COCO, indent=1), "outlines of COCO", "annToMask of pycocotools"),
    "VIA": ("via.json", json.dumps(VIA), "outlines of VGG VIA", "ImageDraw.polygon"),
    "VIA, table": ("via.csv", "filename,region_shape_attributes\n", "outlines of VGG VIA", "ImageDraw.polygon"),
    "QuPath": ("{}.geojson", json.dumps(GEOJSON), "outlines of GeoJSON", "LabeledImageServer"),
    "CVAT": ("annotations.xml", CVAT, "outlines of CVAT", "Segmentation mask 1.1"),
    "VOC": ("{}.xml", VOC, "boxes of Pascal VOC", "A box is no outline"),
    "ASAP": ("{}.xml", ASAP, "hold outlines", "ImageDraw.polygon"),
    "YOLO": ("{}.txt", YOLO, "outlines of YOLO", "ImageDraw.polygon"),
    "YOLO, boxes": ("{}.txt", BOXES, "boxes of YOLO", "A box is no outline"),
    "ImageJ": ("{}.zip", roi_zip(), "outlines of ImageJ", "Create Mask"),
    "ImageJ, one": ("{}.roi", b"Iout" + bytes(60), "outlines of ImageJ", "Create Mask"),
    "SVG": ("{}.svg", '<svg xmlns="x"><path/></svg>', "outlines", "ImageDraw.polygon"),
    "NumPy": ("{}.npy", array(), "arrays of NumPy", "Image.fromarray"),
}


def annotated(root: Path, kind: str, images: str = ".", masks: str = ".") -> Path:
    """Three pictures and the annotations of them."""
    name, content, *_ = KINDS[kind]
    for place in (images, masks):
        (root / place).mkdir(parents=True, exist_ok=True)
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 255, (16, 16, 3)).astype(np.uint8)
        Image.fromarray(noise).save(root / images / f"p{index}.png")
        raw = content if isinstance(content, bytes) else content.encode()
        (root / masks / name.format(f"p{index}")).write_bytes(raw)
    return root


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("images", "masks"), [(".", "."), ("images", "labels"), ("images", "annotations"), ("images", ".")])
def test_each_form_is_named_with_a_way_to_masks(kind: str, images: str, masks: str, tmp_path: Path) -> None:
    root = annotated(tmp_path / "set", kind, images, masks)
    *_, called, way = KINDS[kind]
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert said.exit_code in (2, 3) and not (tmp_path / "out").exists()
    assert called in said.stderr and "are no masks" in said.stderr and way in said.stderr
    assert "--allow-unlabelled" not in said.stderr and "is an archive" not in said.stderr
    looked = RUN.invoke(app, ["check", str(root)], env={"COLUMNS": "300"})
    assert called in looked.output and way in looked.output


def test_an_empty_folder_of_annotations_is_not_proposed_as_that_of_the_masks(tmp_path: Path) -> None:
    root = annotated(tmp_path / "set", "COCO", "images", "annotations")
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert "annotations/instances.json holds outlines of COCO" in said.stderr
    assert "--labels-dir annotations" not in said.stderr


def test_where_some_masks_are_there_the_others_may_still_be_left_out(tmp_path: Path) -> None:
    root = annotated(tmp_path / "set", "Labelme", "images", "labels")
    drawn = np.zeros((16, 16), np.uint8)
    drawn[4:9, 5:9] = 1
    Image.fromarray(drawn).save(root / "labels/p0.png")
    said = RUN.invoke(app, ["build", str(root), "--output", str(tmp_path / "out")])
    assert "labels/p0.json and 2 more .json hold outlines of Labelme" in said.stderr
    assert f"Or type: monai-hybrid build {root} --output" in said.stderr and "--allow-unlabelled" in said.stderr


def test_without_any_mask_no_line_is_proposed_that_is_refused_again(tmp_path: Path) -> None:
    root = annotated(tmp_path / "set", "Labelme", "images", "labels")
    for path in (root / "labels").iterdir():
        path.unlink()
    said = RUN.invoke(app, ["check", str(root)], env={"COLUMNS": "300"})
    assert "D403" in said.output and "--allow-unlabelled" not in said.output and "predict --help" in said.output


OTHERS = {
    "labels.json": '{"1": "polyp"}',
    "dataset.json": '{"images": 3, "annotations": "none"}',
    "p0.json": '{"shapes": 2}',
    "notes.txt": "7 patients, 3 of them twice\n",
    "numbers.txt": "1 2 3\n",
    "info.xml": "<annotations/>",
    "table.csv": "case_id,patient\n",
    "p0.npy": "no array",
}


def test_other_files_beside_images_are_no_annotations(tmp_path: Path) -> None:
    for name, content in OTHERS.items():
        (tmp_path / name).write_text(content)
    assert not not_masks(tmp_path)


def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "p0.json").symlink_to(tmp_path / "nothing")
    (tmp_path / "p1.json").mkdir()
    (tmp_path / "p2.json").write_text(json.dumps(LABELME))
    assert "hold outlines of Labelme" in not_masks(tmp_path)


def test_a_zip_of_scans_is_an_archive_still(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as archive:
        archive.writestr("p0.nii.gz", b"")
    (tmp_path / "rois.zip").write_bytes(roi_zip())
    assert foreign_kind(tmp_path / "scans.zip") == "archive" and foreign_kind(tmp_path / "rois.zip") is None
