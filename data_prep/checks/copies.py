"""Commands that correct all NIfTI files of a folder into a new one: what a check tells to type never writes over a file."""

from __future__ import annotations


def copies(change: str, modules: str = "nibabel, sys", new: str = "i") -> str:
    """A command for any shell, with `{file}` for a file of the folder and `{python}` for this Python.

    Args:
        change: Python expressions on the image `i`, parted by commas; "" for none.
        modules: to import.
        new: the expression whose image is written.
    """
    steps = ", ".join(step for step in ("i := nibabel.load(p)", change, f"({new}).to_filename(Path('NEW') / p.name)") if step)
    # In double quotes an exclamation mark calls for the history of interactive shells.
    files = "Path(sys.argv[1]).parent.glob('*.nii*') if not p.name.startswith('.')"
    return (
        "write copies of the folder: "
        f'mkdir NEW && {{python}} -c "import {modules}; from pathlib import Path; [({steps}) for p in {files}]" {{file}}'
    )
