"""The file that uploaded data goes into: written, digested and locked while the event loop goes on receiving.

The lock belongs to the open file, so the kernel lets it go when the process dies in whatever way; who finds it free
knows that nobody writes any more.
"""

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from stillframe.blobs.digests import Digests, StreamingDigests
from stillframe.blobs.room import require_room

BLOCK_BYTES = 1024 * 1024
FLUSH_BYTES = 64 * 1024 * 1024
_BACKLOG_BLOCKS = 8


@contextlib.contextmanager
def new_locked_file(path: Path) -> Iterator[BinaryIO]:
    """Raises: FileExistsError."""
    with path.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield file


def is_being_written(path: Path) -> bool:
    """Whether a living process has the file open for an upload."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


async def blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in larger pieces: handing one to a thread costs more than a small one is worth."""
    waiting: list[bytes] = []
    length = 0
    async for chunk in chunks:
        waiting.append(chunk)
        length += len(chunk)
        if length >= BLOCK_BYTES:
            yield _joined(waiting)
            waiting, length = [], 0
    if length:
        yield _joined(waiting)


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _FileLane:
    """Writes pieces in order on one thread behind the caller; another thread pushes what is written to the disk early,
    so that little is left to wait for at the end.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="upload-write")
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="upload-flush")
        self._backlog: deque[Future[int]] = deque()
        self._unflushed_bytes = 0
        self._flushed = self._flusher.submit(os.fdatasync, file.fileno())

    async def write(self, piece: bytes) -> None:
        """Raises: OSError of an earlier write."""
        self._backlog.append(self._writer.submit(_write, self._file, piece))
        self._unflushed_bytes += len(piece)
        if self._unflushed_bytes >= FLUSH_BYTES and self._flushed.done():
            # The kernel tells of a failed write to the disk once only, so every answer is looked at.
            self._flushed.result()
            self._flushed = self._flusher.submit(os.fdatasync, self._file.fileno())
            self._unflushed_bytes = 0
        while len(self._backlog) > _BACKLOG_BLOCKS:
            await asyncio.wrap_future(self._backlog.popleft())

    async def finish(self) -> None:
        """Raises: OSError of any write."""
        while self._backlog:
            await asyncio.wrap_future(self._backlog.popleft())
        await asyncio.wrap_future(self._flushed)
        await asyncio.wrap_future(self._writer.submit(_make_durable, self._file))

    async def close(self) -> None:
        """The file is closed next; nothing may be left that would then work on another file's descriptor."""
        await asyncio.to_thread(self._writer.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._flusher.shutdown, cancel_futures=True)


async def write_all(file: BinaryIO, pieces: AsyncIterator[bytes]) -> Digests:
    """Writes and digests everything in one pass; durable when it returns.

    Raises: OSError of a write, at the latest at the end; whatever `pieces` raises.
    """
    lane = _FileLane(file)
    try:
        async with StreamingDigests() as digests:
            async for piece in pieces:
                await lane.write(piece)
                await digests.update(piece)
            await lane.finish()
            return await digests.finish()
    finally:
        await asyncio.shield(lane.close())


def _write(file: BinaryIO, piece: bytes) -> int:
    require_room(file.fileno())
    return file.write(piece)


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    directory = os.open(Path(file.name).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
