"""NIfTI-1 and -2 from bytes, refusing what nibabel lets pass: wrong checksums, cut files, sizes no machine can hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

from data_prep.header_text import personal_texts
from data_prep.nifti_open import says_gzip
from data_prep.volume import NiftiFacts, ReadError, Volume

MAX_BYTES = 8 * 2**30  # a header that asks for more is taken for damaged: 2 G voxels of float32
GZIP_MAGIC = b"\x1f\x8b"
GZIP_MAX_RATIO = 1032  # deflate cannot pack tighter, so a header that asks for more than this is wrong
_HEADERS = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_IMAGES = {348: nib.Nifti1Image, 540: nib.Nifti2Image}


def read_nifti(path: Path, raw: bytes) -> Volume:
    """Read one NIfTI file from its bytes.

    Raises:
        ReadError: the bytes are not a whole, sound NIfTI file.
    """
    packed = raw[:2] == GZIP_MAGIC
    _check_name(path, packed)
    size, header = _header(_inflate(raw, 540, whole=False) if packed else raw[:540])
    wanted = _wanted_bytes(header, len(raw) * (GZIP_MAX_RATIO if packed else 1))
    data = _inflate(raw, wanted, whole=True) if packed else raw
    if len(data) < wanted:
        raise ReadError("truncated", f"it holds {len(data)} bytes; its header asks for {wanted}")
    pixel_type = _pixel_type(header.get_data_dtype())
    try:
        image = _IMAGES[size].from_bytes(data)
        with np.errstate(over="ignore", invalid="ignore"):  # a wild scale factor shows up in the checks of values
            array = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=np.float64)
        facts = _facts(header, len(data) - wanted, _extension_codes(header, data))
        return Volume(path, array, affine, pixel_type, hashlib.sha256(raw).hexdigest(), facts)
    except MemoryError:
        raise
    except Exception as error:  # nibabel has no one error class for what can be wrong in a header
        raise ReadError("not_an_image", f"its header is damaged: {error}") from error


def _check_name(path: Path, packed: bool) -> None:
    if packed and not says_gzip(path):
        raise ReadError("wrong_name", "its content is gzip, its name says plain NIfTI; readers go by the name")
    if not packed and says_gzip(path):
        raise ReadError("wrong_name", "its name says gzip, its content is not; readers go by the name")


def _inflate(raw: bytes, limit: int, whole: bool) -> bytes:
    """Unpack at most `limit` bytes; with `whole`, also require that the stream ends there with a good checksum."""
    stream = zlib.decompressobj(wbits=31)
    try:
        data = stream.decompress(raw, limit)
        if not whole:
            return data
        rest = stream.decompress(stream.unconsumed_tail, 2**20)  # padding at the end is harmless, a bomb is not
    except zlib.error as error:
        raise ReadError("damaged", f"gzip reports: {error}") from error
    if stream.unconsumed_tail:
        raise ReadError("damaged", f"it unpacks to far more than the {limit} bytes its header asks for")
    if not stream.eof:
        raise ReadError("truncated", f"the gzip stream stops after {len(data) + len(rest)} of {limit} bytes")
    after = stream.unused_data.lstrip(b"\0")
    if after.startswith(GZIP_MAGIC):
        return _members(raw, limit)
    if after:
        raise ReadError("damaged", f"{len(after)} bytes follow the end of the gzip stream")
    return data + rest


def _members(raw: bytes, limit: int) -> bytes:
    """Unpack a gzip file of several members, as parallel packers write it."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
            data = file.read(limit + 2**20)
            if file.read(1):
                raise ReadError("damaged", f"it unpacks to far more than the {limit} bytes its header asks for")
    except EOFError as error:
        raise ReadError("truncated", "the gzip stream stops before its end") from error
    except (OSError, zlib.error) as error:
        raise ReadError("damaged", f"gzip reports: {error}") from error
    return data


