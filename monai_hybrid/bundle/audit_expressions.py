"""A `$` expression or import of a configuration, read as a syntax tree and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from types import ModuleType

from monai.bundle.reference_resolver import ReferenceResolver

from monai_hybrid.bundle.audit_rules import (
    BUILTINS,
    CALLS,
    IMPORTS,
    INNER,
    METHODS,
    component_problem,
    constant_allowed,
    located,
)

REFERENCES = "__local_refs"  # what MONAI puts in the place of @id
LONGEST = 1000
HARMLESS = (
    ast.Expression, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Constant, ast.List, ast.Tuple, ast.Dict,
    ast.Set, ast.Subscript, ast.Slice, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    ast.comprehension, ast.Starred, ast.Lambda, ast.arguments, ast.arg, ast.keyword, ast.JoinedStr, ast.FormattedValue,
    ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
DEFAULT_MODULES = {"monai": "monai", "torch": "torch", "np": "numpy", "numpy": "numpy"}


def parsed_import(text: str) -> ast.Import | ast.ImportFrom | None:
    """The first statement, if it is an import: MONAI looks at no more."""
    try:
        first = next(iter(ast.parse(text).body), None)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return first if isinstance(first, (ast.Import, ast.ImportFrom)) else None


def import_problem(text: str) -> str | None:
    """What is wrong with `import a.b as c` or `from a import b`; only modules of the allow-list may be imported."""
    node = parsed_import(text)
    if node is None or len(ast.parse(text).body) != 1 or len(node.names) != 1:
        return "expected one import of one name"
    module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
    if getattr(node, "level", 0) or module.split(".")[0] not in IMPORTS:
        return f"the module {module or '.'} is not one of {', '.join(IMPORTS)}"
    if isinstance(node, ast.ImportFrom) and not isinstance(located(f"{module}.{node.names[0].name}"), ModuleType):
        return _value_problem(f"{module}.{node.names[0].name}")
    return None


def imported_names(text: str) -> dict[str, str]:
    """{name in expressions: dotted name} of an import."""
    node = parsed_import(text)
    if node is None:
        return {}
    prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return {name.asname or name.name: prefix + name.name for name in node.names}


def expression_problem(text: str, modules: Mapping[str, set[str]]) -> str | None:
    """What is wrong with an expression (without its `$`); None when every part is on the allow-lists.

    Args:
        modules: name -> the dotted names that it may stand for, from the imports of all configurations.
    """
    if len(text) > LONGEST:
        return f"{len(text)} characters, at most {LONGEST} are read"
    if REFERENCES in text:
        return f"names {REFERENCES}, MONAI's own table"
    normal = ReferenceResolver.normalize_id(text)
    found = sorted(ReferenceResolver.id_matcher.findall(normal), key=len, reverse=True)
    for item in found:  # exactly as MONAI rewrites it, so that this tree is the one that would run
        if item[1:].split("::")[0] in ("imports", ""):
            return f"refers to {item}: imported modules may not be passed on"
        normal = normal.replace(item, f"{REFERENCES}['{item[1:]}']")
    try:
        tree = ast.parse(normal.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"not an expression of Python ({type(error).__name__})"
    return next(_problems(tree, modules), None)


def _problems(tree: ast.AST, modules: Mapping[str, set[str]]) -> Iterator[str]:
    bound = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for name in sorted(bound & (modules.keys() | BUILTINS)):
        yield f"{name} is given another meaning"
    handled: set[ast.AST] = set()  # parts of a dotted name that was judged as a whole
    for node in ast.walk(tree):
        if node in handled or isinstance(node, HARMLESS):
            continue
        if isinstance(node, ast.Call):
            handled.update(_parts(node.func, modules))
            yield from _call(node, modules, bound)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            handled.update(_parts(node, modules))
            yield from _value(node, modules, bound)
        else:
            yield f"{type(node).__name__} is not allowed"


def _call(node: ast.Call, modules: Mapping[str, set[str]], bound: set[str]) -> Iterator[str]:
    names = _dotted(node.func, modules)
    for name in names:
        if name not in CALLS and (problem := component_problem(name)):
            yield f"calls {name}: {problem}"
    if names:
        return
    if isinstance(node.func, ast.Attribute):
        if node.func.attr not in METHODS:
            yield f"calls the method {node.func.attr}, which is not on the list"
        elif node.func.attr == "eval" and (node.args or node.keywords):
            yield "calls eval with arguments"
    elif not (isinstance(node.func, ast.Name) and node.func.id in BUILTINS and node.func.id not in bound):
        yield f"calls {ast.unparse(node.func)[:60]}, which is not on the list"


def _value(node: ast.Name | ast.Attribute, modules: Mapping[str, set[str]], bound: set[str]) -> Iterator[str]:
    names = _dotted(node, modules)
    yield from (problem for name in names if (problem := _value_problem(name)))
    if names:
        return
    if isinstance(node, ast.Attribute):
        if node.attr.startswith(("_", *INNER)):
            yield f"reads the inner attribute {node.attr}"
    elif node.id not in bound and node.id not in BUILTINS and node.id != REFERENCES:
        yield f"names {node.id}, which is not on the list"


def _value_problem(dotted: str) -> str | None:
    if dotted in CALLS or constant_allowed(dotted):
        return None
    return f"uses {dotted} as a value, which is not on the list"


def _dotted(node: ast.AST, modules: Mapping[str, set[str]]) -> set[str]:
    """What `a.b.c` may stand for when `a` is an imported name; empty otherwise."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return set()
    roots = modules.get(node.id, set())
    # `$import a.b` without `as` binds the useless name "a.b"
    return {".".join([root, *parts]) for root in roots}


def _parts(node: ast.AST, modules: Mapping[str, set[str]]) -> list[ast.AST]:
    """The name itself; its inner parts too when it is a module's."""
    if isinstance(node, ast.Attribute) and _dotted(node, modules):
        return list(ast.walk(node))
    return [node] if isinstance(node, (ast.Name, ast.Attribute)) else []
