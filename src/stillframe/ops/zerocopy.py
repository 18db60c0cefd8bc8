"""Files go from the page cache to the socket within the kernel: ASGI's extension "zero copy send".

An image passes through no buffer of this process. The event loop only waits until the socket takes more; the call is
made in a thread, since it reads from the disk what is not in memory.

Source: https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send
"""

import asyncio
import os
import select
import socket
from concurrent.futures import ThreadPoolExecutor
from io import FileIO

from stillframe.ops.sockets import duplicate, is_soon, wait_for

EXTENSION = "http.response.zerocopysend"
TURN_BYTES = 64 * 1024 * 1024
"""As much as one client gets before the next one has its turn with the thread."""
STALL_TIMEOUT_S = 300.0
"""A client that takes nothing for so long is given up."""

_POOL = ThreadPoolExecutor(4, thread_name_prefix="sendfile")


async def send_range(transport: asyncio.Transport, file: int, offset: int, count: int) -> None:
    """Raises: OSError when the client is gone or the file ends too early; TimeoutError when nothing moves."""
    async with asyncio.timeout(STALL_TIMEOUT_S):
        while transport.get_write_buffer_size():  # noqa: ASYNC110 - the head has to be out first, and no event tells
            await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    end = offset + count
    while offset < end:
        # Of their own, so that a thread never writes to what another connection or file has got the number of.
        target, source = duplicate(transport), FileIO(os.dup(file))
        sent = await loop.run_in_executor(_POOL, _send, target, source, offset, min(TURN_BYTES, end - offset))
        offset += sent
        if not sent:
            async with asyncio.timeout(STALL_TIMEOUT_S):
                await wait_for(transport, select.POLLOUT)


def _send(target: socket.socket, source: FileIO, offset: int, count: int) -> int:
    """How much the socket took at once and soon after."""
    sent = 0
    with target, source:
        while sent < count:
            try:
                moved = os.sendfile(target.fileno(), source.fileno(), offset + sent, count - sent)
            except BlockingIOError:
                if not sent or not is_soon(target, select.POLLOUT):
                    break
                continue
            if not moved:
                raise OSError("the file is shorter than it was")
            sent += moved
    return sent
