"""Headers of MHA, MHD, NRRD and NHDR, read strictly before a library acts on them: they may name any file, and any size.

What a header may say is narrower here than in the libraries (each field once, on one line), so that both read the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from data_prep.volume import ReadError

T = TypeVar("T")
LONGEST_HEADER = 2**16
LONGEST_LINE = 2**12
MAX_AXES = 4
HERE = "LOCAL"
_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "LONG_LONG": 8,
    "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
}
_NRRD_PACKINGS = {
    "raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2",
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
}  # fmt: skip
_META_KEY = re.compile(r"[A-Za-z][^=:]{0,78}")
_PLAIN_NAME = re.compile(r"[\w(][\w .()+-]{0,254}")
# Fields of MetaIO that its reader takes apart by words, beyond the end of a line if need be.
_META_WORDS = {
    "ObjectType", "ObjectSubType", "NDims", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "CompressedData",
    "CompressedDataSize", "CompressionLevel", "TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin",
    "CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", "ElementSize", "DimSize", "ElementType", "HeaderSize",
    "ElementMin", "ElementMax", "ElementNumberOfChannels", "ElementToIntensityFunctionSlope",
    "ElementToIntensityFunctionOffset", "ID", "ParentID", "Color", "Modality", "SequenceID",
}  # fmt: skip
# MetaIO tells capitals apart: to it `elementdatafile` is a remark, and the header goes on within what we take for voxels.
_META_SPELT = {name.lower(): name for name in (*_META_WORDS, "ElementDataFile")}
_PER_AXIS = {"dimsize", "offset", "position", "origin", "centerofrotation", "elementspacing", "elementsize"}
_PER_PAIR = {"transformmatrix", "rotation", "orientation"}


@dataclass(frozen=True)
class Stored:
    """How a header says that its voxels are stored.

    Attributes:
        shape: all sizes, (X, Y[, Z]) and axes of components where the format has them.
        count: numbers, of all voxels and components.
        size: bytes of the unpacked voxels; for text the least number of its characters.
        packing: "raw", "zlib", "gzip", "bzip2" or "text".
        data: name of the file beside the header that holds the voxels; None: they follow the header.
        start: bytes of the header.
        length: packed bytes, where the header says so.
    """

    shape: tuple[int, ...]
    count: int
    size: int
    packing: str
    data: str | None
    start: int
    length: int | None = None


def read_header(raw: bytes, nrrd: bool) -> Stored:
    """What a header says of the voxels.

    Raises:
        ReadError: "not_an_image": no such header, or one that could be read in two ways; "elsewhere": it names a far file.
    """
    try:
        return _nrrd(raw) if nrrd else _meta(raw)
    except KeyError as error:
        raise ReadError("not_an_image", f"its header is damaged: {error.args[0]} is missing") from error
    except ValueError as error:
        raise ReadError("not_an_image", f"its header is damaged: {error}") from error


def _lines(raw: bytes) -> Iterator[tuple[str, int]]:
    """(line, where the next begins) of the header; "" stands for an empty line."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start, start + LONGEST_LINE)
        if end < 0 and len(raw) - start >= LONGEST_LINE:
            raise ValueError(f"no end of a line within {LONGEST_LINE} bytes")
        end = len(raw) if end < 0 else end
        # one \r alone: NRRD's reader takes each for the end of a line
        line = raw[start:end].removesuffix(b"\r").decode("latin-1").strip(" \t")
        if any(not (sign.isprintable() or sign == "\t") for sign in line):
            raise ValueError("it holds control characters")
        start = end + 1
        if start > LONGEST_HEADER:
            raise ValueError(f"it is longer than {LONGEST_HEADER} bytes")
        yield line, min(start, len(raw))


def _meta(raw: bytes) -> Stored:
    fields: dict[str, str] = {}
    for line, start in _lines(raw):
        key, equals, value = (part.strip() for part in line.partition("="))
        name = key.lower()
        if not equals or not _META_KEY.fullmatch(key):
            raise ValueError(f"the line {line[:40]!r} is not of the form KEY = VALUE")
        if name in fields:
            raise ValueError(f"{key} is there twice")
        if _META_SPELT.get(name, key) != key:
            raise ValueError(f"the field {key!r}; expected the spelling {_META_SPELT[name]}")
        if name in _META_SPELT and "=" in value:
            raise ValueError(f"{key} holds more than its value")
        fields[name] = value
        if name == "elementdatafile":
            return _meta_stored(fields, start)
    raise ValueError("ElementDataFile is missing")


