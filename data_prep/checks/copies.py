"""Commands that correct all NIfTI files of a folder into a new one: what a check tells to type never writes over a file."""

from __future__ import annotations


def copies(change: str, modules: str = "nibabel, sys", new: str = "i") -> str:
    """A command for the shell, with `{file}` for a file of the folder.

    Args:
        change: Python expressions on the image `i`, parted by commas; "" for none.
        modules: to import.
        new: the expression whose image is written.
    """
    steps = ", ".join(step for step in ("i := nibabel.load(p)", change, f"({new}).to_filename(Path('NEW') / p.name)") if step)
    files = "Path(sys.argv[1]).parent.glob('[!.]*.nii*')"
    return (
        "write copies of the folder: "
        f'mkdir NEW && python -c "import {modules}; from pathlib import Path; [({steps}) for p in {files}]" {{file}}'
    )
