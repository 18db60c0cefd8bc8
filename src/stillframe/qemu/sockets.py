"""Unix sockets in a machine's directory, however long its path: the kernel takes 107 bytes, so we go by descriptor."""

import asyncio
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QMP_SOCKET = "qmp.sock"
SERIAL_SOCKET = "serial.sock"


def listen(directory: Path, name: str) -> socket.socket:
    """A listening socket only we can connect to, in the place of one left over."""
    with short_path(directory) as short:
        path = f"{short}/{name}"
        (directory / name).unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(path)
            (directory / name).chmod(0o600)
            listening.listen()
        except OSError:
            listening.close()
            raise
    return listening


async def connect(directory: Path, name: str) -> socket.socket:
    """A connected, non-blocking socket.

    Raises: OSError if nobody listens, or too many wait to be served.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.setblocking(False)
    try:
        with short_path(directory) as short:
            await asyncio.get_running_loop().sock_connect(connected, f"{short}/{name}")
    except BaseException:
        connected.close()
        raise
    return connected


async def listener_pid(directory: Path, name: str) -> int:
    """The pid of the process that listens there; it need not take notice.

    Raises: OSError as `connect`.
    """
    with await connect(directory, name) as connected:
        pid, _uid, _gid = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(pid)


@contextmanager
def short_path(directory: Path) -> Iterator[str]:
    """Another name of the directory, good inside this process and while the block lasts."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
