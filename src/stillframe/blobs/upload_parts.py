"""A file as the parts of a multipart upload, each digested as it goes out."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

from stillframe.blobs.digests import Progress

if TYPE_CHECKING:
    from obstore import BytesStream

MIN_PART_BYTES = 8 * 1024 * 1024
_MIB = 1024 * 1024
# S3 takes 10,000; a round number below leaves room.
_MAX_PARTS = 9_000


class UploadParts:
    """The file's size when it was opened counts; a file which shrinks meanwhile is an error."""

    class StoppedError(Exception):
        """The upload was told to stop."""

    def __init__(self, fd: int, part_size: int | None, at_once: int, on_progress: Progress | None) -> None:
        self.size_bytes = os.fstat(fd).st_size
        self.part_size = part_size or part_size_for(self.size_bytes)
        self.at_once = at_once
        self.etag: str | None = None
        self._fd = fd
        self._on_progress = on_progress
        self._md5s: list[bytes] = []
        self._stopped = False

    @classmethod
    @contextlib.contextmanager
    def of_file(cls, path: Path, part_size: int | None, at_once: int, on_progress: Progress | None) -> Iterator[Self]:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield cls(fd, part_size, at_once, on_progress)
        finally:
            os.close(fd)

    @property
    def expected_etag(self) -> str:
        """The MD5 of the parts' MD5s, and their number: what S3 answers for an object it does not encrypt."""
        digest = hashlib.md5(b"".join(self._md5s), usedforsecurity=False).hexdigest()
        return f"{digest}-{len(self._md5s)}"

    def stop(self) -> None:
        """Makes the next read of a part fail."""
        self._stopped = True

    async def read(self) -> AsyncIterator[bytes]:
        """At least one part, since an empty object is one empty part."""
        for offset in range(0, max(self.size_bytes, 1), self.part_size):
            if self._stopped:
                raise UploadParts.StoppedError
            self._report(offset)
            length = min(self.part_size, self.size_bytes - offset)
            part, md5 = await asyncio.to_thread(_read_part, self._fd, offset, length)
            self._md5s.append(md5)
            yield part
        if self._stopped:
            raise UploadParts.StoppedError

    def _report(self, read_bytes: int) -> None:
        # When a part is asked for, all but the last few before it have arrived.
        if self._on_progress:
            self._on_progress(max(0, read_bytes - self.at_once * self.part_size), self.size_bytes)

    async def equal(self, chunks: "BytesStream") -> bool:
        """Whether the chunks are the file's bytes."""
        offset = 0
        async for chunk in chunks:
            received = bytes(chunk)
            if await asyncio.to_thread(os.pread, self._fd, len(received), offset) != received:
                return False
            offset += len(received)
        return offset == self.size_bytes


def part_size_for(size_bytes: int) -> int:
    """8 MiB, or as many whole MiB as keep the number of parts below S3's limit."""
    needed = -(-size_bytes // _MAX_PARTS)
    return max(MIN_PART_BYTES, -(-needed // _MIB) * _MIB)


def _read_part(fd: int, offset: int, length: int) -> tuple[bytes, bytes]:
    part = os.pread(fd, length, offset)
    while len(part) < length:
        more = os.pread(fd, length - len(part), offset + len(part))
        if not more:
            raise OSError(f"the file ended at byte {offset + len(part)} while it was being uploaded")
        part += more
    return part, hashlib.md5(part, usedforsecurity=False).digest()
