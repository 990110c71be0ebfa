"""Prepared volumes on disk: the same values, read piece by piece, and never those of another file or setting."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose, Lambdad, MapTransform, NormalizeIntensityd, RandCropByPosNegLabeld, ScaleIntensityd

from monai_hybrid.engines import ReplayableDataset
from monai_hybrid.engines import volume_cache as module
from monai_hybrid.engines.replay import Draw
from monai_hybrid.engines.volume_cache import VolumeCache
from monai_hybrid.errors import ConfigError

EDGE = 24


class LoadArrayd(MapTransform):
    """Reads `.npy` files and counts how often."""

    count = 0

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        LoadArrayd.count += 1
        return {**data, **{key: torch.from_numpy(np.load(data[key]))[None] for key in self.keys}}


def loaded(*more: Any) -> list[Any]:
    return [LoadArrayd(["image", "label"]), *more]


CROP = RandCropByPosNegLabeld(["image", "label"], "label", (8, 8, 8), num_samples=1)


@pytest.fixture
def cases(tmp_path: Path) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    LoadArrayd.count = 0
    out = []
    for i in range(3):
        case = {"case_id": f"case {i}", "has_label": 1}
        for key in ("image", "label"):
            values = rng.random((EDGE,) * 3, dtype=np.float32)
            np.save(tmp_path / f"{key}_{i}.npy", values if key == "image" else (values > 0.9).astype(np.float32))
            case[key] = str(tmp_path / f"{key}_{i}.npy")
        out.append(case)
    return out


def dataset(cases: list[dict[str, Any]], folder: Path | None, *more: Any, **settings: Any) -> ReplayableDataset:
    return ReplayableDataset(cases, Compose([*loaded(*more), CROP]), folder, progress=False, copy_cache=False, **settings)


@pytest.mark.parametrize("cache_rate", [1.0, 0.5, 0.0])
def test_samples_are_those_of_the_cache_in_memory(cases: list[dict[str, Any]], tmp_path: Path, cache_rate: float) -> None:
    in_memory, on_disk = dataset(cases, None), dataset(cases, tmp_path / "volumes", cache_rate=cache_rate)
    for draw in (Draw(0, 1), Draw(2, 2), Draw(1, 3), Draw(0, 4)):
        ours, theirs = on_disk[draw][0], in_memory[draw][0]
        assert ours.keys() == theirs.keys() and ours["case_id"] == theirs["case_id"] and ours["has_label"] == 1
        assert torch.equal(ours["image"], theirs["image"]) and torch.equal(ours["label"], theirs["label"])


def test_a_second_start_prepares_nothing_and_maps_the_files(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    dataset(cases, tmp_path / "volumes")
    assert LoadArrayd.count == 3 and len(list((tmp_path / "volumes").iterdir())) == 3
    again = dataset(cases, tmp_path / "volumes")
    assert LoadArrayd.count == 3
    mapped = Path("/proc/self/maps")
    if mapped.is_file():
        files = {str(again.volumes.path(case)) for case in cases} if again.volumes else set()
        assert files and all(file in mapped.read_text() for file in files)


def test_writing_into_a_sample_does_not_reach_the_file(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    one = dataset(cases, tmp_path / "volumes")
    one._cache[0]["image"].fill_(7.0)
    assert float(dataset(cases, tmp_path / "volumes")._cache[0]["image"].max()) < 1.0


def test_a_corrected_mask_another_setting_and_another_entry_are_prepared_anew(
    cases: list[dict[str, Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "volumes"
    before = dataset(cases, folder, ScaleIntensityd("image"))._cache[1]["label"]
    mask = np.load(cases[1]["label"])
    mask[5, 5, 5] = 1 - mask[5, 5, 5]
    np.save(cases[1]["label"], mask)  # the same size
    after = dataset(cases, folder, ScaleIntensityd("image"))._cache[1]["label"]
    assert LoadArrayd.count == 4 and int((before != after).sum()) == 1
    dataset(cases, folder, ScaleIntensityd("image", maxv=2.0))
    dataset(cases, folder, NormalizeIntensityd("image"))
    assert LoadArrayd.count == 10
    assert dataset([{**cases[0], "case_id": "new"}], folder, ScaleIntensityd("image"))._cache[0]["case_id"] == "new"


def test_several_channels_in_files_of_their_own_count_each(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    cache = VolumeCache(tmp_path / "volumes", [])
    case = {"image": [cases[0]["image"], cases[1]["image"]], "case_id": "a"}  # no label: an unlabelled case
    before = cache.path(case)
    os.utime(cases[1]["image"], ns=(1, 1))
    assert cache.path(case) != before


def test_random_transforms_do_not_count(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    dataset(cases, tmp_path / "volumes")
    larger = RandCropByPosNegLabeld(["image", "label"], "label", (12, 12, 12), num_samples=1)
    other = ReplayableDataset(cases, Compose([*loaded(), larger]), tmp_path / "volumes", progress=False)
    assert LoadArrayd.count == 3 and other[0][0]["image"].shape == (1, 12, 12, 12)


def test_a_damaged_file_is_prepared_again(
    cases: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = dataset(cases, tmp_path / "volumes")
    assert whole.volumes
    path = whole.volumes.path(cases[2])
    path.write_bytes(path.read_bytes()[:1000])
    assert torch.equal(
        dataset(cases, tmp_path / "volumes")._cache[2]["image"], torch.from_numpy(np.load(cases[2]["image"]))[None]
    )
    assert f"{path}: damaged" in caplog.text and "prepared again" in caplog.text


def test_a_full_disk_leaves_nothing_half_written(
    cases: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(content: Any, path: Path) -> None:
        path.write_bytes(b"half")
        written.append(path)
        time.sleep(0.2 * (len(written) > 1))  # another case is half-written while the first one's error is on its way
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "torch_save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        dataset(cases, tmp_path / "volumes")
    assert str(caught.value.filename).startswith(str(tmp_path / "volumes"))
    assert not list((tmp_path / "volumes").iterdir())


def test_a_transform_without_a_name_is_refused(cases: list[dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cache_dir: .*lambda.*leave --cache_dir out"):
        dataset(cases, tmp_path / "volumes", Lambdad("image", lambda x: x))


def test_the_start_says_how_much_is_there(
    cases: list[dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "monai_hybrid")
    dataset(cases[:1], tmp_path / "volumes")
    dataset(cases, tmp_path / "volumes")
    assert "0 of 1 volumes are here, 1 to prepare" in caplog.text and "1 of 3 volumes are here, 2 to prepare" in caplog.text
