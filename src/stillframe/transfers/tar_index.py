"""Where the members of a tar archive lie, found without reading or keeping anything else of it.

The standard library's reader loads extended headers into memory whatever their size; here everything is bounded.
Source: POSIX, pax interchange format; GNU tar manual, "Basic Tar Format".
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from stillframe.transfers.errors import ImageFileInvalidError

BLOCK_BYTES = 512
MAGIC_AT = 257
MAGIC = b"ustar"
_MAX_MEMBERS = 1000
_MAX_EXTENSION_BYTES = 64 * 1024
_REGULAR, _PAX, _PAX_GLOBAL, _GNU_NAME = (b"0", b"\0", b"7"), b"x", b"g", b"L"
_PAX_RECORD = re.compile(rb"\d+ (path|size)=([^\n]*)\n")


class Member(NamedTuple):
    name: str
    offset: int
    length: int


def list_members(file: BinaryIO, size_bytes: int) -> Iterator[Member]:
    """Regular files only, in the archive's order. Raises: ImageFileInvalidError when it is damaged or cut off."""
    offset = 0
    told: dict[bytes, bytes] = {}
    for _ in range(_MAX_MEMBERS):
        header = _read(file, offset, BLOCK_BYTES, size_bytes)
        if not any(header):
            return
        kind, length = header[156:157], _number(told.get(b"size"), header[124:136])
        data_at = offset + BLOCK_BYTES
        if data_at + length > size_bytes:
            raise ImageFileInvalidError("The archive is cut off.")
        if kind in (_PAX, _GNU_NAME):
            extension = _read(file, data_at, min(length, _MAX_EXTENSION_BYTES), size_bytes)
            told |= {b"path": extension.rstrip(b"\0")} if kind == _GNU_NAME else dict(_PAX_RECORD.findall(extension))
        else:
            if kind in _REGULAR:
                yield Member(_text(told.get(b"path") or _name(header)), data_at, length)
            elif kind != _PAX_GLOBAL and length:
                raise ImageFileInvalidError("The archive holds something that is no ordinary file.")
            told = {}
        offset = data_at + -(-length // BLOCK_BYTES) * BLOCK_BYTES
        if offset >= size_bytes:
            return
    raise ImageFileInvalidError(f"The archive has more than {_MAX_MEMBERS} members.")


def _read(file: BinaryIO, offset: int, length: int, size_bytes: int) -> bytes:
    if offset + length > size_bytes:
        raise ImageFileInvalidError("The archive is cut off.")
    file.seek(offset)
    return file.read(length)


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    is_posix = header[MAGIC_AT : MAGIC_AT + 6] == b"ustar\0"
    return prefix + b"/" + name if prefix and is_posix else name


def _text(name: bytes) -> str:
    return name.decode("utf-8", errors="replace").removeprefix("./")


def _number(told: bytes | None, field: bytes) -> int:
    """In octal digits; in base 256 where the first bit says so, as sizes from 8 GiB on are written."""
    try:
        if told is not None:
            return _not_negative(int(told))
        if field[0] & 0x80:
            return int.from_bytes(field, "big") & ((1 << 95) - 1)
        return _not_negative(int(field.strip(b"\0 ") or b"0", 8))
    except ValueError as error:
        raise ImageFileInvalidError("The archive is damaged.", cause=error) from error


def _not_negative(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return number
