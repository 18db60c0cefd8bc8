"""Reading a file which may lie: every read is whole or a refusal."""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from stillframe.errors import InvalidInputError
from stillframe.qemu.inspection.model import Window

_CHUNK_BYTES = 1024**2


def refuse(reason: str) -> InvalidInputError:
    """`reason` is a sentence for whoever sent the file."""
    return InvalidInputError(reason, field="file")


class Part:
    """A window on an open file, as a file of its own."""

    def __init__(self, file: BinaryIO, window: Window) -> None:
        self._file = file
        self._window = window
        self.seek(0)

    def seek(self, offset: int) -> int:
        return self._file.seek(self._window.offset + offset)

    def tell(self) -> int:
        return self._file.tell() - self._window.offset

    def read(self, length: int) -> bytes:
        return self._file.read(max(0, min(length, self._window.length - self.tell())))


class Reader:
    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self.size_bytes = size_bytes

    def read(self, offset: int, length: int) -> bytes:
        self.require(offset, length)
        self._file.seek(offset)
        data = self._file.read(length)
        if len(data) != length:
            raise refuse("The image file changed while it was read.")
        return data

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def table(self, entry: str, offset: int, entries: int) -> Iterator[int]:
        """The numbers of a table, `entry` being the struct code of one, such as ">Q"."""
        width = struct.calcsize(entry)
        self.require(offset, entries * width)
        while entries:
            count = min(entries, _CHUNK_BYTES // width)
            yield from struct.unpack(f"{entry[0]}{count}{entry[1]}", self.read(offset, count * width))
            offset += count * width
            entries -= count

    def require(self, offset: int, length: int) -> None:
        """The file has these bytes, or is refused."""
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise refuse("The image file is truncated: parts of the disk are missing.")
