"""Slab-wise windows and the way back to the input's grid, against MONAI's SlidingWindowInferer and Invertd."""

from __future__ import annotations

import copy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import Activationsd, AsDiscreted, Compose, Invertd, LoadImaged, Orientationd
from nibabel.orientations import inv_ornt_aff
from torch import nn

from monai_hybrid.errors import DataError, ModelFileError
from monai_hybrid.inferers import InputGridInferer, rods
from monai_hybrid.inferers.windows import plan_windows
from monai_hybrid.transforms import SafeSpacingd

ROOT = Path(__file__).parents[2]


def random_network(dims: int) -> nn.Module:
    torch.manual_seed(1)
    return (nn.Conv2d if dims == 2 else nn.Conv3d)(1, 4, 5, padding=2)


def monai_labels(x: torch.Tensor, network: nn.Module, roi: tuple[int, ...], overlap: float) -> torch.Tensor:
    with torch.no_grad():
        inferer = SlidingWindowInferer(roi, 4, overlap, mode="gaussian", padding_mode="replicate")
        return inferer(x, network).argmax(1, keepdim=True)


@pytest.mark.parametrize(
    ("size", "roi", "overlap"),
    [
        ((37, 50, 29), (16, 16, 16), 0.5),
        ((20, 10, 40), (16, 16, 16), 0.25),
        ((33, 21, 9), (16, 24, 16), 0.6),
        ((40, 40, 1), (16, 16, 16), 0.5),
        ((33, 21, 19), (16, 8, 16), 0.0),
        ((70, 45), (32, 16), 0.5),
        ((10, 90), (16, 16), 0.3),
    ],
    ids=str,
)
@pytest.mark.parametrize("sw_batch_size", [1, 3])
def test_labels_equal_those_of_monai(size: tuple[int, ...], roi: tuple[int, ...], overlap: float, sw_batch_size: int) -> None:
    network = random_network(len(size))
    x = torch.randn(1, 1, *size)
    found = InputGridInferer(roi, sw_batch_size, overlap)(x, network)
    assert found.dtype == torch.uint8 and found.shape == (1, 1, *size)
    assert torch.equal(found.long(), monai_labels(x, network, roi, overlap))


def test_half_precision_is_taken_when_much_is_open_and_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = random_network(3), torch.randn(1, 1, 40, 33, 29)
    monkeypatch.setattr(rods, "FULL_PRECISION_BYTES", 0)
    found = [rod.logits.dtype for _, rod in rods.finished_rods(x, lambda y: network(y).detach(), (16, 16, 16))]
    assert set(found) == {torch.float16}
    labels = InputGridInferer((16, 16, 16), 2)(x, network).long()
    assert (labels == monai_labels(x, network, (16, 16, 16), 0.5)).float().mean() > 0.995


def test_each_voxel_is_finished_once_and_little_is_open() -> None:
    x, opened = torch.randn(1, 1, 96, 40, 40), []
    network = nn.Conv3d(1, 2, 1)
    seen = torch.zeros(96, 40)
    real = rods._Blend.pop

    def pop(self: rods._Blend, key: rods.Key) -> torch.Tensor:
        opened.append(sum(total[0].numel() for total, _ in self.open.values()))
        return real(self, key)

    rods._Blend.pop = pop  # type: ignore[method-assign]
    try:
        with torch.no_grad():
            for axes, rod in rods.finished_rods(x, network, (16, 16, 16)):
                assert axes[0] == 0 and rod.logits.shape[1:] == (*[s.stop - s.start for s in (rod.outer, rod.inner)], 40)
                seen[rod.outer.start : rod.outer.stop, rod.inner.start : rod.inner.stop] += 1
    finally:
        rods._Blend.pop = real  # type: ignore[method-assign]
    assert torch.equal(seen, torch.ones(96, 40))
    assert max(opened) < 0.25 * x.numel()


def test_the_sweep_carries_the_smallest_area() -> None:
    assert plan_windows((40, 64, 128), (16, 16, 16), 0.5).axes == (2, 1, 0)
    assert plan_windows((128, 64, 40), (16, 16, 16), 0.5).axes == (0, 1, 2)


