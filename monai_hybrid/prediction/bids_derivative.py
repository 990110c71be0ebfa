"""Masks of a BIDS data set as a BIDS derivative: `sub-01/anat/sub-01_dseg.nii.gz`, its origin, and the names of its labels.

Rules: BIDS specification 1.10.0, "BIDS derivatives" and "Segmentations". What the specification has no name for, `quality.csv`
among it, is listed in `.bidsignore`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.transforms import MapTransform

from data_prep.bids import DESCRIPTION
from data_prep.cells import harmless
from data_prep.home import at_home
from data_prep.json_io import dump_json, write_atomically
from data_prep.result_files import PALETTE, TOOL, refuse_other
from data_prep.scans import is_own
from monai_hybrid import __version__
from monai_hybrid.bids_scans import read_description
from monai_hybrid.errors import DataError

VERSION = "1.10.0"
DESCRIBED = ("_dseg.nii.gz", "_probseg.nii.gz")  # masks and maps that have a sidecar
ENDINGS = {"pred": "dseg", "probabilities": "probseg", "entropy": "entropy"}  # key of a map: end of its name
IGNORED = (
    "quality.csv",
    "trust.json",
    "run.json",
    "labels.txt",
    "report.html",
    "logs/",
    "data/",
    "*_seg.nii.gz",
    "*_entropy.nii.gz",
    "*_probabilities.nii.gz",
    "statistics.csv",
    "statistics.json",
    "*_preview.png",
)
MADE = f"Segmentation by {TOOL} {__version__}, on the grid of its first source"
README = """Masks of {name}, written by {tool} {version}.

Each *_dseg.nii.gz lies on the grid of the image that its *_dseg.json names under Sources; dseg.tsv names the values.
quality.csv has one row a mask, with volumes and scores; its column flag says which masks a person should look at first.
The masks are not for clinical use.
"""


class BidsDerivatived(MapTransform):
    """Move what was written for a scan to its place in a derivative, with a sidecar; scans of no BIDS data set are let through.

    Args:
        keys: "pred", "probabilities", "entropy"; the file of each is under "<key>_file".
        output_dir: root of the derivative.
        cases: of `bids_cases`; those without "place" are of no BIDS data set.
        source: root of the BIDS data set.
        labels: of the model's card.

    Raises:
        ConfigError, DataError: a file that prediction did not write has the name of the mask, of its sidecar or of a table;
            nothing is kept of this scan then.
    """

    def __init__(
        self, keys: Any, output_dir: str, cases: Sequence[Mapping[str, Any]], source: Any, labels: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.folder, self.labels = at_home(output_dir), labels
        self.source = at_home(str(source))
        self.cases = {case["case_id"]: case for case in cases if "place" in case}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Move each file that is there; "<key>_file" follows."""
        d = dict(data)
        case = self.cases.get(d.get("case_id"))
        if case is None:
            return d
        files = {key: Path(d[f"{key}_file"]) for key in self.keys if f"{key}_file" in d}
        targets = {key: self.folder / f"{case['place']}_{ENDINGS[str(key)]}.nii.gz" for key in files}
        sidecars = [sidecar_of(target) for target in targets.values() if target.name.endswith(DESCRIBED)]
        try:
            self._refuse_taken(targets.values())
            for sidecar in sidecars:
                refuse_other(sidecar)
            write_root(self.folder, self.source, self.labels)
            for key, file in files.items():
                targets[key].parent.mkdir(parents=True, exist_ok=True)
                self._describe(targets[key], case)
                file.replace(targets[key])
                d[f"{key}_file"] = str(targets[key])
        except Exception:
            for file in files.values():
                file.unlink(missing_ok=True)
            raise
        return d

    def _refuse_taken(self, targets: Any) -> None:
        taken = next((path for path in targets if path.exists() and not is_own(path)), None)
        if taken is not None:
            raise DataError(f"{taken}: is there already, and was not written by prediction; give another --output")

    def _describe(self, target: Path, case: Mapping[str, Any]) -> None:
        """The sidecar of a mask or of its probabilities."""
        if not target.name.endswith(DESCRIBED):
            return
        images = [case["image"]] if isinstance(case["image"], str) else list(case["image"])
        sources = [f"bids:raw:{Path(os.path.relpath(image, self.source)).as_posix()}" for image in images]
        content: dict[str, Any] = {"Description": MADE, "Sources": sources, "SpatialReference": sources[0]}
        if target.name.endswith("_probseg.nii.gz"):
            content["Description"] = "Probability of each label, along the fourth axis"
            content["LabelMap"] = [str(label["name"]) for label in self.labels]
        dump_json(content, sidecar_of(target))


def sidecar_of(mask: Path) -> Path:
    """The JSON file that describes a mask or its probabilities."""
    return mask.with_name(mask.name.removesuffix(".nii.gz") + ".json")


def write_root(folder: Path, source: Path, labels: Sequence[Mapping[str, Any]]) -> None:
    """Write what describes a derivative: dataset_description.json, README, dseg.tsv, dseg.json, .bidsignore; once a state.

    Raises:
        EnvironmentFault: no space, no right.
    """
    link = Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()
    raw = read_description(source / DESCRIPTION)
    name = " ".join(str(raw.get("Name") or source.resolve().name).split())[:200]
    _once(folder / DESCRIPTION, json.dumps(_description(name, raw, link), indent=1, ensure_ascii=False) + "\n")
    _once(folder / "dseg.tsv", table_of(labels))
    meaning = {"Description": MADE, "Manual": False}
    _once(folder / "dseg.json", json.dumps(meaning, indent=1) + "\n")
    if not (folder / "README").exists() and not (folder / "README.md").exists():
        _once(folder / "README", README.format(name=name, tool=TOOL, version=__version__))
    ignore = folder / ".bidsignore"
    kept = ignore.read_text(encoding="utf-8", errors="replace").splitlines() if ignore.is_file() else []
    _once(ignore, "\n".join([*kept, *(line for line in IGNORED if line not in kept)]) + "\n")


def _description(name: str, raw: Mapping[str, Any], link: str) -> dict[str, Any]:
    origin = {"URL": link} | ({"DOI": raw["DatasetDOI"]} if isinstance(raw.get("DatasetDOI"), str) else {})
    made = {"Name": TOOL, "Version": __version__, "Description": "Segmentation by a network adapted to a few labels"}
    return {
        "Name": f"{name}: segmentation by {TOOL}",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [made],
        "SourceDatasets": [origin],
        "DatasetLinks": {"raw": link},
    }


def table_of(labels: Sequence[Mapping[str, Any]]) -> str:
    """index, name and colour of each label, separated by tabs; the values are those in the masks."""
    rows = [("index", "name", "color")]
    for number, label in enumerate(labels):
        name = " ".join(str(label["name"]).split()) or f"label {label['value']}"
        colour = "#000000" if number == 0 else PALETTE[(number - 1) % len(PALETTE)]
        rows.append((str(label["value"]), str(harmless(name)), colour))
    return "".join("\t".join(row) + "\n" for row in rows)


def _once(path: Path, text: str) -> None:
    """Write a file unless it says so already."""
    content = text.encode("utf-8")
    if not path.is_file() or path.read_bytes() != content:
        write_atomically(path, content)
