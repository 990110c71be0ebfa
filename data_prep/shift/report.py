"""`shift.json` and `shift.png`: source against target, one plain sentence a finding."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_prep.amounts import plural
from data_prep.errors import DataError
from data_prep.json_io import dump_json
from data_prep.naming import keep_key_out
from data_prep.places import refuse_special
from data_prep.result_files import refuse_others
from data_prep.shift.content import content_findings
from data_prep.shift.domain import read_domain, with_only_name_of
from data_prep.shift.finding import WARNING
from data_prep.shift.geometry import geometry_findings

NOTHING = "No notable shift."


def shift(source: Path, target: Path, out: Path | None = None) -> dict[str, Any]:
    """Compare two prepared data sets; grey values are those after the normalisation of the source's plan.

    Args:
        source, target: folders that `python -m data_prep build` wrote.
        out: folder for `shift.json` and `shift.png`; None writes nothing.

    Returns:
        the content of shift.json: {"source", "target", "summary", "findings", "figure": "shift.png" or None}; a finding is
        {"kind", "level", "sentence", "source", "target"}, warnings first.

    Raises:
        DataError: a file is missing or cannot be read, no training case, or 2D against 3D.
        ConfigError: a file of somebody else's has the name of a result.
        EnvironmentFault: `out` cannot be written.
    """
    refuse_special(source)
    refuse_special(target)
    if out is not None:
        keep_key_out(out)
        refuse_others(out, "shift")
    a = read_domain(source)
    b = with_only_name_of(read_domain(target, a.plan["normalization"]), a)
    dims = [domain.dataset["spatial_dims"] for domain in (a, b)]
    if dims[0] != dims[1]:
        raise DataError(f"{source} is {dims[0]}D, {target} {dims[1]}D: they cannot be compared")
    findings = sorted([*content_findings(a, b), *geometry_findings(a, b)], key=lambda finding: finding.level != WARNING)
    content = {
        "source": a.name,
        "target": b.name,
        "summary": _summary([finding.level for finding in findings]),
        "findings": [asdict(finding) for finding in findings],
        "figure": "shift.png" if out else None,
    }
    if out:
        from data_prep.shift.figure import shift_figure

        out.mkdir(parents=True, exist_ok=True)
        shift_figure(a, b, out / "shift.png")
        dump_json(content, out / "shift.json")
    return content


def _summary(levels: list[str]) -> str:
    if not levels:
        return NOTHING
    warnings = levels.count(WARNING)
    return f"{plural(len(levels), 'finding')}, {warnings} of them {'a warning' if warnings == 1 else 'warnings'}."
