"""The tables, from what was measured."""

from __future__ import annotations

from typing import Any

TITLES = {
    "forward": "One patch, segmenting",
    "training": "One patch, forward and backward",
    "volume": "Whole volumes, sliding window",
    "sampling": "Joint samples",
}
COLUMNS = {"gflop": "{:.1f}", "megabytes": "{:.0f}", "share_of_peak": "{:.0%}", "agreement": "{:.3%}"}
HEADS = {"gflop": "GFLOP", "megabytes": "MB", "share_of_peak": "of peak", "agreement": "as stock"}


def text(report: dict[str, Any]) -> str:
    """Markdown."""
    lines = [f"{name}: {value}" for name, value in report["machine"].items()]
    for part, title in TITLES.items():
        if part in report:
            lines += ["", f"## {title}", "", *_table(report[part])]
    return "\n".join(lines)


def _table(results: list[dict[str, Any]]) -> list[str]:
    if "steps" in results[0]:
        rows = [[str(r["steps"]), f"{r['seconds']:.2f}", f"{r['seconds'] / results[0]['seconds']:.2f}"] for r in results]
        return _lines(["steps", "seconds a pair", "ratio"], rows)
    extra = [column for column in COLUMNS if any(column in result for result in results)]
    rows = [_row(result, extra) for result in results]
    return _lines(["network", "ratio", "seconds", "spread", *(HEADS[column] for column in extra)], rows)


def _row(result: dict[str, Any], extra: list[str]) -> list[str]:
    size = " x ".join(str(n) for n in result["volume"]) + ", " if "volume" in result else ""
    name = size + result["name"]
    if "missing" in result:
        return [name, f"not installed ({result['missing']})", *["-"] * (2 + len(extra))]
    told = [f"{result['ratio']:.3f}", f"{result['seconds']:.3f}", f"{result['spread']:.0%}"]
    return [name, *told, *(COLUMNS[column].format(result[column]) if column in result else "-" for column in extra)]


def _lines(head: list[str], rows: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]]
