"""Compressed files, told by their first bytes and read a bounded piece at a time, however little they were made of.

A few bytes can stand for gigabytes. So no library is ever given input without saying how much output it may make, and
dictionaries that want more memory than the ordinary tools use are refused.
"""

import bz2
import enum
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from backports import zstd

from stillframe.errors import InvalidInputError

PREFIX_BYTES = 8
_INPUT_BYTES = 256 * 1024
# xz -9 takes 65 MiB to unpack; zstd --long takes 128 MiB.
_XZ_MEMORY_BYTES = 128 * 1024 * 1024
_ZSTD_WINDOW_LOG = 27
_GZIP_WINDOW_BITS = 31


class Compression(enum.StrEnum):
    GZIP = "gz"
    XZ = "xz"
    ZSTD = "zst"
    BZIP2 = "bz2"


_MAGIC = {
    b"\x1f\x8b\x08": Compression.GZIP,
    b"\xfd7zXZ\x00": Compression.XZ,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"BZh": Compression.BZIP2,
}


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


def detect_compression(prefix: bytes) -> Compression | None:
    """None for a file that is not compressed; `prefix` are its first bytes, `PREFIX_BYTES` at least if it has them."""
    return next((kind for magic, kind in _MAGIC.items() if prefix.startswith(magic)), None)


class _Decompressor(Protocol):
    """What those of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's in the same form."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=_GZIP_WINDOW_BITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, /, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def _zstd() -> _Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_DECOMPRESSORS: dict[Compression, Callable[[], _Decompressor]] = {
    Compression.GZIP: _Gzip,
    Compression.XZ: _xz,
    Compression.ZSTD: _zstd,
    Compression.BZIP2: bz2.BZ2Decompressor,
}
_ERRORS = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError)


class Unpacked:
    """What a compressed file holds, of all its members one after the other."""

    def __init__(self, source: Readable, compression: Compression) -> None:
        self._source = source
        self._new_decompressor = _DECOMPRESSORS[compression]
        self._member = self._new_decompressor()
        self._unread = b""
        self._is_over = False

    def read(self, size: int, /) -> bytes:
        """Raises: InvalidInputError when the file is damaged or cut off; whatever reading the source raises."""
        while not self._is_over:
            if self._member.eof:
                self._begin_next_member()
            elif piece := self._decompress(self._input() if self._member.needs_input else b"", size):
                return piece
        return b""

    def _input(self) -> bytes:
        data, self._unread = self._unread or self._source.read(_INPUT_BYTES), b""
        if not data:
            raise InvalidInputError("The compressed image file is cut off.", field="file")
        return data

    def _decompress(self, data: bytes, size: int) -> bytes:
        try:
            return self._member.decompress(data, size)
        except _ERRORS as error:
            raise InvalidInputError("The compressed image file is damaged.", field="file", cause=error) from error

    def _begin_next_member(self) -> None:
        # Zeros may fill a file up to the block of a tape.
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest and (more := self._source.read(_INPUT_BYTES)):
            rest = more.lstrip(b"\0")
        self._is_over = not rest
        self._member, self._unread = self._new_decompressor(), rest
