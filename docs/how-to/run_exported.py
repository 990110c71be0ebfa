"""Segment volumes by a model of `monai-hybrid export`, without MONAI: python run_exported.py MODEL MASK IMAGE [CHANNEL ...]"""

import hashlib
import json
import sys
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np


def load(file):  # -> what the JSON says; a function of one window (1, C, X, Y, Z) float32 -> logits (1, K, X, Y, Z)
    told = json.loads(Path(f"{file}.json").read_text(encoding="utf-8"))
    if hashlib.sha256(Path(file).read_bytes()).hexdigest() != told["model"]["sha256"]:
        sys.exit(f"{file}: not the file that {Path(file).name}.json describes; export the model again")
    values = np.array([label["value"] for label in told["labels"]])
    told["values"] = values.astype(np.uint8 if values.max() < 256 else np.int32)  # in the mask, by class index
    if told["model"]["format"] == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        return told, lambda window: session.run(["logits"], {"image": window})[0]
    import torch

    network = torch.jit.load(file, map_location="cpu")
    return told, lambda window: network(torch.from_numpy(window)).numpy()


def along(array, axis, places, width=1.0):  # means of boxes of `width` around `places`; beyond the ends the last voxel counts
    edges = np.r_[-np.inf, np.arange(1, array.shape[axis]) - 0.5, np.inf]
    inside = np.minimum(edges[1:], places[:, None] + width / 2) - np.maximum(edges[:-1], places[:, None] - width / 2)
    return np.moveaxis(np.tensordot((inside.clip(0) / width).astype(np.float32), array, (1, axis)), 0, axis)


def normalised(grey, rule):  # one channel to [-1, 1]; with soft percentiles what lies beyond them goes on as a logarithm
    bounds, below, above = [rule["lower"], rule["upper"]], rule.get("below", 0), rule.get("above", 0)
    low, high = bounds if rule["method"] == "window" else np.percentile(grey, bounds)
    low, high = (grey.min(), grey.max()) if high <= low and "above" in rule else (low, high)
    if high <= low and "above" in rule:  # a constant image
        return np.zeros_like(grey)
    u, first, last = (grey - low) / (high - low or 2), -1 + 0.5 * (below > 0), 1 - 0.5 * (above > 0)
    tails = [t and np.log1p(e.clip(0)).clip(max=np.log1p(t)) / np.log1p(t) / 2 for t, e in [(above, u - 1), (below, -u)]]
    return first + (last - first) * u.clip(0, 1) + tails[0] - tails[1]


def segment(image, spacing, told, run):  # (C, X, Y, Z), mm a voxel -> class index (X, Y, Z)
    rule, use, area, ways = told["preprocessing"], told["inference"], told["preprocessing"]["resampling"] == "area", []
    for axis, factor in enumerate(np.divide(rule["spacing"], spacing), 1):  # to the network's grid
        n, factor = image.shape[axis], 1.0 if area and abs(factor - 1) < 1e-3 else factor
        size = max(1, round(n / factor)) if area else round((n - 1) / factor + 1)
        first = ((n - 1) - factor * (size - 1)) / 2 if area else 0
        image = along(image, axis, first + factor * np.arange(size), max(factor, 1.0) if area else 1.0)
        ways.append((np.arange(n) - first) / factor)
    image = np.stack([normalised(channel, rule["normalization"]) for channel in image]).astype(np.float32)
    missing = [max(0, r - n) for r, n in zip(use["window"], image.shape[1:], strict=True)]
    image = np.pad(image, [(0, 0), *[(m // 2, m - m // 2) for m in missing]], mode="edge")
    weight, starts = np.ones(()), []
    for r, n in zip(use["window"], image.shape[1:], strict=True):  # windows, the weights of their voxels and where they start
        weight = weight[..., None] * np.exp(-(((np.arange(r) - (r - 1) / 2) / (use["blending"]["sigma"] * r)) ** 2) / 2)
        step = max(1, int(r * (1 - use["overlap"])))
        starts.append([min(start, n - r) for start in range(0, n - r + step, step)])
    weight = weight.clip(max(weight.min(), use["blending"]["smallest"])).astype(np.float32)
    total = np.zeros((len(told["labels"]) + 1, *image.shape[1:]), np.float32)  # the last channel sums the weights
    for corner in product(*starts):
        place = (slice(None), *(slice(start, start + r) for start, r in zip(corner, use["window"], strict=True)))
        total[place] += np.append(run(np.ascontiguousarray(image[place])[None])[0] * weight, weight[None], 0)
    p = total[:-1] / total[-1]
    p = np.exp(p - p.max(0)) / np.exp(p - p.max(0)).sum(0)
    for axis, (way, m) in enumerate(zip(ways, missing, strict=True), 1):  # back to the image's grid, without the padding
        p = along(p.take(np.arange(m // 2, p.shape[axis] - (m - m // 2)), axis), axis, way)
    return p.argmax(0)


def main(model, mask, *files):
    (told, run), original = load(model), nib.load(files[0])
    turned = [nib.as_closest_canonical(nib.load(file)) for file in files]  # axes to the right, forwards, upwards
    channels = [np.moveaxis(np.asarray(one.dataobj, np.float32).reshape(*one.shape[:3], -1), -1, 0) for one in turned]
    found = segment(np.concatenate(channels), nib.affines.voxel_sizes(turned[0].affine), told, run)
    back = nib.orientations.ornt_transform(*(nib.io_orientation(one.affine) for one in (turned[0], original)))
    found = nib.apply_orientation(told["values"][found], back)
    nib.save(nib.Nifti1Image(found, original.affine, original.header, dtype=found.dtype), mask)


if __name__ == "__main__":
    main(*sys.argv[1:])