def _meta_stored(fields: dict[str, str], start: int) -> Stored:
    axes = int(fields["ndims"])
    if not 1 <= axes <= MAX_AXES:
        raise ValueError(f"NDims = {axes}; expected 2 or 3")
    for name, count in [*dict.fromkeys(_PER_AXIS, axes).items(), *dict.fromkeys(_PER_PAIR, axes**2).items()]:
        if name in fields and len([float(word) for word in fields[name].split()]) != count:
            raise ValueError(f"{name} has {len(fields[name].split())} numbers; expected {count}")
    kind = fields["elementtype"].removeprefix("MET_").removesuffix("_ARRAY")
    shape = _sizes(fields["dimsize"])
    count = math.prod(shape) * _whole(fields.get("elementnumberofchannels", "1"))
    packed, text = _truth(fields, "compresseddata", False), not _truth(fields, "binarydata", True)
    if fields.get("headersize", "0") not in ("0", "-1"):
        raise ValueError(f"HeaderSize = {fields['headersize']}; expected none")
    data = None if fields["elementdatafile"].upper() == HERE else _plain_name(fields["elementdatafile"])
    length = _whole(fields["compresseddatasize"]) if packed and "compresseddatasize" in fields else None
    packing = "zlib" if packed else "text" if text else "raw"
    return Stored(shape, count, _bytes(count, _known(kind, _META_BYTES, "ElementType"), packing), packing, data, start, length)


def _nrrd(raw: bytes) -> Stored:
    fields: dict[str, str] = {}
    start = len(raw)
    for number, (line, end) in enumerate(_lines(raw)):
        if not number:
            if not re.fullmatch("NRRD000[1-5]", line):
                raise ValueError("it does not begin with NRRD")
        elif not line:
            start = end
            break
        elif not line.startswith("#"):
            key, colon, value = line.partition(":")
            name = re.sub(r"[\s_]", "", key.lower())
            if not colon or name in fields:
                raise ValueError(f"the line {line[:40]!r} is not of the form FIELD: VALUE, or there twice")
            if not value.startswith("=") or name == "datafile":
                fields[name] = value.strip()
    return _nrrd_stored(fields, start)


def _nrrd_stored(fields: dict[str, str], start: int) -> Stored:
    shape = _sizes(fields["sizes"])
    if len(shape) != _whole(fields["dimension"]) or len(shape) > MAX_AXES:
        raise ValueError(f"dimension: {fields['dimension']}, sizes: {fields['sizes'][:40]}; expected 2 or 3 axes")
    if any(fields.get(name, "0") != "0" for name in ("lineskip", "byteskip")):
        raise ValueError("it skips lines or bytes of its data; expected none")
    packing = _known(fields["encoding"].lower(), _NRRD_PACKINGS, "encoding")
    kind = " ".join(fields["type"].lower().split())
    data = _plain_name(fields["datafile"]) if "datafile" in fields else None
    count = math.prod(shape)
    return Stored(shape, count, _bytes(count, _known(kind, _NRRD_BYTES, "type"), packing), packing, data, start)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(_whole(word) for word in text.split())


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text) or not int(text):
        raise ValueError(f"{text[:40]!r}; expected a whole number from 1")
    return int(text)


def _truth(fields: dict[str, str], name: str, default: bool) -> bool:
    text = fields.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{name} = {text[:40]!r}; expected True or False")
    return text in ("true", "1")


def _known(word: str, table: Mapping[str, T], field: str) -> T:
    if word not in table:
        raise ValueError(f"{field} is {word[:40]!r}; expected one of {', '.join(table)}")
    return table[word]


def _bytes(count: int, item: int, packing: str) -> int:
    """Text has at least a digit a number and a space between two."""
    return 2 * count - 1 if packing == "text" else count * item


def _plain_name(text: str) -> str:
    if not _PLAIN_NAME.fullmatch(text) or text.split()[0].upper() == "LIST":
        raise ReadError("elsewhere", f"its voxels lie in {text[:80]!r}; expected them in the file itself, or in one beside it")
    return text