def test_empty_windows_are_skipped_only_when_asked() -> None:
    x = torch.full((1, 1, 64, 16, 16), -1.0)
    x[:, :, :16] = torch.rand(1, 1, 16, 16, 16)
    calls = []

    def network(y: torch.Tensor) -> torch.Tensor:
        calls.append(len(y))
        return torch.stack([torch.zeros_like(y[:, 0]), torch.ones_like(y[:, 0])], 1)  # all foreground

    everywhere = InputGridInferer((16, 16, 16))(x, network)
    every = sum(calls)
    skipped = InputGridInferer((16, 16, 16), skip_empty=True)(x, network)
    assert every == 7 and sum(calls) - every == 2
    assert everywhere.all() and skipped[:, :, :24].all() and not skipped[:, :, 24:].any()
    nothing = InputGridInferer((16, 16, 16), skip_empty=True)(torch.zeros(1, 1, 32, 16, 16), network)
    assert not nothing.any()


def test_a_network_that_gives_nan_is_refused() -> None:
    x = torch.randn(1, 1, 20, 20)
    with pytest.raises(ModelFileError, match="the prediction holds NaN or Inf though the image does not"):
        InputGridInferer((16, 16))(x, lambda y: torch.cat([y, y * torch.nan], 1))
    assert InputGridInferer((16, 16))(x, lambda y: torch.cat([y, -y], 1)).any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_an_image_that_is_not_finite_is_refused_by_name(value: float) -> None:
    x = torch.zeros(1, 1, 20, 20)
    network = random_network(2)
    assert InputGridInferer((16, 16))(x, network).shape == x.shape
    x[0, 0, 3, 4] = value
    named = MetaTensor(x, meta={"filename_or_obj": "scans/a.nii.gz"})
    with pytest.raises(DataError, match=r"scans/a.nii.gz: holds NaN or Inf; run `monai-hybrid check`"):
        InputGridInferer((16, 16))(named, network)


def test_the_network_is_wrapped_once_and_again_for_other_weights() -> None:
    made = []

    def wrap(network: nn.Module) -> nn.Module:
        made.append(network)
        return nn.Sequential(network, nn.Identity())

    network, inferer = random_network(2), InputGridInferer((16, 16), wrap=wrap)
    x = torch.randn(1, 1, 20, 20)
    plain = InputGridInferer((16, 16))(x, network)
    assert torch.equal(inferer(x, network), plain) and torch.equal(inferer(x, network), plain) and len(made) == 1
    network.load_state_dict({k: -v for k, v in network.state_dict().items()})
    assert not torch.equal(inferer(x, network), plain) and len(made) == 2


def test_weights_that_change_without_a_trace_are_seen() -> None:
    """A fused step moves neither version nor address of a weight; a wrap that copies the network would keep the old ones."""
    network, inferer = random_network(2), InputGridInferer((16, 16), wrap=copy.deepcopy)
    x = torch.randn(1, 1, 20, 20)
    before = inferer(x, network)
    network(x[..., :16, :16]).square().mean().backward()
    torch.optim.AdamW(network.parameters(), 1.0, fused=True).step()
    after = inferer(x, network)
    assert torch.equal(after, InputGridInferer((16, 16))(x, network)) and not torch.equal(after, before)


def made_volume(path: Path, axes: list[tuple[int, int]], spacing: tuple[float, ...], degrees: float) -> Path:
    """Smooth blobs on a permuted, flipped, rotated, anisotropic grid."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn(1, 1, 5, 5, 5, generator=generator)
    data = nn.functional.interpolate(coarse, (30, 26, 22), mode="trilinear")[0, 0].numpy() * 100
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    ornt, affine = np.array(axes, dtype=float), np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ np.diag(spacing)
    affine[:3, 3] = (-20, 15, 7)
    image = nib.Nifti1Image(nib.apply_orientation(data.astype(np.float32), ornt), affine @ inv_ornt_aff(ornt, data.shape))
    nib.save(image, path)
    return path


def preprocessing(pixdim: tuple[float, ...]) -> Compose:
    return Compose([
        LoadImaged("image", reader="monai_hybrid.transforms.CaseReader", ensure_channel_first=True, image_only=True),
        Orientationd("image", axcodes="RAS", labels=None),
        SafeSpacingd("image", pixdim=pixdim, mode="bilinear"),
    ])  # fmt: skip


def blobs(x: torch.Tensor) -> torch.Tensor:
    """Logits that follow the grey value: three classes in smooth regions, so that borders are where the image says."""
    return torch.cat([torch.zeros_like(x), x / 10 - 3, -x / 10 - 3], 1)


def by_invertd(source: Path, pixdim: tuple[float, ...], roi: tuple[int, ...]) -> np.ndarray:
    """The way of MONAI's bundles: softmax, Invertd, argmax."""
    before = preprocessing(pixdim)
    d = before({"image": str(source)})
    inferer = SlidingWindowInferer(roi, 4, 0.5, mode="gaussian", padding_mode="replicate")
    d["pred"] = inferer(d["image"][None], blobs)[0]
    after = Compose([
        Activationsd("pred", softmax=True),
        Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
        AsDiscreted("pred", argmax=True),
    ])  # fmt: skip
    return after(d)["pred"][0].numpy()


