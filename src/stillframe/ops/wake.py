"""The nudge from the API to the worker: one empty datagram on a Unix socket, lost without harm when nobody listens."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path


def waker(path: Path) -> Callable[[], None]:
    """A function that wakes the worker listening on `path`; it never blocks and never fails."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.setblocking(False)

    def wake() -> None:
        with contextlib.suppress(OSError):
            sender.sendto(b"", str(path))

    return wake


def bind_waker(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(path))
    path.chmod(0o600)
    receiver.setblocking(False)
    return receiver


async def listen_for_wakes(path: Path, wake: Callable[[], None]) -> asyncio.DatagramTransport:
    class _Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - asyncio's signature
            wake()

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Protocol, sock=bind_waker(path))
    return transport
