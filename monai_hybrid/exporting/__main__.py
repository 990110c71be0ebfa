"""Write a model for programs without MONAI: `python -m monai_hybrid.exporting --model model.pt --output model.onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from data_prep.interrupts import told
from monai_hybrid import one_command
from monai_hybrid.commands import named_model
from monai_hybrid.errors import EnvironmentFault
from monai_hybrid.exporting.sidecar import sidecar_of
from monai_hybrid.exporting.write import export_model


def export(
    model: Annotated[Path, typer.Option(help="a model file, or a name of monai-hybrid models", metavar="FILE")],
    output: Annotated[Path, typer.Option("--output", help="file to write: .ts or .onnx", metavar="FILE")],
    kind: Annotated[str | None, typer.Option("--format", help="torchscript or onnx; none: by the ending of the file")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that are there")] = False,
) -> None:
    """Write the segmenter, and beside it a JSON file that says how it is used."""
    with told():
        try:
            done = export_model(Path(named_model(str(model))), output, kind, overwrite)
        except OSError as error:
            raise EnvironmentFault(f"{error.filename or output}: {error.strerror or error}; nothing was written") from error
    program = done["model"]
    typer.echo(
        f"{output}: {program['format']}, {output.stat().st_size / 1e6:.2f} MB, one window {program['input_shape']} a call"
    )
    typer.echo(f"{sidecar_of(output)}: how its input is made and its output is read")
    typer.echo(f"logits as the model's to {program['largest_difference']:.1e}")


def main() -> None:
    """Run the command line."""
    one_command.run(export, "python -m monai_hybrid.exporting")


if __name__ == "__main__":
    main()
