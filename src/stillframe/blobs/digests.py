"""MD5 and SHA-512 of files and of streams, one pass, each algorithm on a thread of its own.

hashlib lets the interpreter go while it digests a large buffer, so the slower of the two algorithms sets the pace and
the event loop never waits.
"""

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CHUNK_BYTES = 2 * 1024 * 1024
_BACKLOG_CHUNKS = 8
_ZEROS = bytes(CHUNK_BYTES)

Progress = Callable[[int, int], None]
"""Called in the event loop with the bytes done and the bytes in total; it must not block."""


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests as lower case hex digits."""

    md5: str
    sha512: str
    size_bytes: int


class HashLane:
    """One digest, computed in order on one thread behind the caller, who waits only when it falls too far behind."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=algorithm)
        self._backlog: deque[Future[None]] = deque()

    async def feed(self, chunk: bytes | memoryview) -> None:
        """`chunk` must not change afterwards."""
        self._backlog.append(self._thread.submit(self._hash.update, chunk))
        while len(self._backlog) > _BACKLOG_CHUNKS:
            await asyncio.wrap_future(self._backlog.popleft())

    async def hexdigest(self) -> str:
        while self._backlog:
            await asyncio.wrap_future(self._backlog.popleft())
        return self._hash.hexdigest()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


class StreamingDigests:
    """Digests of bytes as they pass by, for uploads.

    `async with StreamingDigests() as digests:` ... `await digests.update(chunk)` ... `await digests.finish()`.
    """

    def __init__(self) -> None:
        self._md5 = HashLane("md5")
        self._sha512 = HashLane("sha512")
        self._size_bytes = 0

    async def update(self, chunk: bytes | memoryview) -> None:
        """`chunk` must not change afterwards."""
        self._size_bytes += len(chunk)
        await self._sha512.feed(chunk)
        await self._md5.feed(chunk)

    async def finish(self) -> Digests:
        return Digests(
            md5=await self._md5.hexdigest(), sha512=await self._sha512.hexdigest(), size_bytes=self._size_bytes
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._md5.close()
        self._sha512.close()


async def file_digests(path: Path, on_progress: Progress | None = None) -> Digests:
    """Digests of the file as it is while being read. Holes are digested without being read from the disk."""
    fd = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        total = os.fstat(fd).st_size
        async with StreamingDigests() as digests:
            for offset, length, is_data in _pieces(fd, total):
                chunk = await asyncio.to_thread(_read, fd, offset, length) if is_data else memoryview(_ZEROS)[:length]
                await digests.update(chunk)
                if on_progress:
                    on_progress(offset + length, total)
            return await digests.finish()
    finally:
        os.close(fd)


def _read(fd: int, offset: int, length: int) -> bytes:
    chunk = os.pread(fd, length, offset)
    if len(chunk) != length:
        raise OSError(f"the file ended at byte {offset + len(chunk)} while it was being read")
    return chunk


def _pieces(fd: int, total: int) -> Iterator[tuple[int, int, bool]]:
    """(offset, length, whether it is data), in order and without gaps, none longer than a chunk."""
    for start, end, is_data in _extents(fd, total):
        for offset in range(start, end, CHUNK_BYTES):
            yield offset, min(CHUNK_BYTES, end - offset), is_data


def _extents(fd: int, total: int) -> Iterator[tuple[int, int, bool]]:
    position = 0
    while position < total:
        data = _seek_data(fd, position, total)
        if data > position:
            yield position, data, False
        if data >= total:
            return
        position = min(os.lseek(fd, data, os.SEEK_HOLE), total)
        yield data, position, True


def _seek_data(fd: int, position: int, total: int) -> int:
    try:
        return min(os.lseek(fd, position, os.SEEK_DATA), total)
    except OSError:  # ENXIO: nothing but a hole from here on
        return total
