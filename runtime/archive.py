"""Arrays from an .npz that may come from anywhere: nothing is unpickled, and no small file becomes a large one."""

import io
import re
from collections.abc import Mapping
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import numpy.typing as npt

# a thousand patches of 256 px, several times what a bundle holds
MOST_BYTES = 256 * 2**20
# what numpy writes before an array, letter by letter: its own reader evaluates the header as Python
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?s:(?P<length>..))\{'descr': (?P<dtype>.{1,200}), "
    rb"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>[0-9, ]{0,200})\), \} *\n"
)


def read_arrays(data: bytes, shapes: Mapping[str, tuple[str, int]]) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of an .npz.

    Args:
        data: the archive.
        shapes: for each array wanted its dtype and number of dimensions.

    Raises:
        ValueError: no such archive, an array missing or of another dtype, or more than `MOST_BYTES` when unpacked.
    """
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > MOST_BYTES:
                raise ValueError(f"{unpacked} bytes when unpacked, wanted at most {MOST_BYTES}")
            if len(set(archive.namelist())) < len(archive.namelist()):
                raise ValueError("two members of one name")
            members = {name: _unpack(archive, f"{name}.npy") for name in shapes}
        return {name: _array(name, members[name], *shapes[name]) for name in shapes}
    except ValueError:
        raise
    except Exception as error:  # over a broken archive zipfile and zlib raise whatever they trip over
        raise ValueError(str(error) or type(error).__name__) from error


def _unpack(archive: ZipFile, name: str) -> bytes:
    """A member, read to the length its entry tells, which was bounded, and its checksum compared."""
    entry = archive.getinfo(name)
    # the other methods are unpacked without a bound, whatever length is asked for
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"{name} packed by method {entry.compress_type}, wanted stored or deflated")
    with archive.open(entry) as member:
        # without a length zipfile unpacks all that is there, and only then cuts it to what the entry tells
        content = member.read(entry.file_size)
    if len(content) != entry.file_size:
        raise ValueError(f"{name} of {len(content)} bytes, wanted the {entry.file_size} that its entry tells")
    return content


def _array(name: str, member: bytes, dtype: str, dimensions: int) -> npt.NDArray[np.generic]:
    """One .npy; its header is believed only after it was compared with the bytes that are there."""
    header = _HEADER.match(member)
    if header is None or int.from_bytes(header["length"], "little") != header.end() - 10:
        raise ValueError(f"{name} has no header as numpy writes it")
    wanted = np.dtype(dtype).newbyteorder("<")
    shape = tuple(int(side) for side in header["shape"].split(b",") if side.strip())
    if header["dtype"] != f"'{wanted.str}'".encode() or len(shape) != dimensions or header["fortran"] == b"True":
        order = ", in Fortran's order" if header["fortran"] == b"True" else ""
        raise ValueError(
            f"{name} is {header['dtype'].decode('ascii', 'replace')} with {len(shape)} dimensions{order}, "
            f"wanted {dtype} with {dimensions}"
        )
    content = member[header.end() :]
    # Python's integers do not overflow, as a product of numpy's would
    if len(content) != wanted.itemsize * _product(shape):
        raise ValueError(f"{name} holds {len(content)} bytes, which do not make {shape}")
    # a copy, which can be written to like any array that numpy read
    return np.frombuffer(content, wanted).reshape(shape).copy()


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
