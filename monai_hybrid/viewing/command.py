"""Open the page: `python -m monai_hybrid.viewing masks`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from data_prep.amounts import plural
from data_prep.home import at_home
from data_prep.interrupts import told
from data_prep.naming import keep_key_out
from data_prep.quoting import printable
from monai_hybrid import one_command
from monai_hybrid.gallery.cases import read_collection
from monai_hybrid.viewing.server import PageServer

CORRECTED = "corrected"


def view(
    folder: Annotated[Path, typer.Argument(help="output of predict, or a prepared data set", metavar="FOLDER")],
    labels: Annotated[
        Path | None, typer.Option(help="folder for corrected labels; none: corrected/ in FOLDER", metavar="FOLDER")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="where the images of a prediction lie", metavar="FOLDER")] = None,
    model: Annotated[Path | None, typer.Option(help="model of the masks; none: that of the run", metavar="FILE")] = None,
    port: Annotated[int, typer.Option(help="of the page; 0: a free one", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page in a browser")] = True,
) -> None:
    """Look at masks in a local page, correct them, and save them as labels."""
    with told():
        collection = read_collection(folder, images, model)
        place = at_home(labels or folder / CORRECTED)
        keep_key_out(place)
        server = PageServer(collection, place, port)
    typer.echo(f"{plural(len(collection.cases), 'case')} of {folder}. The page: {server.address}\nCtrl-C ends it.")
    for sentence in server.answers.shared:
        typer.echo(printable(sentence))
    if browser:
        webbrowser.open(server.address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        typer.echo("The page is closed.")
    finally:
        server.server_close()


def main() -> None:
    """Run the command line."""
    one_command.run(view, "python -m monai_hybrid.viewing")
