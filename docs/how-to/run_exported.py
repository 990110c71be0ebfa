"""Segment with a model of `monai-hybrid export`, without MONAI: python run_exported.py MODEL MASK IMAGE [NEXT CHANNEL ...]"""

import hashlib
import io
import json
import sys
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image


def network(raw, kind):  # one window (1, C, X, Y[, Z]) float32 -> logits (1, K, X, Y[, Z])
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
        return lambda x: session.run(["logits"], {"image": x})[0]
    import torch

    script = torch.jit.load(io.BytesIO(raw), map_location="cpu")
    return lambda x: script(torch.from_numpy(x)).numpy()


def planes(file, colours):  # channels (W, H) of a picture
    picture = Image.open(file)
    pixels = np.asarray(picture if picture.mode in ("L", "I", "I;16", "F", "RGB") else picture.convert("RGB")).T
    red, green, blue = pixels if pixels.ndim == 3 else [pixels] * 3
    grey = red if (red == green).all() and (red == blue).all() else np.rint(0.299 * red + 0.587 * green + 0.114 * blue)
    return [{"red": red, "green": green, "blue": blue, "grey": grey}[colour] for colour in colours]


def along(values, axis, places, width=1.0):  # means of boxes of `width` around `places`; beyond the ends the last voxel counts
    edges = np.r_[-np.inf, np.arange(1, values.shape[axis]) - 0.5, np.inf]
    low, high = np.maximum(edges[:-1], places[:, None] - width / 2), np.minimum(edges[1:], places[:, None] + width / 2)
    return np.moveaxis(np.tensordot(((high - low).clip(0) / width).astype(np.float32), values, (1, axis)), 0, axis)


def normalised(grey, rule):  # one channel to [-1, 1]
    soft, low, high = rule["method"] == "soft_percentiles", rule["lower"], rule["upper"]
    low, high = (low, high) if rule["method"] == "window" else np.percentile(grey, [low, high])
    low, high = (low, high) if high > low else (grey.min(), grey.max()) if soft else (low, low + 2)
    below, above = (rule["below"], rule["above"]) if soft else (0, 0)
    u, first, last = (grey - low) / (high - low or 1), -1 + 0.5 * (below > 0), 1 - 0.5 * (above > 0)
    lower, upper = (
        (np.log1p(e.clip(0)) / np.log1p(t or 1)).clip(max=1) / 2 * (t > 0) for t, e in ((below, -u), (above, u - 1))
    )
    return first + (last - first) * u.clip(0, 1) + upper - lower if high > low else 0 * u


def segment(image, spacing, told, run):  # (C, X, Y[, Z]), mm a voxel -> class index (X, Y[, Z])
    rule, window, shape = told["preprocessing"], told["inference"]["window"], image.shape[1:]
    area, ways = rule["resampling"] == "area", []
    for n, f in zip(shape, np.divide(rule["spacing"], spacing), strict=True):
        f = 1.0 if area and abs(f - 1) < 1e-3 else f
        m = max(1, round(n / f)) if area else round((n - 1) / f + 1)
        first = ((n - 1) - f * (m - 1)) / 2 if area else 0
        image = along(image, len(ways) + 1, first + f * np.arange(m), max(f, 1.0) if area else 1.0)
        ways.append((np.arange(n) - first) / f)
    image = np.stack([normalised(channel, rule["normalization"]) for channel in image]).astype(np.float32)
    pads = [((r - n) // 2, r - n - (r - n) // 2) if r > n else (0, 0) for r, n in zip(window, image.shape[1:], strict=True)]
    image = np.pad(image, [(0, 0), *pads], mode="edge")
    weight, steps, blending = np.ones(()), [], told["inference"]["blending"]
    for r, n in zip(window, image.shape[1:], strict=True):
        weight = weight[..., None] * np.exp(-((np.arange(r) - (r - 1) / 2) ** 2) / (2 * (blending["sigma"] * r) ** 2))
        step = max(1, int(r * (1 - told["inference"]["overlap"])))
        steps.append([min(i * step, n - r) for i in range(-(-(n - r) // step) + 1)])
    weight = weight.clip(max(weight.min(), blending["smallest"])).astype(np.float32)
    total = np.zeros((len(told["labels"]) + 1, *image.shape[1:]), np.float32)  # the last channel sums the weights
    for start in product(*steps):
        place = (slice(None), *(slice(s, s + r) for s, r in zip(start, window, strict=True)))
        total[place] += np.append(run(np.ascontiguousarray(image[place])[None])[0] * weight, weight[None], 0)
    inside = (slice(None), *(slice(low, n - high) for (low, high), n in zip(pads, image.shape[1:], strict=True)))
    p = (total[:-1] / total[-1])[inside]
    if shape != p.shape[1:] or any((np.abs(way - way.round()) > 1e-4).any() for way in ways):
        p = np.exp(p - p.max(0)) / np.exp(p - p.max(0)).sum(0)
        for axis, way in enumerate(ways, 1):
            p = along(p, axis, way)
    return p.argmax(0)


model, mask, files = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
told, raw = json.loads(model.with_name(model.name + ".json").read_text(encoding="utf-8")), model.read_bytes()
if hashlib.sha256(raw).hexdigest() != told["model"]["sha256"]:
    sys.exit(f"{model}: not the file that {model.name}.json describes; export the model again")
run, dims = network(raw, told["model"]["format"]), told["spatial_dims"]
values = np.array([label["value"] for label in told["labels"]])
values = values.astype(np.uint8 if values.max() < 256 else np.int32)
if not files[0].endswith((".nii", ".nii.gz")):
    image = np.array([plane for file in files for plane in planes(file, told["colour"] or ["red"])], np.float32)
    Image.fromarray(values[segment(image, [1.0, 1.0], told, run)].T).save(mask)
    sys.exit()
opened = [nib.load(file) for file in files]
affine, to_ras = opened[0].affine, nib.io_orientation(opened[0].affine)
arrays = [np.asarray(one.dataobj, dtype=np.float32) for one in (map(nib.as_closest_canonical, opened) if dims == 3 else opened)]
flat = [axis for axis, n in enumerate(arrays[0].shape[:3]) if n == 1][:1] if dims == 2 else []
arrays = [array.squeeze(tuple(flat)) for array in arrays]
edges = np.delete((nib.as_closest_canonical(opened[0]) if dims == 3 else opened[0]).affine[:3, :3], flat, 1)[:, :dims]
spacing = np.linalg.norm(edges, axis=0)
if np.abs(np.triu((edges / spacing).T @ (edges / spacing), 1)).max() > 0.017:
    sys.exit(f"{files[0]}: its axes are not perpendicular; use monai-hybrid predict")
found = segment(np.stack(arrays) if arrays[0].ndim == dims else np.moveaxis(arrays[0], -1, 0), spacing, told, run)
if dims == 3:
    found = nib.apply_orientation(found, nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), to_ras))
header = opened[0].header.copy()
header.set_data_dtype(values.dtype)
nib.save(nib.Nifti1Image(np.expand_dims(values[found], tuple(flat)), affine, header), mask)
