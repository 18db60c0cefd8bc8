"""Reading a file which may lie: every read is whole or a refusal."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from stillframe.errors import InvalidInputError
from stillframe.qemu.inspection.model import Window

_CHUNK_BYTES = 1024**2
_MAX_TABLE_ENTRIES = 1 << 26  # a disk of 4 TiB in clusters of 64 KiB


def refuse(reason: str) -> InvalidInputError:
    """`reason` is a sentence for whoever sent the file."""
    return InvalidInputError(reason, field="file")


def furthest_and_count(places: Iterable[int]) -> tuple[int, int]:
    """The largest of these numbers, or -1, and how many there are."""
    furthest, count = -1, 0
    for place in places:
        count += 1
        furthest = max(furthest, place)
    return furthest, count


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
        self._table_bytes = 0
        self._table_entries = 0

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
        """The numbers of a table, `entry` being the struct code of one, such as ">Q".

        Looking at them takes the longer the more there are, so a small file must not have many: no two tables of a file
        have a byte in common.
        """
        width = struct.calcsize(entry)
        self.require(offset, entries * width)
        self._table_bytes += entries * width
        self._table_entries += entries
        if self._table_bytes > self.size_bytes:
            raise refuse("The image file is damaged: its tables overlap.")
        if self._table_entries > _MAX_TABLE_ENTRIES:
            raise refuse("The image file has more and larger tables than can be looked at.")
        while entries:
            count = min(entries, _CHUNK_BYTES // width)
            yield from struct.unpack(f"{entry[0]}{count}{entry[1]}", self.read(offset, count * width))
            offset += count * width
            entries -= count

    def require_blocks(self, count: int, block_bytes: int) -> None:
        """Room for so many blocks of the disk, the last of which may be cut off; else some are used more than once, and
        a small file would become a large disk.
        """
        if (count - 1) * block_bytes > self.size_bytes:
            raise refuse("The image file is damaged: parts of the disk are in the same place.")

    def require(self, offset: int, length: int) -> None:
        """The file has these bytes, or is refused."""
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise refuse("The image file is truncated: parts of the disk are missing.")
