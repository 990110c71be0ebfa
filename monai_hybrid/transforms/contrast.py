"""Random contrasts for a change of modality or sequence: what is bright here may be dark there, the anatomy is the same."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type, convert_to_tensor
from torch import Tensor

from monai_hybrid.errors import ConfigError

CONTRASTS = ("none", "histogram", "gin")
LAYERS, HIDDEN, SLOPE = 4, 2, 0.01
Layer = tuple[Tensor, Tensor]


def contrast_kind(setting: str | bool) -> str:
    """The setting `contrast_randomisation` as one of `CONTRASTS`; True means "histogram" and False "none".

    Raises:
        ConfigError: anything else.
    """
    if isinstance(setting, bool):
        return "histogram" if setting else "none"
    if setting not in CONTRASTS:
        raise ConfigError(f"contrast_randomisation: got {setting!r}, expected one of {', '.join(CONTRASTS)}")
    return setting


class RandGIN(RandomizableTransform):
    """Global intensity non-linear augmentation (GIN): a shallow network of random weights, blended with the image.

    Ouyang et al., "Causality-inspired single-source domain generalization for medical image segmentation", IEEE TMI 2022:
    four convolutions with kernels of 1 or 3, two hidden channels and leaky ReLU; weights and biases are normal, drawn anew for
    each image; blended with weight alpha ~ U(0, 1); the Frobenius norm is kept. Their images are z-scored, so the norm about
    zero is the standard deviation; ours lie in [-1, 1], so mean and standard deviation are kept, and what then leaves the
    range is clipped.

    Borders are padded by repeating, so a background of one value stays of one value (not always the darkest), and a constant
    image stays as it is.

    Args:
        prob: share of the images that are changed.
    """

    def __init__(self, prob: float = 0.5) -> None:
        RandomizableTransform.__init__(self, prob)
        self.layers: list[tuple[np.ndarray, np.ndarray]] = []
        self.alpha = 0.0

    def randomize(self, data: tuple[int, int]) -> None:
        """Draw the network and alpha for (C, number of spatial axes)."""
        super().randomize(None)
        if not self._do_transform:
            return
        channels, dims = data
        widths = [channels, *[HIDDEN] * (LAYERS - 1), channels]
        self.layers = []
        for inputs, outputs in itertools.pairwise(widths):
            kernel = [int(self.R.choice([1, 3]))] * dims
            self.layers.append((self.R.normal(size=(outputs, inputs, *kernel)), self.R.normal(size=outputs)))
        self.alpha = float(self.R.uniform())

    def __call__(self, img: Any, randomize: bool = True) -> Any:
        """(C, X, Y[, Z]) in [-1, 1] -> the same shape, type and range."""
        if randomize:
            self.randomize((img.shape[0], img.ndim - 1))
        if not self._do_transform:
            return img
        image = convert_to_tensor(img, dtype=torch.float32, track_meta=False)
        layers = [(image.new_tensor(weight), image.new_tensor(bias)) for weight, bias in self.layers]
        return convert_to_dst_type(apply_gin(image, layers, self.alpha), img)[0]


class RandGINd(RandomizableTransform, MapTransform):
    """`RandGIN` for dictionaries: all `keys` of a case get the same network.

    Args:
        keys: image keys; their images have the same number of channels and axes. Labels are left alone.
        prob: share of the cases that are changed.
        allow_missing_keys: do not complain about a key that is not there.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.5, allow_missing_keys: bool = False) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.gin = RandGIN(prob=1.0)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandGINd:
        """Seed the choice of cases and the networks."""
        super().set_random_state(seed, state)
        self.gin.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change the images of `data`."""
        d = dict(data)
        self.randomize(None)
        first = self.first_key(d)
        if not self._do_transform or first == ():
            return d
        self.gin.randomize((d[first].shape[0], d[first].ndim - 1))
        for key in self.key_iterator(d):
            d[key] = self.gin(d[key], randomize=False)
        return d


def apply_gin(image: Tensor, layers: Sequence[Layer], alpha: float) -> Tensor:
    """The deterministic half: the same weights give the same image.

    Args:
        image: (C, X, Y[, Z]) float, in [-1, 1].
        layers: weight (out, in, k, k[, k]) and bias (out,) of each convolution; the first takes and the last gives C channels.
        alpha: share of the network's output in the blend, 0..1.
    """
    convolve = F.conv3d if image.ndim == 4 else F.conv2d
    h = image[None]
    for number, (weight, bias) in enumerate(layers):
        around = weight.shape[-1] // 2
        h = convolve(F.pad(h, [around] * 2 * (image.ndim - 1), mode="replicate"), weight, bias)
        h = F.leaky_relu(h, SLOPE) if number < len(layers) - 1 else h
    return _with_moments_of(image, alpha * _with_moments_of(image, h[0]) + (1 - alpha) * image).clamp(-1.0, 1.0)


def _with_moments_of(image: Tensor, other: Tensor) -> Tensor:
    """`other` with the mean and the standard deviation that `image` has over all its voxels and channels."""
    centred = other - other.mean()
    spread = centred.square().mean().sqrt()
    wanted = (image - image.mean()).square().mean().sqrt()
    if spread <= 1e-6 * (1 + other.abs().max()):  # the network gave one value everywhere: there is nothing to scale
        return image
    return centred * (wanted / spread) + image.mean()
