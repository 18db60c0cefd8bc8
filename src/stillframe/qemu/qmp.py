"""Talking to a machine. QEMU serves one client at a time, so a connection is short: connect, ask, leave."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, EventListener, ExecuteError, QMPClient, QMPError
from qemu.qmp.qmp_client import NegotiationError

from stillframe.errors import ToolFailedError, UnavailableError
from stillframe.qemu import sockets

CONNECT_TIMEOUT_S = 10.0
_CONNECT_PAUSE_S = 0.05
COMMAND_TIMEOUT_S = 10.0
FILE_SETS = "/dev/fdset/"


class Qmp:
    """A connected client."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client

    async def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """
        Raises:
            ToolFailedError: QEMU refused.
            UnavailableError: QEMU ended, or did not answer in time.
        """
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise ToolFailedError(cause=f"QMP {command}: {error}") from error
        except (QMPError, OSError, TimeoutError) as error:
            raise UnavailableError("The machine does not answer.", cause=f"QMP {command}: {error!r}") from error

    async def pass_file(self, path: Path, flags: int, label: str) -> str:
        """Opens a file for QEMU, which may open none itself; the name under which it finds it.

        Raises: OSError, and as `execute`.
        """
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            self._send_descriptor(descriptor)
            added = await self.execute("add-fd", {"opaque": label})
        finally:
            os.close(descriptor)
        return f"{FILE_SETS}{added['fdset-id']}"

    async def show_screen(self, connection: socket.socket) -> None:
        """Makes what is at the other end a client of the screen, by RFB. There is no other way to it.

        Raises: as `execute`.
        """
        name = f"screen-{secrets.token_hex(8)}"
        self._send_descriptor(connection.fileno())
        await self.execute("getfd", {"fdname": name})
        await self.execute("add_client", {"protocol": "vnc", "fdname": name, "skipauth": True})

    def _send_descriptor(self, descriptor: int) -> None:
        """As the library's `send_fd_scm`, whose way to the socket is closed under uvloop."""
        number = self._client._writer.transport.get_extra_info("socket").fileno()  # type: ignore[union-attr]  # noqa: SLF001
        with socket.socket(fileno=os.dup(number)) as connection:
            socket.send_fds(connection, [b" "], [descriptor])

    async def query_status(self) -> str:
        """running, paused, shutdown, internal-error ... as QEMU's RunState spells them."""
        return str((await self.execute("query-status"))["status"])

    async def powerdown(self) -> None:
        """Presses the power button; the guest decides."""
        await self.execute("system_powerdown")

    async def reset(self) -> None:
        await self.execute("system_reset")

    async def stop(self) -> None:
        """Pauses the machine's processors."""
        await self.execute("stop")

    async def cont(self) -> None:
        await self.execute("cont")

    async def quit(self) -> None:
        """Ends QEMU, its disks flushed."""
        await self.execute("quit")

    @contextmanager
    def events(self, *names: str) -> Iterator[EventListener]:
        """Collects events from now on (all, if none are named): `async for event in listener`."""
        with self._client.listener(names or None) as listener:
            yield listener


async def _connect(run_dir: Path) -> QMPClient:
    """Again when an event came before the answer to the first command, which the library takes for a refusal."""
    while True:
        client = QMPClient("stillframe")
        try:
            with sockets.short_path(run_dir) as short:
                await client.connect(f"{short}/{sockets.QMP_SOCKET}")
        except ConnectError as error:
            if not isinstance(error.exc, NegotiationError):
                raise
        else:
            return client
        await asyncio.sleep(_CONNECT_PAUSE_S)


@asynccontextmanager
async def connected(run_dir: Path, *, timeout_s: float = CONNECT_TIMEOUT_S) -> AsyncIterator[Qmp]:
    """Raises: UnavailableError if no machine answers in time, be it that another client holds it."""
    try:
        async with asyncio.timeout(timeout_s):
            client = await _connect(run_dir)
    except (QMPError, OSError, TimeoutError) as error:
        raise UnavailableError("The machine does not answer.", cause=f"QMP connect: {error!r}") from error
    try:
        yield Qmp(client)
    finally:
        # The other end may have gone first, which is what `quit` is for.
        with suppress(QMPError, OSError, EOFError):
            await client.disconnect()
