"""What of a header others may read: numbers and words of the standard. Free text may name a person; `who` tells it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from data_prep.dicom.names import without_identifiers
from data_prep.naming import naming
from data_prep.quoting import printable

Pairs = tuple[tuple[str, str], ...]  # keyword and value, as they part planes at one place
NUMBER = re.compile(r"[+-]?\d{1,10}(\.\d{0,12})?([eE][+-]?\d{1,3})?")
RANK = re.compile(r"no\.\d{1,6}")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split(","))


# PS3.3, section C.7.3.1.1.1: modalities of images
MODALITIES = _set(
    "AR,BDUS,BI,BMD,CR,CT,DG,DX,ES,FA,GM,IO,IVOCT,IVUS,LS,MG,MR,NM,OAM,OCT,OP,OPM,OPT,OPTENF,OT,PT,PX,RF,RG,RTIMAGE,SM,TG,US,"
    "VA,XA,XC"
)
PHOTOMETRIC = _set("MONOCHROME1,MONOCHROME2,RGB,YBR_FULL,YBR_FULL_422,YBR_PARTIAL_420,YBR_ICT,YBR_RCT,XYB,PALETTE COLOR")
# Of ImageType and FrameType: the standard's, and those that scanners write of their own kinds of images.
IMAGE_WORDS = _set(
    ",ORIGINAL,DERIVED,PRIMARY,SECONDARY,MIXED,AXIAL,LOCALIZER,OTHER,NONE,VOLUME,MOSAIC,M,P,R,I,MAGNITUDE,PHASE,REAL,IMAGINARY,"
    "M_FFE,PHASE_MAP,PHASE MAP,R_FFE,I_FFE,M_SE,M_IR,ADC,TRACEW,FA,DIFFUSION,NORM,DIS2D,DIS3D,ND,MIP,MPR,WATER,FAT,W,F,IP,OP,"
    "IN_PHASE,OUT_PHASE,OPP_PHASE,FFE,SE,IR,T1,T2,B0"
)


def shown_number(text: str, identifiers: Collection[str]) -> str:
    """A number as it is; "" for anything else, and for one that holds an identifier."""
    return text if naming().keep or (NUMBER.fullmatch(text) and _names_nobody(text, identifiers)) else ""


def shown_term(text: str, known: Collection[str], otherwise: str) -> str:
    """A word of the standard's list; `otherwise` for any other."""
    return printable(text) if naming().keep or text in known else otherwise


def shown_parts(parts: Sequence[Pairs], identifiers: Collection[str]) -> dict[Pairs, str]:
    """By part the words that choose it: its values, or of each free text "no." and its rank among all that occur."""
    ranks: dict[str, dict[str, int]] = {}
    for name in {name for pairs in parts for name, _ in pairs}:
        values = sorted({value for pairs in parts for one, value in pairs if one == name})
        ranks[name] = {value: rank for rank, value in enumerate(values, start=1)}
    hidden = {name for name, values in ranks.items() if not all(_plain(name, value, identifiers) for value in values)}
    return {pairs: _words(pairs, hidden, ranks) for pairs in parts}


def joined(pairs: Iterable[tuple[str, str]]) -> str:
    """NAME=VALUE with commas between them, as `--series` takes it."""
    return ",".join(f"{name}={value}" for name, value in pairs)


def _words(pairs: Pairs, hidden: Collection[str], ranks: Mapping[str, Mapping[str, int]]) -> str:
    return printable(joined((name, f"no.{ranks[name][value]}" if name in hidden else value) for name, value in pairs))


def _plain(name: str, value: str, identifiers: Collection[str]) -> bool:
    if naming().keep:
        return True
    term = name == "ImageType" and all(word.upper() in IMAGE_WORDS for word in value.split("\\"))
    number = not value or NUMBER.fullmatch(value) or RANK.fullmatch(value)
    return bool(term or number) and _names_nobody(value, identifiers)


def _names_nobody(text: str, identifiers: Collection[str]) -> bool:
    return without_identifiers(text, identifiers) == printable(text)
