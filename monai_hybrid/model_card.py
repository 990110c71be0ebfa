"""A model's card is input: it is held to a schema with bounds before a network is built from it.

Keys that are not named here are allowed, of plain kinds and within the same bounds: later versions describe more.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from safetensors import SafetensorError, safe_open

from data_prep.colour import COMPONENTS
from data_prep.dicom.codes import CODES_SCHEMA
from data_prep.json_io import half_character
from data_prep.lack_of_memory import refuse_for_memory
from data_prep.network_rules import network_problems, per_level
from monai_hybrid.catalogue.naming import model_path
from monai_hybrid.cut_off import COPY_AGAIN, cut_off
from monai_hybrid.errors import ModelFileError
from monai_hybrid.quality_schema import QUALITY_SCHEMA, contradiction

CARD_KEY, CARD_VERSION = "monai_hybrid_card", 1
AGAIN = "; copy the file again from its source"
LONGEST = 16 << 20  # characters of a card
LONGEST_PROBLEM = 300  # characters of what is said of a card
DEEPEST, MOST, LONGEST_TEXT = 16, 200_000, 100_000  # levels, values, and characters of one value
LONGEST_LIST, PROBLEMS = 20_000, 50  # entries; faults that are looked for
LARGEST_NETWORK = 1 << 31  # parameters
LARGEST_PATCH = 1 << 27  # voxels
STEMS = ("plain", "space_to_depth")
DOMAINS = (0, 2)  # kinds of scans that a network is told apart: none, or source and target
NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 200,
    "pattern": "^[^\\u0000-\\u001f\\u007f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$",
    "description": "a name of 1 to 200 characters on one line",
}
WORD = {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"}], "description": "one word"}


def _whole(most: int, least: int = 1) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most, "description": f"a whole number from {least} to {most}"}


def _listed(items: Mapping[str, Any], least: int, most: int, what: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most, "description": f"{least} to {most} {what}"}


_EDGE = {"type": "number", "exclusiveMinimum": 0, "maximum": 10_000, "description": "a number above 0, at most 10000"}
_PLAN = {
    "spatial_dims": {"enum": [2, 3]},
    "patch_size": _listed(_whole(65536), 2, 3, "numbers of voxels"),
    "spacing": _listed(_EDGE, 2, 3, "distances"),
    "normalization": {"type": ["object", "array"]},
    "batch_size": _whole(1 << 20),
    "num_timesteps": _whole(100_000),
    **dict.fromkeys(("prediction_type", "noise_schedule", "objective"), WORD),
}
_LEVELS = (1, 10)
_NETWORK = {
    "type": "object",
    "properties": {
        "spatial_dims": {"enum": [2, 3]},
        "in_channels": _whole(1024),
        "num_classes": _whole(4096, 2),
        "channels": _listed(_whole(4096), *_LEVELS, "widths, one a level"),
        "num_res_blocks": {"anyOf": [_whole(16), _listed(_whole(16), *_LEVELS, "numbers")], "description": "1 to 16 a level"},
        "attention_levels": _listed({"type": "boolean"}, *_LEVELS, "times true or false"),
        "norm_num_groups": _whole(1024),
        "num_head_channels": {"anyOf": [_whole(4096), _listed(_whole(4096), *_LEVELS, "numbers")], "description": "1 to 4096"},
        "stem": WORD,
        "refinement": _whole(256, 0),
        "num_domains": {"enum": list(DOMAINS), "type": "integer", "description": " or ".join(map(str, DOMAINS))},
    },
}
_TEACHER = {
    "type": "object",
    "properties": {
        "model": {**NAME, "maxLength": 4096, "description": "a path on one line"},
        "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "64 hexadecimal digits"},
    },
    "description": "an object with model and sha256",
}
_LABEL = {
    "type": "object",
    "properties": {"index": _whole(4095, 0), "value": _whole(2**63 - 1, 0), "name": NAME},
    "description": "an object with index, value (from 0) and name",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "a JSON object",
    "properties": {
        "spatial_dims": {"enum": [2, 3]},
        "channels": _listed(NAME, 1, 1024, "names"),
        "colour": {**_listed({"enum": list(COMPONENTS)}, 1, 3, f"of {', '.join(COMPONENTS)}"), "uniqueItems": True},
        "labels": _listed(_LABEL, 1, 4096, "labels, background first"),
        "codes": CODES_SCHEMA,
        "accepted": _listed({"type": "string", "pattern": "^D[0-9]{3}$"}, 0, 1000, "codes such as D107"),
        "network": _NETWORK,
        "plan": {"type": "object", "properties": {**_PLAN, "network": _NETWORK}},
        "training": {"type": "object", "properties": {**_PLAN, "distilled_from": _TEACHER}},
        "versions": {"type": "object"},
        "citation": {"type": "array"},
        "quality": QUALITY_SCHEMA,
        **{key: {"type": ["string", "null"]} for key in ("modality", "source", "created")},
    },
}
TO_ADAPT = ("spatial_dims", "network.channels", "plan.normalization", "training.patch_size", "training.spacing")
NEEDED = (
    "spatial_dims", "channels", "labels", "network.channels", "network.num_res_blocks", "network.attention_levels",
    "network.norm_num_groups", "network.num_head_channels", "plan.normalization", "training.patch_size", "training.spacing",
)  # fmt: skip


def read_card(path: Path | str) -> dict[str, Any] | None:
    """The card of a model file: its own (safetensors), or that of the safetensors file beside it; None when there is none.

    `path` may be the name of a model that comes with the package.

    Raises:
        ModelFileError: the file that should hold the card is damaged, or the card is of another format.
    """
    path = Path(model_path(str(path))).with_suffix(".safetensors")
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as handle:
            text = (handle.metadata() or {}).get(CARD_KEY)
    except (SafetensorError, OSError) as error:
        refuse_for_memory(error, path)
        told = cut_off(path) or error
        raise ModelFileError(f"{path}: not a readable safetensors file ({told}); {COPY_AGAIN}") from error
    if not text:
        return None
    return parse_card(path, text)


def parse_card(path: Path, text: str) -> dict[str, Any]:
    """The card in a model file's header.

    Raises:
        ModelFileError: no JSON object, a value out of its bounds, or parts that contradict each other.
    """
    if len(text) > LONGEST:
        raise ModelFileError(f"{path}: its card has {len(text)} characters, expected at most {LONGEST}{AGAIN}")
    if text.count(",") > MOST:  # before it is parsed, which takes seconds where it is long
        raise ModelFileError(f"{path}: its card holds more than {MOST} values{AGAIN}")
    try:
        card = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else error
        raise ModelFileError(f"{path}: its card is not valid JSON ({said}){AGAIN}") from error
    if half := half_character(text):
        raise ModelFileError(f"{path}: its card holds {half}, half of a character, which nothing can show{AGAIN}")
    unbounded = _unbounded(card)
    if unbounded:
        raise ModelFileError(f"{path}: its card {unbounded}{AGAIN}")
    if isinstance(card, dict) and card.get("format_version", CARD_VERSION) != CARD_VERSION:
        found = _short(card["format_version"])
        raise ModelFileError(f"{path}: its card is of format {found}, expected {CARD_VERSION}; update monai_hybrid")
    problem = next(_problems(card), None)
    if problem:
        raise ModelFileError(f"{path}: its card, {_printable(problem, LONGEST_PROBLEM)}{AGAIN}")
    return dict(card)


def check_complete(path: Path | str, card: Mapping[str, Any], needed: Sequence[str] = NEEDED) -> None:
    """Refuse a card that says too little to rebuild the network and its input.

    Raises:
        ModelFileError: with the first key that is missing.
    """
    for key in needed:
        node: Any = card
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        if node is None:
            raise ModelFileError(f"{path}: its card says nothing of {key}, which is needed to use the model{AGAIN}")
    for label in card.get("labels") or []:
        if not {"index", "value", "name"} <= set(label):
            raise ModelFileError(f"{path}: its card, labels: saw {_short(label)}; expected index, value and name{AGAIN}")


def required_card(path: Path | str, needed: Sequence[str] = NEEDED) -> dict[str, Any]:
    """As `read_card`, of a model that must have one, and with all that is needed.

    Raises:
        ModelFileError: there is no such file, it has no card, or one that says too little.
    """
    card = read_card(path)
    if card is None:
        raise ModelFileError(f"{path}: no model file with a card; give models/model.safetensors of a training run")
    check_complete(path, card, needed)
    return card


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _unbounded(card: Any) -> str | None:
    """What is too much, looked at without recursion."""
    waiting, seen = [(card, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST:
            return f"is nested deeper than {DEEPEST} levels" if depth > DEEPEST else f"holds more than {MOST} values"
        if isinstance(node, list) and len(node) > LONGEST_LIST:
            return f"holds a list of {len(node)} entries, expected at most {LONGEST_LIST}"
        if isinstance(node, str) and len(node) > LONGEST_TEXT:
            return f"holds a text of {len(node)} characters, expected at most {LONGEST_TEXT}"
        if isinstance(node, (int, float)) and not math.isfinite(_as_float(node)):
            return "holds a number too large for any use"
        inside = [*node, *node.values()] if isinstance(node, dict) else node if isinstance(node, list) else []
        waiting += [(child, depth + 1) for child in inside]
    return None


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _problems(card: Any) -> Iterator[str]:
    for error in sorted(islice(_validator().iter_errors(card), PROBLEMS), key=lambda error: len(error.absolute_path)):
        yield against_schema(error)
    labels = card.get("labels") or []
    yield from _label_problems(labels)
    yield from _count_problems(card)
    for where in (card, card.get("plan") or {}):
        if "network" in where:
            yield from _network_problems(where["network"], card.get("spatial_dims") or 3)
    if said := contradiction(card.get("quality") or {}, len(labels)):
        yield said
    for part in ("plan", "training"):
        patch = (card.get(part) or {}).get("patch_size") or []
        if math.prod(patch) > LARGEST_PATCH:
            yield f"{part}.patch_size: saw {patch}; expected at most {LARGEST_PATCH} voxels"


def _label_problems(labels: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Indices that are not 0, 1, 2, ...; values and names that stand twice."""
    for key in ("index", "value", "name"):
        found = [label[key] for label in labels if key in label]
        in_order = key != "index" or not found or found == list(range(len(labels)))
        if not in_order or len(set(found)) < len(found):
            yield f"labels: saw {key} {_short(found)}; expected {'0, 1, 2 in order' if key == 'index' else 'each once'}"


