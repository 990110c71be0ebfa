"""The verdict on a bundle: each of its files beside ours of the same name."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_prep.dead_links import absent
from monai_hybrid.audit.configs import Finding, compare_config, compare_logging, compare_metadata
from monai_hybrid.audit.files import file_problem, files_of
from monai_hybrid.audit.zip import unpack
from monai_hybrid.bundle_folders import bundle_folder
from monai_hybrid.errors import ConfigError, DataError

CONFIGS = "configs"
OURS = ("few_shot_finetune", "hybrid_pretrain")


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    Attributes:
        like: the bundle of ours that it was compared with.
        findings: what is not ours, by file; none: it is ours.
        settings: "file: name = value" of every plain setting that differs.
        others: number of files that are no configuration.
    """

    like: str
    findings: list[Finding] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    others: int = 0


def audit(path: str | Path) -> Verdict:
    """Compare a bundle (a folder or a zip file) with ours.

    Raises:
        ConfigError: no configuration in it, or an archive with unsafe members.
        DataError: no such bundle.
        EnvironmentFault: the system does not let it be read, or our own bundles are not there to compare with.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            unpack(path, Path(folder))
            return audit_folder(_root(Path(folder)))
    if not path.is_dir():
        said = absent(path, "no such bundle; expected a folder with configs/, or a zip file of one")
        raise DataError(f"{path}: {said}")
    return audit_folder(path)


def _root(folder: Path) -> Path:
    """An archive mostly holds one folder, and that the bundle."""
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not (folder / CONFIGS).is_dir() else folder


def audit_folder(root: Path) -> Verdict:
    """`audit` of a folder: the verdict against the bundle of ours that it is most like.

    Raises:
        ConfigError, EnvironmentFault: see `audit`.
    """
    files, findings = files_of(root)
    configs = [name for name in files if Path(name).parent == Path(CONFIGS)]
    if not any(name.endswith(".json") and Path(name).name != "metadata.json" for name in configs):
        raise ConfigError(f"{root}: no configuration found; expected configs/*.json, as in a MONAI bundle")
    others = [name for name in files if name not in configs]
    for name in others:
        problem = file_problem(root, name)
        findings += [Finding(name, "", problem)] if problem else []
    compared = [_against(root, configs, bundle_folder(name)) for name in OURS]
    best = min(compared, key=lambda verdict: len(verdict.findings))
    return Verdict(best.like, findings + best.findings, best.settings, len(others))


def _against(root: Path, configs: Sequence[str], ours: Path) -> Verdict:
    verdict = Verdict(ours.name)
    for name in configs:
        own = ours / name
        if not own.is_file():
            verdict.findings.append(Finding(name, "", "no file of this name is in our bundle"))
        elif name.endswith(".conf"):
            verdict.findings.extend(compare_logging(root / name, own, name))
        elif Path(name).name == "metadata.json":
            verdict.findings.extend(compare_metadata(root / name, own, name))
        else:
            findings, settings = compare_config(root / name, own, name)
            verdict.findings.extend(findings)
            verdict.settings.extend(f"{name}: {line}" for line in settings)
    return verdict
