"""A MONAI inferer: from the preprocessed image to labels on the input's own grid, in memory independent of K x volume."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from torch import Tensor, nn
from torch.nn import functional as F

from monai_hybrid.beside import Behind
from monai_hybrid.errors import DataError
from monai_hybrid.inferers.agreement import AgreeingPrecision
from monai_hybrid.inferers.emit import Emitter, OnProbabilities, Segmentation
from monai_hybrid.inferers.grid_map import GridMap, axis_map, grid_map, input_grid
from monai_hybrid.inferers.rods import Rod, finished_rods
from monai_hybrid.inferers.windows import Span, num_windows
from monai_hybrid.networks.weights_state import WeightsState

RODS_LEFT = 4  # that may wait for their way back while the next windows are computed


class InputGridInferer(Inferer):
    """Sliding windows, softmax, back to the input's grid, argmax: rod by rod.

    It takes the place of SlidingWindowInferer, Activationsd(softmax), Invertd and AsDiscreted(argmax), which hold K x volume
    floats several times over. Open logits are float32 up to 128 MB, float16 above.

    Args:
        roi_size: window, voxels of the network's grid.
        sw_batch_size: windows a call of the network.
        overlap: share of a window that its neighbour covers too.
        skip_empty: do not look at windows that are nothing but the image's smallest value.
        keep_entropy, keep_probabilities: fill the maps of the `Segmentation`.
        wrap: called once with the network, gives the segmenter that is run on the windows: (B, C, *roi) -> (B, K, *roi) logits.
            The one place where the network is folded, cast or averaged over small noise.
        temperature: K numbers of the model's card that calibrate the probabilities that are kept.

    `on_windows`, `on_rod` and `on_probabilities` may be set before a `segment`: windows done and in all; axes and rod on the
    network's grid; a piece of the probabilities on the input's grid and its place.
    """

    def __init__(
        self,
        roi_size: Sequence[int],
        sw_batch_size: int = 1,
        overlap: float = 0.5,
        skip_empty: bool = False,
        keep_entropy: bool = False,
        keep_probabilities: bool = False,
        wrap: Callable[[nn.Module], Callable[[Tensor], Tensor]] | None = None,
        temperature: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}")
        self.roi_size, self.sw_batch_size, self.overlap, self.skip_empty = roi_size, sw_batch_size, overlap, skip_empty
        self.keep_entropy, self.keep_probabilities, self.wrap = keep_entropy, keep_probabilities, wrap
        self.temperature = temperature
        self.on_windows: Callable[[int, int], None] | None = None
        self.on_rod: Callable[[Sequence[int], Rod], None] | None = None
        self.on_probabilities: OnProbabilities | None = None
        self._wrapped: tuple[WeightsState, Callable[[Tensor], Tensor]] | None = None

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Class indices (B, 1, X, Y[, Z]), uint8, on the grid of the files; a plain tensor keeps its own grid."""
        images = list(inputs)
        labels = torch.stack([self.segment(image, network, *args, **kwargs).labels for image in images])[:, None]
        if not isinstance(inputs, MetaTensor):
            return labels
        return MetaTensor(labels, meta=meta_of_the_file(inputs))

    @torch.no_grad()
    def segment(self, image: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Segmentation:
        """Labels and entropy of one (C, X, Y[, Z]) image; as a MetaTensor it knows the grid it was read from.

        Raises:
            DataError: the image holds NaN or Inf, which would become a class by the maximum.
            ModelFileError: the image is sound, and the network gave NaN or Inf.
        """
        name = str(image.meta.get("filename_or_obj", "the image")) if isinstance(image, MetaTensor) else "the image"
        # One pass without a copy of the image, which isfinite makes; a NaN anywhere becomes both ends.
        if not all(math.isfinite(end) for end in torch.aminmax(image.as_subclass(Tensor))):
            raise DataError(f"{name}: holds NaN or Inf; run `monai-hybrid check` on the data set")
        size = tuple(image.shape[1:])
        shape, affine = input_grid(image) if isinstance(image, MetaTensor) else (size, np.eye(len(size) + 1))
        target = grid_map(size, shape, affine)
        segmenter = self.segmenter(network)
        choosing = segmenter if isinstance(segmenter, AgreeingPrecision) else None
        if choosing is not None:
            choosing.new_image(num_windows(size, self.roi_size, self.overlap))
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
        rods = finished_rods(
            plain[None].float(),
            lambda x: segmenter(x, *args, **kwargs),
            self.roi_size,
            self.overlap,
            self.sw_batch_size,
            self.skip_empty,
            self.on_windows,
        )
        emitter: Emitter | None = None
        whole: Tensor | None = None  # only for a sheared input
        kept = self.keep_entropy, self.keep_probabilities, self.temperature, self.on_probabilities
        inference = torch.is_inference_mode_enabled()  # a thread's own

        @torch.inference_mode(inference)
        def take(axes: Sequence[int], rod: Rod) -> None:
            nonlocal emitter, whole
            if self.on_rod is not None:
                self.on_rod(axes, rod)
            if target is None:
                whole = _collect(whole, rod, axes, size)
                return
            emitter = emitter or Emitter(target, axes, *kept)
            emitter.add(rod, size[axes[1]])

        with Behind(RODS_LEFT) as behind:
            for finished in rods:
                behind.do(take, *finished)
            behind.wait()
        if whole is not None:
            emitter = Emitter(_identity(shape), range(len(shape)), *kept)
            _emit_sheared(emitter, whole, shape, affine)
        assert emitter is not None
        found = emitter.result(name)
        found.precision = None if choosing is None else choosing.precision
        return found

    def segmenter(self, network: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The wrapped network, made anew when the network or its weights are others."""
        if self.wrap is None or not isinstance(network, nn.Module):
            return network
        if self._wrapped is None or not self._wrapped[0].holds(network):
            self._wrapped = WeightsState(network), self.wrap(network)
        return self._wrapped[1]


def meta_of_the_file(image: MetaTensor) -> dict[str, Any]:
    """The metadata of a preprocessed image with the affine of the file it was read from."""
    original = image.meta.get("original_affine", np.eye(4) if image.applied_operations else image.affine)
    return {**image.meta, "affine": torch.as_tensor(np.asarray(original))}


def _identity(shape: Sequence[int]) -> GridMap:
    maps = tuple(axis_map(np.arange(n, dtype=float), n) for n in shape)
    return GridMap(tuple(shape), tuple(range(len(shape))), maps)


def _collect(whole: Tensor | None, rod: Rod, axes: Sequence[int], size: Sequence[int]) -> Tensor:
    """Probabilities of the whole network grid, (K, X, Y[, Z]): a sheared grid cuts across the rods."""
    logits = rod.logits
    if whole is None:
        whole = torch.zeros((len(logits), *size), dtype=logits.dtype, device=logits.device)
    place = whole.permute(0, *(axis + 1 for axis in axes))
    place = place[:, rod.outer.start : rod.outer.stop, rod.inner.start : rod.inner.stop]
    for where, mean in rod.tiles():
        place[:, where] = mean.softmax(0)
    return whole


def _emit_sheared(emitter: Emitter, whole: Tensor, shape: Sequence[int], affine: np.ndarray) -> None:
    """Interpolate at every voxel of the input, one slice of its first axis at a time."""
    source = whole.float()[None]
    lengths = np.asarray(whole.shape[1:])
    for i in range(shape[0]):
        index = np.stack(np.meshgrid([i], *[np.arange(n) for n in shape[1:]], indexing="ij"), -1)
        place = index @ affine[: len(shape), : len(shape)].T + affine[: len(shape), len(shape)]
        scaled = (2 * place / np.maximum(lengths - 1, 1) - 1)[..., ::-1].copy()
        grid = torch.from_numpy(scaled).to(source)[None]
        piece = F.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=True)[0]
        emitter.add(Rod(piece.clamp_(min=1e-30).log_(), Span(i, i + 1), Span(0, shape[1])), shape[1])
