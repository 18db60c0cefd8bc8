"""Writes a stream of bytes to a file, leaving holes where the stream is zero."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stillframe.blobs.digests import HashLane, Progress
from stillframe.errors import BucketUnreachableError

if TYPE_CHECKING:
    from obstore import BytesStream

_BLOCK_BYTES = 64 * 1024
_ZEROS = bytes(_BLOCK_BYTES)


async def receive_file(
    chunks: "BytesStream", path: Path, size_bytes: int, *, md5: str | None, on_progress: Progress | None
) -> None:
    """Exactly `size_bytes`, compared with `md5` where that is known, and on the disk when this returns.

    Raises: BucketUnreachableError when more, less or something else arrives. `path` does not remain then.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    lane = HashLane("md5") if md5 else None
    try:
        await _write_all(fd, chunks, size_bytes, lane, on_progress)
        await _check(lane, md5)
        await _to_thread(_finish, fd, size_bytes)
    except BaseException:
        os.unlink(path)  # noqa: PTH108 - at once, for a cancelled task may not wait
        raise
    finally:
        if lane:
            lane.close()
        os.close(fd)
    if on_progress:
        on_progress(size_bytes, size_bytes)


async def _write_all(
    fd: int, chunks: "BytesStream", size_bytes: int, lane: HashLane | None, on_progress: Progress | None
) -> None:
    received = 0
    async for chunk in chunks:
        data = bytes(chunk)
        if received + len(data) > size_bytes:
            raise BucketUnreachableError("The object is longer than the object store said.")
        await _to_thread(_write, fd, data, received)
        if lane:
            await lane.feed(data)
        received += len(data)
        if on_progress and received < size_bytes:
            on_progress(received, size_bytes)
    if received != size_bytes:
        raise BucketUnreachableError("The object ended before its last byte.")


async def _check(lane: HashLane | None, md5: str | None) -> None:
    if lane and await lane.hexdigest() != md5:
        raise BucketUnreachableError("The object arrived damaged.")


async def _to_thread(function: Callable[..., None], *args: object) -> None:
    """As asyncio's, but ends only when the thread has: the file is closed next, and its number given to another."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    for start in range(0, len(data), _BLOCK_BYTES):
        # Comparing stops at the first byte that is not zero, so data costs nothing here.
        block = view[start : start + _BLOCK_BYTES]
        if not data.startswith(_ZEROS[: len(block)], start):
            _write_block(fd, block, offset + start)


def _write_block(fd: int, block: memoryview, offset: int) -> None:
    while block:
        written = os.pwrite(fd, block, offset)
        block, offset = block[written:], offset + written


def _finish(fd: int, size_bytes: int) -> None:
    os.ftruncate(fd, size_bytes)
    os.fsync(fd)
