"""What `--model TEXT` means: a path, or the name of a model of the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from data_prep.home import at_home
from monai_hybrid.catalogue.folder import NAME, folder, names, weights_file
from monai_hybrid.errors import ModelFileError


def is_name(text: str) -> bool:
    """Whether a model of the package is meant. A file or folder of that name in the working directory comes first."""
    return NAME.fullmatch(text) is not None and not Path(text).exists() and text in names()


def model_path(text: str) -> str:
    """The file of a model whose name is given; any other text as it is.

    Raises:
        ModelFileError: the file is damaged.
    """
    return str(weights_file(text)) if is_name(text) else text


def model_file(path: str) -> str:
    """A file as it is; for the folder of a run, or its `models/`, the model in it; for a name of the package's models its file.

    Raises:
        ModelFileError: a folder without a model.
    """
    place = at_home(model_path(path))
    if not place.is_dir():
        return str(place)
    places = [place / "models/model.safetensors", place / "model.safetensors"]
    found = next((file for file in places if file.is_file()), None)
    if found is None:
        raise ModelFileError(f"{place}: a folder without models/model.safetensors or model.safetensors; give a run or a file")
    return str(found)


def name_of(text: str) -> str:
    """The name of a model of the package whose file is given; any other text as it is."""
    file = Path(text)
    return file.stem if file.parent == folder() and file.stem in names() else text


def said_of(text: str) -> str:
    """One line on which model a word means; "" where it is a path and nothing else."""
    if is_name(text):
        from monai_hybrid.catalogue.about import about_of  # here, because it brings jsonschema

        about = about_of(text)
        advice = "; its classes are shapes and no organs, so adapt it before you use its masks" if about["universal"] else ""
        return f"model {text}: comes with the package, licence {about['licence']['weights']}{advice}"
    if NAME.fullmatch(text) and Path(text).exists() and text in names():
        return f"model {text}: the one in {Path.cwd()}, not the one of this name that comes with the package"
    return ""


def no_such_model(text: str) -> str:
    """What to say of a word that is neither a path nor a name; "" where it can only be a path, or there is no model to name."""
    known = names()
    if not known or Path(text).name != text or Path(text).suffix:
        return ""
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.6)
    hint = f". Did you mean {near[0]}?" if near else ""
    return f"no such file or model; models: {', '.join(known)}{hint}"


IMAGES = (
    ".nii.gz", ".nii", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr",
    ".img", ".mgz", ".dcm",
)  # fmt: skip
TEXTS = (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".md", ".html", ".pdf", ".log", ".py")
EXPORTED = (".onnx", ".ts")


def what_else(path: str) -> str:
    """What a file is by its ending, where no model is called so; "" for .pt, .safetensors and endings that say nothing."""
    name = Path(path).name.lower()
    kinds = {"an image": IMAGES, "a text or a table": TEXTS, "an exported model, which other programs read": EXPORTED}
    return next((kind for kind, endings in kinds.items() if name.endswith(endings)), "")