RAS, LPS, PSR = [(0, 1), (1, 1), (2, 1)], [(0, -1), (1, -1), (2, 1)], [(1, -1), (2, 1), (0, 1)]


@pytest.mark.parametrize("pixdim", [(1.0, 1.0, 1.0), (1.3, 2.1, 0.7), (3.0, 3.0, 3.0)], ids=str)
@pytest.mark.parametrize(
    ("axes", "spacing", "degrees"),
    [
        (RAS, (1.0, 1.0, 1.0), 0),
        (LPS, (0.8, 0.8, 3.0), 0),
        (PSR, (1.5, 1.0, 2.2), 0),
        (LPS, (1.0, 1.7, 0.9), 25),
        (PSR, (1, 2, 3), -15),
    ],
    ids=["ras", "lps", "psr", "oblique_lps", "oblique_psr"],
)
def test_labels_on_the_input_grid_are_those_of_invertd(
    axes: list[tuple[int, int]], spacing: tuple[float, ...], degrees: float, pixdim: tuple[float, ...], tmp_path: Path
) -> None:
    source = made_volume(tmp_path / "in.nii.gz", axes, spacing, degrees)
    image = preprocessing(pixdim)({"image": str(source)})["image"]
    found = InputGridInferer((16, 16, 16), 2)(image[None], blobs)
    wanted = by_invertd(source, pixdim, (16, 16, 16))
    assert isinstance(found, MetaTensor) and found.shape == (1, 1, *nib.load(source).shape)
    np.testing.assert_allclose(found.affine, nib.load(source).affine, atol=1e-6)
    assert set(np.unique(wanted)) == {0, 1, 2}
    assert (found[0, 0].numpy() == wanted).mean() >= 0.999


def test_a_sheared_grid_agrees_with_invertd(tmp_path: Path) -> None:
    source = made_volume(tmp_path / "plain.nii.gz", PSR, (1.0, 1.4, 2.0), 10)
    image = nib.load(source)
    affine = image.affine.copy()
    affine[:3, 0] += 0.3 * affine[:3, 1]
    nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float32), affine), tmp_path / "sheared.nii.gz")
    source = tmp_path / "sheared.nii.gz"
    image = preprocessing((1.5, 1.5, 1.5))({"image": str(source)})["image"]
    found = InputGridInferer((16, 16, 16), 2)(image[None], blobs)[0, 0].numpy()
    assert (found == by_invertd(source, (1.5, 1.5, 1.5), (16, 16, 16))).mean() >= 0.999


def test_probabilities_and_entropy_belong_to_the_labels(tmp_path: Path) -> None:
    source = made_volume(tmp_path / "in.nii.gz", LPS, (1.0, 1.7, 0.9), 25)
    image = preprocessing((1.3, 1.3, 1.3))({"image": str(source)})["image"]
    found = InputGridInferer((16, 16, 16), 2, keep_entropy=True, keep_probabilities=True).segment(image, blobs)
    assert found.probabilities is not None and found.entropy is not None and found.entropy_foreground is not None
    p = found.probabilities.numpy() / 65535
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-4)
    ties = np.sort(p, 0)[-1] - np.sort(p, 0)[-2] < 1e-4
    assert np.array_equal(p.argmax(0)[~ties], found.labels.numpy()[~ties])
    h = -(p * np.log(np.clip(p, 1e-12, 1))).sum(0) / np.log(3)
    np.testing.assert_allclose(found.entropy.numpy() / 65535, h, atol=1e-3)
    assert found.entropy_all == pytest.approx(h.mean(), abs=1e-3)
    assert found.entropy_foreground == pytest.approx(h[found.labels.numpy() > 0].mean(), abs=1e-3)
