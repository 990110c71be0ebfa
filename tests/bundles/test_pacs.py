"""From an archive and back: series sent as a scanner does, fetched, segmented, the DICOM-SEG listed under the study."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from dicom_files import PLANTED, SAGITTAL, write_enhanced, write_series
from pacs import Archive, orthanc
from prediction_runs import predict, quality
from seg_files import complaints, sources_named, voxels
from test_dicom_seg import settings, shells

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")


def fetched(archive: Archive, study: str, folder: Path) -> Path:
    """All files of a study, as the archive packs them."""
    with zipfile.ZipFile(io.BytesIO(archive.raw(f"/studies/{study}/archive"))) as packed:
        packed.extractall(folder)
    return folder


def test_an_archive_lists_the_seg_under_the_study(tmp_path: Path) -> None:
    axial = write_series(tmp_path / "sent/a", shells(), intercepts=0, SeriesDescription="axial")
    study = {"study_uid": axial.study_uid, "frame_uid": axial.frame_uid}
    sagittal = write_series(tmp_path / "sent/b", shells(), modality="MR", directions=SAGITTAL, intercepts=0, **study)
    enhanced = write_enhanced(tmp_path / "sent/c", shells(), intercepts=0, StudyInstanceUID=axial.study_uid)
    with orthanc(tmp_path / "orthanc") as archive:
        sent = archive.send(*axial.files, *sagittal.files, *enhanced.files)
        assert sent.returncode == 0, sent.stderr
        (listed,) = archive.get("/studies")
        assert len(archive.get(f"/studies/{listed}")["Series"]) == 3

        folder = fetched(archive, listed, tmp_path / "fetched")
        assert predict("few_shot_finetune", input=folder, output_dir=tmp_path / "masks", **settings(tmp_path)) is None
        segs = sorted((tmp_path / "masks").glob("*_seg.dcm"))
        assert len(segs) == len(quality(tmp_path / "masks")) == 3 and [complaints(seg) for seg in segs] == [[], [], []]

        stored = archive.send(*segs)
        assert stored.returncode == 0, stored.stderr
        assert archive.get("/studies") == [listed] and len(archive.get("/patients")) == 1
        series = [archive.get(f"/series/{one}") for one in archive.get(f"/studies/{listed}")["Series"]]
        masks = [one for one in series if one["MainDicomTags"]["Modality"] == "SEG"]
        assert len(series) == 6 and len(masks) == 3
        assert archive.get(f"/studies/{listed}")["PatientMainDicomTags"]["PatientID"] == PLANTED["PatientID"]
        for one in masks:
            _as_sent(archive, one["Instances"][0], {w.series_uid: w for w in (axial, sagittal, enhanced)}, tmp_path)


def _as_sent(archive: Archive, instance: str, sources: dict, folder: Path) -> None:
    """What the archive gives back is a mask on the grid of its source, whose images it holds."""
    path = folder / f"{instance}.dcm"
    path.write_bytes(archive.raw(f"/instances/{instance}/file"))
    dataset = pydicom.dcmread(path)
    source = sources[dataset.ReferencedSeriesSequence[0].SeriesInstanceUID]
    assert set(np.unique(voxels(path, (12, 14, 8), source.affine))) == {0, 1, 2}
    held = {one["MainDicomTags"]["SOPInstanceUID"] for one in archive.get("/instances?expand")}
    assert set(sources_named(dataset)) <= held
