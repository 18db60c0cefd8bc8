"""Files go from the page cache to the socket within the kernel: ASGI's extension "zero copy send".

An image passes through no buffer of this process. The event loop only waits until the socket takes more; the call is
made in a thread, since it reads from the disk what is not in memory.

Source: https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

EXTENSION = "http.response.zerocopysend"
PIECE_BYTES = 8 * 1024 * 1024
STALL_TIMEOUT_S = 300.0
"""A client that takes nothing for so long is given up."""

_POOL = ThreadPoolExecutor(4, thread_name_prefix="sendfile")


async def send_range(transport: asyncio.Transport, file: int, offset: int, count: int) -> None:
    """Raises: OSError when the client is gone or the file ends too early; TimeoutError when nothing moves."""
    async with asyncio.timeout(STALL_TIMEOUT_S):
        while transport.get_write_buffer_size():  # noqa: ASYNC110 - the head has to be out first, and no event tells
            await asyncio.sleep(0.001)
    if transport.is_closing():
        raise ConnectionResetError
    # The loop watches the transport's own descriptor and lets nobody else wait for it.
    target = os.dup(transport.get_extra_info("socket").fileno())
    loop = asyncio.get_running_loop()
    end = offset + count
    try:
        while offset < end:
            try:
                sent = await loop.run_in_executor(
                    _POOL, os.sendfile, target, file, offset, min(PIECE_BYTES, end - offset)
                )
            except BlockingIOError:
                await _writable(loop, target)
                continue
            if sent == 0:
                raise OSError("the file is shorter than it was")
            offset += sent
    finally:
        os.close(target)


async def _writable(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        async with asyncio.timeout(STALL_TIMEOUT_S):
            await ready.wait()
    finally:
        loop.remove_writer(descriptor)
