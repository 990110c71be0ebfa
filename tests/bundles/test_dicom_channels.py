"""predict of DICOM by a model of several channels: series of one study, by their names or by --series, and never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from dicom_files import Written, write_series
from prediction_runs import Threshold, model_card, predict, quality, visible
from seg_files import complaints, sources_named, voxels
from torch import Tensor

from data_prep.dicom import find_series, write_nifti
from monai_hybrid.dicom_channels import per_channel
from monai_hybrid.errors import ConfigError
from monai_hybrid.weights import save_weights

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")
CHANNELS = ["T1", "FLAIR"]


class Difference(Threshold):
    """Three classes by half the first channel minus half the second one."""

    def forward(self, x: Tensor, timesteps: Tensor | None = None, return_noise: bool = False) -> Tensor:
        return super().forward((x[:, :1] - x[:, 1:]) / 2)


def settings(tmp_path: Path, **more: Any) -> dict[str, Any]:
    card = model_card(3, 1.0, 16, objective="supervised")
    card["channels"], card["network"]["in_channels"] = CHANNELS, 2
    card["plan"]["normalization"] = {"method": "window", "lower": 0, "upper": 1000, "range": [-1, 1]}
    save_weights(Difference().state_dict(), tmp_path / "model", card)
    model = {"model": str(tmp_path / "model/model.pt"), "network_def": {"_target_": "test_dicom_channels.Difference"}}
    return {**model, "spacing": [0.75, 0.5, 2.5], "denoising_score": False, "progress_bar": False, **more}


def study(root: Path, names: tuple[str, ...] = ("t1_mprage sag", "t2 FLAIR"), **more: Any) -> list[Written]:
    """A study of two series, written in the other order than the model's channels."""
    _, y, z = np.meshgrid(*[np.linspace(0, 1000, n) for n in (6, 14, 12)], indexing="ij")
    made = []
    for number, pixels in ((1, y), (0, z)):
        tags: dict[str, Any] = {"SeriesDescription": names[number], "SeriesNumber": 7 - number, "study_uid": "1.2.3"}
        tags |= {"frame_uid": "1.2.4", "modality": "MR", "intercepts": 0, **more}
        made.append(write_series(root / f"series{number}", pixels.astype(np.int16), **tags))
    return made[::-1]


def expected(folder: Path, tmp_path: Path) -> Any:
    """The mask of the NIfTI way, class index."""
    for one in find_series(folder):
        write_nifti(one, tmp_path / f"as_nifti/scan_000{7 - int(one.number)}.nii.gz")
    assert predict(input=tmp_path / "as_nifti", output_dir=tmp_path / "nifti_out", **settings(tmp_path)) is None
    return np.asarray(nib.load(tmp_path / "nifti_out/scan_seg.nii.gz").dataobj) // 10


@pytest.mark.parametrize("words", [None, "T1:7;FLAIR:6", "flair: *flair*", "6,7"])
def test_channels_are_found_by_name_or_by_words(words: str | None, tmp_path: Path) -> None:
    first, _ = study(tmp_path / "in")
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path, series=words)) is None
    (seg,) = (tmp_path / "out").glob("*_seg.dcm")
    assert visible(tmp_path / "out") == ["quality.csv", seg.name]
    wanted = expected(tmp_path / "in", tmp_path)
    assert set(np.unique(wanted)) == {0, 1, 2}
    np.testing.assert_array_equal(voxels(seg, wanted.shape, first.affine), wanted)
    assert complaints(seg) == []
    dataset = pydicom.dcmread(seg)
    assert sorted(sources_named(dataset)) == sorted(pydicom.dcmread(file).SOPInstanceUID for file in first.files)
    (row,) = quality(tmp_path / "out").values()
    assert row["status"] == "done" and row["image"] == "DICOM series 7 (MR, 6 slices)"
    assert not list((tmp_path / "out").glob(".dicom*")), "no voxels are left"


def test_statistics_are_of_every_channel(tmp_path: Path) -> None:
    study(tmp_path / "in")
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path, statistics=True)) is None
    (case,) = json.loads((tmp_path / "out/statistics.json").read_text())["cases"].values()
    for told in case["structures"].values():
        assert told["mean_T1"] is not None and told["mean_FLAIR"] is not None and told["mean_T1"] != told["mean_FLAIR"]


REFUSED: list[tuple[tuple[str, ...], dict[str, Any], str | None, str]] = [
    (
        ("t1_mprage", "t2w"),
        {},
        None,
        "channel FLAIR: no series fits. There are: series 6 (MR, 6 slices); series 7 (MR",
    ),
    (("t1", "t1 FLAIR"), {}, "T1:*t1*", "channel T1: 2 series fit: series 6 (MR, 6 slices); series 7 (MR, 6 slices)"),
    (("T1 FLAIR", "other"), {}, None, "series 7 (MR, 6 slices): fits more than one channel"),
    (("T1", "FLAIR"), {"frame_uid": ""}, None, "are in several frames of reference, so the patient may have moved"),
]


@pytest.mark.parametrize(("names", "more", "words", "said"), REFUSED, ids=["none", "two", "same", "frames"])
def test_what_is_not_clear_is_not_guessed(
    names: tuple[str, ...], more: dict[str, Any], words: str | None, said: str, tmp_path: Path
) -> None:
    study(tmp_path / "in", names, **more)
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path, series=words)) is not None
    (row,) = quality(tmp_path / "out").values()
    assert row["status"] == "failed" and said in row["error"]
    assert ("scan_0000.nii.gz" if more else '--series "T1:1;FLAIR:2"') in row["error"], "what to type"


def test_channels_on_two_grids_are_a_failure_of_their_study_alone(tmp_path: Path) -> None:
    study(tmp_path / "in/a", study_uid="1.2.5", PatientID="P2")
    write_series(tmp_path / "in/b/1", modality="MR", SeriesDescription="T1", study_uid="1.2.6", frame_uid="1.2.7")
    other = {"origin": (-20.5, 13.25, -40.0), "frame_uid": "1.2.7"}
    write_series(tmp_path / "in/b/2", modality="MR", SeriesDescription="FLAIR", study_uid="1.2.6", **other)
    assert predict(input=tmp_path / "in", output_dir=tmp_path / "out", **settings(tmp_path)) is not None
    rows = {row["status"]: row["error"] for row in quality(tmp_path / "out").values()}
    assert set(rows) == {"done", "failed"} and "series 3 (MR, 5 slices)" in rows["failed"], rows
    assert str(tmp_path) not in rows["failed"] and "D40" in rows["failed"]
    assert "Bring one of the two channels onto the grid of the other one" in rows["failed"] and "label" not in rows["failed"]


def test_words_for_channels_are_read_or_refused() -> None:
    assert per_channel("t1: 3,EchoTime=4.6 ; FLAIR:*dark*", CHANNELS) == {"T1": "3,EchoTime=4.6", "FLAIR": "*dark*"}
    for plain in (None, "", "3", "T1*", "1.2.3", "EchoTime=2.5", "scan: late"):
        assert per_channel(plain, CHANNELS) == {}
    for wrong in ("T1:3;T2:4", "T1:3;4", "T1:3;T1:4", "T1:;FLAIR:2"):
        with pytest.raises(ConfigError, match=r"expected CHANNEL:WORDS .*channels: T1, FLAIR. Type: --series \"T1:1;FLAIR:2\""):
            per_channel(wrong, CHANNELS)
