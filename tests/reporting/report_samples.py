"""Made folders of a training and of an evaluation, with numbers that are known by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from monai_hybrid.evaluation.case_table import write_cases
from monai_hybrid.evaluation.summary import summarize

EVIL = '<script>alert("x")</script>'
DICE = {
    "case_a": (0.9, 0.8),
    "case_b": (0.8, 0.7),
    "case_c": (0.7, 0.6),
    "case_d": (0.6, 0.5),
    "case_e": (0.5, None),
    "case_f": (0.85, 0.75),
}
VOID = {"meta", "img", "link", "br", "hr", "input"}


def row(case: str, name: str, dice: float | None) -> dict[str, Any]:
    """A structure of 100 voxels; None: missed."""
    found = dice is not None
    scores = {"dice": dice, "nsd": dice, "hd95": 3.0} if found else {"dice": 0.0, "nsd": 0.0, "hd95": 80.0}
    sizes = {"label_voxels": 100, "pred_voxels": 100 if found else 0, "label_ml": 0.1, "pred_ml": 0.1 if found else 0.0}
    return {"case_id": case, "class": name, **scores, **sizes, "status": "ok" if found else "missed"}


def evaluation(
    folder: Path,
    dice: Mapping[str, Sequence[float | None]] = DICE,
    names: Sequence[str] = ("liver", "spleen"),
    **about: Any,
) -> Path:
    """`cases.csv` and `summary.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row(case, name, value) for case, values in dice.items() for name, value in zip(names, values, strict=True)]
    write_cases(rows, folder / "cases.csv")
    head = {"dataset": "clinic", "split": "testing", "unit": "mm", "nsd_tolerance": 2.0, **about}
    dump(folder / "summary.json", {**head, **summarize(rows)})
    return folder


def slices(folder: Path, cases: Sequence[str] = tuple(DICE), shape: tuple[int, int] = (40, 30)) -> None:
    """A square of class 1 in the reference, one pixel lower in the prediction; pixels 2 mm high and 1 mm wide."""
    (folder / "slices").mkdir(exist_ok=True)
    image = np.linspace(0, 255, shape[0] * shape[1]).reshape(shape).astype(np.uint8)
    reference = np.zeros(shape, np.uint8)
    reference[10:20, 8:20] = 1
    arrays = {"image": image, "reference": reference, "prediction": np.roll(reference, 1, 0), "spacing": np.float32([2, 1])}
    for case in cases:
        np.savez(folder / "slices" / f"{case}.npz", **arrays)


def volumes(folder: Path, cases: Sequence[str], shape: tuple[int, int, int] = (14, 12, 10), **other: Any) -> None:
    """A box of class 1 in the reference, one voxel further in the prediction; noise, voxels of 1 x 1 x 2 mm, RAS."""
    (folder / "volumes").mkdir(exist_ok=True)
    reference = np.zeros(shape, np.uint8)
    reference[3:8, 3:8, 3:8] = 1
    arrays = {"image": np.random.default_rng(0).integers(0, 255, shape, np.uint8), "reference": reference}
    arrays |= {"prediction": np.roll(reference, 1, 0), "spacing": np.float32([1, 1, 2]), "unit": np.array("mm")}
    arrays |= {"oriented": np.array(True), "step": np.array([1, 1, 1]), "cut": np.array(False), **other}
    for case in cases:
        np.savez(folder / "volumes" / f"{case}.npz", **arrays)


def training(folder: Path) -> Path:
    """Logs, shots, transfer and run of a training of three epochs after an older one of two."""
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    epochs = [(1, 9.0), (2, 8.0), (1, 3.0), (2, 2.0), (3, 1.5)]
    records = [
        {"epoch": e, "updates": e, "loss": v, "mask_clean": v, "mask_loss_by_t": {"clean": v, "000-100": None}}
        for e, v in epochs
    ]
    (logs / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    dump(folder / "shots.json", {"seed": 4, "patients": ["p1", "p2"], "cases": ["p1_1", "p1_2", "p2_1"]})
    labels = [{"label": "liver", "source": "liver", "row": 1}, {"label": "spleen", "source": None, "row": None}]
    counts = {"loaded": 9, "adapted": 1, "new": 2, "dropped": 0}
    dump(logs / "transfer.json", {
        "source": "a/model.safetensors", "share": 0.75, "taken": 750, "parameters": 1000, "counts": counts,
        "labels": labels, "channels": [{"channel": "T1", "input": {"T2": 0.5, "PD": 0.5}}],
        "dropped_labels": ["kidney"], "warnings": ["look here"],
    })  # fmt: skip
    dump(logs / "run.json", run("train.json"))
    return folder


def run(config: str) -> dict[str, Any]:
    """A record as bundle/manifest.py writes it."""
    return {
        "command": f"python -m monai.bundle run --config_file {config}", "seed": 4,
        "outcome": "finished", "ended": "2026-01-02T03:04:05+00:00",
        "seconds": 61.0, "versions": {"python": "3.11.7", "torch": "2.10.0"}, "revision": "abc123",
        "machine": {"cpu": "A CPU", "cores": 2, "gpu": None, "system": "Linux x86_64"},
    }  # fmt: skip


def extras(folder: Path) -> None:
    """Shift and forgetting, as evaluate.json writes them."""
    findings = [{"kind": "spacing", "level": "warning", "sentence": "Slices are 3 times thicker."}]
    dump(folder / "shift.json", {"source": "east", "target": "west", "findings": findings})
    mean = {"before": 0.8, "after": 0.7, "difference": -0.1, "interval": [-0.15, -0.05]}
    classes = {"liver": mean, "spleen": {"before": None, "after": None, "difference": None, "interval": None}}
    sentence = "The model is worse on east."
    dump(folder / "forgetting.json", {"source": "east", "cases": 5, "classes": classes, "mean": mean, "sentence": sentence})


def dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


class Page(HTMLParser):
    """What a page is made of; raises on tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]
