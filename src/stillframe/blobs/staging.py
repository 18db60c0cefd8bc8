"""Brings an object to the disk in one pass: fetched, digested, unpacked where it is compressed, and written with holes.

The event loop fetches and digests; a thread of its own pulls from it, unpacks and writes. So nothing is ever in memory
as a whole, and neither side waits for the other longer than a piece takes.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Collection
from pathlib import Path

import msgspec

from stillframe.blobs.compression import Compression, Readable, Unpacked, detect_compression
from stillframe.blobs.digests import HashLane, Progress
from stillframe.blobs.room import require_room
from stillframe.errors import LimitExceededError

_PIECE_BYTES = 4 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024
_ZEROS = bytes(_BLOCK_BYTES)


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """`size_bytes` is that of the file; `digests`, by algorithm, are of the object as it is in its bucket."""

    size_bytes: int
    source_bytes: int
    compression: Compression | None
    digests: dict[str, str]


WhichDigests = Callable[[bytes], Collection[str]]
"""From the first bytes of an object to the names of the algorithms to digest it with, as hashlib has them."""


async def stage(
    chunks: AsyncGenerator[bytes, None],
    path: Path,
    *,
    source_bytes: int,
    max_unpacked_bytes: int,
    which_digests: WhichDigests,
    on_progress: Progress | None = None,
) -> Staged:
    """Writes the object's content to a new file, durably; `path` does not remain when this fails or is cancelled.

    Raises: LimitExceededError as soon as a compressed object turns out to hold more than `max_unpacked_bytes`;
    InvalidInputError when it is damaged; whatever reading `chunks` raises.
    """
    pull = _Pull(chunks, source_bytes, which_digests, on_progress)
    writing = asyncio.ensure_future(asyncio.to_thread(_write, pull, path, max_unpacked_bytes))
    try:
        size_bytes, compression = await asyncio.shield(writing)
        return Staged(
            size_bytes=size_bytes,
            source_bytes=pull.received_bytes,
            compression=compression,
            digests=await pull.hexdigests(),
        )
    except BaseException:
        pull.stop()
        await asyncio.wait([writing])
        await asyncio.to_thread(path.unlink, missing_ok=True)
        raise
    finally:
        pull.close()
        await chunks.aclose()


class _Pull:
    """Chunks that the event loop fetches, as a file for a thread to read."""

    class StoppedError(Exception):
        """Nobody waits for the file any more."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        source_bytes: int,
        which_digests: WhichDigests,
        on_progress: Progress | None,
    ) -> None:
        self._chunks = chunks
        self._source_bytes = source_bytes
        self._which_digests = which_digests
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, HashLane] | None = None
        self._fetching: asyncio.Task[bytes] | None = None
        self._is_stopped = False
        self._unread = memoryview(b"")
        self.received_bytes = 0

    def read(self, size: int, /) -> bytes:
        """For the thread. Raises: StoppedError, and what fetching raises."""
        if not self._unread:
            self._unread = memoryview(asyncio.run_coroutine_threadsafe(self._fetch(), self._loop).result())
        piece, self._unread = bytes(self._unread[:size]), self._unread[size:]
        return piece

    def put_back(self, data: bytes) -> None:
        self._unread = memoryview(data + bytes(self._unread))

    async def _fetch(self) -> bytes:
        """The next chunk, digested; nothing at the end."""
        if self._is_stopped:
            raise _Pull.StoppedError
        self._fetching = asyncio.ensure_future(anext(self._chunks, b""))
        chunk = await self._fetching
        if self._lanes is None:
            self._lanes = {name: HashLane(name) for name in self._which_digests(chunk)}
        for lane in self._lanes.values():
            await lane.feed(chunk)
        self.received_bytes += len(chunk)
        if self._on_progress and chunk:
            self._on_progress(self.received_bytes, self._source_bytes)
        return chunk

    def stop(self) -> None:
        self._is_stopped = True
        if self._fetching:
            self._fetching.cancel()

    async def hexdigests(self) -> dict[str, str]:
        return {name: await lane.hexdigest() for name, lane in (self._lanes or {}).items()}

    def close(self) -> None:
        for lane in (self._lanes or {}).values():
            lane.close()


def _write(pull: _Pull, path: Path, max_unpacked_bytes: int) -> tuple[int, Compression | None]:
    prefix = pull.read(_PIECE_BYTES)
    compression = detect_compression(prefix)
    pull.put_back(prefix)
    source: Readable = Unpacked(pull, compression) if compression else pull
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        size_bytes = 0
        while piece := source.read(_PIECE_BYTES):
            if compression and size_bytes + len(piece) > max_unpacked_bytes:
                raise LimitExceededError(f"What is compressed has more than the {max_unpacked_bytes} bytes allowed.")
            require_room(descriptor)
            _write_sparsely(descriptor, piece, size_bytes)
            size_bytes += len(piece)
        os.ftruncate(descriptor, size_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return size_bytes, compression


def _write_sparsely(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    for start in range(0, len(data), _BLOCK_BYTES):
        # Comparing stops at the first byte that is not zero, so data costs nothing here.
        block = view[start : start + _BLOCK_BYTES]
        if not data.startswith(_ZEROS[: len(block)], start):
            _write_block(descriptor, block, offset + start)


def _write_block(descriptor: int, block: memoryview, offset: int) -> None:
    while block:
        written = os.pwrite(descriptor, block, offset)
        block, offset = block[written:], offset + written
