"""Remote consoles: who may open one, and the way to it.

A token opens one console, once, and not for long. It is kept as a digest, and it says which server's console it opens;
so whoever has it needs nothing else, and a browser can use it.

Source: OpenStack Compute API reference, "Server consoles"; "Create Remote Console".
"""

import enum
import hashlib
import secrets
import socket
from datetime import timedelta

from stillframe.blobs.layout import DataLayout
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import ServerStateError, UnauthenticatedError, UnavailableError
from stillframe.identity.model import Caller
from stillframe.kit.clock import utcnow
from stillframe.qemu import machine
from stillframe.servers import console_rows
from stillframe.servers.service import get_server


class ConsoleKind(enum.StrEnum):
    VNC = "vnc"
    SERIAL = "serial"


async def create_token(tx: Transaction, caller: Caller, settings: Settings, server_id: str, kind: ConsoleKind) -> str:
    """Raises: ServerNotFoundError, ForbiddenError for readers, ServerStateError without a machine."""
    caller.require_writer()
    server = await get_server(tx, caller, server_id)
    if not server.should_run:
        raise ServerStateError(f"Instance {server.id} is not ready: it is in vm_state {server.vm_state}")
    now, token = utcnow(), secrets.token_urlsafe(32)
    await console_rows.forget_expired(tx, now)
    expires_at = now + timedelta(seconds=settings.console_token_lifetime_s)
    await console_rows.insert_token(tx, _digest(token), server.id, kind, expires_at)
    return token


async def use_token(tx: Transaction, token: str) -> tuple[str, ConsoleKind]:
    """The id of the server and what to open. Raises: UnauthenticatedError, the second time, too."""
    found = await console_rows.take_token(tx, _digest(token), utcnow())
    if found is None:
        raise UnauthenticatedError
    return found[0], ConsoleKind(found[1])


async def connect(layout: DataLayout, server_id: str, kind: ConsoleKind) -> socket.socket:
    """A stream to the guest's screen (RFB) or serial port, connected and non-blocking.

    Raises: UnavailableError when there is no machine.
    """
    run_dir = layout.machine_dir(server_id)
    running = await machine.find(run_dir, server_id)
    if running is None:
        raise UnavailableError("The server has no machine.")
    return await (machine.connect_console(run_dir) if kind is ConsoleKind.SERIAL else machine.connect_screen(running))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