def _count_problems(card: Mapping[str, Any]) -> Iterator[str]:
    """Colours and network ends of another number than there are channels and labels."""
    if "colour" in card and "channels" in card and len(card["colour"]) != len(card["channels"]):
        yield f"colour: saw {card['colour']}; expected {len(card['channels'])}, as many as there are channels"
    network = card.get("network") or {}
    for key, named in (("in_channels", "channels"), ("num_classes", "labels")):
        if key in network and named in card and network[key] != len(card[named]):
            yield f"network.{key}: saw {network[key]}; expected {len(card[named])}, as many as there are {named}"


def against_schema(error: Any) -> str:
    """Where, what was seen, and what was expected."""
    place = error.json_path.removeprefix("$").removeprefix(".") or "the whole"
    expected = error.schema.get("description") or f"{error.validator} {error.validator_value!r}"
    return f"{place}: saw {_short(error.instance)}; expected {expected}"


def _network_problems(network: Mapping[str, Any], dims: int) -> Iterator[str]:
    yield from network_problems(network)
    channels = network.get("channels") or []
    if network.get("stem", STEMS[0]) not in STEMS:
        yield f"network.stem: saw {_short(network['stem'])}; expected one of {', '.join(STEMS)}"
    blocks = per_level(network.get("num_res_blocks", 1), len(channels))
    # two convolutions a block, on the way up with the skipped features beside its own, and one block more a level
    size = sum((2 * number + 1) * 5 * 3**dims * width**2 for number, width in zip(blocks, channels, strict=False))
    if size > LARGEST_NETWORK:
        yield f"network: saw one of about {size / 1e9:.1f} billion parameters; expected at most {LARGEST_NETWORK / 1e9:.1f}"


def _short(value: Any) -> str:
    return _printable(repr(value), 80)


def _printable(text: str, longest: int) -> str:
    """Without signs that a terminal would obey, and not too long: names in a card are a stranger's too."""
    text = "".join(sign if sign.isprintable() else "?" for sign in text[: longest + 1])
    return text if len(text) <= longest else f"{text[:longest]}..."


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(SCHEMA)
