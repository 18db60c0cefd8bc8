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

BLOCK_BYTES = 4 * 1024 * 1024
_BACKLOG_BLOCKS = 4


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
            yield b"".join(waiting)
            waiting, length = [], 0
    if length:
        yield b"".join(waiting)


async def write_all(file: BinaryIO, pieces: AsyncIterator[bytes]) -> Digests:
    """Writes and digests everything in one pass; durable when it returns.

    Raises: OSError of a write, at the latest at the end; whatever `pieces` raises.
    """
    writer = ThreadPoolExecutor(1, thread_name_prefix="upload")
    backlog: deque[Future[int]] = deque()
    try:
        async with StreamingDigests() as digests:
            async for piece in pieces:
                backlog.append(writer.submit(file.write, piece))
                await digests.update(piece)
                while len(backlog) > _BACKLOG_BLOCKS:
                    await asyncio.wrap_future(backlog.popleft())
            while backlog:
                await asyncio.wrap_future(backlog.popleft())
            await asyncio.wrap_future(writer.submit(_make_durable, file))
            return await digests.finish()
    finally:
        # The file is closed next; no write may be left that would then fail, or hit another file's descriptor.
        await asyncio.to_thread(writer.shutdown, cancel_futures=True)


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
    directory = os.open(Path(file.name).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
