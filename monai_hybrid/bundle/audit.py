"""List what a bundle would run, without running it, and refuse what is outside the allow-lists.

    python -m monai_hybrid.bundle.audit BUNDLE [--json FILE]

BUNDLE is a folder or a zip file. Exit code 0: everything is on the lists; 2: something is not, or it cannot be read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from monai_hybrid.bundle.audit_expressions import (
    DEFAULT_MODULES,
    expression_problem,
    import_problem,
    imported_names,
    parsed_import,
)
from monai_hybrid.bundle.audit_files import file_problem, logging_problems, unpack
from monai_hybrid.bundle.audit_rules import component_problem, string_problem
from monai_hybrid.errors import ConfigError, HybridError

CONFIGS = {".json", ".yaml", ".yml"}
GUARDS = {"allow_pickle": False, "trust_remote_code": False, "weights_only": True}
MACRO = re.compile(r"%[\w:#]+")


@dataclass(frozen=True)
class Finding:
    """One thing that a bundle would evaluate, import, build or load.

    Attributes:
        file, place: where; `place` is the id of the setting, or the section of logging.conf.
        kind: "expression", "import", "component", "text", "logging" or "file".
        text: as written.
        problem: None when it is on the allow-lists.
    """

    file: str
    place: str
    kind: str
    text: str
    problem: str | None


def audit(path: str | Path) -> list[Finding]:
    """Everything in a bundle (a folder or a zip file) that MONAI would evaluate, build or load.

    Raises:
        ConfigError: no such bundle, no configuration in it, or an archive with unsafe members.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory() as folder:
            unpack(path, Path(folder))
            return audit_folder(Path(folder))
    if not path.is_dir():
        raise ConfigError(f"{path}: no such bundle; expected a folder with configs/, or a zip file of one")
    return audit_folder(path)


def audit_folder(root: Path) -> list[Finding]:
    """`audit` of a folder.

    Raises:
        ConfigError: it holds no configuration.
    """
    files = sorted(p for p in root.rglob("*") if (p.is_file() or p.is_symlink()) and "__pycache__" not in p.parts)
    configs = [p for p in files if p.suffix.lower() in CONFIGS and "configs" in p.relative_to(root).parts]
    if not configs:
        raise ConfigError(f"{root}: no configuration found; expected configs/*.json, as in a MONAI bundle")
    findings: list[Finding] = []
    loaded: dict[str, Any] = {}
    for file in files:
        name = str(file.relative_to(root))
        if file in configs and file_problem(file, root) is None:
            content, problem = _load(file)
            loaded[name] = content
            findings += [Finding(name, "", "file", file.name, problem)] if problem else []
        elif file.name.endswith(".conf") and file_problem(file, root) is None:
            findings += [Finding(name, place, "logging", text, problem) for place, text, problem in logging_problems(file)]
        elif (problem := file_problem(file, root)) is not None:
            findings.append(Finding(name, "", "file", file.name, problem))
    modules = _modules(loaded)
    for name, content in loaded.items():
        findings += [Finding(name, *found) for found in _walk(content, "", modules)]
    return findings


def _load(path: Path) -> tuple[Any, str | None]:
    """Content and problem of a JSON or YAML file; tags that build Python objects are not followed."""
    try:
        text = path.read_text(encoding="utf-8")
        return (json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)), None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        return None, f"not plain JSON or YAML ({' '.join(str(error).split())[:100]})"


def _modules(configs: Mapping[str, Any]) -> dict[str, set[str]]:
    """What each imported name may stand for: configurations of a bundle are run together and override each other."""
    modules: dict[str, set[str]] = defaultdict(set, {name: {module} for name, module in DEFAULT_MODULES.items()})
    for content in configs.values():
        for _, text in _strings(content, ""):
            if text.startswith("$"):
                for name, module in imported_names(text[1:]).items():
                    modules[name].add(module)
    return dict(modules)


def _strings(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """(id, text) of every string value."""
    if isinstance(node, str):
        yield place, node
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from _strings(value, f"{place}#{key}" if place else str(key))


def _walk(content: Any, place: str, modules: Mapping[str, set[str]]) -> Iterator[tuple[str, str, str, str | None]]:
    """(place, kind, text, problem) of all that counts in a configuration."""
    for where, text in _strings(content, place):
        key = where.replace("::", "#").rsplit("#", 1)[-1]
        if key == "_target_":
            yield where, "component", text, component_problem(text)
        elif text.startswith("$"):
            yield (where, *_dollar(where, text[1:], modules))
        elif text.startswith("%") and not MACRO.fullmatch(text):
            yield where, "text", text, "takes over a part of another file"
        elif key == "_mode_" and text.lower() == "debug":
            yield where, "text", text, "stops in the debugger"
        elif key == "reader" and "." not in text:
            yield where, "component", text, component_problem(text)
        elif (problem := string_problem(text)) is not None:
            yield where, "text", text, problem
    yield from _odd_values(content, place)


def _dollar(place: str, text: str, modules: Mapping[str, set[str]]) -> tuple[str, str, str | None]:
    """(kind, text, problem) of a `$` string."""
    if parsed_import(text) is None:
        return "expression", text, expression_problem(text, modules)
    if place.replace("::", "#").split("#")[0] != "imports":
        return "import", text, "an import outside the list `imports`"
    return "import", text, import_problem(text)


def _odd_values(node: Any, place: str) -> Iterator[tuple[str, str, str, str | None]]:
    """`_target_` that is no string, and arguments that switch a guard off."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        where = f"{place}#{key}" if place else str(key)
        last = str(key).replace("::", "#").rsplit("#", 1)[-1]
        if last == "_target_" and not isinstance(value, str):
            yield where, "component", str(value)[:60], "not a plain dotted name"
        elif last in GUARDS and value is not GUARDS[last]:
            yield where, "text", f"{last}: {value}", "lets data run code"
        yield from _odd_values(value, where)


def main(argv: list[str] | None = None) -> int:
    """Print the findings; the exit code says whether all are on the lists."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="monai-hybrid audit", description=__doc__, formatter_class=style)
    parser.add_argument("bundle", help="folder or zip file")
    parser.add_argument("--json", type=Path, help="write the findings to this file")
    args = parser.parse_args(argv)
    try:
        findings = audit(args.bundle)
    except HybridError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if args.json:
        args.json.write_text(json.dumps([asdict(f) for f in findings], indent=1) + "\n", encoding="utf-8")
    for f in findings:
        if f.problem is None:
            print(f"ok       {f.file}  {f.place}  {f.kind}: {_plain(f.text)}")
    refused = [f for f in findings if f.problem is not None]
    for f in refused:
        print(f"REFUSED  {f.file}  {f.place}  {f.kind}: {_plain(f.text)}\n         {f.problem}")
    print(f"{args.bundle}: {len(findings)} findings, {len(refused)} outside the allow-list", flush=True)
    if refused:
        print(f"error: {args.bundle}: {len(refused)} of {len(findings)} findings are outside the allow-list", file=sys.stderr)
    return 2 if refused else 0


def _plain(text: str) -> str:
    """One printable line: a bundle's text cannot steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


if __name__ == "__main__":
    sys.exit(main())
