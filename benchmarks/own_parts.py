"""Why some parts are our own: each beside what MONAI, scipy or matplotlib offers for the same, in numbers.

    python -m benchmarks.own_parts [resume cache interval chart]

Sliding windows have a command of their own: `python -m benchmarks.speed.sliding_window --classes 15`. Times are processor time,
the best of five.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, PersistentDataset
from monai.transforms import Compose, RandGaussianNoised, RandomizableTransform, Transform
from monai.utils import set_determinism
from torch.utils.data import RandomSampler

from monai_hybrid.engines.replay import ReplayableDataset, ReplayableSampler
from monai_hybrid.engines.volume_cache import VolumeCache

SHAPE, CROP = (256, 256, 128), 64


class Load(Transform):
    """A volume from a .npy file, and its mask."""

    def __call__(self, case: dict[str, str]) -> dict[str, torch.Tensor]:
        """{"image", "label"}: paths -> tensors (1, X, Y, Z)."""
        return {key: torch.from_numpy(np.load(path)) for key, path in case.items()}


class GlobalNoise(RandomizableTransform):
    """As many a transform: it draws from a global generator."""

    def __call__(self, case: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add one random number."""
        return {**case, "image": case["image"] + random.random() + torch.rand(())}


def best_ms(action: Callable[[], object]) -> float:
    """Processor milliseconds of the fastest of five calls."""
    found = []
    for _ in range(5):
        started = time.process_time()
        action()
        found.append(1000 * (time.process_time() - started))
    return min(found)


def resume() -> Iterator[str]:
    """A run of 12 samples that goes on after 6; a run with two loader processes: how many samples are those of a plain run."""
    data = [{"image": torch.full((1, 4), float(i))} for i in range(5)]
    transform = Compose([RandGaussianNoised("image", prob=1.0), GlobalNoise()])

    def monai(skip: int, workers: int) -> list[torch.Tensor]:
        set_determinism(0)
        dataset = CacheDataset(data, transform, progress=False)
        sampler = RandomSampler(dataset, replacement=True, num_samples=12 - skip)
        return [batch["image"][0] for batch in DataLoader(dataset, sampler=sampler, num_workers=workers)]

    def ours(skip: int, workers: int) -> list[torch.Tensor]:
        dataset = ReplayableDataset(data, transform, progress=False)
        draws = ReplayableSampler(RandomSampler(dataset), 12)
        draws.start(0, skip)
        return [batch["image"][0] for batch in DataLoader(dataset, sampler=draws, num_workers=workers)]

    for name, run in (("set_determinism and CacheDataset", monai), ("ours", ours)):
        whole, rest, two = run(0, 0), run(6, 0), run(0, 2)
        same = [sum(map(torch.equal, a, b)) for a, b in ((whole[6:], rest), (whole, two))]
        yield f"{name}: {same[0]} of 6 samples after going on, {same[1]} of 12 with two loader processes are as before"


def cache() -> Iterator[str]:
    """A crop out of a prepared volume on disk, and what is read after a mask was corrected."""
    with tempfile.TemporaryDirectory() as folder:
        case = {key: str(Path(folder) / f"{key}.npy") for key in ("image", "label")}
        np.save(case["image"], np.random.default_rng(0).random((1, *SHAPE), np.float32))
        np.save(case["label"], np.zeros((1, *SHAPE), np.uint8))
        theirs = PersistentDataset([case], [Load()], Path(folder) / "monai", track_meta=True)
        ours = VolumeCache(Path(folder) / "ours", [Load()])
        for name, read in (("PersistentDataset", lambda: theirs[0]), ("ours", lambda: ours.item(case, lambda: Load()(case)))):
            read()
            took = best_ms(lambda read=read: read()["image"][:, :CROP, :CROP, :CROP].clone())
            np.save(case["label"], np.ones((1, *SHAPE), np.uint8))
            kept = "the corrected mask" if int(read()["label"].max()) else "the old mask"
            yield f"{name}: {took:.1f} ms a crop of {CROP}^3 out of {SHAPE}; after a correction it gives {kept}"
            np.save(case["label"], np.zeros((1, *SHAPE), np.uint8))


def interval() -> Iterator[str]:
    """95 % intervals of scipy's bootstrap: how often they hold the true mean of Dice ~ Beta(8, 2), and where all are equal."""
    from scipy.stats import bootstrap

    rng = np.random.default_rng(0)
    for method in ("percentile", "BCa"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = []
            for n in (3, 5, 8, 12, 20):
                found = [bootstrap((rng.beta(8, 2, n),), np.mean, n_resamples=999, method=method) for _ in range(400)]
                ends = [of.confidence_interval for of in found]
                held.append(f"{n}: {sum(low <= 0.8 <= high for low, high in ends) / 4:.0f} %")
            equal = bootstrap(([0.9, 0.9, 0.9],), np.mean, method=method).confidence_interval
        words = "not a number" if math.isnan(equal.low) else f"{equal.low:g} to {equal.high:g}"
        yield f"{method}: patients and coverage {', '.join(held)}; three equal scores give {words}"


def chart() -> Iterator[str]:
    """Forty cases in three runs as SVG."""
    from matplotlib.figure import Figure

    from monai_hybrid.reporting.charts import paired_points

    rng = np.random.default_rng(0)
    runs = {
        name: {f"case {i}": float(v) for i, v in enumerate(rng.beta(8, 2, 40))} for name in ("before", "scratch", "adapted")
    }
    means = {name: (float(np.mean(list(of.values()))), (0.7, 0.9)) for name, of in runs.items()}

    def theirs() -> str:
        figure, page = Figure(figsize=(4.4, 2.7)), io.StringIO()
        axes = figure.add_subplot()
        axes.plot(np.array([list(of.values()) for of in runs.values()]), "o-", lw=0.5, ms=3)
        axes.errorbar(range(3), [mean for mean, _ in means.values()], yerr=0.1, fmt="D")
        axes.set_xticks(range(3), runs)
        figure.savefig(page, format="svg")
        return page.getvalue()

    def ours() -> str:
        return str(paired_points(runs, means, "Dice", "Dice"))

    for name, draw in (("matplotlib", theirs), ("ours", ours)):
        page = draw()
        named = "with" if "case 7" in page else "without"
        colours = "of the page" if "#" not in page else "fixed"
        yield f"{name}: {best_ms(draw):.1f} ms, {len(page) / 1000:.0f} kB, {named} the names of the cases, colours {colours}"


PARTS: dict[str, Callable[[], Iterator[str]]] = {"resume": resume, "cache": cache, "interval": interval, "chart": chart}


def main() -> None:
    """Print what is asked for; by default all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; none: all")
    torch.set_num_threads(1)
    for part in parser.parse_args().parts or PARTS:
        for line in PARTS[part]():
            print(f"{part:9} {line}", flush=True)


if __name__ == "__main__":
    main()
