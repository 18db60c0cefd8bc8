"""Remote consoles: POST remote-consoles, and the actions that were before it.

Source: OpenStack Compute API reference, "Server consoles", "Get VNC Console (os-getVNCConsole Action)".
"""

from typing import Any

from litestar import Request, Response, post
from msgspec import Struct

from stillframe.api.compute_v2.acting import Acting, Action, Answer
from stillframe.api.compute_v2.bodies import convert, decode_body
from stillframe.api.compute_v2.server_requests import Text
from stillframe.config import Settings
from stillframe.db import Transaction
from stillframe.errors import InvalidInputError
from stillframe.identity.model import Caller
from stillframe.servers import remote_consoles
from stillframe.servers.remote_consoles import ConsoleKind

Json = dict[str, Any]

_KINDS = {("vnc", "novnc"): ConsoleKind.VNC, ("serial", "serial"): ConsoleKind.SERIAL}


class ConsoleWanted(Struct):
    protocol: Text
    type: Text


class ConsoleBody(Struct):
    remote_console: ConsoleWanted


class TypeWanted(Struct):
    type: Text


@post("/servers/{server_id:str}/remote-consoles", status_code=200)
async def create_console(
    request: Request[Any, Any, Any], server_id: str, tx: Transaction, caller: Caller, settings: Settings
) -> Json:
    wanted = decode_body(await request.body(), ConsoleBody).remote_console
    kind = console_kind(wanted.protocol, wanted.type)
    token = await remote_consoles.create_token(tx, caller, settings, server_id, kind)
    return {"remote_console": {"protocol": wanted.protocol, "type": wanted.type, "url": console_url(settings, token)}}


def _get_console(protocol: str) -> Action:
    async def act(acting: Acting, argument: Any) -> Answer:
        kind = console_kind(protocol, wanted := convert(argument, TypeWanted).type)
        token = await remote_consoles.create_token(acting.tx, acting.caller, acting.settings, acting.server_id, kind)
        return Response({"console": {"type": wanted, "url": console_url(acting.settings, token)}}, status_code=200)

    return act


def console_kind(protocol: str, a_type: str) -> ConsoleKind:
    kind = _KINDS.get((protocol, a_type))
    if kind is None:
        raise InvalidInputError(f"Unavailable console type {a_type}.", field="type")
    return kind


def console_url(settings: Settings, token: str) -> str:
    return f"ws{settings.url('console').removeprefix('http')}/?token={token}"


CONSOLES: dict[str, Action] = {
    "os-getVNCConsole": _get_console("vnc"),
    "os-getSerialConsole": _get_console("serial"),
    "os-getSPICEConsole": _get_console("spice"),
    "os-getRDPConsole": _get_console("rdp"),
}
