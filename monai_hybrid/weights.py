"""Weights on disk: `model.pt`, the raw state dict that MONAI clients read; `model.safetensors`, the same with a card inside.

The card says what the weights are for (labels, channels, spacing, plan, objective, versions, citation), so that a model file
can be adapted without the folder it came from.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import zipfile
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from data_prep.atomic import replace_file
from data_prep.disk import needing
from data_prep.json_io import half_character
from data_prep.lack_of_memory import refuse_for_memory
from monai_hybrid import __version__
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.cut_off import COPY_AGAIN, cut_off
from monai_hybrid.errors import ModelFileError
from monai_hybrid.model_card import CARD_KEY, CARD_VERSION
from monai_hybrid.model_card import read_card as read_card

SUM_KEY = "monai_hybrid_sha256"
CITATION = (
    "B. Sauvalle, M. Salzmann: Hybrid diffusion models: combining supervised and generative pretraining for "
    "label-efficient fine-tuning of segmentation models. arXiv:2408.03433, 2024."
)
PREFIXES = ("module.", "_orig_mod.")
HALF = (torch.float16, torch.bfloat16)

logger = logging.getLogger(__name__)


def make_card(
    network: Mapping[str, Any],
    dataset: Mapping[str, Any],
    plan: Mapping[str, Any],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a model: how to rebuild the network, what its channels mean, how its input was made, how it was trained."""
    return {
        "format_version": CARD_VERSION,
        "network": dict(network),
        "spatial_dims": dataset["spatial_dims"],
        "channels": list(dataset["channels"]),
        **({"colour": list(dataset["colour"])} if dataset.get("colour") else {}),
        "labels": list(dataset["labels"]),
        **({"codes": dict(dataset["codes"])} if dataset.get("codes") else {}),
        **({"accepted": list(dataset["accepted"])} if dataset.get("accepted") else {}),
        "modality": dataset.get("modality"),
        "source": dataset.get("name"),
        "plan": dict(plan),
        "training": dict(training),
        "versions": {"monai_hybrid": __version__, **{p: _version(p) for p in ("monai", "torch", "pytorch-ignite")}},
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "citation": [CITATION],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def save_weights(state_dict: Mapping[str, Tensor], folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.safetensors` and `model.pt` under `folder`; a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    with needing(2 * tensor_bytes(tensors), folder / "model.pt"):
        write_safetensors(tensors, folder / "model.safetensors", card)
        replace_file(folder / "model.pt", lambda path: torch_save(tensors, path))


def write_safetensors(
    state_dict: Mapping[str, Tensor], path: Path, card: Mapping[str, Any], dtype: torch.dtype | None = None
) -> None:
    """Write one model file with its card inside, atomically.

    Args:
        state_dict: the weights.
        path: ends in .safetensors.
        card: of `make_card`.
        dtype: torch.float16 or torch.bfloat16 to store floating-point weights in half the bytes; None: as they are. Reading
            makes float32 of them again.

    Raises:
        ValueError: a weight is too large for `dtype`.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    if dtype is not None:
        tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        lost = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
        if lost:
            raise ValueError(f"{lost[0]}: a weight is too large for {dtype}")
    metadata = {"format": "pt", CARD_KEY: dumped_card(card), SUM_KEY: checksum(tensors)}
    replace_file(path, lambda place: place.write_bytes(save(tensors, metadata=metadata)))


def dumped_card(card: Mapping[str, Any]) -> str:
    """The text of a card, as it lies in a file's header; of a path that is no Unicode, what is none is shown as ?."""
    text = json.dumps(card)
    if half_character(text):
        text = json.dumps(json.loads(json.dumps(card, ensure_ascii=False).encode("utf-8", "replace")))
    return text


def tensor_bytes(content: Any) -> int:
    """Bytes of all tensors in nested mappings and lists: about the size of their file."""
    if isinstance(content, Tensor):
        return content.numel() * content.element_size()
    inside = content.values() if isinstance(content, Mapping) else content if isinstance(content, (list, tuple)) else ()
    return sum(map(tensor_bytes, inside))


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, in the order of their names."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def torch_save(content: Any, path: Path) -> None:
    """torch.save through a Python file: a full disk is then the OSError that it is, not a RuntimeError of torch's writer.

    Raises:
        OSError: the file could not be written whole.
    """
    try:
        with path.open("wb") as handle:
            torch.save(content, handle)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch's own complaint while the first error passes through it
            raise error.__context__ from None
        raise


def load_weights(path: Path | str) -> dict[str, Tensor]:
    """Read a state dict from .safetensors or .pt (raw, or nested under "model", "state_dict" or "network").

    The prefixes that DDP and torch.compile leave on the names are taken off. Never unpickles anything but tensors. Weights that
    are stored in half precision come as float32. `path` may be the name of a model that comes with the package.

    Raises:
        ModelFileError: missing, damaged, or without tensors.
    """
    path = Path(model_path(str(path)))
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file")
    try:
        loaded = _load_safetensors(path) if path.suffix == ".safetensors" else load_torch(path)
    except Exception as error:  # torch reports damage through many types
        refuse_for_memory(error, path)
        raise ModelFileError(
            f"{path}: not a readable model file ({cut_off(path) or unreadable(error)}); {COPY_AGAIN}"
        ) from error
    for key in ("model", "state_dict", "network"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = {_bare(name): t for name, t in loaded.items() if isinstance(t, Tensor)} if isinstance(loaded, Mapping) else {}
    if not tensors:
        raise ModelFileError(f"{path}: holds no tensors; expected a state dict, as in models/model.pt of a run")
    for name, tensor in tensors.items():
        _refuse_stretched(path, name, tensor)
    return {name: tensor.float() if tensor.dtype in HALF else tensor for name, tensor in tensors.items()}


def _refuse_stretched(path: Path, name: str, tensor: Tensor) -> None:
    """A few stored numbers may be laid out as a tensor of any size (stride 0), which would fill the memory when it is used.

    Raises:
        ModelFileError: more numbers than are stored, or no plain tensor.
    """
    if tensor.layout != torch.strided or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ModelFileError(
            f"{path}: {name} {tuple(tensor.shape)} is larger than what is stored of it; expected plain tensors"
        )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors; where the file says their checksum, it is held to it. The format itself has none."""
    tensors = load_file(path)
    with safe_open(path, framework="pt") as handle:
        expected = (handle.metadata() or {}).get(SUM_KEY)
    if expected is not None and checksum(tensors) != expected:
        raise ValueError("the weights are not those that were saved: SHA-256 differs")
    return tensors


def load_torch(path: Path) -> Any:
    """The content of a .pt file; torch reads the archive's members without looking at their checksums, so we look.

    Raises:
        ValueError: packed or damaged members.
        pickle.UnpicklingError: it holds more than tensors and plain values.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its members are compressed, which torch never does: they may unpack to any size")
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} is damaged: its checksum differs")
    return torch.load(path, "cpu", weights_only=True)


def unreadable(error: Exception) -> str:
    """What is wrong with a file that torch does not load; never torch's advice how to load it nevertheless."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds more than weights, which may be a program; it was not run"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _bare(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def with_pretrained(network: nn.Module, path: Path | str | None = None) -> nn.Module:
    """The network, with the weights of `path` when one is given: loaded now, so that an EMA copy made later starts from them.

    Raises:
        ModelFileError: a tensor is missing, left over or of another shape; nothing is changed then.
    """
    if not path:
        return network
    own, new = network.state_dict(), load_weights(path)
    missing = [name for name in own if name not in new]
    left_over = [name for name in new if name not in own]
    other_shape = [
        f"{n} {tuple(new[n].shape)}, expected {tuple(own[n].shape)}" for n in own if n in new and new[n].shape != own[n].shape
    ]
    if missing or left_over or other_shape:
        parts = [("missing", missing), ("not in this network", left_over), ("of another shape", other_shape)]
        told = "; ".join(f"{len(names)} {what} (first: {names[0]})" for what, names in parts if names)
        raise ModelFileError(f"{path}: these weights belong to another network: {told}")
    network.load_state_dict(new)
    logger.info("loaded %d tensors from %s", len(new), path)
    return network