def _header(head: bytes) -> tuple[int, nib.Nifti1Header]:
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>" if len(head) >= 4} & set(_HEADERS)
    if len(head) < 348 and (sizes or len(head) < 4):
        raise ReadError("truncated", f"it holds {len(head)} bytes; a NIfTI header has 348")
    if not sizes:
        text = " (it is a Git LFS pointer: run `git lfs pull`)" if head.startswith(b"version https://git-lfs") else ""
        raise ReadError("not_an_image", f"it does not begin with a NIfTI header{text}")
    size = sizes.pop()
    if len(head) < size:
        raise ReadError("truncated", f"it holds {len(head)} bytes; this NIfTI header has {size}")
    # check=False: nibabel would silently turn a zero voxel size into 1
    return size, _HEADERS[size](head[:size], check=False)


def _wanted_bytes(header: nib.Nifti1Header, available: int) -> int:
    """Bytes up to the last voxel, from the header alone, so that nothing is allocated on a wrong header's word."""
    try:
        dtype, offset = header.get_data_dtype(), int(header["vox_offset"])
        shape = [int(size) for size in header.get_data_shape()]
    except Exception as error:
        raise ReadError("not_an_image", f"its header is damaged: {error}") from error
    if len(shape) < 2 or min(shape) < 1:
        raise ReadError("not_an_image", f"its header gives the shape {shape}")
    first = int(header.single_vox_offset)
    if offset < first:  # nibabel would take the header itself for voxels where it says 0
        raise ReadError("damaged", f"its header says that voxels begin at byte {offset}; expected {first} or more")
    wanted = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if wanted > min(MAX_BYTES, free_memory()):
        raise ReadError(
            "too_large",
            f"its header asks for {wanted / 2**30:.1f} GiB (shape {shape}); "
            f"the limit is {min(MAX_BYTES, free_memory()) / 2**30:.1f} GiB",
        )
    if wanted > available:
        raise ReadError("truncated", f"it is too short for the {wanted} bytes its header asks for (shape {shape})")
    return wanted


def free_memory() -> int:
    """Bytes of memory that the machine can still give; no limit where the system does not say (Linux says)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return MAX_BYTES


def _pixel_type(dtype: np.dtype) -> str:
    if dtype.names:
        raise ReadError("voxel_type", f"its voxels are colours ({''.join(dtype.names)}); expected one number per voxel")
    if dtype.kind == "c":
        raise ReadError("voxel_type", f"its voxels are complex numbers ({dtype}); expected real numbers")
    if dtype.kind not in "iuf":
        raise ReadError("voxel_type", f"its voxels have the type {dtype}; expected integers or floats")
    return str(dtype.newbyteorder("="))


def _facts(header: nib.Nifti1Header, surplus: int, extension_codes: tuple[int, ...] = ()) -> NiftiFacts:
    dims = min(3, len(header.get_data_shape()))
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except Exception:  # an impossible quaternion; the sform may still be good
        qform = None
    return NiftiFacts(
        qform_code=int(header["qform_code"]),
        sform_code=int(header["sform_code"]),
        qform=qform,
        sform=np.asarray(header.get_sform(), dtype=np.float64),
        pixdim=tuple(float(size) for size in header["pixdim"][1 : 1 + dims]),
        units={1: "meter", 2: "mm", 3: "micron"}.get(int(header["xyzt_units"]) & 7, "unknown"),
        slope=float(header["scl_slope"]),
        surplus=surplus,
        personal=personal_texts(header, extension_codes),
    )


def _extension_codes(header: nib.Nifti1Header, data: bytes) -> tuple[int, ...]:
    """Codes of the extensions between header and voxels; () where there are none, or no sound ones."""
    at, end, order, codes = header.single_vox_offset, int(header["vox_offset"]), header.endianness, []
    if data[at - 4 : at - 3] in (b"", b"\0"):
        return ()
    while at + 8 <= min(end, len(data)):
        size, code = struct.unpack(f"{order}ii", data[at : at + 8])
        if size < 8:
            break
        codes.append(code)
        at += size
    return tuple(codes)
