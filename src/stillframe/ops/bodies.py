"""Large bodies of requests, read from the socket by a thread in pieces that are worth handing on.

The event loop and the parser of HTTP would see each of them in thousands of small ones.
"""

import asyncio
import select
import socket
from concurrent.futures import ThreadPoolExecutor

from stillframe.ops.sockets import duplicate, is_soon, wait_for

SMALLEST_PIECE_BYTES = 64 * 1024
LARGEST_PIECE_BYTES = 1024 * 1024

_POOL = ThreadPoolExecutor(4, thread_name_prefix="receive")


class BodyReader:
    """Of one connection, whose transport does not read meanwhile."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._piece_bytes = 4 * SMALLEST_PIECE_BYTES

    async def read(self, most: int) -> bytearray:
        """At least a byte and at most so many, waiting for them as long as it takes.

        Raises: OSError when the client is gone. Cancelled while it waits, it has read nothing; when it may have, the
        connection is given up.
        """
        wanted = min(most, self._piece_bytes)
        while not (piece := await self._take(wanted)):
            await wait_for(self._transport, select.POLLIN)
        if len(piece) == self._piece_bytes:
            self._piece_bytes = min(2 * self._piece_bytes, LARGEST_PIECE_BYTES)
        elif 4 * len(piece) < wanted:
            self._piece_bytes = max(self._piece_bytes // 2, SMALLEST_PIECE_BYTES)
        return piece

    async def _take(self, wanted: int) -> bytearray:
        try:
            return await asyncio.get_running_loop().run_in_executor(_POOL, _take, duplicate(self._transport), wanted)
        except asyncio.CancelledError:
            self._transport.abort()
            raise


def _take(source: socket.socket, wanted: int) -> bytearray:
    """What is there, and what comes soon; nothing when nothing is there."""
    with source:
        piece = bytearray(wanted)
        taken = 0
        with memoryview(piece) as view:
            while taken < wanted:
                try:
                    received = source.recv_into(view[taken:])
                except BlockingIOError:
                    if not taken or not is_soon(source, select.POLLIN):
                        break
                    continue
                if not received:
                    raise ConnectionResetError
                taken += received
        del piece[taken:]
        return piece
