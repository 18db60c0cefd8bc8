"""Sockets that wait for connections, and those of connections for threads beside the event loop."""

import asyncio
import errno
import os
import select
import socket

from stillframe.errors import UnavailableError

_SOON_MS = 2


def bind_listener(host: str, port: int, service: str, *, shared: bool = False) -> socket.socket:
    """Bound and not yet listening; `shared` with other processes that bind it so.

    Raises: UnavailableError naming the port that cannot be had.
    """
    listener = socket.socket(family_of(host))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # asyncio sets it only on sockets that say they are TCP, and Python's own say 0: every keep-alive request would
    # wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UnavailableError(f"Port {port} of the {service} service cannot be had: {error.strerror}.") from None
    listener.set_inheritable(True)
    return listener


def is_port_free(host: str, port: int) -> bool:
    """Whether nobody listens there; asks without a connection, which would be work for whoever does."""
    with socket.socket(family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def duplicate(transport: asyncio.Transport) -> socket.socket:
    """The connection by another descriptor, which stays good for a thread when the transport closes its own, and which
    the event loop lets others wait for. Never blocks, as the transport's does not.

    Raises: ConnectionResetError when it is closed already.
    """
    if transport.is_closing():
        raise ConnectionResetError
    return socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))


def is_soon(connection: socket.socket, event: int) -> bool:
    """Whether `select.POLLIN` or `POLLOUT` comes in the time in which a peer at full speed is there again."""
    poll = select.poll()
    poll.register(connection, event)
    return bool(poll.poll(_SOON_MS))


async def wait_for(transport: asyncio.Transport, event: int) -> None:
    """Until `select.POLLIN` or `POLLOUT` comes, without a thread.

    Raises: ConnectionResetError as `duplicate`.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    add, remove = (
        (loop.add_reader, loop.remove_reader) if event == select.POLLIN else (loop.add_writer, loop.remove_writer)
    )
    with duplicate(transport) as connection:
        add(connection.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            remove(connection.fileno())
