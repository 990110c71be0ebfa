"""The page of the Python API, from the signatures and docstrings of `monai_hybrid.api`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.reference.markdown import cell, code, table
from monai_hybrid import api

INTRO = """# Python

```python
import monai_hybrid as mh

mh.build("/data/my_hospital", "target")
adapted = mh.adapt("target", model="hippocampus_mr", output="runs/adapted", shots=3)
rows = mh.predict("/data/new_scans", adapted, "masks")
```

Settings are those of [the commands](settings.md), with underscores. Errors are those of [the exit codes](exit_codes.md),
in `monai_hybrid.errors`.
"""
SECTION = re.compile(r"^(Args|Returns|Raises|Attributes):$", re.MULTILINE)


def page() -> str:
    """The page docs/reference/python.md."""
    return INTRO + "".join(_section(name, getattr(api, name)) for name in api.__all__)


def _section(name: str, one: Callable[..., Any]) -> str:
    shown = f"class {name}" if inspect.isclass(one) else f"{name}{_signature(one)}"
    parts = [f"## {name}", f"```python\n{shown}\n```", *_paragraphs(inspect.getdoc(one) or "")]
    return "\n" + "\n\n".join(parts) + "\n"


def _signature(one: Callable[..., Any]) -> str:
    """As in the source, an argument a line where there are several."""
    signature = inspect.signature(one)
    words = [re.sub(r"'([^']*)'", r"\1", str(p), count=1) for p in signature.parameters.values()]
    back = signature.return_annotation
    told = "" if back is inspect.Signature.empty else f" -> {back if isinstance(back, str) else back.__name__}"
    inside = ", ".join(words) if len(words) < 3 else "\n    " + ",\n    ".join(words) + ",\n"
    return f"({inside}){told}"


def _paragraphs(text: str) -> Iterator[str]:
    """The docstring: prose as it is, its sections as tables."""
    head, *sections = SECTION.split(text)
    yield head.strip()
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title == "Returns":
            yield f"**Returns** {' '.join(body.split())}"
            continue
        entries = re.split(r"\n {4}(?=\S)", body.rstrip())
        pairs = [entry.partition(": ") for entry in entries if entry.strip()]
        yield table([title, ""], [[code(name.strip()), cell(rest)] for name, _, rest in pairs])
