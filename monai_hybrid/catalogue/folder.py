"""Where the models lie: `NAME.safetensors` with its card, `NAME.json` about it, and the list of their checksums."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from data_prep.errors import EnvironmentFault, ModelFileError
from data_prep.quoting import quoted

FOLDER = Path(__file__).parents[1] / "models"
ELSEWHERE = "MONAI_HYBRID_MODELS"  # a folder of one's own models, in the place of those of the package
SUMS = "SHA256SUMS"  # as `sha256sum` writes it, and `sha256sum -c` reads it
LARGEST, LARGEST_TOGETHER = 5_000_000, 12_000_000  # bytes of one file, and of all that the package brings
UNIVERSAL = "universal_"  # what their names begin with, so that the command line needs not open a file to know
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\s]+)")


def folder() -> Path:
    """The folder of the models.

    Raises:
        EnvironmentFault: `MONAI_HYBRID_MODELS` names no folder.
    """
    given = os.environ.get(ELSEWHERE)
    place = Path(os.path.expanduser(given)) if given else FOLDER  # noqa: PTH111 - Path's own raises where ~NAME is nobody
    if given and not place.is_dir():
        raise EnvironmentFault(f"{ELSEWHERE}={given}: no such folder; give one that holds models, or unset it")
    return place


def names() -> list[str]:
    """Names of the models that are there, in order: weights with a file about them."""
    place = folder()
    if not place.is_dir():
        return []
    found = sorted(file.stem for file in place.glob("*.safetensors") if NAME.fullmatch(file.stem) and file.is_file())
    return [name for name in found if (place / f"{name}.json").is_file()]


def any_universal() -> bool:
    """Whether a universal model is there, of whatever dimensions; `entry.universal` says which."""
    return any(name.startswith(UNIVERSAL) for name in names())


def weights_file(name: str) -> Path:
    """The file of a model, held to the list of checksums.

    Raises:
        ModelFileError: it cannot be read, no line of the list, or other bytes than the list says.
    """
    file = folder() / f"{name}.safetensors"
    expected = sums(file.parent).get(file.name)
    if expected is None:
        raise ModelFileError(f"{file}: {SUMS} beside it does not list it. Type: python -m benchmarks.models.pack --help")
    try:
        seen = digest(file)
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read ({error.strerror}). Type: ls -l {quoted(file)}") from error
    if seen != expected:
        raise ModelFileError(
            f"{file}: not the file that {SUMS} beside it lists: SHA-256 differs. "
            "Type: pip install --force-reinstall --no-deps monai-hybrid"
        )
    return file


def sums(place: Path) -> dict[str, str]:
    """File name -> SHA-256 of the list; {} where there is none."""
    file = place / SUMS
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    found = [match for match in map(_LINE.fullmatch, lines) if match]
    return {match[2]: match[1] for match in found}


def digest(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
