"""The door of consoles: a websocket that leads to a server's screen or serial port. A page for people is not there yet.

Source: OpenStack Compute admin guide, "Configure remote console access": how the address is made, and the subprotocol
`binary`.
"""

import structlog
from litestar import websocket

from stillframe.api.console.relay import AnyWebSocket, relay
from stillframe.api.identity_v3.errors import exception_handlers
from stillframe.api.missing import Missing, missing_routes
from stillframe.errors import StillframeError
from stillframe.jobs.resources import Resources
from stillframe.servers import remote_consoles

log = structlog.get_logger("stillframe.console")

_REFUSED, _GONE = 1008, 1013


@websocket("/")
async def open_console(socket: AnyWebSocket, resources: Resources) -> None:
    """A token that opens nothing is refused before the handshake, which the client sees as 403."""
    token = socket.query_params.get("token", "")
    try:
        async with resources.database.writing() as tx:
            server_id, kind = await remote_consoles.use_token(tx, token)
    except StillframeError:
        await socket.close(_REFUSED)
        return
    try:
        console = await remote_consoles.connect(resources.layout, server_id, kind)
    except StillframeError as error:
        log.info("console.not_there", server=server_id, cause=str(error.cause))
        await socket.close(_GONE)
        return
    offered = socket.scope.get("subprotocols") or []
    await socket.accept(subprotocols="binary" if "binary" in offered else None)
    log.info("console.opened", server=server_id, kind=str(kind))
    await relay(socket, console)
    log.info("console.closed", server=server_id, kind=str(kind))


handlers = [*missing_routes(Missing("GET", "/", "show a web console")), open_console]

OPEN_REQUESTS: frozenset[tuple[str, str]] = frozenset({("GET", "/"), ("WEBSOCKET", "/")})

__all__ = ["OPEN_REQUESTS", "exception_handlers", "handlers"]
