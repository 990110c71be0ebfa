"""A source image in the grey values of a random scan of the target: what replayed source cases look like while fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import get_track_meta, set_track_meta
from monai.transforms import Compose, MapTransform, Randomizable
from monai.utils import convert_to_dst_type
from torch import Tensor

from monai_hybrid.errors import ConfigError

KINDS = ("none", "histogram", "fourier")
REPLAYED = "replayed"  # entry of a case: it is a labelled case of the source
RANKS = 256
LEVELS = 2048  # grey values of the table that maps an image; a step of a thousandth of the range
DARKEST = -0.999  # normalised images lie in [-1, 1]; what is darker is air, or what padding gave, and stays
FEWEST, MOST = 64, 200_000  # voxels whose ranks are taken
WIDEST_BAND = 0.1  # of the frequencies along each axis, whose amplitudes are exchanged at most
KEPT = 64  # scans of the target that are looked at
Array = np.ndarray[Any, Any]


class MatchAppearanced(Randomizable, MapTransform):
    """Give replayed cases the grey values of scans of the target; every other case stays as it is.

    "histogram": each channel is mapped by the monotone curve that takes its ranks to those of a random scan (what
    `skimage.exposure.match_histograms` does, without the air around a body, whose share differs between scanners).
    "fourier": the amplitudes of low frequencies are those of a random place of a random scan, the phases stay (Yang & Soatto,
    "FDA: Fourier domain adaptation for semantic segmentation", CVPR 2020); the band is drawn up to a tenth.

    No label of the target is read. A scan is prepared when it is first drawn, and its ranks are kept.

    Args:
        keys: images (C, X, Y[, Z]) in [-1, 1].
        kind: one of `KINDS`.
        scans: cases of the target, {"image": path or paths, ...}; at most `KEPT` are used, evenly spaced.
        prepare: the deterministic transforms, for the scans.

    Raises:
        ConfigError: unknown kind, or no scan.
    """

    def __init__(
        self, keys: Any, kind: str, scans: Sequence[Mapping[str, Any]], prepare: Sequence[Callable[[Any], Any]]
    ) -> None:
        MapTransform.__init__(self, keys)
        if kind not in KINDS:
            raise ConfigError(f"match_appearance: got {kind!r}, expected one of {', '.join(KINDS)}")
        if kind != "none" and not scans:
            raise ConfigError("match_appearance: there is no scan of the target to take grey values from")
        self.kind, self.prepare = kind, Compose(list(prepare))
        self.scans = [scans[i] for i in np.linspace(0, len(scans) - 1, min(KEPT, len(scans))).astype(int)]
        self.seen: dict[int, Any] = {}
        self.own: dict[tuple[str, Hashable], Array] = {}
        self.scan, self.band, self.place = 0, 0.0, np.zeros(3)

    def randomize(self, data: Any = None) -> None:
        """Draw the scan, and for "fourier" the band and the place in the scan."""
        self.scan = int(self.R.randint(len(self.scans)))
        self.band, self.place = float(self.R.uniform(0, WIDEST_BAND)), self.R.uniform(size=3)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The case; a replayed one with other grey values, of the same shape, type and range."""
        d = dict(data)
        if self.kind == "none" or not d.get(REPLAYED):
            return d
        self.randomize()
        for key in self.key_iterator(d):
            image = torch.as_tensor(d[key]).float()
            matched = self._by_ranks(image, str(d.get("case_id")), key) if self.kind == "histogram" else self._by_bands(image)
            d[key] = convert_to_dst_type(matched.clip(-1.0, 1.0), d[key])[0]
        return d

    def _by_ranks(self, image: Tensor, case_id: str, key: Hashable) -> Tensor:
        name = (case_id, key)
        if name not in self.own:
            self.own[name] = ranks(image)
        curves = zip(self.own[name], self._target(ranks), strict=True)
        return torch.stack([mapped(channel, *curve) for channel, curve in zip(image, curves, strict=True)])

    def _by_bands(self, image: Tensor) -> Tensor:
        other = crop_like(self._target(lambda scan: scan.half()).float(), image.shape[1:], self.place)
        return with_low_amplitudes(image, other, self.band)

    def _target(self, of: Callable[[Tensor], Any]) -> Any:
        """What is kept of the scan that was drawn."""
        if self.scan not in self.seen:
            case = {k: v for k, v in self.scans[self.scan].items() if k != "label"}
            before = get_track_meta()
            set_track_meta(True)  # training has it off: the scan is yet to be turned and resampled by its affine
            try:
                self.seen[self.scan] = of(torch.as_tensor(self.prepare(case)["image"]).float())
            finally:
                set_track_meta(before)
        return self.seen[self.scan]


def ranks(image: Tensor) -> Array:
    """Grey values (C, `RANKS`) float32 at evenly spaced ranks of the voxels that are not air, ascending."""
    found = []
    for channel in image.reshape(image.shape[0], -1).numpy():
        values = channel[:: max(1, channel.size // MOST)]
        body = values[values > DARKEST]
        found.append(np.quantile(body if body.size >= FEWEST else values, np.linspace(0, 1, RANKS)))
    return np.stack(found).astype(np.float32)


def mapped(channel: Tensor, own: Array, wanted: Array) -> Tensor:
    """(X, Y[, Z]) by the monotone curve from `own` to `wanted` ranks; air stays."""
    levels = np.linspace(-1, 1, LEVELS)
    distinct, first = np.unique(own, return_index=True)
    last = np.append(first[1:], len(own)) - 1  # a value that fills many ranks goes to the middle of them
    table = np.interp(levels, distinct, (wanted[first] + wanted[last]) / 2)
    table[levels <= DARKEST] = -1.0
    places = ((channel.clip(-1, 1) + 1) * ((LEVELS - 1) / 2)).round().long()
    return torch.from_numpy(table.astype(np.float32))[places]


def crop_like(scan: Tensor, shape: Sequence[int], place: Array) -> Tensor:
    """The part of (C, X, Y[, Z]) with the edges `shape` at `place` (0 to 1 along each axis); short axes are mirrored."""
    for axis, edge in enumerate(shape, 1):
        size = scan.shape[axis]
        start = int(place[axis - 1] * max(0, size - edge + 1)) if size >= edge else 0
        index = torch.arange(start, start + edge)
        index = (index % max(1, 2 * size)).clip(max=2 * size - 1)
        scan = scan.index_select(axis, torch.where(index < size, index, 2 * size - 1 - index))
    return scan


def with_low_amplitudes(image: Tensor, other: Tensor, band: float) -> Tensor:
    """(C, X, Y[, Z]) with the amplitudes of `other` (same shape) where every frequency is at most `band` cycles a voxel.

    Both in [-1, 1]. Amplitudes are those above -1: a mean below 0 would keep its sign, which is the phase of frequency 0.
    """
    axes = tuple(range(1, image.ndim))
    own, wanted = torch.fft.fftn(image + 1, dim=axes), torch.fft.fftn(other + 1, dim=axes)
    low = torch.ones(image.shape[1:], dtype=torch.bool)
    for axis, edge in enumerate(image.shape[1:]):
        near = torch.fft.fftfreq(edge).abs() <= band
        low &= near.reshape([-1 if i == axis else 1 for i in range(image.ndim - 1)])
    amplitude = torch.where(low, wanted.abs(), own.abs())
    return torch.fft.ifftn(torch.polar(amplitude, own.angle()), dim=axes).real - 1
